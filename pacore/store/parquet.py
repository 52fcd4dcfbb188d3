"""The tables as Parquet files: a writer that rejects what is not the schema, and readers.

Tables and what their rows are made of are in `pacore.store.schema`. Results of queries, which have
any columns, are written as Parquet or Arrow files by `write_batches`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pacore.errors import BadInput, PacoreError, StoreError
from pacore.store.backends.local import full
from pacore.store.schema import METADATA_GROUP_ROWS, TEXT_GROUP_ROWS, Row, TableSchema

GROUP_BYTES = 32 * 1024 * 1024

BLOOM_VALUES = 4096
"""Distinct ids a row group's bloom filter is sized for: 5 kB; the default of a million is 1 MB."""


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Raise StoreError, in one line, for a file that cannot be written; StoreFull on a full disk."""
    try:
        yield
    except OSError as fault:
        if found := full(path, fault):
            raise found from fault
        reason = os.strerror(fault.errno).lower() if fault.errno else "the disk refuses it"
        raise StoreError(f"{path.parent}: a table cannot be written: {reason}") from fault


class TableWriter:
    """Writes rows of one table to a local Parquet file, a bounded row group at a time.

    Rows are tuples in the schema's order. A row that does not fit the schema raises
    ``pyarrow.ArrowInvalid`` or ``pyarrow.ArrowTypeError``; nothing is inferred. A disk that takes no
    more raises StoreError. The file is complete only once the writer is closed without an error.
    """

    def __init__(self, path: Path, table: TableSchema[Any]) -> None:
        self.table = table
        self.rows = 0
        self._waiting: list[Row] = []
        self._waiting_bytes = 0
        self._text_columns = [table.schema.get_field_index(name) for name in table.text]
        labels = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
        # No statistics of doubles: Arrow leaves NaN out of them, and DuckDB then misses it.
        ordered = [
            field.name
            for field in table.schema
            if field.name not in table.text and not pa.types.is_floating(field.type)
        ]
        self._path = path
        with _written(path):
            self._writer = pq.ParquetWriter(
                path,
                table.schema,
                compression="zstd",
                compression_level=3,
                use_dictionary=labels,
                write_statistics=ordered,
                # Without it statistics are in the pages themselves, where DuckDB 2.0.0 misreads them.
                write_page_index=True,
                write_batch_size=16 if table.group_rows == TEXT_GROUP_ROWS else 1024,
                bloom_filter_options={name: {"ndv": BLOOM_VALUES} for name in table.bloom} or None,
            )

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        self.close()

    def finish(self) -> None:
        """Write the rows that wait and the footer; after this the file is complete."""
        self._flush()
        self.close()

    def close(self) -> None:
        """Close the file, complete or not."""
        with _written(self._path):
            self._writer.close()

    def add(self, row: Row) -> None:
        if len(row) != len(self.table.schema):
            raise pa.ArrowInvalid(f"{self.table.name}: {len(row)} values for its columns")
        self._waiting.append(row)
        self._waiting_bytes += sum(len(row[index] or "") for index in self._text_columns)
        self.rows += 1
        if len(self._waiting) >= self.table.group_rows or self._waiting_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        with _written(self._path):
            self._writer.write_table(to_arrow(self.table, self._waiting))
        self._waiting = []
        self._waiting_bytes = 0


def to_arrow(table: TableSchema[Any], rows: Sequence[Row]) -> pa.Table:
    """Rows as an Arrow table of exactly the schema, nulls refused where it has none."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in table.schema)
    arrays = []
    for field, values in zip(table.schema, columns, strict=True):
        array = pa.array(values, type=field.type)
        if array.null_count and not field.nullable:
            raise pa.ArrowInvalid(f"{table.name}.{field.name}: a null where none may be")
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=table.schema)


def read_rows(
    source: str | BinaryIO, columns: Sequence[str], start: int = 0, stop: int | None = None
) -> Iterator[dict[str, Any]]:
    """Rows ``start`` to ``stop`` of one Parquet file, only the row groups that hold them.

    ``source`` is a local path, or what a store opens. Columns that were added to a table after the
    file was written are null in its rows.
    """
    with pq.ParquetFile(source) as file:
        absent = dict.fromkeys(set(columns) - set(file.schema_arrow.names))
        position = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            first, last = max(start - position, 0), rows
            if stop is not None:
                last = min(stop - position, rows)
            if first < last:
                # A thread of Arrow that lets go of a Python file while the process ends aborts it.
                is_threaded = isinstance(source, str)
                table = file.read_row_group(group, columns=list(columns), use_threads=is_threaded)
                for row in table.slice(first, last - first).to_pylist():
                    yield {**row, **absent} if absent else row
            position += rows


def read_values(source: str | BinaryIO, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Some columns of one Parquet file: the values of each row in the order in which they are named."""
    for row in read_rows(source, columns):
        yield tuple(row[name] for name in columns)


def schema_of(path: Path) -> pa.Schema:
    """The Arrow schema of a Parquet file; of its rows nothing is read."""
    return pq.read_schema(path)


def read_column(file: BinaryIO, name: str) -> list[Any]:
    """One column of a Parquet file; of the others nothing is read."""
    with pq.ParquetFile(file) as parquet:
        values: list[Any] = parquet.read([name], use_threads=False).column(0).to_pylist()
    return values


def read_distinct(file: BinaryIO, name: str) -> set[Any]:
    """The different values of one column of a Parquet file; of the others nothing is read."""
    with pq.ParquetFile(file) as parquet:
        return set(parquet.read([name], use_threads=False).column(0).unique().to_pylist())


def write_rows(path: Path, table: TableSchema[Any], rows: Iterable[Row]) -> int:
    """Write a whole file; returns the number of rows."""
    with TableWriter(path, table) as writer:
        for row in rows:
            writer.add(row)
    return writer.rows


def write_batches(path: Path, form: str, schema: Any, batches: Iterable[Any]) -> None:
    """Write Arrow record batches of a schema, as they come, to a ``parquet`` or an ``arrow`` file.

    An Arrow file is of the IPC file format. Raises BadInput for a column that Parquet cannot hold,
    PacoreError where the disk takes no more.
    """
    if form == "parquet":
        _check_columns(schema)
    try:
        if form == "parquet":
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                for group in _groups(schema, batches):
                    writer.write_table(group, row_group_size=METADATA_GROUP_ROWS)
        else:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
    except OSError as fault:
        reason = os.strerror(fault.errno).lower() if fault.errno else str(fault)
        raise PacoreError(f"--output: cannot be written: {reason}") from fault


def _check_columns(schema: Any) -> None:
    """Raise BadInput for the first column that Parquet cannot hold."""
    for field in schema:
        try:
            with pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])):
                pass
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            raise BadInput(
                f"column {field.name!r} is of type {field.type}, which no Parquet file can hold; "
                "cast it to another, or write an Arrow file"
            ) from None


def _groups(schema: Any, batches: Iterable[Any]) -> Iterator[Any]:
    """Batches put together to row groups of a useful size, bounded in rows and bytes."""
    waiting: list[Any] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= METADATA_GROUP_ROWS or size >= GROUP_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def table_of(schema: Any, batches: Iterable[Any]) -> pa.Table:
    """Arrow record batches of a schema as one table in memory."""
    return pa.Table.from_batches(batches, schema)
