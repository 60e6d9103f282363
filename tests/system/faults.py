#!/usr/bin/env python3
"""
faults: every allocation and every system call of echod fails, one after the other, in each scene;
prints how many failed, and what came of it.
What echod does meanwhile stands in `fault_scenes`, what lets it fail in `failing_malloc` and
`failing_calls`.
Called by `make check-faults`, and by test_faults.py for a sample.

Usage: faults.py [--every N] [--scene NAME]... [--phase NAME]... [--call NAME]...
"""

import argparse
import collections
import contextlib
import io
import itertools
import os
import signal
import sys
import tempfile
import threading
import time

import certificates
import failing_calls
import failing_malloc
import fault_scenes
import harness
from failing_calls import FOR_EVER, FailingCalls
from failing_malloc import FailingMalloc

START, SERVE, STOP = PHASES = ("start", "serve", "stop")
ALLOCATION = "allocation"
MODES = {"once": 1, "three": 3, "on": FOR_EVER}
MOST_ALLOCATIONS, MOST_CALLS = 2000, 80  # of a phase; more is a phase that never ends
FATAL = r"libevent: evsig_cb: recv: "  # libevent's pipe for signals is out of order
SENTENCE = r"error: |\"level\":\"error\"|^echod: "

# What never lasts as long as there is somebody to serve.
PASSING = ("EINTR", "EAGAIN", "ECONNABORTED")

IS_VERBOSE = os.environ.get("FAULTS_VERBOSE") == "1"

# How long something fails at most that is to fail from then on; and what that may cost.
HOLD_SECONDS = 0.15
MOST_CPU_SHARE = 0.5

Fault = collections.namedtuple("Fault", "scene phase call error number mode")


def describe(fault):
    return (f"{fault.scene} {fault.phase}: {fault.call} {fault.error} {fault.number} {fault.mode}"
            if fault.error else
            f"{fault.scene} {fault.phase}: {fault.call} {fault.number} {fault.mode}")


class Plan:
    """What is to fail, in memory or in system calls; one file for each, in a directory."""

    def __init__(self, directory):
        self.calls = FailingCalls(f"{directory}/calls")
        self.malloc = FailingMalloc(f"{directory}/allocations")
        self._chosen = None

    def choose(self, fault):
        self._chosen = self.malloc if fault.call == ALLOCATION else self.calls

    @property
    def environment(self):
        return self._chosen.environment

    def fail(self, fault):
        if fault.call == ALLOCATION:
            self.malloc.fail(fault.number, MODES[fault.mode])
        else:
            self.calls.fail(fault.call, fault.error, fault.number, MODES[fault.mode])

    def stop(self):
        self._chosen.stop()

    @property
    def failed(self):
        return self._chosen.failed


def cpu_seconds(process):
    """What it used of the CPUs so far, more exact than in ticks."""
    used = 0
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        with contextlib.suppress(FileNotFoundError), \
                open(f"/proc/{process.pid}/task/{thread}/schedstat", encoding="ascii") as file:
            used += int(file.read().split()[0])
    return used / 1e9


def catches(process, number):
    """Tell whether it runs, and a signal would not end it."""
    with contextlib.suppress(FileNotFoundError), \
            open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        caught = next(line for line in file if line.startswith("SigCgt:")).split()[1]
        return int(caught, 16) >> (number - 1) & 1 != 0
    return False


