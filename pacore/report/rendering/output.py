"""The result of a query for other programs: its form, its rows as text, and the file it goes to.

CSV and JSON keep the data as it is; JSON writes what could steer a terminal as escapes, which is
the same data to a parser. CSV has no escapes: on a terminal, and only there, such characters are
written out. A spreadsheet takes text that begins like a formula for one, so there is a CSV for
spreadsheets, in which such text begins with an apostrophe. The file is there only once it is whole.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from pacore.errors import BadInput, PacoreError, Refused
from pacore.text import CONTROLS, visible

TEXT_FORMS = ("table", "csv", "tsv", "spreadsheet", "json", "jsonl")
COLUMNAR_FORMS = ("parquet", "arrow")
"""Forms that keep the types of columns; they are bytes, and need a file."""

ENDINGS = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""The form that a file's ending stands for; ``.feather`` is Arrow's name for its own files."""

_Rows = Iterable[Sequence[Any]]

_FORMULA = re.compile(r"[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]")
"""How a cell begins that a spreadsheet computes, in wide characters too."""

_PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")

_STEERING = re.compile(f"[{CONTROLS}]")


def form_of(form: str | None, output: str | None) -> str:
    """The form of a result, given ``--format`` and ``--output``; either may be missing.

    Raises BadInput for a file whose ending says nothing, and for bytes without a file.
    """
    if output is None:
        if form in COLUMNAR_FORMS:
            raise BadInput(f"--format {form}: needs --output FILE")
        return form or TEXT_FORMS[0]
    found = form or ENDINGS.get(Path(output).suffix.lower())
    if found is None:
        endings = ", ".join(ENDINGS)
        raise BadInput(f"--output {output}: ends in none of {endings}; --format says what to write")
    return found


def to_csv(
    columns: Sequence[str], rows: _Rows, is_spreadsheet: bool = False, separator: str = ","
) -> Iterator[str]:
    """RFC 4180 with a header, but for its line ends, which are ``\\n`` as in other text; for a
    spreadsheet without formulas, or with another ``separator`` of cells.
    """
    buffer = io.StringIO()
    # A writer told to end lines otherwise leaves texts with a lone \r unquoted.
    writer = csv.writer(buffer, lineterminator="\r\n", delimiter=separator)
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


def _checked_file(output: str, is_replaced: bool) -> Path:
    """The file that ``output`` names, links followed, if it can be written there.

    Raises BadInput for what cannot be a file, Refused for one that is there unless ``is_replaced``.
    """
    named = f"--output {output}"
    if "://" in output:
        raise BadInput(f"{named}: is a URL; name a local file")
    target = Path(output).resolve()
    if not target.parent.is_dir():
        raise BadInput(f"{named}: there is no folder {Path(output).parent}")
    if target.is_dir():
        raise BadInput(f"{named}: is a folder; name a file")
    if target.exists() and not target.is_file():
        raise BadInput(f"{named}: is no plain file")
    if target.exists() and not is_replaced:
        raise Refused(f"{named}: is there already; --overwrite replaces it")
    return target


@contextmanager
def written_whole(output: str, is_replaced: bool) -> Iterator[str]:
    """A file beside ``output`` to write to, which takes that name once the context ends without an error.

    Otherwise it is deleted, and what was there before is untouched. Raises as `_checked_file` does,
    and PacoreError where the folder takes no file.
    """
    target = _checked_file(output, is_replaced)
    partial = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        try:
            partial.touch(exist_ok=False)
        except OSError as fault:
            raise PacoreError(f"--output {output}: cannot be written: {fault.strerror}") from fault
        yield str(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        # Somebody may have written it while the query ran.
        _checked_file(output, is_replaced)
        partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink()
