"""Problem sets in files: JSONL, JSON, CSV and Parquet, local or behind any fsspec URL."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from typing import BinaryIO, cast

from pacore.errors import BadInput
from pacore.problem import BadProblems, Problem, RowIssue, merge
from pacore.problem_formats import NOT_UTF8, Row, RowFault, Rows, csv_rows, json_rows, jsonl_rows
from pacore.problem_rows import read_row
from pacore.store import open_source
from pacore.tables import iter_parquet_rows


def read_problem_set(url: str, limit: int | None = None) -> list[Problem]:
    """Read a problem set, sorted by id, identical rows merged; ``limit`` takes the first N rows.

    Raises BadInput for a file that cannot be read at all or has no rows, and BadProblems naming
    every bad row of the file (of the first N rows) otherwise.
    """
    rows_of, compressed = _format(url)
    found: list[tuple[Problem, str, int]] = []
    issues: list[RowIssue] = []
    with ExitStack() as stack:
        file = stack.enter_context(open_source(url))
        if compressed:
            file = cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb")))
        try:
            for row in islice(rows_of(file), limit):
                if isinstance(row, RowFault):
                    issues.append(RowIssue(url, row.line, row.field, row.what))
                    continue
                result = read_row(row.value, url, row.line)
                if isinstance(result, Problem):
                    found.append((result, url, row.line))
                else:
                    issues.extend(result)
        except BadInput as fault:
            raise BadInput(f"{url}: {fault}") from fault
        except (OSError, EOFError, zlib.error) as fault:
            raise BadInput(f"{url}: cannot be read: {fault}") from fault
    problems, duplicates = merge(found)
    issues = sorted([*issues, *duplicates], key=lambda issue: issue.line)
    if issues:
        raise BadProblems(issues)
    if not problems:
        raise BadInput(f"{url}: no problems: the file has no rows")
    return problems


def _format(url: str) -> tuple[Callable[[BinaryIO], Rows], bool]:
    """How the rows of a file are read, by its ending, and whether it is compressed."""
    path = (url.partition("?")[0] if "://" in url else url).lower()
    compressed = path.endswith(".gz")
    path = path.removesuffix(".gz")
    for ending, rows_of in FORMATS.items():
        if path.endswith(ending) and not (compressed and ending == ".parquet"):
            return rows_of, compressed
    known = ", ".join(FORMATS)
    raise BadInput(f"{url}: unknown kind of file; supported are {known}, and .gz after the others")


def _parquet_rows(file: BinaryIO) -> Rows:
    number = 0
    try:
        for number, row in enumerate(iter_parquet_rows(file), 1):
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
    ".parquet": _parquet_rows,
}
