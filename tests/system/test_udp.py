"""
test_udp: each datagram returns once, unchanged, from where it was sent to, and nobody is harmed.
What is forged is in test_udp_forged, what the system refuses in test_udp_refusals, sockets that are
passed in test_udp_passed.
Run by `run`, by automake, or alone.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess

import harness
from harness import Echod

UDP = "udp://127.0.0.1:0"
LARGEST_V4 = 65507  # 65,535 less the headers of IPv4 and UDP
LARGEST_V6 = 65527  # IPv6 does not count its own header
SIZES = (0, 1, 2, 63, 64, 1471, 1472, 1473, 8191, 8192, 8193, 60000, LARGEST_V4 - 1, LARGEST_V4)
SOL_UDP, UDP_SEGMENT = socket.IPPROTO_UDP, 103  # linux/udp.h


def client_of(address, source=None):
    """A socket that takes answers from this address alone; every wait has a deadline."""
    host, port = re.fullmatch(r"udp://(.*):(\d+)", address).groups()
    host = host.strip("[]")
    client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(harness.PATIENCE_SECONDS)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * harness.MIB)
    if source is not None:
        client.bind(source)
    client.connect(socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0][4])
    return client


def with_host(address, host):
    """The same port at another host."""
    return f"udp://{host}:{harness.port_of(address)}"


def totals_of(server):
    """What echod has counted, by name."""
    since = len(server.log.lines)
    server.signal(signal.SIGUSR1)
    return parse_totals(server.log.wait_for(harness.TOTALS_LINE, since=since).string)


def parse_totals(line):
    return {name: int(number) for name, number in re.findall(r"([a-z_]+)=(\d+)", line)}


def wait_for_totals(server, condition, what):
    """Wait until the totals are so: a worker counts a moment after its client has the answer."""
    return harness.wait_until(lambda: condition(totals := totals_of(server)) and totals, what)


def expect_totals(server, **expected):
    """Wait until these counters have these values."""
    wait_for_totals(server, lambda totals: expected.items() <= totals.items(), expected)


def receive_buffer_of(port):
    """What may wait in a socket of echod, as the system tells it (ss(8), skmem)."""
    command = ["ss", "-Huamn", "sport", "=", f":{port}"]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="ascii")
    return re.search(r"skmem:\(r\d+,rb(\d+)", result.stdout).group(1)


class UdpTestCase(harness.TestCase):

    def client(self, address, source=None):
        client = client_of(address, source)
        self.addCleanup(client.close)
        return client

    def expect_echo(self, client, data):
        client.send(data)
        self.assert_echo(client.recv(LARGEST_V6 + 1), data)

    def expect_silence(self, client):
        client.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            client.recv(1)
        client.settimeout(harness.PATIENCE_SECONDS)

    def wait_for_total(self, server, name, least=1):
        return wait_for_totals(server, lambda totals: totals[name] >= least,
                               f"{name} is at least {least}")


class EchoTest(UdpTestCase):

    def test_every_size(self):
        """Datagrams of all sizes come back, the empty one as well, and each once."""
        with Echod(listen=UDP) as server:
            client = self.client(server.addresses[0])
            for size in SIZES:
                with self.subTest(size=size):
                    self.expect_echo(client, harness.random_bytes(size, size))
            self.expect_silence(client)
            expect_totals(server, datagrams_in=len(SIZES), datagrams_out=len(SIZES),
                          datagram_in=sum(SIZES), datagram_out=sum(SIZES))

    def test_every_size_over_ipv6(self):
        """The same over IPv6, which takes 20 bytes more."""
        self.need_ipv6()
        with Echod(listen="udp://[::1]:0") as server:
            client = self.client(server.addresses[0])
            for size in (*SIZES, LARGEST_V6 - 1, LARGEST_V6):
                with self.subTest(size=size):
                    self.expect_echo(client, harness.random_bytes(size, size))
            self.expect_silence(client)

    def test_a_name_and_a_port(self):
        """A name is looked up, and has an endpoint for each of its addresses."""
        with Echod(listen="udp://localhost:0", ready=1) as server:
            for match in server.log.find(harness.LISTENING_LINE):
                self.expect_echo(self.client(match.group(1)), b"by name")

    def test_tcp_and_udp_on_one_port(self):
        """A TCP and a UDP address may have the same port."""
        port = harness.free_port()
        with Echod(listen=[f"tcp://127.0.0.1:{port}", f"udp://127.0.0.1:{port}"]) as server:
            self.expect_echo(self.client(server.addresses[1]), b"udp")
            harness.round_trip(server.connect(0), b"tcp")

    def test_the_address_that_was_asked_answers(self):
        """A wildcard has many addresses; a connected socket takes answers from one alone."""
        with Echod(listen="udp://0.0.0.0:0") as server:
            for host in ("127.0.0.1", "127.0.0.2", "127.1.2.3"):
                with self.subTest(host=host):
                    client = self.client(with_host(server.addresses[0], host))
                    for count in (1, 1, 1, 30):
                        for i in range(count):
                            client.send(b"%d" % i)
                        self.assertEqual([client.recv(10) for _ in range(count)],
                                         [b"%d" % i for i in range(count)])

    def test_ipv6_wildcard(self):
        """[::] answers IPv6 alone, and 0.0.0.0 may have the same port."""
        self.need_ipv6()
        with Echod(listen="udp://[::]:0") as server:
            self.expect_echo(self.client(with_host(server.addresses[0], "[::1]")), b"six")
            with Echod(listen=with_host(server.addresses[0], "0.0.0.0")) as other:
                self.expect_echo(self.client(with_host(other.addresses[0], "127.0.0.1")), b"four")

    def test_one_socket_for_both_families(self):
        """Without v6only [::] answers both, each from the address that was asked."""
        self.need_ipv6()
        with Echod(listen="udp://[::]:0,v6only=off", ready=1) as server:
            address = server.log.find(harness.LISTENING_LINE)[0].group(1)
            for host in ("127.0.0.1", "[::1]", "127.0.0.2", "[::1]"):
                client = self.client(with_host(address, host))
                for size in (0, 1, 1400, 20000):
                    self.expect_echo(client, harness.random_bytes(size))

    def test_a_burst(self):
        """200 datagrams at once all come back, in order."""
        with Echod(listen=UDP) as server:
            client = self.client(server.addresses[0])
            for size in (0, 100, 1400):
                burst = [harness.random_bytes(size, i) for i in range(200)]
                for data in burst:
                    client.send(data)
                self.assertEqual([client.recv(2000) for _ in burst], burst)
            self.expect_silence(client)

    def test_bursts_of_many_clients(self):
        """Everybody gets back what is his, with one worker and with several."""
        for workers in ("1", "3"):
            with self.subTest(workers=workers), \
                    Echod("--workers", workers, listen=UDP) as server:
                clients = [self.client(server.addresses[0]) for _ in range(40)]
                for client in clients:
                    for i in range(10):
                        client.send(b"%d of %d" % (i, client.fileno()))
                for client in clients:
                    self.assertEqual([client.recv(100) for _ in range(10)],
                                     [b"%d of %d" % (i, client.fileno()) for i in range(10)])
                expect_totals(server, datagrams_in=400, datagrams_out=400)

    def test_a_train(self):
        """What is sent as a train comes back as its datagrams, the odd last one too."""
        with Echod(listen=UDP) as server:
            client = self.client(server.addresses[0])
            for segment, length in ((1000, 20017), (1400, 44 * 1400), (1, 60), (1200, 1200 * 2)):
                with self.subTest(segment=segment, length=length):
                    data = harness.random_bytes(length, segment)
                    try:
                        client.setsockopt(SOL_UDP, UDP_SEGMENT, segment)
                    except OSError as error:
                        self.skipTest(f"no trains here: {error}")
                    client.send(data)
                    echo = [client.recv(length) for _ in range(0, length, segment)]
                    self.assertEqual([len(piece) for piece in echo[:-1]],
                                     [segment] * (len(echo) - 1))
                    self.assert_echo(b"".join(echo), data)
            self.expect_silence(client)

    def test_echoprobe(self):
        """echoprobe finds nothing wrong: one by one, under load, and for the largest datagram."""
        with Echod("--workers", "2", listen=UDP) as server:
            for arguments in (("-c", "20", "-i", "0"), ("-c", "2000", "-P", "8", "--window", "8"),
                              ("-c", "5", "-i", "0", "-s", str(LARGEST_V4))):
                with self.subTest(arguments=arguments):
                    result = harness.probe("--json", *arguments, server.addresses[0])
                    self.assertEqual((result.status, result.errors), (0, ""), result.text)
                    figures = result.json()
                    self.assertEqual((figures["lost"], figures["received"]), (0, figures["sent"]))


class LimitTest(UdpTestCase):

    def test_low_ports(self):
        """What comes from a port below 1024 is dropped and counted, unless that is allowed."""
        for options, count in (("", 0), (",low-ports=allow", 1)):
            with self.subTest(options=options), Echod(listen=UDP + options, ready=1) as server:
                address = server.log.find(harness.LISTENING_LINE)[0].group(1)
                try:
                    client = self.client(address, ("127.0.0.1", 0))
                    low = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    self.addCleanup(low.close)
                    low.bind(("127.0.0.1", 997 - count))
                except PermissionError:
                    self.skipTest("low ports are root's here")
                low.sendto(b"from a service", ("127.0.0.1", harness.port_of(address)))
                expect_totals(server, datagrams_in=1, from_low_port=1 - count, datagrams_out=count)
                self.expect_echo(client, b"others are served")
                low.close()

    def test_a_rate(self):
        """A source gets its rate; one second's worth may come at once. Others have their own."""
        with Echod(listen="udp://0.0.0.0:0,rate=5/s", ready=1) as server:
            address = server.log.find(harness.LISTENING_LINE)[0].group(1)
            client = self.client(with_host(address, "127.0.0.1"))
            other = self.client(with_host(address, "127.0.0.1"), ("127.0.0.9", 0))
            for _ in range(100):
                client.send(b"flood")
            for _ in range(5):
                client.recv(10)
            self.expect_echo(other, b"not me")
            totals = wait_for_totals(
                server, lambda totals: totals["datagrams_out"] + totals["above_rate"] == 101,
                "all have come")
            self.assertLess(totals["datagrams_out"], 60)

    def test_what_the_kernel_dropped_is_counted(self):
        """While echod cannot read, a small receive buffer overflows: nobody else counts that."""
        with Echod(listen=UDP + ",udp-receive-buffer=8KiB", ready=1) as server:
            client = self.client(server.log.find(harness.LISTENING_LINE)[0].group(1))
            server.signal(signal.SIGSTOP)
            harness.wait_until(lambda: server.state() == "T", "echod stands")
            for _ in range(500):
                client.send(bytes(500))
            server.signal(signal.SIGCONT)
            totals = wait_for_totals(
                server, lambda totals: totals["datagrams_out"] + totals["overflowed"] == 500,
                "all are counted")
            self.assertGreater(totals["overflowed"], 0)
            self.assertEqual(totals["datagrams_in"], totals["datagrams_out"])

    def test_a_flood_leaves_tcp_alone(self):
        """Clients of TCP are served beside a flood of datagrams that never ends."""
        with Echod(listen=[UDP, "tcp://127.0.0.1:0"]) as server:
            udp, tcp = self.client(server.addresses[0]), server.connect(1)
            udp.setblocking(False)
            is_over = False

            def flood():
                while not is_over:
                    with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                        udp.send(bytes(1400))

            floods = [harness.Background(flood) for _ in range(2)]
            try:
                self.wait_for_total(server, "datagrams_in", 100)
                for i in range(200):
                    harness.round_trip(tcp, b"%d" % i)
            finally:
                is_over = True
            for one in floods:
                one.result()


