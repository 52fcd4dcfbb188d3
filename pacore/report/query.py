"""The result of a query as a table to look at, or as CSV or JSON to work with.

CSV and JSON keep the data as it is; JSON writes what could steer a terminal as escapes, which is
the same data to a parser. CSV has no escapes: on a terminal, and only there, such characters are
written out. A spreadsheet takes text that begins like a formula for one, so there is a CSV for
spreadsheets, in which such text begins with an apostrophe.

Users' own queries run in a process of their own (`pacore.bounded`), which calls `answer`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain, islice
from typing import Any, ClassVar, NamedTuple

from pacore.errors import BadInput
from pacore.report.rendering.sheet import ABSENT, Column, Format, Note, Passage, Sheet, Table
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.text import CONTROLS, visible
from pacore.warehouse.prices import read_prices
from pacore.warehouse.relations import needed
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import QueryResult, Warehouse

TABLE_ROWS = 1000


CELL_CHARACTERS = 200


NARROW_CHARACTERS = 30


EXPLAINED = ("explain_key", "explain_value")

_FORMULA = re.compile(r"[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]")
"""How a cell begins that a spreadsheet computes, in wide characters too."""

_PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


_STEERING = re.compile(f"[{CONTROLS}]")


def query_output(result: QueryResult, form: str, width: int | None = None) -> Iterator[str]:
    """A result in pieces of text, line breaks included: ``table``, ``csv``, ``spreadsheet``, ``json``.

    ``csv`` is RFC 4180 with a header, ``spreadsheet`` the same without formulas; ``json`` is a list
    of objects, a line each, in which NaN and infinities are null and times ISO 8601. All are
    streamed; a table shows the first thousand rows. Raises BadInput for another format, and where
    a row cannot be computed.
    """
    if form in ("csv", "spreadsheet"):
        return _csv(result, _harmless if form == "spreadsheet" else _unchanged)
    if form == "json":
        return _json(result)
    if form == "table":
        return iter([to_text(_sheet(result), width) + "\n"])
    raise BadInput(f"--format: {form!r} is none of table, csv, json, spreadsheet")


def _json(result: QueryResult) -> Iterator[str]:
    names = [_json_string(name) for name in result.columns]
    yield "["
    before = "\n"
    for row in result.rows:
        fields = zip(names, map(_json_text, row), strict=True)
        yield f"{before}{{{', '.join(f'{name}: {value}' for name, value in fields)}}}"
        before = ",\n"
    yield "\n]\n"


def _json_string(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
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
        fields = ((_json_string(_text(key) or ""), _json_text(of)) for key, of in value.items())
        return f"{{{', '.join(f'{name}: {of}' for name, of in fields)}}}"
    return _json_string(_text(value) or "")


def _text(value: Any) -> str | None:
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


def _csv(result: QueryResult, made: Callable[[str], str]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    written_out = visible if sys.stdout.isatty() else _unchanged
    for row in chain([result.columns], result.rows):
        cells = [made(value) if isinstance(value, str) else _text(value) or "" for value in row]
        writer.writerow([written_out(cell) for cell in cells])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _unchanged(text: str) -> str:
    return text


def _harmless(text: str) -> str:
    """A text no spreadsheet computes; a plain number stays one."""
    begins = _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text)
    return f"'{text}" if begins else text


def _sheet(result: QueryResult) -> Sheet:
    """The first rows as a table that becomes a record for each row where it is too wide."""
    rows = list(islice(result.rows, TABLE_ROWS))
    if result.columns == EXPLAINED:
        return Sheet(None, [[Passage(str(plan)) for _, plan in rows]])
    left_out = sum(1 for _ in result.rows)
    counted = f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"
    if left_out:
        counted = f"the first {counted} of {len(rows) + left_out:,}; csv and json have all"
    numbers = [all(_is_number(row[index]) for row in rows) for index in range(len(result.columns))]
    columns = [
        Column(title, Format(_cell, is_number))
        for title, is_number in zip(result.columns, numbers, strict=True)
    ]
    shown = Table(columns, rows, narrowest=NARROW_CHARACTERS)
    return Sheet(None, [[shown, Note(f"({counted})", "faint")]])


def _is_number(value: Any) -> bool:
    return value is None or (
        isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    )


def _cell(value: Any) -> str:
    text = _text(value)
    if text is None:
        return ABSENT
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"


@dataclass(frozen=True, slots=True)
class GradingsOfRun(ReportRow):
    """Which kinds of grading a run has: any, a judge's opinion without gold answers, any by a judge."""

    QUERY: ClassVar[str] = "query/gradings"

    run_id: str
    is_graded: bool
    has_opinions: bool
    is_judged: bool


class Need(NamedTuple):
    """A grading that a relation is made of: whether a run has it, the words for runs without it, and the
    command that makes it.
    """

    is_there: Callable[[GradingsOfRun], bool]
    lack: str
    command: str


NEEDS = {
    "opinions": Need(
        lambda run: run.has_opinions,
        "have no judge's opinion",
        "grade {} --grader judge --opinion",
    ),
    "judgings": Need(
        lambda run: run.is_judged, "are graded by no judge", "grade {} --grader judge"
    ),
    "graded_runs": Need(lambda run: run.is_graded, "have no finished grading", "grade {}"),
}
"""The grading that some relations are made of, by relation."""

LISTED_RUNS = 3


def answer(store_url: str, text: str, form: str, prices: str, memory_bytes: int) -> None:
    """Print what a query gives; ``prices`` is a file's name, or empty. Raises as `Warehouse.query`.

    Where it has no result, and runs lack the grading that its relations are made of, a line on stderr
    names them.
    """
    rows = read_prices(prices) if prices else ()
    store = open_store(store_url)
    with Warehouse(store, prices=rows, memory_bytes=memory_bytes, say=_say) as warehouse:
        result = warehouse.query(text)
        first = list(islice(result.rows, 2))
        whole = QueryResult(result.columns, chain(first, result.rows))
        for part in query_output(whole, form):
            sys.stdout.write(part)
        if _is_nothing(first):
            for notice in _needed_gradings(warehouse, text):
                _say(notice)


def _is_nothing(first: Sequence[Sequence[Any]]) -> bool:
    """Whether a query gave no row, or one that an aggregate over no rows would give."""
    return len(first) < 2 and not any(value for row in first for value in row)


def _needed_gradings(warehouse: Warehouse, text: str) -> Iterator[str]:
    """The gradings whose lack leaves the relations of a query empty, and the command that makes them."""
    relations = set(needed(text))
    if not relations & NEEDS.keys():
        return
    runs = warehouse.read(GradingsOfRun)
    for relation, need in NEEDS.items():
        lacking = [run.run_id for run in runs if not need.is_there(run)]
        if relation in relations and lacking:
            shown = ", ".join(lacking[:LISTED_RUNS])
            more = f" and {len(lacking) - LISTED_RUNS:,} more" if lacking[LISTED_RUNS:] else ""
            yield f"runs that {need.lack}: {shown}{more}; pacore {need.command.format(lacking[0])}"
            return


def _say(notice: str) -> None:
    sys.stderr.write(f"pacore: {visible(notice)}\n")
