"""
test_impair: connections misbehave as they were told, echoprobe names it, and nobody else notices.
The bytes and bounds of one connection are check_connection_impair's; datagrams test_impair_udp's.
Run by `run`, by automake, or alone.
"""

import re
import signal
import socket
import ssl
import struct
import time

import harness
import tls_client
from certificates import Authority
from harness import KIB, LOOPBACK, Echod, probe

ONE_WORKER = ("--workers", "1")


def misbehaving(*options):
    """Addresses that do so, one for each."""
    return tuple(f"{LOOPBACK},{text}" for text in options)


def misbehaved(server):
    """What echod has counted of it, by name."""
    since = len(server.log.lines)
    server.signal(signal.SIGUSR1)
    line = server.log.wait_for("totals: misbehaved: .*", since=since).group(0)
    return {name: int(value) for name, value in (word.split("=") for word in line.split()[2:])}


def echo_of(client, data, piece):
    """Send in pieces of this size and FIN; return everything that comes back."""
    def send():
        for begin in range(0, len(data), piece):
            client.sendall(data[begin:begin + piece])
        client.shutdown(socket.SHUT_WR)

    sender = harness.Background(send)
    echo = harness.receive_all(client)
    sender.result()
    return echo


class ProbeTest(harness.TestCase):

    def test_each_fault_has_its_name_and_its_place(self):
        """echoprobe tells what was configured, and as often as echod has done it."""
        lifetime = f"lifetime={harness.scaled_ms(2000)}"
        with Echod(*ONE_WORKER, listen=misbehaving(
                "corrupt=1%,seed=3", "reset-after=1000", "close-after=1000", "refuse=40%,seed=1",
                f"stall-after=1000,{lifetime}", f"truncate-fin,{lifetime}")) as server:
            corrupt, reset, close, refuse, stall, withhold = server.addresses
            short = ("--timeout", harness.scaled_ms(200))
            result = probe("-c", "40", "-i", "0", corrupt)
            counted = misbehaved(server)["corrupted"]
            self.assertRegex(result.text, r"corrupted: 1 byte differs at offset \d+: expected")
            self.assertEqual(sum(map(int, re.findall(r"(\d+) bytes? differ", result.text))), counted)
            self.assertGreater(counted, 5)
            self.assertRegex(probe("-c", "20", "-i", "0", reset).text,
                             r"seq=16 reset: Connection reset by peer after 1000 of 1024 bytes")
            self.assertRegex(probe("-c", "20", "-i", "0", close).text,
                             r"seq=16 truncated: the connection ended after 1000 of 1024 bytes")
            self.assertRegex(probe("-c", "16", "-i", "0", *short, stall).text,
                             r"seq=16 lost: only 40 of 64 bytes came back within")
            self.assertRegex(probe("--half-close", "-s", "100000", *short, withhold).text,
                             r"all 100000 bytes came back, but no FIN followed")
            result = probe("--churn", "--json", "-c", "20", *short, refuse).json()
            totals = misbehaved(server)
            self.assertEqual(result["received"] + totals["refused"],
                             result["connects"] + result["connects_failed"])
            self.assertGreater(totals["refused"], 2)
            self.assertEqual((totals["reset"], totals["closed"]), (1, 1))
            server.log.wait_for("closed: reset on purpose, in=1024 out=1000 ")
            server.log.wait_for("closed: closed on purpose, in=1024 out=1000 ")
            server.log.wait_for("closed: refused on purpose, in=0 out=0 ")

    def test_delays_are_those_that_were_asked_for(self):
        """No echo is earlier than the delay less the jitter; half of them are not much later."""
        with Echod(listen=misbehaving("delay=50ms", "delay=50ms,jitter=30ms",
                                      "accept-delay=50ms")) as server:
            for index, arguments, least_ms in ((0, (), 50), (1, (), 20), (2, ("--churn",), 50)):
                times = probe("--json", "-c", "9", "-i", "0", *arguments,
                              server.addresses[index]).json()["rtt_us"]
                self.assertGreaterEqual(times["min"], least_ms * 1000, index)
                self.assertLess(times["p50"], 500_000 * harness.SLOWNESS, index)
                self.assertEqual(times["max"] > 50_000, True, index)

    def test_a_bandwidth_is_no_more_than_was_asked_for(self):
        """A stream of a second's worth takes a second's part."""
        with Echod(listen=misbehaving("bandwidth=1MiB/s")) as server:
            client = server.connect()
            begin = time.monotonic()
            data = harness.random_bytes(300 * KIB)
            self.assert_echo(echo_of(client, data, 64 * KIB), data)
            self.assertGreaterEqual(time.monotonic() - begin, 300 / 1024)


