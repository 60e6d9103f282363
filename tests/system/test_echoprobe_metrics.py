"""
test_echoprobe_metrics: echoprobe as a prober that Prometheus scrapes: what it tells of targets that
are well, lie, are down and come back.
The texts are check_target_metrics'; hostile scrapers are check_http_server's.
Run by `run`, by automake, or alone; there is one where there is libmicrohttpd.
"""

import re
import shutil
import signal
import subprocess
import time
import unittest
import urllib.error
import urllib.request

import broken_servers
import harness
from certificates import Authority
from harness import Echod, probe

SHORT = ("-W", harness.scaled_ms(300))
PACE = ("-i", "10ms", "-q")


def setUpModule():  # pylint: disable=invalid-name
    result = probe("--metrics", "127.0.0.1:0", "-c", "1", "127.0.0.1:1")
    if "built without libmicrohttpd" in result.errors:
        raise unittest.SkipTest("echoprobe was built without libmicrohttpd")


class Prober(harness.Process):
    """An echoprobe that serves metrics, until a signal ends it."""

    def __init__(self, *arguments):
        super().__init__([harness.ECHOPROBE, "--metrics", "127.0.0.1:0", *arguments],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
        line = self._popen.stderr.readline()
        match = re.fullmatch(r"echoprobe: metrics at (http://127\.0\.0\.1:\d+)/metrics\n", line)
        if match is None:
            raise AssertionError(line + self._popen.stderr.read())
        self.url = match.group(1)

    def error_line(self):
        return self._popen.stderr.readline()

    def get(self, path="/metrics", method="GET", **headers):
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=harness.PATIENCE_SECONDS) as answer:
            return answer.read().decode("ascii")

    def scrape(self):
        """Return the value of each sample."""
        lines = (line for line in self.get().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def value(self, metric, target, **labels):
        labels = {"target": target, **labels}
        text = ",".join(f'{name}="{value}"' for name, value in labels.items())
        return self.scrape()[f"echoprobe_{metric}{{{text}}}"]

    def wait_for(self, condition, what):
        """Scrape until this holds of the values, and return them."""
        found = []

        def holds():
            found[:] = [self.scrape()]
            return condition(found[0])

        harness.wait_until(holds, what)
        return found[0]

    def end(self):
        self.signal(signal.SIGINT)
        output, errors = self._popen.communicate(timeout=3 * harness.PATIENCE_SECONDS)
        return harness.ProbeResult(self._popen.returncode, output, errors)


def of(metric, target):
    return f'echoprobe_{metric}{{target="{target}"}}'


class ManyTest(harness.TestCase):

    def check_with_promtool(self, text):
        promtool = shutil.which("promtool")
        if promtool is not None:
            result = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                                    capture_output=True, check=False)
            self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""))

    def file_of(self, directory, **targets):
        path = f"{directory}/targets"
        with open(path, "w", encoding="ascii") as file:
            file.writelines(f"{name} {address}\n" for name, address in targets.items())
        return path

    def test_each_target_is_told_by_its_name(self):
        directory = self.temporary_directory()
        listen, more = [harness.LOOPBACK, "udp://127.0.0.1:0"], {}
        if shutil.which("openssl") and "without OpenSSL" not in probe("tls://localhost:1").errors:
            certificate = Authority(directory).issue("/CN=localhost", days=5)
            listen.append(f"tls://127.0.0.1:0,cert={certificate}")
        with Echod(listen=listen, may_log=".*") as server, \
                broken_servers.with_changed_bytes(64) as liar:
            if len(listen) > 2:
                more["tls"] = f"{server.addresses[2]},insecure"
            file = self.file_of(directory, web=server.addresses[0], dns=server.addresses[1],
                                liar=liar.address, gone=f"127.0.0.1:{harness.free_port()}", **more)
            with Prober("--targets", file, *PACE, *SHORT) as run:
                run.wait_for(lambda values: all(
                    values[of("messages_sent_total", name)] >= 3 and
                    values[of("messages_received_total", name)] +
                    values[of("messages_lost_total", name)] +
                    values[of("messages_corrupted_total", name)] >= 3
                    for name in ["web", "dns", "liar", "gone", *more]), "messages")
                values = run.scrape()
                for name, is_up in {"web": 1, "dns": 1, "liar": 0, "gone": 0}.items():
                    self.assertEqual(values[of("up", name)], is_up, name)
                self.assertGreater(values['echoprobe_faults_total{target="liar",kind="corrupted"}'],
                                   2)
                self.assertGreater(values[of("connection_failures_total", "gone")], 0)
                self.assertGreater(values[of("outages_total", "gone")], 0)
                self.assertNotIn(of("last_answer_timestamp_seconds", "gone"), values)
                self.assertLess(
                    abs(values[of("last_answer_timestamp_seconds", "web")] - time.time()), 60)
                if more:
                    days = (values[of("certificate_expiry_timestamp_seconds", "tls")] -
                            time.time()) / 86400
                    self.assertTrue(4 < days < 6, days)
                    self.assertGreater(values[of("tls_handshake_seconds_count", "tls")], 0)
                self.check_with_promtool(run.get())
                self.assertTrue(run.get(Accept="application/openmetrics-text").endswith("# EOF\n"))
                self.check_other_requests(run)
                run.end()

    def check_other_requests(self, run):
        for path, method, status in (("/", "GET", 404), ("/metrics", "POST", 405)):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                run.get(path, method)
            caught.exception.close()
            self.assertEqual(caught.exception.code, status)
        self.assertEqual(run.get(method="HEAD"), "")


