"""The warehouse: DuckDB over a store's committed files. The only module that imports duckdb.

All SQL stands in ``sql/``, one file a relation; this module only says which files a table is and
keeps people's own queries to reading. Rows come out as plain tuples and dicts.
"""

from __future__ import annotations

import atexit
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from pacore.errors import BadInput, Refused, StoreError
from pacore.round_rows import AnswerRow, CandidateRow
from pacore.run import list_runs
from pacore.staging import STAGED, table_files, text_files
from pacore.store import Backend, Reader
from pacore.visible import visible

__all__ = [
    "AnswerRow",
    "CandidateRow",
    "QueryResult",
    "Warehouse",
    "answers_of",
    "candidates",
    "check_names",
    "file_rows",
    "message_sets",
    "sql",
]

SQL_FOLDER = Path(__file__).parent.parent / "sql"
FETCH_ROWS = 256
CHECK_ROWS = 100
MARTS = ("accuracy", "ttc", "failures", "rounds", "quorums")

_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}
_EXPLAIN = re.compile(
    r"(?P<explain>\s*EXPLAIN\b\s*(?:ANALYZE\b|\(\s*(?:ANALYZE|FORMAT)\b[^()]*\))?)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_READING = ("SELECT", "MULTI")


@cache
def sql(name: str) -> str:
    """Text of ``sql/<name>.sql``, such as ``marts/accuracy``."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


@cache
def check_names() -> tuple[str, ...]:
    """Names of the invariants in ``sql/checks``, sorted."""
    return tuple(sorted(path.stem for path in (SQL_FOLDER / "checks").glob("*.sql")))


def _first_line(fault: duckdb.Error) -> str:
    """What DuckDB says, in a line; it may quote values, which are data."""
    return visible(str(fault).partition("\n")[0].strip())


@contextmanager
def _as_store_error(reader: Reader | None = None) -> Iterator[None]:
    """pacore's own SQL fails only over what the store holds."""
    try:
        yield
    except duckdb.Error as fault:
        if reader is not None and reader.failed is not None:
            raise reader.failed from fault
        raise StoreError(_first_line(fault)) from fault


@contextmanager
def _as_bad_input(reader: Reader) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as fault:
        if reader.failed is not None:
            raise reader.failed from fault
        is_stores = isinstance(fault, duckdb.IOException)
        raise (StoreError if is_stores else BadInput)(_first_line(fault)) from fault


@dataclass(frozen=True)
class QueryResult:
    """What a query gives: column names, and rows as tuples, fetched as they are read."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


class Warehouse:
    """A store's tables and marts as DuckDB views, open for reading while the context lasts.

    ``run_ids`` None means every run. The views cover what was committed when the warehouse was
    opened. Raises Refused for a run that is not there, StoreError for files that cannot be read.
    """

    def __init__(self, store: Backend, run_ids: Sequence[str] | None = None) -> None:
        self.store = store
        self._run_ids = run_ids
        self._files: dict[str, list[str]] = {}
        self._reader = store.reader()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="pacore-warehouse-")
        spill = os.path.join(self._folder.name, "spill")
        self._connection = duckdb.connect(config={**_OFFLINE, "temp_directory": spill})
        try:
            if self._reader.filesystem is not None:
                self._connection.register_filesystem(self._reader.filesystem)
            with _as_store_error(self._reader):
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
        self._files = table_files(self.store, self._reader, unique, Path(self._folder.name))
        with self._cursor() as cursor:
            for name in STAGED:
                cursor.execute(f"CREATE VIEW {name} AS {sql(f'staging/stg_{name}')}")
            standing = "standing_trajectories"
            cursor.execute(f"CREATE VIEW {standing} AS {sql(f'staging/{standing}')}")
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
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own: an open result occupies the one it came from."""
        cursor = self._connection.cursor()
        self._reader.failed = None
        try:
            for table, paths in self._files.items():
                cursor.execute(f"SET VARIABLE {table}_files = $paths", {"paths": paths})
            # A file without rows stands among a table's own where some of these may lack columns.
            is_older = any(self._is_own(path) for path in self._files.get("trajectories", ()))
            cursor.execute("SET VARIABLE has_older_files = $is_older", {"is_older": is_older})
            yield cursor
        finally:
            cursor.close()

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows of ``sql/<name>.sql`` as dicts; parameters are named ``$…`` in its text."""
        with _as_store_error(self._reader), self._cursor() as cursor:
            cursor.execute(sql(name), parameters)
            columns = [column[0] for column in cursor.description or ()]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

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
        with _as_bad_input(self._reader), self._cursor() as cursor:
            cursor.execute(_reading_only(cursor, text))
            yield tuple(column[0] for column in cursor.description or ())
            while rows := cursor.fetchmany(FETCH_ROWS):
                yield from rows


def _reading_only(cursor: duckdb.DuckDBPyConnection, text: str) -> str:
    """The query as it may be run, or Refused.

    The statement's type is not enough: a WITH clause of a SELECT may hold INSERT, DELETE or COPY,
    and EXPLAIN ANALYZE runs what it explains. DuckDB binds neither below the top level, so every
    query is run as a subquery.
    """
    statements = cursor.extract_statements(text)
    if len(statements) != 1:
        raise Refused(f"a query is one SQL statement; this has {len(statements)}")
    kind, query = statements[0].type.name, _without_semicolon(statements[0].query)
    explained = _EXPLAIN.fullmatch(query) if kind == "EXPLAIN" else None
    if explained:
        return f"{explained['explain']} {_reading_only(cursor, explained['rest'])}"
    if kind not in _READING:
        raise Refused(f"a query only reads; {kind.replace('_', ' ')} is not run here")
    return f"SELECT * FROM (\n{query}\n)"


def _without_semicolon(statement: str) -> str:
    """One statement up to its closing semicolon; DuckDB's tokens are placed by bytes."""
    data = statement.encode()
    for start, kind in duckdb.tokenize(statement):
        if kind == duckdb.token_type.operator and data[start : start + 1] == b";":
            return data[:start].decode()
    return statement


@cache
def _rounds_connection(process: int) -> duckdb.DuckDBPyConnection:
    """One database for the round queries of a process; a forked child must not use its parent's."""
    spill = os.path.join(tempfile.gettempdir(), f"pacore-rounds-{process}")
    return duckdb.connect(config={**_OFFLINE, "temp_directory": spill, "threads": 2})


# A connection that is open when the interpreter ends makes DuckDB 2.0 print what it leaks.
atexit.register(_rounds_connection.cache_clear)


def _stream(name: str, **parameters: Any) -> Iterator[tuple[Any, ...]]:
    """Rows of ``sql/rounds/<name>.sql``, fetched as they are read; safe from any thread."""
    cursor = _rounds_connection(os.getpid()).cursor()
    try:
        with _as_store_error():
            cursor.execute(sql(f"rounds/{name}"), parameters)
            while rows := cursor.fetchmany(FETCH_ROWS):
                yield from rows
    finally:
        cursor.close()


def candidates(path: str) -> Iterator[CandidateRow]:
    """The standing row of every slot of a trajectories file, by problem id, replicate and slot."""
    return (CandidateRow._make(row) for row in _stream("candidates", path=path))


def message_sets(path: str) -> Iterator[tuple[tuple[str, int], list[str], list[str]]]:
    """Each message set of a messages file: (problem id, replicate), texts and ids by position."""
    rows = _stream("message_sets", path=path)
    for (problem_id, replicate), group in groupby(rows, key=lambda row: (row[0], row[1])):
        messages = list(group)
        yield (problem_id, replicate), [row[2] for row in messages], [row[3] for row in messages]


def answers_of(path: str) -> Iterator[AnswerRow]:
    """The rows of an answers file, by problem id and replicate."""
    return (AnswerRow._make(row) for row in _stream("answers", path=path))


def file_rows(name: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Rows of ``sql/audit/<name>.sql`` over one local file as dicts, fetched as they are read."""
    cursor = _rounds_connection(os.getpid()).cursor()
    try:
        with _as_store_error():
            cursor.execute(sql(f"audit/{name}"), parameters)
            columns = [column[0] for column in cursor.description or ()]
            while rows := cursor.fetchmany(FETCH_ROWS):
                for row in rows:
                    yield dict(zip(columns, row, strict=True))
    finally:
        cursor.close()
