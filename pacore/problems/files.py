"""Reads problem sets from files: JSONL, JSON, CSV and Parquet, at a local path or any fsspec URL."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from pacore.core.config.mapping import FieldMapping
from pacore.core.problem import Placed, Problem
from pacore.errors import BadInput
from pacore.problems.formats.bytes import PACKED_ENDINGS, PARQUET_MAGIC, READ_FAULTS, open_as_utf8
from pacore.problems.formats.csv import TAB, csv_rows, is_table
from pacore.problems.formats.rows import (
    MAX_LINE_BYTES,
    RowFault,
    Rows,
    Say,
    ignore_message,
    json_rows,
    jsonl_rows,
)
from pacore.problems.issues import BadProblems, RowIssue, merge
from pacore.problems.parts import content_id
from pacore.problems.shapes.mapping import listed_paths, paths_in, paths_wanted
from pacore.problems.shapes.plain import MISSING
from pacore.problems.shapes.recognise import NO_ROW, Reading, recognise
from pacore.store.backends.sources import open_source, source_faults, source_files
from pacore.text import did_you_mean


class ReadRow(NamedTuple):
    """One row of a file: its file and line, its decoded value (None where it could not be decoded),
    and its problem or its issues.
    """

    file: str
    line: int
    value: Any
    reading: Reading


def read_problem_set(
    url: str, limit: int | None = None, fields: FieldMapping | None = None
) -> list[Problem]:
    """Read a problem set, sorted by id, identical rows merged; ``limit`` takes the first N rows.

    ``url`` is a file, a folder or a pattern of files; ``fields`` is the user's mapping
    (`pacore.problems.shapes.mapping`). Raises BadInput for a file that cannot be read, has no rows,
    or no row with a problem, and BadProblems naming every bad row (of the first N rows) otherwise.
    """
    builder = ProblemSetBuilder(url, fields or {})
    for row in read_problem_rows(url, limit, fields):
        builder.add(row)
    return builder.problems()


class ProblemSetBuilder:
    """Builds a problem set from its rows: `add` every row, then call `problems`."""

    def __init__(self, url: str, fields: FieldMapping) -> None:
        self._url = url
        self._fields = fields
        self._found: list[Placed] = []
        self._issues: list[RowIssue] = []
        self._first: Mapping[str, object] | None = None
        self._found_paths: set[tuple[str, str]] = set()
        self._has_statement = False

    def add(self, row: ReadRow) -> None:
        result = row.reading.result
        if isinstance(result, Problem):
            self._found.append(Placed(result, row.file, row.line))
        else:
            self._issues += result
        if isinstance(row.value, Mapping):
            self._first = row.value if self._first is None else self._first
            if self._fields:
                self._found_paths |= paths_in(self._fields, row.value)
        is_missing = isinstance(result, list) and any(one.what == MISSING for one in result)
        self._has_statement |= not is_missing

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

    def _check_fields(self, first: Mapping[str, object]) -> None:
        """Raise BadInput, one for all rows, for a mapped field or a statement that no row has."""
        has = (
            f"the first row has the fields {', '.join(listed_paths(first)) or 'of an empty object'}"
        )
        for name, path in paths_wanted(self._fields):
            if (name, path) not in self._found_paths:
                near = did_you_mean(path, listed_paths(first))
                raise BadInput(f"--fields {name}={path}: no row of {self._url} has it{near}; {has}")
        if not self._has_statement:
            raise BadInput(
                f"{self._url}: no row has a field that pacore knows for a problem; {has}; "
                "map them with --fields problem=NAME,answer=NAME"
            )


def generated_ids(url: str, fields: FieldMapping | None = None) -> list[str]:
    """The problem id of each row whose file has none for it, in the order of the files; else ""."""
    results = (row.reading.result for row in read_problem_rows(url, None, fields))
    return [
        result.problem_id
        if isinstance(result, Problem) and result.problem_id == content_id(result.content_digest)
        else ""
        for result in results
    ]


def read_problem_rows(
    url: str,
    limit: int | None,
    fields: FieldMapping | None = None,
    say: Callable[[str, str], None] | None = None,
) -> Iterator[ReadRow]:
    """Each row with its problem or all its issues, file after file.

    ``say`` is called with a file's address and a remark on how it was read. Raises BadInput for a
    file that cannot be read.
    """
    yield from islice(_rows_of_all(url, fields, say), limit)


def _rows_of_all(
    url: str, fields: FieldMapping | None, say: Callable[[str, str], None] | None
) -> Iterator[ReadRow]:
    for name in problem_files(url):
        say_of_file = ignore_message if say is None else partial(say, name)
        with open_source(name) as file:
            for row in rows_in(file, name, say=say_of_file):
                if isinstance(row, RowFault):
                    issue = RowIssue(name, row.line, row.field, row.what)
                    yield ReadRow(name, row.line, None, Reading(NO_ROW, [issue]))
                else:
                    found = recognise(row.value, name, row.line, fields)
                    yield ReadRow(name, row.line, row.value, found)


def problem_files(url: str) -> list[str]:
    """The files of rows at an address. Raises BadInput where there are none."""
    return source_files(url, is_row_file)


class ReadLimits(NamedTuple):
    """Limits of the memory for a file: bytes of a row, rows of a batch. ``refused``: an error message
    where CSV and TSV are not accepted. ``choose`` takes of the names of all columns of a Parquet file
    those that are read.
    """

    max_bytes: int = MAX_LINE_BYTES
    batch_rows: int = 256
    refused: str | None = None
    choose: Callable[[Sequence[str]], Sequence[str]] | None = None


PROBLEM_ROWS = ReadLimits()


def rows_in(
    file: BinaryIO, name: str, how: ReadLimits = PROBLEM_ROWS, say: Say = ignore_message
) -> Rows:
    """Each row of an open file, whose format its first bytes and its name determine.

    Raises BadInput naming the file for one that cannot be read.
    """
    try:
        found = open_as_utf8(file)
        kind = _kind(found.head, name)
        if kind in _TABLES and how.refused is not None:
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

_TABLES = (CSV, TSV)

ENDINGS = {
    ".jsonl": LINES,
    ".ndjson": LINES,
    ".json": ARRAY,
    ".csv": CSV,
    ".tsv": TSV,
    ".parquet": PARQUET,
}


def _parquet_rows(file: BinaryIO, how: ReadLimits, _: Say) -> Rows:
    from pacore.problems.formats.parquet import parquet_rows

    return parquet_rows(file, how.batch_rows, how.choose)


_READERS: dict[str, Callable[[BinaryIO, ReadLimits, Say], Rows]] = {
    ARRAY: lambda file, how, say: json_rows(file, how.max_bytes, say),
    LINES: lambda file, how, say: jsonl_rows(file, how.max_bytes, say),
    CSV: lambda file, how, say: csv_rows(file, how.max_bytes, say),
    TSV: lambda file, how, say: csv_rows(file, how.max_bytes, say, TAB),
    PARQUET: _parquet_rows,
}


def is_row_file(name: str) -> bool:
    """Whether a name or address has the ending of a file of rows."""
    return _ending(name) in ENDINGS


def _ending(name: str) -> str:
    """The ending of a name in lower case, after removing that of a compression."""
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
    """The format of a file, by its first bytes where these are unambiguous, else by its name.

    Raises BadInput where neither determines it.
    """
    by_name = ENDINGS.get(_ending(name))
    text = head.removeprefix(codecs.BOM_UTF8)
    if head.startswith(PARQUET_MAGIC) or by_name == PARQUET:
        return PARQUET
    if not text.strip():
        return by_name or LINES
    if by_name in _TABLES and not _CERTAINLY_JSON.match(text):
        return by_name
    if _JSON.match(text):
        is_lines = _LINES_OF_LISTS.match(text) or not text.lstrip().startswith(b"[")
        return LINES if is_lines else ARRAY
    if by_name != ARRAY and is_table(text):
        return CSV
    if by_name is not None:
        return by_name
    known = ", ".join(ENDINGS)
    raise BadInput(
        f"unknown kind of file; supported are {known}, compressed or not; a table needs a header "
        "with a column that pacore knows, or the ending .csv or .tsv"
    )
