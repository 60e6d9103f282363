"""
reach: what is told of the lines and branches that tests reached, and whether it is enough.
Runs nothing: coverage.py has run the tests and asks here. What need not be reached stands in the file
`uncovered`.
"""

import collections
import functools
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.path.join(HERE, "../.."))
UNCOVERED = os.path.join(HERE, "uncovered")
ROOMS = ("src/base/", "src/echod/")
LEAST_LINES_PERCENT = 93.0

# What reads what comes from outside: a command line, files, the environment, other ends of connections.
PARSERS = tuple(f"src/{name}.c" for name in (
    "base/accept", "base/address", "base/command_line", "base/config_file", "base/escape",
    "base/http_request", "base/identity_reader", "base/network", "base/proxy_header", "base/proxy_tlv",
    "base/setting_kind", "base/units",
    "echod/admin_address", "echod/admin_guard", "echod/listener_options", "echod/listener_values",
    "echod/passed", "echod/proxy_reader", "echod/source_key", "echod/tls_ciphers",
    "echod/tls_options",
    "echoctl/http_message", "echoctl/json",
    "echoprobe/greeting", "echoprobe/targets", "echoprobe/verifier"))

# How lines look that follow a call or an allocation that has failed: the condition before them, or they
# themselves.
CONDITION = re.compile(
    r"== NULL|< 0|<= 0|== -1|!= 1\b|\b(status|error|result) != 0|== MHD_NO|errno|MAP_FAILED|failure"
    r"|\(!(?!\w*(is|has|may|contains)_)[a-z_]+\(")
CONSEQUENCE = re.compile(r"errno = |ENOMEM|failure|[Mm]emory|free\(|descriptor_close\(|log_failure|_FAILED")


