"""Flips as a page: verdicts that differ between two gradings of a run, or between two runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pacore.evaluation.flips import (
    AnswerFlip,
    AnswerFlipCount,
    FlipQuery,
    TrajectoryFlip,
    TrajectoryFlipCount,
)
from pacore.report.query import query_output
from pacore.report.rendering.markup import MARKUP
from pacore.report.rendering.sheet import (
    ABSENT,
    FIGURE,
    TEXT,
    Facts,
    Note,
    Part,
    Sheet,
    Table,
    cut,
    number,
    table,
)
from pacore.report.rendering.terminal import to_text
from pacore.text import excerpt
from pacore.warehouse.views import Warehouse

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure

SHOWN_FLIPS = 50
EVERY_FLIP = 2**62

Flip = TrajectoryFlip | AnswerFlip
FlipCount = TrajectoryFlipCount | AnswerFlipCount


def flips_output(
    warehouse: Warehouse, query: FlipQuery, form: str, limit: int | None, width: int | None = None
) -> Iterator[str]:
    """The flips in pieces of text, line breaks included: ``table``, markup, or a form of `query_output`.

    ``limit`` None shows fifty of them on a page, and all elsewhere.
    """
    write = MARKUP.get(form)
    if form != "table" and write is None:
        rows = EVERY_FLIP if limit is None else limit
        name = f"reports/{query.flips.QUERY}"
        return query_output(warehouse.stream(name, **query.parameters, rows=rows), form)
    shown = SHOWN_FLIPS if limit is None else limit
    sheet = _sheet(warehouse, query, shown)
    return iter([to_text(sheet, width) + "\n" if write is None else write(sheet)])


def flips_figure(warehouse: Warehouse, query: FlipQuery) -> Figure:
    """How many verdicts changed from right to wrong, from wrong to right, and in other ways."""
    # matplotlib takes a second to import, which flips without a figure do not wait for.
    from pacore.report.rendering.plots import Bar, bar_figure

    counts: Sequence[FlipCount] = warehouse.read(query.counts, **query.parameters)
    pairs = {(row.before, row.after): row.changed for row in counts}
    shown = dict.fromkeys([("correct", "wrong"), ("wrong", "correct")], 0)
    shown |= {pair: changed for pair, changed in pairs.items() if changed}
    bars = [
        Bar(f"{_named(before)} → {_named(after)}", count, _kind(before, after))
        for (before, after), count in shown.items()
    ]
    changed, compared = sum(row.changed for row in counts), sum(row.compared for row in counts)
    side = "run" if query.counts is AnswerFlipCount else "grading"
    sides = [f"{side} {query.parameters[name]}" for name in ("before", "after")]
    title = f"{query.noun.capitalize()} whose verdict changed from {sides[0]} to {sides[1]}"
    return bar_figure(bars, title, f"{query.noun}; {changed:,} of {compared:,} changed")


def _named(verdict: str) -> str:
    return "right" if verdict == "correct" else verdict.replace("_", " ")


def _kind(before: str, after: str) -> Literal["better", "worse", "other"]:
    if before == after or "correct" not in (before, after):
        return "other"
    return "better" if after == "correct" else "worse"


def _sheet(warehouse: Warehouse, query: FlipQuery, limit: int) -> Sheet:
    counts: Sequence[FlipCount] = warehouse.read(query.counts, **query.parameters)
    changed = sum(row.changed for row in counts)
    rows: Sequence[Flip] = warehouse.read(query.flips, **query.parameters, rows=limit)
    sections: list[list[Part]] = [
        [Facts(list(_counted(query.noun, counts, changed)), "how many verdicts changed")]
    ]
    if rows:
        sections.append([_table(rows)])
    if changed > len(rows):
        sections[-1].append(
            Note(f" … and {changed - len(rows):,} more; --limit shows more", "faint")
        )
    sides = Facts([("from", query.sides[0]), ("to", query.sides[1])], "what is compared")
    return Sheet(query.title, sections, [sides])


def _counted(noun: str, counts: Sequence[FlipCount], changed: int) -> Iterator[tuple[str, str]]:
    compared = sum(row.compared for row in counts)
    yield "changed", f"{number(changed)} of {number(compared)} {noun} that both graded"
    for row in counts:
        if row.changed:
            yield "", f"{number(row.changed)} {_change(row)}"
    if shared := sum(row.shared for row in counts):
        same = f"{number(shared)} of the {number(compared)} {noun}"
        yield "shared", f"{same} are the same trajectories in both runs"


def _change(row: FlipCount) -> str:
    before, after = (verdict.replace("_", " ") for verdict in (row.before, row.after))
    return f"{before} → {after}" if before != after else f"{before}, with another score"


def _table(rows: Sequence[Flip]) -> Table:
    place = [
        ("problem", TEXT, lambda row: row.problem),
        ("replicate", FIGURE, lambda row: row.replicate),
    ]
    if isinstance(rows[0], TrajectoryFlip):
        place = [
            ("round", FIGURE, lambda row: row.round),
            *place,
            ("slot", FIGURE, lambda row: row.slot),
        ]
    return table(
        rows,
        *place,
        ("from", TEXT, lambda row: _verdict(row.before, row.before_score)),
        ("to", TEXT, lambda row: _verdict(row.after, row.after_score)),
        ("answer", TEXT, _answer),
        ("gold", cut(30), lambda row: row.gold),
        caption="verdicts that changed",
    )


def _verdict(verdict: str, score: float | None) -> str:
    """A verdict's name, with the score of one between right and wrong."""
    partial = f" {number(score, 2)}" if score not in (None, 0.0, 1.0) else ""
    return f"{verdict.replace('_', ' ')}{partial}"


def _answer(row: Flip) -> str:
    """The answer both sides read, or what each of them does."""
    before, after = (excerpt(text or ABSENT, 40) for text in (row.before_answer, row.after_answer))
    return after if before == after else f"{before} → {after}"
