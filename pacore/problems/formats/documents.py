"""Finds the rows in a JSON value that contains all of them: under a name, by column, by id. Pure.

A file of one JSON object is one row, unless its values are unambiguously rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pacore.errors import BadInput
from pacore.problems.shapes.plain import STATEMENT_FIELDS
from pacore.problems.shapes.recognise import states_problem
from pacore.problems.shapes.words import STATEMENT_WORDS, normalized_name

CONTAINERS = frozenset(
    (
        "data", "rows", "examples", "problems", "questions", "items", "instances", "records",
        "samples", "entries", "dataset", "tasks", "train", "test", "validation", "results",
    )
)  # fmt: skip
"""Names of lists of rows, used where the rows themselves have no known shape."""

_SERVER_ROW = {"row_idx", "row", "truncated_cells"}


def unwrapped_row(value: Any) -> tuple[Any, list[str]]:
    """The row in the hub's ``{row_idx, row, truncated_cells}``, and its truncated cells; any other
    value unchanged.
    """
    if not isinstance(value, Mapping) or "row" not in value or not set(value) <= _SERVER_ROW:
        return value, []
    if not isinstance(value["row"], Mapping):
        return value, []
    return value["row"], [str(name) for name in value.get("truncated_cells") or ()]


def document_rows(value: Any) -> Iterable[Any] | None:
    """The rows in a JSON value; None where the value is a row itself.

    The value may be an object with the rows under one name, with a list or an object for each column
    (as data frames are written), ``{columns, data}``, or an object of rows by their ids. Raises BadInput
    where there are rows under several names.
    """
    if not isinstance(value, Mapping) or not value:
        return None
    for read in (_split, _columns, _contained, _by_id):
        if (found := read(value)) is not None:
            return found
    return None


def _split(value: Mapping[str, object]) -> list[Any] | None:
    """The rows of ``{columns, index?, data}``, which has a list of cells for each row."""
    names, data = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not isinstance(data, list) or not data:
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in data):
        return None
    return [dict(zip(map(str, names), row, strict=True)) for row in data]


def _columns(value: Mapping[str, object]) -> Iterator[Any] | None:
    """The rows of a list for each column, or an object by the rows' index; one has the statements."""
    columns: list[Any] = list(value.values())
    if all(isinstance(column, Mapping) for column in columns):
        indices = [list(column) for column in columns]
        if any(index != indices[0] for index in indices) or not all(map(str.isdigit, indices[0])):
            return None
        columns = [list(column.values()) for column in columns]
    if not all(isinstance(column, list) and column for column in columns):
        return None
    if len({len(column) for column in columns}) != 1:
        return None
    stated = [column for name, column in zip(value, columns, strict=True) if _is_statement(name)]
    if not any(all(_is_stated(one) for one in column) for column in stated):
        return None
    return (dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True))


def _is_statement(name: str) -> bool:
    return name in STATEMENT_FIELDS or normalized_name(name) in STATEMENT_WORDS


def _is_stated(value: Any) -> bool:
    """Whether a value can be a statement: a text, or a list of turns."""
    is_turns = isinstance(value, list) and bool(value)
    return isinstance(value, str) or (is_turns and all(isinstance(one, Mapping) for one in value))


def _contained(value: Mapping[str, object]) -> list[Any] | None:
    """The list of rows in an object that is no row itself; None without one."""
    if states_problem(value):
        return None
    lists: dict[str, list[Any]] = {
        name: rows
        for name, rows in value.items()
        if isinstance(rows, list) and rows and all(isinstance(row, Mapping) for row in rows)
    }
    certain = [name for name, rows in lists.items() if states_problem(unwrapped_row(rows[0])[0])]
    names = certain or [name for name in lists if name.lower() in CONTAINERS]
    if len(names) > 1:
        listed = ", ".join(name if name.isprintable() else ascii(name) for name in names[:5])
        raise BadInput(
            f"has rows under several names ({listed}); write those to be read into a separate file"
        )
    return lists[names[0]] if names else None


def _by_id(value: Mapping[str, object]) -> Iterator[Any] | None:
    """The rows of an object by their ids; row numbers are no ids."""
    if states_problem(value):
        return None
    rows = [row for row in value.values() if isinstance(row, Mapping) and states_problem(row)]
    if len(rows) < len(value):
        return None
    is_counted = all(name == str(number) for number, name in enumerate(value))
    return (
        row if is_counted or "id" in row else {"id": name, **row}
        for name, row in zip(value, rows, strict=True)
    )