@functools.lru_cache(maxsize=None)
def source_lines(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return [""] + file.read().splitlines()


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def ranges(numbers):
    """Numbers as text: 1-3 7."""
    found = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


class Sum:
    """What all tests together reached of each file: how often each line, and each way from there."""

    def __init__(self):
        self.lines = collections.defaultdict(lambda: collections.defaultdict(int))
        self.branches = collections.defaultdict(dict)
        self.functions = collections.defaultdict(dict)

    def add(self, files):
        """Count what a test reached; gcov counts the brace of a function that is partly inlined, too."""
        for file in files:
            text = source_lines(file["file"])
            for line in file["lines"]:
                if text[line["line_number"]] != "{":
                    self.add_line(file["file"], line)

    def add_line(self, path, line):
        number, counts = line["line_number"], [branch["count"] for branch in line["branches"]]
        self.lines[path][number] += line["count"]
        self.functions[path][number] = line.get("function_name", "")
        known = self.branches[path].get(number, [0] * len(counts))
        if len(known) == len(counts):
            known = [one + other for one, other in zip(known, counts)]
        self.branches[path][number] = known

    def counted_branches(self, path):
        """The ways from each line; an assertion has one that must not be taken."""
        text = source_lines(path)
        return {number: counts for number, counts in self.branches[path].items()
                if "assert(" not in text[number]}


# --- What need not be reached -------------------------------------------------------------------------


class Uncovered:
    """
    The file of that name. A line that ends with a colon is a reason. Below it stand places, which are a file
    and a function, or "*" for all. Indented below a place stand the ways that are not taken: how many, and
    the line.
    """

    def __init__(self):
        self.ways = {}  # (path, function, text): (how many, reason)
        self.places = {}  # (path, function): reason
        reason = place = None
        with open(UNCOVERED, encoding="utf-8") as file:
            for line in file.read().splitlines():
                if line.startswith("src/"):
                    place = tuple(line.split())
                    self.places[place] = reason
                elif line.startswith("  "):
                    count, text = line.split(maxsplit=1)
                    self.ways[(*place, text)] = (int(count), reason)
                elif line.endswith(":"):
                    reason = line[:-1]

    def reason_of(self, path, function):
        return self.places.get((path, function)) or self.places.get((path, "*"))


# --- Parsers ------------------------------------------------------------------------------------------


def ways_not_taken(total, path):
    """How many ways from each line of a file are not taken, by path, function and text."""
    text, found = source_lines(path), collections.Counter()
    for number, counts in total.counted_branches(path).items():
        found[(path, total.functions[path][number], text[number].strip())] += counts.count(0)
    return found


def judge_parsers(total, uncovered):
    """Print where the ways that are not taken are others than those of the list. Return whether nowhere."""
    missing, faults = collections.Counter(), []
    for path in PARSERS:
        missing += ways_not_taken(total, path)
        if path not in total.lines:
            faults.append(f"{path}: no test reached it")
    for key in sorted(missing.keys() | uncovered.ways.keys()):
        path, function, text = key
        listed = uncovered.ways.get(key, (0, ""))[0]
        if missing[key] != listed:
            faults.append(f"{path} {function}: {missing[key]} ways are not taken, and {listed} listed in "
                          f"tests/mutants/uncovered: {text}")
    print("\n".join(faults) or "parsers: each branch is taken or listed in tests/mutants/uncovered")
    return not faults


# --- The report ---------------------------------------------------------------------------------------


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
    lines, figures = total.lines[path], Figures()
    branches = [(number, count) for number, counts in total.counted_branches(path).items()
                for count in counts]
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


def report_files(total, paths, name):
    """Print a line for each file and one for all, and return the figures of all."""
    everything = Figures()
    for path in paths:
        everything.add(report_file(total, path))
    everything.tell(name)
    return everything


# --- Why lines are not reached ------------------------------------------------------------------------

FAILED = "By the condition before it a call or an allocation has failed, as make check-faults lets it"
NO_VALUE = "The enum has no other value"
OTHER = "No reason is known"


class Reasons:
    """Why lines of a file were not reached: what the list says, else the condition before them."""

    def __init__(self, total, path, uncovered):
        self.path, self.uncovered = path, uncovered
        self.text = source_lines(path)
        self.counts, self.functions = total.lines[path], total.functions[path]
        self.numbers = sorted(self.counts)

    def missing(self):
        return [number for number in self.numbers if not self.counts[number]]

    def reached_before(self, number):
        """The last line of the function before this one that was reached, or None."""
        return max((other for other in self.numbers if self.counts[other] and other < number
                    and self.functions[other] == self.functions[number]), default=None)

    def end_of_block(self, number):
        """The line behind those that were not reached from this one on, in its function."""
        return min((other for other in self.numbers if other > number and (
            self.counts[other] or self.functions[other] != self.functions[number])), default=len(self.text))

    def calls(self, function):
        """The lines that were not reached, of other functions, in which this one is called."""
        call = re.compile(rf"\b{function}\(")
        return [number for number in self.missing()
                if self.functions[number] != function and call.search(self.text[number])]

    def of(self, number, depth=0):
        listed = self.uncovered.reason_of(self.path, self.functions[number])
        if listed:
            return listed
        if self.text[number].lstrip().startswith("abort();"):
            return NO_VALUE
        before = self.reached_before(number)
        if before is None:
            callers = self.calls(self.functions[number]) if depth < 5 else []
            return self.of(callers[0], depth + 1) if callers else OTHER
        block = "\n".join(self.text[number:self.end_of_block(number)])
        is_failure = CONDITION.search("\n".join(self.text[before:number])) or CONSEQUENCE.search(block)
        return FAILED if is_failure else OTHER


def report_reasons(total, paths, uncovered):
    """Print how many lines were not reached for each reason, and where those are that have none."""
    found, others = collections.Counter(), {}
    for path in paths:
        reasons = Reasons(total, path, uncovered)
        of_lines = {number: reasons.of(number) for number in reasons.missing()}
        found.update(of_lines.values())
        others[path] = [number for number, reason in of_lines.items() if reason == OTHER]
    print("lines not reached, and why:")
    for reason, count in found.most_common():
        print(f"{count:6}  {reason}")
    for path, numbers in others.items():
        if numbers:
            print(f"        {OTHER}: {path} {ranges(numbers)}")


def judge(total, of_parsers, uncovered):
    """Print the whole report. Return whether all is well."""
    paths = [path for path in sorted(total.lines) if path.startswith(ROOMS)]
    figures = report_files(total, paths, "in all")
    report_reasons(total, paths, uncovered)
    is_enough = figures.lines_percent() >= LEAST_LINES_PERCENT
    if not is_enough:
        print(f"less than {LEAST_LINES_PERCENT:g} % of the lines")
    return judge_parsers(of_parsers, uncovered) and is_enough
