"""Enclosures: boxes in the complex plane that are proven to contain the value of an expression.

Interval arithmetic of mpmath, rounded outwards, at any precision. Two values with disjoint boxes are
different; enclosures never prove that two values are equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, NamedTuple

from mpmath import iv

from pacore.core.grading.mathematics.exact import Undefined, exact_value
from pacore.core.grading.mathematics.nodes import Node

GREATEST_EXPONENT_BITS = 64
"""Larger numbers than 2 to the power of 2 to the power of this have no box."""

GREATEST_ANGLE_BITS = 2_400

MOST_SUMMANDS = 1_000

Assignment = Mapping[str, Fraction]


class Indeterminate(ArithmeticError):
    """No box at this precision: the divisor may be zero, or the branch is undecided."""


class Unenclosable(ArithmeticError):
    """No box at any precision: the operation is not implemented, or the value is too large."""


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Round intervals in this context to ``bits`` bits."""
    before, iv.prec = iv.prec, bits
    try:
        yield
    finally:
        iv.prec = before


class Box(NamedTuple):
    """Intervals of the real and the imaginary part; ``im`` is exactly zero only for real values."""

    re: Any
    im: Any

    @property
    def is_real(self) -> bool:
        return bool(self.im.a == 0 == self.im.b)

    def __add__(self, other: Box) -> Box:  # type: ignore[override]
        return Box(self.re + other.re, self.im + other.im)

    def __neg__(self) -> Box:
        return Box(-self.re, -self.im)

    def __sub__(self, other: Box) -> Box:
        return Box(self.re - other.re, self.im - other.im)

    def __mul__(self, other: Box) -> Box:  # type: ignore[override]
        if self.is_real and other.is_real:
            return Box(self.re * other.re, _ZERO)
        return Box(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)

    def conjugate(self) -> Box:
        return Box(self.re, -self.im)

    def inverse(self) -> Box:
        if self.is_real:
            _require_nonzero(self.re)
            return Box(1 / self.re, _ZERO)
        size = self.re**2 + self.im**2
        _require_nonzero(size)
        return Box(self.re / size, -self.im / size)

    def power(self, exponent: int) -> Box:
        if exponent.bit_length() > GREATEST_EXPONENT_BITS:
            raise Unenclosable
        if exponent < 0:
            return self.inverse().power(-exponent)
        if self.is_real:
            return Box(self.re**exponent, _ZERO)
        if exponent.bit_length() > 10:
            raise Unenclosable
        result, square = _ONE, self
        while exponent:
            if exponent & 1:
                result = result * square
            square = square * square
            exponent >>= 1
        return result

    def absolute(self) -> Box:
        if self.is_real:
            return Box(abs(self.re), _ZERO)
        return Box(iv.sqrt(self.re**2 + self.im**2), _ZERO)

    def exp(self) -> Box:
        if max(abs(self.re.a), abs(self.re.b)) > 2**GREATEST_EXPONENT_BITS:
            raise Unenclosable
        size = iv.exp(self.re)
        if self.is_real:
            return Box(size, _ZERO)
        if max(abs(self.im.a), abs(self.im.b)) > 2**GREATEST_EXPONENT_BITS:
            raise Unenclosable
        return Box(size * iv.cos(self.im), size * iv.sin(self.im))

    def log(self) -> Box:
        """The principal value; Indeterminate around zero and across the negative axis."""
        if self.is_real:
            _require_nonzero(self.re)
            if self.re.a > 0:
                return Box(iv.log(self.re), _ZERO)
            return Box(iv.log(-self.re), iv.pi)
        size = self.re**2 + self.im**2
        _require_nonzero(size)
        if self.re.a <= 0 and self.im.a <= 0 <= self.im.b:
            raise Indeterminate
        return Box(iv.log(size) / 2, iv.atan2(self.im, self.re))

    def root(self, degree: int) -> Box:
        """The principal root, and the real one of a negative number for an odd degree."""
        if self.is_real and self.re.a == 0 == self.re.b:
            return self
        if self.is_real and self.re.b < 0 and degree % 2:
            return -(-self).root(degree)
        if degree == 2 and self.is_real:
            _require_nonzero(self.re)
            if self.re.a > 0:
                return Box(iv.sqrt(self.re), _ZERO)
            return Box(_ZERO, iv.sqrt(-self.re))
        found = self.log()
        return Box(found.re / degree, found.im if found.is_real else found.im / degree).exp()

    @property
    def may_be_zero(self) -> bool:
        return all(bool(part.a <= 0 <= part.b) for part in self)

    def is_disjoint_from(self, other: Box) -> bool:
        return not (self - other).may_be_zero


