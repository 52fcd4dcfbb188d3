"""Exact values of expressions that are fractions of limited size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from pacore.core.grading.mathematics.nodes import Node
from pacore.core.grading.mathematics.number import Rational

QUICK_BITS = 10_000
"""Most bits of a numerator or denominator that is computed outside of killable processes."""

QUICK_TERMS = 1_000

Symbols = Mapping[str, Fraction]


class Undefined(ArithmeticError):
    """An expression without a value, such as a division by zero."""


def exact_value(
    node: Node,
    most_bits: int = QUICK_BITS,
    most_terms: int = QUICK_TERMS,
    point: Symbols | None = None,
) -> Fraction | None:
    """The value of an expression whose symbols have the values in ``point``.

    None where it is no fraction, has other symbols, or has more than ``most_bits`` bits or ``most_terms``
    terms. Raises Undefined.
    """
    return _Evaluation(most_bits, most_terms).value(node, point or {})


class _Evaluation:
    def __init__(self, most_bits: int, most_terms: int) -> None:
        self.most_bits = most_bits
        self.terms_left = most_terms

    def value(self, node: Node, symbols: Symbols) -> Fraction | None:
        if node.kind == "number":
            assert isinstance(node.value, Rational)
            return node.value.value
        if node.kind == "symbol":
            return symbols.get(str(node.value))
        if node.kind in ("sum", "product"):
            return self._repeated(node, symbols)
        operation = _OPERATIONS.get(node.kind)
        if node.kind == "function":
            operation = _FUNCTIONS.get(str(node.value))
        if operation is None:
            return None
        arguments = []
        for argument in node.args:
            found = self.value(argument, symbols)
            if found is None:
                return None
            arguments.append(found)
        return self._bounded(operation(self, *arguments))

    def _bounded(self, value: Fraction | None) -> Fraction | None:
        if value is None:
            return None
        bits = max(value.numerator.bit_length(), value.denominator.bit_length())
        return value if bits <= self.most_bits else None

    def add(self, *terms: Fraction) -> Fraction:
        return sum(terms, Fraction())

    def multiply(self, *factors: Fraction) -> Fraction:
        return math.prod(factors, start=Fraction(1))

    def divide(self, over: Fraction, under: Fraction) -> Fraction:
        if under == 0:
            raise Undefined
        return over / under

    def power(self, base: Fraction, exponent: Fraction) -> Fraction | None:
        if exponent.denominator != 1:
            root = None if base < 0 else self.root(base, Fraction(exponent.denominator))
            return None if root is None else self.power(root, Fraction(exponent.numerator))
        if base == 0 and exponent <= 0:
            raise Undefined
        size = max(abs(base.numerator), base.denominator).bit_length()
        if abs(base) != 1 and size * abs(exponent) > self.most_bits:
            return None
        return base ** (exponent.numerator % 2 if abs(base) == 1 else exponent.numerator)

    def root(self, base: Fraction, degree: Fraction) -> Fraction | None:
        """The real root where it is a fraction; of a negative number for odd degrees."""
        if degree.denominator != 1 or degree < 1 or (base < 0 and degree % 2 == 0):
            return None
        over, under = (
            integer_root(part, degree.numerator) for part in (abs(base.numerator), base.denominator)
        )
        if over is None or under is None:
            return None
        return Fraction(-over if base < 0 else over, under)

    def factorial(self, of: Fraction) -> Fraction | None:
        if of.denominator != 1 or of < 0:
            return None
        number = of.numerator
        if number > self.most_bits or number * number.bit_length() > 2 * self.most_bits:
            return None
        return Fraction(math.factorial(number))

    def binomial(self, of: Fraction, choose: Fraction) -> Fraction | None:
        if of.denominator != 1 or choose.denominator != 1 or of < 0 or choose < 0:
            return None
        chosen = min(choose, of - choose)
        if chosen * of.numerator.bit_length() > 2 * self.most_bits:
            return None
        return Fraction(math.comb(of.numerator, choose.numerator))

    def mod(self, of: Fraction, by: Fraction) -> Fraction:
        if by == 0:
            raise Undefined
        return of % by

    def _repeated(self, node: Node, symbols: Symbols) -> Fraction | None:
        body, *bounds = node.args
        first, last = (self.value(bound, symbols) for bound in bounds)
        if first is None or last is None or first.denominator != 1 or last.denominator != 1:
            return None
        self.terms_left -= min(max(0, last.numerator - first.numerator + 1), self.terms_left + 1)
        if self.terms_left < 0:
            return None
        total = Fraction(int(node.kind == "product"))
        for index in range(first.numerator, last.numerator + 1):
            term = self.value(body, {**symbols, str(node.value): Fraction(index)})
            if term is None:
                return None
            bounded = self._bounded(total + term if node.kind == "sum" else total * term)
            if bounded is None:
                return None
            total = bounded
        return total


def integer_root(value: int, degree: int) -> int | None:
    """The root of a natural number where it is an integer; else None."""
    if value < 2:
        return value
    if degree >= value.bit_length():
        return None
    root = math.isqrt(value) if degree == 2 else _floor_root(value, degree)
    return root if root**degree == value else None


def _floor_root(value: int, degree: int) -> int:
    """Newton's iteration from above, on integers."""
    guess = 1 << -(-value.bit_length() // degree)
    while True:
        better = ((degree - 1) * guess + value // guess ** (degree - 1)) // degree
        if better >= guess:
            return guess
        guess = better


Operation = Callable[..., Fraction | None]


def _integers(operation: Callable[..., int]) -> Operation:
    def apply(_: _Evaluation, *values: Fraction) -> Fraction | None:
        if any(value.denominator != 1 for value in values):
            return None
        return Fraction(operation(*(value.numerator for value in values)))

    return apply


_OPERATIONS: dict[str, Operation] = {
    "add": _Evaluation.add,
    "multiply": _Evaluation.multiply,
    "divide": _Evaluation.divide,
    "power": _Evaluation.power,
    "root": _Evaluation.root,
    "factorial": _Evaluation.factorial,
    "binomial": _Evaluation.binomial,
    "mod": _Evaluation.mod,
    "negate": lambda _, value: -value,
    "absolute": lambda _, value: abs(value),
    "floor": lambda _, value: Fraction(math.floor(value)),
    "ceiling": lambda _, value: Fraction(math.ceil(value)),
}

_FUNCTIONS: dict[str, Operation] = {
    "max": lambda _, *values: max(values),
    "min": lambda _, *values: min(values),
    "gcd": _integers(math.gcd),
    "lcm": _integers(math.lcm),
}
