r"""Parses expressions: arithmetic with functions, sums, integrals, limits and derivatives."""

from __future__ import annotations

from collections.abc import Sequence

from pacore.core.grading.mathematics.nodes import ONE, Node, whole
from pacore.core.grading.mathematics.number import decimal
from pacore.core.grading.notation.grammar import ARITHMETIC, CONSTANTS, Grammar, Unread
from pacore.core.grading.notation.tokens import Token, plain_text

MOST_LEVELS = 120
"""Most nested operations of an expression, since functions on trees are recursive."""

_TOO_DEEP = f"more than {MOST_LEVELS} nested operations"

_SEVERAL = frozenset(("max", "min", "gcd", "lcm"))

_KINDS = {"abs": "absolute", "floor": "floor", "ceil": "ceiling"}

_MINUS_ONE = Node("negate", (Node("number", (), decimal("1")),))


def read_expression(tokens: Sequence[Token]) -> Node:
    """The expression of all tokens, with at most `MOST_LEVELS` nested operations. Raises Unread."""
    reader = _Expression(tokens)
    try:
        node = reader.whole_group()
    except RecursionError:
        # Signs, bars and commands without braces nest without any bracket that could be counted before.
        raise Unread(_TOO_DEEP) from None
    if reader.at < len(reader.tokens):
        before = plain_text(reader.tokens[: reader.at])
        raise Unread(f"{reader.peek().text!r} after {before!r}")
    if _has_more_levels(node, MOST_LEVELS):
        raise Unread(_TOO_DEEP)
    return node


def _has_more_levels(node: Node, most: int) -> bool:
    level = [node]
    for _ in range(most):
        level = [part for node in level for part in node.args]
        if not level:
            return False
    return True


class _Expression(Grammar):
    """Arithmetic with functions and operations that bind a variable."""

    def function(self) -> Node:
        r"""``\sin x``, ``\sin^2 x``, ``\log_2 8``, ``\gcd(a, b)``; ``\sin^{-1}`` is the inverse."""
        name = self.next().text
        base = power = None
        for _ in range(2):
            if self.peek().text == "_" and base is None:
                self.at += 1
                base = self.argument() if self.peek().kind != "num" else self.atom()
            elif self.peek().text == "^" and power is None:
                self.at += 1
                power = self.exponent()
        if power is not None and power == _MINUS_ONE:
            if "arc" in name or name in ("log", "ln", "lg", "exp") or name in _SEVERAL:
                raise Unread(f"the inverse of {name}")
            name, power = f"arc{name}", None
        node = self._apply(name, base)
        return node if power is None else Node("power", (node, power))

    def _apply(self, name: str, base: Node | None) -> Node:
        if base is not None and name != "log":
            raise Unread(f"an index at {name}")
        if name in _SEVERAL:
            return Node("function", self._arguments(), name)
        argument = self._function_argument(name)
        if name == "lg" or (name == "log" and base is not None):
            return Node("function", (argument, whole(10) if base is None else base), "log")
        if name in _KINDS:
            return Node(_KINDS[name], (argument,))
        if name == "log":
            return Node("function", (argument,), "logarithm")
        return Node("function", (argument,), "log" if name == "ln" else name)

    def _arguments(self) -> tuple[Node, ...]:
        closing = {"(": ")", "\\{": "\\}", "[": "]"}.get(self.next().text)
        if closing is None:
            raise Unread("a function of several numbers without brackets")
        found = [self.sum()]
        while self.peek().text in (",", ";"):
            self.at += 1
            found.append(self.sum())
        self.expect(closing)
        return tuple(found)

    def _function_argument(self, name: str) -> Node:
        if self.peek().text in ("(", "{", "["):
            argument = self.group()
            if self.peek().text in ("^", "!", "_"):
                raise Unread(f"{self.peek().text!r} after the brackets of {name}")
            return argument
        node = self.signed(self.power)
        while self.begins_factor(token := self.peek()) and token.kind != "fn":
            if token.kind == "open" and token.text != "{":
                raise Unread(f"brackets after the bare argument of {name}")
            node = self.juxtaposed(node)
        if self.peek().text == "/":
            raise Unread(f"a slash after the bare argument of {name}")
        return node

    def fraction(self) -> Node:
        if (variable := self._derivative()) is not None:
            return Node("derivative", (self.product(),), variable)
        return super().fraction()

    def repeated(self) -> Node:
        """A sum or product over an index."""
        kind = {"\\sum": "sum", "\\prod": "product"}[self.tokens[self.at - 1].text]
        self.expect("_")
        self.expect("{")
        index = self.next()
        self.expect("=")
        first = self.sum()
        self.expect("}")
        self.expect("^")
        last = self.exponent()
        if index.kind != "sym":
            raise Unread(f"{index.text!r} as an index of a {kind}")
        return Node(kind, (_bound(self.product(), index.text), first, last), index.text)

    def integral(self) -> Node:
        bounds: tuple[Node, ...] = ()
        if self.peek().text == "_":
            self.at += 1
            lower = self.signed(self.atom)
            self.expect("^")
            bounds = (lower, self.signed(self.atom))
        end = next(
            (p for p in range(self.at, len(self.tokens) - 1) if self.tokens[p].text == "d"), None
        ) or next((p for p in range(self.at, len(self.tokens)) if self._is_differential(p)), None)
        if end is None:
            raise Unread("an integral without its variable")
        inner = _Expression(self.tokens[self.at : end])
        body = inner.sum() if inner.tokens else ONE
        if inner.at < len(inner.tokens):
            raise Unread(f"{inner.peek().text!r} in an integral")
        token = self.tokens[end]
        variable = token.text[1:] if len(token.text) == 2 else self.tokens[end + 1].text
        self.at = end + 1 + (len(token.text) == 1)
        return Node("integral", (body, *bounds), variable)

    def _is_differential(self, place: int) -> bool:
        token = self.tokens[place]
        return token.kind == "word" and len(token.text) == 2 and token.text[0] == "d"

    def limit(self) -> Node:
        self.expect("_")
        self.expect("{")
        variable = self.next()
        if variable.kind != "sym" or self.next().text not in ("\\to", "\\rightarrow"):
            raise Unread("a limit of no variable")
        target = self.sum()
        self.expect("}")
        return Node("limit", (self.product(), target), variable.text)

    def _derivative(self) -> str | None:
        """Read ``\\frac{d}{dx}``; returns its variable."""
        texts = [self.peek(place).text for place in range(7)]
        if (
            texts[:4] == ["{", "d", "}", "{"]
            and texts[4][:1] == "d"
            and len(texts[4]) == 2
            and texts[5] == "}"
        ):
            self.at += 6
            return texts[4][1]
        return None


_Expression.commands = {
    **ARITHMETIC,
    "\\frac": _Expression.fraction,
    "\\sum": _Expression.repeated,
    "\\prod": _Expression.repeated,
    "\\int": _Expression.integral,
    "\\lim": _Expression.limit,
}


def _bound(body: Node, index: str) -> Node:
    """The body of a sum, in which the index is a symbol also where it is named like a constant."""
    if index not in ("i", "e"):
        return body
    if body == CONSTANTS[index]:
        return Node("symbol", (), index)
    return body._replace(args=tuple(_bound(part, index) for part in body.args))
