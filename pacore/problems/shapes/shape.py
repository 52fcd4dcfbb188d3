"""A shape: recognises the rows of a published data set, and converts them to parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from pacore.core.problem import readable_id
from pacore.problems.parts import Field, ProblemParts
from pacore.problems.turns import NoteIssue

RowFields = Mapping[str, object]
"""The decoded values of a row by field name."""


class Shape(NamedTuple):
    """Rows of one layout, recognised by their fields and values, never by the name of their file.

    ``parts`` converts a row for which ``recognises`` is true to its parts, and notes issues.
    """

    name: str
    recognises: Callable[[RowFields], bool]
    parts: Callable[[RowFields, NoteIssue], ProblemParts]


def texts(row: RowFields, *names: str) -> bool:
    """Whether each of these fields of a row is a text that is not blank."""
    for name in names:
        value = row.get(name)
        if not isinstance(value, str) or not value.strip():
            return False
    return True


def text_at(row: RowFields, name: str) -> str:
    """The text of a field that `texts` has found."""
    value = row[name]
    assert isinstance(value, str)
    return value


def list_at(row: RowFields, name: str) -> list[Any]:
    """The list of a field that a shape's ``recognises`` has found."""
    value = row[name]
    assert isinstance(value, list)
    return value


def first_given(row: RowFields, names: Iterable[str]) -> Field | None:
    """The first of several fields that a row has and that is not null; None without one."""
    for name in names:
        if (value := row.get(name)) is not None:
            return Field(name, value)
    return None


def without(row: RowFields, used: Collection[str]) -> dict[str, object]:
    """A row's other fields: its metadata."""
    return {name: value for name, value in row.items() if name not in used}


def named(
    row: RowFields, names: Iterable[str], used: Collection[str]
) -> tuple[Field | None, dict[str, object]]:
    """The id of a row, from the first of several fields, and the row's metadata.

    Ids allow fewer characters than the names in data sets (`pacore.core.problem`): the id of
    ``test/algebra/7.json`` is ``test-algebra-7``, and the original name is kept as metadata.
    """
    found = first_given(row, names)
    if found is None:
        return None, without(row, used)
    if isinstance(found.value, str):
        readable = readable_id(found.value)
        if readable != found.value:
            return Field(found.name, readable), without(row, used)
    return found, without(row, (found.name, *used))
