"""Audit of committed files: each is there, byte for byte what its commit says, and has rows that can
be read, sorted by place, one place in memory at a time.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pacore.audit.finding import Finding, Severity, Tally, Where
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit
from pacore.store.layout import Unit, commit_key
from pacore.store.schema import TABLES
from pacore.warehouse.files import file_rows

Row = Mapping[str, Any]

Place = tuple[str, int]
"""Problem id and replicate."""

NEEDED: dict[str, dict[str, type]] = {
    name: {column.name: column.kind.python for column in table.columns if not column.is_nullable}
    for name, table in TABLES.items()
}
"""Columns that are never null in a row of a table, and what their values are."""


class Unreadable(StoreError):
    """A file of the store that cannot be read as what it is; ``key`` names it."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


def table_rows(table: str, path: str, key: str, problem_id: str | None = None) -> Iterator[Row]:
    """The rows of one committed file by place, each with the ``file`` it is in.

    ``path`` is a local copy of the file ``key``. Texts come as digests. ``problem_id`` keeps to
    one problem. Raises Unreadable.
    """
    needed = NEEDED[table]
    for row in _read(table, key, path=path, problem_id=problem_id):
        for column, kind in needed.items():
            if not isinstance(row.get(column), kind):
                raise Unreadable(key, f"a row has {row.get(column)!r} for its {column}")
        yield {**row, "file": key}


def row_count(path: str, key: str) -> int:
    """How many rows a file has. Raises Unreadable."""
    (counted,) = _read("rows", key, path=path)
    found: int = counted["rows"]
    return found


def problem_rows(path: str, key: str) -> Iterator[Row]:
    """The rows of a frozen problem set, in the file's order. Raises Unreadable."""
    return _read("problems", key, path=path)


def _read(name: str, key: str, **parameters: Any) -> Iterator[Row]:
    try:
        yield from file_rows(name, **parameters)
    except StoreError as fault:
        raise Unreadable(key, f"cannot be read: {fault}") from fault


def aligned(
    streams: Iterable[tuple[str, Iterable[Row]]],
) -> Iterator[tuple[Place, Mapping[str, list[Row]]]]:
    """Rows of several sorted streams that belong to one problem and replicate, by stream's name.

    Streams of one name are put together. One place is in memory at a time.
    """

    def named(name: str, rows: Iterable[Row]) -> Iterator[tuple[Place, str, Row]]:
        for row in rows:
            yield (row["problem_id"], row["replicate"]), name, row

    merged = heapq.merge(*(named(*stream) for stream in streams), key=lambda item: item[0])
    for place, members in groupby(merged, key=lambda item: item[0]):
        found: dict[str, list[Row]] = {}
        for _, name, row in members:
            found.setdefault(name, []).append(row)
        yield place, found


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

    def rows(self, commit: Commit) -> Iterator[Row] | None:
        """The rows of a commit's file by place; None where it cannot be trusted."""
        path = self.path(commit)
        return None if path is None else table_rows(commit.unit.table, path, commit.path)

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
