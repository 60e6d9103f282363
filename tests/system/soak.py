"""
soak: an echod under a mixed load for minutes or days, while its configuration changes, operators ask, and
some of its connections are ended; what it counted must be what its clients counted, and nothing may grow.
What the clients do stands in `mixed_load`.
Called by `make check-soak`, and by test_soak.py for two short rounds.

The load comes in rounds. At the end of each, when all but a few clients have left, every counter of every
listener is compared, and there are as many descriptors and threads as in the beginning. A line tells of
each round, and how memory went from round to round is judged at the end.

Usage: soak.py [--duration 20m] [--round 57] [--seed N] [ECHOD'S OPTION...]
"""

import argparse
import collections
import contextlib
import os
import random
import re
import signal
import statistics
import sys
import tempfile
import time

import admin_client
import certificates
import harness
import mixed_load
import tls_client
from admin_client import ask
from harness import KIB, MIB, Echod

WORKERS = 2
STEADY = 4            # clients who stay from the first round to the last
TURN_SECONDS = 0.5    # from one reload to the next
SETTLED_SECONDS = 3   # what a round takes besides its load, about

# Which reload has which of these, chance decides; no client may notice.
OPTIONS = ("idle-timeout 1h", "high-water 64KiB", "max-connections 500", "backlog 500", "drain-timeout 1m",
           "rate-limit 1GiB/s", "write-timeout 1m", "max-connections-per-source 500", "log-level warning")
PLAIN_OPTIONS = ("", ",idle-timeout=1h", ",nodelay=off", ",high-water=1MiB")

# Not what a client can count: how often and how long a limit of bytes a second held it back.
UNCOUNTED = {"held_back", "held_back_seconds"}

# By how much the memory that is in use under load, at most in a round, may be more in the last third of the
# rounds than in the second one; in the first, threads, tables and caches grow to their size. Medians, since
# it differs by 400 KiB from one round to the next; what is left while nobody is there differs by ten times
# that, as the C library keeps more or less of what was freed. From third to third 20 minutes have 200,000
# connections and 600 reloads, so this finds five bytes of each connection or two KiB of each reload.
MOST_GROWTH_BYTES = MIB
LEAST_ROUNDS = 6  # two in a third; in fewer, memory is told and not judged

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text):
    """"20m" or "24h" as seconds; a number without a unit is seconds."""
    number, unit = re.fullmatch(r"(\d+)([smhd]?)", text).groups()
    return int(number) * UNIT_SECONDS[unit or "s"]


def growth(amounts):
    """By how much the median of the last third is above that of the second one; None of too few."""
    third = len(amounts) // 3
    if len(amounts) < LEAST_ROUNDS:
        return None
    return statistics.median(amounts[-third:]) - statistics.median(amounts[-2 * third:-third])


def check_counters(counted, expected):
    """Fail unless both, Counters by the names of listeners, are the same."""
    for name in counted | expected:
        ours, theirs = (some.get(name, collections.Counter()) for some in (counted, expected))
        assert ours == theirs, \
            f"{name} counted {dict(ours - theirs)} more, and {dict(theirs - ours)} less, than its clients"


Row = collections.namedtuple(
    "Row", "connections bytes datagrams reloads loaded_bytes idle_bytes descriptors threads")


