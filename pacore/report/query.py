"""The result of a query: a table to look at, text for other programs, or a file of columns.

Users' own queries run in a process of their own (`pacore.bounded`), which calls `answer`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pacore.errors import BadInput, PacoreError
from pacore.report.rendering.output import (
    COLUMNAR_FORMS,
    TEXT_FORMS,
    cell_text,
    to_csv,
    to_json_lines,
    to_json_list,
)
from pacore.report.rendering.sheet import ABSENT, Format, Note, Passage, Sheet, SheetColumn, Table
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.text import visible
from pacore.warehouse.prices import read_prices
from pacore.warehouse.relations import needed
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import QueryResult, Warehouse

TABLE_ROWS = 1000


CELL_CHARACTERS, CUT = 200, "…"


NARROW_CHARACTERS = 30

FEW_COLUMNS = 6
"""Columns whose titles fit a line; of more, a result without rows has their names as text."""


EXPLAINED = ("explain_key", "explain_value")


def query_output(result: QueryResult, form: str, width: int | None = None) -> Iterator[str]:
    """A result in pieces of text, line breaks included: one of `TEXT_FORMS`.

    ``spreadsheet`` is CSV without formulas, ``tsv`` CSV with tabs between cells, ``json`` a list and
    ``jsonl`` lines of objects. All are streamed; a table shows the first thousand rows. Raises BadInput
    for another format, and where a row cannot be computed.
    """
    if form in ("csv", "spreadsheet"):
        return to_csv(result.columns, result.rows, form == "spreadsheet")
    if form == "tsv":
        return to_csv(result.columns, result.rows, separator="\t")
    if form == "json":
        return to_json_list(result.columns, result.rows)
    if form == "jsonl":
        return to_json_lines(result.columns, result.rows)
    if form == "table":
        return iter([to_text(query_sheet(result), width) + "\n"])
    raise BadInput(f"--format: {form!r} is none of {', '.join(TEXT_FORMS)}")


def query_sheet(result: QueryResult) -> Sheet:
    """The first rows as a table, which is turned or becomes records where it is too wide."""
    rows = list(islice(result.rows, TABLE_ROWS))
    if result.columns == EXPLAINED:
        return Sheet(None, [[Passage(str(plan)) for _, plan in rows]])
    left_out = sum(1 for _ in result.rows)
    counted = f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"
    if left_out:
        counted = f"the first {counted} of {len(rows) + left_out:,}; csv and json have all"
    numbers = [all(_is_number(row[index]) for row in rows) for index in range(len(result.columns))]
    columns = [
        SheetColumn(title, Format(_cell, is_number), is_folded=not is_number)
        for title, is_number in zip(result.columns, numbers, strict=True)
    ]
    if not rows and len(columns) > FEW_COLUMNS:
        named = Note(f"columns: {', '.join(result.columns)}")
        return Sheet(None, [[named, Note(f"({counted})", "faint")]])
    shown = Table(columns, rows, narrowest=NARROW_CHARACTERS)
    if any(
        cell.endswith(CUT) and len(cell) == CELL_CHARACTERS for row in shown.cells for cell in row
    ):
        counted += f"; {CUT} ends what is longer than {CELL_CHARACTERS} characters, which csv and json have"
    return Sheet(None, [[shown, Note(f"({counted})", "faint")]])


def _is_number(value: Any) -> bool:
    return value is None or (
        isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    )


def _cell(value: Any) -> str:
    text = cell_text(value)
    if text is None:
        return ABSENT
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + CUT


@dataclass(frozen=True, slots=True)
class GradingsOfRun(ReportRow):
    """Which kinds of grading a run has: any, a judge's opinion without gold answers, any by a judge."""

    QUERY: ClassVar[str] = "query/gradings"

    run_id: str
    is_graded: bool
    has_opinions: bool
    is_judged: bool


class NeededGrading(NamedTuple):
    """A grading that a relation is made of: whether a run has it, the words for runs without it, and the
    command that makes it.
    """

    is_there: Callable[[GradingsOfRun], bool]
    lack: str
    command: str


NEEDS = {
    "opinions": NeededGrading(
        lambda run: run.has_opinions,
        "have no judge's opinion",
        "grade {} --grader judge --opinion",
    ),
    "judgings": NeededGrading(
        lambda run: run.is_judged, "are graded by no judge", "grade {} --grader judge"
    ),
    "graded_runs": NeededGrading(lambda run: run.is_graded, "have no finished grading", "grade {}"),
}
"""The grading that some relations are made of, by relation."""

LISTED_RUNS = 3


def answer(
    store_url: str, text: str, form: str, prices: str, output: str, memory_bytes: int
) -> None:
    """Print what a query gives, or write it to the file ``output`` and print the number of its rows.

    ``prices`` is a file's name; both may be empty. Raises as `Warehouse.query` does, PacoreError where
    the file cannot be written.

    Where it has no result, and runs lack the grading that its relations are made of, a line on stderr
    names them.
    """
    rows = read_prices(prices) if prices else ()
    store = open_store(store_url)
    with Warehouse(store, prices=rows, memory_bytes=memory_bytes, say=_say) as warehouse:
        answered = _Answer()
        if form in COLUMNAR_FORMS:
            from pacore.store.parquet import write_batches

            found = warehouse.columns(text)
            write_batches(Path(output), form, found.schema, answered.batches(found.batches))
        else:
            result = warehouse.query(text)
            kept = QueryResult(result.columns, answered.rows(result.rows))
            _write_text(query_output(kept, form), output)
        if output:
            sys.stdout.write(f"{answered.count}\n")
        if answered.is_nothing:
            for notice in _needed_gradings(warehouse, text):
                _say(notice)


def _write_text(parts: Iterable[str], output: str) -> None:
    if not output:
        for part in parts:
            sys.stdout.write(part)
        return
    try:
        with open(output, "w", encoding="utf-8", newline="") as file:
            for part in parts:
                file.write(part)
    except OSError as fault:
        raise PacoreError(f"--output: cannot be written: {fault.strerror}") from fault


class _Answer:
    """What passes to a reader: how many rows there were, and whether they say anything."""

    def __init__(self) -> None:
        self.count = 0
        self._has_value = False

    @property
    def is_nothing(self) -> bool:
        """Whether there was no row, or one such as an aggregate over no rows gives."""
        return self.count < 2 and not self._has_value

    def rows(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for row in rows:
            self._look(row)
            self.count += 1
            yield row

    def batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            for row in batch.slice(0, 1).to_pylist():
                self._look(row.values())
            self.count += batch.num_rows
            yield batch

    def _look(self, values: Iterable[Any]) -> None:
        self._has_value = self._has_value or (self.count == 0 and any(values))


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
