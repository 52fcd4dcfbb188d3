"""What changed between two gradings of a run, or between two runs: verdicts that flipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pacore.evaluation.comparison import Compared
from pacore.query_output import query_output
from pacore.terminal import ABSENT, Column, Content, Grid, facts, line, number, stacked, to_text
from pacore.text import excerpt
from pacore.warehouse.views import Warehouse

SHOWN_FLIPS = 50
EVERY_FLIP = 2**62


def flips_output(
    warehouse: Warehouse, compared: Compared, form: str, limit: int | None, width: int | None = None
) -> Iterator[str]:
    """The flips in pieces of text, line breaks included: ``table``, or a form of `query_output`.

    ``limit`` None shows fifty of them in a table, and all elsewhere.
    """
    if form != "table":
        rows = EVERY_FLIP if limit is None else limit
        result = warehouse.stream(compared.report, **compared.parameters, rows=rows)
        return query_output(result, form)
    shown = SHOWN_FLIPS if limit is None else limit
    return iter([_table(warehouse, compared, shown, width) + "\n"])


def _table(warehouse: Warehouse, compared: Compared, limit: int, width: int | None) -> str:
    counts = warehouse.rows(compared.counts, **compared.parameters)
    changed = sum(row["changed"] for row in counts)
    rows = warehouse.rows(compared.report, **compared.parameters, rows=limit)
    parts: list[Content] = [
        line(compared.title, "bold"),
        facts([("from", compared.sides[0]), ("to", compared.sides[1])]),
        line(""),
        facts(list(_counted(compared, counts, changed))),
    ]
    if rows:
        parts += [line(""), _grid(rows)]
    if changed > len(rows):
        parts.append(line(f" … and {changed - len(rows):,} more; --limit shows more", "dim"))
    return to_text(stacked(*parts), width)


def _counted(
    compared: Compared, counts: Sequence[Mapping[str, Any]], changed: int
) -> Iterator[tuple[str, str]]:
    together = sum(row[compared.noun] for row in counts)
    yield "changed", f"{number(changed)} of {number(together)} {compared.noun} that both graded"
    for row in counts:
        if row["changed"]:
            yield "", f"{number(row['changed'])} {_change(row)}"
    if shared := sum(row.get("shared", 0) for row in counts):
        same = f"{number(shared)} of the {number(together)} {compared.noun}"
        yield "shared", f"{same} are the same trajectories in both runs"


def _change(row: Mapping[str, Any]) -> str:
    before, after = (str(row[side]).replace("_", " ") for side in ("before", "after"))
    return f"{before} → {after}" if before != after else f"{before}, with another score"


def _grid(rows: Sequence[Mapping[str, Any]]) -> Grid:
    placed = [name for name in ("round", "problem", "replicate", "slot") if name in rows[0]]
    columns = [Column(name, is_number=name != "problem") for name in placed]
    titles = [Column(name) for name in ("from", "to", "answer", "gold")]
    cells = [
        (
            *(str(row[name]) for name in placed),
            _verdict(row, "before"),
            _verdict(row, "after"),
            _answer(row),
            excerpt(row["gold"] or ABSENT, 30),
        )
        for row in rows
    ]
    return Grid([*columns, *titles], cells)


def _verdict(row: Mapping[str, Any], side: str) -> str:
    """A verdict's name, with the score of one between right and wrong."""
    score = row[f"{side}_score"]
    partial = f" {number(score, 2)}" if score not in (None, 0.0, 1.0) else ""
    return f"{row[side].replace('_', ' ')}{partial}"


def _answer(row: Mapping[str, Any]) -> str:
    """The answer both sides read, or what each of them does."""
    before, after = (excerpt(row[name] or ABSENT, 40) for name in ("before_answer", "after_answer"))
    return after if before == after else f"{before} → {after}"
