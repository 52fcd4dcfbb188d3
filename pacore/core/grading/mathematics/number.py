"""Reads numerals exactly, and compares numbers without rounding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

ROUNDING_DIGITS = 6
"""Fewest significant digits of a decimal that counts as a rounding of another value."""

_INTEGER = re.compile(r"([+-]?)\s?(\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)")


class Rational(NamedTuple):
    """An exact value with its notation; ``percent``: a percent sign followed it.

    Of a decimal ``places`` are its digits after the point, ``digits`` its significant ones.
    """

    value: Fraction
    percent: bool = False
    places: int = 0
    digits: int = 0


def integer_digits(text: str) -> str | None:
    """An integer's sign and digits without leading zeros or separators (``-1000``), or None.

    Texts, not numbers, so that no length is too long.
    """
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    digits = re.sub("[, ]", "", found[2])
    # The pattern matches digits of other scripts; only ASCII has one notation per number.
    if not digits.isascii():
        return None
    digits = digits.lstrip("0") or "0"
    return "-" + digits if found[1] == "-" and digits != "0" else digits


def decimal(text: str) -> Rational:
    """The value of digits with at most one decimal point."""
    whole, _, part = text.partition(".")
    return Rational(
        Fraction(int((whole + part) or "0"), 10 ** len(part)),
        places=len(part),
        digits=len((whole + part).lstrip("0")),
    )


def scientific(factor: str, power: int) -> Rational:
    return Rational(decimal(factor).value * Fraction(10) ** power)


def repeating(once: str, again: str) -> Rational:
    """The value of a repeating decimal: ``once`` followed by ``again`` without end."""
    whole, _, part = once.partition(".")
    tail = Fraction(int(again), 10 ** len(again) - 1)
    return Rational(int(whole or 0) + (int(part or 0) + tail) / 10 ** len(part))


def in_base(digits: str, base: int) -> int | None:
    """The value of digits (letters from ten on) in a base; None where one is no digit of the base."""
    try:
        return int(digits, base) if 2 <= base <= 36 and "_" not in digits else None
    except ValueError:
        return None


_CERTAIN_GROUPS = tuple(
    re.compile(rf"(?<![\d.,]){first}(?:{separator}\d{{3}}){many}(?![\d]|{separator}\d)")
    for first, separator, many in (
        (r"[1-9]\d{0,2}", r"\{,\}", "+"),
        (r"[1-9]\d{0,2}", "'", "+"),
        (r"[1-9]\d{0,2}", "[ ~]", r"+(?!\s?/)"),
        (r"[1-9]\d{0,2}", "_", "{2,}"),
        (r"[1-9]\d{0,2}", r"\.", "{2,}"),
    )
)

_POINT = re.compile(
    r"(?<![\d.,])([1-9]\d{0,2}(?:( )\d{3}(?: \d{3})*|\.\d{3}(?:\.\d{3})+)),(?!\d{3}(?!\d))(\d+)(?![\d,])"
)

_COMMAS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!,?\d)")


def join_thousands(text: str) -> str:
    """A text without thousands separators: ``1{,}234`` and ``12 345,67`` as ``1234`` and ``12345.67``.

    A comma alone may separate a list. It groups digits outside of brackets; within them only beside
    others that have a space after them, as in ``(1,234, 5,678)``.
    """
    text = _POINT.sub(lambda found: re.sub(r"[ .]", "", found[1]) + "." + found[3], text)
    for pattern in _CERTAIN_GROUPS:
        text = pattern.sub(lambda found: re.sub(r"\D", "", found[0]), text)
    if "," not in text:
        return text
    in_list = _in_narrow_lists(text)
    return _COMMAS.sub(lambda f: f[0] if in_list[f.start()] else f[0].replace(",", ""), text)


def _in_narrow_lists(text: str) -> list[bool]:
    """For each position, whether it is within brackets without a comma followed by a space."""
    open_at: list[int] = []
    wide: set[int] = set()
    inside: list[int] = []
    for place, character in enumerate(text):
        if character in ")]" or text[place - 1 : place + 1] == "\\}":
            open_at = open_at[:-1]
        inside.append(open_at[-1] if open_at else -1)
        if character in "([" or text[place - 1 : place + 1] == "\\{":
            open_at.append(place)
        elif character == "," and text[place + 1 : place + 2].isspace() and open_at:
            wide.add(open_at[-1])
    return [place >= 0 and place not in wide for place in inside]


def _words(text: str) -> list[str]:
    return text.split()


_SMALL = {
    word: value
    for value, word in enumerate(
        _words(
            """
            zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
            fifteen sixteen seventeen eighteen nineteen
            """
        )
    )
} | {
    word: 10 * value
    for value, word in enumerate(_words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}  # fmt: skip

_GREAT = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

NUMBER_WORDS = _SMALL.keys() | _GREAT.keys()

MAGNITUDES = _GREAT | {"dozen": 12}
"""Words that multiply the number before them."""


def from_words(words: Sequence[str]) -> int | None:
    """The number in words such as ``one hundred and eight``; None for other words."""
    total = group = 0
    last = 0
    for word in words:
        if word in _SMALL:
            value = _SMALL[word]
            # After a ten comes a unit, after a hundred either, and after a unit neither.
            if last and not (value and (last >= 100 or (last >= 20 and value < 10))):
                return None
            group += value
            last = value or 1
        elif word == "hundred" and 0 < group < 10 and last < 10:
            group *= 100
            last = 100
        elif (
            word in _GREAT
            and word != "hundred"
            and 0 < group < 1000
            and not 0 < total < 1000 * _GREAT[word]
        ):
            total += group * _GREAT[word]
            group, last = 0, 1000
        elif word != "and" or last < 100:
            return None
    return total + group if words and words[-1] != "and" else None


def equal(one: Rational, other: Rational) -> bool:
    """Whether two numbers are equal; a percent sign on one side only may be ignored."""
    return any(a == b for a, b in readings(one, other))


def is_rounding(written: Rational, exact: Rational) -> bool:
    """Whether the first is a decimal of `ROUNDING_DIGITS` digits or more that the second rounds to."""
    return written.percent == exact.percent and rounds_to(exact.value, written)


def is_precise(written: Rational) -> bool:
    """Whether a decimal has enough digits to count as the rounding of another value."""
    return written.places > 0 and written.digits >= ROUNDING_DIGITS


def rounds_to(value: Fraction, written: Rational) -> bool:
    """Whether a value rounds to a decimal with enough digits."""
    return is_precise(written) and abs(value - written.value) <= Fraction(1, 2 * 10**written.places)


def readings(one: Rational, other: Rational) -> list[tuple[Fraction, Fraction]]:
    """The pairs of values to compare: a percent sign on one side only may be ignored."""
    pairs = [(one.value, other.value)]
    if one.percent and not other.percent:
        pairs.append((one.value / 100, other.value))
    if other.percent and not one.percent:
        pairs.append((one.value, other.value / 100))
    return pairs
