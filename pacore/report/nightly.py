"""Nights as a page: what each job came to against its baseline, and why; and the ledger of a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from pacore.errors import Exit, PacoreError
from pacore.evaluation.comparison import NO_GO
from pacore.evaluation.night import FAILED, INCOMPLETE
from pacore.evaluation.statistics.nightly import WINDOW
from pacore.report.rendering.sheet import (
    FIGURE,
    Column,
    Facts,
    Part,
    Sheet,
    Table,
    between,
    number,
    points,
    share,
)
from pacore.store.nights import Acceptance, Night, NightMeasure

MOST_NAMED = 10
"""Problems that a line names."""


CODES = {NO_GO: Exit.NO_GO, INCOMPLETE: Exit.BUDGET_SPENT, FAILED: Exit.FAULT}
"""Decisions that somebody has to look at with their exit codes, the worst first."""


class NightReport(PacoreError):
    """What the jobs of a night came to: an error where one of them is a NO-GO, incomplete or failed."""

    def __init__(self, nights: Sequence[Night]) -> None:
        super().__init__("; ".join(line_of(night) for night in nights))
        self.nights = nights

    @property
    def worst(self) -> str | None:
        """The worst decision that somebody has to look at; None where there is none."""
        decisions = {night.decision for night in self.nights}
        return next((word for word in CODES if word in decisions), None)

    @property
    def code(self) -> Exit:
        """The exit code of the worst decision."""
        return Exit.COMPLETE if self.worst is None else CODES[self.worst]


def line_of(night: Night) -> str:
    """A night in a line: job, decision, and the reasons."""
    reasons = f": {'; '.join(night.reasons)}" if night.reasons else ""
    return f"{night.job} {night.decision}{reasons}"


def nights_sheet(nights: Sequence[Night]) -> Sheet:
    """The jobs of one night, each with its decision and what that rests on."""
    sections: list[list[Part]] = [[_table(nights)]]
    sections += [[Facts(list(_facts(night)), f"job {night.job}")] for night in nights]
    return Sheet(None, sections)


def ledger_sheet(job: str, nights: Sequence[Night], accepted: Sequence[Acceptance]) -> Sheet:
    """The nights of a job, the last at the end, and what was accepted as its baseline."""
    rows = [
        (
            f"{one.accepted_at:%Y-%m-%d %H:%M}",
            ", ".join(one.runs),
            one.accepted_by,
            one.why,
        )
        for one in accepted
    ]
    columns = [Column("accepted"), Column("runs"), Column("by"), Column("why")]
    return Sheet(f"job {job}", [[_table(nights)], [Table(columns, rows, caption="baselines")]])


def night_records(nights: Sequence[Night]) -> list[dict[str, Any]]:
    """Nights as JSON has them."""
    return [{**asdict(night), "ended_at": night.ended_at.isoformat()} for night in nights]


def _table(nights: Sequence[Night]) -> Table:
    columns = [
        Column("job"),
        Column("run"),
        Column("decision"),
        Column("accuracy", FIGURE),
        Column("95 %"),
        Column("baseline", FIGURE),
        Column("difference", FIGURE),
        Column("p", FIGURE),
        Column("new tokens", FIGURE),
    ]
    rows = []
    for night in nights:
        test = _tonight(night)
        rows.append(
            (
                night.job,
                night.run_id,
                night.decision,
                share(night.accuracy),
                between(night.low, night.high),
                share(test.baseline if test else None),
                points(test.difference if test else None),
                number(test.p if test else None, 3),
                number(night.tokens),
            )
        )
    return Table(columns, rows, caption="nights")


def _tonight(night: Night) -> NightMeasure | None:
    """Tonight's accuracy by itself."""
    return next((m for m in night.measures if (m.measure, m.nights) == ("accuracy", 1)), None)


def _facts(night: Night) -> Iterator[tuple[str, str]]:
    yield "decision", night.decision
    for reason in night.reasons:
        yield "", reason
    if night.baseline:
        yield "baseline", ", ".join(night.baseline)
    for test in night.measures:
        when = "tonight" if test.nights == 1 else f"last {test.nights} nights"
        yield (
            f"{test.measure}, {when}",
            f"{share(test.value)}, baseline {share(test.baseline)}: {points(test.difference)} "
            f"({points(test.low)} to {points(test.high)}), p = {test.p:.3g} of {test.problems:,} problems",
        )
    if night.detectable is not None:
        yield (
            "sensitivity",
            f"a loss of {100 * night.detectable:.1f} points is found within {WINDOW} nights 4 times in 5",
        )
    for change in night.changed or ("nothing since the baseline",) * bool(night.baseline):
        yield "changed", change
    if night.flaky:
        more = f" and {len(night.flaky) - MOST_NAMED} more" if night.flaky[MOST_NAMED:] else ""
        named = ", ".join(night.flaky[:MOST_NAMED])
        yield "flaky", f"{len(night.flaky)} problems turn between right and wrong: {named}{more}"
