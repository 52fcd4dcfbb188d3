r"""Computer algebra: whether two expressions are proven to have the same value.

Expressions with disjoint enclosures (`pacore.sandbox.algebra.enclosure`) are different; expressions with
a proof (`pacore.sandbox.algebra.proof`) and equal fractions of up to `EXACT_BITS` bits are equal; all
others count as different. Runs only in a process that can be killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Literal

from pacore.core.grading.mathematics.comparison import Same, Sides
from pacore.core.grading.mathematics.exact import Undefined, exact_value
from pacore.core.grading.mathematics.grader import EXACT, roundable
from pacore.core.grading.mathematics.nodes import Node, add, constants, free_symbols, negate
from pacore.core.grading.mathematics.number import Rational
from pacore.core.grading.mathematics.residues import Draws, NoResidue, PrimeField, residue
from pacore.sandbox.algebra import enclosure, separation
from pacore.sandbox.algebra.enclosure import Assignment, Indeterminate
from pacore.sandbox.algebra.polynomials import Unproven
from pacore.sandbox.algebra.proof import FIELDS, LEAST_POINTS, Proof
from pacore.sandbox.algebra.reduction import Reduction

EXACT_BITS = 1_500_000

EXACT_TERMS = 10_000

ENCLOSING_BITS = (120, 480, 2_400)

SAMPLE_POINTS = 12

MOST_BREAKS = 8


class SymbolicAlgebra:
    """Decides every comparison: by `EXACT` where it can, else by proof."""

    def same_expression(self, gold: Node, answer: Node) -> Same:
        same = EXACT.same_expression(gold, answer)
        if same is not None:
            return same
        try:
            return _same(gold, answer) or _is_rounding(gold, answer)
        except (Unproven, Undefined):
            return False

    def same_equation(self, gold: Sides, answer: Sides) -> Same:
        """Whether the differences of their sides are equal up to a constant factor."""
        if EXACT.same_equation(gold, answer):
            return True
        try:
            return _proportional(*(add(left, negate(right)) for left, right in (gold, answer)))
        except (Unproven, Undefined):
            return False

    def same_inequality(self, gold: Sides, answer: Sides) -> Same:
        """Whether the differences of their sides are equal up to a positive factor."""
        return self.same_equation(gold, answer) and _have_one_sign(
            *(add(left, negate(right)) for left, right in (gold, answer))
        )


def _have_one_sign(one: Node, other: Node) -> bool:
    """Whether two expressions have the same sign at the first point where enclosures decide it."""
    for point in sample(one, other, Draws("sign")):
        with enclosure.precision(ENCLOSING_BITS[0]):
            try:
                boxes = [enclosure.enclose(node, point, {}) for node in (one, other)]
            except ArithmeticError:
                continue
            if all(box.is_real and not box.may_be_zero for box in boxes):
                return bool((boxes[0].re.a > 0) == (boxes[1].re.a > 0))
    return False


def _same(one: Node, other: Node) -> bool:
    values = [exact_value(node, EXACT_BITS, EXACT_TERMS) for node in (one, other)]
    if None not in values:
        return values[0] == values[1]
    draws = Draws(f"{one} {other}")
    compared = [(_compare(one, other, point), point) for point in sample(one, other, draws)]
    if any(result == "different" for result, _ in compared):
        return False
    usable = [point for result, point in compared if result == "undecided"]
    return bool(usable) and Proof(draws, usable).is_zero(add(one, negate(other)))


def sample(one: Node, other: Node, draws: Draws) -> list[Assignment]:
    """The points at which two expressions are compared: the empty one for constants."""
    names = free_symbols(one) | free_symbols(other)
    return list(sample_points(names, draws, _breaks(one, other))) if names else [{}]


def _breaks(*nodes: Node) -> list[Fraction]:
    """Numbers in expressions with roots or absolute values, near which these may change branch."""
    found: set[Fraction] = set()

    def gather(node: Node) -> bool:
        if isinstance(node.value, Rational):
            found.add(abs(node.value.value))
        inner = [gather(part) for part in node.args]
        return node.kind in ("root", "absolute", "floor", "ceiling") or any(inner)

    has_branches = [gather(node) for node in nodes]
    return sorted(found)[:MOST_BREAKS] if any(has_branches) else []


_SCALES = (1, 3, 40, 1_000_000)


def sample_points(names: set[str], draws: Draws, breaks: list[Fraction]) -> Iterator[Assignment]:
    """Points with small and large, positive and negative coordinates, and some near ``breaks``."""
    near: list[Fraction | None] = [None] * SAMPLE_POINTS
    near += [value * sign for value, sign in product(breaks, (1, -1))]
    for which, centre in enumerate(near):
        yield {
            name: _coordinate(draws.number(f"{which} {name}", 32), order, which, centre)
            for order, name in enumerate(sorted(names))
        }


def _coordinate(drawn: int, order: int, which: int, centre: Fraction | None) -> Fraction:
    """One coordinate: of the first symbol with scales and signs in turn, of others with random ones."""
    part = Fraction(drawn % 2**24 + 1, 2**24 + 2)
    if centre is not None:
        return centre + (part if which % 2 else -part) / 8
    scale, sign = (which % 4, which // 4 % 2) if order == 0 else (drawn >> 24 & 3, drawn >> 26 & 1)
    return part * _SCALES[scale] * (-1 if sign else 1)


def _compare(
    one: Node, other: Node, point: Assignment
) -> Literal["different", "unreal", "undecided"]:
    """Compare two expressions at a point by enclosures; ``unreal`` where neither has a real value.

    Expressions with symbols and without an imaginary unit are compared at real values only.
    """
    is_complex = not point or "i" in constants(one) | constants(other)
    for bits in ENCLOSING_BITS[: 1 if point else None]:
        with enclosure.precision(bits):
            try:
                first, second = (enclosure.enclose(node, point, {}) for node in (one, other))
            except Indeterminate:
                continue
            except ArithmeticError:
                return "undecided"
            if not is_complex and not (first.is_real and second.is_real):
                return "different" if first.is_real or second.is_real else "unreal"
            if first.is_disjoint_from(second):
                return "different"
    return "undecided"


def _is_rounding(gold: Node, answer: Node) -> bool:
    """Whether one is a decimal with enough digits, and the other is proven to round to it."""
    pairs = ((roundable(gold, answer, True), answer), (roundable(answer, gold, False), gold))
    return any(decimal is not None and _rounds_to(exact, decimal) for decimal, exact in pairs)


def _rounds_to(constant: Node, decimal: Rational) -> bool:
    if free_symbols(constant):
        return False
    low, high = (decimal.value + sign * Fraction(1, 2 * 10**decimal.places) for sign in (-1, 1))
    for bits in ENCLOSING_BITS:
        with enclosure.precision(bits):
            try:
                box = enclosure.enclose(constant, {}, {})
                least, greatest = enclosure.ends(box.re)
            except Indeterminate:
                continue
            except ArithmeticError:
                return False
        if not box.is_real or greatest < low or high < least:
            return False
        if low <= least and greatest <= high:
            return True
    return False


def _proportional(one: Node, other: Node) -> bool:
    names = free_symbols(one)
    if not names or names != free_symbols(other):
        return False
    draws = Draws(f"{one} {other}")
    proof = Proof(draws, sample(one, other, draws))
    first, second = proof.reduction.reduce(one), proof.reduction.reduce(other)
    try:
        fields = [PrimeField(draws, which) for which in range(FIELDS)]
        return all(_cross_vanishes(first, second, field, proof.reduction) for field in fields)
    except NoResidue:
        return _cross_vanishes_at_points(first, second, proof)


def _cross_vanishes(first: Node, second: Node, field: PrimeField, reduction: Reduction) -> bool:
    """Whether f(p) g(q) = f(q) g(p) in a field for random p and q, with all four values nonzero."""
    a, b, c, d = (
        residue(node, field, at, reduction.meanings) for node in (first, second) for at in "pq"
    )
    return bool(a and b and c and d) and (a * d - b * c) % field.prime == 0


def _cross_vanishes_at_points(first: Node, second: Node, proof: Proof) -> bool:
    known = proof.values_at_points(add(first, second))
    if len(known) < LEAST_POINTS:
        return False
    start, *others = known
    meanings = proof.reduction.meanings

    def crossed(values: separation.SymbolValues) -> separation.Build:
        def build(algebra: separation.FieldArithmetic) -> separation.Algebraic:
            def at(node: Node, where: separation.SymbolValues) -> separation.Algebraic:
                return separation.evaluate_reduced(node, algebra, where, meanings)

            one = algebra.product(at(first, start), at(second, values))
            other = algebra.product(at(first, values), at(second, start))
            return algebra.sum(one, other._replace(box=-other.box))

        return build

    return all(separation.is_zero(crossed(values)) is True for values in others)