def _require_nonzero(interval: Any) -> None:
    if interval.a <= 0 <= interval.b:
        raise Indeterminate


_ZERO = iv.mpf(0)
_ONE = Box(iv.mpf(1), _ZERO)
IMAGINARY = Box(_ZERO, iv.mpf(1))


def of_fraction(value: Fraction) -> Box:
    if value.denominator == 1:
        return Box(iv.mpf(value.numerator), _ZERO)
    return Box(iv.mpf(value.numerator) / iv.mpf(value.denominator), _ZERO)


def enclose_unity(turn: Fraction) -> Box:
    """The box of the root of unity exp(2 pi i ``turn``)."""
    angle = 2 * iv.pi * of_fraction(turn).re
    return Box(iv.cos(angle), iv.sin(angle))


def enclose(node: Node, point: Assignment, meanings: Mapping[str, Node]) -> Box:
    """A box that contains the value of an expression at ``point``; other symbols have the values of
    their ``meanings``.

    Raises Indeterminate where a higher precision may help, Unenclosable where none does, and
    Undefined for an expression without a value.
    """
    return _Enclosing(point, meanings).box(node)


class _Enclosing:
    def __init__(self, point: Assignment, meanings: Mapping[str, Node]) -> None:
        self.point = point
        self.meanings = meanings
        self.known: dict[Node, Box] = {}
        self.terms_left = MOST_SUMMANDS

    def box(self, node: Node) -> Box:
        if node not in self.known:
            self.known[node] = self._box(node)
        return self.known[node]

    def _box(self, node: Node) -> Box:
        if node.kind == "symbol":
            return self._symbol(str(node.value))
        if node.kind == "constant":
            return self._constant(str(node.value))
        if node.kind == "unity":
            assert isinstance(node.value, Fraction)
            return enclose_unity(node.value)
        if (value := exact_value(node)) is not None:
            return of_fraction(value)
        if node.kind == "power":
            return self._power(*node.args)
        if node.kind == "root":
            return self.box(node.args[0]).root(_degree(node))
        if node.kind in ("sum", "product"):
            return self._repeated(node)
        operation = (
            _FUNCTIONS.get(str(node.value))
            if node.kind == "function"
            else _OPERATIONS.get(node.kind)
        )
        if operation is None:
            raise Unenclosable(node.kind)
        return operation(*map(self.box, node.args))

    def _symbol(self, name: str) -> Box:
        if name in self.point:
            return of_fraction(self.point[name])
        if name in self.meanings:
            return self.box(self.meanings[name])
        raise Unenclosable(name)

    def _constant(self, name: str) -> Box:
        if name == "infinity":
            raise Unenclosable(name)
        return IMAGINARY if name == "i" else Box({"pi": iv.pi, "e": iv.e}[name] + _ZERO, _ZERO)

    def _power(self, base: Node, exponent: Node) -> Box:
        exact = exact_value(exponent)
        if exact is not None and exact.denominator == 1:
            return self.box(base).power(exact.numerator)
        below = self.box(base)
        if below.is_real and below.re.a == 0 == below.re.b:
            raise Undefined
        if exact is not None and below.is_real and below.re.b < 0:
            raise Unenclosable("a root of a negative number written as a power")
        return (below.log() * self.box(exponent)).exp()

    def _repeated(self, node: Node) -> Box:
        body, *bounds = node.args
        first, last = (exact_value(bound) for bound in bounds)
        if first is None or last is None or first.denominator != 1 or last.denominator != 1:
            raise Unenclosable(node.kind)
        self.terms_left -= min(max(0, last.numerator - first.numerator + 1), self.terms_left + 1)
        if self.terms_left < 0:
            raise Unenclosable(node.kind)
        total = _ONE if node.kind == "product" else Box(_ZERO, _ZERO)
        for index in range(first.numerator, last.numerator + 1):
            term = enclose(body, {**self.point, str(node.value): Fraction(index)}, self.meanings)
            total = total * term if node.kind == "product" else total + term
        return total


def _degree(node: Node) -> int:
    degree = exact_value(node.args[1])
    if degree is None or degree.denominator != 1 or not 1 <= degree <= 1_000:
        raise Unenclosable("a root of such a degree")
    return degree.numerator


def _sum(*boxes: Box) -> Box:
    total = Box(_ZERO, _ZERO)
    for box in boxes:
        total = total + box
    return total


def _product(*boxes: Box) -> Box:
    return math.prod(boxes, start=_ONE)


