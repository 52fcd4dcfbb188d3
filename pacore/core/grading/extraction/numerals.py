"""Reads numbers in prose: plain numerals and fractions, and numbers in English words."""

from __future__ import annotations

# ruff: noqa: RUF001 - the minus sign is a character that looks like another
import re
from fractions import Fraction

from pacore.core.grading.extraction.patterns import CLOSE, OPEN, Words


def rational(text: str) -> Fraction | None:
    """The value of a plain number or fraction; None for any other text."""
    mixed = re.fullmatch(r"(\d+)\s?(\\[dt]?frac\{\d+\}\{\d+\})", text.strip())
    if mixed is not None and (part := rational(mixed[2])) is not None and len(text) <= 60:
        return int(mixed[1]) + part
    found = re.fullmatch(
        r"([-−]?)(?:(\d+)/(\d+)|\\[dt]?frac\{(\d+)\}\{(\d+)\}|([\d,]+(?:\.\d+)?|\.\d+)(\s?\\?%)?)",
        text.strip(),
    )
    if found is None or len(text) > 60:
        return None
    over, under = found[2] or found[4], found[3] or found[5]
    if over:
        number = Fraction(int(over), int(under)) if int(under) else None
    else:
        digits = found[6].replace(",", "")
        number = Fraction(digits) / (100 if found[7] else 1) if digits else None
    return None if number is None else -number if found[1] else number


_NUMBER_WORDS = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen"
    "|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million"
    "|half|third"
    "|thirds|quarter|quarters|fifths?|negative|minus|and|a|point"
)

_WORDED = Words(
    rf"\W*(?P<words>(?:{_NUMBER_WORDS})(?:[\s-]+(?:{_NUMBER_WORDS}))*(?![-\w])|no (?:real "
    rf"|integer )?solutions?|infinitely many(?: solutions)?"
    r"|infinity|infinite|undefined|does not exist|DNE|true|false|yes|no|even|odd|divergent|convergent"
    r"|[A-Za-z](?![A-Za-z/]))(?P<rest>\W*(?:[^\W\d_]+\W*){0,3})"
)

_NUMBER_IN_WORDS = Words(
    rf"\W*(?:{_NUMBER_WORDS})(?:[\s-]+(?:{_NUMBER_WORDS}))*\W*"
    r"|\W*(?:no (?:real |integer )?solutions?|infinitely many(?: solutions)?|infinity|undefined)\W*"
    r"|\W*(?:does not exist|DNE)\W*"
)


def is_number_in_words(text: str) -> bool:
    """Whether a line is a number in English words, or a phrase such as "no solution"."""
    return _NUMBER_IN_WORDS.fullmatch(text) is not None and text.strip().lower() not in ("a", "and")


def in_words(text: str) -> str | None:
    """The number or other mathematical answer in English words of a text with at most a unit; else None."""
    found = _WORDED.fullmatch(text.replace(OPEN, " ").replace(CLOSE, " "))
    return (
        None
        if found is None
        or found["words"].strip() in ("a", "and", "A", "I")
        or (found["words"].strip().lower() == "no" and re.match(r"\s+\w", found["rest"]))
        else found["words"].strip()
    )
