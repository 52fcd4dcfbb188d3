r"""The grammar of arithmetic: sums, products, powers, brackets, roots and fractions.

Ambiguous text (``1/2x``, ``3 4``) and misplaced tokens are refused: `Unread` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from pacore.core.grading.mathematics.nodes import IMAGINARY, INFINITY, PI, E, Node, whole
from pacore.core.grading.mathematics.number import Rational
from pacore.core.grading.notation.characters import DASH
from pacore.core.grading.notation.tokens import ACCENTS, Token, is_word, plain_text


class Unread(ValueError):
    """A misplaced token, or an ambiguous text."""


CONSTANTS = {"\\pi": PI, "e": E, "i": IMAGINARY, "\\infty": INFINITY}

_CLOSING = {"(": ")", "[": "]", "{": "}", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil", "|": "|"}

SIGNS = f"+-{DASH}"

_BOTH_SIGNS = "±∓"

_END = Token("other", "the end")


class Grammar:
    """A recursive-descent parser; each method reads one level of precedence.

    ``commands`` has the method that reads the arguments of each TeX command.
    """

    commands: ClassVar[Mapping[str, Callable[..., Node]]] = {}

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = list(tokens)
        self.at = 0
        self.bars = 0

    def peek(self, ahead: int = 0) -> Token:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else _END

    def next(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, text: str) -> None:
        if (token := self.next()).text != text:
            raise Unread(f"{token.text!r} in place of {text!r}")

    def sum(self) -> Node:
        terms = [self.signed(self.product)]
        while self.peek().kind == "op" and self.peek().text in SIGNS + _BOTH_SIGNS:
            self._refuse_range()
            terms.append(self.signed(self.product))
        if len(terms) > 1 and any(term.kind == "mod" for term in terms):
            raise Unread("a remainder within a sum")
        return terms[0] if len(terms) == 1 else Node("add", tuple(terms))

    def whole_group(self) -> Node:
        r"""The content of braces, in which ``3 \over 4`` divides all before by all after."""
        node = self.sum()
        kind = {"\\over": "divide", "\\choose": "binomial"}.get(self.peek().text)
        if kind is None:
            return node
        self.at += 1
        return Node(kind, (node, self.sum()))

    def _refuse_range(self) -> None:
        if self.peek().text == DASH and self.tokens[self.at - 1].kind == self.peek(1).kind == "num":
            raise Unread("a dash between two numbers, which may be a range")

    def signed(self, read: Callable[[], Node]) -> Node:
        """Any number of signs, then what ``read`` reads."""
        token = self.peek()
        if token.kind != "op" or token.text not in SIGNS + _BOTH_SIGNS:
            return read()
        if self.at == 0 and self.peek(1).kind == "op" and self.peek(1).text in SIGNS:
            raise Unread("two signs in a row")
        self.at += 1
        inner = self.signed(read)
        if token.text == "+":
            return inner
        if token.text in _BOTH_SIGNS:
            return Node("sign", (inner,), 1 if token.text == "±" else -1)
        return Node("negate", (inner,))

    def product(self) -> Node:
        node = self.power()
        slash = False
        while True:
            token = self.peek()
            if (token.kind == "op" and token.text in "*/") or self._is_times():
                self.at += 1
                node, slash = self._explicit(node, token)
            elif token.text == "\\bmod":
                self.at += 1
                node = Node("mod", (node, self.signed(self.power)))
            elif self.begins_factor(token):
                if slash:
                    raise Unread("a product after a slash, which may be all of the denominator")
                node = self.juxtaposed(node)
            else:
                return node

    def _explicit(self, left: Node, operator: Token) -> tuple[Node, bool]:
        """Read a factor after a sign; with whether the next factor could belong to a denominator."""
        before = self.tokens[self.at - 2]
        right = self.signed(self.power)
        if operator.text != "/":
            return Node("multiply", (left, right)), False
        is_fraction = before.kind == "num" and right.kind == "number" and self.peek().spaced
        return Node("divide", (left, right)), not is_fraction

    def _is_times(self) -> bool:
        """Whether an x between a number and a power of ten comes next."""
        texts = [self.peek(place).text for place in (0, 1, 2)]
        return (
            texts in (["x", "10", "^"], ["X", "10", "^"]) and self.tokens[self.at - 1].kind == "num"
        )

    def begins_factor(self, token: Token) -> bool:
        if token.kind in ("num", "sym", "word", "fn"):
            return True
        if token.kind == "open":
            return token.text not in ("<", "\\{")
        if token.kind == "bar":
            return self.bars == 0 and self.at < len(self.tokens) - 1
        return token.kind == "cmd" and token.text in self.commands

    def juxtaposed(self, left: Node) -> Node:
        """A product without a sign; an integer before a proper fraction is a mixed number."""
        start, token = self.at, self.peek()
        if token.kind == "num" or (token.text == "{" and self.peek(1).kind == "num"):
            mixed = self._mixed(left)
            if mixed is None:
                raise Unread(
                    f"a number right after {plain_text(self.tokens[max(0, start - 3) : start])!r}"
                )
            return mixed
        if token.text == "(" and self.peek(1).text == "+":
            raise Unread("brackets with a plus right after a factor")
        right = self.power()
        if token.text == "\\frac" and self.tokens[start - 1].kind == "num":
            last = _numeral(self.tokens[start - 1])
            if (number := _mixed_number(last, right)) is not None:
                if left.kind != "number":
                    raise Unread("a mixed number within a product")
                return number
        return Node("multiply", (left, right))

    def _mixed(self, left: Node) -> Node | None:
        """The mixed number ``2 1/2`` in one line."""
        if not (
            left.kind == "number" and self.tokens[self.at - 1].kind == "num" and self.peek().spaced
        ):
            return None
        over, slash, under = self.peek(), self.peek(1), self.peek(2)
        if slash.text != "/" or not (over.kind == under.kind == "num"):
            return None
        self.at += 3
        return _mixed_number(left, Node("divide", (_numeral(over), _numeral(under))))

    def power(self) -> Node:
        node = self._postfix(self.atom())
        if self.peek().text != "^" or self.peek().kind != "op":
            return node
        if self._is_degrees():
            return Node("degrees", (node,))
        self.at += 1
        node = Node("power", (node, self.exponent()))
        if self.peek().text in ("!", "^", "'", "_"):
            raise Unread(f"{self.peek().text!r} after a power")
        return node

    def _is_degrees(self) -> bool:
        """Whether a degree sign comes next; reads it."""
        ahead = [self.peek(place).text for place in (1, 2, 3)]
        if ahead[0] == "\\circ":
            self.at += 2
            return True
        if ahead == ["{", "\\circ", "}"]:
            self.at += 4
            return True
        return False

    def exponent(self) -> Node:
        """A group, or one token with its sign; of several without braces the power is of the last."""
        token = self.peek()
        if token.kind == "op" and token.text in SIGNS:
            return self.signed(self.exponent)
        inner = self.atom()
        if self.peek().text == "^":
            self.at += 1
            return Node("power", (inner, self.exponent()))
        return inner

    def _postfix(self, node: Node) -> Node:
        if self.peek().text == "!" and self.peek().kind == "op":
            self.at += 1
            if self.peek().text == "!":
                raise Unread("a double factorial")
            return Node("factorial", (node,))
        return node

    def atom(self) -> Node:
        token = self.peek()
        match token.kind:
            case "num":
                self.at += 1
                if self.peek().text == "_":
                    raise Unread("an index at a number")
                is_padded = token.text[0] == "0" and len(token.text) > 1 and token.text.isdigit()
                if is_padded and sum(other.kind == "num" for other in self.tokens) > 1:
                    raise Unread(f"a number that begins with zero, {token.text!r}")
                return _numeral(token)
            case "sym":
                return self._name()
            case "word":
                self._set_letters_apart()
                return self._name()
            case "fn":
                return self.function()
            case "open" if token.text in _CLOSING:
                return self.group()
            case "bar":
                return self._absolute()
            case "cmd" if token.text in self.commands:
                self.at += 1
                return self.commands[token.text](self)
        raise Unread(f"{token.text!r} in place of a number or symbol")

    def function(self) -> Node:
        raise Unread(f"the function {self.peek().text!r}")

    def _name(self) -> Node:
        """A symbol with its primes and index; bare ``e`` and ``i`` are the constants."""
        token = self.next()
        name = token.text
        while self.peek().text == "'" and self.peek().kind == "op":
            name += self.next().text
        if self.peek().text == "_":
            self.at += 1
            name += f"_{self._index()}"
        while self.peek().text == "'" and self.peek().kind == "op":
            name += self.next().text
        return CONSTANTS.get(name) or Node("symbol", (), name)

    def _index(self) -> str:
        """An index as text: it is part of a name, and has no value."""
        start = self.at
        if self.peek().text == "{":
            self._skip_group()
            return plain_text(self.tokens[start + 1 : self.at - 1])
        token = self.next()
        if token.kind not in ("num", "sym", "word"):
            raise Unread(f"{token.text!r} as an index")
        return token.text

    def _skip_group(self) -> None:
        depth = 0
        while self.at < len(self.tokens):
            text = self.next().text
            depth += (text == "{") - (text == "}")
            if depth == 0:
                return
        raise Unread("a brace that is not closed")

    def _set_letters_apart(self) -> None:
        """Split a run of letters into symbols, where it is too short for a word."""
        token = self.peek()
        if is_word(token):
            raise Unread(f"the word {token.text!r}")
        first, *others = (Token("sym", letter) for letter in token.text)
        self.tokens[self.at : self.at + 1] = [first._replace(spaced=token.spaced), *others]

    def group(self) -> Node:
        token = self.next()
        bars, self.bars = self.bars, 0
        node = self.whole_group() if token.text == "{" else self.sum()
        self.expect(_CLOSING[token.text])
        self.bars = bars
        kind = {"\\lfloor": "floor", "\\lceil": "ceiling"}.get(token.text)
        return Node(kind, (node,)) if kind else node

    def _absolute(self) -> Node:
        self.at += 1
        self.bars += 1
        node = self.sum()
        self.expect("|")
        self.bars -= 1
        return Node("absolute", (node,))

    def argument(self) -> Node:
        """The argument of a command: a group, or one token; of a number with two digits the first."""
        token = self.peek()
        if token.text in ("{", "("):
            return self.group()
        if token.kind == "num" and len(token.text) == 1:
            self.at += 1
            return _numeral(token)
        if token.kind == "sym" or (token.kind == "cmd" and token.text in self.commands):
            return self.atom()
        raise Unread(f"{token.text!r} as an argument")

    def two_arguments(self) -> tuple[Node, Node]:
        token = self.peek()
        if token.kind == "num" and len(token.text) == 2 and token.text.isdigit():
            self.at += 1
            first, second = (whole(int(digit)) for digit in token.text)
            return first, second
        first = self.argument()
        return first, self.argument()

    def fraction(self) -> Node:
        return Node("divide", self.two_arguments())

    def square_root(self) -> Node:
        degree = whole(2)
        if self.peek().text == "[":
            self.at += 1
            degree = self.sum()
            self.expect("]")
        token = self.peek()
        inner = self.atom() if token.kind == "num" else self.argument()
        return Node("root", (inner, degree))

    def marked(self) -> Node:
        r"""A symbol of several tokens: with an accent, or as ``\angle ABC``."""
        command = self.tokens[self.at - 1].text
        is_braced = self.peek().text == "{"
        self.at += is_braced
        token = self.next()
        if token.kind not in ("sym", "word") or (is_braced and self.next().text != "}"):
            raise Unread(f"{token.text!r} after {command}")
        return Node("symbol", (), f"{command} {token.text}")

    def binomial(self) -> Node:
        return Node("binomial", self.two_arguments())


ARITHMETIC: Mapping[str, Callable[..., Node]] = {
    "\\frac": Grammar.fraction,
    "\\binom": Grammar.binomial,
    "\\sqrt": Grammar.square_root,
    **{f"\\{name}": Grammar.marked for name in (*ACCENTS, "angle", "triangle")},
}


def _numeral(token: Token) -> Node:
    return Node("number", (), token.value)


def _mixed_number(left: Node, fraction: Node) -> Node | None:
    r"""``2\frac{1}{2}``; None where it is of no whole numbers. Raises Unread for ``2\frac{3}{2}``."""
    if fraction.kind != "divide" or not all(part.kind == "number" for part in fraction.args):
        return None
    number, over, under = (node.value for node in (left, *fraction.args))
    assert (
        isinstance(number, Rational) and isinstance(over, Rational) and isinstance(under, Rational)
    )
    if any(part.value.denominator != 1 or part.places for part in (number, over, under)):
        return None
    if not over.value < under.value:
        raise Unread("a whole number before a fraction greater than one")
    return whole(number.value + over.value / under.value)
