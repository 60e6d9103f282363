"""
test_echoprobe_targets: echoprobe with a file of targets: each is probed, counted and reported by
itself, and one that is down ends nothing.
What is said of a single target is test_echoprobe's; the file is check_targets'.
Run by `run`, by automake, or alone.
"""

import csv
import io
import json
import os
import re
import resource
import signal
import subprocess

import broken_servers
import failing_calls
import harness
from harness import Echod, probe

SHORT = ("-W", harness.scaled_ms(300))
PACE = ("-i", "20ms")


class Prober(harness.Process):
    """An echoprobe that runs beside the test, and ends by a signal."""

    def __init__(self, *arguments, prefix=()):
        super().__init__([*prefix, harness.ECHOPROBE, *arguments], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def read_until(self, pattern):
        """Read lines up to one that matches, and return it."""
        for line in self.stdout:
            if re.search(pattern, line):
                return line
        raise AssertionError(f"no line has {pattern}: {self._popen.stderr.read()}")

    def error_line(self):
        return self._popen.stderr.readline()

    def end(self):
        """End it as Ctrl-C does, and return what it said from here on."""
        self.signal(signal.SIGINT)
        output, errors = self._popen.communicate(timeout=3 * harness.PATIENCE_SECONDS)
        return harness.ProbeResult(self._popen.returncode, output, errors)


def kill(server):
    server.signal(signal.SIGKILL)
    server.wait_for_exit(-signal.SIGKILL)


class TargetsTestCase(harness.TestCase):

    def file_of(self, path=None, **targets):
        """Write a file of these targets, and return its path."""
        path = path or f"{self.temporary_directory()}/targets"
        with open(path, "w", encoding="ascii") as file:
            file.writelines(f"{name} {address}\n" for name, address in targets.items())
        return path


class SideBySideTest(TargetsTestCase):

    def setUp(self):
        self.sockets = self.temporary_directory()

    def run_all(self, *arguments):
        """Probe one of each kind, of which three are not well."""
        listen = (harness.LOOPBACK, "udp://127.0.0.1:0", f"unix://{self.sockets}/echo")
        with Echod(listen=listen) as server, broken_servers.with_changed_bytes(64) as liar:
            file = self.file_of(web=server.addresses[0], dns=server.addresses[1],
                                local=f"{server.addresses[2]},size=100",
                                liar=liar.address,
                                gone=f"127.0.0.1:{harness.free_port()}",
                                nobody="nobody.invalid")
            return probe("--targets", file, "-c", "3", *PACE, *SHORT, *arguments)

    def test_each_has_an_object(self):
        result = self.run_all("--json")
        figures = [json.loads(line) for line in result.output.splitlines()]
        by_name = {each["name"]: each for each in figures}
        self.assertEqual(list(by_name), ["web", "dns", "local", "liar", "gone", "nobody"])
        self.assertEqual([each["status"] for each in figures], [0, 0, 0, 1, 2, 2])
        self.assertEqual(result.status, 1)
        for each in figures:
            self.assertEqual(each["sent"], 3)
            self.assertEqual(each["received"] + each["lost"] + each["corrupted"], 3)
        self.assertEqual(by_name["local"]["size_bytes"], 100)
        self.assertEqual(by_name["liar"]["faults"]["corrupted"], 3)
        self.assertEqual(by_name["gone"]["unsent"], 3)
        self.assertIsNone(by_name["nobody"]["address"])

    def test_each_has_lines_and_a_summary(self):
        result = self.run_all()
        self.assertEqual(result.status, 1)
        for name in ("web", "dns"):
            self.assertRegex(result.output, rf"(?m)^{name}: 64 bytes from 127\.0\.0\.1:\d+: seq=3 ")
            self.assertRegex(result.output, rf"(?m)^--- {name}: .+ ---\n3 sent, 3 received")
        self.assertRegex(result.text, r"(?m)^liar: seq=1 corrupted: ")
        self.assertRegex(result.text, r"(?m)^gone: seq=1 unsent: .+refused")
        self.assertRegex(result.output, r"(?m)^--- nobody: .+ ---\n3 sent, 0 received")

    def test_the_worst_decides_for_a_plugin(self):
        result = self.run_all("--plugin")
        lines = result.output.splitlines()
        self.assertEqual(result.status, 2)
        self.assertRegex(lines[0], r"^ECHO CRITICAL - 3 of 6 targets OK \| 'web rtt'=0\.\d+s;")
        self.assertEqual([line.split(" - ")[0] for line in lines[1:]],
                         ["web OK", "dns OK", "local OK", "liar CRITICAL", "gone CRITICAL",
                          "nobody CRITICAL"])

    def test_records_tell_whose_they_are(self):
        path = f"{self.sockets}/lines"
        result = self.run_all("--csv", "-", "--json-lines", path)
        rows = list(csv.DictReader(io.StringIO(result.output)))
        with open(path, encoding="ascii") as file:
            objects = [json.loads(line) for line in file]
        for name in ("web", "dns", "local", "liar", "gone", "nobody"):
            self.assertEqual(sum(row["name"] == name for row in rows), 3)
            self.assertEqual([each["type"] for each in objects if each["name"] == name],
                             3 * ["message"] + ["summary"])


class OutageTest(TargetsTestCase):

    def test_one_that_comes_back_is_counted_and_the_others_go_on(self):
        port = harness.free_port()
        with Echod() as steady:
            file = self.file_of(steady=steady.addresses[0], weak=f"127.0.0.1:{port}")
            with Prober("--targets", file, *PACE, *SHORT) as run:
                run.read_until(r"weak: seq=\d+ unsent: .*refused")
                with Echod(listen=f"127.0.0.1:{port}") as weak:
                    run.read_until(r"weak: 64 bytes")
                    kill(weak)
                run.read_until(r"weak: seq=\d+ unsent")
                run.read_until(r"steady: 64 bytes")
                with Echod(listen=f"127.0.0.1:{port}"):
                    run.read_until(r"weak: 64 bytes")
                    result = run.end()
        self.assertEqual(result.status, 1)
        self.assertRegex(result.output, r"--- weak: .+ ---\n.+\n2 outages, ")
        self.assertRegex(result.output, r"--- steady: .+ ---\n(\d+) sent, \1 received, 0 lost")

    def test_a_name_that_is_found_later_or_elsewhere_is_followed(self):
        prefix = self.with_file("/etc/hosts", "127.0.0.1 localhost\n")
        hosts = prefix[-1].split()[2]

        def write(text):
            with open(hosts, "w", encoding="ascii") as file:
                file.write(text)

        with Echod() as first:
            port = harness.port_of(first.addresses[0])
            file = self.file_of(tcp=f"moving.test:{port}")
            with Prober("--targets", file, *PACE, *SHORT, prefix=prefix) as run:
                run.read_until(r"tcp: seq=\d+ unsent: moving\.test: ")
                write("127.0.0.1 moving.test\n")
                run.read_until(rf"tcp: 64 bytes from 127\.0\.0\.1:{port}")
                kill(first)
                with Echod(listen=f"127.0.0.2:{port}"):
                    write("127.0.0.2 moving.test\n")
                    run.read_until(rf"tcp: 64 bytes from 127\.0\.0\.2:{port}")
                    result = run.end()
        self.assertEqual(result.status, 1)


class SlowNameTest(TargetsTestCase):
    """A name that nobody has looked up yet is a target that is down."""

    def setUp(self):
        self.prefix = self.with_file("/etc/hosts", "")
        self.hosts = self.prefix[-1].split()[2]
        os.remove(self.hosts)
        os.mkfifo(self.hosts)  # a look-up waits until somebody opens it to write

    def probe_slowly(self, target, *arguments):
        """Probe what is not looked up at all, and return the figures."""
        result = probe("--targets", self.file_of(slow=target), "--json", *arguments,
                       prefix=self.prefix)
        figures = result.json()
        self.assertEqual(figures["sent"], figures["lost"])
        self.assertEqual(figures["unsent"], figures["lost"])
        self.assertEqual(figures["received"], 0)
        self.assertGreater(result.status, 0)
        return figures

    def test_what_is_due_before_the_end_is_counted(self):
        for scheme in ("tcp", "udp"):
            for mode, least in ((("-i", "20ms"), 5), (("--rate", "50/s", "-P", "2"), 5),
                                (("-i", "0"), 1)):
                for limit in ("100ms", "1h"):
                    with self.subTest(scheme=scheme, mode=mode, limit=limit):
                        figures = self.probe_slowly(f"{scheme}://slow.test:7007", *mode,
                                                    "-W", limit, "--deadline", "500ms")
                        self.assertGreaterEqual(figures["sent"], least)
                        self.assertGreater(figures["outages"], 0)

    def test_a_count_and_a_duration_end_it(self):
        for mode, count in ((("-i", "20ms", "-c", "10"), 10), (("-i", "0", "-c", "3"), 3),
                            (("-i", "20ms", "-d", "400ms"), 20)):
            with self.subTest(mode=mode):
                figures = self.probe_slowly("slow.test:7007", *mode, "-W", "100ms")
                self.assertEqual(figures["sent"], count)


class RefusalTest(TargetsTestCase):

    def test_what_does_not_fit_is_refused(self):
        file = self.file_of(web="127.0.0.1:13265", same="unix:///run/echo", bad="udp://[::1")
        for arguments, sentence in (
                (("--targets", file), rf"^echoprobe: {file}:3: "),
                (("--targets", f"{file}.none"), rf"^echoprobe: {file}\.none: No such file"),
                (("--targets", file, "127.0.0.1"), r"--targets: names the targets"),
                (("--targets", file, "--hold", "1s"), r"--targets: is for messages"),
                (("--targets", file, "--histogram", "x"), r"--histogram: holds")):
            result = probe(*arguments)
            self.assertEqual(result.status, 64, result.text)
            self.assertRegex(result.errors, sentence)


class RenewalTest(TargetsTestCase):
    """HUP reads the file again; what then becomes of the metrics is test_echoprobe_metrics'."""

    def test_what_the_system_refuses_to_new_ones_changes_nothing(self):
        if harness.SANITIZED:
            self.skipTest("sanitizers have system calls of their own")
        if not os.path.exists(failing_calls.LIBRARY):
            self.skip_without(failing_calls.LIBRARY)
        directory = self.temporary_directory()
        calls = failing_calls.FailingCalls(f"{directory}/calls")
        prefix = ("env", *(f"{name}={value}" for name, value in calls.environment.items()))

        def refused(sentence):
            run.signal(signal.SIGHUP)
            self.assertEqual(run.error_line(),
                             f"echoprobe: {sentence}; the targets stay as they were\n")

        with Echod() as server:
            address = server.addresses[0]
            path = self.file_of(steady=address)
            with Prober("--targets", path, "--csv", f"{directory}/csv", *PACE, *SHORT,
                        prefix=prefix) as run:
                run.read_until("^steady: 64 bytes")
                self.file_of(path, steady=address, new=address)
                calls.fail("socket", "ENFILE", 1)
                refused("cannot open a socket: Too many open files in system")
                calls.stop()
                hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
                before = resource.prlimit(run.pid, resource.RLIMIT_NOFILE, (18, hard))
                refused("the limit of open files is 18, but these targets need about 22; "
                        "raise it (prlimit --nofile), or write fewer of them")
                resource.prlimit(run.pid, resource.RLIMIT_NOFILE, before)
                run.signal(signal.SIGHUP)
                run.read_until("^new: 64 bytes")
                result = run.end()
        self.assertEqual((result.status, result.errors), (0, ""))
        with open(f"{directory}/csv", encoding="ascii") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual({row["name"] for row in rows}, {"steady", "new"})
        self.assertEqual(len({(row["name"], row["connection"]) for row in rows}), 2)
        self.assertEqual(len({row["connection"] for row in rows}), 2)


if __name__ == "__main__":
    harness.main()