class Soak:
    """One echod, those who stay, and what has to have been counted until now."""

    def __init__(self, directory, seed, options=()):
        self._rng = random.Random(seed)
        self._config = f"{directory}/echod.conf"
        self._operator = f"unix://{directory}/admin"
        certificate = certificates.Authority(directory).issue("/CN=localhost") \
            if tls_client.can_serve() else None
        self._listeners = mixed_load.listeners(directory, certificate)
        self._sometimes = [f"tcp://127.0.0.1:{harness.free_port()}", f"unix://{directory}/sometimes"]
        self._expected = collections.defaultdict(collections.Counter)  # those of each listener
        self._reloads = 0
        self.rows = []
        self._write([], ["log-level info"])
        self._echod = Echod("--workers", str(WORKERS), "--rate-limit-total", "8GiB/s",
                            "--admin", self._operator, *options, config=self._config, listen=None,
                            ready=len(self._listeners))
        self._steady = []

    def __enter__(self):
        self._echod.__enter__()
        self.addresses = dict(zip(self._listeners, self._echod.addresses))
        self._descriptors = self._echod.descriptor_count() + STEADY
        self._threads = self._echod.thread_count()
        self._steady = [self._echod.connect(list(self._listeners).index("plain"))
                        for _ in range(STEADY)]
        self._expected["plain"]["accepted"] += STEADY
        return self

    def __exit__(self, *exception):
        self._echod.__exit__(*exception)

    # What happens beside the load.

    def _write(self, sometimes, options):
        with open(f"{self._config}.new", "w", encoding="ascii") as file:
            for name, address in self._listeners.items():
                more = self._rng.choice(PLAIN_OPTIONS) if name == "plain" else ""
                file.write(f"listen {address}{more}\n")
            file.writelines(f"listen {address}\n" for address in sometimes)
            file.writelines(f"{option}\n" for option in options)
        os.replace(f"{self._config}.new", self._config)

    def _reload(self, sometimes, options):
        """Let this be in effect, by a signal or by an operator, in turn."""
        self._write(sometimes, options)
        self._reloads += 1
        if self._reloads % 2:
            self._echod.signal(signal.SIGHUP)
        else:
            answer = ask(self._operator, "/reload", "POST")
            assert answer.status == 200, answer.text
        harness.wait_until(lambda: self._status()["reloads"] == self._reloads, "a reload is over")

    def _status(self):
        return ask(self._operator, "/status").json

    def _turn(self):
        """Another configuration; someone at the listeners that it brings; and what operators do."""
        sometimes = [one for one in self._sometimes if self._rng.random() < 0.5]
        self._reload(sometimes, self._rng.sample(OPTIONS, 3))
        for address in sometimes:
            with harness.connect(address) as client:
                harness.round_trip(client, bytes(mixed_load.SIZE))
            self._expected[address].update(mixed_load.served(1, mixed_load.SIZE))
        for path in ("/metrics", "/connections"):
            assert ask(self._operator, path).status == 200
        self._talk()
        self._end_one()

    def _talk(self):
        for client in self._steady:
            harness.round_trip(client, bytes(mixed_load.SIZE))
            self._expected["plain"].update(in_bytes=mixed_load.SIZE, out_bytes=mixed_load.SIZE)

    def _end_one(self):
        """Have an operator end a connection."""
        with harness.connect(self.addresses["plain"]) as client:
            harness.round_trip(client, bytes(mixed_load.SIZE))
            ours = "%s:%d" % client.getsockname()
            found = ask(self._operator, "/connections?listener=plain&limit=1000&peer=127.0.0.1").json
            ids = [one["id"] for one in found["connections"] if one["peer"] == ours]
            assert ask(self._operator, f"/connections/{ids[0]}", "DELETE").status == 200
            assert harness.receive_all(client) == b""
        self._expected["plain"].update(mixed_load.served(1, mixed_load.SIZE, "closed_by_operator"))

    # A round.

    def run_round(self, seconds):
        """Load it for so long, then compare; append to `rows`, and return the row."""
        loads = mixed_load.begin(self.addresses, seconds)
        most = 0
        try:
            while any(load.is_running() for load in loads):
                self._turn()
                most = max(most, self._echod.resident_bytes())
                time.sleep(TURN_SECONDS)
            for load in loads:
                load.wait()
            self._reload([], [])
            self._expected = self._compare(loads)
        finally:
            for load in loads:
                load.close()
        self._echod.check_log()
        self._echod.log.forget()
        self.rows.append(self._measure(most))
        return self.rows[-1]

    def _compare(self, loads=()):
        """Wait until what was counted is what is expected, and return that."""
        with contextlib.suppress(AssertionError):
            harness.wait_until(lambda: self._counted() == self._expect(loads), "all is counted")
        expected = self._expect(loads)
        check_counters(self._counted(), expected)
        self._compare_totals(sum(expected.values(), collections.Counter()))
        return expected

    def _expect(self, loads):
        """What each listener has to have counted, those included who have just left."""
        expected = collections.defaultdict(collections.Counter)
        for name, counts in [*self._expected.items(), *((load.name, load.counts()) for load in loads)]:
            expected[name].update({key: value for key, value in counts.items() if value})
        return expected

    def _counted(self):
        """What each listener has counted, of those, too, that a reload closed."""
        counted = collections.defaultdict(collections.Counter)
        for one in self._status()["listeners"]:
            counted[one["name"]].update({key: value for key, value in one["counters"].items()
                                         if value and key not in UNCOUNTED})
        return counted

    def _compare_totals(self, expected):
        """Those of the process are those of all listeners, and of who is there."""
        status = self._status()
        told = (status["connections"]["open"], status["connections"]["accepted"],
                status["bytes"]["in"], status["bytes"]["out"], status["bytes"]["queued"])
        right = (len(self._steady), expected["accepted"],
                 expected["in_bytes"] + expected["datagram_in_bytes"],
                 expected["out_bytes"] + expected["datagram_out_bytes"], 0)
        assert told == right, f"the totals are {told}, not {right}"

    def _measure(self, most):
        """What there is while nobody but those who stay is connected."""
        echod, status = self._echod, self._status()
        harness.wait_until(lambda: echod.descriptor_count() == self._descriptors,
                           f"there are {self._descriptors} descriptors")
        assert echod.thread_count() == self._threads, "there are other threads than in the beginning"
        return Row(status["connections"]["accepted"], status["bytes"]["in"], status["datagrams"]["in"],
                   status["reloads"], most, echod.resident_bytes(), echod.descriptor_count(),
                   echod.thread_count())

    def end(self):
        """Those who stayed leave, too, and all that was ever accepted has ended."""
        for client in self._steady:
            assert harness.finish(client) == b""
            client.close()
        self._expected["plain"]["ended_client_closed"] += len(self._steady)
        self._steady = []
        self._compare()


