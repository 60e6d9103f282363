#!/usr/bin/env python3
"""
coverage: which lines and branches of the sources the tests reach, and which test reaches which line.
Builds nothing: the directory of a build for gcov is given, and what is run there.
Called by `make coverage`; `mutants.py` reads the map that it leaves, to know which tests to run.
"""

import argparse
import collections
import concurrent.futures
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.path.join(HERE, "../.."))
ROOMS = ("src/base/", "src/echod/")
SECONDS_PER_TEST = 300
LEAST_LINES_PERCENT = 93.0

# What reads what strangers or operators write: none of its branches should be left out.
PARSERS = tuple(f"src/{name}.c" for name in (
    "base/accept", "base/address", "base/command_line", "base/config_file", "base/escape", "base/identity_reader",
    "base/network", "base/proxy_header", "base/proxy_tlv", "base/setting_kind", "base/units",
    "echod/admin_address", "echod/listener_values", "echod/source_key", "echod/tls_ciphers"))


def place_for_counts(build, directory):
    """Lay out where the programs leave their counts, whoever they run as, and gcov finds its notes."""
    for notes in glob.glob(os.path.join(build, "src/*/*.gcno")):
        place = os.path.join(directory, os.path.relpath(notes, build))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.symlink(notes, place)
    for parent, _, _ in os.walk(directory):
        os.chmod(parent, 0o777)


def environment(build, directory):
    """What a test is told: where the programs are, and where their counts go."""
    programs = {name.upper(): os.path.join(build, name) for name in ("echod", "echoprobe", "echoctl")}
    return {
        **os.environ,
        **programs,
        # Behind `--sandbox auto`, which would keep the counts from being written.
        "ECHOD_TEST_OPTIONS": "--sandbox off",
        "srcdir": SOURCE,
        "PYTHONDONTWRITEBYTECODE": "1",
        "GCOV_PREFIX": directory,
        "GCOV_PREFIX_STRIP": str(build.strip("/").count("/") + 1),
    }


def command_of(build, test):
    """A test of the system is a script of the sources, any other a program of the build."""
    if test.endswith(".py"):
        return [sys.executable, os.path.join(SOURCE, test)]
    return [os.path.join(build, test)]


def read_counts(build, directory):
    """The files of the rooms, as gcov tells of them."""
    counts = glob.glob(os.path.join(directory, "src/*/*.gcda"))
    if not counts:
        return []
    told = subprocess.run(
        ["gcov", "--json-format", "--stdout", "--branch-probabilities", *counts],
        cwd=build, check=True, capture_output=True, text=True)
    found = []
    for line in told.stdout.splitlines():
        for file in json.loads(line)["files"]:
            file["file"] = os.path.relpath(os.path.join(build, file["file"]), SOURCE)
            if file["file"].startswith(ROOMS):
                found.append(file)
    return found


def run(build, test):
    """Run a test alone; return its name, how it ended, how long it took, and what it reached."""
    directory = tempfile.mkdtemp(prefix="echod-coverage.")
    begin = time.monotonic()
    try:
        os.umask(0)
        place_for_counts(build, directory)
        try:
            status = subprocess.run(
                command_of(build, test), cwd=build, env=environment(build, directory),
                timeout=SECONDS_PER_TEST, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).returncode
        except subprocess.TimeoutExpired:
            status = "time-out"
        seconds = time.monotonic() - begin
        return test, status, seconds, read_counts(build, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Sum:
    """What all tests together reached of each file."""

    def __init__(self):
        self.lines = collections.defaultdict(lambda: collections.defaultdict(int))
        self.branches = collections.defaultdict(dict)

    def add(self, files):
        for file in files:
            for line in file["lines"]:
                number = line["line_number"]
                self.lines[file["file"]][number] += line["count"]
                counts = [branch["count"] for branch in line["branches"]]
                known = self.branches[file["file"]].get(number, [0] * len(counts))
                if len(known) == len(counts):
                    known = [one + other for one, other in zip(known, counts)]
                self.branches[file["file"]][number] = known


def source_lines(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return [""] + file.read().splitlines()


def ranges(numbers):
    """Numbers as text: 1-3 7."""
    found = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


class Figures:
    """How much of some files was reached."""

    def __init__(self):
        self.reached = self.lines = self.taken = self.branches = 0

    def add(self, other):
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def lines_percent(self):
        return percent(self.reached, self.lines)

    def tell(self, name):
        print(f"{self.lines_percent():6.1f} % of {self.lines:5} lines "
              f"{percent(self.taken, self.branches):6.1f} % of {self.branches:5} branches  {name}")


def report_file(total, path):
    """Print what was reached of a file and what was not, and return the figures."""
    text, lines, figures = source_lines(path), total.lines[path], Figures()
    branches = [
        (number, count)
        for number, counts in total.branches[path].items()
        if "assert(" not in text[number]  # which has a branch that must not be taken
        for count in counts
    ]
    figures.lines, figures.reached = len(lines), sum(1 for count in lines.values() if count)
    figures.branches, figures.taken = len(branches), sum(1 for _, count in branches if count)
    figures.tell(path)
    missing = [number for number, count in lines.items() if not count]
    half = {number for number, count in branches if not count and lines[number]}
    if missing:
        print(f"        lines not reached: {ranges(missing)}")
    if half:
        print(f"        reached, not both ways: {ranges(half)}")
    return figures


def report(total):
    """Print a line for each file, and return how many per cent of the lines were reached."""
    parsers, everything = Figures(), Figures()
    for path in sorted(total.lines):
        figures = report_file(total, path)
        everything.add(figures)
        if path in PARSERS:
            parsers.add(figures)
    parsers.tell("parsers")
    everything.tell("in all")
    return everything.lines_percent()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="a build with --coverage")
    parser.add_argument("--map", required=True, help="the file that says which test reaches what")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("tests", nargs="+")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    build = os.path.abspath(arguments.build)
    total, reached, failed = Sum(), {}, []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = [pool.submit(run, build, test) for test in arguments.tests]
        for one in concurrent.futures.as_completed(runs):
            test, status, seconds, files = one.result()
            total.add(files)
            if status not in (0, 77):
                failed.append(test)
            print(f"{seconds:6.1f} s  {status}  {test}", file=sys.stderr, flush=True)
            reached[test] = {
                "seconds": round(seconds, 2),
                "failed": status not in (0, 77),
                "lines": {file["file"]: [line["line_number"] for line in file["lines"] if line["count"]]
                          for file in files},
            }
            with open(arguments.map, "w", encoding="utf-8") as file:
                json.dump(reached, file)
    found = report(total)
    if failed:  # gcov has no memory either where that of a program fails
        print("did not pass in this build: " + " ".join(failed))
    if found < LEAST_LINES_PERCENT:
        print(f"less than {LEAST_LINES_PERCENT:g} % of the lines")
    return 1 if found < LEAST_LINES_PERCENT else 0


if __name__ == "__main__":
    sys.exit(main())
