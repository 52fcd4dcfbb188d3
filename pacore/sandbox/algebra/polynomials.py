"""Polynomials in generators, with fractions as exponents: the normal form of sums and products.

A *generator* is a symbol, ``pi``, ``#p`` for a prime number p, ``~`` for the roots of unity, or one
defined by `pacore.sandbox.algebra.reduction`. Integer powers of primes and factors of -1 are part of a
monomial's coefficient, so that equal products of generators have equal monomials. `Expansion` multiplies
reduced expressions out to polynomials.
"""

from __future__ import annotations

from fractions import Fraction

from pacore.core.grading.mathematics.exact import exact_value
from pacore.core.grading.mathematics.nodes import (
    IMAGINARY,
    ONE,
    PI,
    Node,
    add,
    multiply,
    raised,
    whole,
)
from pacore.core.identity import sha256_hex

_MOST_TERMS = 400

_LARGEST_PRIME = 10_000

_UNITY = "~"
"""The generator of roots of unity; its exponent t, in [0, 1), means exp(2 pi i t)."""

_GREATEST_POWER = 40
"""Greatest exponent of a sum that is multiplied out."""

_LONGEST_KEY = 200

QUARTER_TURN = Fraction(1, 4)
"""The exponent of i as a root of unity."""

Monomial = tuple[tuple[str, Fraction], ...]

Polynomial = dict[Monomial, Fraction]


class Unproven(ArithmeticError):
    """Nothing can be proven of an expression."""


def unity(turn: Fraction) -> Node:
    """The root of unity exp(2 pi i ``turn``)."""
    turn %= 1
    plain = {Fraction(0): ONE, Fraction(1, 2): whole(-1), Fraction(1, 4): IMAGINARY}
    return plain.get(turn) or Node("unity", (), turn)


def is_real_positive(name: str) -> bool:
    """Whether a generator has a positive value wherever symbols have real ones."""
    return name == "pi" or name.startswith("#") or (name.startswith("exp:") and _UNITY not in name)


def split_unity(monomial: Monomial) -> tuple[Fraction, Monomial]:
    """The exponent of the root of unity in a monomial, and the rest of the monomial."""
    turn = next((exponent for name, exponent in monomial if name == _UNITY), Fraction(0))
    return turn, tuple(pair for pair in monomial if pair[0] != _UNITY)


def _scaled(monomial: Monomial, exponent: Fraction) -> Polynomial:
    raised_all = tuple((name, e * exponent) for name, e in monomial)
    return _product({raised_all: Fraction(1)}, {(): Fraction(1)})


def total(*polynomials: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for polynomial in polynomials:
        for monomial, factor in polynomial.items():
            found[monomial] = found.get(monomial, Fraction(0)) + factor
    return {monomial: factor for monomial, factor in found.items() if factor}


def _product(*polynomials: Polynomial) -> Polynomial:
    found: Polynomial = {(): Fraction(1)}
    for polynomial in polynomials:
        if len(found) * len(polynomial) > _MOST_TERMS:
            raise Unproven("too many terms")
        pieces: Polynomial = {}
        for one, q in found.items():
            for other, r in polynomial.items():
                monomial, factor = _joined(one, other)
                pieces[monomial] = pieces.get(monomial, Fraction(0)) + q * r * factor
        found = {monomial: factor for monomial, factor in pieces.items() if factor}
    return found


def _joined(one: Monomial, other: Monomial) -> tuple[Monomial, Fraction]:
    """The product of two monomials, and its coefficient of integer powers of primes and -1."""
    exponents = dict(one)
    for name, exponent in other:
        exponents[name] = exponents.get(name, Fraction(0)) + exponent
    factor = Fraction(1)
    for name, exponent in exponents.items():
        if name == _UNITY:
            turn = exponent % 1
            if turn >= Fraction(1, 2):
                turn, factor = turn - Fraction(1, 2), -factor
            exponents[name] = turn
        elif name.startswith("#"):
            whole_part = exponent.numerator // exponent.denominator
            factor *= Fraction(int(name[1:])) ** whole_part
            exponents[name] = exponent - whole_part
    return tuple(sorted((name, e) for name, e in exponents.items() if e)), factor


def _rational_power(value: Fraction, exponent: Fraction) -> Polynomial:
    """A power of a positive fraction by its prime factors."""
    pairs = [(f"#{p}", n * exponent) for p, n in factors(value.numerator).items()]
    pairs += [(f"#{p}", -n * exponent) for p, n in factors(value.denominator).items()]
    return _product({tuple(pairs): Fraction(1)}, {(): Fraction(1)})


def factors(value: int) -> dict[int, int]:
    """Prime factors up to `_LARGEST_PRIME` with their exponents; the rest counts as one prime."""
    found: dict[int, int] = {}
    divisor = 2
    while divisor * divisor <= value and divisor <= _LARGEST_PRIME:
        while value % divisor == 0:
            found[divisor] = found.get(divisor, 0) + 1
            value //= divisor
        divisor += 1 if divisor == 2 else 2
    if value > 1:
        found[value] = found.get(value, 0) + 1
    return found


def from_monomial(monomial: Monomial) -> Node:
    return multiply(*(_generator_power(name, exponent) for name, exponent in monomial))


def _generator_power(name: str, exponent: Fraction) -> Node:
    if name == _UNITY:
        return unity(exponent)
    base = (
        PI
        if name == "pi"
        else whole(int(name[1:]))
        if name.startswith("#")
        else Node("symbol", (), name)
    )
    return raised(base, exponent)


def from_polynomial(terms: Polynomial) -> Node:
    if not terms:
        return whole(0)
    return add(*(multiply(whole(q), from_monomial(m)) for m, q in sorted(terms.items())))


def _polynomial_text(terms: Polynomial) -> str:
    return " + ".join(
        f"{q}*" + "*".join(f"{name}^{e}" for name, e in m) for m, q in sorted(terms.items())
    )


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
        return _short(repr(node) if terms is None else _polynomial_text(terms))

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
            return _scaled(((_UNITY, turn),), Fraction(1))
        if node.kind == "add":
            return total(*map(self._expand, node.args))
        if node.kind == "negate":
            return _product({(): Fraction(-1)}, self._expand(node.args[0]))
        if node.kind == "multiply":
            return _product(*map(self._expand, node.args))
        if node.kind == "divide":
            over, under = node.args
            return _product(self._expand(over), self._raised(under, Fraction(-1)))
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
                return _product(_rational_power(factor, exponent), _scaled(monomial, exponent))
        if exponent.denominator == 1 and 0 < exponent <= _GREATEST_POWER:
            return _product(*[terms] * exponent.numerator)
        name = f"[{_short(_polynomial_text(terms))}]"
        self._meanings.setdefault(name, base)
        return {((name, exponent),): Fraction(1)}


def _short(key: str) -> str:
    """A key, or the digest of a long one: keys are parts of names, which are parts of other keys.

    The name of roots of unity is kept: it shows that the value may not be real.
    """
    if len(key) <= _LONGEST_KEY:
        return key
    return f"{_UNITY if _UNITY in key else ''}{sha256_hex(key.encode('utf-8', 'surrogatepass'))}"


def _whole_power(monomial: Monomial, factor: Fraction, exponent: int) -> Polynomial:
    if abs(factor) != 1 and abs(exponent) > _GREATEST_POWER**2:
        raise Unproven("a large power")
    return _product({(): factor**exponent}, _scaled(monomial, Fraction(exponent)))