HEADLINE = " round  connections       MiB    datagrams  reloads  loaded KiB  idle KiB  descriptors  threads"


def show(number, row):
    print(f"{number:6d} {row.connections:12,d} {row.bytes // MIB:9,d} {row.datagrams:12,d} {row.reloads:8,d} "
          f"{row.loaded_bytes // KIB:11,d} {row.idle_bytes // KIB:9,d} {row.descriptors:12d} {row.threads:8d}",
          flush=True)


def soak(rounds, seconds, seed, options=()):
    """Run so many rounds, of so many seconds, and tell of each; return the rows."""
    with tempfile.TemporaryDirectory(prefix="echod-") as directory, \
            Soak(directory, seed, options) as one:
        print(HEADLINE, flush=True)
        for number in range(1, rounds + 1):
            show(number, one.run_round(seconds))
        one.end()
    print(f"every counter was what the clients counted, {rounds} times")
    return one.rows


def is_flat(rows):
    """Say how memory went, and return whether that is well."""
    grown = growth([row.loaded_bytes for row in rows])
    if grown is None:
        print(f"memory is judged from {LEAST_ROUNDS} rounds on")
        return True
    print(f"memory under load: {grown / KIB:+,.0f} KiB from the second to the last third of the rounds, "
          f"at most {MOST_GROWTH_BYTES / KIB:+,.0f} KiB")
    return grown <= MOST_GROWTH_BYTES


def main():
    parser = argparse.ArgumentParser(description="Load an echod for long, and see what grows.")
    parser.add_argument("--duration", type=seconds_of, default="20m")
    parser.add_argument("--round", type=float, default=60 - SETTLED_SECONDS)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments, options = parser.parse_known_args()
    if not admin_client.can_serve():
        sys.exit("this echod was built without an admin endpoint")
    print(f"seed {arguments.seed}")
    rounds = max(1, round(arguments.duration / (arguments.round + SETTLED_SECONDS)))
    rows = soak(rounds, arguments.round, arguments.seed, options)
    print(f"of CPUs {sum(os.times()[:4]):.0f} s")
    sys.exit(0 if is_flat(rows) else "memory grows")


if __name__ == "__main__":
    main()
