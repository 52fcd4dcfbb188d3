r"""Reduction: rewrites expressions to sums of products of *generators*.

Functions are rewritten to exponentials and logarithms, and these to powers of generators: symbols,
pi, logarithms of primes, ``exp(m)`` for each product m of generators in an exponent, roots of unity.
The rewriting uses the known identities of generators (``exp(a+b) = exp(a) exp(b)``); apart from these
they count as independent. An expression that vanishes for all values of the generators vanishes for
their own: the method is sound, and not complete. Symbols are real, and two expressions are equal if
they are equal wherever both have real values.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NoReturn

from pacore.core.grading.mathematics.exact import exact_value
from pacore.core.grading.mathematics.nodes import (
    IMAGINARY,
    ONE,
    PI,
    Node,
    add,
    divide,
    multiply,
    negate,
    power,
    raised,
    root,
    whole,
)
from pacore.sandbox.algebra import enclosure
from pacore.sandbox.algebra.polynomials import (
    QUARTER_TURN,
    Expansion,
    Monomial,
    Unproven,
    factors,
    from_monomial,
    from_polynomial,
    is_real_positive,
    split_unity,
    total,
    unity,
)

GREATEST_SHIFT = 60
"""Greatest difference of the arguments of two factorials of which one is rewritten to the other."""

SIGN_BITS = 120

SPLIT = 12
"""The generator of exp(m) is exp(m/12), so that powers with halves, thirds and quarters are its powers."""

MOST_NODES = 2_000
"""Most nodes of a reduced expression: rewriting may double it at each level of nested functions."""

LARGEST_TURN = 60
"""Greatest denominator of the multiples of pi that are tried as the value of an angle."""

BASE = Node("symbol", (), "1/log of the base")
"""The factor from a natural logarithm to one with an unspecified base."""

_HALF = whole(Fraction(1, 2))


class Reduction:
    """Reduces expressions that are compared with each other, with common generators.

    ``meanings`` has the definition of each generator that is no symbol. ``is_zero`` decides whether a
    constant is zero, and ``calculate`` evaluates sums, integrals, limits and derivatives.
    """

    def __init__(
        self, is_zero: Callable[[Node], bool], calculate: Callable[[Node], Node | None]
    ) -> None:
        self.meanings: dict[str, Node] = {}
        self.expansion = Expansion(self.meanings)
        self._is_zero = is_zero
        self._calculate = calculate
        self._known: dict[Node, Node] = {}

    def reduce(self, node: Node) -> Node:
        """An equal expression of generators, sums, products, integer powers, roots and absolute values.

        Raises Unproven where there is none.
        """
        if node not in self._known:
            self._known[node] = _of_bounded_size(self._reduce(node))
        return self._known[node]

    def _reduce(self, node: Node) -> Node:
        if (value := exact_value(node)) is not None:
            return whole(value)
        if node.kind in _CALCULATED:
            found = self._calculate(node)
            return _unproven(node) if found is None else self.reduce(found)
        if node.kind in ("symbol", "constant", "unity"):
            if node.value == "infinity":
                raise Unproven("infinity within an expression")
            return self.exp(ONE) if node.value == "e" else node
        arguments = tuple(map(self.reduce, node.args))
        is_function = node.kind == "function"
        rewrite = _FUNCTIONS.get(str(node.value)) if is_function else _REWRITTEN.get(node.kind)
        if rewrite is not None:
            return rewrite(self, *arguments)
        return node._replace(args=arguments) if node.kind in _KEPT else _unproven(node)

    def power(self, base: Node, exponent: Node) -> Node:
        exact = exact_value(exponent)
        if exact is None:
            return self.exp(multiply(exponent, self.log(base)))
        if exact.denominator == 1:
            return power(base, exact.numerator)
        value = exact_value(base)
        if value is not None and value < 0:
            raise Unproven("a root of a negative number written as a power")
        return raised(base, exact)

    def exp(self, node: Node) -> Node:
        """The exponential of a reduced expression: a product of powers, one for each of its terms."""
        terms = self.expansion.of(node)
        if terms is None:
            return self._generator("exp", node, node)
        return multiply(*(self._exp_term(monomial, factor) for monomial, factor in terms.items()))

    def _exp_term(self, monomial: Monomial, factor: Fraction) -> Node:
        turn, rest = split_unity(monomial)
        if rest == (("pi", Fraction(1)),) and turn == QUARTER_TURN:
            return unity(factor / 2)
        if len(rest) == 1 and rest[0][1] == 1:
            found = self._exp_of(rest[0][0], turn, factor)
            if found is not None:
                return found
        if turn not in (0, QUARTER_TURN) or (factor * SPLIT).denominator != 1:
            raise Unproven("an exponential of a number that is neither real nor imaginary")
        inner = from_monomial(monomial)
        generator = self._generator("exp", multiply(inner, whole(Fraction(1, SPLIT))), inner)
        return power(generator, (factor * SPLIT).numerator)

    def _exp_of(self, name: str, turn: Fraction, factor: Fraction) -> Node | None:
        """The exponential of a generator that is a logarithm or an inverse function; else None."""
        kind, _, _ = name.partition(":")
        if kind == "log" and turn == 0:
            return raised(self.meanings[name].args[0], factor)
        if turn != QUARTER_TURN or factor.denominator != 1 or kind not in ("arctan", "arcsin"):
            return None
        of = self.meanings[name].args[0]
        square = power(of, 2)
        if kind == "arctan":
            size = root(add(ONE, square), 2)
            point = divide(add(ONE, multiply(IMAGINARY, of)), size)
        else:
            point = add(root(add(ONE, negate(square)), 2), multiply(IMAGINARY, of))
        return power(point, factor.numerator)

    def _generator(self, kind: str, inner: Node, named: Node) -> Node:
        name = f"{kind}:{self.expansion.key(named)}"
        self.meanings.setdefault(name, Node("function", (inner,), kind))
        return Node("symbol", (), name)

    def log(self, node: Node) -> Node:
        """The principal logarithm of a reduced expression; a sum for a product of positive factors."""
        value = exact_value(node)
        if value is not None:
            return self._log_of_fraction(value)
        if isinstance(node.value, Fraction):
            turn = node.value if node.value <= Fraction(1, 2) else node.value - 1
            return multiply(whole(2 * turn), IMAGINARY, PI)
        if (parts := self._log_of_parts(node)) is not None:
            return parts
        if node.kind == "symbol" and is_real_positive(str(node.value)):
            return self.meanings[str(node.value)].args[0]
        if self._sign(node) < 0:
            return add(self.log(negate(node)), multiply(IMAGINARY, PI))
        return self._generator("log", node, node)

    def _log_of_fraction(self, value: Fraction) -> Node:
        if value == 0:
            raise Unproven("the logarithm of zero")
        powers = list(factors(abs(value.numerator)).items())
        powers += [(prime, -times) for prime, times in factors(value.denominator).items()]
        terms = [
            multiply(whole(times), self._generator("log", whole(prime), whole(prime)))
            for prime, times in powers
        ]
        return add(*terms, multiply(whole(int(value < 0)), IMAGINARY, PI))

    def _log_of_parts(self, node: Node) -> Node | None:
        if node.kind == "multiply":
            known = [factor for factor in node.args if self.is_positive(factor)]
            rest = [factor for factor in node.args if factor not in known]
            if known and len(known) + bool(rest) > 1:
                return add(*map(self.log, known), *([self.log(multiply(*rest))] if rest else []))
        if node.kind == "divide" and any(map(self.is_positive, node.args)):
            over, under = map(self.log, node.args)
            return add(over, negate(under))
        if node.kind == "root" and self._sign(node.args[0]) >= 0:
            return divide(self.log(node.args[0]), node.args[1])
        exponent = exact_value(node.args[1]) if node.kind == "power" else None
        if exponent is not None and (exponent % 2 == 1 or self.is_positive(node.args[0])):
            return multiply(whole(exponent), self.log(node.args[0]))
        return None

    def is_positive(self, node: Node) -> bool:
        if node.kind == "power" and node.args[0].kind == "symbol":
            return self.is_positive(node.args[0])
        is_known = node.kind == "symbol" and is_real_positive(str(node.value))
        return is_known or self._sign(node) > 0

    def _sign(self, node: Node) -> int:
        """1 or -1 for a constant with that proven sign, else 0."""
        if not self._is_constant(node):
            return 0
        with enclosure.precision(SIGN_BITS):
            try:
                box = enclosure.enclose(node, {}, self.meanings)
            except ArithmeticError:
                return 0
            return 0 if not box.is_real or box.may_be_zero else 1 if box.re.a > 0 else -1

    def _is_constant(self, node: Node) -> bool:
        """Whether all symbols of an expression are generators."""
        return symbols(node) <= self.meanings.keys()

    def turned(self, node: Node, sign: int = 1) -> Node:
        """``exp(i x)``, or ``exp(-i x)``."""
        return self.exp(multiply(whole(sign), IMAGINARY, node))

    def cosine(self, node: Node) -> Node:
        return multiply(_HALF, add(self.turned(node), self.turned(node, -1)))

    def sine(self, node: Node) -> Node:
        difference = add(self.turned(node), negate(self.turned(node, -1)))
        return multiply(whole(Fraction(-1, 2)), IMAGINARY, difference)

    def arctangent(self, node: Node) -> Node:
        return self._angle("arctan", node) or self._generator("arctan", node, node)

    def arcsine(self, node: Node) -> Node:
        found = self._angle("arcsin", node)
        if found is not None:
            return found
        if not self._is_constant(node):
            return self._generator("arcsin", node, node)
        return self.arctangent(divide(node, root(add(ONE, negate(power(node, 2))), 2)))

    def _angle(self, inverse: str, node: Node) -> Node | None:
        """The value of an inverse function at a constant as a proven multiple of pi; else None."""
        if not self._is_constant(node):
            return None
        turn = divide(Node("function", (node,), inverse), PI)
        with enclosure.precision(SIGN_BITS):
            try:
                box = enclosure.enclose(turn, {}, self.meanings)
                guess = enclosure.middle(box, SIGN_BITS)[0].limit_denominator(LARGEST_TURN)
                if box.is_disjoint_from(enclosure.of_fraction(guess)):
                    return None
            except ArithmeticError:
                return None
        angle = multiply(whole(guess), PI)
        value = self.sine(angle)
        if inverse == "arctan":
            value = divide(value, self.cosine(angle))
        return angle if self._is_zero(add(value, negate(node))) else None

    def factorial(self, node: Node) -> Node:
        """The factorial of a reduced expression; ``(n+2)!`` is ``n! (n+1) (n+2)``."""
        if exact_value(node) is not None:
            return Node("factorial", (node,))
        terms = self.expansion.of(node)
        if terms is None:
            return self._generator("factorial", node, node)
        constant = terms.get((), Fraction(0))
        shift = constant.numerator // constant.denominator
        if abs(shift) > GREATEST_SHIFT:
            raise Unproven("a factorial with a large shift")
        base = from_polynomial(total(terms, {(): Fraction(-shift)}))
        factors_over = [add(base, whole(k)) for k in range(1, shift + 1)]
        factors_under = [add(base, whole(-k)) for k in range(-shift)]
        found = multiply(self._generator("factorial", base, base), *factors_over)
        return divide(found, multiply(*factors_under)) if factors_under else found

    def binomial(self, of: Node, choose: Node) -> Node:
        exact = exact_value(choose)
        if exact is not None and exact.denominator == 1 and 0 <= exact <= GREATEST_SHIFT:
            over = [add(of, whole(-k)) for k in range(exact.numerator)]
            return divide(multiply(*over), self.reduce(Node("factorial", (choose,))))
        under = multiply(self.factorial(choose), self.factorial(add(of, negate(choose))))
        return divide(self.factorial(of), under)


def _of_bounded_size(node: Node) -> Node:
    """The given expression. Raises Unproven where it has more than `MOST_NODES` nodes."""
    left = [node]
    for _ in range(MOST_NODES):
        left += left.pop().args
        if not left:
            return node
    raise Unproven("an expression of too many nodes")


def symbols(node: Node) -> set[str]:
    """The names of all symbols and generators in an expression."""
    found = {str(node.value)} if node.kind == "symbol" else set()
    for part in node.args:
        found |= symbols(part)
    return found


Rewrite = Callable[..., Node]


def _absolute(reduction: Reduction, node: Node) -> Node:
    if reduction.is_positive(node):
        return node
    return negate(node) if reduction.is_positive(negate(node)) else Node("absolute", (node,))


def _log(reduction: Reduction, node: Node, base: Node | None = None) -> Node:
    return reduction.log(node) if base is None else divide(reduction.log(node), reduction.log(base))


def _sinh(reduction: Reduction, node: Node) -> Node:
    return multiply(_HALF, add(reduction.exp(node), negate(reduction.exp(negate(node)))))


def _cosh(reduction: Reduction, node: Node) -> Node:
    return multiply(_HALF, add(reduction.exp(node), reduction.exp(negate(node))))


def _ratio(over: Rewrite, under: Rewrite) -> Rewrite:
    return lambda reduction, node: divide(over(reduction, node), under(reduction, node))


def _one(*_: object) -> Node:
    return ONE


_HALF_TURN = multiply(_HALF, PI)

_CALCULATED = frozenset(("sum", "product", "integral", "limit", "derivative"))

_KEPT = frozenset(("add", "multiply", "divide", "negate", "root", "floor", "ceiling"))

_REWRITTEN: dict[str, Rewrite] = {
    "power": Reduction.power,
    "factorial": Reduction.factorial,
    "binomial": Reduction.binomial,
    "absolute": _absolute,
    "degrees": lambda _, node: multiply(node, whole(Fraction(1, 180)), PI),
}

_FUNCTIONS: dict[str, Rewrite] = {
    "exp": Reduction.exp,
    "log": _log,
    "logarithm": lambda reduction, node: multiply(reduction.log(node), BASE),
    "sin": Reduction.sine,
    "cos": Reduction.cosine,
    "tan": _ratio(Reduction.sine, Reduction.cosine),
    "cot": _ratio(Reduction.cosine, Reduction.sine),
    "sec": _ratio(_one, Reduction.cosine),
    "csc": _ratio(_one, Reduction.sine),
    "cis": Reduction.turned,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _ratio(_sinh, _cosh),
    "coth": _ratio(_cosh, _sinh),
    "arctan": Reduction.arctangent,
    "arcsin": Reduction.arcsine,
    "arccos": lambda reduction, node: add(_HALF_TURN, negate(reduction.arcsine(node))),
    "arccot": lambda reduction, node: add(_HALF_TURN, negate(reduction.arctangent(node))),
}


def _unproven(node: Node) -> NoReturn:
    raise Unproven(node.kind)
