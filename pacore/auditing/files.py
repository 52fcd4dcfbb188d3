"""Committed files on trial: there, whole, and byte for byte what their commit says."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from pacore.auditing.finding import Finding, Severity, Tally, Where
from pacore.auditing.rows import Row, Unreadable, row_count, table_rows
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit
from pacore.store.layout import Unit, commit_key


class Files:
    """Committed files as local copies, each hashed when first asked for, open while this is.

    What is wrong with them gathers in ``findings``; the rows of a file that is not what its commit
    says are never read. Only those of ``standing`` units are part of a table, so that of others it is
    no more than a warning.
    """

    def __init__(self, store: Backend, tally: Tally, standing: Container[Unit]) -> None:
        self._store = store
        self._standing = standing
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
        if sha256 != commit.sha256:
            self._note(where, commit, f"sha256 is {sha256}, of {size:,} bytes")
            return None
        if size != commit.bytes:
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
        said = f"{commit_key(commit.unit)} says sha256 {commit.sha256}, {commit.bytes:,} bytes, "
        severity: Severity = "error" if commit.unit.first in self._standing else "warning"
        found = Finding("files", where, f"{what}; {said}{commit.rows:,} rows", severity)
        self.findings.append(found)