class Attempt:
    """One echod, in which one thing fails."""

    def __init__(self, scene, plan, fault):
        self._scene, self._plan, self._fault = scene, plan, fault

    def run(self):
        """Return how it ended; raises if that was not in order."""
        self._plan.choose(self._fault)
        self._plan.stop()
        if self._fault.phase == START:
            self._plan.fail(self._fault)
        with self._scene.start(self._plan.environment,
                               ready=0 if self._fault.phase == START else None) as echod:
            if self._fault.phase == START and not self._wait_for_start(echod):
                return self._check_refusal(echod)
            try:
                outcome = self._visit(echod)
                self._scene.newcomer(echod)
                self._stop(echod)
            except (AssertionError, OSError):
                if self._fault.error and self._ended_with_a_sentence(echod):
                    return "ended with a sentence"
                raise
        return outcome

    def _ended_with_a_sentence(self, echod):
        with contextlib.suppress(AssertionError):
            harness.wait_until(lambda: echod.status is not None, "it ends", seconds=0.1)
            echod.wait_for_exit(harness.STATUS_SYSTEM)
            echod.log.wait_for_end()
            return bool(echod.log.find(FATAL))
        return False

    def _wait_for_start(self, echod):
        """Wait until it listens; or return False when it ended."""
        def find_addresses():
            if time.monotonic() > end and not echod.addresses and catches(echod, signal.SIGUSR1):
                self._plan.stop()  # its log may be what failed: let it tell once more
                echod.signal(signal.SIGUSR1)
            echod.addresses = [match.group(1) or match.group(2) for match in echod.log.find(
                harness.LISTENING_LINE + r"|listener (\S+): ")]
            return echod.addresses or echod.status is not None

        end = time.monotonic() + 10 * HOLD_SECONDS
        harness.wait_until(find_addresses, "it listens or ends")
        return echod.status is None

    def _check_refusal(self, echod):
        if echod.status not in (harness.STATUS_SYSTEM, harness.STATUS_CONFIG, harness.STATUS_USAGE):
            raise AssertionError(f"it ended with status {echod.status}")
        echod.wait_for_exit(echod.status)
        echod.log.wait_for_end()
        if not echod.log.find(SENTENCE):
            raise AssertionError(f"it ended with status {echod.status} and without a sentence")
        return f"refused with {echod.status}"

    def _visit(self, echod):
        if self._fault.phase == SERVE:
            self._plan.fail(self._fault)
        visitor = harness.Background(self._scene.visit, echod)
        visitor.join(HOLD_SECONDS)
        if self._fault.mode == "on" and self._fault.phase != STOP and self._fault.error != "SHORT":
            self._check_that_it_rests(echod)
        self._plan.stop()
        return visitor.result()

    def _check_that_it_rests(self, echod):
        if self._fault.call == ALLOCATION and not self._scene.rests_without_memory:
            return
        before, begin = cpu_seconds(echod), time.monotonic()
        time.sleep(HOLD_SECONDS)
        share = (cpu_seconds(echod) - before) / (time.monotonic() - begin)
        if share > MOST_CPU_SHARE and echod.status is None:
            raise AssertionError(f"it takes {100 * share:.0f} % of a CPU while nothing works")

    def _stop(self, echod):
        if echod._idle_descriptor_count is not None:
            echod.expect_idle_descriptors()
        if self._fault.phase == STOP:
            self._plan.fail(self._fault)
        echod.signal(signal.SIGTERM)
        if self._fault.call == "write":  # libevent may lose the signal, see fault_scenes
            with contextlib.suppress(AssertionError):
                harness.wait_until(lambda: echod.status is not None, "it ends",
                                   seconds=fault_scenes.AGAIN_SECONDS)
            self._plan.stop()
            if echod.status is None:
                echod.signal(signal.SIGTERM)
        echod.wait_for_exit(harness.STATUS_STOPPED)


def measure(scene, environment, take):
    """
    Let nothing fail, and return what `take` counted of each phase; it counts from its last call.
    """
    counted = {}
    take()
    with scene.start(environment) as echod:
        counted[START] = take()
        scene.visit(echod)
        scene.newcomer(echod)
        counted[SERVE] = take()
        echod.signal(signal.SIGTERM)
        echod.wait_for_exit(harness.STATUS_STOPPED)
    counted[STOP] = take()
    return counted


