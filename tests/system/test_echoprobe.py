"""
test_echoprobe: what echoprobe says of a service that works, and of one that is not there.
Faults of a service are test_echoprobe_faults'.
Run by `run`, by automake, or alone.
"""

import re
import signal
import socket
import subprocess
import threading

import broken_servers
import harness
from harness import Echod, probe

ECHO_LINE = r"(?m)^64 bytes from 127\.0\.0\.1:\d+: seq=(\d+) time=\d+\.\d{3} ms$"
MS = r"\d+\.\d{3} ms"
ROUND_TRIPS = (rf"(?m)^min {MS}, mean {MS}, max {MS}, deviation {MS}\n"
               rf"median {MS}, p95 {MS}, p99 {MS}, jitter {MS}$")


def udp_echo():
    """A UDP echo server that works."""
    return broken_servers.UdpServer(
        lambda server, data, client, _: server.sendto(data, client))


class PingTest(harness.TestCase):

    def test_a_line_for_each_echo_and_a_summary(self):
        with Echod() as server:
            result = probe("-c", "3", "-i", "10ms", server.addresses[0])
        self.assertEqual(result.status, 0, result.text)
        self.assertEqual(re.findall(ECHO_LINE, result.output), ["1", "2", "3"])
        self.assertRegex(result.output, r"(?m)^--- tcp://127\.0\.0\.1:\d+ ---$")
        self.assertRegex(result.output,
                         r"(?m)^3 sent, 3 received, 0 lost \(0\.0%\), 0 corrupted$")
        self.assertRegex(result.output, ROUND_TRIPS)
        self.assertEqual(result.errors, "")

    def test_the_letters_of_ping_and_of_iperf3(self):
        with Echod() as server:
            for arguments in (("-c", "3"), ("-n", "3"), ("-c3", "-P", "1")):
                with self.subTest(arguments=arguments):
                    result = probe(*arguments, "-i", "0", server.addresses[0])
                    self.assertEqual(re.findall(ECHO_LINE, result.output), ["1", "2", "3"])

    def test_quiet(self):
        with Echod() as server:
            result = probe("-q", "-c", "3", "-i", "0", server.addresses[0])
        self.assertEqual(result.status, 0)
        self.assertNotIn("seq=", result.output)
        self.assertIn("3 received", result.output)

    def test_every_size_over_tcp(self):
        with Echod() as server:
            for size in ("1", "2", "7", "8", "9", "63", "4097", "100000", "3MiB"):
                with self.subTest(size=size):
                    result = probe("-c", "5", "-i", "0", "-s", size, server.addresses[0])
                    self.assertEqual(result.status, 0, result.text)
                    self.assertIn("5 sent, 5 received", result.output)

    def test_every_size_over_udp(self):
        with udp_echo() as server:
            for size in ("1", "7", "8", "15", "16", "64", "1472", "65507"):
                with self.subTest(size=size):
                    result = probe("-c", "5", "-i", "0", "-s", size, server.address)
                    self.assertEqual(result.status, 0, result.text)
                    self.assertIn("5 sent, 5 received", result.output)

    def test_a_unix_socket(self):
        address = f"unix://{self.temporary_directory()}/echod.sock"
        with Echod(listen=address):
            result = probe("-c", "2", "-i", "0", address)
        self.assertEqual(result.status, 0, result.text)
        self.assertIn("2 received", result.output)

    def test_ipv6(self):
        self.need_ipv6()
        with Echod(listen="tcp://[::1]:0") as server:
            result = probe("-6", "-c", "1", server.addresses[0])
            self.assertEqual(result.status, 0, result.text)
            self.assertEqual(probe("-4", "-c", "1", server.addresses[0]).status, 2)

    def test_an_interrupt_ends_it_with_a_summary(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Echod() as server, subprocess.Popen([harness.ECHOPROBE, server.addresses[0]],
                                                     stdout=subprocess.PIPE, text=True) as client:
                self.assertIn("64 bytes", client.stdout.readline())
                self.assertRegex(client.stdout.readline(), ECHO_LINE)
                client.send_signal(number)
                rest = client.stdout.read()
                self.assertEqual(client.wait(harness.PATIENCE_SECONDS), 0)
                self.assertRegex(rest, r"(\d+) sent, \1 received, 0 lost")

    def test_a_second_interrupt_waits_for_nothing(self):
        with broken_servers.silent_after(0) as server, subprocess.Popen(
                [harness.ECHOPROBE, "--timeout", "1h", server.address], stdout=subprocess.PIPE,
                text=True) as client:
            client.stdout.readline()
            harness.signal_until_ended(client, signal.SIGINT)
            self.assertEqual(client.returncode, 1 if "1 lost" in client.stdout.read() else 0)

    def test_a_deadline_ends_it(self):
        with broken_servers.silent_after(0) as server:
            result = probe("--timeout", "1h", "--deadline", "1s", server.address)
        self.assertEqual(result.status, 1)
        self.assertIn("0 received", result.output)

    def test_what_comes_late_is_lost_and_late(self):
        def serve(connection, _):
            data = broken_servers.read_exactly(connection, 128)  # the second message frees the first
            connection.sendall(data)
            connection.recv(1)

        timeout = harness.scaled_ms(200)
        with broken_servers.TcpServer(serve) as server:
            result = probe("-c", "2", "-i", harness.scaled_ms(400), "-W", timeout, server.address)
        self.assertEqual(result.status, 1)
        self.assertRegex(result.output, r"2 sent, 1 received, 1 lost \(50\.0%\), 0 corrupted, 1 late")


class LoadTest(harness.TestCase):

    def load(self, *arguments, address=None):
        """Load an echod, or this address; check that nothing is lost, and return the figures."""
        if address is None:
            with Echod() as server:
                return self.load(*arguments, address=server.addresses[0])
        result = probe("--json", *arguments, address)
        self.assertEqual(result.status, 0, result.text)
        figures = result.json()
        self.assertEqual(figures["sent"], figures["received"])
        self.assertEqual(figures["lost"] + figures["corrupted"] + figures["late"], 0)
        self.assertEqual(sum(count for _, _, count in figures["histogram_us"]), figures["sent"])
        return figures

    def test_a_count_is_exact(self):
        for arguments in (("-P", "7"), ("-P", "7", "--threads", "3"), ("--window", "9"),
                          ("-P", "3", "--churn"), ("--stream",), ("-P", "2", "--rate", "2000/s")):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.load(*arguments, "-c", "1000")["sent"], 1000)

    def test_a_duration_ends_it(self):
        figures = self.load("-P", "5", "--threads", "2", "-d", "300ms")
        self.assertGreaterEqual(figures["elapsed_seconds"], 0.3)
        self.assertEqual(figures["connects"], 5)

    def test_churn_connects_for_each_message(self):
        self.assertEqual(self.load("--churn", "-P", "4", "-c", "300")["connects"], 300)

    def test_a_rate_sends_what_is_due(self):
        for rate, count in (("500/s", 250), ("0.5k/s", 250), ("2.5/s", 2), ("600/m", 5)):
            with self.subTest(rate=rate):
                self.assertEqual(self.load("--rate", rate, "-d", "500ms")["sent"], count)
        self.assertEqual(self.load("-P", "3", "--rate", "500/s", "-d", "500ms")["sent"], 250)

    def test_an_interval_sends_no_more_than_is_due(self):
        """Also where it cannot be divided evenly by the connections."""
        for connections in (1, 3, 7):
            with self.subTest(connections=connections):
                figures = self.load("-P", str(connections), "-i", "100ms", "-d", "500ms")
                self.assertEqual(figures["sent"], 5 * connections)

    def test_udp(self):
        with udp_echo() as server:
            figures = self.load("-P", "2", "-c", "100", address=server.address)
        self.assertEqual(figures["transport"], "udp")

    def test_the_percentiles_stand_in_order(self):
        rtt = self.load("-P", "4", "-c", "5000")["rtt_us"]
        values = [rtt[name] for name in ("min", "p50", "p90", "p95", "p99", "p99_9", "p99_99",
                                         "max")]
        self.assertEqual(values, sorted(values))
        self.assertTrue(rtt["min"] <= rtt["mean"] <= rtt["max"])

    def test_a_stall_counts_for_all_messages_that_were_due(self):
        """While a server says nothing, messages go on to be due: their time counts (open loop)."""
        def serve(connection, _):
            data = broken_servers.read_exactly(connection, 64 * 40)
            connection.sendall(data)
            connection.recv(1)

        with broken_servers.TcpServer(serve) as server:
            figures = self.load("--rate", "100/s", "-c", "40", "-W", "1m", address=server.address)
        self.assertGreater(figures["rtt_us"]["p50"], 150000)

    def test_a_message_that_had_to_wait_counts_from_when_it_was_due(self):
        """A full window keeps messages from being sent; with a rate that is part of their time."""
        def serve(connection, _):
            data = connection.recv(64)
            threading.Event().wait(0.4)
            while data:
                connection.sendall(data)
                data = connection.recv(65536)

        with broken_servers.TcpServer(serve) as server:
            figures = self.load("--rate", "100/s", "--window", "1", "-c", "30", "-W", "1m",
                                address=server.address)
        self.assertGreater(figures["rtt_us"]["p50"], 100000)

    def test_a_summary_with_a_histogram(self):
        with Echod() as server:
            result = probe("-P", "2", "-c", "500", server.addresses[0])
        self.assertEqual(result.status, 0, result.text)
        self.assertRegex(result.output, r"2 connections, 1 thread\n\d+ echoes/s, \S+ .?B/s \(\S+ .?bit/s\) each way")
        self.assertRegex(result.output, r"(?m)^ +\S+ ms \|#+ +\d+\.\d\d%$")
        self.assertRegex(result.output, r"p99\.99 \d+\.\d{3} ms")

    def test_a_connection_that_ended_is_replaced(self):
        """Each connection returns one message and ends; every message comes back all the same."""
        with broken_servers.ending_after(64) as server:
            figures = self.load("--rate", "1/s", "-c", "3", address=server.address)
        self.assertEqual(figures["connects"], 3)


