"""All shapes in order of precedence, and the conversion of a decoded row to a problem or issues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pacore.core.config.mapping import FieldMapping
from pacore.core.problem import Problem
from pacore.problems.issues import Issues, RowIssue
from pacore.problems.parts import problem_of_parts
from pacore.problems.shapes.choices import CHOICE, GPQA
from pacore.problems.shapes.conversations import (
    LABELLED,
    MULTICHALLENGE,
    PACORE_TRAIN,
    SHAREGPT,
    VERL,
)
from pacore.problems.shapes.mapping import mapped_parts, without_columns
from pacore.problems.shapes.plain import (
    CONTEST,
    CONVERSATION,
    GSM8K,
    MATH,
    MISSING,
    NEMO_SKILLS,
    PLAIN,
    TITLED,
)
from pacore.problems.shapes.programs import HUMANEVAL, LIVECODEBENCH, MBPP
from pacore.problems.shapes.shape import Shape
from pacore.problems.turns import kind_of

SHAPES: tuple[Shape, ...] = (
    # Shapes with fields that no other shape has.
    HUMANEVAL,
    MBPP,
    LIVECODEBENCH,
    PACORE_TRAIN,
    VERL,
    MULTICHALLENGE,
    GPQA,
    # A question with options is more than a question.
    CHOICE,
    GSM8K,
    MATH,
    NEMO_SKILLS,
    CONTEST,
    LABELLED,
    # Shapes of rows without a statement under the names of plain rows.
    TITLED,
    SHAREGPT,
    CONVERSATION,
    PLAIN,
)


def recognised(row: Mapping[str, object]) -> Shape:
    """The first shape that recognises a row."""
    return next((shape for shape in SHAPES if shape.recognises(row)), PLAIN)


MAPPED, NO_ROW = "fields", "no row"


class Reading(NamedTuple):
    """The name of a row's shape, and its problem or its issues."""

    shape: str
    result: Problem | list[RowIssue]


def recognise(row: Any, file: str, line: int, mapping: FieldMapping | None = None) -> Reading:
    """Convert one decoded row to a problem, or to all its issues."""
    issues = Issues(file, line)
    if not isinstance(row, Mapping):
        issues.note("", f"is {kind_of(row)}, not an object with fields")
        return Reading(NO_ROW, issues.found)
    row = without_columns(mapping or {}, row)
    shape = recognised(row)
    parts = mapped_parts(mapping or {}, shape, row, issues.note)
    problem = problem_of_parts(parts, issues)
    name = MAPPED if mapping and "problem" in mapping else shape.name
    return Reading(name, issues.found if problem is None else problem)


def read_row(row: Any, file: str, line: int) -> Problem | list[RowIssue]:
    """The result of `recognise` without a mapping."""
    return recognise(row, file, line).result


def states_problem(row: Mapping[str, object]) -> bool:
    """Whether a row has a field that may state a problem, valid or not."""
    result = read_row(row, "", 0)
    return isinstance(result, Problem) or all(issue.what != MISSING for issue in result)
