"""Problem sets in files: JSONL, JSON, CSV and Parquet, local or behind any fsspec URL, one or many."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from pacore.core.config.fields import FieldMapping
from pacore.core.problem import Placed, Problem
from pacore.errors import BadInput
from pacore.problems.formats.bytes import PACKED_ENDINGS, READ_FAULTS, opened
from pacore.problems.formats.csv import TAB, csv_rows, is_table
from pacore.problems.formats.parquet import MAGIC, parquet_rows
from pacore.problems.formats.rows import (
    MAX_LINE_BYTES,
    RowFault,
    Rows,
    Say,
    json_rows,
    jsonl_rows,
    unsaid,
)
from pacore.problems.issues import BadProblems, RowIssue, merge
from pacore.problems.parts import content_id
from pacore.problems.shapes.mapping import listed_paths, paths_in, paths_wanted
from pacore.problems.shapes.plain import MISSING
from pacore.problems.shapes.recognise import NO_ROW, Reading, recognise
from pacore.store.backends.sources import open_source, source_faults, source_files


class ReadRow(NamedTuple):
    """One row of a file: where it is, what it held (None where it could not be decoded), what it is."""

    file: str
    line: int
    value: Any
    reading: Reading


def read_problem_set(
    url: str, limit: int | None = None, fields: FieldMapping | None = None
) -> list[Problem]:
    """Read a problem set, sorted by id, identical rows merged; ``limit`` takes the first N rows.

    ``url`` is a file, a folder or a pattern of files; ``fields`` is a person's mapping
    (`pacore.problems.shapes.mapping`). Raises BadInput for a file that cannot be read at all, has no
    rows or none with a problem in it, and BadProblems naming every bad row (of the first N rows)
    otherwise.
    """
    gathered = Gathered(url, fields or {})
    for row in read_rows(url, limit, fields):
        gathered.add(row)
    return gathered.problems()


class Gathered:
    """What the rows of a problem set come to; `problems` once all of them are added."""

    def __init__(self, url: str, fields: FieldMapping) -> None:
        self._url = url
        self._fields = fields
        self._found: list[Placed] = []
        self._issues: list[RowIssue] = []
        self._first: Mapping[str, Any] | None = None
        self._leading: set[tuple[str, str]] = set()
        self._is_stated = False

    def add(self, row: ReadRow) -> None:
        result = row.reading.result
        if isinstance(result, Problem):
            self._found.append(Placed(result, row.file, row.line))
        else:
            self._issues += result
        if isinstance(row.value, Mapping):
            self._first = row.value if self._first is None else self._first
            if self._fields:
                self._leading |= paths_in(self._fields, row.value)
        is_silent = isinstance(result, list) and any(one.what == MISSING for one in result)
        self._is_stated |= not is_silent

    def problems(self) -> list[Problem]:
        """The problem set. Raises as `read_problem_set` does."""
        if self._first is not None:
            self._check_fields(self._first)
        problems, duplicates = merge(self._found)
        issues = sorted([*self._issues, *duplicates], key=lambda issue: (issue.file, issue.line))
        if issues:
            raise BadProblems(issues)
        if not problems:
            raise BadInput(f"{self._url}: no problems: the file has no rows")
        return problems

    def _check_fields(self, first: Mapping[str, Any]) -> None:
        """Say once what would otherwise be said of every row. Raises BadInput."""
        has = (
            f"the first row has the fields {', '.join(listed_paths(first)) or 'of an empty object'}"
        )
        for name, path in paths_wanted(self._fields):
            if (name, path) not in self._leading:
                raise BadInput(f"fields: {name}={path}: no row of {self._url} has it; {has}")
        if not self._is_stated:
            raise BadInput(
                f"{self._url}: no row has a field that pacore knows for a problem; {has}; "
                "say which is which with --fields problem=NAME,answer=NAME"
            )


def unnamed_by_row(url: str, fields: FieldMapping | None = None) -> list[str]:
    """The problem id of each row that states none itself, in the order of the file, and else ""."""
    results = (row.reading.result for row in read_rows(url, None, fields))
    return [
        result.problem_id
        if isinstance(result, Problem) and result.problem_id == content_id(result.content_digest)
        else ""
        for result in results
    ]


def read_rows(
    url: str,
    limit: int | None,
    fields: FieldMapping | None = None,
    say: Callable[[str, str], None] | None = None,
) -> Iterator[ReadRow]:
    """Each row with its problem or everything that is wrong with it, file after file.

    ``say`` hears, with a file's address, what a person should know of how it was read. Raises
    BadInput for a file that cannot be read.
    """
    yield from islice(_rows_of_all(url, fields, say), limit)


def _rows_of_all(
    url: str, fields: FieldMapping | None, say: Callable[[str, str], None] | None
) -> Iterator[ReadRow]:
    for name in problem_files(url):
        told = unsaid if say is None else partial(say, name)
        with open_source(name) as file:
            for row in rows_in(file, name, say=told):
                if isinstance(row, RowFault):
                    issue = RowIssue(name, row.line, row.field, row.what)
                    yield ReadRow(name, row.line, None, Reading(NO_ROW, [issue]))
                else:
                    found = recognise(row.value, name, row.line, fields)
                    yield ReadRow(name, row.line, row.value, found)


def problem_files(url: str) -> list[str]:
    """The files of rows that an address names. Raises BadInput where there are none."""
    return source_files(url, is_row_file)


class HowRead(NamedTuple):
    """Bounds on what is held of a file at a time; ``refused`` says why a table is none, where it is."""

    max_bytes: int = MAX_LINE_BYTES
    batch_rows: int = 256
    refused: str | None = None


PROBLEM_ROWS = HowRead()


def rows_in(file: BinaryIO, name: str, how: HowRead = PROBLEM_ROWS, say: Say = unsaid) -> Rows:
    """Each row of an open file, of whatever format its first bytes and its name say.

    Raises BadInput naming the file for one that cannot be read at all.
    """
    try:
        found = opened(file)
        kind = _kind(found.head, name)
        if kind in TABLES and how.refused is not None:
            raise BadInput(how.refused)
        yield from _READERS[kind](found.file, how, say)
    except BadInput as fault:
        raise BadInput(f"{name}: {fault}") from fault
    except (*READ_FAULTS, *source_faults()) as fault:
        raise BadInput(f"{name}: cannot be read: {_one_line(fault)}") from fault


def _one_line(fault: BaseException) -> str:
    lines = str(fault).splitlines()
    return lines[0] if lines else type(fault).__name__


ARRAY, LINES, CSV, TSV, PARQUET = "array", "lines", "csv", "tsv", "parquet"


TABLES = (CSV, TSV)


ENDINGS = {
    ".jsonl": LINES,
    ".ndjson": LINES,
    ".json": ARRAY,
    ".csv": CSV,
    ".tsv": TSV,
    ".parquet": PARQUET,
}

_READERS: dict[str, Callable[[BinaryIO, HowRead, Say], Rows]] = {
    ARRAY: lambda file, how, say: json_rows(file, how.max_bytes, say),
    LINES: lambda file, how, say: jsonl_rows(file, how.max_bytes, say),
    CSV: lambda file, how, say: csv_rows(file, how.max_bytes, say),
    TSV: lambda file, how, say: csv_rows(file, how.max_bytes, say, TAB),
    PARQUET: lambda file, how, _: parquet_rows(file, how.batch_rows),
}


def is_row_file(name: str) -> bool:
    """Whether a name or address ends as files of rows do."""
    return _ending(name) in ENDINGS


def _ending(name: str) -> str:
    """The ending of a name in lower case, without that of a compression."""
    path = PurePosixPath((name.partition("?")[0] if "://" in name else name).partition("::")[0])
    for _ in range(2):
        ending = path.suffix.lower()
        if ending not in PACKED_ENDINGS:
            return ending
        path = path.with_suffix("")
    return ""


_JSON = re.compile(rb"\s*[\[{]")


_CERTAINLY_JSON = re.compile(rb'\s*(?:\[\s*)?\{\s*"')


_LINES_OF_LISTS = re.compile(rb"\s*\[[^\n]*\][ \t\r]*\n\s*\[")


def _kind(head: bytes, name: str) -> str:
    """The format of a file: what its first bytes certainly are, else what its name says.

    Raises BadInput where neither does.
    """
    ending = _ending(name)
    said = ENDINGS.get(ending)
    text = head.removeprefix(codecs.BOM_UTF8)
    if head.startswith(MAGIC) or said == PARQUET:
        return PARQUET
    if not text.strip():
        return said or LINES
    if said in TABLES and not _CERTAINLY_JSON.match(text):
        return said
    if _JSON.match(text):
        is_lines = _LINES_OF_LISTS.match(text) or not text.lstrip().startswith(b"[")
        return LINES if is_lines else ARRAY
    if said != ARRAY and is_table(text):
        return CSV
    if said is not None:
        return said
    known = ", ".join(ENDINGS)
    raise BadInput(
        f"unknown kind of file; supported are {known}, compressed or not; a table needs a header "
        "with a column that pacore knows, or an ending that says how its cells are separated"
    )