class NobodyThereTest(harness.TestCase):

    def test_somebody_is_there_though_not_for_all(self):
        """Connections that are made echo, although the last attempt fails later."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)  # as long as one client waits, the next has no answer
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            with subprocess.Popen([harness.ECHOPROBE, "--json", "-P", "4", "-c", "1", "-W",
                                   harness.scaled_ms(500), address],
                                  stdout=subprocess.PIPE, text=True) as client:
                with listener.accept()[0] as first:
                    data = broken_servers.read_exactly(first, 64)
                    self.assertEqual(len(data), 64, "nothing was sent")
                    first.sendall(data)
                    output = client.communicate(timeout=harness.PATIENCE_SECONDS)[0]
        self.assertIn('"received": 1', output)

    def test_a_closed_port(self):
        for scheme, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
            address = f"127.0.0.1:{harness.free_port(kind)}"
            for more in ((), ("-P", "3"), ("--json",)):
                with self.subTest(scheme=scheme, more=more):
                    result = probe("-c", "1", *more, f"{scheme}://{address}")
                    self.assertEqual(result.status, 2, result.text)
                    self.assertIn(f"echoprobe: {address}: Connection refused", result.errors)

    def test_churn_to_a_closed_port(self):
        result = probe("--churn", "-c", "3", f"127.0.0.1:{harness.free_port()}")
        self.assertEqual(result.status, 2, result.text)

    def test_a_name_that_nobody_has(self):
        result = probe("-c", "1", "nobody.invalid")
        self.assertEqual(result.status, 2)
        self.assertRegex(result.errors, r"^echoprobe: nobody\.invalid: .+\n$")
        figures = probe("--json", "nobody.invalid").json()
        self.assertEqual((figures["target"], figures["status"]), ("tcp://nobody.invalid:7", 2))
        self.assertTrue(figures["error"].startswith("nobody.invalid: "))

    def test_an_end_before_there_is_a_connection(self):
        """Nothing was sent: that proves nothing, and is no success."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            with socket.create_connection(address):
                result = probe("-W", "1h", "--deadline", "300ms", f"127.0.0.1:{address[1]}")
        self.assertEqual(result.status, 2, result.text)
        self.assertRegex(result.errors, r"127\.0\.0\.1:\d+: no connection yet")