class EndTest(UdpTestCase):

    def test_a_drain_answers_what_has_arrived(self):
        """What waited when TERM came is answered before echod ends."""
        with Echod(listen=UDP) as server:
            client = self.client(server.addresses[0])
            server.signal(signal.SIGSTOP)
            harness.wait_until(lambda: server.state() == "T", "echod stands")
            for i in range(150):
                client.send(b"%d" % i)
            os.kill(server.pid, signal.SIGTERM)
            os.kill(server.pid, signal.SIGCONT)
            self.assertEqual([client.recv(10) for _ in range(150)],
                             [b"%d" % i for i in range(150)])
            server.wait_for_exit(harness.STATUS_STOPPED)
            server.log.wait_for_end()
            totals = parse_totals(server.log.find("totals:")[-1].string)
            self.assertEqual(totals["datagrams_out"], 150)

    def test_a_reload_keeps_sockets(self):
        """What waits at a socket that stays is not lost; others come and leave."""
        path = f"{self.temporary_directory()}/echod.conf"
        stays, leaves, comes = (harness.free_port(socket.SOCK_DGRAM) for _ in range(3))

        def configure(*ports):
            with open(path, "w", encoding="ascii") as file:
                for port in ports:
                    file.write(f"listen udp://127.0.0.1:{port}\n")

        configure(stays, leaves)
        with Echod("--workers", "2", listen=None, ready=2, config=path) as server:
            clients = [self.client(f"udp://127.0.0.1:{stays}") for _ in range(20)]
            leaving = self.client(f"udp://127.0.0.1:{leaves}")
            self.expect_echo(leaving, b"still there")
            configure(stays, comes)
            server.signal(signal.SIGSTOP)
            harness.wait_until(lambda: server.state() == "T", "echod stands")
            for client in (*clients, leaving):
                client.send(b"waits")
            os.kill(server.pid, signal.SIGHUP)
            os.kill(server.pid, signal.SIGCONT)
            for client in (*clients, leaving):
                self.assertEqual(client.recv(10), b"waits")
            server.log.wait_for(f"listening on udp://127.0.0.1:{comes}")
            self.expect_echo(self.client(f"udp://127.0.0.1:{comes}"), b"new")
            self.expect_echo(clients[0], b"old")

            def is_gone():
                with contextlib.suppress(ConnectionRefusedError):
                    leaving.send(b"gone?")
                    leaving.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        leaving.recv(10)
                    return False
                return True

            harness.wait_until(is_gone, "nobody has the port")


    def test_a_reload_changes_options(self):
        """A rate that comes with a reload holds for the socket that is there."""
        self.need_program("ss")
        path = f"{self.temporary_directory()}/echod.conf"
        port = harness.free_port(socket.SOCK_DGRAM)

        def configure(options):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"listen udp://127.0.0.1:{port}{options}\n")

        configure("")
        with Echod(listen=None, ready=1, config=path) as server:
            client = self.client(f"udp://127.0.0.1:{port}")
            for i in range(20):
                self.expect_echo(client, b"%d" % i)
            configure(",rate=2/s")
            server.signal(signal.SIGHUP)
            server.log.wait_for("HUP: the configuration of .* is in effect")

            def is_limited():
                client.send(b"again")
                return totals_of(server)["above_rate"] > 0

            harness.wait_until(is_limited, "the rate holds")
            before = receive_buffer_of(port)
            configure(",udp-receive-buffer=64KiB")
            server.signal(signal.SIGHUP)
            harness.wait_until(lambda: receive_buffer_of(port) != before,
                               "the buffer has another size")
            self.expect_echo(client_of(f"udp://127.0.0.1:{port}"), b"no rate any more")

    def test_a_reload_changes_the_name(self):
        """What comes from then on is counted, and named in the log, by the new name."""
        path = f"{self.temporary_directory()}/echod.conf"
        port = harness.free_port(socket.SOCK_DGRAM)

        def configure(name):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"listen udp://127.0.0.1:{port},name={name}\n")

        def counted(server, name):
            since = len(server.log.lines)
            server.signal(signal.SIGUSR1)
            line = server.log.wait_for(f"listener {name}: ", since=since).string
            return parse_totals(line)["datagrams_in"]

        configure("before")
        with Echod(listen=None, ready=1, config=path) as server:
            client = self.client(f"udp://127.0.0.1:{port}")
            self.expect_echo(client, b"one")
            configure("after")
            server.signal(signal.SIGHUP)
            server.log.wait_for("HUP: the configuration of .* is in effect")
            for data in (b"two", b"three"):
                self.expect_echo(client, data)
            harness.wait_until(lambda: counted(server, "after") == 2, "two are counted there")
            self.assertEqual(counted(server, "before"), 1)


