"""What a shape is: how the rows of a published data set are known, and how they are taken apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from pacore.core.problem import readable_id
from pacore.problems.parts import Field, Parts
from pacore.problems.turns import Note

Row = Mapping[str, Any]


class Shape(NamedTuple):
    """Rows of one form: known by their fields and values, never by the name of their file.

    ``parts`` takes a row apart that ``recognises`` knows, and notes what stands in the way.
    """

    name: str
    recognises: Callable[[Row], bool]
    parts: Callable[[Row, Note], Parts]


def texts(row: Row, *names: str) -> bool:
    """Whether a row has text, more than white space, under every one of these names."""
    for name in names:
        value = row.get(name)
        if not isinstance(value, str) or not value.strip():
            return False
    return True


def first_given(row: Row, names: Iterable[str]) -> Field | None:
    """The first of several fields that a row has, and that is not null."""
    for name in names:
        if (value := row.get(name)) is not None:
            return Field(name, value)
    return None


def without(row: Row, used: Collection[str]) -> dict[str, Any]:
    """A row's other fields: its metadata."""
    return {name: value for name, value in row.items() if name not in used}


def named(
    row: Row, names: Iterable[str], used: Collection[str]
) -> tuple[Field | None, dict[str, Any]]:
    """The id a row has under the first of several names, and the row's metadata.

    Ids may not have everything that names of data sets do (`pacore.core.problem`): the id of
    ``test/algebra/7.json`` is ``test-algebra-7``, and what it was stays metadata.
    """
    found = first_given(row, names)
    if found is None:
        return None, without(row, used)
    if isinstance(found.value, str):
        readable = readable_id(found.value)
        if readable != found.value:
            return Field(found.name, readable), without(row, used)
    return found, without(row, (found.name, *used))
