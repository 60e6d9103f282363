#!/usr/bin/env python3
"""
mutants: breaks the source in small ways, one at a time, and has the tests find out.
What is broken is said by mutations.py, what need not be found by the file `survivors`.
Called by `make check-mutants`; works in a copy of the sources, which it makes, and leaves nothing else.

A line for each mutant says what was changed, and which test caught it. What does not compile, or compiles
to the same code, is no mutant. In a build with sanitizers those that only leak are caught as well.
"""

import argparse
import collections
import concurrent.futures
import glob
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import mutations

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.path.join(HERE, "../.."))
SURVIVORS = os.path.join(HERE, "survivors")
LEAST_PERCENT = 92.0
SAME, BROKEN, SURVIVED = "same code", "does not compile", "SURVIVED"
NOT_COUNTED = (SAME, BROKEN)

def not_copied(directory, names):
    """What of a directory is no source: git's, and other builds."""
    return [name for name in names if name in (".git", "__pycache__")
            or os.path.exists(os.path.join(directory, name, "config.status"))]


def processes_of(session):
    """The processes of a session, whatever groups they are in."""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[3] == str(session) and fields[0] != "Z":
            yield int(path.split("/")[2])


def end_session(session):
    for process in processes_of(session):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


def run(command, directory, seconds=None, environment=None):
    """Run a command in a session of its own; return its status, or None when its time was over."""
    process = subprocess.Popen(
        command, cwd=directory, env=environment, start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end_session(process.pid)
        process.wait()


class Tree:
    """A copy of the sources and of a build below them, in which one file is broken at a time."""

    def __init__(self, directory, build):
        self.source = directory
        self.build = os.path.join(directory, os.path.relpath(build, SOURCE))
        shutil.copytree(SOURCE, directory, ignore=not_copied, symlinks=True)
        shutil.copytree(build, self.build, ignore=not_copied, symlinks=True)

    def environment(self):
        programs = {name.upper(): os.path.join(self.build, name)
                    for name in ("echod", "echoprobe", "echoctl")}
        return {**os.environ, **programs, "srcdir": "..", "PYTHONDONTWRITEBYTECODE": "1"}

    def make(self, *targets):
        return run(["make", "-s", "-j2", *targets], self.build)

    def object_of(self, path):
        return os.path.join(self.build, os.path.splitext(path)[0] + ".o")

    def break_source(self, mutation):
        """Put the mutation in; return what it is where it is no mutant."""
        if not os.path.exists(self.object_of(mutation.path)):
            return BROKEN  # it stands for a library that is there
        with open(os.path.join(SOURCE, mutation.path), encoding="utf-8") as file:
            text = file.read()
        with open(os.path.join(self.source, mutation.path), "w", encoding="utf-8") as file:
            file.write(mutation.apply(text))
        kept = self.object_of(mutation.path) + ".kept"
        shutil.copyfile(self.object_of(mutation.path), kept)
        if self.make(os.path.relpath(self.object_of(mutation.path), self.build)) != 0:
            return BROKEN
        return SAME if self.code_of(kept) == self.code_of(self.object_of(mutation.path)) else None

    @staticmethod
    def code_of(path):
        """An object file without what tells columns of the source."""
        subprocess.run(["strip", "--strip-debug", "-o", path + ".stripped", path], check=True)
        with open(path + ".stripped", "rb") as file:
            return file.read()

    def mend_source(self, mutation):
        kept = self.object_of(mutation.path) + ".kept"
        shutil.copyfile(os.path.join(SOURCE, mutation.path), os.path.join(self.source, mutation.path))
        if os.path.exists(kept):
            os.replace(kept, self.object_of(mutation.path))
            os.utime(self.object_of(mutation.path))

    def test(self, test, seconds):
        """Run a test; return how it caught the mutant, or None."""
        command = [os.path.join(self.build, test)]
        if test.endswith(".py"):
            command = [sys.executable, os.path.join(self.source, test), "-f"]
        elif self.make(test) != 0:
            return f"{test} cannot be linked"
        for _ in range(2):  # a machine under load may fail a test once
            status = run(command, self.build, seconds, self.environment())
            if status is None:
                return f"{test}, by its time-out"
            if status in (0, 77):
                return None
        return test


class Map:
    """Which test reaches which line, in which time: what coverage.py has found."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.tests = {test: reach for test, reach in json.load(file).items() if not reach.get("failed")}

    def seconds(self, test):
        return self.tests[test]["seconds"]

    def own_tests(self, path):
        """The unit tests that have the module's name."""
        module = os.path.splitext(os.path.basename(path))[0]
        return [test for test in self.tests if re.fullmatch(rf"tests/unit/check_{module}(_\w+)?", test)]

    def reaching(self, path, line):
        """Those that reach a line, or the one before that has code where this one goes on from that."""
        lines = {test: set(reach["lines"].get(path, ())) for test, reach in self.tests.items()}
        known = set().union(*lines.values())
        nearest = max((number for number in known if number <= line), default=None)
        if nearest is None or nearest < line - 40:  # a table: whoever reaches the file
            return [test for test, numbers in lines.items() if numbers]
        return [test for test, numbers in lines.items() if nearest in numbers]

    def order(self, mutation):
        """The tests for a mutation: its own, other unit tests, the system's; the quick ones first."""
        own = self.own_tests(mutation.path)
        reaching = set(self.reaching(mutation.path, mutation.line)) | set(own)
        return sorted(reaching, key=lambda test: (
            test not in own, test.endswith(".py"), self.seconds(test)))


def read_survivors():
    """The accepted survivors, by their keys, with the reason of each."""
    found, place, before, after, reason = {}, None, None, None, ""
    with open(SURVIVORS, encoding="utf-8") as file:
        for line in [*file.read().splitlines(), ""]:
            if line.startswith("- "):
                before = line[2:]
            elif line.startswith("+ "):
                after = line[2:]
            elif line.startswith("src/"):
                place = tuple(line.split())
            elif line.startswith("  "):
                reason = f"{reason} {line.strip()}".strip()
            elif not line and place:
                found[(*place, before, after)] = reason
                place, reason = None, ""
    return found


class Judge:
    """Tries mutants in trees, as many at a time as there are."""

    def __init__(self, trees, reach, most_seconds):
        self.trees = queue.Queue()
        for tree in trees:
            self.trees.put(tree)
        self.reach = reach
        self.most_seconds = most_seconds

    def limit(self, test):
        return 30 + 8 * self.reach.seconds(test)

    def tests_in_time(self, mutation):
        """As many tests as fit into the time that one mutant may take; always the first."""
        left, found = self.most_seconds, []
        for test in self.reach.order(mutation):
            left -= self.reach.seconds(test)
            if left < 0 and found:
                break
            found.append(test)
        return found

    def catch(self, tree, mutation, tests):
        """Return which test caught it, what it is instead of a mutant, or SURVIVED."""
        try:
            caught = tree.break_source(mutation)
            if not caught and any(test.endswith(".py") for test in tests):
                tree.make("echod", "echoprobe", "echoctl")
            for test in tests:
                caught = caught or tree.test(test, self.limit(test))
            return caught or SURVIVED
        finally:
            tree.mend_source(mutation)

    def judge(self, mutation):
        tree = self.trees.get()
        try:
            return mutation, self.catch(tree, mutation, self.tests_in_time(mutation))
        finally:
            self.trees.put(tree)

    def judge_all(self, mutants):
        """Judge them side by side; yield each with what came of it."""
        with concurrent.futures.ThreadPoolExecutor(self.trees.qsize()) as pool:
            runs = [pool.submit(self.judge, mutation) for mutation in mutants]
            for one in concurrent.futures.as_completed(runs):
                yield one.result()


class Record:
    """What earlier runs found, a line for each mutant; what survived is tried again."""

    def __init__(self, path):
        self.path = path
        self.found = {}
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for *key, caught in map(json.loads, file):
                    self.found[tuple(key)] = caught

    def caught(self, mutation):
        """Which test caught a mutant, or why it is none; None if that is still to be found."""
        caught = self.found.get(mutation.key)
        return None if caught == SURVIVED else caught

    def add(self, mutation, caught):
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                print(json.dumps([*mutation.key, caught]), file=file)


def tell(mutation, caught, accepted):
    reason = accepted.get(mutation.key)
    if caught == SURVIVED and reason:
        caught = f"accepted: {reason}"
    print(f"{mutation.path}:{mutation.line} {mutation.function}\n- {mutation.before}\n+ {mutation.after}\n"
          f"  {caught}\n", flush=True)


def summarize(results, accepted):
    """Print a line for each room; return whether enough were caught, and no survivor is new."""
    counts = collections.defaultdict(collections.Counter)
    for mutation, caught in results:
        if caught in NOT_COUNTED:
            word = "no mutant"
        elif caught != SURVIVED:
            word = "caught"
        elif accepted.get(mutation.key, "").startswith("Equivalent:"):
            word = "no mutant"
        else:
            word = "survived"
        for room in (os.path.dirname(mutation.path), "in all"):
            counts[room][word] += 1
    for room, words in sorted(counts.items(), key=lambda item: (item[0] == "in all", item[0])):
        tried = words["caught"] + words["survived"]
        print(f"{room}: {words['caught']} of {tried} caught, {100 * words['caught'] / max(1, tried):.1f} %; "
              f"{words['no mutant']} more do not compile or mean the same")
    new = [mutation for mutation, caught in results
           if caught == SURVIVED and mutation.key not in accepted]
    words = counts["in all"]
    enough = words["caught"] >= LEAST_PERCENT / 100 * (words["caught"] + words["survived"])
    print(f"{len(new)} survivors do not stand in tests/mutants/survivors")
    return enough and not new


def choose(arguments):
    """The mutations to try, of all files in turn."""
    paths = arguments.file or sorted(
        path for room in ("base", "echod")
        for path in glob.glob(f"src/{room}/*.c", root_dir=SOURCE))
    chosen = []
    for path in paths:
        with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
            possible = mutations.derive(path, file.read())
        chosen += mutations.choose(possible, arguments.each, f"{arguments.seed}:{path}")
    random.Random(arguments.seed).shuffle(chosen)
    return chosen[: arguments.sample]


def parse_arguments():
    parser = argparse.ArgumentParser(description="Break the source in small ways.")
    parser.add_argument("--build", required=True, help="a build below the sources, with all tests")
    parser.add_argument("--map", required=True, help="what `make coverage` found")
    parser.add_argument("--file", action="append", help="only this source; may be repeated")
    parser.add_argument("--each", type=int, default=2, help="how many mutants of each source")
    parser.add_argument("--sample", type=int, help="how many mutants at most")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=240, help="how long tests may take for one mutant")
    parser.add_argument("--record", help="a file that keeps what is found; a run that finds it there "
                        "does not try again what was caught")
    parser.add_argument("--list", action="store_true", help="only show the mutations")
    return parser.parse_args()


def try_all(arguments, chosen, accepted, scratch):
    """Try all that no earlier run caught; return what came of each."""
    record = Record(arguments.record)
    results = {mutation: record.caught(mutation) for mutation in chosen if record.caught(mutation)}
    left = [mutation for mutation in chosen if mutation not in results]
    trees = [Tree(os.path.join(scratch, str(i)), os.path.abspath(arguments.build))
             for i in range(arguments.jobs)]
    for mutation, caught in Judge(trees, Map(arguments.map), arguments.seconds).judge_all(left):
        results[mutation] = caught
        record.add(mutation, caught)
        tell(mutation, caught, accepted)
    return results


def main():
    arguments = parse_arguments()
    accepted = read_survivors()
    chosen = choose(arguments)
    if arguments.list:
        for mutation in chosen:
            tell(mutation, mutation.kind, accepted)
        return 0
    scratch = tempfile.mkdtemp(prefix="echod-mutants.")
    try:
        results = try_all(arguments, chosen, accepted, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0 if summarize(results.items(), accepted) else 1


if __name__ == "__main__":
    sys.exit(main())
