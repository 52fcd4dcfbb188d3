"""Nodes: expression trees, and functions on them that evaluate nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from pacore.core.grading.mathematics.number import Rational


class Node(NamedTuple):
    """One operation and what it is applied to.

    =============== ============================================== =====================
    kind            args                                           value
    =============== ============================================== =====================
    number          none                                           Rational
    symbol          none                                           name
    constant        none                                           ``pi``, ``e``, ``i``, ``infinity``
    add, multiply   two or more                                    none
    divide, power   two                                            none
    negate, factorial, absolute, floor, ceiling, degrees, conjugate one none
    root            one, and the degree                            none
    binomial, mod   two                                            none
    function        one or more                                    name (``log`` has its base second)
    sign            one: plus or minus it                          1, or -1 for minus or plus
    sum, product    body, first, last                              name of the index
    integral        body, and lower and upper bound                name of the variable
    limit           body, and what the variable goes to            name of the variable
    derivative      body                                           name of the variable
    unity           none                                           share of a turn, a Fraction
    =============== ============================================== =====================
    """

    kind: str
    args: tuple[Node, ...] = ()
    value: object = None


def whole(value: int | Fraction) -> Node:
    return Node("number", (), Rational(Fraction(value)))


ONE = whole(1)

IMAGINARY, PI, E, INFINITY = (Node("constant", (), name) for name in ("i", "pi", "e", "infinity"))

_BINDING = frozenset(("sum", "product", "integral", "limit"))


def free_symbols(node: Node) -> set[str]:
    """The symbols of an expression without indices of sums and variables of integrals."""
    if node.kind == "symbol":
        return {str(node.value)}
    found: set[str] = set()
    for part in node.args:
        found |= free_symbols(part)
    return found - {str(node.value)} if node.kind in _BINDING else found


def constants(node: Node) -> set[str]:
    """The names of the constants in an expression."""
    found = {str(node.value)} if node.kind == "constant" else set()
    for part in node.args:
        found |= constants(part)
    return found


def add(*terms: Node) -> Node:
    return terms[0] if len(terms) == 1 else Node("add", terms)


def multiply(*factors: Node) -> Node:
    kept = tuple(factor for factor in factors if factor != ONE)
    return Node("multiply", kept) if len(kept) > 1 else kept[0] if kept else ONE


def negate(node: Node) -> Node:
    return Node("negate", (node,))


def divide(over: Node, under: Node) -> Node:
    return Node("divide", (over, under))


def power(base: Node, exponent: int) -> Node:
    return (
        base if exponent == 1 else ONE if exponent == 0 else Node("power", (base, whole(exponent)))
    )


def root(node: Node, degree: int) -> Node:
    return node if degree == 1 else Node("root", (node, whole(degree)))


def raised(base: Node, exponent: Fraction) -> Node:
    """A power with a fraction as exponent: an integer power of a root."""
    return power(root(base, exponent.denominator), exponent.numerator)


def written_decimal(node: Node) -> Rational | None:
    """The decimal with its sign that an expression is; None for any other expression."""
    if node.kind == "negate":
        inner = written_decimal(node.args[0])
        return None if inner is None else inner._replace(value=-inner.value)
    return node.value if isinstance(node.value, Rational) and node.value.places else None


def has_sign(node: Node) -> bool:
    return node.kind == "sign" or any(map(has_sign, node.args))


def with_sign(node: Node, sign: int) -> Node:
    """An expression in which each plus-minus sign is replaced by ``sign``."""
    if node.kind == "sign":
        inner = with_sign(node.args[0], sign)
        return inner if node.value == sign else Node("negate", (inner,))
    return node._replace(args=tuple(with_sign(part, sign) for part in node.args))