class RenewalTest(harness.TestCase):
    """HUP reads the file of targets again."""

    def setUp(self):
        self.file = f"{self.temporary_directory()}/targets"

    def write(self, *lines):
        with open(self.file, "w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)

    def renew(self, run, *lines):
        self.write(*lines)
        run.signal(signal.SIGHUP)

    def test_targets_come_and_go_and_the_others_go_on(self):
        sent = of("messages_sent_total", "steady")
        with Echod() as server:
            address = server.addresses[0]
            steady = f"steady {address}"
            self.write(steady, f"old {address}", f"other {address}")
            with Prober("--targets", self.file, *PACE, *SHORT) as run:
                before = run.wait_for(lambda values: values[sent] >= 5, "messages")[sent]
                self.renew(run, "# another order", f"new {address}", f"{steady} # the same",
                           f"other {address},size=100")
                values = run.wait_for(
                    lambda values: values.get(of("messages_received_total", "new"), 0) >= 3, "new")
                self.assertNotIn(of("up", "old"), values)
                self.assertEqual(values[of("up", "other")], 1)
                self.assertEqual(values[of("connection_attempts_total", "steady")], 1)
                self.assertGreaterEqual(values[sent], before)
                self.assertEqual(values['echoprobe_reloads_total{result="done"}'], 1)
                self.renew(run, steady, f"new {address},pace=3")
                self.assertEqual(run.error_line(),
                                 f'echoprobe: {self.file}:2: "pace" is no option of a target; write '
                                 "for example interval=5s; the targets stay as they were\n")
                before = run.scrape()[sent]
                values = run.wait_for(lambda values: values[sent] > before, "messages")
                self.assertIn(of("up", "new"), values)
                self.assertEqual(values['echoprobe_reloads_total{result="refused"}'], 1)
                self.assertEqual(values["echoprobe_targets_last_reload_successful"], 0)
                result = run.end()
        self.assertEqual(result.status, 0)
        self.assertEqual(re.findall(r"(?m)^--- (\w+): ", result.output),
                         ["old", "other", "steady", "new", "other"])
        self.assertRegex(result.output, r"--- old: .+ ---\n(\d+) sent, \1 received, 0 lost")

    def test_ignored_it_stays_so(self):
        with Echod() as server:
            self.write(f"steady {server.addresses[0]}")
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            try:
                run = Prober("--targets", self.file, *PACE, *SHORT)
            finally:
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
            with run:
                self.renew(run, f"new {server.addresses[0]}")
                values = run.wait_for(lambda values: values[of("messages_sent_total", "steady")] > 40,
                                      "messages")
                self.assertNotIn(of("up", "new"), values)
                run.end()


class OneTest(harness.TestCase):

    def test_one_that_is_down_is_told_and_comes_back(self):
        port = harness.free_port()
        target = f"tcp://127.0.0.1:{port}"
        with Prober(f"127.0.0.1:{port}", "--json", *PACE, *SHORT) as run:
            values = run.wait_for(lambda values: values[of("messages_lost_total", target)] > 1,
                                  "a loss")
            self.assertEqual(values[of("up", target)], 0)
            self.assertEqual(values[of("messages_received_total", target)], 0)
            with Echod(listen=target) as server:
                first = run.wait_for(lambda values: values[of("up", target)] == 1, "an answer")
                server.signal(signal.SIGKILL)
                server.wait_for_exit(-signal.SIGKILL)
            second = run.wait_for(lambda values: values[of("up", target)] == 0, "an outage")
            run.wait_for(lambda values: values[of("outage_seconds_total", target)] >
                         second[of("outage_seconds_total", target)], "a longer outage")
            last = run.scrape()
            for name in first:
                if name.startswith("echoprobe_") and not name.startswith(
                        ("echoprobe_up", "echoprobe_last")):
                    self.assertGreaterEqual(last[name], first[name], name)
            figures = run.end().json()
        self.assertEqual(figures["outages"], 2)
        self.assertGreaterEqual(figures["received"], last[of("messages_received_total", target)])
        self.assertEqual(last[of("round_trip_seconds_count", target)],
                         last[of("messages_received_total", target)])

    def test_memory_does_not_grow_with_messages(self):
        if harness.SLOWNESS > 1:
            self.skipTest("a sanitizer keeps what was freed")
        with Echod() as server:
            target = server.addresses[0]
            with Prober(target, "-i", "0", "--window", "8", "-q") as run:
                def wait_for_messages(count):
                    run.wait_for(lambda values:
                                 values[of("messages_received_total", target)] > count, "messages")
                    return run.resident_bytes()

                before = wait_for_messages(1000)
                self.assertLess(wait_for_messages(30000) - before, 2 * harness.MIB)
                run.end()

    def test_an_address_that_is_taken_is_refused(self):
        with harness.listening_socket() as taken:
            address = harness.address_of(taken).replace("tcp://", "")
            result = probe("--metrics", address, "127.0.0.1:1")
        self.assertEqual(result.status, 71, result.text)
        self.assertRegex(result.errors, r"^echoprobe: --metrics: cannot listen on .+ in use\n$")


if __name__ == "__main__":
    harness.main()
