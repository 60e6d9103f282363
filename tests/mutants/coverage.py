#!/usr/bin/env python3
"""
coverage: which lines and branches of the sources the tests reach, and which test reaches which line.
Builds nothing: the directory of a build for gcov is given, and what is run there.
Called by `make coverage`; `mutants.py` reads the map that it leaves, to know which tests to run.
"""

import argparse
import concurrent.futures
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import reach

SOURCE = reach.SOURCE
SECONDS_PER_TEST = 300


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


def is_wanted(path, wanted):
    return path in wanted if wanted else path.startswith(reach.ROOMS) or path in reach.PARSERS


def source_of(counts):
    """The source that counts are of; some libraries have their names before those of their files."""
    return re.sub(r"(lib\w+_a-)?(\w+)\.gcda$", r"\2.c", counts)


def read_counts(build, directory, wanted=()):
    """The files that are wanted, by default those of the rooms and the parsers, as gcov tells of them."""
    counts = [path for path in glob.glob(os.path.join(directory, "src/*/*.gcda"))
              if is_wanted(source_of(os.path.relpath(path, directory)), wanted)]
    if not counts:
        return []
    told = subprocess.run(
        ["gcov", "--json-format", "--stdout", "--branch-probabilities", *counts],
        cwd=build, check=True, capture_output=True, text=True)
    found = []
    for line in told.stdout.splitlines():
        for file in json.loads(line)["files"]:
            file["file"] = os.path.relpath(os.path.join(build, file["file"]), SOURCE)
            if is_wanted(file["file"], wanted):
                found.append(file)
    return found


@contextlib.contextmanager
def counts_directory(build):
    """A directory in which programs leave their counts."""
    directory = tempfile.mkdtemp(prefix="echod-coverage.")
    try:
        os.umask(0)
        place_for_counts(build, directory)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run_in(build, directory, test):
    """Run a test that leaves its counts in a directory; return how it ended, and how long it took."""
    begin = time.monotonic()
    try:
        status = subprocess.run(
            command_of(build, test), cwd=build, env=environment(build, directory),
            timeout=SECONDS_PER_TEST, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).returncode
    except subprocess.TimeoutExpired:
        status = "time-out"
    return status, time.monotonic() - begin


def run(build, test):
    """Run a test alone; return its name, how it ended, how long it took, and what it reached."""
    with counts_directory(build) as directory:
        status, seconds = run_in(build, directory, test)
        return test, status, seconds, read_counts(build, directory)


class Reached:
    """What tests have reached, one after the other, and which of them did not pass."""

    def __init__(self):
        self.total, self.of_parsers = reach.Sum(), reach.Sum()
        self.map, self.failed = {}, []

    def add(self, test, status, seconds, files, is_of_parsers):
        is_failed = status not in (0, 77)
        print(f"{seconds:6.1f} s  {status}  {test}", file=sys.stderr, flush=True)
        self.total.add(files)
        if is_of_parsers:
            self.of_parsers.add(files)
        if is_failed:
            self.failed.append(test)
        self.map[test] = {
            "seconds": round(seconds, 2),
            "failed": is_failed,
            "lines": {file["file"]: [line["line_number"] for line in file["lines"] if line["count"]]
                      for file in files},
        }


def run_each(arguments, build):
    """Run each test for itself, and keep the map of what each reached. Return whether all is well."""
    reached = Reached()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = [pool.submit(run, build, test) for test in arguments.tests]
        for one in concurrent.futures.as_completed(runs):
            reached.add(*one.result(), one.result()[0] in arguments.of_parsers.split())
            with open(arguments.map, "w", encoding="utf-8") as file:
                json.dump(reached.map, file)
    if reached.failed:  # gcov has no memory either where that of a program fails
        print("did not pass in this build: " + " ".join(reached.failed))
    return reach.judge(reached.total, reached.of_parsers, reach.Uncovered())


def run_together(arguments, build):
    """Run the tests of parsers, which leave their counts in one place. Return whether all is well."""
    tests, total = arguments.of_parsers.split(), reach.Sum()
    with counts_directory(build) as directory, concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        states = list(pool.map(lambda test: (test, run_in(build, directory, test)[0]), tests))
        total.add(read_counts(build, directory, reach.PARSERS))
    failed = [test for test, status in states if status != 0]
    if failed:
        print("did not pass in this build: " + " ".join(failed))
    reach.report_files(total, [path for path in reach.PARSERS if path in total.lines], "parsers")
    return reach.judge_parsers(total, reach.Uncovered()) and not failed


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="a build with --coverage")
    parser.add_argument("--map", help="the file that says which test reaches what")
    parser.add_argument("--of-parsers", required=True, help="the tests that reach all of the parsers")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("tests", nargs="*", help="all tests; none: those of parsers alone")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    run_tests = run_each if arguments.tests else run_together
    return 0 if run_tests(arguments, os.path.abspath(arguments.build)) else 1


if __name__ == "__main__":
    sys.exit(main())
