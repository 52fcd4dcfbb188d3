"""Checkers: whether a program's output is the expected one, as testlib or a public runner defines it.

testlib (Mike Mirzayanov) is the library of contest judges; the name of its checker is in parentheses.
White space between tokens is space, tab, carriage return and line feed only, numbers have the format
that testlib reads, and integers may have any length, where testlib's have 64 bits. ``decimals`` is
LiveCodeBench's own rule.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from typing import NamedTuple

_SHOWN_CHARACTERS = 40

_BLANKS = re.compile(r"[ \t\r\n]+")

_LINE_BLANKS = re.compile(r"[ \t\r\v\f]+")

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")

_REAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

LARGEST_REAL = 1e300
"""Larger numbers count as infinite in testlib."""

ROUNDING = 1e-15
"""Added to every tolerance, as in testlib."""


class Checked(NamedTuple):
    """The result of a checker: ``points`` in [0, 1], 1.0 for an accepted output, and a message.

    ``message`` says where the output first differs. ``points`` is None where the checker cannot read
    the expected output.
    """

    points: float | None
    message: str = ""


Checker = Callable[[str, str], Checked]
"""A function of the expected output and the program's output, in this order."""

ACCEPTED = Checked(1.0)


def split_tokens(text: str) -> list[str]:
    """The tokens of a text, as read by testlib's ``readToken``."""
    return [token for token in _BLANKS.split(text) if token]


def shown_output(text: str | None) -> str:
    """Output for a message, quoted and truncated; "nothing" for None."""
    if text is None:
        return "nothing"
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…")


def _differ(place: str, expected: str | None, found: str | None) -> Checked:
    return Checked(0.0, f"{place}: expected {shown_output(expected)}, found {shown_output(found)}")


def _unreadable(place: str, expected: str, what: str) -> Checked:
    return Checked(None, f"expected output, {place}: {shown_output(expected)} is no {what}")


def same_decimals(expected: str, found: str) -> Checked:
    """The same lines, each as a text or as a row of exact decimal numbers: 2.5 is 2.50.

    White space around the output and around lines is ignored, as in LiveCodeBench.
    """
    pairs = zip_longest(_stripped(expected), _stripped(found))
    for number, (one, other) in enumerate(pairs, start=1):
        if one is None or other is None or (one != other and not _same_row(one, other)):
            return _differ(f"line {number}", one, other or None)
    return ACCEPTED


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_row(one: str, other: str) -> bool:
    try:
        return [*map(Decimal, one.split())] == [*map(Decimal, other.split())]
    except InvalidOperation:  # of a token that is no number, or one that compares to none
        return False


def same_tokens(expected: str, found: str) -> Checked:
    """The same tokens in the same order (wcmp)."""
    pairs = zip_longest(split_tokens(expected), split_tokens(found))
    for number, (one, other) in enumerate(pairs, start=1):
        if one != other:
            return _differ(f"token {number}", one, other)
    return ACCEPTED


def same_lines(expected: str, found: str) -> Checked:
    """The same lines, each as a sequence of tokens (lcmp)."""
    return _compare_lines(expected, found, lambda line: _LINE_BLANKS.sub(" ", line).strip())


def exact_lines(expected: str, found: str) -> Checked:
    """The same lines, character for character; blank lines may follow the last one (fcmp)."""
    return _compare_lines(expected, found, lambda line: line)


def _compare_lines(expected: str, found: str, read: Callable[[str], str]) -> Checked:
    one, other = _lines(expected), _lines(found)
    # testlib detects the end of the expected output only after an empty line.
    if one and not one[-1]:
        one.pop()
    for number, line in enumerate(one, start=1):
        if number > len(other):
            return _differ(f"line {number}", line, None)
        if read(line) != read(other[number - 1]):
            return _differ(f"line {number}", line, other[number - 1])
    for number, line in enumerate(other[len(one) :], start=len(one) + 1):
        if split_tokens(line):
            return _differ(f"line {number}", None, line)
    return ACCEPTED


def _lines(text: str) -> list[str]:
    """The lines of a text, of which the last need not be ended."""
    return text.removesuffix("\n").split("\n") if text else []


def same_integers(expected: str, found: str) -> Checked:
    """The same integers in the same order (ncmp), of any length."""
    for number, one in enumerate(split_tokens(expected), start=1):
        if not _INTEGER.fullmatch(one):
            return _unreadable(f"token {number}", one, "integer")
    # Every integer has one notation, so equal numbers are equal tokens.
    return same_tokens(expected, found)


def unordered_integers(expected: str, found: str) -> Checked:
    """The same integers, equally often, in any order (uncmp)."""
    for number, one in enumerate(split_tokens(expected), start=1):
        if not _INTEGER.fullmatch(one):
            return _unreadable(f"token {number}", one, "integer")
    return unordered_tokens(expected, found)


