"""Problem sets in files: JSONL, JSON, CSV and Parquet, local or behind any fsspec URL."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import BinaryIO, cast

from pacore.errors import BadInput
from pacore.problem import BadProblems, Problem, RowIssue, merge
from pacore.problem_csv import csv_rows
from pacore.problem_formats import NOT_UTF8, Row, RowFault, Rows, json_rows, jsonl_rows
from pacore.problem_rows import content_id, read_row
from pacore.store import open_source
from pacore.tables import iter_parquet_rows


def read_problem_set(url: str, limit: int | None = None) -> list[Problem]:
    """Read a problem set, sorted by id, identical rows merged; ``limit`` takes the first N rows.

    Raises BadInput for a file that cannot be read at all or has no rows, and BadProblems naming
    every bad row of the file (of the first N rows) otherwise.
    """
    found: list[tuple[Problem, str, int]] = []
    issues: list[RowIssue] = []
    for line, result in _results(url, limit):
        if isinstance(result, Problem):
            found.append((result, url, line))
        else:
            issues.extend(result)
    problems, duplicates = merge(found)
    issues = sorted([*issues, *duplicates], key=lambda issue: issue.line)
    if issues:
        raise BadProblems(issues)
    if not problems:
        raise BadInput(f"{url}: no problems: the file has no rows")
    return problems


def unnamed_by_row(url: str) -> list[str]:
    """The problem id of each row that states none itself, in the order of the file, and else ""."""
    results = (result for _, result in _results(url, None))
    return [
        result.problem_id
        if isinstance(result, Problem) and result.problem_id == content_id(result.content_digest)
        else ""
        for result in results
    ]


def _results(url: str, limit: int | None) -> Iterator[tuple[int, Problem | list[RowIssue]]]:
    """Each row's line, and its problem or everything that is wrong with it."""
    rows_of, compressed = file_format(url)
    with ExitStack() as stack:
        file = stack.enter_context(open_source(url))
        if compressed:
            file = cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb")))
        try:
            for row in islice(rows_of(file), limit):
                if isinstance(row, RowFault):
                    yield row.line, [RowIssue(url, row.line, row.field, row.what)]
                else:
                    yield row.line, read_row(row.value, url, row.line)
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
