"""The one value a clause comes to, with the list or the expression it belongs to.

A clause may have several values: as items of a list, as alternatives, as sides of an equation,
or by the way ("in 5 days"). This module distinguishes them.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re
from collections.abc import Sequence
from typing import NamedTuple

from pacore.core.grading.extraction.patterns import OPEN, Words, any_of, words_of
from pacore.core.grading.extraction.values import (
    ANDS,
    OPERATIONS,
    ORS,
    ChoiceReader,
    Reader,
    Value,
    rational,
    tidy,
)

NO_STATEMENT = "no statement of an answer"


SEVERAL = "several answers offered"


DENIED = "an answer is only denied"


UNSURE = "an answer is only offered as possible"


WITHDRAWN = "the answer is withdrawn"


class Doubt(NamedTuple):
    """Why words about an answer state none; ``value`` is what they deny."""

    reason: str
    value: str | None = None


_RESULT_VERBS = "it['’]s|that['’]s|were|makes|gives|gave|leaves|to get|totals|results in|comes to"


DECISIVE = Words(
    any_of([*words_of("links"), *_RESULT_VERBS.split("|")])
    + r"\s*(?:(?:us|about|approximately|exactly|only|just|now|then|also|thus|still|a total of)\s*)*$"
)
"""Ends before a value that a clause comes to: "is", "gives us"."""

_INCIDENTAL = Words(
    r"\b(?:every|each|per|for|in|within|after|before|during|over|from|than|between|until|since"
    r"|about the|all"
    r"|of the|when|while|buying|selling|the first|the last|the other|pour|dans|après|avant|pendant|für"
    r"|nach|vor|während|por|para|durante"
    r"|después de|depois de|dopo|prima di|за|через|после)(?:\s+[^\W\d_]+){0,2}\s*$"
)


_BOUNDARY = Words(r"[,;(–—。，]|\b(?:because|since|for|in|per|each|of|from|when|if|with|by)\b")


_COORDINATE = Words(r"[,;]\s*(?:and|but|while|whereas|und|aber|et|mais|y|pero|e|mas|ma|и|а)\b")


_ONWARD = Words(r"\s*(?:\([^()]{0,80}\))?\s*,?\s*(?:and\s)?then\s+")


_NUMERIC = re.compile(r"[\dπ∞∅\\]")


_UNKNOWN_IS = re.compile(rf"[\s{OPEN}(\[]*\\?(?P<name>[A-Za-zα-ω](?:_\w|_\{{\w+\}}|\(\w\))?)\s?=")


def single_value(text: str, reader: Reader, bold: Sequence[str] = ()) -> Value | Doubt | None:
    """The one value a clause comes to: in bold, the last side of its equation, or its only one.

    None where it has no value, or several of which none is what it comes to.
    """
    values = list(reader.values(text))
    # Beside a number an unknown is only named.
    values = [value for value in values if _NUMERIC.search(value.text)] or values
    if not values:
        return None
    emphasised = [value for part in bold if (value := whole_value(part, reader)) is not None]
    if len({value.text for value in emphasised}) == 1:
        return emphasised[-1]
    principal = principal_values(text, values)
    decisive = _decisive(text, principal)
    chosen = first_of_list(text, values, decisive[-1] if decisive else values[-1])
    whole = with_list(text, chosen, reader)
    if isinstance(whole, Doubt):
        return whole
    later = next((value for value in principal if value.start >= whole.end), None)
    between = "" if later is None else text[whole.end : later.start]
    is_beside = later is not None and (not _BOUNDARY.search(between) or _COORDINATE.search(between))
    if is_beside and not chosen.is_computed:
        return Doubt(SEVERAL)
    if not decisive and len({value.text for value in values}) > 1:
        offered = with_list(text, values[0], reader)
        return offered if isinstance(offered, Doubt) else None
    return None if _is_operand(text, chosen, whole, values) else whole


def principal_values(text: str, values: Sequence[Value]) -> list[Value]:
    """The values of a clause that are not there by the way, as in ``in 5 days``."""
    return [value for value in values if not _INCIDENTAL.search(text[: value.start])]


def _decisive(text: str, principal: Sequence[Value]) -> Sequence[Value]:
    """Of the values that are there by themselves, those that the clause comes to."""
    found = [
        value for value in principal if value.is_computed or DECISIVE.search(text[: value.start])
    ]
    is_only = len({value.text for value in principal}) == 1
    return principal if not found and is_only else found


def whole_value(text: str, reader: Reader) -> Value | None:
    """The value that a text is, but for a unit and a word of what it counts."""
    value = reader.at(text, 0)
    if value is None:
        return None
    is_alone = re.fullmatch(r"\W*(?:[^\W\d_]+\W*){0,3}", text[value.end :])
    return value if is_alone else None


def unlisted(text: str, value: Value, reader: Reader) -> Value | Doubt:
    """A value with the list that it ends; in doubt where it ends a list of alternatives."""
    values = [one for one in reader.values(text) if one.end <= value.end]
    first = first_of_list(text, values, value) if value in values else value
    return value if first is value else with_list(text, first, reader)


def first_of_list(text: str, values: Sequence[Value], chosen: Value) -> Value:
    """The first of the values that words for *and* or *or* join to this one."""
    at = values.index(chosen)
    while at:
        between = values[at - 1].end, values[at].start
        is_list = ANDS.fullmatch(text, *between) and _is_list(text, values[at - 1], values[at])
        if not is_list and not ORS.fullmatch(text, *between):
            break
        at -= 1
    return values[at]


def with_list(text: str, value: Value, reader: Reader, ors: Words = ORS) -> Value | Doubt:
    """A value with the list or the expression it begins; in doubt where another is offered beside it.

    Alternatives that are the same number, and all solutions for one unknown, are no doubt.
    """
    while True:
        if (other := _joined_by(ors, text, value, reader)) is not None:
            if isinstance(reader, ChoiceReader) or not _is_same(text, value, other):
                return Doubt(SEVERAL)
            if _is_equal(value, other):
                return value
        elif any(_joined_by(one, text, value, reader) is not None for one in (_ONWARD, _RANGE)):
            return Doubt(SEVERAL)
        elif isinstance(reader, ChoiceReader):
            return Doubt(SEVERAL) if _is_listed(text, value, reader) else value
        elif (other := _joined_by(OPERATIONS, text, value, reader)) is None:
            other = _joined_by(ANDS, text, value, reader)
            if other is None or not _is_list(text, value, other):
                return value
        value = Value(tidy(text[value.start : other.end]), value.start, other.end)


def _joined_by(joint: Words, text: str, value: Value, reader: Reader) -> Value | None:
    found = joint.match(text, value.end)
    return None if found is None else reader.at(text, found.end())


def _is_listed(text: str, value: Value, reader: Reader) -> bool:
    """Whether a letter is one of several: a comma alone joins letters where a list goes on after them."""
    both = ANDS.match(text, value.end) or _EITHER.match(text, value.end)
    if both is None or (other := reader.at(text, both.end())) is None:
        return False
    rest = text[other.end :]
    return re.search(r"[\w&/|+]", both[0]) is not None or (
        re.match(r"\W*$|\s*(?:,|and|or|&)", rest) is not None
    )


_EITHER = Words(r"\s?[/|+]\s?")
"""Between two letters."""


_RANGE = Words(r"\s?(?:[~～〜至到]|\.{2,3}|…)\s?(?=[\d-])")
"""Between the ends of a range."""


def _is_list(text: str, one: Value, two: Value) -> bool:
    """Whether two values are items of one list: no equations, or of one step for an unknown each."""
    sides = [text[value.start : value.end] for value in (one, two)]
    if not one.is_computed and not two.is_computed and not any("=" in side for side in sides):
        return True
    return all(side.count("=") == 1 and _UNKNOWN_IS.match(side) for side in sides)


def _is_same(text: str, one: Value, two: Value) -> bool:
    """Whether two alternatives are one number, or all solutions for one unknown: x = 3 or x = 4."""
    if _is_equal(one, two):
        return True
    first, second = (_UNKNOWN_IS.match(text[value.start : value.end]) for value in (one, two))
    return first is not None and second is not None and first["name"] == second["name"]


def _is_equal(one: Value, two: Value) -> bool:
    number = rational(one.text)
    return number is not None and number == rational(two.text)


def _is_operand(text: str, chosen: Value, whole: Value, values: Sequence[Value]) -> bool:
    """Whether a value is a part of an expression in words, such as ``6 times 8``."""
    if OPERATIONS.match(text, chosen.end) and whole.end > chosen.end:
        return True
    before = next((value for value in reversed(values) if value.end <= chosen.start), None)
    return before is not None and bool(OPERATIONS.fullmatch(text, before.end, chosen.start))
