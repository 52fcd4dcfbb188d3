r"""Reads quantities, which are expressions with their units, and inequalities, as ranges of numbers.

All tokens after an expression have to be its unit: ``70 \text{ not}`` is no quantity. Inequalities are
such as ``a < x \le b``, ``|x| > a`` and ``x \ne a``.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from pacore.core.grading.mathematics import number
from pacore.core.grading.mathematics.nodes import Node, whole
from pacore.core.grading.mathematics.units import (
    DEGREE,
    MeasurementUnit,
    currency,
    divided,
    unit_of,
)
from pacore.core.grading.notation.expression import read_expression
from pacore.core.grading.notation.grammar import SIGNS, Unread
from pacore.core.grading.notation.splitting import Tokens, depths, split_top, trimmed
from pacore.core.grading.notation.tokens import Token

LONGEST_UNIT = 12
"""Most tokens of a unit."""

_ORDINALS = ("th", "st", "nd", "rd")


class Quantity(NamedTuple):
    """An expression with its unit, None without one."""

    node: Node
    unit: MeasurementUnit | None = None


class Range(NamedTuple):
    """The values of a symbol between two bounds; None is an infinite bound."""

    symbol: str
    low: Tokens | None = None
    high: Tokens | None = None
    has_low: bool = False
    has_high: bool = False


def read_value(found: Tokens) -> Quantity:
    """All tokens as an expression with its unit. Raises Unread."""
    if all(token.kind == "word" for token in found):
        raise Unread("words")
    fault: Unread | None = None
    for head, unit in _without_units(found):
        try:
            value = Quantity(_with_magnitude(trimmed(head)), unit)
        except Unread as unread:
            fault = fault or unread
            continue
        angle = _behind_degrees(value.node) if unit is None else None
        return value if angle is None else Quantity(angle, DEGREE)
    raise fault or Unread("no value")


def read_with_letter(found: Tokens) -> Quantity | None:
    """``5 m`` with its letter as a unit, which is used only in comparison with another unit."""
    if len(found) < 2 or found[-1].kind != "sym" or found[-2].kind not in ("num", "close"):
        return None
    unit = unit_of([found[-1]._replace(is_text=True)])
    try:
        return None if unit is None else Quantity(read_expression(found[:-1]), unit)
    except Unread:
        return None


def read_compound(found: Tokens) -> Quantity | None:
    """A quantity in several units, each smaller than the one before: ``1 hour 30 minutes``."""
    starts = [place for place, token in enumerate(found) if token.kind == "num"]
    parts: list[tuple[Fraction, MeasurementUnit]] = []
    for start, end in zip(starts, [*starts[1:], len(found)], strict=True):
        tail = found[start + 1 : end]
        if end < len(found) and tail and tail[-1].text == "and":
            tail = tail[:-1]
        written = found[start].value
        unit = unit_of([token._replace(is_text=True) for token in tail]) if tail else None
        if unit is None or written is None:
            return None
        parts.append((written.value, unit))
    if not starts or starts[0] or len(parts) < 2:
        return None
    for (whole_part, above), (part, below) in pairwise(parts):
        is_part = above.dimensions == below.dimensions and part * below.scale < above.scale
        if not is_part or whole_part.denominator != 1 or len(above.dimensions) != 1:
            return None
    base = MeasurementUnit(parts[0][1].dimensions)
    return Quantity(whole(sum((value * unit.scale for value, unit in parts), Fraction())), base)


def _behind_degrees(node: Node) -> Node | None:
    """The expression before a degree sign; None where the sign does not follow all of it."""
    if node.kind == "negate" and (inner := _behind_degrees(node.args[0])) is not None:
        return Node("negate", (inner,))
    return node.args[0] if node.kind == "degrees" else None


def _with_magnitude(head: Tokens) -> Node:
    """An expression times the magnitude words after it: ``2.5 million``."""
    times = Fraction(1)
    while len(head) > 1 and (factor := number.MAGNITUDES.get(head[-1].text.lower())) is not None:
        times *= factor
        head = head[:-1]
    node = read_expression(head)
    if times == 1:
        return node
    if node.kind != "number":
        raise Unread("a magnitude word after an expression")
    return Node("multiply", (node, whole(times)))


def _without_units(found: Tokens) -> Iterator[tuple[Tokens, MeasurementUnit | None]]:
    """The ways to split off a unit: a currency before, units after (longest first), and none."""
    sign = next((place for place, token in enumerate(found) if token.text not in SIGNS), 0)
    if (before := currency(found[sign:])) is not None:
        unit, used = before
        rest = found[sign + used :]
        yield [*found[:sign], *_without_code(rest)], unit
        for place in range(1, len(rest)):
            if (rate := divided(unit, rest[place:])) is not None:
                yield [*found[:sign], *rest[:place]], rate
        return
    for place in range(max(1, len(found) - LONGEST_UNIT), len(found)):
        if _may_begin_unit(found[place], found[place - 1]):
            is_one = place == 1 and found[0].text == "1"
            if (behind := unit_of(_plain(found[place:]), is_one)) is not None:
                yield found[:place], behind
    yield found, None


def _without_code(rest: Tokens) -> Tokens:
    """Tokens without a unit that repeats the currency sign: ``$5 dollars``, ``$5 USD``."""
    says_again = len(rest) > 1 and rest[-1].kind == "word" and unit_of(rest[-1:]) is not None
    return rest[:-1] if says_again else rest


def _plain(tail: Tokens) -> Tokens:
    """The unit ``^{th}`` as ``th``; other tokens unchanged."""
    texts = [token.text for token in tail]
    is_raised = len(tail) == 4 and texts[:2] == ["^", "{"] and texts[2] in _ORDINALS
    return tail[2:3] if is_raised else tail


def _may_begin_unit(token: Token, before: Token) -> bool:
    if before.kind not in ("num", "close", "sym", "word") and before.text not in ("!", "|"):
        return False
    return token.kind in ("word", "sym", "fn", "sign") or token.text in ("(", "/", "\\frac", "^")


def ordered_terms(found: Tokens) -> tuple[list[Tokens], list[str]] | None:
    """The terms of a chain in ascending order, and its signs; for ``!=`` in their own order.

    None where the signs have different directions.
    """
    signs = [token.text for token in _signs(found)]
    terms = split_top(found, lambda token: token.kind == "rel")
    if not signs or not all(terms):
        return None
    if signs == ["!="] or set(signs) <= {"<", "<="}:
        return terms, signs
    if not set(signs) <= {">", ">="}:
        return None
    return terms[::-1], [sign.replace(">", "<") for sign in reversed(signs)]


def _signs(found: Tokens) -> list[Token]:
    pairs = zip(found, depths(found), strict=True)
    return [token for token, depth in pairs if depth == 0 and token.kind == "rel"]


def ranges(found: Tokens) -> tuple[Range, ...] | None:
    """The ranges of a relation's symbol; None for an equation. Raises Unread."""
    signs = [token.text for token in _signs(found)]
    if not signs or set(signs) == {"="}:
        return None
    terms = split_top(found, lambda token: token.kind == "rel")
    if not all(terms):
        raise Unread("a relation with an empty side")
    if signs == ["!="]:
        return _all_but(terms[0], terms[1])
    are_alike = set(signs) <= {"<", "<="} or set(signs) <= {">", ">="}
    if len(terms) > 3 or not are_alike:
        raise Unread(f"the relation {' '.join(signs)!r}")
    if signs[0][0] == ">":
        terms.reverse()
        signs.reverse()
    closed = [sign.endswith("=") for sign in signs]
    if len(terms) == 3:
        return _about(terms[1], Range("", terms[0], terms[2], closed[0], closed[1]))
    if _variable(terms[1]) is not None:
        return _about(terms[1], Range("", low=terms[0], has_low=closed[0]))
    return _about(terms[0], Range("", high=terms[1], has_high=closed[0]))


