"""Answer keys: equal text for answers that are the same, which is what votes are counted by.

Equality of keys is an equivalence, which a grader's verdict is not: it lets 10% stand for 10 and for
0.1. So a key keeps what only a gold answer can decide: units, percent signs and "x =".
"""

from __future__ import annotations

from pacore.answer import choice_letter
from pacore.grader import GraderSpec
from pacore.grading import number
from pacore.grading.mathematics import MAX_CHARACTERS, MAX_NESTING
from pacore.grading.notation import clean, key, nesting, words
from pacore.identity import sha256_hex

KEY_CHARACTERS = 200
"""A longer key is replaced by its digest."""


def plain_key(spec: GraderSpec, answer: str) -> str:
    """The key of an answer as far as rules go, without computer algebra.

    A choice's is its letter, a text's its `words`, a program's its digest, a number's the reduced
    fraction.
    """
    if spec.name == "code":
        return f"sha256:{sha256_hex(answer.rstrip().encode())}"
    return short(_key(spec, answer))


def _key(spec: GraderSpec, answer: str) -> str:
    if spec.name == "choice" and (letter := choice_letter(answer)):
        return letter
    if spec.name not in ("math", "numeric"):
        return words(answer, "case" in spec.options)
    if len(answer) > MAX_CHARACTERS:
        return number.integer_digits(answer.strip()) or answer.strip()
    cleaned = clean(answer)
    value = number.rational(cleaned)
    if value is None:
        return number.integer_digits(cleaned) or key(cleaned)
    return f"{value.value}%" if value.percent else str(value.value)


def is_plain_key(spec: GraderSpec, answer: str) -> bool:
    """Whether `plain_key` is all there is to say: anything but mathematics that is no plain number."""
    if spec.name != "math" or len(answer) > MAX_CHARACTERS or nesting(answer) > MAX_NESTING:
        return True
    cleaned = clean(answer)
    return number.rational(cleaned) is not None or number.integer_digits(cleaned) is not None


def short(text: str) -> str:
    """A key, or the digest of one that is longer than `KEY_CHARACTERS`."""
    return text if len(text) <= KEY_CHARACTERS else f"sha256:{sha256_hex(text.encode())}"
