"""The warehouse's relations over the same rows in DuckDB's memory: what reading files must give.

Arrow reads each file whole, so nothing of it is passed over, and no filter reaches it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pacore.store.backends.protocol import Backend
from pacore.store.schema import TABLES
from pacore.warehouse.connection import sql
from pacore.warehouse.relations import RELATIONS
from pacore.warehouse.tables import table_files

_FILES = re.compile(r"read_parquet\(\s*getvariable\('(\w+)_files'\)(?:[^()]|\([^()]*\))*\)")


def over_memory(text: str) -> str:
    """SQL with the tables in memory in place of the files."""
    return _FILES.sub(r"memory_\1", text)


class InMemory:
    """Answers the warehouse's SQL from memory. Only for stores in a folder."""

    def __init__(self, store: Backend, run_ids: Sequence[str]) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        with tempfile.TemporaryDirectory() as folder:
            files = table_files(store, store.reader(), run_ids, Path(folder)).paths
            for table, paths in files.items():
                self._connection.register("arriving", _read(table, paths))
                self._connection.execute(f"CREATE TABLE memory_{table} AS FROM arriving")
                self._connection.unregister("arriving")
        self._connection.execute(sql("macros"))
        self._connection.execute("SET VARIABLE numbers = []::BIGINT[]")
        for name, file in RELATIONS.items():
            self._connection.execute(f"CREATE VIEW {name} AS {over_memory(sql(file))}")

    def rows(self, text: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        cursor.execute("SET VARIABLE numbers = []::BIGINT[]")
        return cursor.execute(text, parameters or {}).fetchall()

    def close(self) -> None:
        self._connection.close()


def _read(table: str, paths: Sequence[str]) -> pa.Table:
    """The rows of some files with the path of each, dictionaries as plain text."""
    schema = pa.schema(
        [
            *(
                field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
                for field in TABLES[table].schema
            ),
            pa.field("filename", pa.string()),
        ]
    )
    found = []
    for path in paths:
        with pq.ParquetFile(path) as file:
            read = file.read()
        read = read.append_column("filename", pa.array([path] * len(read), pa.string()))
        for field in schema:
            if field.name not in read.column_names:
                read = read.append_column(field, pa.nulls(len(read), field.type))
        found.append(read.select(schema.names).cast(schema))
    return pa.concat_tables(found)
