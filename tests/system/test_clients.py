"""
test_clients: no client harms another one, and none costs more memory than it may.
Many clients at once; that one client gets its bytes back is in test_echo.
Run by `run`, by automake, or alone.
"""

import signal
import socket
import subprocess
import sys

import harness
from harness import KIB, MIB, Echod, Heartbeat, Stream

TCP_REPAIR = 19  # linux/tcp.h; a socket in this mode closes without a word to the other side


def queued_bytes(connection):
    """How much of its echo a reported connection has not sent yet."""
    return connection.bytes_in - connection.bytes_out


class DisturbanceTest(harness.TestCase):

    def test_a_thousand_resets_disturb_nobody(self):
        """Clients that reset, with and without unread echo, do not touch the echo of another."""
        with Echod() as server:
            heartbeat = Heartbeat(server.connect())
            stream = Stream(server.connect())
            for number in range(1000):
                client = server.connect()
                if number % 3 == 1:
                    client.sendall(b"echo that nobody reads")
                if number % 3 == 2:
                    harness.round_trip(client)
                harness.reset(client)
            heartbeat.wait_for_beats(10)
            heartbeat.stop()
            stream.finish()
            totals = server.stop()
            self.assertEqual((totals.accepted, totals.open), (1002, 0))
            self.assertEqual(len(server.log.find("closed: reset by client")), 1000)
            self.assertEqual(len(server.log.find(r"totals: ended: .*reset_by_client=1000\b")), 1)

    def test_a_killed_client_disturbs_nobody(self):
        """A client that is killed while its echo is under way ends alone."""
        flood = ("import socket, sys\n"
                 "client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
                 "while True: client.send(bytes(65536))\n")
        with Echod() as server:
            heartbeat = Heartbeat(server.connect())
            port = str(harness.port_of(server.addresses[0]))
            with harness.Process([sys.executable, "-c", flood, port],
                                 stderr=subprocess.DEVNULL) as client:
                harness.wait_until(lambda: server.report()[0].bytes_in > MIB, "a flood")
                client.signal(signal.SIGKILL)
                client.wait_for_exit(-signal.SIGKILL)
            server.wait_for_closed("reset by client")
            heartbeat.wait_for_beats(10)
            heartbeat.stop()

    def test_a_vanished_client_is_given_up(self):
        """A client that disappears without FIN or RST is ended by the idle time-out."""
        with socket.socket() as probe:
            try:
                probe.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            except OSError as error:
                self.skipTest(f"cannot make a client vanish: {error}")
        with Echod("--idle-timeout", harness.scaled_ms(300)) as server:
            client = server.connect()
            harness.round_trip(client)
            client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            client.close()
            server.wait_for_closed("idle timeout")

    def test_urgent_data_disturbs_nobody(self):
        """Out-of-band bytes leave the echo of others, and of their sender, alive."""
        with Echod() as server:
            heartbeat = Heartbeat(server.connect())
            client = server.connect()
            for _ in range(100):
                client.send(b"!", socket.MSG_OOB)
            harness.reset(client)
            heartbeat.wait_for_beats(10)
            heartbeat.stop()

    def test_two_thousand_short_connections_leave_nothing_behind(self):
        """Connections that come and go return their descriptors and their memory."""
        with Echod() as server:
            memory = []
            for _ in range(2):
                for _ in range(1000):
                    with harness.connect(server.addresses[0]) as client:
                        harness.round_trip(client)
                server.expect_idle_descriptors()
                memory.append(server.resident_bytes())
            if not harness.SANITIZED:
                self.assertLess(memory[1] - memory[0], 256 * KIB)


