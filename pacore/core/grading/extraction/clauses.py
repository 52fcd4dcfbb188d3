"""Finds the one value that a clause states, with the list or the expression that it belongs to.

A clause may have several values: items of a list, alternatives, sides of an equation, or incidental ones
("in 5 days"). This module distinguishes them, and has the cues: words before or after a value
that show whether a sentence states it as the answer.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pacore.core.grading.extraction.boxes import ChoiceReader
from pacore.core.grading.extraction.numerals import rational
from pacore.core.grading.extraction.patterns import (
    MARK,
    OPEN,
    WordList,
    Words,
    any_of,
    words_of,
)
from pacore.core.grading.extraction.values import FoundValue, ValueReader, tidied

NO_STATEMENT = "no statement of an answer"

SEVERAL_ANSWERS = "several answers offered"

DENIED = "an answer is only denied"

UNSURE = "an answer is only offered as possible"

WITHDRAWN = "the answer is withdrawn"


class Doubt(NamedTuple):
    """The reason why words about an answer state none; ``value`` is the value that they deny."""

    reason: str
    value: str | None = None


Method = Literal["tagged", "stated", "concluded", "final_line", "first_line"]


class Stated(NamedTuple):
    """A stated value, how it is stated, and the offset of its sentence."""

    text: str
    method: Method
    start: int


class Unstated(NamedTuple):
    """The reason why a sentence states no answer, and its offset; ``value`` is the denied value."""

    reason: str
    start: int
    value: str | None = None


StatementOutcome = Stated | Unstated


# Dutch "of" is English between two numbers, unless the sentence is Dutch.
ORS = Words(
    rf"[\s,;，、（(]*{any_of(word for word in words_of('alternatives') if word != 'of')}(?!\s*=)\s*"
)

OPERATIONS = Words(
    r"\s*(?:of|times|plus|minus|over|to|modulo|divided by|multiplied by|to the power of|(?:more|less"
    r"|fewer) than)\b\s*"
    r"|\s*[-+*/×÷]\s*"
)

ANDS = Words(rf"\s*[,，、]?\s*(?:{any_of(words_of('lists'))}|&)(?!\s*=)\s*|\s*[,，、&]\s*")

NOUNS = WordList(words_of("answers"))


NEGATORS = Words(any_of(words_of("negators")))


QUESTION = re.compile(r"[?？؟]\W*$")


NOT_BEFORE = Words(
    r"(?:\bnot|n't|n’t|\bnever|\bcannot|\bnobody|\bno one)(?:\s+[\w']+){0,4}\s*$"
    r"|\b(?:except|(?:all|any\w*|every\w*|none) but)(?:\s+[\w']+){0,2}\W*$"
)


DENIED_NEXT = Words(
    rf"{any_of(words_of('negators'))}(?:{MARK}|{any_of(words_of('links') + words_of('fillers'))})*$"
)
"""Ends before a value that is denied, in any language."""


HEDGED_NEXT = Words(
    rf"{any_of(words_of('hedges'))}(?:{MARK}|{any_of(words_of('links') + words_of('fillers'))})*$"
)
"""Ends before a value that is only possible."""


DERIVED = Words(
    r"\b(?:which (?:is|equals|gives us|gives|leaves|means)|equals|equal to|to get|gives us|resulting in"
    r"|results in|for a total of|comes to|simplified to|simplifies to|reduces to|leaving|ce qui donne"
    r"|was ergibt|lo que da|i (?:get|got|find|found|obtain|obtained))"
    r"(?:\W+(?:a total of|in|about|approximately|only|exactly|just|the|a))*\W*$"
)
"""Ends before a value that a sentence derives."""


WORK_AHEAD = Words(
    r"\b(?:to|must|should|can|let's|let us|will)\s(?:\w+\s)?(?:find|calculate|determine|multiply|divide"
    r"|add|subtract"
    r"|compute|figure|solve|convert|check|consider|know|break|start|use)\b"
    r"|\b(?:by|of|and|to|the|is|from|with|for)\W*$"
    r"|(?:需要|要|来|可以)先?(?:计算|求|找|确定|考虑)|先计算|接下来|まず|계산|먼저"
)
"""A sentence about further work, or an incomplete one."""


LIMITED_NEXT = Words(
    r"\b(?:(?:more|less|fewer|[a-z]{3,}er) than|at (?:most|least)|up to|almost|nearly|hardly|barely"
    r"|close to|short of|unlikely)"
    r"(?:\s+(?:or equal to|to be|a|an|the|exactly|about|equal to))*\W*$"
)
"""Ends before a value that is only a bound or an approximation of the answer."""

_RESULT_VERBS = "it['’]s|that['’]s|were|makes|gives|gave|leaves|to get|totals|results in|comes to"

DECISIVE = Words(
    any_of([*words_of("links"), *_RESULT_VERBS.split("|")])
    + r"\s*(?:(?:us|about|approximately|exactly|only|just|now|then|also|thus|still|a total of)\s*)*$"
)
"""Ends before the value that a clause states: "is", "gives us"."""

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


def single_value(
    text: str, reader: ValueReader, bold: Sequence[str] = ()
) -> FoundValue | Doubt | None:
    """The one value that a clause states: in bold, the last side of its equation, or its only one.

    None where it has no value, or several of which it states none.
    """
    values = list(reader.values(text))
    # Beside a number, a value without one is only the name of an unknown.
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
        return Doubt(SEVERAL_ANSWERS)
    if not decisive and len({value.text for value in values}) > 1:
        offered = with_list(text, values[0], reader)
        return offered if isinstance(offered, Doubt) else None
    return None if _is_operand(text, chosen, whole, values) else whole


def principal_values(text: str, values: Sequence[FoundValue]) -> list[FoundValue]:
    """The values of a clause without incidental ones, as in ``in 5 days``."""
    return [value for value in values if not _INCIDENTAL.search(text[: value.start])]


def _decisive(text: str, principal: Sequence[FoundValue]) -> Sequence[FoundValue]:
    """The principal values that the clause states."""
    found = [
        value for value in principal if value.is_computed or DECISIVE.search(text[: value.start])
    ]
    is_only = len({value.text for value in principal}) == 1
    return principal if not found and is_only else found


def whole_value(text: str, reader: ValueReader) -> FoundValue | None:
    """The value of a text that is a value, with a unit or up to three words after it; else None."""
    value = reader.at(text, 0)
    if value is None:
        return None
    is_alone = re.fullmatch(r"\W*(?:[^\W\d_]+\W*){0,3}", text[value.end :])
    return value if is_alone else None


def unlisted(text: str, value: FoundValue, reader: ValueReader) -> FoundValue | Doubt:
    """A value with the list that it ends; a Doubt where it ends a list of alternatives."""
    values = [one for one in reader.values(text) if one.end <= value.end]
    first = first_of_list(text, values, value) if value in values else value
    return value if first is value else with_list(text, first, reader)


def first_of_list(text: str, values: Sequence[FoundValue], chosen: FoundValue) -> FoundValue:
    """The first of the values that are joined to this one by words for *and* or *or*."""
    at = values.index(chosen)
    while at:
        between = values[at - 1].end, values[at].start
        is_list = ANDS.fullmatch(text, *between) and _is_list(text, values[at - 1], values[at])
        if not is_list and not ORS.fullmatch(text, *between):
            break
        at -= 1
    return values[at]


def with_list(
    text: str, value: FoundValue, reader: ValueReader, ors: Words = ORS
) -> FoundValue | Doubt:
    """A value with the list or the expression that it begins; a Doubt where another is offered.

    Alternatives that are equal numbers, or all solutions for one unknown, are not in doubt.
    """
    while True:
        if (other := _joined_by(ors, text, value, reader)) is not None:
            if isinstance(reader, ChoiceReader) or not _is_same(text, value, other):
                return Doubt(SEVERAL_ANSWERS)
            if _is_equal(value, other):
                return value
        elif any(_joined_by(one, text, value, reader) is not None for one in (_ONWARD, _RANGE)):
            return Doubt(SEVERAL_ANSWERS)
        elif isinstance(reader, ChoiceReader):
            return Doubt(SEVERAL_ANSWERS) if _is_listed(text, value, reader) else value
        elif (other := _joined_by(OPERATIONS, text, value, reader)) is None:
            other = _joined_by(ANDS, text, value, reader)
            if other is None or not _is_list(text, value, other):
                return value
        value = FoundValue(tidied(text[value.start : other.end]), value.start, other.end)


def _joined_by(
    joint: Words, text: str, value: FoundValue, reader: ValueReader
) -> FoundValue | None:
    found = joint.match(text, value.end)
    return None if found is None else reader.at(text, found.end())


def _is_listed(text: str, value: FoundValue, reader: ValueReader) -> bool:
    """Whether a letter is one of several; after a comma only where the list continues."""
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


def _is_list(text: str, one: FoundValue, two: FoundValue) -> bool:
    """Whether two values are items of a list: both no equations, or both equations for an unknown."""
    sides = [text[value.start : value.end] for value in (one, two)]
    if not one.is_computed and not two.is_computed and not any("=" in side for side in sides):
        return True
    return all(side.count("=") == 1 and _UNKNOWN_IS.match(side) for side in sides)


def _is_same(text: str, one: FoundValue, two: FoundValue) -> bool:
    """Whether two alternatives are equal numbers, or solutions for one unknown: x = 3 or x = 4."""
    if _is_equal(one, two):
        return True
    first, second = (_UNKNOWN_IS.match(text[value.start : value.end]) for value in (one, two))
    return first is not None and second is not None and first["name"] == second["name"]


def _is_equal(one: FoundValue, two: FoundValue) -> bool:
    number = rational(one.text)
    return number is not None and number == rational(two.text)


def _is_operand(
    text: str, chosen: FoundValue, whole: FoundValue, values: Sequence[FoundValue]
) -> bool:
    """Whether a value is an operand of an expression in words, such as ``6 times 8``."""
    if OPERATIONS.match(text, chosen.end) and whole.end > chosen.end:
        return True
    before = next((value for value in reversed(values) if value.end <= chosen.start), None)
    return before is not None and bool(OPERATIONS.fullmatch(text, before.end, chosen.start))