class TlsTest(harness.TestCase):

    def setUp(self):
        if not tls_client.can_serve():
            self.skipTest("echod was built without OpenSSL")
        self.need_program("openssl")
        self.certificate = Authority(self.temporary_directory()).issue("/CN=localhost")

    def test_faults_are_the_same_inside_tls(self):
        """Ends come as RST, or with close_notify, or never; bytes are changed, not records."""
        options = ("corrupt=1%,seed=3,delay=20ms", "reset-after=1000", "close-after=1000",
                   f"truncate-fin,lifetime={harness.scaled_ms(2000)}", "refuse=100%")
        listen = [f"tls://127.0.0.1:0,cert={self.certificate},{text}" for text in options]
        with Echod(*ONE_WORKER, listen=listen) as server:
            corrupt, reset, close, withhold, refuse = server.addresses
            probing = ("--insecure", "-c", "20", "-i", "0")
            result = probe(*probing, corrupt)
            self.assertEqual(sum(map(int, re.findall(r"(\d+) bytes? differ", result.text))),
                             misbehaved(server)["corrupted"])
            self.assertRegex(probe(*probing, reset).text,
                             r"seq=16 reset: Connection reset by peer after 1000 of 1024 bytes")
            self.assertRegex(probe(*probing, close).text,
                             r"seq=16 truncated: the connection ended after 1000 of 1024 bytes")
            self.assertRegex(probe("--insecure", "--half-close", "-s", "100000", "--timeout",
                                   harness.scaled_ms(200), withhold).text,
                             r"all 100000 bytes came back, but no close_notify followed")
            self.assertRegex(probe(*probing, refuse).text, "reset")
            self.assertEqual(misbehaved(server)["refused"] > 0, True)


    def test_what_comes_behind_an_end_inside_tls_is_read(self):
        """Also with the client's close_notify right behind it, whatever a read finds of that."""
        listen = f"tls://127.0.0.1:0,cert={self.certificate},close-after=1000"
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with Echod(*ONE_WORKER, listen=listen) as server:
            for size in (1000, 1001, 5000, 16384, 40_000, 200_000):
                sock = server.connect()
                client = tls_client.TlsClient(sock, context).shake_hands()
                data = harness.random_bytes(size)
                client.write(data)
                client.make_close_notify()
                client.flush()
                self.assertEqual(client.receive_all(), data[:1000])
                sock.close()
            self.assertEqual(misbehaved(server)["closed"], 6)

    def test_a_limit_holds_beside_faults_inside_tls(self):
        """Of all bytes that come back, the same are wrong as without one."""
        data = harness.random_bytes(200 * KIB)
        address = f"tls://127.0.0.1:0,cert={self.certificate},corrupt=0.1%,seed=7"
        with Echod(*ONE_WORKER, listen=(address, f"{address},rate-limit=200KiB/s")) as server:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            echoes = []
            for index in (0, 1):
                with context.wrap_socket(server.connect(index)) as client:
                    client.sendall(data)
                    echoes.append(harness.receive_exactly(client, len(data)))
            self.assertEqual(echoes[0], echoes[1])
            self.assertNotEqual(echoes[0], data)


class RepetitionTest(harness.TestCase):

    data = harness.random_bytes(200_000)

    def run_once(self, options, piece):
        """The echo of a second client, whose faults are its own."""
        with Echod(*ONE_WORKER, listen=misbehaving(options)) as server:
            first = echo_of(server.connect(), self.data, piece)
            second = echo_of(server.connect(), self.data, piece)
            warning = server.log.wait_for(r"misbehaves on purpose: corrupt=0.1%,seed=(\d+)")
        return first, second, warning.group(1)

    def test_a_seed_repeats_a_run(self):
        """The same bytes meet the same faults, however they are split; the log tells the seed."""
        first, second, seed = self.run_once("corrupt=0.1%", 200_000)
        self.assertEqual(len(first), len(self.data))
        self.assertNotEqual(first, self.data)
        self.assertNotEqual(first, second)
        differing = sum(one != other for one, other in zip(first, self.data))
        self.assertTrue(100 < differing < 320, differing)  # 200 on average
        again = self.run_once(f"corrupt=0.1%,seed={seed}", 1_111)
        self.assertEqual(again, (first, second, seed))


