"""
test_prometheus: a real Prometheus scrapes echod and echoprobe, as the manual and what is shipped say.
What the metrics tell is in test_metrics and test_echoprobe_metrics; when an alert is raised, there too.
Run by `run`, by automake, or alone.
"""

import json
import os
import re
import shutil
import time
import urllib.parse
import urllib.request

import harness
from admin_client import AdminTestCase
from test_echoprobe_metrics import Prober

ROOT = os.path.join(harness.HERE, "../..")
SHIPPED = f"{ROOT}/packaging/prometheus"
OFTEN = "global: {scrape_interval: 500ms, evaluation_interval: 500ms}\n"
ALERT = r"^ +- alert: (\w+)$"


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def sections(text):
    """What stands below rule_files and below scrape_configs."""
    return re.search(r"^rule_files:\n((?: .*\n)+)\n?scrape_configs:\n((?: .*\n)+)", text,
                     re.M).groups()


def configuration(echod_port, echoprobe_port):
    """That of echod-metrics(7) and that of echoprobe.yml in one, but for the ports and the pace."""
    ours = sections(read(f"{ROOT}/doc/echod-metrics.7").replace(":9265", f":{echod_port}"))
    others = sections(read(f"{SHIPPED}/echoprobe.yml").replace(":9266", f":{echoprobe_port}"))
    return (f"{OFTEN}rule_files:\n{ours[0]}{others[0]}"
            f"scrape_configs:\n{ours[1]}{others[1]}")


class Prometheus(harness.LoggedProcess):
    """One that keeps what it has in a directory, where its configuration is."""

    def __init__(self, program, directory):
        super().__init__([program, f"--config.file={directory}/prometheus.yml",
                          f"--storage.tsdb.path={directory}/data",
                          "--web.listen-address=127.0.0.1:0"], "prometheus",
                         env={**os.environ, "GOMAXPROCS": "1"})

    def wait_until_ready(self):
        self._address = self.log.wait_for(r'msg="Listening on" address=(\S+)')[1]
        self.log.wait_for("Server is ready to receive web requests")

    def ask(self, path, **parameters):
        """Ask its API and return the data of the answer; not too often, it takes 5 s to begin."""
        time.sleep(0.05)
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=harness.PATIENCE_SECONDS) as answer:
            return json.load(answer)["data"]

    def labels(self, query, label):
        """The values of a label where the query holds, in their order."""
        return sorted(row["metric"][label] for row in self.ask("query", query=query)["result"])

    def rules(self):
        """The health of each rule by its name."""
        return {rule["name"]: rule["health"] for group in self.ask("rules")["groups"]
                for rule in group["rules"]}


class Scraped(AdminTestCase):

    def setUp(self):
        super().setUp()
        self.program = self.need_program("prometheus")

    def start(self, echod, prober):
        """A Prometheus that has their addresses, once the block begins."""
        admin = echod.log.wait_for(r"operators are answered at tcp://127\.0\.0\.1:(\d+)")[1]
        for name in ("echod.rules.yml", "echoprobe.rules.yml"):
            shutil.copy(f"{SHIPPED}/{name}", self.directory)
        with open(f"{self.directory}/prometheus.yml", "w", encoding="ascii") as file:
            file.write(configuration(admin, harness.port_of(prober.url)))
        return Prometheus(self.program, self.directory)

    def test_both_are_scraped_and_every_rule_is_evaluated(self):
        targets = f"{self.directory}/targets"
        with harness.Echod("--admin", "127.0.0.1:0", listen="127.0.0.1:0,name=public") as echod:
            with open(targets, "w", encoding="ascii") as file:
                file.write(f"web {echod.addresses[0]}\n")
            with Prober("--targets", targets, "-i", "100ms", "-q") as prober, \
                    self.start(echod, prober) as prometheus:
                for query, label, values in (
                        ("up == 1", "job", ["echod", "echoprobe"]),
                        ("echoprobe_up == 1", "target", ["web"]),
                        ("echoprobe_messages_received_total > 1", "target", ["web"]),
                        ("echod_connections_accepted_total == 1", "listener", ["public"])):
                    harness.wait_until(lambda: prometheus.labels(query, label) == values, query)
                names = re.findall(ALERT, read(f"{SHIPPED}/echod.rules.yml")
                                   + read(f"{SHIPPED}/echoprobe.rules.yml"), re.M)
                self.assertGreater(len(names), 10)
                harness.wait_until(lambda: prometheus.rules() == dict.fromkeys(names, "ok"),
                                   "every rule was evaluated")
                self.assertEqual(prometheus.log.find("level=(warn|error)"), [])
                self.assertEqual(prober.end().status, 0)


if __name__ == "__main__":
    harness.main()
