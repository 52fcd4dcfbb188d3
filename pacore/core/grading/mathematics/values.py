r"""Reads quantities: expressions with their units.

All tokens after an expression have to be its unit: ``70 \text{ not}`` is no quantity.
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
from pacore.core.grading.notation.splitting import Tokens, trimmed
from pacore.core.grading.notation.tokens import Token

LONGEST_UNIT = 12
"""Most tokens of a unit."""

_ORDINALS = ("th", "st", "nd", "rd")


class Quantity(NamedTuple):
    """An expression with its unit, None without one."""

    node: Node
    unit: MeasurementUnit | None = None


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