class LifeTest(harness.TestCase):

    def test_what_is_held_leaves_in_a_drain(self):
        """TERM comes while echoes are held, of clients that have sent FIN and that have not."""
        data = harness.random_bytes(100 * KIB)
        with Echod("--drain-timeout", "1h",
                   listen=misbehaving("delay=300ms,jitter=100ms")) as server:
            clients = [server.connect() for _ in range(20)]
            for number, client in enumerate(clients):
                client.sendall(data)
                if number % 2 == 0:
                    client.shutdown(socket.SHUT_WR)
            server.signal(signal.SIGTERM)
            for number, client in enumerate(clients):
                self.assert_echo(harness.receive_exactly(client, len(data)), data)
                if number % 2:
                    client.shutdown(socket.SHUT_WR)
                self.assertEqual(client.recv(1), b"")
            server.wait_for_exit(harness.STATUS_STOPPED)

    def test_clients_that_vanish_leave_nothing_behind(self):
        """Resets and FINs come while echoes are held, stalled or in chunks; Echod checks the rest."""
        with Echod(listen=misbehaving("delay=200ms", "chunk=1", "stall-after=10:200ms",
                                      "accept-delay=200ms", "bandwidth=1KiB/s,lifetime=1s",
                                      "truncate-fin,idle-timeout=200ms")) as server:
            for index in range(6):
                for number in range(20):
                    client = harness.connect(server.addresses[index])
                    client.sendall(b"x" * 5000)
                    if number % 2:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))
                    client.close()
            server.log.wait_for("closed: ", 120)

    def test_a_reload_changes_who_comes_and_warns(self):
        """Those who are connected keep what they began with."""
        path = f"{self.temporary_directory()}/echod.conf"

        def write(options):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"listen {address}{options}\n")

        address = f"tcp://127.0.0.1:{harness.free_port()}"
        write(",close-after=4,seed=1")
        with Echod(config=path, listen=(), ready=1) as server:
            server.log.wait_for(f"warning: {address} misbehaves on purpose: close-after=4$")
            old = server.connect()
            harness.wait_until(lambda: server.report()[0].open == 1, "it is served")
            since = len(server.log.lines)
            write("")
            server.signal(signal.SIGHUP)
            server.log.wait_for("is in effect", since=since)
            self.assertEqual(server.log.find("misbehaves", since), [])
            harness.round_trip(server.connect(), b"longer than that")
            old.sendall(b"longer than that")
            self.assertEqual(harness.receive_all(old), b"long")
            since = len(server.log.lines)
            write(",delay=1ms,seed=1")
            server.signal(signal.SIGHUP)
            server.log.wait_for(f"warning: {address} misbehaves on purpose: delay=1ms$",
                                since=since)

    def test_an_identity_says_it_and_leaves_as_it_is(self):
        """It is neither late nor wrong; the echo behind it is."""
        with Echod(listen=misbehaving("identify=line,corrupt=100%,seed=5")) as server:
            client = server.connect()
            identity = client.makefile("rb").readline().decode()
            self.assertIn(" impaired=corrupt=100%,seed=5 ", identity)
            client.sendall(b"ping")
            self.assertNotEqual(harness.receive_exactly(client, 4), b"ping")

    def test_memory_is_bounded_whatever_is_held(self):
        """Many floods against a delay hold no more than --max-queued, and a little each."""
        with Echod("--max-queued", "4MiB", "--high-water", "256KiB",
                   listen=misbehaving("delay=1h")) as server:
            before = server.resident_bytes()
            clients = [server.connect() for _ in range(100)]
            harness.fill(clients)
            self.assertLess(server.resident_bytes() - before,
                            24 * harness.MIB * max(harness.SLOWNESS, 1))
            for client in clients:
                harness.reset(client)


class UsageTest(harness.TestCase):

    def test_what_does_not_fit_is_one_sentence(self):
        """It names the option and what would be right, at the start and in --check."""
        for address, words in (
                (f"{LOOPBACK},delay=1ms,jitter=2ms", "jitter goes with a delay"),
                (f"{LOOPBACK},close-after=1,reset-after=1s", "close-after and reset-after"),
                (f"{LOOPBACK},close-after=1,truncate-fin", "truncate-fin sends no FIN"),
                (f"{LOOPBACK},truncate-fin", "truncate-fin leaves connections open"),
                (f"{LOOPBACK},stall-after=1", "stall-after without a duration"),
                (f"{LOOPBACK},drop=1%", '"drop" is no option of tcp://'),
                ("udp://127.0.0.1:0,chunk=1", '"chunk" is no option of udp://'),
                ("stdio:,delay=1s", '"delay" is no option of stdio:'),
                (f"{LOOPBACK},corrupt=1", '"1" is not a share'),
                (f"{LOOPBACK},close-after=0", '"0" is not an amount of bytes or a duration'),
                (f"{LOOPBACK},stall-after=1:0s", '"1:0s" is not an amount of bytes'),
                (f"{LOOPBACK},bandwidth=9GiB/s", '"9GiB/s" is not an amount of bytes a second')):
            result = harness.run_echod("--listen", address, "--check")
            self.assertEqual(result.returncode, harness.STATUS_USAGE, address)
            self.assertIn(words, result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)

    def test_a_passed_socket_cannot_do_what_its_kind_cannot(self):
        """Only when it is opened it is known whether it has connections or datagrams."""
        with harness.listening_socket() as streams, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", 0))
            for passed, option, words in ((streams, "drop=1%", "this one is a stream socket"),
                                          (datagrams, "chunk=1", "this one has datagrams")):
                result = harness.run_echod("--listen", f"fd://{passed.fileno()},{option}",
                                           pass_fds=(passed.fileno(),))
                self.assert_refused(result, words)


class AgeTest(harness.TestCase):

    def test_an_age_counts_from_the_beginning_however_long_the_handshake_takes(self):
        """A header that comes late does not make echod forget the reset."""
        options = "proxy=v1,truncate-fin,reset-after=2s,idle-timeout=1h"
        with Echod(listen=f"{LOOPBACK},{options}") as server:
            client = server.connect()
            time.sleep(1.2)
            client.sendall(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nping")
            with self.assertRaises(ConnectionResetError):
                while client.recv(100):
                    pass
            server.wait_for_closed("reset on purpose")


if __name__ == "__main__":
    harness.main()
