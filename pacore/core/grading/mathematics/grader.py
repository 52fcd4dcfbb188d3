"""The grader ``math``: exact rules where they decide, else computer algebra.

`EXACT` decides by exact rules in microseconds, and leaves values that are no fractions undecided.
`pacore.sandbox.algebra.algebra` decides those, in processes that can be killed.
"""

from __future__ import annotations

import math
from fractions import Fraction

from pacore.core.grading.mathematics import number
from pacore.core.grading.mathematics.comparison import Algebra, Same, Sides, same_form
from pacore.core.grading.mathematics.exact import Undefined, exact_value
from pacore.core.grading.mathematics.forms import read_form
from pacore.core.grading.mathematics.nodes import Node, free_symbols, written_decimal
from pacore.core.grading.mathematics.number import Rational
from pacore.core.grading.mathematics.residues import Draws
from pacore.core.grading.verdict import CORRECT, WRONG, Verdict, crash

MAX_CHARACTERS = 1_000


def grade_math(gold: str, answer: str, algebra: Algebra) -> Verdict | None:
    """Whether an answer equals the gold answer mathematically; None where ``algebra`` is undecided.

    An answer is right only where all of it is parsed; an answer or gold answer that is not is compared as
    text. Integers of any length and fractions are compared exactly, other values are equal where
    ``algebra`` proves it, and other answers are compared by their form
    (`pacore.core.grading.mathematics.forms`): points and intervals in order, sets and lists of solutions in
    any order, equations up to a factor. Units, percent signs and "x =" may be on one side only. A decimal
    equals only its own value, or a value that rounds to it with six digits or more. Above `MAX_CHARACTERS`
    only integers are read, and any other gold answer is a ``crash``.
    """
    if gold.strip() == answer.strip():
        return CORRECT
    if max(len(gold), len(answer)) > MAX_CHARACTERS:
        return _grade_long(gold, answer)
    same = same_form(read_form(gold), read_form(answer), algebra)
    return None if same is None else CORRECT if same else WRONG


def _grade_long(gold: str, answer: str) -> Verdict:
    one, other = number.integer_digits(gold.strip()), number.integer_digits(answer.strip())
    if one is not None and one == other:
        return CORRECT
    if len(gold) > MAX_CHARACTERS and one is None:
        return crash(
            f"the gold answer has {len(gold):,} characters, and no more than {MAX_CHARACTERS:,} are read"
        )
    return WRONG


class Exact:
    """Compares expressions by exact rules only."""

    def same_expression(self, gold: Node, answer: Node) -> Same:
        """True, False, or None for what needs algebra."""
        if gold == answer:
            return True
        try:
            one, other = exact_value(gold), exact_value(answer)
        except Undefined:
            return False
        if one is None or other is None:
            signs = infinity_sign(gold), infinity_sign(answer)
            return _at_a_point(gold, answer) if signs == (0, 0) else signs[0] == signs[1]
        return one == other or any(
            number.rounds_to(value, decimal)
            for decimal, value in (
                (roundable(gold, answer, True), other),
                (roundable(answer, gold, False), one),
            )
            if decimal is not None
        )

    def same_equation(self, gold: Sides, answer: Sides) -> Same:
        """True where the sides are equal, in either order."""
        return True if set(gold) == set(answer) else None

    def same_inequality(self, gold: Sides, answer: Sides) -> Same:
        """True where the sides are equal."""
        return True if gold == answer else None


def _at_a_point(one: Node, other: Node) -> Same:
    """False where two rational functions differ at a point; else None."""
    names = free_symbols(one) | free_symbols(other)
    if not names:
        return None
    point = {name: Fraction(_DRAWS.number(name, 20) + 2, 1_009) for name in names}
    try:
        values = [exact_value(node, point=point) for node in (one, other)]
    except Undefined:
        return None
    return None if None in values or values[0] == values[1] else False


_DRAWS = Draws("point")


def infinity_sign(node: Node) -> int:
    """1 or -1 for infinity with its sign, 0 for any other expression."""
    if node.kind == "negate":
        return -infinity_sign(node.args[0])
    return int(node.value == "infinity")


def roundable(written: Node, other: Node, is_gold: bool) -> Rational | None:
    """A decimal that may be a rounding of ``other``: with enough digits, where ``other`` is no decimal.

    A gold answer must have more digits than the numbers in the answer, which otherwise may be constructed
    to round to it (``12345.67 + 10^{-40}``).
    """
    decimal = written_decimal(written)
    if decimal is None or not number.is_precise(decimal) or written_decimal(other) is not None:
        return None
    return None if is_gold and written_digits(other) >= decimal.digits else decimal


def written_digits(node: Node) -> int:
    """The number of digits of all numbers in an expression."""
    inner = sum(map(written_digits, node.args))
    if not isinstance(node.value, Rational):
        return inner
    value = node.value.value
    parts = [value.numerator] if value.denominator == 1 else [value.numerator, value.denominator]
    return inner + sum(max(1, math.ceil(part.bit_length() * math.log10(2))) for part in parts)


EXACT = Exact()
