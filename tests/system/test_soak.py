"""
test_soak: after a busy time of clients of every kind, with reloads, scrapes and an operator who ends
some, each counter is what the clients counted.
Run by make check; with ECHOD_TEST_SOAK=N it is N times as long.
"""

import json
import os
import subprocess

import certificates
import harness
from admin_client import AdminTestCase, ask

MESSAGES = 1000 * int(os.environ.get("ECHOD_TEST_SOAK", "1"))
SIZE = 100

# What the listeners are told, and how they are loaded: by connections that last, by some that are
# replaced with each message, and by sockets.
LISTENERS = {
    "plain": ("tcp://127.0.0.1:0", [[], ["--churn"]]),
    "shared": ("tcp://127.0.0.1:0,rate-limit=1GiB/s", [[], ["--churn"]]),
    "late": ("tcp://127.0.0.1:0,delay=1ms", [["--window", "100"]]),
    "secret": ("tls://127.0.0.1:0,cert=CERT", [["--insecure"], ["--insecure", "--churn"]]),
    "datagrams": ("udp://127.0.0.1:0", [[]]),
}


class Load:
    """An echoprobe that loads one listener, and counts."""

    def __init__(self, name, address, arguments):
        self.name = name
        self._process = subprocess.Popen(
            [harness.ECHOPROBE, "--json", "-c", str(MESSAGES), "-s", str(SIZE), "-P", "4",
             "-W", "1m", *arguments, address], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def is_running(self):
        return self._process.poll() is None

    def end(self):
        with self._process:
            summary = json.loads(self._process.stdout.read())
        assert self._process.returncode == 0, summary
        return summary


class SoakTest(AdminTestCase):

    def setUp(self):
        super().setUp()
        self.listeners = dict(LISTENERS)
        tried = harness.run_echod("--check", "--listen", "tls://127.0.0.1:0,cert=missing.pem")
        if "built without OpenSSL" in tried.stderr:
            del self.listeners["secret"]
        self.config = os.path.join(self.directory, "echod.conf")
        self.write_config(self.config)

    def write_config(self, path):
        certificate = certificates.Authority(self.directory).issue("/CN=localhost") \
            if "secret" in self.listeners else ""
        with open(path, "w", encoding="ascii") as file:
            for name, (address, _) in self.listeners.items():
                file.write(f"listen {address},name={name}\n".replace("CERT", certificate))

    def counters(self):
        """The counters of each listener."""
        return {listener["name"]: listener["counters"]
                for listener in ask(f"unix://{self.path}", "/status").json["listeners"]}

    def disturb(self, server, index):
        """Do once what must not change what others are told; count one end of each kind."""
        operator = f"unix://{self.path}"
        self.assertEqual(200, ask(operator, "/reload", "POST").status)
        self.assertEqual(200, ask(operator, "/metrics").status)
        harness.reset(server.connect(index))
        client = server.connect(index)
        harness.round_trip(client, bytes(SIZE))
        ours = "%s:%d" % client.getsockname()
        found = ask(operator, f"/connections?listener=plain&peer={ours.rpartition(':')[0]}&limit=1000")
        ids = [one["id"] for one in found.json["connections"] if one["peer"] == ours]
        self.assertEqual(200, ask(operator, f"/connections/{ids[0]}", "DELETE").status)
        self.assertEqual(b"", harness.receive_all(client))
        client.close()

    def test_every_counter_is_what_the_clients_counted(self):
        with self.serve("--workers", "2", "--rate-limit-total", "8GiB/s", listen=None,
                        config=self.config, ready=len(self.listeners)) as server:
            names = list(self.listeners)
            loads = [Load(name, server.addresses[names.index(name)], arguments)
                     for name, (_, ways) in self.listeners.items() for arguments in ways]
            disturbances = 0
            while disturbances < 3 or any(load.is_running() for load in loads):
                self.disturb(server, names.index("plain"))
                disturbances += 1
            counted = [(load.name, load.end()) for load in loads]
            self.check(counted, disturbances)

    def check(self, counted, disturbances):
        """Hold the counters to what the clients have counted and what was done beside them."""
        expected = {name: self.expect([summary for of, summary in counted if of == name], name)
                    for name in self.listeners}
        plain = expected["plain"]
        plain["accepted"] += 2 * disturbances
        plain["in_bytes"] += SIZE * disturbances
        plain["out_bytes"] += SIZE * disturbances
        plain["ended_reset_by_client"] = plain["ended_closed_by_operator"] = disturbances
        self.assertEqual(expected, harness.wait_until(lambda: self.settled(expected), "all is told"))

    def expect(self, summaries, name):
        received = sum(summary["received"] for summary in summaries)
        self.assertEqual(received, sum(summary["sent"] for summary in summaries))
        if name == "datagrams":
            return {"datagrams_in": received, "datagrams_out": received,
                    "datagram_in_bytes": received * SIZE, "datagram_out_bytes": received * SIZE}
        connects = sum(summary["connects"] for summary in summaries)
        expected = {"accepted": connects, "in_bytes": received * SIZE,
                    "out_bytes": received * SIZE, "ended_client_closed": connects}
        return {**expected, "tls_handshakes": connects} if name == "secret" else expected

    def settled(self, expected):
        """Return the counters that are not zero, once so many have ended as were accepted."""
        told = {name: {key: value for key, value in counters.items() if value and
                       key not in ("tls_resumed", "held_back", "held_back_seconds")}
                for name, counters in self.counters().items()}
        for counters in told.values():
            ended = sum(value for key, value in counters.items() if key.startswith("ended_"))
            if ended != counters.get("accepted", 0):
                return None
        return told


if __name__ == "__main__":
    harness.main()