def unordered_tokens(expected: str, found: str) -> Checked:
    """The same tokens, equally often, in any order."""
    return _same_bags("tokens", split_tokens(expected), split_tokens(found))


def unordered_lines(expected: str, found: str) -> Checked:
    """The same lines, equally often, each as a sequence of tokens, in any order; blank ones ignored."""
    return _same_bags("lines", _token_lines(expected), _token_lines(found))


def _token_lines(text: str) -> list[str]:
    return [" ".join(words) for line in text.split("\n") if (words := split_tokens(line))]


def _same_bags(what: str, expected: Sequence[str], found: Sequence[str]) -> Checked:
    if len(expected) != len(found):
        return Checked(0.0, f"expected {len(expected)} {what}, found {len(found)}")
    if missing := Counter(expected) - Counter(found):
        extra = Counter(found) - Counter(expected)
        return _differ(f"unordered {what}", min(missing), min(extra))
    return ACCEPTED


def yes_or_no(expected: str, found: str) -> Checked:
    """One YES or NO in any case (yesno)."""
    if len(split_tokens(expected)) != 1:
        return Checked(None, "expected output: has not exactly one YES or NO")
    return yes_or_nos(expected, found)


def yes_or_nos(expected: str, found: str) -> Checked:
    """The same sequence of YES and NO, in any case (nyesno)."""
    words = [_upper(token) for token in split_tokens(expected)]
    for number, one in enumerate(words, start=1):
        if one not in ("YES", "NO"):
            return _unreadable(f"token {number}", one, "YES or NO")
    for number, (one, other) in enumerate(zip_longest(words, split_tokens(found)), start=1):
        if other is None or one != _upper(other):
            return _differ(f"token {number}", one, other)
    return ACCEPTED


def _upper(token: str) -> str:
    # Some letters of other scripts have ASCII upper case; testlib does not convert them.
    return token.upper() if token.isascii() else token


def same_reals(tolerance: float) -> Checker:
    """Numbers in order, each within an absolute or relative ``tolerance`` (rcmp4, rcmp6, rcmp9)."""

    def compare(expected: str, found: str) -> Checked:
        wanted, given = split_tokens(expected), split_tokens(found)
        for number, one in enumerate(wanted, start=1):
            if not _REAL.fullmatch(one):
                return _unreadable(f"token {number}", one, "number")
        for number, (one, other) in enumerate(zip_longest(wanted, given), start=1):
            if one is None or other is None or not _REAL.fullmatch(other):
                return _differ(f"token {number}", one, other)
            if not is_close(float(one), float(other), tolerance):
                return _differ(f"token {number}", one, other)
        return ACCEPTED

    return compare


def is_close(expected: float, found: float, tolerance: float) -> bool:
    """testlib's ``doubleCompare``: within ``tolerance`` of the expected number, or of its part."""
    tolerance += ROUNDING
    if math.isnan(expected) or math.isnan(found):
        return math.isnan(expected) and math.isnan(found)
    if abs(expected) > LARGEST_REAL:
        return abs(found) > LARGEST_REAL and (expected > 0) == (found > 0)
    if abs(found) > LARGEST_REAL:
        return False
    if abs(found - expected) <= tolerance:
        return True
    ends = expected * (1.0 - tolerance), expected * (1.0 + tolerance)
    return min(ends) <= found <= max(ends)


CHECKERS: dict[str, Checker] = {
    "decimals": same_decimals,
    "exact": exact_lines,
    "lines": same_lines,
    "tokens": same_tokens,
    "integers": same_integers,
    "unordered_integers": unordered_integers,
    "unordered_tokens": unordered_tokens,
    "unordered_lines": unordered_lines,
    "yes_or_no": yes_or_no,
    "yes_or_nos": yes_or_nos,
}
"""Checkers by name; ``reals:1e-6`` names one more for every tolerance."""

TESTLIB = {
    "fcmp": "exact",
    "lcmp": "lines",
    "wcmp": "tokens",
    "ncmp": "integers",
    "icmp": "integers",
    "hcmp": "integers",
    "uncmp": "unordered_integers",
    "yesno": "yes_or_no",
    "nyesno": "yes_or_nos",
    "rcmp4": "reals:1e-4",
    "rcmp6": "reals:1e-6",
    "rcmp9": "reals:1e-9",
}
"""testlib's names for the same."""

_REALS = re.compile(r"reals:(?P<tolerance>[0-9]+(?:\.[0-9]+)?(?:e-[0-9]{1,3})?)")


def checker_named(name: str) -> Checker | None:
    """The checker with a name, pacore's own or testlib's; None for an unknown one."""
    name = TESTLIB.get(name, name)
    if found := _REALS.fullmatch(name):
        return same_reals(float(found["tolerance"]))
    return CHECKERS.get(name)
