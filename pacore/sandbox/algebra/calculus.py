"""Calculus: infinite sums, integrals, limits and derivatives, as SymPy evaluates them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy
from sympy.core.cache import clear_cache

from pacore.core.grading.mathematics.nodes import IMAGINARY, PI, E, Node, whole
from pacore.core.grading.mathematics.number import Rational
from pacore.core.grading.notation.vocabulary import names


def calculate(node: Node) -> Node | None:
    """The value of a sum, product, integral, limit or derivative as an expression without these.

    None where SymPy finds none. Time and memory are unbounded: callers limit both.
    """
    # The number of calls must not depend on what SymPy has in its cache.
    clear_cache()
    read = _to_sympy(node)
    return None if read is None else _from_sympy(sympy.simplify(read.doit()))


def _to_sympy(node: Node) -> Any:
    """The expression in SymPy's form; None where a part of it has none."""
    if isinstance(node.value, Rational):
        return sympy.Rational(node.value.value.numerator, node.value.value.denominator)
    if node.kind == "symbol":
        return _symbol(str(node.value))
    if node.kind == "constant":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "infinity": sympy.oo}[str(node.value)]
    arguments = [_to_sympy(argument) for argument in node.args]
    build = _FUNCTIONS.get(str(node.value)) if node.kind == "function" else _BUILT.get(node.kind)
    if build is None or any(argument is None for argument in arguments):
        return None
    if node.kind in _WITH_VARIABLE:
        return build(_symbol(str(node.value)), *arguments)
    return build(*arguments)


def _symbol(name: str) -> Any:
    return sympy.Symbol(name, real=True)


def _integral(variable: Any, body: Any, *bounds: Any) -> Any:
    # An indefinite integral is known up to a constant only.
    return sympy.Integral(body, (variable, *bounds)) if bounds else None


def _repeated(kind: Any, index: Any, body: Any, first: Any, last: Any) -> Any:
    # Without a formula SymPy computes every term.
    is_long = first.is_number and last.is_number and last.is_finite
    has_formula = not is_long or (kind is sympy.Sum and body.is_polynomial(index))
    return kind(body, (index, first, last)) if has_formula else None


_WITH_VARIABLE = frozenset(("sum", "product", "integral", "limit", "derivative"))

_BUILT: dict[str, Callable[..., Any]] = {
    "add": sympy.Add,
    "multiply": sympy.Mul,
    "divide": lambda over, under: over / under if under != 0 else None,
    "negate": lambda inner: -inner,
    "power": lambda base, exponent: base**exponent,
    "root": lambda inner, degree: (
        sympy.real_root(inner, degree) if degree % 2 else inner ** (1 / degree)
    ),
    "factorial": sympy.factorial,
    "binomial": sympy.binomial,
    "absolute": sympy.Abs,
    "degrees": lambda inner: inner * sympy.pi / 180,
    "sum": lambda *of: _repeated(sympy.Sum, *of),
    "product": lambda *of: _repeated(sympy.Product, *of),
    "integral": _integral,
    "limit": lambda variable, body, target: sympy.Limit(
        body, variable, target, "+-" if target.is_finite else "-"
    ),
    "derivative": lambda variable, body: sympy.Derivative(body, variable),
}

_NAMES = names("sin cos tan cot sec csc sinh cosh tanh coth exp log")

_INVERSES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot"}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(sympy, name) for name in _NAMES},
    **{name: getattr(sympy, short) for name, short in _INVERSES.items()},
}

_READ_BACK = {getattr(sympy, name): name for name in _NAMES} | {
    getattr(sympy, short): name for name, short in _INVERSES.items()
}


def _from_sympy(found: Any) -> Node | None:
    """A SymPy expression as a `Node`; None where a part of it has no such form."""
    if isinstance(found, sympy.Rational):
        return whole(Fraction(int(found.p), int(found.q)))
    if isinstance(found, sympy.Symbol):
        return Node("symbol", (), found.name)
    for constant, node in ((sympy.pi, PI), (sympy.E, E), (sympy.I, IMAGINARY)):
        if found == constant:
            return node
    if isinstance(found, sympy.exp):
        inner = _from_sympy(found.args[0])
        return None if inner is None else Node("function", (inner,), "exp")
    arguments = [_from_sympy(argument) for argument in found.args]
    known = tuple(argument for argument in arguments if argument is not None)
    if not known or len(known) < len(arguments):
        return None
    kinds = {sympy.Add: "add", sympy.Mul: "multiply", sympy.Pow: "power", sympy.Abs: "absolute",
             sympy.factorial: "factorial", sympy.binomial: "binomial"}  # fmt: skip
    if found.func in kinds:
        return Node(kinds[found.func], known)
    return Node("function", known, _READ_BACK[found.func]) if found.func in _READ_BACK else None
