"""A store's tables and marts as views, open for reading."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pacore.errors import BadInput
from pacore.run import list_runs
from pacore.staging import table_files, text_files
from pacore.store import Backend
from pacore.tables import Row
from pacore.warehouse.connection import (
    Connection,
    as_bad_input,
    as_store_error,
    check_names,
    connect,
    rows_of,
    sql,
)
from pacore.warehouse.relations import RELATIONS, needed
from pacore.warehouse.statement import execute, reading_only

CHECK_ROWS = 100


@dataclass(frozen=True)
class QueryResult:
    """What a query gives: column names, and rows as tuples, fetched as they are read."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


class Warehouse:
    """A store's tables and marts as DuckDB views, open for reading while the context lasts.

    ``run_ids`` None means every run. The views cover what was committed when the warehouse was
    opened, and each is made for the first query that names it. ``prices`` are rows of
    `pacore.prices`, which money is counted by; ``numbers`` are further k of votes and of the best
    of k; ``memory_bytes`` is what there is to plan with. Raises Refused for a run that is not
    there, StoreError for files that cannot be read, LimitReached where memory runs out.
    """

    def __init__(
        self,
        store: Backend,
        run_ids: Sequence[str] | None = None,
        prices: Sequence[Row] = (),
        numbers: Sequence[int] = (),
        memory_bytes: int | None = None,
    ) -> None:
        self.store = store
        self._run_ids = run_ids
        self._prices = prices
        self._numbers = [int(number) for number in numbers]
        self._memory_bytes = memory_bytes
        self._files: dict[str, list[str]] = {}
        self._reader = store.reader()
        self._made: set[str] = set()
        self._making = threading.Lock()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="pacore-warehouse-")
        spill = os.path.join(self._folder.name, "spill")
        self._connection = connect(spill, memory_bytes=self._memory_bytes)
        try:
            if self._reader.filesystem is not None:
                self._connection.add_files(self._reader.filesystem)
            with as_store_error(self._reader):
                self._connection.execute(sql("macros"))
                self._stage()
                self._lock()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._connection.close()
        self._folder.cleanup()

    def _stage(self) -> None:
        """Find the files of the runs, and of those whose texts they reuse."""
        run_ids = list_runs(self.store) if self._run_ids is None else self._run_ids
        unique = list(dict.fromkeys(run_ids))
        folder = Path(self._folder.name)
        self._files = table_files(self.store, self._reader, unique, folder, self._prices)
        lenders = self.rows("staging/lenders")
        lent = [
            path
            for row in lenders
            for path in text_files(self.store, self._reader, row["text_run_id"], unique)
        ]
        if lent:
            own = [path for path in self._files["trajectory_texts"] if not self._is_own(path)]
            self._files["trajectory_texts"] = own + lent

    def _is_own(self, path: str) -> bool:
        """Whether a file is the warehouse's, not the store's."""
        return path.startswith(self._folder.name)

    def _lock(self) -> None:
        """From here on nothing but the tables' own files can be opened, and no setting changed."""
        paths = sorted({path for paths in self._files.values() for path in paths})
        literals = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        self._connection.execute(f"SET allowed_paths = [{literals}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _make(self, cursor: Connection, names: Sequence[str]) -> None:
        """Make the views that are not there yet, each after those it reads."""
        with self._making, as_store_error(self._reader):
            for name in names:
                if name not in self._made:
                    cursor.execute(f"CREATE VIEW {name} AS {sql(RELATIONS[name])}")
                    self._made.add(name)

    @contextmanager
    def _cursor(self) -> Iterator[Connection]:
        """A connection of its own: an open result occupies the one it came from."""
        self._reader.failed = None
        with self._connection.cursor() as cursor:
            for table, paths in self._files.items():
                cursor.execute(f"SET VARIABLE {table}_files = $paths", {"paths": paths})
            # A file without rows stands among a table's own where some of these may lack columns.
            is_older = any(self._is_own(path) for path in self._files.get("trajectories", ()))
            cursor.execute("SET VARIABLE has_older_files = $is_older", {"is_older": is_older})
            cursor.execute(f"SET VARIABLE numbers = {self._numbers}::BIGINT[]")
            yield cursor

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows of ``sql/<name>.sql`` as dicts; parameters are named ``$…`` in its text."""
        with as_store_error(self._reader), self._cursor() as cursor:
            self._make(cursor, needed(sql(name)))
            cursor.execute(sql(name), parameters)
            columns = cursor.columns()
            return [dict(zip(columns, row, strict=True)) for row in rows_of(cursor)]

    def stream(self, name: str, **parameters: Any) -> QueryResult:
        """The rows of ``sql/<name>.sql``, fetched as they are read; else as `rows`."""
        rows = self._stream(name, parameters)
        columns = next(rows)
        return QueryResult(columns, rows)

    def _stream(self, name: str, parameters: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        with as_store_error(self._reader), self._cursor() as cursor:
            self._make(cursor, needed(sql(name)))
            cursor.execute(sql(name), parameters)
            yield from _fetched(cursor)

    def run_checks(self) -> dict[str, list[dict[str, Any]]]:
        """For every invariant by name, the rows that break it, the first hundred at most."""
        return {name: self.rows(f"checks/{name}")[:CHECK_ROWS] for name in check_names()}

    def results(self, run_id: str, rows: int) -> list[dict[str, Any]]:
        """Problem, answer, gold, score, trajectories and tokens of a run's first problems by id."""
        return self.rows("reports/results", run_id=run_id, rows=rows)

    def failed_problems(self, run_id: str) -> list[str]:
        """Ids of the problems that failed in some replicate, sorted."""
        failed = self.rows("reports/failed_problems", run_id=run_id)
        return [row["problem_id"] for row in failed]

    def query(self, text: str) -> QueryResult:
        """Run somebody's own query: one statement that only reads.

        Raises Refused for any other statement and BadInput for SQL that does not work, each one
        line; BadInput may also come while rows are read.
        """
        if any("\ud800" <= character <= "\udfff" or character == "\x00" for character in text):
            raise BadInput("the query has a NUL or a byte that is not UTF-8")
        rows = self._query(text)
        columns = next(rows)
        return QueryResult(columns, rows)

    def _query(self, text: str) -> Iterator[tuple[Any, ...]]:
        """The column names, then the rows."""
        with as_bad_input(self._reader), self._cursor() as cursor:
            statement = reading_only(cursor, text)
            self._make(cursor, needed(statement))
            execute(cursor, statement, lambda: self._make(cursor, list(RELATIONS)))
            yield from _fetched(cursor)


def _fetched(cursor: Connection) -> Iterator[tuple[Any, ...]]:
    """The column names of what was executed, then its rows."""
    yield cursor.columns()
    yield from rows_of(cursor)
