"""The warehouse: DuckDB over a store's committed files. The only package that imports duckdb.

All SQL stands in ``sql/``, one file a relation; this package only says which files a table is and
keeps people's own queries to reading. Rows come out as plain tuples and dicts.
"""

from pacore.warehouse.connection import SQL_FOLDER, check_names, sql
from pacore.warehouse.files import (
    AnswerRow,
    CandidateRow,
    ConclusionRow,
    VerdictRow,
    answers_of,
    candidates,
    conclusions,
    file_rows,
    message_sets,
    verdicts_in,
)
from pacore.warehouse.relations import MARTS, needed
from pacore.warehouse.views import QueryResult, Warehouse

__all__ = [
    "MARTS",
    "SQL_FOLDER",
    "AnswerRow",
    "CandidateRow",
    "ConclusionRow",
    "QueryResult",
    "VerdictRow",
    "Warehouse",
    "answers_of",
    "candidates",
    "check_names",
    "conclusions",
    "file_rows",
    "message_sets",
    "needed",
    "sql",
    "verdicts_in",
]
