"""Rows out of a CSV file, one record held at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO

from pacore.errors import BadInput
from pacore.problem_formats import (
    MAX_LINE_BYTES,
    NOT_UTF8,
    UNDECODED,
    Row,
    RowFault,
    Rows,
    lines,
    too_long,
)
from pacore.problem_shapes.plain import TEXT_FIELDS, TURNS_FIELDS


class _CsvText:
    """Decoded lines for the csv module.

    ``begin`` is the line at which the record at hand begins, 0 before one is begun; ``too_long``
    are the lines left out.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._lines = lines(file, max_bytes)
        self.begin = 0
        self.too_long: list[int] = []

    def __iter__(self) -> _CsvText:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if line is None:
                self.too_long.append(number)
                continue
            self.begin = self.begin or number
            return line.decode("utf-8", "surrogateescape") + "\n"
        raise StopIteration


def csv_rows(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES) -> Rows:
    """Records below a header, each with the line it begins at; an empty cell is an absent field.

    Raises BadInput for a header that cannot be used.
    """
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    header: list[str] = []
    for begin, cells in _csv_records(_CsvText(file, max_bytes), max_bytes):
        if not header:
            header = _checked_header(cells)
        elif isinstance(cells, str):
            yield RowFault(begin, cells)
        elif len(cells) != len(header):
            yield RowFault(begin, f"has {len(cells)} cells where the header has {len(header)}")
        else:
            values = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
            bad = next((name for name in values if UNDECODED.search(values[name])), None)
            yield Row(begin, values) if bad is None else RowFault(begin, NOT_UTF8, bad)


def _csv_records(text: _CsvText, max_bytes: int) -> Iterator[tuple[int, list[str] | str]]:
    """Records that are not empty with the line each begins at; text instead says what is wrong."""
    records = csv.reader(text, strict=True)
    while True:
        text.begin = 0
        try:
            cells: list[str] | str | None = next(records, None)
        except csv.Error as fault:
            cells = f"invalid CSV: {fault}"
        yield from ((line, f"line {too_long(max_bytes)}") for line in text.too_long)
        text.too_long.clear()
        if cells is None:
            return
        if cells:
            yield text.begin, cells


def _checked_header(names: list[str] | str) -> list[str]:
    if isinstance(names, str):
        raise BadInput(f"the header: {names}")
    if UNDECODED.search("".join(names)):
        raise BadInput(f"the header {NOT_UTF8}")
    turns_only = [name for name in names if name in TURNS_FIELDS and name not in TEXT_FIELDS]
    if turns_only:
        raise BadInput(f"column {turns_only[0]!r}: CSV cannot hold turns; use JSONL or Parquet")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadInput(f"column {twice[0]!r} stands twice in the header")
    return names
