"""Separation bounds: prove whether a number made of fractions by sums, products and roots is zero.

Such a number is U/L for algebraic integers U and L of a field of degree D. If u and l bound all
conjugates of U and L, the number is zero or its absolute value at least 1 / (u^(D-1) l) (Burnikel,
Fleischer, Mehlhorn, Schirra 2000). So it is zero if a smaller box around zero contains it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import gcd
from typing import NamedTuple

from pacore.core.grading.mathematics.exact import exact_value
from pacore.core.grading.mathematics.nodes import Node
from pacore.core.grading.mathematics.number import Rational
from pacore.sandbox.algebra import enclosure
from pacore.sandbox.algebra.enclosure import Box, Indeterminate, Unenclosable

FIRST_BITS = 96

MOST_BITS = 60_000

MOST_DEGREE = 4_096

SymbolValue = Fraction | tuple[Fraction, Fraction]
"""The value of a symbol: a fraction, or the real and imaginary part of a complex number."""

SymbolValues = Mapping[str, SymbolValue]


class Algebraic(NamedTuple):
    """A number U/L: a box that contains it, and binary logarithms of bounds of the conjugates of U
    and of L.
    """

    box: Box
    upper: int
    lower: int


class FieldArithmetic:
    """Arithmetic at one precision; bounds the degree of the field by the roots that occur."""

    def __init__(self) -> None:
        self.degrees: dict[object, int] = {}
        self.bound_bits = 0

    @property
    def degree(self) -> int:
        found = 1
        for degree in self.degrees.values():
            found *= degree
        return found

    def bits_to_zero(self, number: Algebraic) -> int:
        """The number is zero if its absolute value is below 2 to minus this."""
        if self.degree > MOST_DEGREE:
            raise Unenclosable("a field of too high a degree")
        return number.upper * (self.degree - 1) + number.lower + 1

    def is_zero(self, number: Algebraic) -> bool:
        """Whether the number is zero. Raises Indeterminate where this precision does not decide."""
        if not number.box.may_be_zero:
            return False
        needed = self.bits_to_zero(number)
        self.bound_bits = max(self.bound_bits, needed + number.upper)
        limit = Fraction(1, 2**needed)
        if all(abs(end) < limit / 2 for part in number.box for end in enclosure.ends(part)):
            return True
        raise Indeterminate

    def of_fraction(self, value: Fraction) -> Algebraic:
        over, under = abs(value.numerator).bit_length(), (value.denominator - 1).bit_length()
        return Algebraic(enclosure.of_fraction(value), over, under)

    def of_value(self, value: SymbolValue) -> Algebraic:
        if isinstance(value, Fraction):
            return self.of_fraction(value)
        real, imaginary = map(self.of_fraction, value)
        return self.sum(real, self.product(imaginary, self.unity(Fraction(1, 4))))

    def unity(self, turn: Fraction) -> Algebraic:
        order = turn.denominator
        self.degrees[("unity", order)] = sum(gcd(k, order) == 1 for k in range(1, order + 1))
        box = enclosure.IMAGINARY if turn == Fraction(1, 4) else enclosure.enclose_unity(turn)
        return Algebraic(box, 0, 0)

    def sum(self, one: Algebraic, other: Algebraic) -> Algebraic:
        upper = max(one.upper + other.lower, other.upper + one.lower) + 1
        return Algebraic(one.box + other.box, upper, one.lower + other.lower)

    def product(self, one: Algebraic, other: Algebraic) -> Algebraic:
        return Algebraic(one.box * other.box, one.upper + other.upper, one.lower + other.lower)

    def quotient(self, one: Algebraic, other: Algebraic) -> Algebraic:
        if self.is_zero(other):
            raise Unenclosable("a division by zero")
        box = one.box * other.box.inverse()
        return Algebraic(box, one.upper + other.lower, one.lower + other.upper)

    def power(self, base: Algebraic, exponent: int) -> Algebraic:
        if abs(exponent) > MOST_BITS:
            raise Unenclosable("a large power")
        if exponent < 0:
            one = self.of_fraction(Fraction(1))
            return self.power(self.quotient(one, base), -exponent)
        return Algebraic(base.box.power(exponent), base.upper * exponent, base.lower * exponent)

    def root(self, base: Algebraic, degree: int, name: object) -> Algebraic:
        if self.is_zero(base):
            return self.of_fraction(Fraction(0))
        self.degrees[("root", name)] = degree
        if not base.box.is_real:
            self.degrees[("its conjugate", name)] = degree
        upper, lower = base.upper, base.lower
        if upper >= lower:
            upper = -(-(upper + (degree - 1) * lower) // degree)
        else:
            lower = -(-((degree - 1) * upper + lower) // degree)
        if base.box.is_real and base.box.re.b < 0 and degree % 2 == 0 and degree > 2:
            self.degrees[("unity", 2 * degree)] = 2 * degree
        return Algebraic(base.box.root(degree), upper, lower)

    def absolute(self, number: Algebraic, name: object) -> Algebraic:
        if number.box.is_real:
            is_negative = not self.is_zero(number) and number.box.re.b < 0
            return number._replace(box=-number.box) if is_negative else number
        conjugate = number._replace(box=number.box.conjugate())
        square = self.product(number, conjugate)
        real = square._replace(box=Box(square.box.re, square.box.im * 0))
        return self.root(real, 2, ("absolute", name))


Build = Callable[[FieldArithmetic], Algebraic]


def is_zero(build: Build) -> bool | None:
    """Whether the number that ``build`` evaluates at a precision is zero; None without a proof."""
    bits = FIRST_BITS
    while bits <= MOST_BITS:
        algebra = FieldArithmetic()
        with enclosure.precision(bits):
            try:
                return algebra.is_zero(build(algebra))
            except Indeterminate:
                pass
            except ArithmeticError:
                return None
        bits = max(2 * bits, algebra.bound_bits + FIRST_BITS)
    return None


def evaluate_reduced(
    node: Node, algebra: FieldArithmetic, values: SymbolValues, meanings: Mapping[str, Node]
) -> Algebraic:
    """The value of a reduced expression where generators have ``values``.

    Roots in evaluations with different ``values`` count as different ones in the field's degree.
    """
    return _Evaluation(algebra, values, meanings).number(node)


class _Evaluation:
    def __init__(
        self, algebra: FieldArithmetic, values: SymbolValues, meanings: Mapping[str, Node]
    ) -> None:
        self.algebra = algebra
        self.values = values
        self.meanings = meanings
        self.known: dict[Node, Algebraic] = {}

    def number(self, node: Node) -> Algebraic:
        if node not in self.known:
            self.known[node] = self._number(node)
        return self.known[node]

    def _number(self, node: Node) -> Algebraic:
        if isinstance(node.value, Rational):
            return self.algebra.of_fraction(node.value.value)
        if isinstance(node.value, Fraction):
            return self.algebra.unity(node.value)
        if node.kind in ("symbol", "constant"):
            return self._named(str(node.value))
        operation = _OPERATIONS.get(node.kind)
        if operation is None:
            raise Unenclosable(node.kind)
        return operation(self, node)

    def _named(self, name: str) -> Algebraic:
        if name == "i":
            return self.algebra.unity(Fraction(1, 4))
        if name in self.values:
            return self.algebra.of_value(self.values[name])
        if name not in self.meanings:
            raise Unenclosable(name)
        return self.number(self.meanings[name])

    def add(self, node: Node) -> Algebraic:
        first, *others = map(self.number, node.args)
        for other in others:
            first = self.algebra.sum(first, other)
        return first

    def multiply(self, node: Node) -> Algebraic:
        first, *others = map(self.number, node.args)
        for other in others:
            first = self.algebra.product(first, other)
        return first

    def divide(self, node: Node) -> Algebraic:
        return self.algebra.quotient(*map(self.number, node.args))

    def negate(self, node: Node) -> Algebraic:
        inner = self.number(node.args[0])
        return inner._replace(box=-inner.box)

    def power(self, node: Node) -> Algebraic:
        exponent = exact_value(node.args[1])
        if exponent is None or exponent.denominator != 1:
            raise Unenclosable("a power with no whole exponent")
        return self.algebra.power(self.number(node.args[0]), exponent.numerator)

    def root(self, node: Node) -> Algebraic:
        degree = exact_value(node.args[1])
        if degree is None or degree.denominator != 1 or not 1 <= degree <= MOST_DEGREE:
            raise Unenclosable("a root of such a degree")
        name = (id(self.values), node)
        return self.algebra.root(self.number(node.args[0]), degree.numerator, name)

    def absolute(self, node: Node) -> Algebraic:
        return self.algebra.absolute(self.number(node.args[0]), (id(self.values), node))

    def whole(self, node: Node) -> Algebraic:
        inner = self.number(node.args[0]).box
        return self.algebra.of_fraction(enclosure.rounded(node.kind, inner))


_OPERATIONS: dict[str, Callable[[_Evaluation, Node], Algebraic]] = {
    "add": _Evaluation.add,
    "multiply": _Evaluation.multiply,
    "divide": _Evaluation.divide,
    "negate": _Evaluation.negate,
    "power": _Evaluation.power,
    "root": _Evaluation.root,
    "absolute": _Evaluation.absolute,
    "floor": _Evaluation.whole,
    "ceiling": _Evaluation.whole,
}