def faults_of_calls(scene, plan):
    """Each call that a phase makes, by each error: the Nth, and from then on at its ends."""
    for phase, counts in measure(scene, plan.calls.environment, plan.calls.take_counts).items():
        for call, count in counts.items():
            count = min(count, MOST_CALLS)
            for error in failing_calls.CALLS[call][1].split():
                for number in range(1, count + 1):
                    yield Fault(scene.name, phase, call, error, number, "once")
                if error in PASSING or call == "read":  # which is of pipes of its own
                    continue
                for number in sorted({1, (count + 1) // 2}):
                    yield Fault(scene.name, phase, call, error, number, "on")


def faults_of_allocations(scene, plan):
    for phase, count in measure(scene, plan.malloc.environment, plan.malloc.take_count).items():
        for mode in MODES:
            for number in range(1, min(count, MOST_ALLOCATIONS) + 1):
                yield Fault(scene.name, phase, ALLOCATION, "", number, mode)


class Tally:
    """What came of the faults."""

    def __init__(self):
        self.outcomes = collections.Counter()
        self.by_kind = collections.defaultdict(collections.Counter)
        self.failures = []
        self.scenes = set()

    def add(self, fault, outcome):
        self.outcomes[outcome] += 1
        self.by_kind["allocations" if fault.call == ALLOCATION else "system calls"][outcome] += 1
        self.scenes.add(fault.scene)

    def show(self):
        print(f"{len(self.scenes)} scenes, {self.outcomes.total()} faults")
        for kind, outcomes in self.by_kind.items():
            print(f"{kind}: {outcomes.total()} tried: " +
                  ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))


def attempt(scenes, plan, fault, tally):
    """Try a fault, and count what came of it."""
    log = io.StringIO()
    begin = time.monotonic()
    try:
        with contextlib.redirect_stderr(log):
            outcome = Attempt(scenes[fault.scene], plan, fault).run()
        if plan.failed == 0:
            outcome = "not reached"
    except (AssertionError, OSError) as error:
        outcome = "FAILED"
        tally.failures.append(f"{describe(fault)}: {error}")
        print(f"FAILED {describe(fault)}: {error}\n{log.getvalue()}", flush=True)
    tally.add(fault, outcome)
    if IS_VERBOSE:
        print(f"{time.monotonic() - begin:.2f} {describe(fault)}: {outcome}", flush=True)


def all_faults(scenes, plan):
    for scene in scenes.values():
        yield from faults_of_allocations(scene, plan)
        yield from faults_of_calls(scene, plan)


def check(every=1, names=None, phases=PHASES, calls=None, also=()):
    """Try each so manieth fault, and some besides; return what came of them."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="echod-") as directory:
        plan = Plan(directory)
        scenes = fault_scenes.all_scenes(directory, certificates.Authority(directory))
        scenes = {name: scene for name, scene in scenes.items() if not names or name in names}
        chosen = (fault for fault in all_faults(scenes, plan)
                  if fault.phase in phases and (not calls or fault.call in calls))
        for fault in itertools.islice(chosen, 0, None, every):
            attempt(scenes, plan, fault, tally)
        for fault in also:
            if fault.scene in scenes:
                attempt(scenes, plan, fault, tally)
    return tally


def main():
    parser = argparse.ArgumentParser(description="Let allocations and system calls of echod fail.")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--scene", action="append")
    parser.add_argument("--phase", action="append")
    parser.add_argument("--call", action="append")
    arguments = parser.parse_args()
    missing = [library for library in (failing_calls.LIBRARY, failing_malloc.LIBRARY)
               if not os.path.exists(library)]
    if missing:
        sys.exit(f"faults: nothing can fail without {missing[0]}, which stands beside $ECHOD")
    begin = time.monotonic()
    tally = check(arguments.every, arguments.scene, arguments.phase or PHASES, arguments.call)
    tally.show()
    print(f"{time.monotonic() - begin:.0f} s, of CPUs {sum(os.times()[:4]):.0f} s")
    print("\n".join([f"{len(tally.failures)} failures", *tally.failures]))
    sys.exit(1 if tally.failures or not tally.scenes else 0)


if __name__ == "__main__":
    main()
