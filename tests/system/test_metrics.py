"""
test_metrics: GET /metrics tells what clients did, in forms that monitoring systems read, under the
names that the manual has; the alerts and the dashboard use no others.
Run by make check.
"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess

import certificates
import harness
import tls_client

ROOT = os.path.join(harness.HERE, "../..")
RULES = f"{ROOT}/packaging/prometheus/echod.rules.yml"
DASHBOARD = f"{ROOT}/packaging/grafana/echod.json"
OPENMETRICS = "application/openmetrics-text"
ADMIN_LINE = r"operators are answered at tcp://127\.0\.0\.1:(\d+)"

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL})(?:,(?:{LABEL}))*)\}})? (\d+(?:\.\d+)?)")
SUFFIXES = {
    "counter": ("_total",), "gauge": ("",), "info": ("_info",),
    "histogram": ("_bucket", "_sum", "_count"),
}


class Metrics:
    """
    A scrape that was read, and is as the format demands: metrics each in one piece, no series twice,
    and histograms that add up.

    types      by the name of a metric, as its samples have it: of a histogram without suffix
    samples    values by name and labels
    """

    def __init__(self, text, is_openmetrics):
        self._is_openmetrics = is_openmetrics
        self.types = {}
        self.samples = {}
        self._metric = None
        if is_openmetrics:
            text, end = text[:-6], text[-6:]
            assert end == "# EOF\n", end
        assert text.endswith("\n")
        for line in text[:-1].split("\n"):
            self._read(line)
        for name, kind in self.types.items():
            if kind == "histogram":
                self._check_histogram(name)

    def _read(self, line):
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            getattr(self, f"_read_{what.lower()}")(name, rest)
            return
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.group(1), match.group(2) or "", float(match.groups()[-1])
        kind = self._metric[1]
        assert name in [self._base(suffix) for suffix in SUFFIXES[kind]], (line, self._metric)
        key = (name, tuple(sorted(match.groups() for match in re.finditer(LABEL, labels))))
        assert key not in self.samples, line
        self.samples[key] = value

    def _base(self, suffix):
        """The name of a sample of the metric that is being read."""
        return self._metric[0] if suffix == "" else self._metric[0] + suffix

    def _read_help(self, name, text):
        assert text.endswith("."), text
        self._metric = [name, None]

    def _read_type(self, name, kind):
        assert self._metric == [name, None], name
        full_name = name + SUFFIXES[kind][0] if kind in ("counter", "info") else name
        if not self._is_openmetrics:  # it describes samples
            full_name = name
            if kind == "counter":
                assert name.endswith("_total"), name
                name = name[:-len("_total")]
        self._metric = [name, kind]
        assert full_name not in self.types, name
        self.types[full_name] = kind if not full_name.endswith("_info") else "info"

    def _read_unit(self, name, unit):
        assert self._is_openmetrics and name == self._metric[0] and name.endswith(f"_{unit}"), name

    def _check_histogram(self, name):
        buckets = {}
        for (sample, labels), value in self.samples.items():
            if sample == f"{name}_bucket":
                bounds = dict(labels)
                bound = float(bounds.pop("le"))
                buckets.setdefault(tuple(sorted(bounds.items())), []).append((bound, value))
        for labels, pairs in buckets.items():
            assert pairs == sorted(pairs), (name, pairs)
            assert [count for _, count in pairs] == sorted(count for _, count in pairs), pairs
            assert pairs[-1] == (float("inf"), self.samples[(f"{name}_count", labels)]), pairs
            assert (f"{name}_sum", labels) in self.samples

    def get(self, name, **labels):
        """The value of one sample."""
        return self.samples[(name, tuple(sorted(labels.items())))]

    def values_of_labels(self):
        """By the name of a metric, the values of those labels that have few."""
        values = {}
        for name, labels in self.samples:
            for label, value in labels:
                if label in ("reason", "kind", "result", "direction"):
                    values.setdefault(name, set()).add(value)
        return values


def documented():
    """Names and label values of echod-metrics(7), in the form of Metrics."""
    names, values, name = set(), {}, None
    with open(f"{ROOT}/doc/echod-metrics.7", encoding="ascii") as manual:
        for line in manual:
            item = re.match(r"\.It Li ((?:echod|process)_\w+)", line)
            if item:
                name = item.group(1)
                assert name not in names, name
                names.add(name)
            value = re.match(r"\.It Cm (\w+)$", line)
            if value and name:
                values.setdefault(name, set()).add(value.group(1))
    return names, values


def names_in(text):
    """The metrics that a query names: of a histogram without the suffix of a bucket."""
    return {re.sub("_bucket$", "", name) for name in re.findall(r"\b(?:echod|process)_\w+", text)}


class MetricsTest(harness.TestCase):
    def scrape_text(self, echod, accept="*/*"):
        port = int(echod.log.wait_for(ADMIN_LINE).group(1))
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.PATIENCE_SECONDS)
        self.addCleanup(client.close)
        client.request("GET", "/metrics", headers={"Accept": accept})
        answer = client.getresponse()
        text = answer.read().decode()
        client.close()
        self.assertEqual(answer.status, 200, text)
        is_openmetrics = answer.getheader("Content-Type").startswith(OPENMETRICS)
        self.assertEqual(is_openmetrics, accept.startswith(OPENMETRICS))
        return text

    def scrape(self, echod, accept="*/*"):
        return Metrics(self.scrape_text(echod, accept), accept.startswith(OPENMETRICS))

    def serve_some(self, echod):
        """One client of a listener for connections, one that stays, and a datagram."""
        harness.finish(echod.connect(), b"0123456789")
        stays = echod.connect()
        harness.round_trip(stays, b"abcde")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(harness.PATIENCE_SECONDS)
            client.connect(("127.0.0.1", harness.port_of(echod.addresses[1])))
            client.send(b"abc")
            self.assertEqual(client.recv(100), b"abc")

    def has_settled(self, echod):
        """What a client has, the worker may have yet to count."""
        metrics, one = self.scrape(echod), {"listener": "public"}
        return (metrics.get("echod_connections_open", **one) == 1 and
                metrics.get("echod_connection_age_seconds_count", **one) == 1 and
                metrics.get("echod_connection_bytes_total", direction="out", **one) == 15 and
                metrics.get("echod_datagrams_total", direction="out", listener="other") == 1 and
                metrics.get("echod_worker_loop_lag_seconds_count", worker="1") > 0)

    def expect_counts(self, metrics):
        one = {"listener": "public"}
        self.assertEqual(metrics.get("echod_connections_accepted_total", **one), 2)
        self.assertEqual(metrics.get("echod_connections_open", **one), 1)
        self.assertEqual(
            metrics.get("echod_connections_ended_total", reason="client_closed", **one), 1)
        self.assertEqual(metrics.get("echod_connection_bytes_total", direction="in", **one), 15)
        self.assertEqual(metrics.get("echod_connection_bytes_total", direction="out", **one), 15)
        self.assertEqual(metrics.get("echod_connection_age_seconds_count", **one), 1)
        self.assertEqual(metrics.get("echod_datagrams_total", direction="in",
                                     listener="other"), 1)
        self.assertEqual(metrics.get("echod_datagram_bytes_total", direction="out",
                                     listener="other"), 3)
        self.assertEqual(metrics.get("echod_connections_limit"), 7)
        self.assertEqual(metrics.get("echod_listener_connections_limit", **one), 7)
        self.assertGreater(metrics.get("process_resident_memory_bytes"), 0)
        self.assertGreater(metrics.get("process_cpu_seconds_total"), 0)

    def expect_documented(self, metrics):
        names, values = documented()
        self.assertEqual(set(metrics.types), names)
        self.assertEqual(metrics.values_of_labels(), values)

    def expect_known(self, metrics):
        """Of the alerts and the dashboard."""
        with open(RULES, encoding="ascii") as rules:
            used = names_in(rules.read())
        self.assertGreater(len(used), 10)
        self.assertLessEqual(used, set(metrics.types))
        with open(DASHBOARD, encoding="ascii") as dashboard:
            used = names_in(json.dumps(json.load(dashboard)))
        self.assertGreater(len(used), 20)
        self.assertLessEqual(used, set(metrics.types))

    def test_a_scrape_tells_what_clients_did(self):
        listen = [f"{harness.LOOPBACK},name=public", "udp://127.0.0.1:0,name=other"]
        with harness.Echod("--admin", harness.LOOPBACK, "--workers", "2", "--max-connections", "7",
                           listen=listen) as echod:
            self.serve_some(echod)
            harness.wait_until(lambda: self.has_settled(echod), "all of it was counted")
            text = self.scrape(echod)
            openmetrics = self.scrape(echod, OPENMETRICS)
            self.expect_counts(text)
            self.expect_counts(openmetrics)
            self.assertEqual(text.types, openmetrics.types)
            self.assertEqual(set(text.samples), set(openmetrics.samples))
            self.expect_documented(text)
            self.expect_known(text)
            self.check_with_promtool(self.scrape_text(echod))
            echod.close_clients()

    def check_with_promtool(self, text):
        """Where it is installed, as in .ci/run."""
        promtool = shutil.which("promtool")
        if promtool is None and os.environ.get("ECHOD_TEST_NO_SKIP") != "1":
            return
        run = subprocess.run([promtool, "check", "metrics"], input=text.encode(), check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((run.returncode, run.stdout.decode()), (0, ""))

    def test_the_end_of_a_certificate_is_told(self):
        path = certificates.Authority(self.temporary_directory()).issue("/CN=localhost", days=50)
        address = f"tls://127.0.0.1:0,cert={path},name=secret"
        if not tls_client.can_serve():
            self.skipTest("echod was built without OpenSSL")
        with harness.Echod("--admin", harness.LOOPBACK, listen=address) as echod:
            metrics = self.scrape(echod)
            left = metrics.get("echod_tls_certificate_expiry_timestamp_seconds", listener="secret") \
                - metrics.get("process_start_time_seconds")
            self.assertAlmostEqual(left / 86400, 50, delta=0.1)

    def test_alerts_are_raised_when_something_is_wrong_and_only_then(self):
        promtool = self.need_program("promtool")
        directory = self.temporary_directory()
        shutil.copy(RULES, directory)
        shutil.copy(f"{harness.HERE}/echod.rules.test.yml", directory)
        run = subprocess.run([promtool, "test", "rules", "echod.rules.test.yml"], check=False,
                             cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(run.returncode, 0, run.stdout.decode())


if __name__ == "__main__":
    harness.main()