def _require_small(angle: Any) -> None:
    """Raise Unenclosable for a large angle: its reduction needs as many digits of pi as it has."""
    if max(abs(angle.a), abs(angle.b)) > 2**GREATEST_ANGLE_BITS:
        raise Unenclosable("a large angle")


def _sine(box: Box) -> Box:
    if box.is_real:
        _require_small(box.re)
        return Box(iv.sin(box.re), _ZERO)
    return _sinh(box * IMAGINARY) * -IMAGINARY


def _cosine(box: Box) -> Box:
    if box.is_real:
        _require_small(box.re)
        return Box(iv.cos(box.re), _ZERO)
    return _cosh(box * IMAGINARY)


def _arctangent(box: Box) -> Box:
    if not box.is_real:
        raise Unenclosable("an inverse function of a complex value")
    return Box(iv.atan2(box.re, iv.mpf(1)), _ZERO)


def _arcsine(box: Box) -> Box:
    if not box.is_real or box.re.a < -1 or box.re.b > 1:
        raise Indeterminate
    rest = 1 - box.re**2
    return Box(iv.atan2(box.re, iv.sqrt(iv.mpf([max(rest.a, 0), rest.b]))), _ZERO)


def _complement(box: Box) -> Box:
    return Box(iv.pi / 2 - box.re, -box.im)


def rounded(kind: str, box: Box) -> Fraction:
    """The floor or ceiling of a real value. Raises Indeterminate where the box does not decide it."""
    if not box.is_real:
        raise Unenclosable("a rounded complex value")
    rounding = {"floor": math.floor, "ceiling": math.ceil}[kind]
    low, high = map(rounding, ends(box.re))
    if low != high:
        raise Indeterminate
    return Fraction(low)


def _ratio(end: Any) -> tuple[int, int]:
    """An end of an interval as a fraction."""
    sign, digits, power, _ = end._mpi_[0]
    digits = -digits if sign else digits
    if power > 10**6:
        raise Unenclosable("too large a value")
    return (digits << power, 1) if power >= 0 else (digits, 1 << -power)


def middle(box: Box, bits: int) -> tuple[Fraction, Fraction]:
    """Fractions near the centre of a box, with denominators of at most ``bits`` bits."""
    parts = []
    for interval in box:
        over, under = _ratio(interval.mid)
        parts.append(Fraction(over, under).limit_denominator(1 << bits))
    return parts[0], parts[1]


def ends(interval: Any) -> tuple[Fraction, Fraction]:
    """The exact ends of an interval."""
    return Fraction(*_ratio(interval.a)), Fraction(*_ratio(interval.b))


def _exponential(sign: int) -> Callable[[Box], Box]:
    def apply(box: Box) -> Box:
        one, other = box.exp(), (-box).exp()
        total = one + other if sign > 0 else one - other
        return total * Box(iv.mpf(1) / 2, _ZERO)

    return apply


_sinh, _cosh = _exponential(-1), _exponential(1)


def _quotient(over: Callable[[Box], Box], under: Callable[[Box], Box]) -> Callable[[Box], Box]:
    return lambda box: over(box) * under(box).inverse()


def _log(box: Box, base: Box | None = None) -> Box:
    return box.log() if base is None else box.log() * base.log().inverse()


_OPERATIONS: dict[str, Callable[..., Box]] = {
    "add": _sum,
    "multiply": _product,
    "negate": lambda box: -box,
    "divide": lambda over, under: over * under.inverse(),
    "absolute": Box.absolute,
    "conjugate": Box.conjugate,
    "degrees": lambda box: box * Box(iv.pi / 180, _ZERO),
    "floor": lambda box: of_fraction(rounded("floor", box)),
    "ceiling": lambda box: of_fraction(rounded("ceiling", box)),
}

_FUNCTIONS: dict[str, Callable[..., Box]] = {
    "exp": Box.exp,
    "log": _log,
    "sin": _sine,
    "cos": _cosine,
    "tan": _quotient(_sine, _cosine),
    "cot": _quotient(_cosine, _sine),
    "sec": lambda box: _cosine(box).inverse(),
    "csc": lambda box: _sine(box).inverse(),
    "cis": lambda box: (box * IMAGINARY).exp(),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _quotient(_sinh, _cosh),
    "coth": _quotient(_cosh, _sinh),
    "arctan": _arctangent,
    "arcsin": _arcsine,
    "arccos": lambda box: _complement(_arcsine(box)),
    "arccot": lambda box: _complement(_arctangent(box)),
}
