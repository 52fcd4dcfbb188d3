"""Grading that needs no computer algebra, and the keys that votes are counted by.

Rules decide verdicts of every grader but a program's and a judge's; what must never be given to
computer algebra they decide too. Numbers with tolerance are exact rationals, and the tolerances are
applied to them exactly.

Answer keys are equal text for answers that are the same. Equality of keys is an equivalence, which a
grader's verdict is not: it accepts 10% for 10 and for 0.1. So a key keeps what only a gold answer can
decide: units, percent signs and "x =".
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from pacore.core.grading.extraction.boxes import choice_letter
from pacore.core.grading.mathematics import number
from pacore.core.grading.mathematics.exact import Undefined, exact_value
from pacore.core.grading.mathematics.forms import Form, read_form
from pacore.core.grading.mathematics.grader import EXACT, MAX_CHARACTERS, grade_math, infinity_sign
from pacore.core.grading.mathematics.nodes import Node, whole
from pacore.core.grading.mathematics.units import PER_MILLE, PERCENT, Unit
from pacore.core.grading.notation.words import words
from pacore.core.grading.spec import GraderSpec, parse_spec
from pacore.core.grading.verdict import CORRECT, NO_ANSWER, WRONG, Verdict, crash, shown
from pacore.core.identity import sha256_hex
from pacore.errors import BadInput

RULES_VERSION = "4"
"""Counts on when a change in this package, `pacore.core.grading.extraction.extract` or
`pacore.sandbox.algebra.algebra` can change a verdict.
"""


def grade_fast(spec: str, gold: str, answer: str | None) -> Verdict | None:
    """Decide what exact rules can decide; None means that ``math`` needs computer algebra.

    ``math`` is `grade_math` with exact rules alone.
    A choice gold that is no letter compares as text, and where that fails is a ``crash``. Raises
    BadInput for what needs more than rules: a program or a judge.
    """
    if answer is None or not answer.strip():
        return NO_ANSWER
    grader = parse_spec(spec)
    if grader.name == "math":
        return grade_math(gold, answer, EXACT)
    if grader.name == "numeric":
        return grade_numeric(grader, gold, answer)
    if grader.name == "choice":
        if letter := choice_letter(gold):
            return CORRECT if choice_letter(answer) == letter else WRONG
        if words(gold) == words(answer):
            return CORRECT
        return crash(f"the gold answer is no letter from A to J: {shown(gold)}")
    if grader.name == "text":
        is_case_kept = "case" in grader.options
        return CORRECT if words(gold, is_case_kept) == words(answer, is_case_kept) else WRONG
    raise BadInput(_NOT_BY_RULES[grader.name])


_NOT_BY_RULES = {
    "judge": "a judge needs a model: pacore grade RUN --grader judge, with its endpoint",
    "code": "programs are graded in a sandbox, not by rules",
}

KEY_CHARACTERS = 200
"""A longer key is replaced by its digest."""


WRITTEN_BITS = 3_000
"""A number of more bits is named by the digest of its hexadecimal digits."""

Name = Callable[[Node], str | None]
"""Names the value of an expression, equal where it is the same; None where it has no name."""


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
        return PlainKey(f"sha256:{sha256_hex(answer.rstrip().encode('utf-8', 'surrogatepass'))}")
    text, is_all = _key(spec, answer)
    return PlainKey(short(text), is_all)


def _key(spec: GraderSpec, answer: str) -> PlainKey:
    if spec.name == "choice" and (letter := choice_letter(answer)):
        return PlainKey(letter)
    if spec.name not in ("math", "numeric"):
        return PlainKey(words(answer, "case" in spec.options))
    if len(answer) > MAX_CHARACTERS:
        return PlainKey(number.integer_digits(answer.strip()) or answer.strip())
    form = read_form(answer)
    named = form_key(form, exact_name)
    if named is not None:
        return PlainKey(named)
    return PlainKey(form.text, spec.name != "math" or form.kind in ("text", "time", "based"))


def exact_name(node: Node) -> str | None:
    """The name of a value that is a fraction, small enough to be written out, or infinite."""
    if sign := infinity_sign(node):
        return "∞" if sign > 0 else "-∞"
    try:
        value = exact_value(node)
    except Undefined:
        return None
    return None if value is None else fraction_name(value)


def fraction_name(value: Fraction) -> str:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) <= WRITTEN_BITS:
        return str(value)
    return f"sha256:{sha256_hex(f'{value.numerator:x}/{value.denominator:x}'.encode())}"


def form_key(form: Form, name: Name) -> str | None:
    r"""A name for what an answer is, the same for every way to write it; None where there is none.

    ``\sqrt{12}`` and ``2\sqrt{3}`` have one, ``1, 2`` and ``2, 1``, ``x+1`` and ``1+x``. It keeps what
    only a gold answer can decide: units, percent signs, and ``x =``.
    """
    if form.kind == "text" or form.why:
        return f"text {form.text}"
    if form.kind == "value":
        return _value_key(form, name)
    if form.kind in ("time", "based") and form.node is not None:
        return f"{form.kind} {exact_name(form.node)} {form.symbol}".rstrip()
    if form.kind in ("ratio", "relation"):
        return None
    parts = [form_key(part, name) for part in form.parts]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if form.kind == "equation":
        return "=".join([form.symbol, *known[1:]] if form.symbol else known)
    if form.kind == "list":
        return f"{{{', '.join(sorted(known))}}}"
    return f"{form.kind} {form.symbol} {form.ends[:1]}{', '.join(known)}{form.ends[1:]}"


def _value_key(form: Form, name: Name) -> str | None:
    if form.node is None:
        return None
    unit = form.unit or Unit(())
    node = form.node if unit.scale == 1 else Node("multiply", (form.node, whole(unit.scale)))
    named = name(node)
    return f"{named} {unit.name}".rstrip() if named is not None else None


def short(text: str) -> str:
    """A key, or the digest of one that is longer than `KEY_CHARACTERS`."""
    return (
        text
        if len(text) <= KEY_CHARACTERS
        else f"sha256:{sha256_hex(text.encode('utf-8', 'surrogatepass'))}"
    )


DEFAULT_RELATIVE = Fraction(1, 1_000_000)
"""What ``numeric`` without options forgives, relative to the gold answer; whole numbers nothing."""


def read_quantity(text: str) -> number.Rational | None:
    """The number a text gives, without unit or lone "x ="; None where it gives none or several."""
    return None if len(text) > MAX_CHARACTERS else _quantity(read_form(text))


def _quantity(form: Form) -> number.Rational | None:
    if form.kind == "equation" and form.symbol and len(form.parts) == 2:
        return _quantity(form.parts[1])
    if form.kind != "value" or form.node is None:
        return None
    try:
        value = exact_value(form.node)
    except Undefined:
        return None
    if value is None:
        return None
    return number.Rational(value / 1000 if form.unit == PER_MILLE else value, form.unit == PERCENT)


def grade_numeric(spec: GraderSpec, gold: str, answer: str) -> Verdict:
    """Whether the answer is a number as near the gold answer as the spec says.

    A gold answer that is no number is a ``crash``.
    """
    expected, found = read_quantity(gold), read_quantity(answer)
    if expected is None:
        return crash(f"the gold answer is no number: {shown(gold)}")
    if found is None:
        return WRONG
    pairs = number.readings(expected, found)
    return CORRECT if any(within(spec, one, other) for one, other in pairs) else WRONG


def within(spec: GraderSpec, gold: Fraction, answer: Fraction) -> bool:
    """Whether |answer - gold| ≤ max(rel·|gold|, abs).

    A tolerance that was not given is 0. Without any, whole numbers must be equal and others agree
    within `DEFAULT_RELATIVE`.
    """
    relative, absolute = spec.fraction("rel"), spec.fraction("abs")
    if relative is None and absolute is None and not gold.denominator == answer.denominator == 1:
        relative = DEFAULT_RELATIVE
    allowed = max((relative or Fraction()) * abs(gold), absolute or Fraction())
    return abs(answer - gold) <= allowed
