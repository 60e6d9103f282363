"""
life_cycle: echod is stopped, drained, reloaded and killed at random moments while clients come, talk and
leave; prints what these lost, and fails on what echod(8) does not say may be lost (WHAT MAY BE LOST).
Called by `make check-life-cycle`, and by test_life_cycle.py for a few rounds.

Usage: life_cycle.py [--rounds N] [--seed N] [--way NAME]...
    --seed    repeats the moments and the configurations of a run
"""

import argparse
import collections
import contextlib
import os
import random
import re
import signal
import tempfile
import time

import certificates
import harness
import tls_client
from harness import Echod
from life_cycle_clients import (
    CUT, REFUSED, RESET, SERVED, VISITORS, DatagramTalker, Talker, Visitors, visit)

MOST_MOMENT_SECONDS = 0.05
TALKERS = 4
RELOADED = r"HUP: the configuration of \S+ is in effect"


class Place:
    """Where an echod is, what chance says of it, and whom its clients trust, if it speaks TLS."""

    def __init__(self, directory, seed):
        self.directory = directory
        self.rng = random.Random(seed)
        self.context = self._certificate = None
        if tls_client.can_serve():
            authority = certificates.Authority(directory)
            self.context = tls_client.context_for(authority.path)
            self._certificate = authority.issue("/CN=localhost")

    def with_tls(self, tls_address, *addresses):
        """Addresses to listen at, and if there is TLS, another one."""
        return [*addresses, *([f"{tls_address},cert={self._certificate}"] if self.context else [])]

    def wait_for_the_moment(self):
        time.sleep(self.rng.uniform(0, MOST_MOMENT_SECONDS))

    def talk_to(self, addresses):
        """Let clients talk at some addresses, in turn, and datagrams at each that takes them."""
        streams = [address for address in addresses if not address.startswith("udp")]
        talkers = [Talker(streams[seed % len(streams)], self.context, seed)
                   for seed in range(TALKERS)]
        talkers += [DatagramTalker(address) for address in addresses if address.startswith("udp")]
        for talker in talkers:
            talker.wait_until_it_talks()
        return talkers

    def visit(self, addresses):
        """Let visitors come to some addresses, but to those for datagrams."""
        return Visitors([one for one in addresses if not one.startswith("udp")], self.context)


def stream_talkers(talkers):
    return [talker for talker in talkers if isinstance(talker, Talker)]


def datagram_talkers(talkers):
    return [talker for talker in talkers if isinstance(talker, DatagramTalker)]


class Round:
    """An echod with clients of each kind, and the files that it has to remove."""

    def __init__(self, place, listen=None, options=()):
        self.place = place
        self.pid_file, self.socket_file = f"{place.directory}/pid", f"{place.directory}/s"
        self.listen = listen or place.with_tls(
            "tls://127.0.0.1:0", "tcp://127.0.0.1:0", f"unix://{self.socket_file}",
            "udp://127.0.0.1:0")
        self._options = options

    @contextlib.contextmanager
    def clients(self):
        """Let clients talk to an echod until some moment."""
        with Echod("--pid-file", self.pid_file, "--workers", str(self.place.rng.randint(1, 2)),
                   *self._options, listen=self.listen) as echod:
            talkers = self.place.talk_to(
                [one for one in echod.addresses if not one.startswith("unix")])
            visitors = self.place.visit(echod.addresses)
            self.place.wait_for_the_moment()
            yield echod, talkers, visitors

    def check_that_nothing_stays(self):
        for path in (self.pid_file, self.socket_file):
            if os.path.exists(path):
                raise AssertionError(f"{path} stays")


def check_ends(ends, *allowed):
    """Fail if a visit ended in a way that is not allowed."""
    if set(ends) - set(allowed):
        raise AssertionError(f"visits ended so: {dict(ends)}")


def check_log(echod):
    """The log of one that has ended tells of each connection, and that it was the end."""
    echod.log.wait_for_end()
    totals = harness.facts(echod.log.find(harness.TOTALS_LINE)[-1])
    ended = len(echod.log.find(r"connection \d+ .* closed: "))
    if (totals.open, totals.accepted) != (0, ended):
        raise AssertionError(f"{totals.accepted} accepted, {ended} ended in the log")
    if not echod.log.lines[-1].endswith("info: stopped"):
        raise AssertionError(f"the last line is {echod.log.lines[-1]}")
    if totals.log_dropped:
        raise AssertionError(f"{totals.log_dropped} lines of the log were dropped")


