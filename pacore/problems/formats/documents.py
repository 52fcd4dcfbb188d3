"""JSON values that hold all rows of a file: under a name, by column, by id, or as tools write them. Pure.

A file of one JSON object is a row, unless what it holds are certainly rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pacore.errors import BadInput
from pacore.problems.shapes.plain import STATEMENT_FIELDS
from pacore.problems.shapes.recognise import states_problem
from pacore.problems.shapes.words import STATEMENT_WORDS, bare

CONTAINERS = frozenset(
    (
        "data", "rows", "examples", "problems", "questions", "items", "instances", "records",
        "samples", "entries", "dataset", "tasks", "train", "test", "validation", "results",
    )
)  # fmt: skip
"""Names that lists of rows go by, where the rows themselves are of no known shape."""

_SERVER_ROW = {"row_idx", "row", "truncated_cells"}


def unwrapped_row(value: Any) -> tuple[Any, list[str]]:
    """A row out of ``{row_idx, row, truncated_cells}``, as the hub sends it, and what it cut off."""
    if not isinstance(value, Mapping) or "row" not in value or not set(value) <= _SERVER_ROW:
        return value, []
    if not isinstance(value["row"], Mapping):
        return value, []
    return value["row"], [str(name) for name in value.get("truncated_cells") or ()]


def document_rows(value: Any) -> Iterable[Any] | None:
    """The rows that a JSON value holds; None where it is no such value, and so a row itself.

    Known are an object with the rows under one name, a list for each column or an object for each (as
    data frames are written), ``{columns, data}``, and an object of rows by their ids. Raises BadInput
    where several names hold rows.
    """
    if not isinstance(value, Mapping) or not value:
        return None
    for read in (_split, _columns, _contained, _by_id):
        if (found := read(value)) is not None:
            return found
    return None


def _split(value: Mapping[str, Any]) -> list[Any] | None:
    """``{columns, index?, data}``: a list of cells a row."""
    names, data = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not isinstance(data, list) or not data:
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in data):
        return None
    return [dict(zip(map(str, names), row, strict=True)) for row in data]


def _columns(value: Mapping[str, Any]) -> Iterator[Any] | None:
    """A list for each column, or an object by the rows' index; one of them certainly the statements."""
    columns = list(value.values())
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
    return name in STATEMENT_FIELDS or bare(name) in STATEMENT_WORDS


def _is_stated(value: Any) -> bool:
    """Whether a value can state a problem of its own: a text, or a list of turns."""
    is_turns = isinstance(value, list) and bool(value)
    return isinstance(value, str) or (is_turns and all(isinstance(one, Mapping) for one in value))


def _contained(value: Mapping[str, Any]) -> list[Any] | None:
    """The one list of rows in an object that is no row itself."""
    if states_problem(value):
        return None
    lists = {name: rows for name, rows in value.items() if _is_list_of_rows(rows)}
    certain = [name for name, rows in lists.items() if states_problem(unwrapped_row(rows[0])[0])]
    names = certain or [name for name in lists if name.lower() in CONTAINERS]
    if len(names) > 1:
        listed = ", ".join(name if name.isprintable() else ascii(name) for name in names[:5])
        raise BadInput(
            f"has rows under several names ({listed}); write the ones to be read into a file of "
            "their own"
        )
    return lists[names[0]] if names else None


def _is_list_of_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(x, Mapping) for x in value)


def _by_id(value: Mapping[str, Any]) -> Iterator[Any] | None:
    """An object of rows by their ids; plain counting is no id."""
    if states_problem(value):
        return None
    if not all(isinstance(row, Mapping) and states_problem(row) for row in value.values()):
        return None
    is_counted = all(name == str(number) for number, name in enumerate(value))
    return (
        row if is_counted or "id" in row else {"id": name, **row} for name, row in value.items()
    )
