"""Connections to DuckDB, its faults as errors of pacore, and users' own queries, which may only read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self, TypeVar

import duckdb

from pacore.errors import BadInput, LimitReached, PacoreError, Refused, StoreError
from pacore.store.backends.protocol import Reader
from pacore.text import visible

_T = TypeVar("_T")

FETCH_ROWS = 256

BATCH_ROWS = 2048
"""Rows of a record batch: those that DuckDB works on at a time, since texts may be long."""

_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt for DuckDB's RuntimeError, which replaces what a signal's handler raised."""
    try:
        yield
    except RuntimeError as fault:
        if str(fault) != "Query interrupted":
            raise
        raise KeyboardInterrupt from fault


class Connection:
    """A connection to DuckDB, or a cursor of one; nothing of DuckDB's is left once it is closed.

    An exception refers to the frames it passed, and so to their variables, for as long as it exists; and
    DuckDB prints some thirty lines for each of its objects that outlives the interpreter. So frames refer
    to this object, and never to DuckDB's own.
    """

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self._raw: duckdb.DuckDBPyConnection | None = raw

    @property
    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._raw is None:
            raise StoreError("the warehouse is closed")
        return self._raw

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cursor(self) -> Connection:
        return Connection(self._open.cursor())

    def execute(self, text: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run SQL. Raises KeyboardInterrupt where a signal's handler ended it, as `fetch` does."""
        with _interruptible():
            self._open.execute(text, parameters)

    def columns(self) -> tuple[str, ...]:
        """Names of the columns of what was executed last."""
        return tuple(column[0] for column in self._open.description or ())

    def types(self) -> tuple[str, ...]:
        """DuckDB's names of these columns' types."""
        return tuple(str(column[1]) for column in self._open.description or ())

    def fetch(self, rows: int) -> list[tuple[Any, ...]]:
        """The next rows of what was executed last, as many at most; none at its end."""
        with _interruptible():
            return self._open.fetchmany(rows)

    def batches(self, text: str) -> tuple[Any, Iterator[Any]]:
        """Run SQL; the Arrow schema of what it gives, and its record batches as they are read.

        HUGEINT is a decimal of 38 digits, which holds the same numbers.
        """
        with _interruptible():
            reader = self._open.sql(text).to_arrow_reader(BATCH_ROWS)
        return reader.schema, _batches_of(reader)

    def write_rows(
        self, path: str, types: Mapping[str, str], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        """Write a Parquet file of rows of plain values, with columns of SQL types by their names."""
        texts = json.dumps([dict(zip(types, row, strict=True)) for row in rows], default=_plain)
        made = "unnest(from_json(CAST($rows AS JSON), $types), recursive := true)"
        self.execute(
            f"COPY (SELECT {made}) TO '{path.replace(chr(39), chr(39) * 2)}' (FORMAT parquet)",
            {"rows": texts, "types": json.dumps([types])},
        )

    def statements(self, text: str) -> list[tuple[str, str]]:
        """The kind and the text of each statement in SQL."""
        return [(one.type.name, one.query) for one in self._open.extract_statements(text)]

    def add_files(self, filesystem: Any) -> None:
        """Read paths of a scheme through an fsspec file system."""
        self._open.register_filesystem(filesystem)

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None


_STREAM_FAULTS = {
    "IO Error": duckdb.IOException,
    "Invalid Input Error": duckdb.InvalidInputException,
    "INTERNAL Error": duckdb.InternalException,
    "Out of Memory Error": duckdb.OutOfMemoryException,
}
"""DuckDB's faults by the words their messages begin with: Arrow's stream hands on nothing else of them."""


def _plain(time: datetime) -> str:
    """A time as JSON has it; it has all else that rows are made of."""
    return time.isoformat()


def _batches_of(reader: Any) -> Iterator[Any]:
    """The batches of a reader, with faults as DuckDB's own."""
    with reader, _interruptible():
        while True:
            try:
                yield reader.read_next_batch()
            except StopIteration:
                return
            except OSError as fault:
                kind = _STREAM_FAULTS.get(str(fault).partition(":")[0], duckdb.Error)
                raise kind(str(fault)) from None


def connect(spill: str, threads: int | None = None, memory_bytes: int | None = None) -> Connection:
    """A database of its own, in memory, that downloads nothing.

    ``spill`` is the folder for what exceeds memory. Its limit is half of ``memory_bytes``:
    DuckDB counts about half of the memory it uses.
    """
    bounded: dict[str, Any] = {} if threads is None else {"threads": threads}
    if memory_bytes is not None:
        bounded["memory_limit"] = f"{memory_bytes // 2 // 1024} KiB"
    return Connection(duckdb.connect(config={**_OFFLINE, "temp_directory": spill, **bounded}))


def rows_of(cursor: Connection) -> Iterator[tuple[Any, ...]]:
    """The rows of what was executed, fetched as they are read."""
    while rows := cursor.fetch(FETCH_ROWS):
        yield from rows


def _first_line(message: str) -> str:
    return message.partition("\n")[0].strip()


def _line(fault: duckdb.Error, explain: Callable[[str], str] = _first_line) -> str:
    """DuckDB's message in a line; it may quote values, which are data."""
    return visible(explain(str(fault)))


@contextmanager
def as_store_error(reader: Reader | None = None) -> Iterator[None]:
    """Faults of pacore's own SQL as StoreError: they come from the files of the store."""
    try:
        yield
    except duckdb.OutOfMemoryException as fault:
        raise LimitReached(_line(fault)) from fault
    except duckdb.Error as fault:
        if reader is not None and reader.failed is not None:
            raise reader.failed from fault
        raise StoreError(_line(fault)) from fault


def may_be_damage(fault: PacoreError) -> bool:
    """Whether a fault of DuckDB may be due to a damaged file, which it reports in many ways."""
    cause = fault.__cause__
    kinds = (duckdb.IOException, duckdb.InvalidInputException, duckdb.InternalException)
    return isinstance(cause, kinds) or type(cause) is duckdb.Error


@contextmanager
def as_bad_input(reader: Reader, explain: Callable[[str], str]) -> Iterator[None]:
    """Faults of a user's query as BadInput; ``explain`` makes a line of DuckDB's message."""
    try:
        yield
    except duckdb.OutOfMemoryException as fault:
        raise LimitReached(_line(fault)) from fault
    except duckdb.Error as fault:
        if reader.failed is not None:
            raise reader.failed from fault
        is_stores = isinstance(fault, duckdb.IOException)
        raise (StoreError if is_stores else BadInput)(_line(fault, explain)) from fault


_EXPLAIN = re.compile(
    r"(?P<explain>\s*EXPLAIN\b\s*(?:ANALYZE\b|\(\s*(?:ANALYZE|FORMAT)\b[^()]*\))?)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)


_READING = ("SELECT", "MULTI")


def reading_only(cursor: Connection, text: str) -> str:
    """The query as it may be run, or Refused.

    The statement's type is not enough: a WITH clause of a SELECT may contain INSERT, DELETE or COPY,
    and EXPLAIN ANALYZE runs what it explains. DuckDB binds neither below the top level, so every
    query is run as a subquery.
    """
    statements = cursor.statements(text)
    if len(statements) != 1:
        raise Refused(f"a query is one SQL statement; this has {len(statements)}")
    kind, query = statements[0][0], _without_semicolon(statements[0][1])
    explained = _EXPLAIN.fullmatch(query) if kind == "EXPLAIN" else None
    if explained:
        return f"{explained['explain']} {reading_only(cursor, explained['rest'])}"
    if kind not in _READING:
        raise Refused(f"a query only reads; {kind.replace('_', ' ')} is not run here")
    return f"SELECT * FROM (\n{query}\n)"


def begun(begin: Callable[[], _T], make_all: Callable[[], None]) -> _T:
    """Begin a statement; where a relation is missing, create all relations and begin once more.

    A query may compose a name, and DuckDB's message about a missing one names those that exist.
    """
    try:
        return begin()
    except duckdb.CatalogException:
        make_all()
        return begin()


def _without_semicolon(statement: str) -> str:
    """One statement up to its closing semicolon; DuckDB's tokens are placed by bytes."""
    data = statement.encode()
    for start, kind in duckdb.tokenize(statement):
        if kind == duckdb.token_type.operator and data[start : start + 1] == b";":
            return data[:start].decode()
    return statement
