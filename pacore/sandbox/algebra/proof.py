"""Proofs that an expression is zero wherever it has a real value, by one of three methods.

By arithmetic with generators (`pacore.sandbox.algebra.reduction`); modulo random primes
(`pacore.core.grading.mathematics.residues`), for expressions without roots and absolute values; else at
sample points, by a separation bound (`pacore.sandbox.algebra.separation`), where random fractions
replace transcendental generators. Without a proof, an expression counts as not zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm

from pacore.core.grading.mathematics.nodes import (
    IMAGINARY,
    PI,
    Node,
    add,
    constants,
    free_symbols,
    multiply,
    whole,
)
from pacore.core.grading.mathematics.residues import Draws, NoResidue, PrimeField, residue
from pacore.sandbox.algebra import enclosure, separation
from pacore.sandbox.algebra.enclosure import Assignment
from pacore.sandbox.algebra.reduction import Reduction, symbols

FIELDS = 2

LEAST_POINTS = 3

NEAR_BITS = 40
"""Generators get values that differ from their own by less than 2 to minus this."""

FORM_BITS = 120

MOST_ABSOLUTE = 6
"""Bound on a form whose exponential is tested to be one: below 2 pi."""


def reduction() -> Reduction:
    """A new reduction, for expressions that are compared with each other."""
    new = Reduction(lambda node: is_zero_at(node, {}, new.meanings), _calculate)
    return new


def _calculate(node: Node) -> Node | None:
    # Imported here: SymPy takes a second to load, and few answers need it.
    from pacore.sandbox.algebra import calculus

    return calculus.calculate(node)


def is_zero_at(node: Node, values: separation.SymbolValues, meanings: Mapping[str, Node]) -> bool:
    """Whether a reduced expression is proven to be zero where generators have these values."""

    def build(algebra: separation.FieldArithmetic) -> separation.Algebraic:
        return separation.evaluate_reduced(node, algebra, values, meanings)

    return separation.is_zero(build) is True


class Proof:
    """Proves that expressions vanish: everywhere or, with roots or absolute values, at given points."""

    def __init__(self, draws: Draws, points: Sequence[Assignment]) -> None:
        self.draws = draws
        self.points = points
        self.reduction = reduction()

    def is_zero(self, node: Node) -> bool:
        """Whether ``node`` is proven to be zero. Raises Unproven where it has no reduced form."""
        reduced = self.reduction.reduce(node)
        if self.reduction.expansion.of(reduced) == {} or self._vanishes(reduced):
            return True
        return not free_symbols(node) and self._is_zero_form(reduced)

    def _vanishes(self, reduced: Node) -> bool:
        try:
            return all(
                residue(reduced, PrimeField(self.draws, which), "", self.reduction.meanings) == 0
                for which in range(FIELDS)
            )
        except NoResidue:
            return self._vanishes_at_points(reduced)

    def _vanishes_at_points(self, reduced: Node) -> bool:
        samples = self.values_at_points(reduced)
        return bool(samples) and all(
            is_zero_at(reduced, values, self.reduction.meanings) for values in samples
        )

    def values_at_points(self, reduced: Node) -> list[separation.SymbolValues]:
        """Values of all generators at each point; none where they are fewer than `LEAST_POINTS`."""
        times = 1 if not self._generators(reduced) else -(-LEAST_POINTS // max(1, len(self.points)))
        found = [
            values
            for place, point in enumerate([*self.points] * times)
            if (values := self._values(reduced, point, str(place))) is not None
        ]
        return found if len(found) >= min(LEAST_POINTS, len(self.points) * times) else []

    def _values(self, node: Node, point: Assignment, name: str) -> separation.SymbolValues | None:
        """Fractions for all generators, near their values at a point; None where one has no value."""
        found: dict[str, separation.SymbolValue] = dict(point)
        with enclosure.precision(4 * NEAR_BITS):
            try:
                for generator in sorted(self._generators(node) - found.keys()):
                    found[generator] = self._near(generator, point, name)
            except ArithmeticError:
                return None
        return found

    def _generators(self, node: Node) -> set[str]:
        found = {"pi"} & constants(node)
        for name in symbols(node):
            is_named = name.startswith("[")
            found |= self._generators(self.reduction.meanings[name]) if is_named else {name}
        return found

    def _near(self, name: str, point: Assignment, draw: str) -> separation.SymbolValue:
        drawn = self.draws.number(f"{draw} {name}", NEAR_BITS)
        meaning = PI if name == "pi" else self.reduction.meanings.get(name)
        if meaning is None:
            return Fraction(drawn + 1)
        box = enclosure.enclose(meaning, point, self.reduction.meanings)
        shift = Fraction(drawn, 4**NEAR_BITS)
        real, imaginary = enclosure.middle(box, NEAR_BITS)
        if box.is_real:
            return real + shift
        # The generator has absolute value one; with a rational tangent of half its angle so has this.
        tangent = imaginary / (1 + real) + shift
        size = 1 + tangent**2
        return (1 - tangent**2) / size, 2 * tangent / size

    def _is_zero_form(self, reduced: Node) -> bool:
        """Whether a sum of logarithms and angles vanishes, as the product of their arguments is one.

        Such a sum vanishes only if its logarithms and its angles vanish separately (Baker 1966).
        """
        terms = self.reduction.expansion.of(reduced)
        if not terms or not all(len(monomial) == 1 and monomial[0][1] == 1 for monomial in terms):
            return False
        names = {monomial[0][0]: factor for monomial, factor in terms.items()}
        kinds = {name.partition(":")[0] for name in names}
        if not kinds <= {"pi", "log", "arctan", "arcsin"}:
            return False
        times = lcm(*(factor.denominator for factor in names.values()))
        for is_log in (True, False):
            part = [
                multiply(whole(factor * times), PI if name == "pi" else Node("symbol", (), name))
                for name, factor in names.items()
                if name.startswith("log:") == is_log
            ]
            if part and not self._has_exponential_one(add(*part), is_log):
                return False
        return True

    def _has_exponential_one(self, form: Node, is_log: bool) -> bool:
        """Whether the exponential of a form is one, and the form below `MOST_ABSOLUTE`."""
        with enclosure.precision(FORM_BITS):
            box = enclosure.enclose(form, {}, self.reduction.meanings)
            if not box.is_real or max(map(abs, enclosure.ends(box.re))) > MOST_ABSOLUTE:
                return False
        raised = self.reduction.exp(form if is_log else multiply(IMAGINARY, form))
        return self._vanishes(add(raised, whole(-1)))
