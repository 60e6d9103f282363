"""
test_rate_limits: bytes are echoed no faster than limits say, over every kind of stream; nothing is lost.
How fast, and who has which turn, is in check_byte_rate: of time only what cannot be too little is looked at.
TLS is in test_tls.
Run by `run`, by automake, or alone.
"""

import re
import signal
import time

import harness
from harness import KIB, MIB, Echod, LOOPBACK

RATE = 100 * KIB
BURST = RATE // 10
SIZE = 40 * KIB
PROXY_V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"


def counters(server):
    """What the server has counted, by name."""
    server.report()
    line, = [line for line in server.log.lines if " totals: open" in line][-1:]
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)}


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class RateTest(harness.TestCase):

    def assert_limited(self, since, size, rate=RATE):
        """So much was echoed since then, in one or several connections."""
        elapsed = time.monotonic() - since
        self.assertLessEqual(size, rate * elapsed + rate // 10)

    def exchange(self, clients, header=b""):
        """Send over each, and get all of it back, with its end."""
        data = harness.random_bytes(SIZE)
        since = time.monotonic()
        senders = [harness.Background(client.sendall, header + data) for client in clients]
        for client in clients:
            self.assert_echo(harness.receive_exactly(client, SIZE), data)
        for sender in senders:
            sender.result()
        self.assert_limited(since, SIZE)
        return since

    def test_each_kind_of_stream(self):
        """Plain, over a Unix socket, behind a proxy, misbehaving: each at its rate."""
        path = f"{self.temporary_directory()}/echod.sock"
        with Echod("--rate-limit", f"{RATE}/s", "--idle-timeout", "1h", "-w", "2", listen=(
                LOOPBACK, f"unix://{path}", f"{LOOPBACK},proxy=v1", f"{LOOPBACK},chunk=5000",
                f"{LOOPBACK},rate-limit=0")) as server:
            for index, header in ((0, b""), (1, b""), (2, PROXY_V1), (3, b"")):
                client = server.connect(index)
                self.exchange([client], header)
                self.assertEqual(harness.finish(client, b"end"), b"end")
            with server.connect(4) as client:
                self.assertEqual(harness.finish(client, bytes(4 * MIB)), bytes(4 * MIB))
            counts = counters(server)
            self.assertEqual((counts["held_back"], counts["in"]), (4, 4 * (SIZE + 3) + 4 * MIB))
            self.assertEqual(counts["in"], counts["out"])

    def test_shared_rates(self):
        """A listener's clients share its rate, all share that of the process, and a line tells so."""
        with Echod("-w", "2", "--rate-limit-total", f"{RATE}/s", listen=(
                f"{LOOPBACK},name=one,rate-limit-total={RATE}/s", f"{LOOPBACK},name=two")) as server:
            clients = [server.connect(index) for index in (0, 0, 1)]
            since = self.exchange(clients)
            self.assert_limited(since, 3 * SIZE)
            server.log.wait_for("warning: clients of (one|two) are held back: together they send "
                                "more than rate-limit-total lets pass")
            self.assertEqual(counters(server)["held_back"], 3)

    def test_a_drain_waits_for_no_bucket(self):
        """What was not read when the drain is over is not waited for."""
        with Echod("--rate-limit", "1/s", "--drain-timeout", "200ms",
                   "--linger-timeout", "200ms") as server:
            client = server.connect()
            client.sendall(bytes(100))
            self.assertEqual(harness.receive_exactly(client, 1), bytes(1))
            server.signal(signal.SIGTERM)
            self.assertLess(len(harness.receive_all(client)), 100)
            client.close()
            server.wait_for_exit(0)
            server.log.wait_for("closed: drained")

    def test_a_reload_changes_the_limits(self):
        """Those that come have the new limit of each; what is shared changes for all that had one."""
        path = self.temporary_directory() + "/echod.conf"
        write(path, f"listen {LOOPBACK},rate-limit-total=1/s\n")
        with Echod(config=path, listen=None) as server:
            client = server.connect()
            client.sendall(bytes(SIZE))
            self.assertEqual(harness.receive_exactly(client, 1), bytes(1))
            write(path, f"listen {LOOPBACK},rate-limit={RATE}/s\n")
            server.signal(signal.SIGHUP)
            self.assertEqual(harness.receive_exactly(client, SIZE - 1), bytes(SIZE - 1))
            server.log.wait_for("is in effect")
            self.exchange([server.connect()])

    def test_parts_of_seconds_add_up_over_reloads(self):
        """Three clients are held back for 0.6 s each, with a reload behind each."""
        path = self.temporary_directory() + "/echod.conf"
        write(path, f"listen {LOOPBACK},rate-limit=100/s\n")
        with Echod(config=path, listen=None) as server:
            for _ in range(3):
                with server.connect() as client:
                    self.assertEqual(harness.finish(client, bytes(70)), bytes(70))
                since = len(server.log.lines)
                server.signal(signal.SIGHUP)
                server.log.wait_for("is in effect", since=since)
            self.assertGreaterEqual(counters(server)["held_back_s"], 1)

    def test_datagrams_have_another_rate(self):
        """A limit that cannot be kept is refused, with the option that there is."""
        for arguments, sentence in (
                (("--listen", "udp://127.0.0.1:0,rate-limit=1/s"),
                 r'"rate-limit" is no option of udp://; these are: .* rate, '),
                (("--rate-limit", "9GiB/s"), r"at most 8GiB/s, or 0; write for example 1MiB/s")):
            result = harness.run_echod(*arguments)
            self.assertEqual(result.returncode, harness.STATUS_USAGE)
            self.assertRegex(result.stderr, sentence)


if __name__ == "__main__":
    harness.main()
