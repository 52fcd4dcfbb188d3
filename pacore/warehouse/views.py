"""A store's tables and marts as views, open for reading."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from pacore.core.prompt import TEMPLATES
from pacore.errors import BadInput, PacoreError, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.integrity import Fault, RunFiles, damaged, repair_hint
from pacore.store.run import list_runs
from pacore.warehouse.catalog import explained
from pacore.warehouse.connection import (
    Connection,
    as_bad_input,
    as_store_error,
    begun,
    connect,
    may_be_damage,
    reading_only,
    rows_of,
)
from pacore.warehouse.prices import Price
from pacore.warehouse.relations import (
    MATERIALIZED,
    ONCE_ALONE,
    RELATIONS,
    check_names,
    needed,
    relation_of,
    sql,
    statement,
    stored,
)
from pacore.warehouse.report_rows import Record, check_columns, records
from pacore.warehouse.tables import OwnFiles, table_files, text_files

CHECK_ROWS = 100


CheckRow = Mapping[str, Any]
"""A row that a check returns: what breaks the invariant, by the check's own columns."""

TEMPLATE_PARTS = {
    "key": list(TEMPLATES),
    "value": [list(template.parts) for template in TEMPLATES.values()],
}
"""The templates of prompts by the kind of step, cut at their placeholders: a MAP, as DuckDB takes it."""

_log = logging.getLogger("pacore.warehouse")