class PeerTest(UdpTestCase):

    def test_a_peer_that_has_gone_harms_no_other(self):
        """The answer to a closed port comes back as an error: nobody hears of it, and no log."""
        with Echod(listen=UDP) as server:
            client = self.client(server.addresses[0])
            for i in range(50):
                with client_of(server.addresses[0]) as gone:
                    gone.send(b"and away")
                self.expect_echo(client, b"%d" % i)
            self.assertLessEqual(len(server.log.find("warning")), 2)

    def run_client(self, command, data=b""):
        return subprocess.run(command, input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False,
                              timeout=harness.PATIENCE_SECONDS)

    def test_nping(self):
        """nping --udp gets each answer; unless it is told not to, it asks from port 53."""
        nping = self.need_program("nping")
        with Echod(listen=UDP) as server:
            port = harness.port_of(server.addresses[0])
            self.run_client([nping, "--udp", "-c", "3", "--rate", "20", "-p", str(port),
                             "-g", "40053", "--data-length", "100", "127.0.0.1"])
            self.wait_for_total(server, "datagrams_out", 3)

    def test_hping3(self):
        """hping3 -2 comes from ports that it chooses."""
        hping = self.need_program("hping3", "/usr/sbin")
        with Echod(listen=UDP) as server:
            port = harness.port_of(server.addresses[0])
            result = self.run_client([hping, "-2", "-c", "5", "-i", "u20000", "-s", "40000",
                                      "-p", str(port), "-d", "64", "127.0.0.1"])
            if b"Operation not permitted" in result.stdout:
                self.skipTest("raw sockets are root's here")
            self.wait_for_total(server, "datagrams_out")  # others' packets end it early

    def test_nc(self):
        """nc -u shows what it sent."""
        nc = self.need_program("nc")
        with Echod(listen=UDP) as server:
            port = harness.port_of(server.addresses[0])
            result = self.run_client([nc, "-u", "-w", "1", "127.0.0.1", str(port)], b"by nc\n")
            self.assertIn(b"by nc", result.stdout)

    def test_socat(self):
        """socat shows what it sent."""
        socat = self.need_program("socat")
        with Echod(listen=UDP) as server:
            port = harness.port_of(server.addresses[0])
            result = self.run_client([socat, "-t", "1", "-", f"UDP:127.0.0.1:{port}"], b"by socat")
            self.assertEqual(result.stdout, b"by socat")


if __name__ == "__main__":
    harness.main()
