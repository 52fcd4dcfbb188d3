"""Problem sets in files: JSONL, JSON, CSV and Parquet, local or behind any fsspec URL."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, cast

from pacore.errors import BadInput
from pacore.problem import BadProblems, Problem, RowIssue, merge
from pacore.problem_csv import csv_rows
from pacore.problem_formats import NOT_UTF8, Row, RowFault, Rows, json_rows, jsonl_rows
from pacore.problem_rows import content_id
from pacore.problem_shapes import (
    MISSING,
    NO_ROW,
    FieldMapping,
    Reading,
    listed_paths,
    paths_in,
    reading,
)
from pacore.store import open_source
from pacore.tables import iter_parquet_rows


class ReadRow(NamedTuple):
    """One row of a file: its line, what it held (None where it could not be decoded), what it is."""

    line: int
    value: Any
    reading: Reading


def read_problem_set(
    url: str, limit: int | None = None, fields: FieldMapping | None = None
) -> list[Problem]:
    """Read a problem set, sorted by id, identical rows merged; ``limit`` takes the first N rows.

    ``fields`` is a person's mapping (`pacore.problem_shapes.mapping`). Raises BadInput for a file
    that cannot be read at all, has no rows or none with a problem in it, and BadProblems naming
    every bad row of the file (of the first N rows) otherwise.
    """
    gathered = Gathered(url, fields or {})
    for row in read_rows(url, limit, fields):
        gathered.add(row)
    return gathered.problems()


class Gathered:
    """What the rows of one file come to; `problems` once all of them are added."""

    def __init__(self, url: str, fields: FieldMapping) -> None:
        self._url = url
        self._fields = fields
        self._found: list[tuple[Problem, str, int]] = []
        self._issues: list[RowIssue] = []
        self._first: Mapping[str, Any] | None = None
        self._leading: set[str] = set()
        self._is_stated = False

    def add(self, row: ReadRow) -> None:
        result = row.reading.result
        if isinstance(result, Problem):
            self._found.append((result, self._url, row.line))
        else:
            self._issues += result
        if isinstance(row.value, Mapping):
            self._first = row.value if self._first is None else self._first
            self._leading |= paths_in(self._fields, row.value)
        is_silent = isinstance(result, list) and any(one.what == MISSING for one in result)
        self._is_stated |= not is_silent

    def problems(self) -> list[Problem]:
        """The problem set. Raises as `read_problem_set` does."""
        if self._first is not None:
            self._check_fields(self._first)
        problems, duplicates = merge(self._found)
        issues = sorted([*self._issues, *duplicates], key=lambda issue: issue.line)
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
        for name, path in self._fields.items():
            if name not in self._leading:
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


def read_rows(url: str, limit: int | None, fields: FieldMapping | None = None) -> Iterator[ReadRow]:
    """Each row of a file with its problem or everything that is wrong with it. Raises BadInput."""
    rows_of, compressed = file_format(url)
    with ExitStack() as stack:
        file = stack.enter_context(open_source(url))
        if compressed:
            file = cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb")))
        try:
            for row in islice(rows_of(file), limit):
                if isinstance(row, RowFault):
                    issue = RowIssue(url, row.line, row.field, row.what)
                    yield ReadRow(row.line, None, Reading(NO_ROW, [issue]))
                else:
                    yield ReadRow(row.line, row.value, reading(row.value, url, row.line, fields))
        except BadInput as fault:
            raise BadInput(f"{url}: {fault}") from fault
        except (OSError, EOFError, zlib.error) as fault:
            raise BadInput(f"{url}: cannot be read: {fault}") from fault


def is_row_file(url: str) -> bool:
    """Whether an address ends as files of rows do."""
    try:
        file_format(url)
    except BadInput:
        return False
    return True


def file_format(url: str) -> tuple[Callable[[BinaryIO], Rows], bool]:
    """How the rows of a file are read, by its ending, and whether it is compressed.

    Raises BadInput for an ending nobody knows.
    """
    path = (url.partition("?")[0] if "://" in url else url).lower()
    compressed = path.endswith(".gz")
    path = path.removesuffix(".gz")
    for ending, rows_of in FORMATS.items():
        if path.endswith(ending) and not (compressed and ending == ".parquet"):
            return rows_of, compressed
    known = ", ".join(FORMATS)
    raise BadInput(f"{url}: unknown kind of file; supported are {known}, and .gz after the others")


def parquet_rows(file: BinaryIO, batch_rows: int = 256) -> Rows:
    """The rows of a Parquet file, ``batch_rows`` of them in memory at a time."""
    number = 0
    try:
        for number, row in enumerate(iter_parquet_rows(file, batch_rows), 1):
            yield Row(number, row)
    except UnicodeDecodeError:
        yield RowFault(0, f"text in a row after row {number} {NOT_UTF8}")
    except ValueError as fault:
        # Parquet is read from its end, which a server without range requests cannot offer.
        raise BadInput(f"cannot be read: {fault}") from fault


FORMATS: dict[str, Callable[[BinaryIO], Rows]] = {
    ".jsonl": jsonl_rows,
    ".ndjson": jsonl_rows,
    ".json": json_rows,
    ".csv": csv_rows,
    ".parquet": parquet_rows,
}
