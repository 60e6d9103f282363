"""
test_load: the generator notices every way in which an echo can be wrong.
Needs no echod: the servers here are wrong on purpose.
Run by `make bench-check`.
"""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

import rig

LOAD = os.environ.get("BENCH_LOAD", "bench/load")
GOOD, WRONG_BYTES, LOST, STALLED, NOT_RESUMED = 0, 1, 2, 3, 5


class Server:
    """Echoes on a port of 127.0.0.1 what `twist` makes of the bytes; a thread for each client."""

    def __init__(self, twist):
        self.twist = twist
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[client], daemon=True).start()

    def serve(self, client):
        received = 0
        try:
            while bytes_in := client.recv(65536):
                client.sendall(self.twist(bytes_in, received))
                received += len(bytes_in)
        except OSError:
            pass
        client.close()

    def close(self):
        self.listener.close()


class TlsServer(Server):
    """The same over TLS. Answers close_notify, unless it is `rude`."""

    def __init__(self, twist, certificate, has_tickets=True, is_rude=False):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.context.num_tickets = 2 if has_tickets else 0
        self.is_rude = is_rude
        super().__init__(twist)

    def serve(self, client):
        with contextlib.suppress(OSError), \
                self.context.wrap_socket(client, server_side=True) as stream:
            super().serve(stream if self.is_rude else Polite(stream))


class Polite:
    """A stream whose close ends TLS first."""

    def __init__(self, stream):
        self.recv, self.sendall = stream.recv, stream.sendall
        self.close = lambda: stream.unwrap().close()


class DatagramServer:
    """Answers each datagram with the list that `twist` makes of it and its number."""

    def __init__(self, twist):
        self.twist = twist
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(60)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        count = 0
        while True:
            datagram, client = self.socket.recvfrom(65536)
            if datagram == b"":
                return
            for answer in self.twist(datagram, count):
                self.socket.sendto(answer, client)
            count += 1

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


def flip_byte_1000(piece, offset):
    twisted = bytearray(piece)
    if offset <= 1000 < offset + len(piece):
        twisted[1000 - offset] ^= 1
    return bytes(twisted)


def end_after_1000(piece, offset):
    if offset > 1000:
        raise OSError
    return piece


class Swapped:
    """Gives each client what another one sent."""

    def __init__(self):
        self.meeting = threading.Barrier(2, timeout=5)
        self.pieces = []

    def __call__(self, piece, offset):
        self.pieces.append(piece)
        self.meeting.wait()
        return self.pieces[0] if self.pieces[1] is piece else self.pieces[1]


