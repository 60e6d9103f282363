"""
test_pause: a process that was stopped, as in a frozen container, loses nothing that came meanwhile.
Which deadlines there are is in test_limits.
Run by `run`, by automake, or alone.
"""

import os
import signal
import time

import harness
from harness import Echod, scaled_ms

CLIENTS = 100  # more than epoll tells of in one turn of the loop
TIMEOUT_MS = 2000


class PauseTest(harness.TestCase):

    def stop(self, server):
        """Stop the process, and wait until it has."""
        os.kill(server.pid, signal.SIGSTOP)
        harness.wait_until(lambda: server.state() == "T", "echod is stopped")

    def resume(self, server):
        """Let it go on when its time-out is over."""
        time.sleep(1.2 * TIMEOUT_MS / 1000 * harness.SLOWNESS)
        os.kill(server.pid, signal.SIGCONT)

    def pause_while_clients_send(self, server, clients):
        """Stop the process for longer than its time-out, and send meanwhile."""
        self.stop(server)
        for client in clients:
            client.sendall(b"meanwhile")
        self.resume(server)
        for client in clients:
            self.assertEqual(harness.receive_exactly(client, 9), b"meanwhile")

    def test_who_sent_meanwhile_is_not_idle(self):
        """Bytes that wait in the kernel count, though the time-out was over before they were read."""
        for options in ((), ("--no-shortcuts",)):
            with self.subTest(options), \
                    Echod("--idle-timeout", scaled_ms(TIMEOUT_MS), *options) as server:
                clients = [server.connect() for _ in range(CLIENTS)]
                for client in clients:
                    harness.round_trip(client)
                self.pause_while_clients_send(server, clients)
                server.close_clients()
                closed = server.wait_for_closed("client closed", count=CLIENTS)
                self.assertEqual({line.bytes_in for line in closed}, {13})

    def test_a_header_that_came_meanwhile_counts(self):
        """Of the PROXY protocol; the first half came before, and the deadline is over."""
        short = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
        large = b"\r\n\r\n\0\r\nQUIT\n\x20\0" + (3000).to_bytes(2, "big") + bytes(3000)
        for header in (short, large):
            with self.subTest(size=len(header)), \
                    Echod("--handshake-timeout", scaled_ms(TIMEOUT_MS),
                          listen=f"{harness.LOOPBACK},proxy=any") as server:
                clients = [server.connect() for _ in range(CLIENTS)]
                for client in clients:
                    client.sendall(header[:20])
                harness.wait_until(lambda server=server: server.report()[0].open == CLIENTS,
                                   "all are accepted")
                self.stop(server)
                for client in clients:
                    client.sendall(header[20:] + b"meanwhile")
                self.resume(server)
                for client in clients:
                    self.assertEqual(harness.receive_exactly(client, 9), b"meanwhile")

    def test_who_was_silent_is_still_idle(self):
        """A pause is no reprieve for a client that sent nothing."""
        with Echod("--idle-timeout", scaled_ms(TIMEOUT_MS)) as server:
            harness.round_trip(server.connect())
            self.stop(server)
            self.resume(server)
            server.wait_for_closed("idle timeout")

    def test_the_end_of_a_lifetime_echoes_what_waits(self):
        """What was sent before a connection's lifetime ended it comes back, and then FIN."""
        for options in ((), ("--no-shortcuts",)):
            with self.subTest(options), \
                    Echod("--lifetime", scaled_ms(TIMEOUT_MS), *options) as server:
                clients = [server.connect() for _ in range(CLIENTS)]
                for client in clients:
                    harness.round_trip(client)
                self.pause_while_clients_send(server, clients)
                for client in clients:
                    self.assertEqual(client.recv(1), b"")
                server.close_clients()
                server.wait_for_closed("lifetime over", count=CLIENTS)

    def test_the_end_of_a_drain_echoes_what_waits(self):
        """The same when the time of a drain is over while the process is stopped."""
        with Echod("--drain-timeout", scaled_ms(TIMEOUT_MS)) as server:
            clients = [server.connect() for _ in range(CLIENTS)]
            for client in clients:
                harness.round_trip(client)
            server.signal(signal.SIGTERM)
            server.log.wait_for("draining")
            self.pause_while_clients_send(server, clients)
            for client in clients:
                self.assertEqual(client.recv(1), b"")
            server.close_clients()
            server.wait_for_exit(0)

    def test_a_client_that_read_meanwhile_has_not_stalled(self):
        """The write time-out sees what the client took out of the kernel during the pause."""
        with Echod("--write-timeout", scaled_ms(TIMEOUT_MS)) as server:
            client = server.connect()
            sent, = harness.fill([client])
            self.stop(server)
            received = len(harness.receive_what_waits(client))
            self.resume(server)
            received += len(harness.finish(client))
            self.assertEqual(received, sent)
            server.wait_for_closed("client closed")


if __name__ == "__main__":
    harness.main()
