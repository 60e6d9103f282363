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
import socket
import sys
import tempfile
import threading
import time

import harness
from harness import Background, Echod

MOST_MOMENT_SECONDS = 0.05
TALKERS, VISITORS = 4, 3
PIECE_BYTES = 3000

SERVED, REFUSED, RESET, CUT = "served", "refused", "reset without a byte", "cut off"
RELOADED = r"HUP: the configuration of \S+ is in effect"


class Talker:
    """A client that talks and checks each echo until it leaves in order, or is ended."""

    def __init__(self, address, seed):
        self.received = 0
        self.end = None  # SERVED where it left by itself and got all, or CUT
        self._client = harness.connect(address)
        self.name = "%s:%d" % self._client.getsockname()
        self._piece = harness.random_bytes(PIECE_BYTES, seed)
        self._is_leaving = threading.Event()
        self._has_begun = threading.Event()
        self._talking = Background(self._talk)

    def wait_until_it_talks(self):
        if not self._has_begun.wait(harness.PATIENCE_SECONDS):
            raise AssertionError("a client gets no first echo")

    def leave(self):
        """Say no more, and FIN."""
        self._is_leaving.set()

    def result(self):
        self._talking.result()
        return self.end

    def _talk(self):
        with self._client:
            while not self._is_leaving.is_set():
                if not self._exchange():
                    self.end = CUT
                    return
                self._has_begun.set()
            self.end = self._say_fin()

    def _exchange(self):
        """Send a piece; return whether all of it came back."""
        echo = b""
        with contextlib.suppress(ConnectionError):
            self._client.sendall(self._piece)
            echo = receive(self._client, PIECE_BYTES)
        self.received += len(echo)
        if not self._piece.startswith(echo):
            raise AssertionError("a wrong echo")
        return len(echo) == PIECE_BYTES

    def _say_fin(self):
        with contextlib.suppress(ConnectionError, OSError):
            self._client.shutdown(socket.SHUT_WR)
            if self._client.recv(1) == b"":
                return SERVED
        return CUT


def receive(client, size):
    """So many bytes, or what came before the end, be that FIN or a reset."""
    pieces = b""
    with contextlib.suppress(ConnectionError):
        while len(pieces) < size:
            piece = client.recv(size - len(pieces))
            if not piece:
                break
            pieces += piece
    return pieces


