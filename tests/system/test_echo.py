"""
test_echo: every byte comes back, in order, once, however it was sent and is read.
One client at a time; how clients bear each other is in test_clients.
Run by `run`, by automake, or alone.
"""

import os
import socket
import time

import harness
from harness import KIB, MIB, Background, Echod, Pattern

LARGE_BYTES = int(
    os.environ.get("ECHOD_TEST_LARGE_BYTES") or (64 * MIB if harness.SANITIZED else 1024 * MIB)
)


class EchoTest(harness.TestCase):

    def expect_closed(self, server, byte_count):
        """Check what the log says about a connection that got everything back."""
        closed = server.wait_for_closed()
        self.assertEqual(closed.reason, "client closed")
        self.assertEqual((closed.bytes_in, closed.bytes_out), (byte_count, byte_count))

    def test_sizes_around_one_read_come_back(self):
        """A message comes back whole whether it fills one read, a little less or a little more."""
        with Echod() as server:
            client = server.connect()
            for size in (1, 2, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537):
                with self.subTest(size=size):
                    data = harness.random_bytes(size, seed=size)
                    client.sendall(data)
                    self.assert_echo(harness.receive_exactly(client, size), data)

    def test_half_close_after_each_size(self):
        """A client that says FIN with its last byte gets all bytes and then our FIN."""
        for size in (0, 1, 4095, 4096, 4097, MIB):
            with self.subTest(size=size), Echod() as server:
                data = harness.random_bytes(size, seed=size)
                self.assert_echo(harness.finish(server.connect(), data), data)
                self.expect_closed(server, size)

    def test_half_close_of_30_mb_and_a_pause_of_2_s(self):
        """A client that says FIN behind 30 MB and only then begins to read loses nothing."""
        data = harness.random_bytes(30 * 1000 * 1000)
        with Echod() as server:
            client = server.connect()

            def send_and_shut():
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)

            sender = Background(send_and_shut)
            time.sleep(2)  # the pause is what is tested
            self.assert_echo(harness.receive_all(client), data)
            sender.result()
            self.expect_closed(server, len(data))

    def test_half_close_while_all_of_the_echo_waits(self):
        """FIN that echod reads while 30 MB of output are queued does not cut them off."""
        data = harness.random_bytes(30 * 1000 * 1000)
        with Echod("--no-shortcuts", "--high-water", "64MiB") as server:
            client = server.connect()
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            harness.wait_until(lambda: server.report()[1][0].state == "draining", "FIN is read")
            self.assert_echo(harness.receive_all(client), data)
            self.expect_closed(server, len(data))

    def test_a_large_stream_comes_back(self):
        """A gibibyte (ECHOD_TEST_LARGE_BYTES) comes back, every byte in its place."""
        pattern = Pattern()
        with Echod() as server:
            client = server.connect()

            def send():
                for position in range(0, LARGE_BYTES, MIB):
                    client.sendall(pattern.piece(position, min(MIB, LARGE_BYTES - position)))
                client.shutdown(socket.SHUT_WR)

            sender = Background(send)
            received = 0
            while piece := client.recv(MIB):
                self.assertTrue(piece == pattern.piece(received, len(piece)),
                                f"a wrong echo after {received} bytes")
                received += len(piece)
            sender.result()
            self.assertEqual(received, LARGE_BYTES)
            self.expect_closed(server, LARGE_BYTES)

    def test_one_byte_writes(self):
        """Bytes that are sent one at a time come back in order."""
        data = harness.random_bytes(10000)
        with Echod() as server:
            client = server.connect()

            def send():
                for byte in data:
                    client.send(bytes([byte]))
                client.shutdown(socket.SHUT_WR)

            sender = Background(send)
            self.assert_echo(harness.receive_all(client), data)
            sender.result()
            self.expect_closed(server, len(data))

    def test_a_thousand_round_trips(self):
        """Each message comes back before the next one is sent: nothing waits for more input."""
        with Echod() as server:
            client = server.connect()
            for number in range(1000):
                harness.round_trip(client, b"message %d\n" % number)

    def test_slow_reader(self):
        """A client that reads a little at a time through a small window gets everything."""
        data = harness.random_bytes(8 * MIB)
        with Echod() as server:
            client = server.connect(receive_buffer=8 * KIB)
            sender = Background(client.sendall, data)
            pieces = []
            received = 0
            while received < len(data):
                piece = client.recv(4 * KIB)
                self.assertTrue(piece, "FIN came before the end")
                pieces.append(piece)
                received += len(piece)
                time.sleep(0.0005)  # slow is what is tested
            sender.result()
            self.assert_echo(b"".join(pieces), data)
            self.assert_echo(harness.finish(client), b"")

    def test_reading_stops_and_goes_on_at_small_marks(self):
        """With marks of a few bytes echod stops and goes on all the time, and loses nothing."""
        data = harness.random_bytes(4 * MIB)
        with Echod("--high-water", "1KiB", "--low-water", "1B") as server:
            client = server.connect(receive_buffer=8 * KIB, send_buffer=8 * KIB)
            self.assert_echo(harness.finish(client, data), data)
            self.expect_closed(server, len(data))


if __name__ == "__main__":
    harness.main()