class TestLoad(unittest.TestCase):
    def load(self, twist, *arguments):
        server = Server(twist)
        self.addCleanup(server.close)
        return subprocess.run(
            [LOAD, "--port", str(server.port), "--seconds", "0.2", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)

    def expect(self, status, twist, *arguments):
        done = self.load(twist, *arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stderr == "", status == GOOD)
        return done.stdout

    def test_a_right_echo_is_counted(self):
        for arguments in ["--connections 5", "--size 100000 --in-flight 3", "--work churn",
                          "--size 1 --in-flight 1000", "--warm-up 0.1 --size 65537"]:
            with self.subTest(arguments):
                marks = self.expect(GOOD, lambda piece, _: piece, *arguments.split()).splitlines()
                self.assertEqual(marks[:2], ["begin", "end"])
                result = json.loads(marks[2])
                self.assertGreater(result["messages"], 0)
                self.assertEqual(result["starved"], 0)
                self.assertLessEqual(result["p50_us"], result["p99_us"] * 1.01)

    def test_a_count_ends_it(self):
        output = self.expect(GOOD, lambda piece, _: piece, "--count", "10", "--seconds", "20")
        self.assertEqual(json.loads(output.splitlines()[2])["messages"], 10)

    def test_idle_connections_are_held_until_the_input_ends(self):
        self.assertEqual(self.expect(GOOD, lambda piece, _: piece, "--work", "idle",
                                     "--connections", "50"), "held\n")

    def test_one_flipped_bit_is_noticed(self):
        self.expect(WRONG_BYTES, flip_byte_1000)
        self.expect(WRONG_BYTES, flip_byte_1000, "--size", "1048576")

    def test_a_lost_piece_is_noticed(self):
        for size in ["64", "4096", "65536"]:
            lost = int(size)
            self.expect(WRONG_BYTES, lambda piece, offset, lost=lost:
                        piece[lost:] if offset == 0 else piece, "--size", size, "--in-flight", "40")

    def test_a_piece_sent_twice_is_noticed(self):
        self.expect(WRONG_BYTES, lambda piece, offset: piece + piece if offset == 0 else piece,
                    "--in-flight", "40")

    def test_bytes_nobody_sent_yet_are_noticed(self):
        self.expect(WRONG_BYTES, lambda piece, _: piece + b"x")

    def test_bytes_of_another_connection_are_noticed(self):
        self.expect(WRONG_BYTES, Swapped(), "--connections", "2")

    def test_wrong_bytes_are_noticed_in_every_work(self):
        for work in ["churn", "idle"]:
            self.expect(WRONG_BYTES, lambda piece, _: b"?" * len(piece), "--work", work)

    def test_an_early_end_is_noticed(self):
        self.expect(LOST, end_after_1000)
        self.expect(LOST, lambda piece, _: end_after_1000(piece, 2000), "--work", "churn")
        self.expect(LOST, lambda piece, _: end_after_1000(piece, 2000), "--work", "idle")

    def test_silence_is_noticed(self):
        self.expect(STALLED, lambda piece, offset: piece if offset < 1000 else b"")


class AdminServer(Server):
    """Answers each request with what `twist` makes of a body."""

    def serve(self, client):
        requests = client.makefile("rb")
        with contextlib.suppress(OSError):
            while b"".join(iter(requests.readline, b"\r\n")).startswith(b"GET /metrics "):
                client.sendall(self.twist(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n"
                                          + b"x" * 70000))
        client.close()


class TestScrapes(unittest.TestCase):
    def expect(self, status, twist, *arguments):
        """Load a server; return what was printed, as JSON if all was well."""
        server = AdminServer(twist)
        self.addCleanup(server.close)
        done = subprocess.run(
            [LOAD, "--port", str(server.port), "--seconds", "0.5", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stderr == "", status == GOOD)
        return json.loads(done.stdout.splitlines()[-1]) if status == GOOD else None

    def test_answers_are_counted_at_the_rate(self):
        result = self.expect(GOOD, lambda answer: answer, "--work", "scrapes", "--rate", "50",
                             "--connections", "3")
        self.assertGreater(result["messages"], 0)
        self.assertLess(result["messages"], 50 * result["seconds"] + 3)
        self.assertGreater(result["bytes"], 70000 * result["messages"])

    def test_wrong_answers_are_noticed(self):
        for twist in [lambda answer: answer + b"x", lambda answer: answer.replace(b"200", b"503"),
                      lambda answer: b"x" + answer]:
            self.expect(WRONG_BYTES, twist, "--work", "scrapes")

    def test_an_early_end_is_noticed(self):
        def end(_):
            raise OSError
        self.expect(LOST, end, "--work", "scrapes")

    def test_who_never_reads_fills_what_there_is_and_comes_again(self):
        sent = []
        self.expect(GOOD, lambda answer: sent.append(answer) or answer, "--work", "mute")
        self.assertGreater(len(sent), 1)
        self.assertLess(len(sent), 1000)

        def end(_):
            raise OSError
        self.assertGreater(self.expect(GOOD, end, "--work", "mute")["messages"], 0)


@unittest.skipUnless("--tls" in subprocess.run([LOAD, "--help"], stdout=subprocess.PIPE, text=True,
                                               check=True).stdout, "built without OpenSSL")
class TestTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.certificate = rig.make_certificate(directory.name)
        if cls.certificate is None:
            raise unittest.SkipTest("openssl is not installed")

    def expect(self, status, twist, arguments, **options):
        """Load a server; return what was printed, as JSON if all was well."""
        server = TlsServer(twist, self.certificate, **options)
        self.addCleanup(server.close)
        done = subprocess.run(
            [LOAD, "--port", str(server.port), "--seconds", "0.2", "--tls", *arguments.split()],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stderr == "", status == GOOD)
        return json.loads(done.stdout.splitlines()[-1]) if status == GOOD else None

    def test_a_right_echo_is_counted(self):
        for arguments in ["--connections 5", "--size 100000 --in-flight 3",
                          "--size 65536 --in-flight 300", "--size 1 --in-flight 1000",
                          "--work churn --connections 5", "--work churn --resume",
                          "--work churn --groups P-256"]:
            with self.subTest(arguments):
                result = self.expect(GOOD, lambda piece, _: piece, arguments)
                self.assertGreater(result["messages"], 0)
                self.assertEqual(result["starved"], 0)

    def test_wrong_bytes_are_noticed(self):
        for arguments in ["", "--size 1048576"]:
            self.expect(WRONG_BYTES, flip_byte_1000, arguments)
        for arguments in ["", "--work churn"]:
            self.expect(WRONG_BYTES, lambda piece, _: piece + b"x", arguments)

    def test_an_early_end_is_noticed(self):
        self.expect(LOST, end_after_1000, "")
        self.expect(LOST, lambda piece, _: end_after_1000(piece, 2000), "--work churn")

    def test_an_end_without_close_notify_is_counted(self):
        for is_rude in (False, True):
            result = self.expect(GOOD, lambda piece, _: piece, "--work churn", is_rude=is_rude)
            self.assertEqual(result["truncated"], result["messages"] if is_rude else 0)

    def test_a_full_handshake_is_noticed(self):
        self.expect(NOT_RESUMED, lambda piece, _: piece, "--work churn --resume", has_tickets=False)


class TestDatagrams(unittest.TestCase):
    def expect(self, status, twist, *arguments):
        """Load a server; return what was printed, as JSON if all was well."""
        server = DatagramServer(twist)
        self.addCleanup(server.close)
        done = subprocess.run(
            [LOAD, "--port", str(server.port), "--work", "datagrams", "--seconds", "0.2", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stderr == "", status == GOOD)
        return json.loads(done.stdout.splitlines()[-1]) if status == GOOD else None

    def test_right_echoes_are_counted(self):
        for arguments in ["", "--connections 3 --in-flight 16", "--size 60000 --in-flight 2",
                          "--size 1400 --in-flight 64 --trains", "--size 16", "--size 65507",
                          "--size 9000 --in-flight 10 --trains"]:
            with self.subTest(arguments):
                result = self.expect(GOOD, lambda datagram, _: [datagram], *arguments.split())
                self.assertGreater(result["messages"], 0)

    def test_lost_datagrams_are_counted(self):
        result = self.expect(GOOD, lambda datagram, count: [datagram] if count % 10 else [],
                             "--in-flight", "20", "--seconds", "0.5")
        self.assertGreater(result["lost"], 0)
        self.assertGreater(result["messages"], 5 * result["lost"])

    def test_another_order_is_no_fault(self):
        waiting = []

        def swap(datagram, _):
            waiting.append(datagram)
            return [waiting.pop(), waiting.pop()] if len(waiting) == 2 else []
        self.assertEqual(self.expect(GOOD, swap, "--in-flight", "2")["lost"], 0)

    def test_wrong_datagrams_are_noticed(self):
        wrongs = {
            "one bit": lambda datagram, _: [datagram[:-1] + bytes([datagram[-1] ^ 1])],
            "its number": lambda datagram, _: [bytes([datagram[0] ^ 64]) + datagram[1:]],
            "cut": lambda datagram, _: [datagram[:-1]],
            "empty": lambda datagram, _: [b""],
            "longer": lambda datagram, _: [datagram + b"x"],
            "twice": lambda datagram, _: [datagram, datagram],
        }
        for name, twist in wrongs.items():
            for arguments in ["--in-flight 8", "--in-flight 8 --trains --size 500"]:
                with self.subTest(name, arguments=arguments):
                    self.expect(WRONG_BYTES, twist, *arguments.split())

    def test_a_datagram_of_another_flow_is_noticed(self):
        kept = []

        def keep_one(datagram, _):
            kept.append(datagram)
            return [kept[0]] if len(kept) > 1 else []
        self.expect(WRONG_BYTES, keep_one, "--connections", "2")

    def test_silence_is_noticed(self):
        self.expect(STALLED, lambda datagram, count: [datagram] if count < 10 else [],
                    "--seconds", "20")


if __name__ == "__main__":
    sys.exit(unittest.main())