def visit(address, seed):
    """Be a client who says all at once; return how it ended, raise on a wrong echo."""
    data = harness.random_bytes(PIECE_BYTES, seed)
    try:
        client = harness.connect(address)
    except (ConnectionRefusedError, FileNotFoundError):
        return REFUSED
    except BlockingIOError:  # the backlog of a Unix socket is full
        return REFUSED
    except ConnectionResetError:
        return RESET
    with client:
        with contextlib.suppress(ConnectionError, OSError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        echo = receive(client, PIECE_BYTES + 1)
    if not data.startswith(echo):
        raise AssertionError(f"a wrong echo in {len(echo)} bytes")
    if len(echo) == len(data):
        return SERVED
    return CUT if echo else RESET


class Visitors:
    """Clients who come one after the other to some addresses, and how their visits ended."""

    def __init__(self, addresses):
        self.ends = {address: collections.Counter() for address in addresses}
        self._is_over = threading.Event()
        self._coming = [Background(self._come, number) for number in range(VISITORS)]

    def _come(self, number):
        visits = 0
        while not self._is_over.is_set():
            for address, ends in self.ends.items():
                ends[visit(address, number)] += 1
            visits += 1
            time.sleep(0.002)  # leave the processor to others

    def stop(self):
        """Let them come no more; return how all visits ended."""
        self._is_over.set()
        for coming in self._coming:
            coming.result()
        return sum(self.ends.values(), collections.Counter())


class Round:
    """An echod with clients of both kinds, and the files that it has to remove."""

    def __init__(self, directory, rng, listen=None, options=()):
        self.rng = rng
        self.pid_file, self.socket_file = f"{directory}/pid", f"{directory}/s"
        self.listen = listen or ["tcp://127.0.0.1:0", f"unix://{self.socket_file}"]
        self._options = options

    @contextlib.contextmanager
    def clients(self):
        """Let clients talk to an echod until some moment."""
        with Echod("--pid-file", self.pid_file, "--workers", str(self.rng.randint(1, 2)),
                   *self._options, listen=self.listen) as echod:
            talkers = talk_to(echod.addresses[0])
            visitors = Visitors(echod.addresses)
            self.wait_for_the_moment()
            yield echod, talkers, visitors

    def wait_for_the_moment(self):
        time.sleep(self.rng.uniform(0, MOST_MOMENT_SECONDS))

    def check_that_nothing_stays(self):
        for path in (self.pid_file, self.socket_file):
            if os.path.exists(path):
                raise AssertionError(f"{path} stays")


def talk_to(address):
    talkers = [Talker(address, seed) for seed in range(TALKERS)]
    for talker in talkers:
        talker.wait_until_it_talks()
    return talkers


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


def stop(directory, rng):
    """TERM, and clients who talk on until they are ended."""
    one = Round(directory, rng, options=("--drain-timeout", "100ms"))
    with one.clients() as (echod, talkers, visitors):
        echod.signal(signal.SIGTERM)
        ends = collections.Counter(f"talk {talker.result()}" for talker in talkers)
        echod.wait_for_exit(harness.STATUS_STOPPED)
        visits = visitors.stop()
        check_log(echod)
        # Each byte that echod has read was echoed, and has arrived.
        read = {match["peer"]: (int(match["bytes_in"]), int(match["bytes_out"]))
                for match in echod.log.find(harness.CLOSED_LINE)}
        for talker in talkers:
            if read[talker.name] != (talker.received, talker.received):
                raise AssertionError(f"{talker.received} bytes came back of {read[talker.name]}")
    check_ends(visits, SERVED, REFUSED, RESET, CUT)  # a slow one may last longer than the drain
    one.check_that_nothing_stays()
    return ends + visits


def drain(directory, rng):
    """TERM, and clients who leave by themselves, some time later."""
    one = Round(directory, rng, options=("--drain-timeout", "1h"))
    with one.clients() as (echod, talkers, visitors):
        echod.signal(signal.SIGTERM)
        for talker in talkers:
            time.sleep(rng.uniform(0, 0.01))
            talker.leave()
        ends = collections.Counter(talker.result() for talker in talkers)
        check_ends(ends, SERVED)
        echod.wait_for_exit(harness.STATUS_STOPPED)
        visits = visitors.stop()
        check_log(echod)
    check_ends(visits, SERVED, REFUSED, RESET)
    one.check_that_nothing_stays()
    return ends + visits


class Reloads:
    """Other listeners and options, again and again, for one echod."""

    OPTIONS = ("idle-timeout 1h", "workers 1", "high-water 64KiB", "log-level debug",
               "max-connections 100", "backlog 50", "rate-limit 1GiB/s", "drain-timeout 1m")

    def __init__(self, directory, rng):
        self._rng = rng
        self._path = f"{directory}/echod.conf"
        self._sometimes = [f"unix://{directory}/sometimes", f"tcp://127.0.0.1:{harness.free_port()}"]
        self._steady = f"tcp://127.0.0.1:{harness.free_port()}"
        self._write([], [])
        self._echod = Echod(config=self._path, listen=None)

    def _write(self, listeners, options):
        with open(f"{self._path}.new", "w", encoding="ascii") as file:
            more = self._rng.choice(("", ",idle-timeout=1h", ",nodelay=off", ",high-water=1MiB"))
            file.write(f"listen {self._steady}{more}\n")
            file.writelines(f"listen {listener}\n" for listener in listeners)
            file.writelines(f"{option}\n" for option in options)
        os.replace(f"{self._path}.new", self._path)

    def run(self, rounds):
        with self._echod:
            talkers = talk_to(self._steady)
            steady, changing = Visitors([self._steady]), Visitors(self._sometimes)
            for _ in range(rounds):
                time.sleep(self._rng.uniform(0, MOST_MOMENT_SECONDS))
                self._reload([one for one in self._sometimes if self._rng.random() < 0.5],
                             self._rng.sample(self.OPTIONS, 3))
            for talker in talkers:
                talker.leave()
            ends = collections.Counter(talker.result() for talker in talkers)
            ends += steady.stop()
            check_ends(ends, SERVED)
            visits = changing.stop()
            check_ends(visits, SERVED, REFUSED, RESET)
            self._reload([], [])
        return ends + visits

    def _reload(self, listeners, options):
        self._write(listeners, options)
        since = len(self._echod.log.lines)
        self._echod.signal(signal.SIGHUP)
        self._echod.log.wait_for(RELOADED, since=since)


def reload_often(directory, rng, rounds):
    """HUP, and clients at a listener that stays, and at some that come and go."""
    return Reloads(directory, rng).run(rounds)


def kill(directory, rng):
    """
    KILL, and another echod that a supervisor starts on the same socket. It finds a pid file and the path
    of a Unix socket that nobody removed.
    """
    with harness.listening_socket() as passed:
        address = harness.address_of(passed)
        one = Round(directory, rng, listen=[f"fd://{passed.fileno()}", f"unix://{directory}/s"])
        arguments = ("--pid-file", one.pid_file)
        with Echod(*arguments, listen=one.listen, pass_fds=(passed.fileno(),)) as echod:
            talkers, visitors = talk_to(address), Visitors([address])
            one.wait_for_the_moment()
            echod.signal(signal.SIGKILL)
            echod.wait_for_exit(-signal.SIGKILL)
            ends = collections.Counter(f"talk {talker.result()}" for talker in talkers)
            echod.log.wait_for_end()
            check_lines(echod)
        with Echod(*arguments, listen=one.listen, pass_fds=(passed.fileno(),)) as successor:
            check_ends({visit(new, 0) for new in (address, f"unix://{one.socket_file}")}, SERVED)
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
    def run(directory, rng, rounds):
        ends = collections.Counter()
        for _ in range(rounds):
            ends += way(directory, rng)
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
            ended[name] = WAYS[name](directory, random.Random(f"{seed} {name}"), rounds)
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
