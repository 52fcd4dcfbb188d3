"""Numbers with tolerance: exact rationals, and tolerances applied to them exactly."""

from __future__ import annotations

from fractions import Fraction

from pacore.grader import GraderSpec
from pacore.grading import number
from pacore.grading.notation import clean, split_unit
from pacore.grading.score import CORRECT, CRASH, WRONG, Verdict

DEFAULT_RELATIVE = Fraction(1, 1_000_000)
"""What ``numeric`` without options forgives, relative to the gold answer; whole numbers nothing."""


def read_quantity(text: str) -> number.Rational | None:
    """The number a text gives, without unit or lone "x ="; None where it gives none or several."""
    return number.rational(split_unit(clean(text)).body)


def grade_numeric(spec: GraderSpec, gold: str, answer: str) -> Verdict:
    """Whether the answer is a number as near the gold answer as the spec says.

    A gold answer that is no number is a ``crash``.
    """
    expected, found = read_quantity(gold), read_quantity(answer)
    if expected is None:
        return CRASH
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