def check_echoes(echod, talkers):
    """Each byte that echod has read was echoed, and has arrived."""
    read = {match["peer"]: (int(match["bytes_in"]), int(match["bytes_out"]))
            for match in echod.log.find(harness.CLOSED_LINE)}
    for talker in stream_talkers(talkers):
        if read[talker.name] != (talker.received, talker.received):
            raise AssertionError(f"{talker.received} bytes came back of {read[talker.name]}")


def check_datagrams(talkers, most):
    """No more datagrams of each client waited when their socket was closed."""
    for talker in datagram_talkers(talkers):
        if talker.missed > most:
            raise AssertionError(f"{talker.missed} datagrams have no answer")


def results_of(talkers):
    return collections.Counter(f"talk {talker.result()}" for talker in stream_talkers(talkers)) + \
        collections.Counter(f"datagrams {talker.result()}" for talker in datagram_talkers(talkers))


def stop(place):
    """TERM, and clients who talk on until they are ended."""
    one = Round(place, options=("--drain-timeout", "100ms"))
    with one.clients() as (echod, talkers, visitors):
        echod.signal(signal.SIGTERM)
        ends = results_of(talkers)
        echod.wait_for_exit(harness.STATUS_STOPPED)
        visits = visitors.stop()
        check_log(echod)
        check_echoes(echod, talkers)
        check_datagrams(talkers, 1)
    check_ends(visits, SERVED, REFUSED, RESET, CUT)  # a slow one may last longer than the drain
    one.check_that_nothing_stays()
    return ends + visits


def drain(place):
    """TERM, and clients who leave by themselves, some time later."""
    one = Round(place, options=("--drain-timeout", "1h"))
    with one.clients() as (echod, talkers, visitors):
        echod.signal(signal.SIGTERM)
        for talker in stream_talkers(talkers):
            time.sleep(place.rng.uniform(0, 0.01))
            talker.leave()
        ends = results_of(talkers)
        check_ends(ends, f"talk {SERVED}", f"datagrams {REFUSED}")
        echod.wait_for_exit(harness.STATUS_STOPPED)
        visits = visitors.stop()
        check_log(echod)
        check_datagrams(talkers, 1)
    check_ends(visits, SERVED, REFUSED, RESET)
    one.check_that_nothing_stays()
    return ends + visits


class Reloads:
    """Other listeners and options, again and again, for one echod."""

    OPTIONS = ("idle-timeout 1h", "workers 1", "high-water 64KiB", "log-level debug",
               "max-connections 100", "backlog 50", "rate-limit 1GiB/s", "drain-timeout 1m")
    MORE = {"tcp": ("", ",idle-timeout=1h", ",nodelay=off", ",high-water=1MiB"),
            "udp": ("", ",rate=1000000/s", ",low-ports=allow", ",udp-receive-buffer=1MiB")}

    def __init__(self, place):
        self._place, self._rng = place, place.rng
        self._path = f"{place.directory}/echod.conf"
        self._sometimes = [f"unix://{place.directory}/sometimes",
                           f"tcp://127.0.0.1:{harness.free_port()}"]
        self._steady = place.with_tls(*(f"{scheme}://127.0.0.1:{harness.free_port()}"
                                        for scheme in ("tls", "tcp", "udp")))
        self._write([], [])
        self._echod = Echod(config=self._path, listen=None, ready=len(self._steady))

    def _write(self, listeners, options):
        with open(f"{self._path}.new", "w", encoding="ascii") as file:
            for steady in self._steady:
                more = self._rng.choice(self.MORE["udp" if steady.startswith("udp") else "tcp"])
                file.write(f"listen {steady}{more}\n")
            file.writelines(f"listen {listener}\n" for listener in listeners)
            file.writelines(f"{option}\n" for option in options)
        os.replace(f"{self._path}.new", self._path)

    def run(self, rounds):
        with self._echod:
            addresses = self._echod.addresses
            talkers = self._place.talk_to(addresses)
            steady, changing = self._place.visit(addresses), self._place.visit(self._sometimes)
            for _ in range(rounds):
                self._place.wait_for_the_moment()
                self._reload([one for one in self._sometimes if self._rng.random() < 0.5],
                             self._rng.sample(self.OPTIONS, 3))
            for talker in talkers:
                talker.leave()
            ends = results_of(talkers)
            check_ends(ends, f"talk {SERVED}", f"datagrams {SERVED}")
            check_datagrams(talkers, 0)
            visits = steady.stop()
            check_ends(visits, SERVED)
            ends += visits
            visits = changing.stop()
            check_ends(visits, SERVED, REFUSED, RESET)
            self._reload([], [])
        return ends + visits

    def _reload(self, listeners, options):
        self._write(listeners, options)
        since = len(self._echod.log.lines)
        self._echod.signal(signal.SIGHUP)
        self._echod.log.wait_for(RELOADED, since=since)