def _all_but(about: Tokens, value: Tokens) -> tuple[Range, ...]:
    symbol = _variable(about)
    if symbol is None or _is_bars(about):
        raise Unread("the relation '!='")
    return Range(symbol, high=value), Range(symbol, low=value)


def _about(about: Tokens, of: Range) -> tuple[Range, ...]:
    symbol = _variable(about)
    if symbol is None or (_is_bars(about) and of.low is not None and of.high is not None):
        raise Unread("an inequality without a single symbol")
    if not _is_bars(about):
        return (of._replace(symbol=symbol),)
    if of.high is not None:
        return (Range(symbol, _minus(of.high), of.high, of.has_high, of.has_high),)
    assert of.low is not None
    outside = Range(symbol, high=_minus(of.low), has_high=of.has_low)
    return outside, of._replace(symbol=symbol)


def _is_bars(term: Tokens) -> bool:
    return len(term) > 2 and term[0].text == term[-1].text == "|"


def _variable(term: Tokens) -> str | None:
    """The symbol of a term that is a symbol or its absolute value; else None."""
    try:
        node = read_expression(trimmed(term[1:-1] if _is_bars(term) else term))
    except Unread:
        return None
    return str(node.value) if node.kind == "symbol" else None


def _minus(term: Tokens) -> Tokens:
    return [Token("op", "-"), Token("open", "("), *term, Token("close", ")")]
