"""Connections to DuckDB, and what its faults mean here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeAlias

import duckdb

from pacore.errors import BadInput, StoreError
from pacore.store import Reader
from pacore.visible import visible

SQL_FOLDER = Path(__file__).parent.parent.parent / "sql"
FETCH_ROWS = 256

# As text: a type of DuckDB's among a module's names outlives the interpreter, and DuckDB 2.0 prints it.
Connection: TypeAlias = "duckdb.DuckDBPyConnection"

_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}


def connect(spill: str, threads: int | None = None) -> Connection:
    """A database of its own, in memory, that fetches nothing; ``spill`` is where it may grow."""
    bounded = {} if threads is None else {"threads": threads}
    return duckdb.connect(config={**_OFFLINE, "temp_directory": spill, **bounded})


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
def as_store_error(reader: Reader | None = None) -> Iterator[None]:
    """pacore's own SQL fails only over what the store holds."""
    try:
        yield
    except duckdb.Error as fault:
        if reader is not None and reader.failed is not None:
            raise reader.failed from fault
        raise StoreError(_first_line(fault)) from fault


@contextmanager
def as_bad_input(reader: Reader) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as fault:
        if reader.failed is not None:
            raise reader.failed from fault
        is_stores = isinstance(fault, duckdb.IOException)
        raise (StoreError if is_stores else BadInput)(_first_line(fault)) from fault
