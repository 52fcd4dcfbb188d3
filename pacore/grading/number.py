"""Exact numbers: integers of any length and rationals, read from text, compared unrounded."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

MAX_DIGITS = 1_000
"""Longest numeral turned into a Python number; beyond that only integers compare, as digits."""

ROUNDING_DIGITS = 6
"""A decimal of fewer significant digits is no rounding of anything but itself."""

_SIGN = r"(?P<sign>[+-]?)\s?"
_WHOLE = r"(?P<whole>\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)"
_INTEGER = re.compile(_SIGN + _WHOLE)
_DECIMAL = re.compile(_SIGN + rf"(?:{_WHOLE}(?:\.(?P<part>\d*))?|\.(?P<bare_part>\d+))")
_POWER_OF_TEN = re.compile(
    r"(?P<factor>[+-]?\s?\d+(?:\.\d+)?)\s?\\(?:times|cdot)\s?"
    r"10\^\s?\{?\s?(?P<power>[+-]?\d{1,3})\s?\}?"
)
_RATIO = re.compile(
    _SIGN + r"(?:\\frac\s?\{\s?(?P<over>[+-]?\d+)\s?\}\s?\{\s?(?P<under>\d+)\s?\}"
    r"|(?P<plain_over>\d+)\s?/\s?(?P<plain_under>\d+))"
)
_MIXED = re.compile(
    _SIGN + r"(?P<whole>\d+)(?:\s?\\frac\s?\{\s?(?P<over>\d+)\s?\}\s?\{\s?(?P<under>\d+)\s?\}"
    r"|\s(?P<plain_over>\d+)\s?/\s?(?P<plain_under>\d+))"
)
_REPEATING = re.compile(
    _SIGN + r"(?P<whole>\d*)\.(?P<part>\d*)\\(?:overline|bar)\s?\{\s?(?P<again>\d+)\s?\}"
)


class Rational(NamedTuple):
    """An exact value as it was written; ``percent`` where a percent sign followed it.

    Of a decimal ``places`` are its digits after the point, ``digits`` its significant ones.
    """

    value: Fraction
    percent: bool
    places: int = 0
    digits: int = 0


def integer_digits(text: str) -> str | None:
    """An integer's sign and digits without leading zeros or separators (``-1000``), or None.

    Texts, not numbers, so that no length is too long.
    """
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    digits = re.sub("[, ]", "", found["whole"])
    # Other scripts' digits are digits to the pattern; only ASCII has one spelling per number.
    if not digits.isascii():
        return None
    digits = digits.lstrip("0") or "0"
    return "-" + digits if found["sign"] == "-" and digits != "0" else digits


def rational(text: str) -> Rational | None:
    r"""Read an integer, decimal, ``a/b``, ``\frac{a}{b}``, ``2\frac{1}{2}``, ``0.\overline{3}`` or
    ``a \times 10^{n}``; None for anything else.
    """
    percent = text.endswith("%")
    text = text.removesuffix("%").rstrip()
    if len(text) > MAX_DIGITS or not text.isascii():
        return None
    places = digits = 0
    if found := _RATIO.fullmatch(text):
        under = int(found["under"] or found["plain_under"])
        if under == 0:
            return None
        value = Fraction(int(found["over"] or found["plain_over"]), under)
    elif found := _DECIMAL.fullmatch(text):
        whole = re.sub("[, ]", "", found["whole"] or "0")
        part = found["part"] or found["bare_part"] or ""
        value = Fraction(int(whole + part), 10 ** len(part))
        places, digits = len(part), len((whole + part).lstrip("0"))
    elif found := _MIXED.fullmatch(text):
        under = int(found["under"] or found["plain_under"])
        over = int(found["over"] or found["plain_over"])
        if not over < under:
            return None
        value = int(found["whole"]) + Fraction(over, under)
    elif found := _REPEATING.fullmatch(text):
        part, again = found["part"], found["again"]
        once = Fraction(int(again), 10 ** len(again) - 1)
        value = int(found["whole"] or 0) + (int(part or 0) + once) / 10 ** len(part)
    elif power := _POWER_OF_TEN.fullmatch(text):
        factor = Fraction(power["factor"].replace(" ", ""))
        return Rational(factor * Fraction(10) ** int(power["power"]), percent)
    else:
        return None
    return Rational(-value if found["sign"] == "-" else value, percent, places, digits)


def equal(one: Rational, other: Rational) -> bool:
    """Whether two numbers are the same; a lone percent sign may mean a hundredth or nothing."""
    return any(a == b for a, b in readings(one, other))


def is_rounding(written: Rational, exact: Rational) -> bool:
    """Whether the first is a decimal of `ROUNDING_DIGITS` digits or more that the second rounds to."""
    if written.percent != exact.percent:
        return False
    return rounds_to(exact.value, written)


def rounds_to(value: Fraction, written: Rational) -> bool:
    """Whether a value rounds to a decimal as it was written, which has digits enough to say so."""
    if written.places == 0 or written.digits < ROUNDING_DIGITS:
        return False
    return abs(value - written.value) <= Fraction(1, 2 * 10**written.places)


def readings(one: Rational, other: Rational) -> list[tuple[Fraction, Fraction]]:
    """The pairs of values two numbers may stand for: a lone percent sign may mean nothing."""
    pairs = [(one.value, other.value)]
    if one.percent and not other.percent:
        pairs.append((one.value / 100, other.value))
    if other.percent and not one.percent:
        pairs.append((one.value, other.value / 100))
    return pairs
