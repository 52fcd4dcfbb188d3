"""Residues: the values of expressions modulo primes, for expressions of any size.

Equal expressions are equal modulo every prime, for all values of their symbols. Different ones rarely
are: a random prime of more than `PRIME_BITS` bits divides a number of 2^N bits with probability below
2^(N - `PRIME_BITS`), and random values of symbols are zeros of a polynomial of degree 2^N with about the
same probability (Schwartz 1980, Zippel 1979). N is at most `SIZE_BITS`. Primes and values are computed
from a digest of the compared expressions, so that no expression can be constructed for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from hashlib import sha256

from pacore.core.grading.mathematics.exact import exact_value
from pacore.core.grading.mathematics.nodes import Node
from pacore.core.grading.mathematics.number import Rational

PRIME_BITS = 128

SIZE_BITS = 64

MOST_FACTORS = 2_000_000
"""Most factors of a factorial or binomial that is computed."""

ORDER = math.lcm(*range(1, 25))
"""Roots of unity of these orders have residues."""

WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
"""Bases of the test of primes, which no composite number below 3·10^23 passes (Sorenson, Webster 2015)."""


class NoResidue(ArithmeticError):
    """An expression with a part that has no residue: a root, an absolute value, a function."""


class Draws:
    """Pseudo-random numbers: functions of a seed and a name."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def number(self, name: str, bits: int) -> int:
        """A number in [0, 2^``bits``)."""
        pieces = b"".join(
            sha256(f"{place} {name} {self._seed}".encode("utf-8", "surrogatepass")).digest()
            for place in range(-(-bits // 256))
        )
        return int.from_bytes(pieces, "big") >> (len(pieces) * 8 - bits)


class PrimeField:
    """The integers modulo a random prime, with roots of unity of each order that divides `ORDER`."""

    def __init__(self, draws: Draws, which: int) -> None:
        self.draws = draws
        self.name = f"field {which}"
        self.prime = next(filter(is_prime, self._candidates()))
        self.root = self._root_of_unity()

    def _candidates(self) -> Iterator[int]:
        for place in range(1_000_000):
            yield self.draws.number(f"{self.name} {place}", PRIME_BITS) * ORDER + 1

    def _root_of_unity(self) -> int:
        """An element of order `ORDER`."""
        divisors = [p for p in range(2, 25) if is_prime(p)]
        for place in range(1_000_000):
            drawn = self.draws.number(f"{self.name} root {place}", PRIME_BITS)
            found = pow(drawn, (self.prime - 1) // ORDER, self.prime)
            if all(pow(found, ORDER // p, self.prime) != 1 for p in divisors):
                return found
        raise NoResidue

    def symbol(self, name: str, at: str) -> int:
        return self.draws.number(f"{self.name} {at} {name}", PRIME_BITS)


def is_prime(value: int) -> bool:
    """Whether a number is prime (Miller-Rabin with the bases `WITNESSES`)."""
    if value < 2 or any(value % p == 0 and value != p for p in (2, 3, 5, 7, 11, 13, 17, 19, 23)):
        return False
    odd, twos = value - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_is_witness(value, base, odd, twos) for base in WITNESSES if base < value)


def _is_witness(value: int, base: int, odd: int, twos: int) -> bool:
    found = pow(base, odd, value)
    if found in (1, value - 1):
        return True
    for _ in range(twos - 1):
        found = found * found % value
        if found == value - 1:
            return True
    return False


def residue(node: Node, field: PrimeField, at: str, meanings: Mapping[str, Node]) -> int:
    """The value of a reduced expression in a field, at the point named ``at``.

    Raises NoResidue, also for a division by zero, and where the size or degree exceeds `SIZE_BITS`.
    """
    if _size(node, meanings) > SIZE_BITS:
        raise NoResidue("too large a number or degree")
    return _Evaluation(field, at, meanings).value(node)


def _size(node: Node, meanings: Mapping[str, Node]) -> float:
    """The binary logarithm of a bound of an expression's length in bits and of its degree."""
    if isinstance(node.value, Rational):
        value = node.value.value
        return math.log2(1 + max(value.numerator.bit_length(), value.denominator.bit_length()))
    if node.kind == "symbol":
        name = str(node.value)
        return _size(meanings[name], meanings) if name.startswith("[") else 1.0
    if node.kind == "power":
        exponent = exact_value(node.args[1])
        size = _size(node.args[0], meanings)
        return math.inf if exponent is None else size + (abs(exponent.numerator) + 1).bit_length()
    if node.kind == "factorial":
        of = exact_value(node.args[0])
        return math.inf if of is None else 2.0 * (abs(of.numerator) + 1).bit_length()
    sizes = [_size(part, meanings) for part in node.args]
    return max(sizes, default=1.0) + math.log2(len(sizes) + 1)


class _Evaluation:
    def __init__(self, field: PrimeField, at: str, meanings: Mapping[str, Node]) -> None:
        self.field = field
        self.prime = field.prime
        self.at = at
        self.meanings = meanings
        self.known: dict[Node, int] = {}

    def value(self, node: Node) -> int:
        if node not in self.known:
            self.known[node] = self._value(node) % self.prime
        return self.known[node]

    def _value(self, node: Node) -> int:
        if isinstance(node.value, Rational):
            return self.fraction(node.value.value)
        if node.kind == "symbol":
            name = str(node.value)
            is_free = not name.startswith("[")
            return self.field.symbol(name, self.at) if is_free else self.value(self.meanings[name])
        if node.kind == "constant" and node.value == "pi":
            return self.field.symbol("pi", self.at)
        if node.kind == "constant" and node.value == "i":
            return self.unity(Fraction(1, 4))
        if isinstance(node.value, Fraction):
            return self.unity(node.value)
        operation = _OPERATIONS.get(node.kind)
        if operation is None:
            raise NoResidue(node.kind)
        return operation(self, *node.args)

    def fraction(self, value: Fraction) -> int:
        return value.numerator * self.inverse(value.denominator)

    def inverse(self, value: int) -> int:
        if value % self.prime == 0:
            raise NoResidue("a division by zero")
        return pow(value, -1, self.prime)

    def unity(self, turn: Fraction) -> int:
        if ORDER % turn.denominator:
            raise NoResidue("a root of unity")
        return pow(self.field.root, turn.numerator * (ORDER // turn.denominator), self.prime)

    def add(self, *terms: Node) -> int:
        return sum(map(self.value, terms))

    def multiply(self, *factors: Node) -> int:
        found = 1
        for factor in factors:
            found = found * self.value(factor) % self.prime
        return found

    def divide(self, over: Node, under: Node) -> int:
        return self.value(over) * self.inverse(self.value(under))

    def power(self, base: Node, exponent: Node) -> int:
        exact = exact_value(exponent)
        if exact is None or exact.denominator != 1:
            raise NoResidue("a power with no whole exponent")
        below = self.value(base)
        if below == 0:
            raise NoResidue("a power of zero")
        return pow(below, exact.numerator % (self.prime - 1), self.prime)

    def factorial(self, of: Node) -> int:
        exact = exact_value(of)
        if exact is None or exact.denominator != 1 or not 0 <= exact <= MOST_FACTORS:
            raise NoResidue("a factorial")
        found = 1
        for factor in range(2, exact.numerator + 1):
            found = found * factor % self.prime
        return found


_OPERATIONS: dict[str, Callable[..., int]] = {
    "add": _Evaluation.add,
    "multiply": _Evaluation.multiply,
    "divide": _Evaluation.divide,
    "power": _Evaluation.power,
    "factorial": _Evaluation.factorial,
    "negate": lambda evaluation, node: -evaluation.value(node),
}
