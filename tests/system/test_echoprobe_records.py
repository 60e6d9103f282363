"""
test_echoprobe_records: the files that a run leaves: a line for each message, objects while it runs, a
histogram; and what is said when they cannot be written.
Run by `run`, by automake, or alone.
"""

import csv
import io
import json
import os
import signal
import socket
import subprocess

import harness
from broken_servers import TcpServer, read_exactly, silent_after, with_changed_byte
from harness import ECHOPROBE, LOOPBACK, PIPE, Echod, probe

COLUMNS = ["time", "connection", "sequence", "size", "rtt_us", "fault"]


def read_csv(text):
    reader = csv.DictReader(io.StringIO(text))
    rows = list(reader)
    assert reader.fieldnames == COLUMNS, reader.fieldnames
    return rows


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def has_come_back(row):
    return row["fault"] == "" and float(row["rtt_us"]) > 0


class RecordTest(harness.TestCase):

    def setUp(self):
        self.directory = self.temporary_directory()
        self.csv, self.lines, self.histogram = (f"{self.directory}/{name}" for name in ("csv", "lines", "hgrm"))
        self.all = ("--csv", self.csv, "--json-lines", self.lines, "--histogram", self.histogram)

    def check_histogram(self, count, largest_ms):
        lines = read(self.histogram).splitlines()
        self.assertEqual(lines[0].split(), ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"])
        rows = [[float(word) for word in line.split()] for line in lines[2:] if not line.startswith("#")]
        self.assertEqual(rows, sorted(rows))
        self.assertEqual([len(row) for row in rows], [4] * (len(rows) - 1) + [3])
        for _, percentile, total, inverse in rows[:-1]:
            self.assertGreaterEqual(total, percentile * count)
            self.assertAlmostEqual(inverse, 1 / (1 - percentile), delta=inverse / 100)
        self.assertEqual(rows[-1][1:], [1, count])
        self.assertAlmostEqual(rows[-1][0], largest_ms, places=5)
        self.assertRegex("\n".join(lines[-3:]), r"\A#\[Mean +=.*\n#\[Max .*\n#\[Buckets = +41, .*\]\Z")

    def test_a_ping(self):
        """A file that is there is overwritten, and all three tell the same."""
        with open(self.csv, "w", encoding="ascii") as old:
            old.write("x" * 10000)
        with Echod(listen=(LOOPBACK, "udp://127.0.0.1:0")) as server:
            for address in server.addresses:
                result = probe("-c", "3", "-i", "0", "-s", "100", *self.all, address)
                self.assertEqual((result.status, result.errors), (0, ""), result.text)
                self.assertIn("3 sent, 3 received", result.output)
                rows = read_csv(read(self.csv))
                self.assertEqual([(row["connection"], row["sequence"], row["size"]) for row in rows],
                                 [("1", str(i), "100") for i in (1, 2, 3)])
                self.assertTrue(all(map(has_come_back, rows)), rows)
                *messages, summary = map(json.loads, read(self.lines).splitlines())
                self.assertEqual([(f"{line['time']:.6f}", line["rtt_us"], line["fault"]) for line in messages],
                                 [(row["time"], float(row["rtt_us"]), None) for row in rows])
                self.assertEqual((summary["type"], summary["sent"], summary["received"]), ("summary", 3, 3))
                self.check_histogram(3, summary["rtt_us"]["max"] / 1000)

    def test_a_load(self):
        """Threads and connections: each message has a line of its own, and seconds add up to the whole."""
        with Echod() as server:
            for arguments in (("-P", "4", "--threads", "2", "--window", "8"), ("--churn",)):
                result = probe(*arguments, "-c", "2000", "--json", *self.all, server.addresses[0])
                self.assertEqual((result.status, result.errors), (0, ""), result.text)
                rows = read_csv(read(self.csv))
                self.assertEqual(len({(row["connection"], row["sequence"]) for row in rows}), 2000)
                self.assertTrue(all(map(has_come_back, rows)))
                *intervals, summary = map(json.loads, read(self.lines).splitlines())
                self.assertEqual({line["type"] for line in intervals}, {"interval"})
                self.assertEqual(sum(line["received"] for line in intervals), 2000)
                self.assertEqual(summary["received"], 2000)
                self.check_histogram(2000, result.json()["rtt_us"]["max"] / 1000)

    def test_intervals_add_up_to_the_whole(self):
        """Also where the last one has nothing but losses of what was sent before."""
        with silent_after(64) as server:
            result = probe("--window", "4", "-c", "5", "-W", "1500ms", "--json-lines", self.lines,
                           server.address)
        self.assertEqual(result.status, 1, result.text)
        *intervals, summary = map(json.loads, read(self.lines).splitlines())
        for member in ("sent", "received", "lost"):
            self.assertEqual(sum(each[member] for each in intervals), summary[member], intervals)

    def test_each_message_that_fails_has_a_line(self):
        """Those too that are lost along with another, or wrong with it."""
        def end_early(connection, _):
            data = read_exactly(connection, 4 * 64)
            connection.sendall(data[:100])
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

        for server, arguments, faults in (
                (TcpServer(end_early), ("--window", "4", "-c", "4"), ["", "lost", "lost", "truncated"]),
                (with_changed_byte(70), ("-c", "4", "-i", "0"), ["", "", "", "corrupted"])):
            with server:
                result = probe(*arguments, "--json", "--csv", self.csv, server.address)
            self.assertEqual(result.status, 1, result.text)
            figures = result.json()
            rows = read_csv(read(self.csv))
            self.assertEqual(sorted(row["fault"] for row in rows), faults)
            self.assertEqual(sum(map(has_come_back, rows)), figures["received"])
            self.assertEqual(len(rows), figures["sent"], rows)

    def test_nobody_is_there(self):
        result = probe("-c", "2", "-i", "0", *self.all, f"127.0.0.1:{harness.free_port()}")
        self.assertEqual(result.status, 2)
        row, = read_csv(read(self.csv))
        self.assertEqual((row["rtt_us"], row["fault"]), ("", "connect"))
        message, summary = map(json.loads, read(self.lines).splitlines())
        self.assertEqual((message["fault"], message["rtt_us"], summary["rtt_us"]), ("connect", None, None))
        self.assertIn("Connection refused", message["text"])
        self.assertRegex(read(self.histogram), r"\n#\[Max +=     0.000000, Total count    =            0\]\n")

    def test_standard_output(self):
        """What is for people goes to standard error then."""
        with Echod() as server:
            for option in ("--csv", "--json-lines", "--histogram"):
                result = probe(option, "-", "-c", "1", server.addresses[0])
                self.assertEqual(result.status, 0, result.text)
                self.assertIn("1 sent, 1 received", result.errors)
                self.assertRegex(result.output, r"\A(time,connection,|\{\"type\": \"message\"| +Value )")
                self.assertNotIn("---", result.output)

    def test_it_can_be_followed(self):
        """A line of a ping is there when its message is back."""
        with Echod() as server, subprocess.Popen(
                [ECHOPROBE, "-i", "0.05", "--json-lines", "-", server.addresses[0]], stdout=PIPE,
                stderr=subprocess.DEVNULL, text=True) as process:
            self.assertEqual([json.loads(process.stdout.readline())["sequence"] for _ in range(3)], [1, 2, 3])
            process.send_signal(signal.SIGINT)
            self.assertIn('"summary"', process.stdout.read().splitlines()[-1])
            self.assertEqual(process.wait(harness.PATIENCE_SECONDS), 0)


class RefusalTest(harness.TestCase):

    def test_what_cannot_be_opened(self):
        with Echod() as server:
            for option in ("--csv", "--json-lines", "--histogram"):
                result = probe(option, "/proc/nothing", "-c", "1", server.addresses[0])
                self.assertEqual((result.status, result.output), (harness.STATUS_SYSTEM, ""))
                self.assertRegex(result.errors, rf"\Aechoprobe: {option}: /proc/nothing: .+\n\Z")

    def test_a_full_disk(self):
        """It ends the run, and loses no message by that."""
        with Echod() as server:
            for arguments in (("--csv", "/dev/full"), ("--json-lines", "/dev/full"),
                              ("--csv", "/dev/full", "-P", "2"), ("--histogram", "/dev/full", "-c", "1"),
                              ("--csv", "/dev/full", "--churn")):
                result = probe(*arguments, "-i", "0", server.addresses[0])
                self.assertEqual(result.status, harness.STATUS_SYSTEM, result.text)
                self.assertIn(f"echoprobe: {arguments[0]}: /dev/full: No space left on device\n", result.errors)
                self.assertIn(" 0 lost (0.0%)", result.output)
            result = probe("--csv", "/dev/full", "--plugin", server.addresses[0])
            self.assertEqual((result.status, result.output),
                             (3, "ECHO UNKNOWN - --csv: /dev/full: No space left on device\n"))
            figures = probe("--csv", "/dev/full", "--json", "-i", "0", server.addresses[0]).json()
            self.assertIn("/dev/full", figures["error"])

    def test_a_reader_that_is_gone(self):
        reader, writer = os.pipe()
        os.close(reader)
        with Echod() as server:
            result = subprocess.run([ECHOPROBE, "--csv", "-", server.addresses[0]], stdout=writer, stderr=PIPE,
                                    text=True, timeout=harness.PATIENCE_SECONDS, check=False)
        os.close(writer)
        self.assertEqual(result.returncode, harness.STATUS_SYSTEM)
        self.assertIn("echoprobe: --csv: standard output: Broken pipe\n", result.stderr)

    def test_what_does_not_fit(self):
        for arguments, words in (
                (("--csv", "x", "--half-close"), "--csv: a check has no run of messages"),
                (("--histogram", "x", "--hold", "1s"), "--histogram: a check has no run of messages"),
                (("--histogram", "x.svg"), "--histogram: x.svg: is written as text, not drawn"),
                (("--histogram", "x.PNG"), "--histogram: x.PNG: is written as text, not drawn"),
                (("--csv", "-", "--histogram", "-"), "one of them may have standard output"),
                (("--json-lines", "-", "--json"), "--json: takes standard output"),
                (("--csv", "-", "--plugin"), "--plugin: takes standard output")):
            result = probe(*arguments, "127.0.0.1")
            self.assertIn(result.status, (harness.STATUS_USAGE, 3), arguments)
            self.assertIn(words, result.text)
        self.assertFalse(os.path.exists("x.svg"))


if __name__ == "__main__":
    harness.main()
