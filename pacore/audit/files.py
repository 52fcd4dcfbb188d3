"""Committed files as an audit reads them: each is there, byte for byte what its commit says, and has
rows that can be read, sorted by place, one place in memory at a time.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from types import NoneType, TracebackType
from typing import Any, Generic, Self, TypeVar

from pacore.audit.finding import Finding, Severity, Tally, Where
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit
from pacore.store.layout import Unit, commit_key
from pacore.store.rows import AtPlace, FrozenProblem, Place, Stored
from pacore.store.schema import Column
from pacore.warehouse.files import file_records

_Record = TypeVar("_Record")


class Unreadable(StoreError):
    """A file of the store that cannot be read as what it is; ``key`` names it."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


def table_rows(
    kind: type[Stored], path: str, key: str, problem_id: str | None = None
) -> Iterator[Stored]:
    """The rows of one committed file of a kind's table, by place.

    ``path`` is a local copy of the file ``key``. ``problem_id`` keeps to one problem. Raises
    Unreadable.
    """
    names = [column.name for column in fields(kind) if column.name != "file"]
    types = {column.name: _types(column) for column in kind.table.columns if column.name in names}
    values, expected = attrgetter(*types), types.values()
    given = {"path": path, "problem_id": problem_id}
    for row in _read(kind.table.name, partial(kind, file=key), key, names, **given):
        # One call in C for each row: an audit reads millions of them.
        if not all(map(isinstance, values(row), expected)):
            column = next(name for name in types if not isinstance(getattr(row, name), types[name]))
            raise Unreadable(key, f"a row has {getattr(row, column)!r} for its {column}")
        yield row


def _types(column: Column) -> tuple[type, ...]:
    """What DuckDB returns for a column: lists where the rows that are written have tuples."""
    kind = list if column.kind.python is tuple else column.kind.python
    return (kind, NoneType) if column.is_nullable else (kind,)


def row_count(path: str, key: str) -> int:
    """How many rows a file has. Raises Unreadable."""
    found: int
    (found,) = _read("rows", lambda rows: rows, key, path=path)
    return found


def problem_rows(path: str, key: str) -> Iterator[FrozenProblem]:
    """The rows of a frozen problem set, in the file's order. Raises Unreadable."""
    return _read("problems", FrozenProblem, key, path=path)


def _read(
    name: str,
    of: Callable[..., _Record],
    key: str,
    columns: Sequence[str] | None = None,
    **parameters: Any,
) -> Iterator[_Record]:
    try:
        yield from file_records(f"audit/{name}", of, columns, **parameters)
    except StoreError as fault:
        raise Unreadable(key, f"cannot be read: {fault}") from fault


_AtPlace = TypeVar("_AtPlace", bound=AtPlace)


@dataclass(slots=True)
class PlacedRows(Generic[_AtPlace]):
    """The rows of some files by place; ``here`` are those of the place that `aligned` has reached."""

    files: Sequence[Iterator[_AtPlace]]
    here: list[_AtPlace] = field(default_factory=list)

    @property
    def found(self) -> list[_AtPlace] | None:
        """The rows ``here``; None without a file to read them from, which is not the same as no rows."""
        return self.here if self.files else None


def aligned(*streams: PlacedRows[Any]) -> Iterator[Place]:
    """Every place of several streams in order, each stream with its rows of the place ``here``.

    One place is in memory at a time.
    """

    def placed(
        stream: PlacedRows[Any], rows: Iterator[AtPlace]
    ) -> Iterator[tuple[Place, PlacedRows[Any], AtPlace]]:
        for row in rows:
            yield row.place, stream, row

    files = (placed(stream, rows) for stream in streams for rows in stream.files)
    merged = heapq.merge(*files, key=itemgetter(0))
    for place, members in groupby(merged, key=itemgetter(0)):
        for stream in streams:
            stream.here = []
        for _, stream, row in members:
            stream.here.append(row)
        yield place


class Files:
    """Committed files as local copies, each hashed when it is first needed, open until the context ends.

    What is wrong with them is added to ``findings``; the rows of a file that is not what its commit
    says are never read. Only files of ``current`` units are part of a table, so that what is wrong with
    others is a warning.
    """

    def __init__(self, store: Backend, tally: Tally, current: Container[Unit]) -> None:
        self._store = store
        self._current = current
        self._tally = tally
        self._stack = ExitStack()
        self._paths: dict[Unit, str | None] = {}
        self.findings: list[Finding] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def path(self, commit: Commit) -> str | None:
        """A local copy of a commit's file; None where it cannot be trusted."""
        if commit.unit not in self._paths:
            self._paths[commit.unit] = self._opened(commit)
        return self._paths[commit.unit]

    def rows(self, kind: type[Stored], commits: Iterable[Commit]) -> PlacedRows[Stored]:
        """The rows of the files of commits of one table, of those that can be trusted."""
        paths = [(self.path(commit), commit.path) for commit in commits]
        return PlacedRows([table_rows(kind, path, key) for path, key in paths if path is not None])

    def _opened(self, commit: Commit) -> str | None:
        where = Where(commit.path, commit.unit.table, commit.unit.round)
        try:
            path = self._stack.enter_context(self._store.local_path(commit.path))
            with Path(path).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except (StoreError, OSError) as fault:
            self._note(where, commit, str(fault))
            return None
        self._tally.files += 1
        self._tally.bytes += size
        if sha256 != commit.file.sha256:
            self._note(where, commit, f"sha256 is {sha256}, of {size:,} bytes")
            return None
        if size != commit.file.bytes:
            self._note(where, commit, f"has {size:,} bytes")
        try:
            rows = row_count(path, commit.path)
        except Unreadable as fault:
            self._note(where, commit, fault.why)
            return None
        if rows != commit.rows:
            self._note(where, commit, f"has {rows:,} rows")
        return path

    def _note(self, where: Where, commit: Commit, what: str) -> None:
        said = f"{commit_key(commit.unit)} says sha256 {commit.file.sha256}, {commit.file.bytes:,} bytes, "
        severity: Severity = "error" if commit.unit.first in self._current else "warning"
        found = Finding("files", where, f"{what}; {said}{commit.rows:,} rows", severity)
        self.findings.append(found)