class UsageTest(harness.TestCase):

    def test_mistakes_are_named_in_one_sentence(self):
        for arguments, word in (
                ((), "ADDRESS"),
                (("a", "b"), '"b"'),
                (("--no-such-option", "a"), "--no-such-option"),
                (("-s", "0", "a"), "--size"),
                (("-s", "65508", "udp://a"), "--size"),
                (("-s", "17MiB", "a"), "--size"),
                (("--rate", "9", "-i", "1", "a"), "--rate"),
                (("--rate", "9/d", "a"), "--rate"),
                (("--rate", "0.00001/s", "a"), "--rate"),
                (("--churn", "udp://a"), "--churn"),
                (("--threads", "2", "a"), "--threads"),
                (("--churn", "--window", "2", "a"), "--window"),
                (("-4", "-6", "a"), "--ipv4"),
                (("fd://0",), "fd://0"),
                (("a:0",), "a:0")):
            with self.subTest(arguments=arguments):
                result = probe(*arguments)
                self.assertEqual(result.status, 64, result.text)
                self.assertEqual(result.output, "")
                self.assertRegex(result.errors, r"^echoprobe: .+\n$")
                self.assertIn(word, result.errors)

    def test_durations_are_alike(self):
        """Each takes seconds with decimals, as --interval does."""
        for option in ("-i", "-W", "-d", "--deadline"):
            with self.subTest(option=option):
                result = probe(option, "0.25", "-c", "1", f"127.0.0.1:{harness.free_port()}")
                self.assertEqual(result.status, 2, result.text)
        result = probe("--hold", "0.25", f"127.0.0.1:{harness.free_port()}")
        self.assertEqual(result.status, 2, result.text)

    def test_help_and_version(self):
        for option, words in (("--help", "Usage: echoprobe"), ("--version", "echoprobe (Echo) ")):
            result = probe(option)
            self.assertEqual((result.status, result.errors), (0, ""))
            self.assertIn(words, result.output)

    def test_help_has_groups_and_examples_that_are_right(self):
        text = probe("--help").output
        self.assertLessEqual(max(map(len, text.split("\n"))), 80)
        for group in ("Messages:", "Output:", "Load; no line for each echo:",
                      "Checks of a path, one at a time:", "Examples:"):
            self.assertIn(f"\n{group}\n", text)
        examples = re.findall(r"(?m)^  echoprobe (.*?)  ", text)
        self.assertGreaterEqual(len(examples), 5)
        for example in examples:
            with self.subTest(example=example):
                words = example.replace("HOST", "nobody.invalid").split()
                result = probe(*words, "--deadline", "100ms")
                self.assertNotEqual(result.status, 64, result.text)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "w", encoding="ascii") as full, Echod() as server:
            for arguments in (["--help"], ["-c", "1", server.addresses[0]]):
                self.assertEqual(subprocess.run([harness.ECHOPROBE, *arguments], stdout=full,
                                                stderr=subprocess.DEVNULL, check=False).returncode,
                                 71)


if __name__ == "__main__":
    harness.main()
