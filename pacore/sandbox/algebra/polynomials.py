"""Polynomials in generators, with fractions as exponents: the normal form of sums and products.

A *generator* is a symbol, ``pi``, ``#p`` for a prime number p, ``~`` for the roots of unity, or one
defined by `pacore.sandbox.algebra.reduction`. Integer powers of primes and factors of -1 are part of a
monomial's coefficient, so that equal products of generators have equal monomials.
"""

from __future__ import annotations

from fractions import Fraction

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

MOST_TERMS = 400

LARGEST_PRIME = 10_000

UNITY = "~"
"""The generator of roots of unity; its exponent t, in [0, 1), means exp(2 pi i t)."""

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
    return name == "pi" or name.startswith("#") or (name.startswith("exp:") and UNITY not in name)


def split_unity(monomial: Monomial) -> tuple[Fraction, Monomial]:
    """The exponent of the root of unity in a monomial, and the rest of the monomial."""
    turn = next((exponent for name, exponent in monomial if name == UNITY), Fraction(0))
    return turn, tuple(pair for pair in monomial if pair[0] != UNITY)


def scaled(monomial: Monomial, exponent: Fraction) -> Polynomial:
    raised_all = tuple((name, e * exponent) for name, e in monomial)
    return product({raised_all: Fraction(1)}, {(): Fraction(1)})


def total(*polynomials: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for polynomial in polynomials:
        for monomial, factor in polynomial.items():
            found[monomial] = found.get(monomial, Fraction(0)) + factor
    return {monomial: factor for monomial, factor in found.items() if factor}


def product(*polynomials: Polynomial) -> Polynomial:
    found: Polynomial = {(): Fraction(1)}
    for polynomial in polynomials:
        if len(found) * len(polynomial) > MOST_TERMS:
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
        if name == UNITY:
            turn = exponent % 1
            if turn >= Fraction(1, 2):
                turn, factor = turn - Fraction(1, 2), -factor
            exponents[name] = turn
        elif name.startswith("#"):
            whole_part = exponent.numerator // exponent.denominator
            factor *= Fraction(int(name[1:])) ** whole_part
            exponents[name] = exponent - whole_part
    return tuple(sorted((name, e) for name, e in exponents.items() if e)), factor


def rational_power(value: Fraction, exponent: Fraction) -> Polynomial:
    """A power of a positive fraction by its prime factors."""
    pairs = [(f"#{p}", n * exponent) for p, n in factors(value.numerator).items()]
    pairs += [(f"#{p}", -n * exponent) for p, n in factors(value.denominator).items()]
    return product({tuple(pairs): Fraction(1)}, {(): Fraction(1)})


def factors(value: int) -> dict[int, int]:
    """Prime factors up to `LARGEST_PRIME` with their exponents; the rest counts as one prime."""
    found: dict[int, int] = {}
    divisor = 2
    while divisor * divisor <= value and divisor <= LARGEST_PRIME:
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
    if name == UNITY:
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


def polynomial_text(terms: Polynomial) -> str:
    return " + ".join(
        f"{q}*" + "*".join(f"{name}^{e}" for name, e in m) for m, q in sorted(terms.items())
    )
