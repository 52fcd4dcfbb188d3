"""What a person reads of gradings: verdicts by round, one grading beside another, and refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pacore.core.grading.verdict import VERDICTS
from pacore.errors import ChecksFailed
from pacore.store.run import headline, open_run
from pacore.terminal import ABSENT, Column, Grid, line, number, share, stacked, to_text
from pacore.text import excerpt
from pacore.warehouse.views import CHECK_ROWS, Warehouse

SHOWN_ROWS = 3
SHOWN_CHARACTERS = 60


def grading_table(
    warehouse: Warehouse, run_id: str, grading_id: str, width: int | None = None
) -> str:
    """What a grading says of a run, round by round, and the accuracy by it and those before it."""
    gradings = warehouse.rows("reports/gradings", run_id=run_id)
    named = next(row for row in gradings if row["grading"] == grading_id)
    title = f"grading {grading_id} · {named['grader']} · {named['grader_version']}"
    parts = stacked(
        line(headline(open_run(warehouse.store, run_id)), "bold"),
        line(title),
        line(""),
        _graded_rounds(warehouse.rows("reports/grading_rounds", run_id=run_id, grading=grading_id)),
        line(""),
        _gradings(gradings),
    )
    return to_text(parts, width)


def _graded_rounds(rows: Sequence[Mapping[str, Any]]) -> Grid:
    names = ("trajectories", *VERDICTS)
    columns = [Column(name.replace("_", " "), is_number=True) for name in ("round", *names)]
    cells = [(str(row["round"]), *(number(row[name]) for name in names)) for row in rows]
    scores = [number(row["score"], 3) for row in rows]
    return Grid(
        [*columns, Column("mean score", is_number=True)],
        [(*row, score) for row, score in zip(cells, scores, strict=True)],
    )


def _gradings(rows: Sequence[Mapping[str, Any]]) -> Grid:
    columns = [
        Column("grading"),
        Column("grader"),
        Column("version"),
        Column("accuracy", is_number=True),
        Column("scored", is_number=True),
        Column(""),
    ]
    return Grid(
        columns,
        [
            (
                row["grading"],
                row["grader"],
                row["grader_version"] or ABSENT,
                share(row["score"]),
                f"{number(row['scored'])}/{number(row['planned'])}",
                "current" if row["stands"] else "",
            )
            for row in rows
        ],
    )


def refusal(broken: Mapping[str, Sequence[Mapping[str, Any]]]) -> ChecksFailed:
    """Why nothing is reported: each check that was broken, with its first rows."""
    named = ", ".join(sorted(broken))
    return ChecksFailed(
        "\n".join([f"nothing is reported, for checks fail: {named}", *_rows(broken)])
    )


def _rows(broken: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for name, rows in sorted(broken.items()):
        counted = f"{len(rows):,}" if len(rows) < CHECK_ROWS else f"{CHECK_ROWS} or more"
        yield f"  {name}: {counted} row{'' if len(rows) == 1 else 's'}"
        for row in rows[:SHOWN_ROWS]:
            yield "    " + ", ".join(
                f"{column} {excerpt(str(value), SHOWN_CHARACTERS)}" for column, value in row.items()
            )
