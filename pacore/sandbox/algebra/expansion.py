"""Expansion: a reduced expression multiplied out to a polynomial in generators."""

from __future__ import annotations

from fractions import Fraction

from pacore.core.grading.mathematics.exact import exact_value
from pacore.core.grading.mathematics.nodes import IMAGINARY, PI, Node
from pacore.core.identity import sha256_hex
from pacore.sandbox.algebra.polynomials import (
    UNITY,
    Monomial,
    Polynomial,
    Unproven,
    is_real_positive,
    polynomial_text,
    product,
    rational_power,
    scaled,
    total,
)

GREATEST_POWER = 40
"""Greatest exponent of a sum that is multiplied out."""

LONGEST_KEY = 200

QUARTER_TURN = Fraction(1, 4)
"""The exponent of i as a root of unity."""


class Expansion:
    """Expands reduced expressions with common generators.

    ``meanings`` has the definitions of generators by name; an expression that cannot be multiplied out
    becomes a generator, and is added.
    """

    def __init__(self, meanings: dict[str, Node]) -> None:
        self._meanings = meanings

    def key(self, node: Node) -> str:
        """A text that is equal for expressions with equal expansions."""
        terms = self.of(node)
        return _short(repr(node) if terms is None else polynomial_text(terms))

    def of(self, node: Node) -> Polynomial | None:
        """The expansion of a reduced expression; None where it has too many terms."""
        try:
            return self._expand(node)
        except Unproven:
            return None

    def _expand(self, node: Node) -> Polynomial:
        if (value := exact_value(node)) is not None:
            return total({(): value})
        if node.kind == "symbol" or node == PI:
            return {((str(node.value), Fraction(1)),): Fraction(1)}
        if node == IMAGINARY or isinstance(node.value, Fraction):
            turn = node.value if isinstance(node.value, Fraction) else QUARTER_TURN
            return scaled(((UNITY, turn),), Fraction(1))
        if node.kind == "add":
            return total(*map(self._expand, node.args))
        if node.kind == "negate":
            return product({(): Fraction(-1)}, self._expand(node.args[0]))
        if node.kind == "multiply":
            return product(*map(self._expand, node.args))
        if node.kind == "divide":
            over, under = node.args
            return product(self._expand(over), self._raised(under, Fraction(-1)))
        return self._expand_power(node)

    def _expand_power(self, node: Node) -> Polynomial:
        """The expansion of a power or root; any other expression becomes a generator."""
        if node.kind in ("power", "root"):
            exponent = exact_value(node.args[1])
            if not exponent:
                raise Unproven(node.kind)
            return self._raised(node.args[0], exponent if node.kind == "power" else 1 / exponent)
        name = f"[{node.kind} {' , '.join(map(self.key, node.args))}]"
        self._meanings.setdefault(name, node)
        return {((name, Fraction(1)),): Fraction(1)}

    def _raised(self, base: Node, exponent: Fraction) -> Polynomial:
        terms = self._expand(base)
        if not terms:
            if exponent > 0:
                return {}
            raise Unproven(base.kind)
        if len(terms) == 1:
            ((monomial, factor),) = terms.items()
            if exponent.denominator == 1:
                return _whole_power(monomial, factor, exponent.numerator)
            if factor > 0 and all(e == 1 or is_real_positive(name) for name, e in monomial):
                return product(rational_power(factor, exponent), scaled(monomial, exponent))
        if exponent.denominator == 1 and 0 < exponent <= GREATEST_POWER:
            return product(*[terms] * exponent.numerator)
        name = f"[{_short(polynomial_text(terms))}]"
        self._meanings.setdefault(name, base)
        return {((name, exponent),): Fraction(1)}


def _short(key: str) -> str:
    """A key, or the digest of a long one: keys are parts of names, which are parts of other keys.

    The name of roots of unity is kept: it shows that the value may not be real.
    """
    if len(key) <= LONGEST_KEY:
        return key
    return f"{UNITY if UNITY in key else ''}{sha256_hex(key.encode('utf-8', 'surrogatepass'))}"


def _whole_power(monomial: Monomial, factor: Fraction, exponent: int) -> Polynomial:
    if abs(factor) != 1 and abs(exponent) > GREATEST_POWER**2:
        raise Unproven("a large power")
    return product({(): factor**exponent}, scaled(monomial, Fraction(exponent)))