def reload_often(place, rounds):
    """HUP, and clients at a listener that stays, and at some that come and go."""
    return Reloads(place).run(rounds)


def kill(place):
    """
    KILL, and another echod that a supervisor starts on the same sockets. It finds a pid file and the path
    of a Unix socket that nobody removed.
    """
    with harness.listening_socket() as passed, harness.listening_socket() as passed_tls:
        numbers = passed.fileno(), passed_tls.fileno()
        addresses = [harness.address_of(passed)]
        if place.context:
            addresses.append(harness.address_of(passed_tls).replace("tcp", "tls"))
        one = Round(place, listen=place.with_tls(
            f"tls+fd://{numbers[1]}", f"fd://{numbers[0]}", f"unix://{place.directory}/s"))
        arguments = ("--pid-file", one.pid_file)
        with Echod(*arguments, listen=one.listen, pass_fds=numbers) as echod:
            talkers, visitors = place.talk_to(addresses), place.visit(addresses)
            place.wait_for_the_moment()
            echod.signal(signal.SIGKILL)
            echod.wait_for_exit(-signal.SIGKILL)
            ends = results_of(talkers)
            echod.log.wait_for_end()
            check_lines(echod)
        with Echod(*arguments, listen=one.listen, pass_fds=numbers) as successor:
            check_ends({visit(new, place.context, 0)
                        for new in (*addresses, f"unix://{one.socket_file}")}, SERVED)
            visits = visitors.stop()
            successor.stop()
    check_ends(visits, SERVED, RESET, CUT)  # nobody is refused: the socket stays
    if visits[RESET] + visits[CUT] > VISITORS:
        raise AssertionError(f"more visits were lost than were under way: {visits}")
    one.check_that_nothing_stays()
    return ends + visits


def check_lines(echod):
    """Each line of a log is whole, but the last one."""
    for line in echod.log.lines[:-1]:
        if not re.fullmatch(harness.TEXT_LINE, line):
            raise AssertionError(f"a line of the log is {line!r}")


def one_by_one(way):
    """Turn a way that takes one round into one that takes many."""
    def run(place, rounds):
        ends = collections.Counter()
        for _ in range(rounds):
            ends += way(place)
        return ends
    return run


WAYS = {"stop": one_by_one(stop), "drain": one_by_one(drain), "reload": reload_often,
        "kill": one_by_one(kill)}


def check(rounds, seed, ways=tuple(WAYS)):
    """Go each way so often; print how clients ended, and return that by the ways."""
    ended = {}
    for name in ways:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="echod-") as directory:
            ended[name] = WAYS[name](Place(directory, f"{seed} {name}"), rounds)
        print(f"{name}: {rounds} rounds in {time.monotonic() - begin:.0f} s: " +
              ", ".join(f"{count:,} {end}" for end, count in sorted(ended[name].items())), flush=True)
    return ended


def main():
    parser = argparse.ArgumentParser(description="Stop, drain, reload and kill echod under load.")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--way", action="append", choices=tuple(WAYS))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    check(arguments.rounds, arguments.seed, arguments.way or tuple(WAYS))
    print(f"of CPUs {sum(os.times()[:4]):.0f} s")


if __name__ == "__main__":
    main()
