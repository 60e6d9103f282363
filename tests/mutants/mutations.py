"""
mutations: the small changes that may be made to a source of C, and a fair choice of them.
Knows C only as far as this house writes it: clang-format has been there. Runs nothing.
Used by mutants.py.
"""

import dataclasses
import random
import re


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One change within a line: text[begin:end] of the file becomes `new`."""

    path: str
    kind: str
    function: str
    line: int
    begin: int
    end: int
    new: str
    before: str  # the line, without its indentation
    after: str

    def apply(self, text):
        return text[: self.begin] + self.new + text[self.end :]

    @property
    def key(self):
        """What names it while lines move."""
        return self.path, self.function, self.before, self.after


# What is never changed; what is left of it are spaces, so that places stay.
UNTOUCHED = re.compile(
    r"/\*.*?\*/|//[^\n]*"
    r'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    r"|^#(?:[^\n]*\\\n)*[^\n]*"
    r"|\b(?:_Static_)?assert\([^;]*;",
    re.DOTALL | re.MULTILINE)

SWAPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "+": "-", "-": "+", "+=": "-=", "-=": "+=", "&&": "||", "||": "&&",
}
SWAP = re.compile(r"(?<= )(<=?|>=?|[=!]=|[+-]=?|&&|\|\|)(?= )")
CONSTANT = re.compile(r"(?<![\w.])(\d+)(?=[uUlL]*\b(?![.\w(]))")
TRUTH = re.compile(r"\b(true|false)\b")
CONDITION = re.compile(r"\b(?:if|while) \(")
CALL = re.compile(r"^ +((?:\(void\) ?)?\w+(?:->\w+)*\(.*\));$", re.MULTILINE)
BODY = re.compile(r"^(?P<head>\w[^;{}=]*\))\n\{(?=\n)", re.MULTILINE)
NAME = re.compile(r"(\w+)(?=\(|\[\w*\] =|\[\]| =)")


def without_untouched(text):
    """The same text with spaces for what must stay."""
    return UNTOUCHED.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def closing(text, opening):
    """The place of the parenthesis that closes the one at `opening`."""
    depth = 0
    for place in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return None


def swaps(code):
    """Compare, count or join the other way."""
    for match in SWAP.finditer(code):
        yield "operator", match.start(), match.end(), SWAPS[match.group()]


def constants(code):
    """
    One more, or nothing where that is little; but of what functions return, 0 and -1 change places, since 1
    would mean the same as 0.
    """
    for match in CONSTANT.finditer(code):
        new = str(int(match.group()) + 1)
        if code[match.start() - 1] == "-" or int(match.group()) > 100:
            new = "0"
        elif code[: match.start()].endswith("return ") and match.group() == "0":
            new = "-1"
        yield "constant", match.start(), match.end(), new
    for match in TRUTH.finditer(code):
        yield "constant", match.start(), match.end(), {"true": "false", "false": "true"}[match.group()]


def negations(code):
    """Take the other branch."""
    for match in CONDITION.finditer(code):
        end = closing(code, match.end() - 1)
        if end and "\n" not in code[match.end() : end]:
            yield "condition", match.end(), end, None


def omissions(code):
    """Leave out a statement that is a call."""
    for match in CALL.finditer(code):
        before = code[: match.start()].rstrip()
        if before[-1:] in ";{})" or before.endswith(("else", ":")):
            yield "call", match.start(1), match.end(1), "(void) 0"


def early_returns(code):
    """Return at once."""
    for match in BODY.finditer(code):
        is_void = re.match(r"(static )?(inline )?void \w", match.group("head"))
        yield "return", match.end(), match.end(), " return;" if is_void else " return 0;"


def function_at(code, place):
    """The name of the function, or the table, that a place lies in."""
    found = "?"
    for line in code[:place].splitlines():
        if re.match(r"\w", line):
            name = NAME.search(line)
            found = name.group(1) if name else found
    return found


def derive(path, text):
    """All mutations of a file."""
    code = without_untouched(text)
    found = []
    for operator in (swaps, constants, negations, omissions, early_returns):
        for kind, begin, end, new in operator(code):
            if new is None:
                new = f"!({text[begin:end]})"
            start = text.rfind("\n", 0, begin) + 1
            stop = text.find("\n", end)
            found.append(Mutation(
                path, kind, function_at(code, begin), text.count("\n", 0, begin) + 1, begin, end, new,
                text[start:stop].strip(), (text[start:begin] + new + text[end:stop]).strip()))
    return found


def choose(mutations, count, seed):
    """Choose so many: of each kind before a second of any, and in another function each time if it can be."""
    generator = random.Random(seed)
    left = sorted(mutations, key=lambda mutation: (mutation.begin, mutation.new))
    generator.shuffle(left)
    kinds = sorted({mutation.kind for mutation in left})
    generator.shuffle(kinds)
    chosen, functions = [], set()
    while left and len(chosen) < count:
        kind = kinds[len(chosen) % len(kinds)]
        possible = [mutation for mutation in left if mutation.kind == kind] or left
        fresh = [mutation for mutation in possible if mutation.function not in functions]
        mutation = (fresh or possible)[0]
        left.remove(mutation)
        functions.add(mutation.function)
        chosen.append(mutation)
    return chosen
