"""
hostile: hostile clients of every kind at once beside polite ones, and what becomes of these.
What the hostile ones do stands in `attackers`.
Called by `make check-hostile`, and by test_hostile.py for a tenth of them.

The polite ones and the operator must get all that is theirs; memory must stay below its bound; and
echod must have counted whom it refused as often as they were refused. How long an echo takes is
measured while there is quiet, while the same attack goes to another echod on this machine, and
while it goes to the same one: the second tells what the attackers themselves take of the CPUs.

Usage: hostile.py [--seconds N] [ECHOD'S OPTION...]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import admin_client
import certificates
import forgery
import harness
import tls_client
from admin_client import ask
from harness import KIB, MIB, Echod, Process

ATTACKERS = os.path.join(harness.HERE, "attackers.py")
POLITE, POLITE_RATE = 50, 2000  # clients, and what they send in a second
LIMIT = 50                      # of the listener where most are one too many
HIGH_WATER = 256 * KIB          # the default
ALLOWANCE = 16 * KIB            # what a connection may cost besides
MOST_SLOWDOWN = 2

# What all of them are at full strength.
STRENGTH = {"never_readers": 1000, "drippers": 1000, "resetters": 100000, "beyond_limit": 5000,
            "junk_tls": 2000, "junk_proxy": 5000, "slow_operators": 1000, "forgers": 50000}

# What is said to a listener for TLS: nothing like it, another protocol, the beginning of a ClientHello
# that is none, one of a record that is too long.
JUNK_TLS = (os.urandom(600), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x40\x01" + bytes(63),
            b"\x16\x03\x01\xff\xff" + bytes(100))
JUNK_PROXY = (b"PROXY TCP4 1.2.3.4\r\n", b"PROXY TCP9 1.2.3.4 1.2.3.4 1 1\r\n", b"x" * 200,
              b"\r\n\r\n\0\r\nQUIT\n\xff\xff\xff\xff", b"PROXY UNKNOWN " + b"y" * 200)

# A small machine has no room for a thousand clients with all that the system lets a socket hold.
SETUP = (f"{forgery.LOOPBACK_ALONE} && "
         "echo '4096 16384 65536' >/proc/sys/net/ipv4/tcp_wmem && "
         "echo '4096 65536 65536' >/proc/sys/net/ipv4/tcp_rmem")


class Target:
    """An echod with a listener for each kind, and an operator."""

    NAMES = ("plain", "limited", "proxy", "udp", "tls")

    def __init__(self, directory, options=()):
        self.admin = f"unix://{directory}/admin"
        listen = ["tcp://127.0.0.1:0,name=plain",
                  f"tcp://127.0.0.1:0,name=limited,max-connections-per-source={LIMIT}",
                  "tcp://127.0.0.1:0,name=proxy,proxy=any", "udp://127.0.0.1:0,name=udp"]
        if tls_client.can_serve():
            certificate = certificates.Authority(directory).issue("/CN=localhost")
            listen.append(f"tls://127.0.0.1:0,name=tls,cert={certificate}")
        self._names = self.NAMES[:len(listen)]
        self.echod = Echod("--write-timeout", "1h", "--max-queued", "8GiB", "--admin", self.admin,
                           *options, listen=listen)

    def __enter__(self):
        self.echod.__enter__()
        return self

    def __exit__(self, *exception):
        self.echod.__exit__(*exception)

    def address(self, name):
        return self.echod.addresses[self._names.index(name)]

    def has(self, name):
        return name in self._names

    def most_resident_bytes(self):
        """The most that ever was."""
        with open(f"/proc/{self.echod.pid}/status", encoding="ascii") as file:
            return int(re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.M).group(1)) * KIB

    def counters(self):
        """What each listener has counted, by its name, with how many connections are open."""
        return {one["name"]: {**one["counters"], "open": one.get("open", 0)}
                for one in ask(self.admin, "/status").json["listeners"]}

    def wait_until_all_have_left(self):
        """Return the counters then."""
        def counters_of_nobody():
            counters = self.counters()
            return not any(one["open"] for one in counters.values()) and counters

        return harness.wait_until(counters_of_nobody, "all have left")


class Polite:
    """Clients who say little, wait for their echo and check it."""

    def __init__(self, target, seconds):
        self._process = Process(
            [harness.ECHOPROBE, "--json", "-P", str(POLITE), "--rate", f"{POLITE_RATE}/s", "-d",
             f"{seconds:g}", "-W", "1m", target.address("plain")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def end(self):
        """Wait until they are done, and return what they saw."""
        with self._process:
            seen = json.loads(self._process.stdout.read())
            self._process.wait_for_exit(0)
        assert seen["received"] == seen["sent"] > 0 and seen["connects"] == POLITE, seen
        return seen


class Attack:
    """The hostile ones, at a share of their strength, for some seconds."""

    def __init__(self, target, share, seconds):
        command = [sys.executable, ATTACKERS, json.dumps(
            {"seconds": seconds, "kinds": self._plan(target, share, seconds)})]
        self._process = Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def _plan(target, share, seconds):
        counts = {name: int(count * share) for name, count in STRENGTH.items()}
        where = {"beyond_limit": "limited", "junk_tls": "tls", "junk_proxy": "proxy",
                 "forgers": "udp"}
        more = {"drippers": {"seconds": seconds}, "forgers": {"source": ("127.0.0.9", 7)},
                "beyond_limit": {"words": [b"ping".hex()]},
                "junk_tls": {"words": [word.hex() for word in JUNK_TLS]},
                "junk_proxy": {"words": [word.hex() for word in JUNK_PROXY]}}
        return {name: {"address": target.admin if name == "slow_operators" else
                       target.address(where.get(name, "plain")),
                       "count": count, **more.get(name, {})}
                for name, count in counts.items() if target.has(where.get(name, "plain"))}

    def __enter__(self):
        self._expect("here")
        return self

    def __exit__(self, *exception):
        self._process.kill()

    def _expect(self, word):
        line = self._process.stdout.readline()
        assert line == f"{word}\n", f"the attackers do not say that they are {word}"

    def wait_until_done(self):
        self._expect("done")

    def end(self):
        """Send them away, and return what each kind saw."""
        self._process.stdin.close()
        seen = json.loads(self._process.stdout.readline())
        self._process.wait_for_exit(0)
        return seen


class Operator:
    """One who asks again and again; notes the slowest answer."""

    def __init__(self, target):
        self.slowest_seconds = 0.0
        self.answers = 0
        self._target = target
        self._is_over = False
        self._asking = harness.Background(self._ask)

    def _ask(self):
        while not self._is_over:
            begin = time.monotonic()
            harness.wait_until(self._is_answered, "an operator gets an answer")
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begin)
            self.answers += 1
            time.sleep(0.1)

    def _is_answered(self):
        try:
            return ask(self._target.admin, "/status").status == 200
        except BlockingIOError:  # Python does not wait for room in the backlog of a Unix socket
            return False

    def end(self):
        self._is_over = True
        self._asking.result()
        return self


def expected_counters(seen, polite_clients):
    """What each listener has to have counted of the clients, by what these saw."""
    def connected(name):
        return seen[name]["connected"]

    refused = connected("beyond_limit") - LIMIT
    expected = {
        "plain": {
            "accepted": polite_clients + sum(map(connected, (
                "never_readers", "drippers", "resetters"))),
            "ended_client_closed": polite_clients + connected("drippers"),
            "ended_reset_by_client": connected("never_readers") + connected("resetters")},
        "limited": {"accepted": LIMIT, "refused_source_full": refused,
                    "ended_client_closed": LIMIT},
        "proxy": {"accepted": connected("junk_proxy"), "proxy_invalid": connected("junk_proxy"),
                  "ended_bad_proxy_header": connected("junk_proxy")},
        "udp": {"datagrams_out": 0},
    }
    if "junk_tls" in seen:
        expected["tls"] = {"accepted": connected("junk_tls"), "tls_failed": connected("junk_tls"),
                           "ended_tls_error": connected("junk_tls")}
    return expected


def check_counters(counters, seen, polite_clients):
    """Hold what was counted to what was seen."""
    for listener, expected in expected_counters(seen, polite_clients).items():
        counted = {name: counters[listener][name] for name in expected}
        assert counted == expected, f"{listener} counted {counted}, the clients {expected}"
    assert 0 < counters["udp"]["from_low_port"] <= seen["forgers"]["sent"]  # the system drops some
    limited = seen["beyond_limit"]
    assert limited["reset"] == counters["limited"]["refused_source_full"], limited
    assert limited["still_here"] == LIMIT, limited
    for name in {"junk_proxy", "junk_tls"} & set(seen):
        assert seen[name]["still_here"] == 0, seen[name]
    assert seen["drippers"]["echoed_bytes"] == seen["drippers"]["sent_bytes"], seen["drippers"]


def memory_bound(base_bytes, seen):
    connections = POLITE + seen["never_readers"]["connected"] + seen["drippers"]["connected"]
    return base_bytes + connections * (HIGH_WATER + ALLOWANCE)


class Outcome:
    """What came of an attack."""

    def __init__(self, target, share, seconds, visits_before=0):
        base_bytes = target.echod.resident_bytes()
        with Attack(target, share, seconds) as attack:
            operator, polite = Operator(target), Polite(target, seconds)
            attack.wait_until_done()
            self.polite, self.operator = polite.end(), operator.end()
            self.used_bytes = target.most_resident_bytes()
            self.seen = attack.end()
        self.bound_bytes = memory_bound(base_bytes, self.seen)
        self.counters = target.wait_until_all_have_left()
        check_counters(self.counters, self.seen, POLITE * (visits_before + 1))
        if not harness.SANITIZED:
            assert self.used_bytes < self.bound_bytes, (self.used_bytes, self.bound_bytes)

    def show(self):
        for name, counts in self.seen.items():
            print(f"{name}: " + ", ".join(f"{key} {value:,}" for key, value in counts.items()))
        print(f"memory: {self.used_bytes / MIB:.0f} MiB at most, bound {self.bound_bytes / MIB:.0f} MiB")
        print(f"operator: {self.operator.answers} answers, the slowest after "
              f"{1000 * self.operator.slowest_seconds:.0f} ms")
        print("what was counted is what was seen")


def p99_ms(seen):
    return seen["rtt_us"]["p99"] / 1000


def measure(directory, options, seconds):
    """The attack at full strength, beside what it is compared with; return whether all is well."""
    with Target(directory, options) as target:
        quiet = Polite(target, seconds / 2).end()
        with tempfile.TemporaryDirectory(prefix="echod-") as other, Target(other, options) as victim, \
                Attack(victim, 1, seconds) as attack:
            reference = Polite(target, seconds).end()
            attack.wait_until_done()
        outcome = Outcome(target, 1, seconds, visits_before=2)
    outcome.show()
    times = p99_ms(quiet), p99_ms(reference), p99_ms(outcome.polite)
    print("p99 of {:,} echoes: quiet {:.2f} ms, beside an attack on another echod {:.2f} ms, "
          "attacked {:.2f} ms".format(outcome.polite["received"], *times))
    return times[2] <= MOST_SLOWDOWN * max(times[:2])


def main():
    parser = argparse.ArgumentParser(description="Attack an echod, and see what others notice.")
    parser.add_argument("--seconds", type=float, default=20)
    arguments, options = parser.parse_known_args()
    if not admin_client.can_serve():
        sys.exit("this echod was built without an admin endpoint")
    if not forgery.is_inside():
        sys.exit(forgery.enter_namespace(SETUP))
    with tempfile.TemporaryDirectory(prefix="echod-") as directory:
        is_well = measure(directory, options, arguments.seconds)
    print(f"of CPUs {sum(os.times()[:4]):.0f} s")
    sys.exit(0 if is_well else "the polite clients were slowed down")


if __name__ == "__main__":
    main()
