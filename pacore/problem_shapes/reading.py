"""A decoded row's problem, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pacore.core.config.fields import FieldMapping
from pacore.core.problem import Problem
from pacore.problem import Issues, RowIssue
from pacore.problem_rows import problem_of_parts
from pacore.problem_shapes.mapping import mapped_parts, without_columns
from pacore.problem_shapes.plain import MISSING
from pacore.problem_shapes.table import recognised
from pacore.problem_turns import kind_of

MAPPED, NO_ROW = "fields", "no row"


class Reading(NamedTuple):
    """The name of a row's shape, and its problem or everything that is wrong with it."""

    shape: str
    result: Problem | list[RowIssue]


def recognise(row: Any, file: str, line: int, mapping: FieldMapping | None = None) -> Reading:
    """Turn one decoded row into a problem, or say everything that is wrong with it."""
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
    """`recognise` without a mapping, and only what became of the row."""
    return recognise(row, file, line).result


def states_problem(row: Mapping[str, Any]) -> bool:
    """Whether a row has what pacore knows for a problem, however wrong it may be."""
    result = read_row(row, "", 0)
    return isinstance(result, Problem) or all(issue.what != MISSING for issue in result)
