"""Rows as text that other programs read: CSV, JSON, and JSON in lines, streamed.

CSV and JSON keep the data as it is; JSON writes what could steer a terminal as escapes, which is
the same data to a parser. CSV has no escapes: on a terminal, and only there, such characters are
written out. A spreadsheet takes text that begins like a formula for one, so there is a CSV for
spreadsheets, in which such text begins with an apostrophe.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from typing import Any

from pacore.text import CONTROLS, visible

_Rows = Iterable[Sequence[Any]]

_FORMULA = re.compile(r"[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]")
"""How a cell begins that a spreadsheet computes, in wide characters too."""

_PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


_STEERING = re.compile(f"[{CONTROLS}]")


def to_csv(columns: Sequence[str], rows: _Rows, is_spreadsheet: bool = False) -> Iterator[str]:
    """RFC 4180 with a header, but for its line ends, which are ``\\n`` as in other text; for a
    spreadsheet without formulas.
    """
    buffer = io.StringIO()
    # A writer told to end lines otherwise leaves texts with a lone \r unquoted.
    writer = csv.writer(buffer, lineterminator="\r\n")
    made = _harmless if is_spreadsheet else _unchanged
    written_out = visible if sys.stdout.isatty() else _unchanged
    for row in chain([columns], rows):
        cells = [made(value) if isinstance(value, str) else cell_text(value) or "" for value in row]
        writer.writerow([written_out(cell) for cell in cells])
        yield buffer.getvalue().removesuffix("\r\n") + "\n"
        buffer.seek(0)
        buffer.truncate()


def to_json_list(columns: Sequence[str], rows: _Rows) -> Iterator[str]:
    """A list of objects, a line each, in which NaN and infinities are null and times ISO 8601."""
    yield "["
    before = "\n"
    for line in _objects(columns, rows):
        yield before + line
        before = ",\n"
    yield "\n]\n"


def to_json_lines(columns: Sequence[str], rows: _Rows) -> Iterator[str]:
    """Objects as in `to_json_list`, one a line and nothing between them."""
    for line in _objects(columns, rows):
        yield line + "\n"


def _objects(columns: Sequence[str], rows: _Rows) -> Iterator[str]:
    names = [_json_string(name) for name in columns]
    for row in rows:
        fields = zip(names, map(_json_text, row), strict=True)
        yield f"{{{', '.join(f'{name}: {value}' for name, value in fields)}}}"


def _json_string(value: str) -> str:
    quoted = json.dumps(value, ensure_ascii=False)
    return _STEERING.sub(lambda found: json.dumps(found[0])[1:-1], quoted)


def _json_text(value: Any) -> str:
    """A DuckDB value as JSON; whole and decimal numbers keep all their digits."""
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float | Decimal):
        written = repr(value) if isinstance(value, float) else format(value, "f")
        return written if math.isfinite(value) else "null"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_json_text, value))}]"
    if isinstance(value, Mapping):
        fields = ((_json_string(cell_text(key) or ""), _json_text(of)) for key, of in value.items())
        return f"{{{', '.join(f'{name}: {of}' for name, of in fields)}}}"
    return _json_string(cell_text(value) or "")


def cell_text(value: Any) -> str | None:
    """A DuckDB value as a cell's text; None for null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, bool | Decimal | list | tuple | Mapping):
        return _json_text(value)
    return str(value)


def _unchanged(value: str) -> str:
    return value


def _harmless(value: str) -> str:
    """A text no spreadsheet computes; a plain number stays one."""
    begins = _FORMULA.match(value) and not _PLAIN_NUMBER.fullmatch(value)
    return f"'{value}" if begins else value
