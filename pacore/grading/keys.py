"""Answer keys: equal text for answers that are the same, which is what votes are counted by.

Equality of keys is an equivalence, which a grader's verdict is not: it lets 10% stand for 10 and for
0.1. So a key keeps what only a gold answer can decide: units, percent signs and "x =".
"""

from __future__ import annotations

from typing import NamedTuple

from pacore.answer import choice_letter
from pacore.grader import GraderSpec
from pacore.grading import number
from pacore.grading.mathematics import MAX_CHARACTERS, MAX_NESTING
from pacore.grading.notation import clean, key, nesting, words
from pacore.identity import sha256_hex

KEY_CHARACTERS = 200
"""A longer key is replaced by its digest."""


class PlainKey(NamedTuple):
    """The key of an answer by rules; ``is_all``: whether computer algebra has no more to say of it."""

    text: str
    is_all: bool = True


def plain_key(spec: GraderSpec, answer: str) -> PlainKey:
    """The key of an answer as far as rules go, without computer algebra.

    A choice's is its letter, a text's its `words`, a program's its digest, a number's the reduced
    fraction. Mathematics that is no plain number is left to computer algebra.
    """
    if spec.name == "code":
        return PlainKey(f"sha256:{sha256_hex(answer.rstrip().encode())}")
    text, is_all = _key(spec, answer)
    return PlainKey(short(text), is_all)


def _key(spec: GraderSpec, answer: str) -> PlainKey:
    if spec.name == "choice" and (letter := choice_letter(answer)):
        return PlainKey(letter)
    if spec.name not in ("math", "numeric"):
        return PlainKey(words(answer, "case" in spec.options))
    if len(answer) > MAX_CHARACTERS:
        return PlainKey(number.integer_digits(answer.strip()) or answer.strip())
    cleaned = clean(answer)
    if (value := number.rational(cleaned)) is not None:
        return PlainKey(f"{value.value}%" if value.percent else str(value.value))
    if digits := number.integer_digits(cleaned):
        return PlainKey(digits)
    return PlainKey(key(cleaned), spec.name != "math" or nesting(answer) > MAX_NESTING)


def short(text: str) -> str:
    """A key, or the digest of one that is longer than `KEY_CHARACTERS`."""
    return text if len(text) <= KEY_CHARACTERS else f"sha256:{sha256_hex(text.encode())}"