class MemoryTest(harness.TestCase):

    HIGH_WATER = 256 * KIB  # the default
    LOW_WATER = 64 * KIB    # the default; between the two the kernel may have taken some more
    READ_AHEAD = 64 * KIB   # what may lie above the high mark

    @staticmethod
    def start(*arguments, **options):
        """An echod that gives no client up, however long this machine takes to fill it."""
        return Echod("--write-timeout", "0", *arguments, **options)

    def test_clients_that_never_read_stay_below_their_bound(self):
        """Memory of a client that only writes stays below high water and 64 KiB."""
        count = 40
        with self.start("--no-shortcuts") as server:
            harness.round_trip(server.connect())
            before = server.resident_bytes()
            clients = [server.connect() for _ in range(count)]
            sent = harness.fill(clients)

            def queued_at_bounds():
                """Fill more where a busy machine let a pause look like a bound."""
                queued = sorted(queued_bytes(one) for one in server.report()[1])
                if queued[-count] > self.LOW_WATER and min(sent) > self.HIGH_WATER:
                    return queued
                sent[:] = map(sum, zip(sent, harness.fill(clients)))
                return None

            queued = harness.wait_until(queued_at_bounds, "each is paused at its bound")
            used = server.resident_bytes() - before
            self.assertLess(max(queued), self.HIGH_WATER + self.READ_AHEAD)
            if not harness.SANITIZED:
                self.assertLess(used, count * (self.HIGH_WATER + self.READ_AHEAD))
            harness.round_trip(server.connect(), b"others are served")

    def test_the_shortcut_keeps_the_same_bounds(self):
        """By the shortcut, a client that never reads has at most high water queued, all at most
        --max-queued, and little more."""
        count = 40
        for options, bound in ((), count * self.HIGH_WATER), (("--max-queued", "1MiB"), MIB):
            with self.subTest(options=options), self.start(*options) as server:
                harness.round_trip(server.connect())
                before = server.resident_bytes()
                harness.fill([server.connect() for _ in range(count)])
                used = server.resident_bytes() - before
                _, connections = server.report()
                queued = [queued_bytes(connection) for connection in connections]
                self.assertLessEqual(max(queued), self.HIGH_WATER + 4 * KIB)
                self.assertLessEqual(sum(queued), bound + count * 4 * KIB)
                if not harness.SANITIZED:
                    self.assertLess(used, bound + count * self.READ_AHEAD)
                harness.round_trip(server.connect(), b"others are served")

    def test_one_byte_writes_held_unread_cost_at_most_four_times_their_size(self):
        """Small messages that wait do not each hold a whole piece of memory."""
        address = f"unix://{self.temporary_directory()}/echod.sock"
        with self.start("--no-shortcuts", "--high-water", "1MiB", listen=address) as server:
            # A Unix socket takes few small messages before the rest must wait inside echod, and
            # sending in turns makes echod read them one by one.
            clients = [server.connect() for _ in range(100)]
            for client in clients:
                harness.round_trip(client)
            before = server.resident_bytes()
            for _ in range(5000):
                for client in clients:
                    client.send(b"x")
            queued = harness.wait_until(lambda: self.queued_when_all_is_read(server, 100 * 5004),
                                        "echod reads everything")
            used = server.resident_bytes() - before
            self.assertGreater(queued, 250000, "most of it waits in echod")
            if not harness.SANITIZED:
                self.assertLess(used, 4 * queued)

    def queued_when_all_is_read(self, server, byte_count):
        """The bytes that wait inside echod once it has read so many, 0 before."""
        totals, connections = server.report()
        if totals.bytes_in < byte_count:
            return 0
        return sum(map(queued_bytes, connections))

    def test_max_queued_bounds_all_clients_together(self):
        """While --max-queued waits for all clients, nobody whose echo waits is read."""
        bound = MIB
        count = 40
        with self.start("--no-shortcuts", "--max-queued", str(bound)) as server:
            harness.round_trip(server.connect())
            before = server.resident_bytes()
            clients = [server.connect() for _ in range(count)]
            harness.fill(clients)
            used = server.resident_bytes() - before

            _, connections = server.report()
            queued = sum(map(queued_bytes, connections))
            self.assertGreaterEqual(queued, bound, "the bound is reached")
            self.assertLess(queued, bound + count * self.READ_AHEAD)
            if not harness.SANITIZED:
                self.assertLess(used, bound + count * self.READ_AHEAD)
            harness.round_trip(server.connect(), b"who reads is served")
            for client in clients:
                harness.reset(client)
            stream = Stream(server.connect())
            harness.wait_until(lambda: stream.received > MIB, "the echo goes on")
            stream.finish()


if __name__ == "__main__":
    harness.main()
