"""Reads rows from a CSV file, with one record in memory at a time.

Spreadsheets and data frames write CSV in several dialects. The separator of cells is detected in the
header, or read from a ``sep=`` line; empty rows and columns are skipped.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import BinaryIO

from pacore.errors import BadInput
from pacore.problems.formats.rows import (
    CONVERT,
    MAX_LINE_BYTES,
    NOT_UTF8,
    UNDECODED,
    DecodedRow,
    RowFault,
    Rows,
    Say,
    TextDecoder,
    ignore_message,
    lines,
    too_long,
)
from pacore.problems.shapes.plain import GOLD_FIELDS, TEXT_FIELDS, TURNS_FIELDS
from pacore.problems.shapes.words import GOLD_WORDS, ID_WORDS, STATEMENT_WORDS, normalized_name

COMMA, TAB = ",", "\t"

SEPARATORS = (COMMA, ";", TAB, "|")

SAMPLE_LINES = 100

SAMPLE_BYTES = 64 * 1024

_SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[^"\n])"?\s*', re.IGNORECASE)

_KNOWN_WORDS = frozenset(
    map(normalized_name, (*TEXT_FIELDS, *GOLD_FIELDS, *STATEMENT_WORDS, *GOLD_WORDS, *ID_WORDS))
)


class _CsvText:
    """Decoded lines for the csv module.

    ``begin`` is the first line of the current record, 0 before a record; ``too_long`` are the numbers
    of skipped lines.
    """

    def __init__(self, file: BinaryIO, max_bytes: int, decoder: TextDecoder) -> None:
        self._lines: Iterator[tuple[int, bytes | None]] = lines(file, max_bytes)
        self._decoder = decoder
        self.begin = 0
        self.too_long: list[int] = []

    def sample(self) -> list[str]:
        """The first lines, which are read again."""
        held, size = [], 0
        for number, line in islice(self._lines, SAMPLE_LINES):
            held.append((number, line))
            size += len(line or b"")
            if size > SAMPLE_BYTES:
                break
        self._lines = chain(held, self._lines)
        return [line.decode("utf-8", "replace") + "\n" for _, line in held if line is not None]

    def skip(self) -> None:
        """Skip the next line."""
        next(self._lines)

    def __iter__(self) -> _CsvText:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if line is None:
                self.too_long.append(number)
                continue
            self.begin = self.begin or number
            try:
                return self._decoder.text(line, number) + "\n"
            except UnicodeDecodeError:
                return line.decode("utf-8", "surrogateescape") + "\n"
        raise StopIteration


def csv_rows(
    file: BinaryIO,
    max_bytes: int = MAX_LINE_BYTES,
    say: Say = ignore_message,
    likely: str = COMMA,
) -> Rows:
    """Records below a header, each with its first line; an empty cell is an absent field.

    The separator is detected in the header; ``likely`` is used where that is ambiguous. Raises BadInput
    for an unusable header.
    """
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    decoder = TextDecoder(say)
    text = _CsvText(file, max_bytes, decoder)
    sample = text.sample()
    stated = _SEPARATOR_LINE.fullmatch(sample[0]) if sample else None
    if stated is not None:
        text.skip()
        del sample[0]
    separator = stated["separator"] if stated is not None else _separator(sample, likely)
    header: list[str] = []
    is_spaced = _is_spaced(sample, separator)
    for begin, cells in _csv_records(text, max_bytes, separator, is_spaced):
        if isinstance(cells, str):
            if not header:
                raise BadInput(f"the header: {cells}")
            yield RowFault(begin, cells)
        elif not any(map(str.strip, cells)):
            continue
        elif not header:
            header = _checked_header(cells)
        else:
            yield _row(begin, header, cells)
    yield from decoder.contradicted()


def is_table(head: bytes) -> bool:
    """Whether a text is a table: its header has several columns, one of which pacore knows."""
    sample = [line + "\n" for line in head.decode("utf-8", "replace").split("\n")[:SAMPLE_LINES]]
    if _SEPARATOR_LINE.fullmatch(sample[0]):
        return True
    header = next(iter(_sampled(sample, _separator(sample))), [])
    return len(header) > 1 and any(_is_known(name) for name in header)


def _row(begin: int, header: list[str], cells: list[str]) -> DecodedRow | RowFault:
    """A record as a row; empty cells beyond the header are ignored."""
    while len(cells) > len(header) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(header):
        return RowFault(begin, f"has {len(cells)} cells where the header has {len(header)}")
    values = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    bad = next((name for name in values if UNDECODED.search(values[name])), None)
    return (
        DecodedRow(begin, values) if bad is None else RowFault(begin, f"{NOT_UTF8}; {CONVERT}", bad)
    )


def _csv_records(
    text: _CsvText, max_bytes: int, separator: str, is_spaced: bool
) -> Iterator[tuple[int, list[str] | str]]:
    """Nonempty records with the first line of each; a text in place of cells is an error message."""
    records = csv.reader(text, strict=True, delimiter=separator, skipinitialspace=is_spaced)
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


def _separator(sample: list[str], likely: str = COMMA) -> str:
    """The separator with the most known columns in the header, then with records of equal length.

    ``likely`` where no other is better.
    """
    found = {separator: list(_sampled(sample, separator)) for separator in (likely, *SEPARATORS)}
    return max(found, key=lambda separator: _fitness(found[separator]))


def _fitness(records: list[list[str]]) -> tuple[bool, int, bool]:
    if not records or len(records[0]) < 2:
        return False, 0, False
    is_regular = len({len(record) for record in records}) == 1
    return True, sum(map(_is_known, records[0])), is_regular


def _is_known(name: str) -> bool:
    return normalized_name(name.strip()) in _KNOWN_WORDS


def _sampled(sample: Iterable[str], separator: str) -> Iterator[list[str]]:
    """The nonempty records of a sample, up to the first invalid one."""
    try:
        for cells in csv.reader(sample, strict=True, delimiter=separator):
            if any(map(str.strip, cells)):
                yield cells
    except csv.Error:
        return


def _is_spaced(sample: list[str], separator: str) -> bool:
    """Whether a space follows every separator of the header; it is then not part of the cells."""
    header = next(iter(_sampled(sample, separator)), [])
    return len(header) > 1 and all(name.startswith(" ") for name in header[1:])


def _checked_header(names: list[str]) -> list[str]:
    """The names of the columns. Raises BadInput for an unusable header."""
    if UNDECODED.search("".join(names)):
        raise BadInput(f"the header {NOT_UTF8}; {CONVERT}")
    names = [name.strip() for name in names]
    while names and not names[-1]:
        names.pop()
    # A data frame's index has no name; of several columns without one, each gets its own.
    first = names.index("") if "" in names else None
    names = [
        name or ("" if index == first else f"column {index + 1}")
        for index, name in enumerate(names)
    ]
    turns_only = [name for name in names if name in TURNS_FIELDS and name not in TEXT_FIELDS]
    if turns_only and not any(
        normalized_name(name) in STATEMENT_WORDS or name in TEXT_FIELDS for name in names
    ):
        raise BadInput(f"column {turns_only[0]!r}: CSV cannot hold turns; use JSONL or Parquet")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadInput(f"column {twice[0]!r} occurs twice in the header")
    return names