@dataclass(frozen=True)
class QueryResult:
    """What a query gives: column names, rows as tuples, fetched as they are read, and DuckDB's types of
    the columns.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnarResult:
    """What a query gives in Arrow's types: a ``pyarrow.Schema``, and record batches of it, fetched as they
    are read.
    """

    schema: Any
    batches: Iterator[Any]


_Result = TypeVar("_Result")


class Warehouse:
    """A store's tables and marts as DuckDB views, open for reading while the context lasts.

    ``run_ids`` None means every run whose files are all there; ``say`` is called with a line about each
    that is left out. The views cover what was committed when the warehouse was
    opened, and each is made for the first query that names it. ``prices`` are rows of
    `pacore.warehouse.prices`, which money is counted by; ``numbers`` are further k of votes and of the best
    of k; ``memory_bytes`` is what there is to plan with. Raises Refused for a run that is
    not there, StoreError for files that are missing or cannot be read, LimitReached where memory runs out.
    """

    MATERIALIZED: ClassVar[frozenset[str]] = frozenset()
    SMALL_BYTES: ClassVar[int] = -1

    def __init__(
        self,
        store: Backend,
        run_ids: Sequence[str] | None = None,
        prices: Sequence[Price] = (),
        numbers: Sequence[int] = (),
        memory_bytes: int | None = None,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        self.store = store
        self._run_ids = run_ids
        self._prices = prices
        self._numbers = [int(number) for number in numbers]
        self._memory_bytes = memory_bytes
        self._say = say
        self._left_out: set[str] = set()
        self._files: dict[str, list[str]] = {}
        self._runs: dict[str, RunFiles] = {}
        self._tables: frozenset[str] = self.MATERIALIZED
        self._fewest_rounds = 1
        self._reader = store.reader()
        self._made: set[str] = set()
        self._making = threading.Lock()

    def __enter__(self) -> Self:
        known = set(self._left_out)
        try:
            self._open()
        except StoreError:
            # What is read at the start may be damaged, too: of a whole store the runs are left out.
            if self._left_out == known:
                raise
            self._open()
        return self

    def _open(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pacore-warehouse-")
        self._connection = connect(
            os.path.join(self._folder.name, "spill"), memory_bytes=self._memory_bytes
        )
        self._made.clear()
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
        unique = [run_id for run_id in dict.fromkeys(run_ids) if run_id not in self._left_out]
        staged = table_files(
            self.store,
            self._reader,
            unique,
            OwnFiles(self._connection, Path(self._folder.name)),
            self._prices,
            is_whole=self._run_ids is None,
        )
        self._leave_out(staged.faults)
        self._files, self._runs = staged.paths, staged.runs
        self._tables = self.MATERIALIZED | {
            relation_of(table)
            for table, size in staged.bytes.items()
            if size <= self.SMALL_BYTES and table not in ONCE_ALONE
        }
        self._fewest_rounds = staged.fewest_rounds
        lent = [
            path
            for (lender,) in self.stream("views/lenders").rows
            for path in text_files(self.store, self._reader, lender, unique)
        ]
        if lent:
            own = [path for path in self._files["trajectory_texts"] if not self._is_own(path)]
            self._files["trajectory_texts"] = own + lent

    def _leave_out(self, faults: Sequence[Fault]) -> None:
        """Report which runs are not read, and why. Raises StoreError for a run that was named."""
        by_run: dict[str, list[Fault]] = {}
        for fault in faults:
            by_run.setdefault(fault.run_id, []).append(fault)
        for found in by_run.values():
            if self._run_ids is not None:
                raise StoreError(repair_hint(found))
            self._left_out.add(found[0].run_id)
            self._say(f"left out: {repair_hint(found)}")

    def _find_damage(self, text: str) -> bool:
        """Leave out the runs whose files of the tables a query reads are damaged; whether any are."""
        read = stored(text)
        faults = [
            fault
            for run_id, tables in self._runs.items()
            for fault in damaged(
                self.store, run_id, {name: files for name, files in tables.items() if name in read}
            )
        ]
        self._leave_out(faults)
        return bool(faults)

    def _is_own(self, path: str) -> bool:
        """Whether a file is the warehouse's, not the store's."""
        return path.startswith(self._folder.name)

    def _lock(self) -> None:
        """From here on nothing but the tables' own files can be opened, and no setting changed."""
        paths = sorted({path for paths in self._files.values() for path in paths})
        literals = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        # DuckDB 2.0.0 fails with an internal error where it reads the columns of the first rows late that a
        # WHERE leaves by a file's name, which `run_id` follows from.
        self._connection.execute("SET GLOBAL disabled_optimizers = 'late_materialization'")
        self._connection.execute(f"SET allowed_paths = [{literals}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _make(self, cursor: Connection, names: Sequence[str]) -> None:
        """Make the relations that are not there yet, each after those it reads."""
        with self._making, as_store_error(self._reader):
            for name in names:
                if name not in self._made:
                    kind = "TABLE" if name in self._tables else "VIEW"
                    cursor.execute(f"CREATE {kind} {name} AS {sql(RELATIONS[name])}")
                    self._made.add(name)

    @contextmanager
    def _cursor(self, read: Container[str] | None = None) -> Iterator[Connection]:
        """A connection of its own: an open result occupies its connection.

        It knows the files of the tables in ``read`` only; of all where that is None.
        """
        self._reader.failed = None
        with self._connection.cursor() as cursor:
            for table, paths in self._files.items():
                if read is None or table in read:
                    cursor.execute(f"SET VARIABLE {table}_files = $paths", {"paths": paths})
            # A table has a file without rows where some of its files may lack columns.
            is_older = any(self._is_own(path) for path in self._files.get("trajectories", ()))
            cursor.execute("SET VARIABLE has_older_files = $is_older", {"is_older": is_older})
            # Rounds before it are no run's last, and a query for last rounds opens no file of them.
            cursor.execute(f"SET VARIABLE fewest_rounds = {self._fewest_rounds}")
            cursor.execute("SET VARIABLE templates = $parts", {"parts": TEMPLATE_PARTS})
            cursor.execute(f"SET VARIABLE numbers = {self._numbers}::BIGINT[]")
            yield cursor

    def count_votes(self, numbers: Iterable[int]) -> None:
        """Count votes and the best of further k, from the next query on."""
        self._numbers += [int(number) for number in numbers]

    def read(self, kind: type[Record], **parameters: Any) -> list[Record]:
        """All rows of a report's query as its records; parameters are named ``$…`` in its text."""
        return list(self.each(kind, **parameters))

    def each(self, kind: type[Record], **parameters: Any) -> Iterator[Record]:
        """As `read`, each fetched as it is asked for."""
        found = self.stream(f"reports/{kind.QUERY}", **parameters)
        check_columns(kind, found.columns, found.types)
        return records(kind, found.rows)

    def stream(self, name: str, **parameters: Any) -> QueryResult:
        """The rows of ``sql/<name>.sql``, fetched as they are read; parameters as in `read`."""
        rows = self._stream(name, parameters)
        columns, types = next(rows)
        return QueryResult(columns, rows, types)

    def _stream(self, name: str, parameters: dict[str, object]) -> Iterator[tuple[Any, ...]]:
        try:
            with as_store_error(self._reader), self._cursor(stored(statement(name))) as cursor:
                self._make(cursor, needed(statement(name)))
                cursor.execute(sql(name), parameters)
                yield from _fetched(cursor)
        except StoreError as fault:
            if may_be_damage(fault):
                self._find_damage(statement(name))
            raise

    def run_checks(
        self, begin: Callable[[str], None] = lambda _: None
    ) -> dict[str, list[CheckRow]]:
        """For every invariant by name, the rows that break it, the first hundred at most.

        ``begin`` is called with a line about each before it is looked at.
        """
        names, found = check_names(), {}
        for number, name in enumerate(names, 1):
            begin(f"check {number} of {len(names)}: {name}")
            found[name] = self._check(name)
        return found

    def broken_checks(
        self, begin: Callable[[str], None] = lambda _: None
    ) -> dict[str, list[CheckRow]]:
        """As `run_checks`, of the invariants that some row breaks alone."""
        return {name: rows for name, rows in self.run_checks(begin).items() if rows}

    def _check(self, name: str) -> list[CheckRow]:
        found = self.stream(f"checks/{name}")
        return [
            dict(zip(found.columns, row, strict=True)) for row in islice(found.rows, CHECK_ROWS)
        ]

    def query(self, text: str) -> QueryResult:
        """Run a user's own query: one statement that only reads.

        Raises Refused for any other statement and BadInput for SQL that does not work, each one
        line; BadInput may also come while rows are read.
        """
        return self._asked(text, self._rows)

    def columns(self, text: str) -> ColumnarResult:
        """As `query`, as Arrow record batches, which keep the types of columns."""
        return self._asked(text, self._columns)

    def _asked(self, text: str, ask: Callable[[str], _Result]) -> _Result:
        """Ask once more, of the other runs, where the files of some turn out to be damaged."""
        if any("\ud800" <= character <= "\udfff" or character == "\x00" for character in text):
            raise BadInput("the query has a NUL or a byte that is not UTF-8")
        try:
            return ask(text)
        except PacoreError as fault:
            if not (may_be_damage(fault) and self._find_damage(text)):
                raise
            self._close()
            self._open()
            return ask(text)

    def _rows(self, text: str) -> QueryResult:
        """A query's columns and rows, the first row read."""
        rows = self._query(text, _executed)
        columns, types = next(rows)
        return QueryResult(columns, chain(list(islice(rows, 1)), rows), types)

    def _columns(self, text: str) -> ColumnarResult:
        """A query's schema and batches, the first batch read."""
        batches = self._query(text, _streamed)
        schema = next(batches)
        return ColumnarResult(schema, chain(list(islice(batches, 1)), batches))

    def _query(self, text: str, begin: Callable[[Connection, str], Iterator[Any]]) -> Iterator[Any]:
        """What ``begin`` gives of the query's statement."""
        explain = partial(explained, query=text)
        with as_bad_input(self._reader, explain), self._cursor() as cursor:
            statement = reading_only(cursor, text)
            self._make(cursor, needed(statement))
            yield from begun(
                lambda: begin(cursor, statement), lambda: self._make(cursor, list(RELATIONS))
            )


class ReportWarehouse(Warehouse):
    """A warehouse for reports on a few runs: what most of them read is computed once, of all its runs, and
    the files of a table are read once where they are no more than `SMALL_BYTES` together.

    DuckDB opens files again wherever a view over them is read, and plans each such reading.
    """

    MATERIALIZED = MATERIALIZED
    SMALL_BYTES = 4 * 2**20


def _fetched(cursor: Connection) -> Iterator[tuple[Any, ...]]:
    """The names and the types of the columns of what was executed, then its rows."""
    yield cursor.columns(), cursor.types()
    yield from rows_of(cursor)


def _executed(cursor: Connection, statement: str) -> Iterator[Any]:
    """Run a statement; the names and the types of its columns, then its rows."""
    cursor.execute(statement)
    return _fetched(cursor)


def _streamed(cursor: Connection, statement: str) -> Iterator[Any]:
    """Run a statement; its schema, then its record batches."""
    schema, batches = cursor.batches(statement)
    return chain([schema], batches)
