"""Grading without computer algebra, and the keys by which votes are counted.

Rules decide for every grader except ``code`` and ``judge``, also on answers that are too large for
computer algebra. Numbers with tolerance are exact rationals, and tolerances are applied exactly.

Answer keys are texts that are equal for equivalent answers. Equality of keys is an equivalence relation,
which a grader's verdict is not: it accepts 10% for 10 and for 0.1. So a key contains what only a gold
answer can decide: units, percent signs and "x =".
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from pacore.core.grading.extraction.boxes import choice_letter
from pacore.core.grading.mathematics import number
from pacore.core.grading.mathematics.exact import Undefined, exact_value
from pacore.core.grading.mathematics.form import Form
from pacore.core.grading.mathematics.forms import read_form
from pacore.core.grading.mathematics.grader import EXACT, MAX_CHARACTERS, grade_math, infinity_sign
from pacore.core.grading.mathematics.nodes import Node, whole
from pacore.core.grading.mathematics.units import PER_MILLE, PERCENT, MeasurementUnit
from pacore.core.grading.notation.words import words
from pacore.core.grading.spec import GraderSpec, parse_spec
from pacore.core.grading.verdict import CORRECT, NO_ANSWER, WRONG, Verdict, crash, quoted_text
from pacore.core.identity import sha256_hex
from pacore.errors import BadInput

RULES_VERSION = "4"
"""Incremented with every change in this package, `pacore.core.grading.extraction.extract` or
`pacore.sandbox.algebra.algebra` that can change a verdict.
"""


def grade_fast(spec: str, gold: str, answer: str | None) -> Verdict | None:
    """The verdict by exact rules; None where ``math`` needs computer algebra.

    ``math`` is `grade_math` with `EXACT`. A gold answer of ``choice`` that is no letter is compared as
    text; where it differs the verdict is a ``crash``. Raises BadInput for ``code`` and ``judge``.
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
        return crash(f"the gold answer is no letter from A to J: {quoted_text(gold)}")
    if grader.name == "text":
        is_case_kept = "case" in grader.options
        return CORRECT if words(gold, is_case_kept) == words(answer, is_case_kept) else WRONG
    raise BadInput(_NOT_BY_RULES[grader.name])


_NOT_BY_RULES = {
    "judge": "a judge needs a model: pacore grade RUN --grader judge, with its endpoint",
    "code": "programs are graded in a sandbox, not by rules",
}

KEY_CHARACTERS = 200
"""Longer keys are replaced by their digest."""

WRITTEN_BITS = 3_000
"""The key of a number with more bits is the digest of its hexadecimal digits."""

KeyOfValue = Callable[[Node], str | None]
"""The key of an expression's value, equal for equal values; None where none is found."""


class PlainKey(NamedTuple):
    """The key of an answer by rules; ``is_complete``: computer algebra is not needed for it."""

    text: str
    is_complete: bool = True


def plain_key(spec: GraderSpec, answer: str) -> PlainKey:
    """The key of an answer without computer algebra.

    The key of a choice is its letter, of a text its `words`, of a program its digest, of a number the
    reduced fraction. Other mathematics needs computer algebra.
    """
    if spec.name == "code":
        return PlainKey(f"sha256:{sha256_hex(answer.rstrip().encode('utf-8', 'surrogatepass'))}")
    text, is_complete = _key(spec, answer)
    return PlainKey(short(text), is_complete)


def _key(spec: GraderSpec, answer: str) -> PlainKey:
    if spec.name == "choice" and (letter := choice_letter(answer)):
        return PlainKey(letter)
    if spec.name not in ("math", "numeric"):
        return PlainKey(words(answer, "case" in spec.options))
    if len(answer) > MAX_CHARACTERS:
        return PlainKey(number.integer_digits(answer.strip()) or answer.strip())
    form = read_form(answer)
    named = form_key(form, exact_key)
    if named is not None:
        return PlainKey(named)
    return PlainKey(form.text, spec.name != "math" or form.kind in ("text", "time", "based"))


def exact_key(node: Node) -> str | None:
    """The key of a value that is a fraction of limited size, or infinite; else None."""
    if sign := infinity_sign(node):
        return "∞" if sign > 0 else "-∞"
    try:
        value = exact_value(node)
    except Undefined:
        return None
    return None if value is None else fraction_key(value)


def fraction_key(value: Fraction) -> str:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) <= WRITTEN_BITS:
        return str(value)
    return f"sha256:{sha256_hex(f'{value.numerator:x}/{value.denominator:x}'.encode())}"


def form_key(form: Form, name: KeyOfValue) -> str | None:
    r"""The key of an answer's form, equal for all its notations; None where none is found.

    ``\sqrt{12}`` and ``2\sqrt{3}`` have equal keys, ``1, 2`` and ``2, 1``, ``x+1`` and ``1+x``. It
    contains what only a gold answer can decide: units, percent signs, and ``x =``.
    """
    if form.kind == "text" or form.why:
        return f"text {form.text}"
    if form.kind == "value":
        return _value_key(form, name)
    if form.kind in ("time", "based") and form.node is not None:
        return f"{form.kind} {exact_key(form.node)} {form.symbol}".rstrip()
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


def _value_key(form: Form, name: KeyOfValue) -> str | None:
    if form.node is None:
        return None
    unit = form.unit or MeasurementUnit(())
    node = form.node if unit.scale == 1 else Node("multiply", (form.node, whole(unit.scale)))
    named = name(node)
    return f"{named} {unit.name}".rstrip() if named is not None else None


def short(text: str) -> str:
    """A key, or its digest where it is longer than `KEY_CHARACTERS`."""
    return (
        text
        if len(text) <= KEY_CHARACTERS
        else f"sha256:{sha256_hex(text.encode('utf-8', 'surrogatepass'))}"
    )


DEFAULT_RELATIVE = Fraction(1, 1_000_000)
"""Relative tolerance of ``numeric`` without options; integers have to be equal."""


def read_quantity(text: str) -> number.Rational | None:
    """The number in a text, also with "x =" before it; None for none, several, or one with a unit."""
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
    """The verdict of ``numeric``: whether the answer is a number within the spec's tolerance.

    For a gold answer that is no number it is a ``crash``.
    """
    expected, found = read_quantity(gold), read_quantity(answer)
    if expected is None:
        return crash(f"the gold answer is no number: {quoted_text(gold)}")
    if found is None:
        return WRONG
    pairs = number.readings(expected, found)
    return CORRECT if any(within(spec, one, other) for one, other in pairs) else WRONG


def within(spec: GraderSpec, gold: Fraction, answer: Fraction) -> bool:
    """Whether |answer - gold| ≤ max(rel·|gold|, abs).

    An absent tolerance is 0. Without both, integers have to be equal and other numbers agree within
    `DEFAULT_RELATIVE`.
    """
    relative, absolute = spec.fraction("rel"), spec.fraction("abs")
    if relative is None and absolute is None and not gold.denominator == answer.denominator == 1:
        relative = DEFAULT_RELATIVE
    allowed = max((relative or Fraction()) * abs(gold), absolute or Fraction())
    return abs(answer - gold) <= allowed
