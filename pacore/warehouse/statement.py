"""People's own queries, kept to reading."""

from __future__ import annotations

import re
from collections.abc import Callable

import duckdb

from pacore.errors import Refused
from pacore.warehouse.connection import Connection

_EXPLAIN = re.compile(
    r"(?P<explain>\s*EXPLAIN\b\s*(?:ANALYZE\b|\(\s*(?:ANALYZE|FORMAT)\b[^()]*\))?)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_READING = ("SELECT", "MULTI")


def reading_only(cursor: Connection, text: str) -> str:
    """The query as it may be run, or Refused.

    The statement's type is not enough: a WITH clause of a SELECT may hold INSERT, DELETE or COPY,
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


def execute(cursor: Connection, statement: str, make_all: Callable[[], None]) -> None:
    """Run a statement; where it misses a relation, once more when all there are were made.

    A query may put a name together, and what is said of one that is not there names those that are.
    """
    try:
        cursor.execute(statement)
    except duckdb.CatalogException:
        make_all()
        cursor.execute(statement)


def _without_semicolon(statement: str) -> str:
    """One statement up to its closing semicolon; DuckDB's tokens are placed by bytes."""
    data = statement.encode()
    for start, kind in duckdb.tokenize(statement):
        if kind == duckdb.token_type.operator and data[start : start + 1] == b";":
            return data[:start].decode()
    return statement
