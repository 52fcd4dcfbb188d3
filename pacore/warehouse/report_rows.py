"""Rows of the queries in ``sql/reports`` as records: one frozen dataclass for each query.

A record names the file of its query, and the columns of the query are its fields, in their order. So a
column that is renamed in SQL fails a test, and not in front of a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from types import NoneType
from typing import Any, ClassVar, NamedTuple, TypeVar, get_args, get_type_hints

from pacore.errors import StoreError


class ReportRow:
    """What the record of a query inherits from; it is a frozen dataclass with slots.

    ``QUERY`` is the file of its query in ``sql/reports``, such as ``run/totals``.
    """

    __slots__ = ()

    QUERY: ClassVar[str]


Record = TypeVar("Record", bound=ReportRow)

COLUMN_TYPES: Mapping[Any, frozenset[str]] = {
    bool: frozenset({"BOOLEAN"}),
    int: frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}),
    float: frozenset({"FLOAT", "DOUBLE"}),
    str: frozenset({"VARCHAR"}),
    datetime: frozenset({"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}),
    list[int]: frozenset({"INTEGER[]", "BIGINT[]"}),
    list[str]: frozenset({"VARCHAR[]"}),
}
"""Types of DuckDB's columns, by the Python type that a field of a record has."""


class RecordField(NamedTuple):
    """A field of a record: its name, its type, and whether it may be None."""

    name: str
    type: Any
    is_nullable: bool


def record_fields(kind: type[ReportRow]) -> tuple[RecordField, ...]:
    """The fields of a record, in their order."""
    assert is_dataclass(kind), f"{kind.__name__} is no dataclass"
    hints = get_type_hints(kind)
    return tuple(_field(field.name, hints[field.name]) for field in fields(kind))


def _field(name: str, hint: Any) -> RecordField:
    options = [one for one in get_args(hint) if one is not NoneType]
    is_nullable = NoneType in get_args(hint)
    return RecordField(name, options[0] if is_nullable else hint, is_nullable)


def check_columns(kind: type[ReportRow], columns: Sequence[str], types: Sequence[str]) -> None:
    """Raise TypeError where the columns of a query are not the fields of its record."""
    own = record_fields(kind)
    names = tuple(field.name for field in own)
    if tuple(columns) != names:
        raise TypeError(f"{kind.QUERY} has columns {columns}, {kind.__name__} fields {names}")
    for field, column in zip(own, types, strict=True):
        if column not in COLUMN_TYPES[field.type]:
            raise TypeError(f"{kind.QUERY}: {field.name} is {column}, its field {field.type}")


def records(kind: type[Record], rows: Iterable[tuple[Any, ...]]) -> Iterator[Record]:
    """A record for each row. Raises StoreError for a null in a field that cannot be None."""
    needed = [
        (place, field.name)
        for place, field in enumerate(record_fields(kind))
        if not field.is_nullable
    ]
    for row in rows:
        if None in row:
            for place, name in needed:
                if row[place] is None:
                    raise StoreError(f"reports/{kind.QUERY}: {name} is null")
        yield kind(*row)
