"""Numbers with tolerance: exact rationals, and tolerances applied to them exactly."""

from __future__ import annotations

from fractions import Fraction

from pacore.grader import GraderSpec
from pacore.grading import number
from pacore.grading.exact import Undefined, exact_value
from pacore.grading.forms import Form, read_form
from pacore.grading.mathematics import MAX_CHARACTERS
from pacore.grading.score import CORRECT, WRONG, Verdict, crash, shown
from pacore.grading.units import PER_MILLE, PERCENT

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
