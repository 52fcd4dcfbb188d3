"""A store's tables and marts as views, open for reading."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pacore.errors import BadInput
from pacore.run import list_runs
from pacore.staging import STAGED, table_files, text_files
from pacore.store import Backend
from pacore.tables import Row
from pacore.warehouse.connection import (
    FETCH_ROWS,
    Connection,
    as_bad_input,
    as_store_error,
    check_names,
    connect,
    sql,
)
from pacore.warehouse.statement import reading_only

CHECK_ROWS = 100
INNER = ("own_scores", "student_t")
"""Views that staged tables and marts are made of."""

STANDING = (
    "standing_trajectories",
    "standing_verdicts",
    "pools",
    "pool_sizes",
    "majorities",
    "message_scores",
    "seen_messages",
    "seen_answers",
    "episodes",
    "shared_shingles",
    "reference_words",
    "intervened",
)
"""Views of what counts of a table, such as each slot's last attempt and the verdict that stands on it,
and what several marts are made of; later ones may read earlier ones."""

MARTS = (
    "accuracy",
    "ttc",
    "failures",
    "rounds",
    "quorums",
    "pass_at_k",
    "majority",
    "oracle_gap",
    "costs",
    "frontier",
    "message_accuracy",
    "emergence",
    "outcome_by_message_accuracy",
    "rescues",
    "copying",
    "positions",
    "overlap",
    "words",
    "judges",
    "best_of_n",
    "interventions",
)


@dataclass(frozen=True)
class QueryResult:
    """What a query gives: column names, and rows as tuples, fetched as they are read."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


class Warehouse:
    """A store's tables and marts as DuckDB views, open for reading while the context lasts.

    ``run_ids`` None means every run. The views cover what was committed when the warehouse was
    opened. ``prices`` are rows of `pacore.prices`, which money is counted by; ``numbers`` are
    further k of votes and of the best of k. Raises Refused for a
    run that is not there, StoreError for files that cannot be read.
    """

    def __init__(
        self,
        store: Backend,
        run_ids: Sequence[str] | None = None,
        prices: Sequence[Row] = (),
        numbers: Sequence[int] = (),
    ) -> None:
        self.store = store
        self._run_ids = run_ids
        self._prices = prices
        self._numbers = [int(number) for number in numbers]
        self._files: dict[str, list[str]] = {}
        self._reader = store.reader()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="pacore-warehouse-")
        spill = os.path.join(self._folder.name, "spill")
        self._connection = connect(spill)
        try:
            if self._reader.filesystem is not None:
                self._connection.register_filesystem(self._reader.filesystem)
            with as_store_error(self._reader):
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
        """Make the views: staging over the files of the runs, then marts over staging."""
        run_ids = list_runs(self.store) if self._run_ids is None else self._run_ids
        unique = list(dict.fromkeys(run_ids))
        folder = Path(self._folder.name)
        self._files = table_files(self.store, self._reader, unique, folder, self._prices)
        with self._cursor() as cursor:
            for name in INNER:
                cursor.execute(f"CREATE VIEW {name} AS {sql(f'staging/{name}')}")
            for name in STAGED:
                cursor.execute(f"CREATE VIEW {name} AS {sql(f'staging/stg_{name}')}")
            for name in STANDING:
                cursor.execute(f"CREATE VIEW {name} AS {sql(f'staging/{name}')}")
            for name in MARTS:
                cursor.execute(f"CREATE VIEW mart_{name} AS {sql(f'marts/{name}')}")
            lenders = cursor.execute(sql("staging/lenders")).fetchall()
        lent = [
            path
            for (run_id,) in lenders
            for path in text_files(self.store, self._reader, run_id, unique)
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

    @contextmanager
    def _cursor(self) -> Iterator[Connection]:
        """A connection of its own: an open result occupies the one it came from."""
        cursor = self._connection.cursor()
        self._reader.failed = None
        try:
            for table, paths in self._files.items():
                cursor.execute(f"SET VARIABLE {table}_files = $paths", {"paths": paths})
            # A file without rows stands among a table's own where some of these may lack columns.
            is_older = any(self._is_own(path) for path in self._files.get("trajectories", ()))
            cursor.execute("SET VARIABLE has_older_files = $is_older", {"is_older": is_older})
            cursor.execute(f"SET VARIABLE numbers = {self._numbers}::BIGINT[]")
            yield cursor
        finally:
            cursor.close()

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows of ``sql/<name>.sql`` as dicts; parameters are named ``$…`` in its text."""
        with as_store_error(self._reader), self._cursor() as cursor:
            cursor.execute(sql(name), parameters)
            columns = [column[0] for column in cursor.description or ()]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def stream(self, name: str, **parameters: Any) -> QueryResult:
        """The rows of ``sql/<name>.sql``, fetched as they are read; else as `rows`."""
        rows = self._stream(name, parameters)
        columns = next(rows)
        return QueryResult(columns, rows)

    def _stream(self, name: str, parameters: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        with as_store_error(self._reader), self._cursor() as cursor:
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
            cursor.execute(reading_only(cursor, text))
            yield from _fetched(cursor)


def _fetched(cursor: Connection) -> Iterator[tuple[Any, ...]]:
    """The column names of what was executed, then its rows."""
    yield tuple(column[0] for column in cursor.description or ())
    while rows := cursor.fetchmany(FETCH_ROWS):
        yield from rows
