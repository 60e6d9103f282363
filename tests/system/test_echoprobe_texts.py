"""
test_echoprobe_texts: how echoprobe words what it finds: the first line, figures, and how wide it is.
Whether the figures are right is test_echoprobe's and its neighbours'.
Run by `run`, by automake, or alone.
"""

import fcntl
import os
import pty
import re
import socket
import struct
import subprocess
import termios
import time

import broken_servers
import harness
from harness import Echod, probe


def screen(columns, *arguments):
    """Run with both outputs on a terminal of this width, and return the lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([harness.ECHOPROBE, *arguments], stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=theirs) as client:
        os.close(theirs)
        text = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # EIO: nobody has the other end any more
                break
            if not piece:
                break
            text += piece
        client.wait(harness.PATIENCE_SECONDS)
    os.close(ours)
    return text.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")


class FirstLineTest(harness.TestCase):

    def first_line(self, *arguments, prefix=()):
        result = subprocess.run([*prefix, harness.ECHOPROBE, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, check=False, text=True,
                                stdin=subprocess.DEVNULL, timeout=3 * harness.PATIENCE_SECONDS)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout.split("\n")[0]

    def test_it_names_the_address_that_connected(self):
        """Of a name's addresses the first may refuse; each kind of run names the other."""
        self.need_ipv6()
        hosts = self.with_file("/etc/hosts", "::1 both\n127.0.0.1 both\n")
        with Echod() as server:
            port = server.addresses[0].rpartition(":")[2]
            for arguments in (("-c", "1"), ("-c", "1", "-P", "2"), ("-c", "1", "--churn"),
                              ("--stream", "-c", "1"), ("--half-close",), ("--hold", "10ms"),
                              ("--find-idle-timeout=100ms",)):
                with self.subTest(arguments=arguments):
                    self.assertRegex(
                        self.first_line(*arguments, f"both:{port}", prefix=hosts),
                        rf"^echoprobe tcp://both:{port} \(127\.0\.0\.1:{port}\), ")

    def test_it_says_what_the_connections_are(self):
        with Echod() as server:
            self.assertTrue(self.first_line("-P", "3", "-c", "3", server.addresses[0])
                            .endswith(", 64 bytes, 3 connections"))
            self.assertTrue(self.first_line("-c", "1", server.addresses[0]).endswith(", 64 bytes"))

    def test_it_stands_before_a_refusal(self):
        result = probe("-c", "1", f"127.0.0.1:{harness.free_port()}")
        self.assertTrue(result.output.startswith("echoprobe tcp://127.0.0.1:"), result.output)


class FiguresTest(harness.TestCase):

    def test_udp_speaks_of_no_connections(self):
        with Echod(listen="udp://127.0.0.1:0") as server:
            result = probe("-P", "2", "-c", "10", server.addresses[0])
        self.assertEqual(result.status, 0, result.text)
        with broken_servers.answer_changed(lambda _, __: []) as silent:
            result.text += probe("-P", "2", "-c", "2", "-W", harness.scaled_ms(200),
                                 silent.address).text
        result.text += probe("-P", "2", "-c", "2",
                             f"udp://127.0.0.1:{harness.free_port(socket.SOCK_DGRAM)}").text
        self.assertNotRegex(result.text, r"connection[^/]|connect\b")
        self.assertIn(", 2 sockets\n", result.text)
        self.assertRegex(result.text, r"echoprobe: socket \d seq=1 lost: ")

    def test_mean_and_deviation(self):
        """As ping's avg and mdev; an echo that is late now and then has a large deviation."""
        with Echod() as server:
            rtt = probe("--json", "-c", "50", "-i", "0", server.addresses[0]).json()["rtt_us"]
        self.assertTrue(rtt["min"] <= rtt["mean"] <= rtt["max"])
        self.assertLessEqual(rtt["deviation"], rtt["max"] - rtt["min"])

        def serve(connection, _):
            for number in range(4):
                data = broken_servers.read_exactly(connection, 64)
                time.sleep(0.2 * (number % 2))
                connection.sendall(data)

        with broken_servers.TcpServer(serve) as server:
            rtt = probe("--json", "-c", "4", "-i", "0", "-W", "1m", server.address).json()["rtt_us"]
        self.assertGreaterEqual(rtt["deviation"], 90000)
        self.assertGreaterEqual(rtt["mean"], 100000)

    def test_bits_beside_bytes(self):
        with Echod() as server:
            result = probe("--stream", "-c", "100", server.addresses[0])
            figures = probe("--json", "--stream", "-c", "100", server.addresses[0]).json()
        self.assertRegex(result.output, r"(?m)^\d+ echoes/s, \S+ .B/s \(\S+ .bit/s\) each way$")
        self.assertAlmostEqual(figures["throughput_bits_per_second"],
                               8 * figures["throughput_bytes_per_second"], delta=8)

    def test_no_line_is_wider_than_the_screen(self):
        with Echod() as server:
            address = server.addresses[0]
            for columns in (80, 40):
                for arguments in (("-c", "3", "-i", "0"), ("-P", "2", "-c", "5000")):
                    with self.subTest(columns=columns, arguments=arguments):
                        lines = screen(columns, *arguments, address)
                        lines = [line for line in lines
                                 if not re.match(r"echoprobe |64 bytes from ", line)]
                        self.assertTrue(any("p99" in line for line in lines), lines)
                        wide = [line for line in lines
                                if len(line.replace("\x1b[K", "")) > columns]
                        self.assertEqual(wide, [])

    def test_a_pipe_gets_lines_of_80_columns(self):
        with Echod() as server:
            result = probe("-P", "2", "-c", "5000", server.addresses[0])
        self.assertLessEqual(max(map(len, result.output.split("\n"))), 80)


class TimeLeftTest(harness.TestCase):

    def test_a_terminal_sees_the_time_left(self):
        with Echod() as server:
            lines = screen(80, "--hold", "2s", server.addresses[0])
            self.assertTrue(any(re.search(r"hold: [12]s left$", line) for line in lines), lines)
            lines = screen(80, "--find-idle-timeout=2s", server.addresses[0])
            self.assertTrue(any(re.search(r"find-idle-timeout: [12]s left$", line)
                                for line in lines), lines)

    def test_a_pipe_does_not(self):
        with Echod() as server:
            self.assertNotIn("left", probe("--hold", "1s", server.addresses[0]).text)


if __name__ == "__main__":
    harness.main()
