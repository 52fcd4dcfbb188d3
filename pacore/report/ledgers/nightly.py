"""Nights as a page: what each job came to against its baseline, and why; and the ledger of a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from pacore.errors import Exit, PacoreError
from pacore.evaluation.comparison import NO_GO
from pacore.evaluation.night import FAILED, INCOMPLETE
from pacore.evaluation.nightly.cleaning import KeptNight
from pacore.evaluation.nightly.progress import RUNNING, NightProgress
from pacore.evaluation.statistics.nightly import ALARM, WINDOW
from pacore.report.accuracy import evidence_words
from pacore.report.comparison import chance
from pacore.report.rendering.sheet import (
    ABSENT,
    FIGURE,
    Facts,
    Heading,
    Note,
    Part,
    Sheet,
    SheetColumn,
    Table,
    between,
    number,
    points,
    share,
)
from pacore.runs.dispatch.progress import Progress
from pacore.store.nights import Acceptance, Night, NightMeasure

MOST_NAMED = 10
"""Problems that a line names."""


CODES = {NO_GO: Exit.NO_GO, INCOMPLETE: Exit.BUDGET_SPENT, FAILED: Exit.FAULT}
"""Decisions that somebody has to look at with their exit codes, the worst first."""


class NightReport(PacoreError):
    """What the jobs of a night came to: an error where one of them is a NO-GO, incomplete or failed.

    ``spending`` is what was spent of the budget that the jobs share; empty without one.
    """

    def __init__(self, nights: Sequence[Night], spending: str = "") -> None:
        self.nights, self.spending = nights, spending
        incomplete = [self.incomplete] if self.incomplete else []
        super().__init__("; ".join([*incomplete, *(line_of(night) for night in nights)]))

    @property
    def incomplete(self) -> str:
        """Which jobs the night's budget stopped and which did not run for it; empty without any."""
        stopped = [night for night in self.nights if night.stopped_by == "night"]
        kinds = {
            "stopped": [night.job for night in stopped if not night.did_not_run],
            "did not run": [night.job for night in stopped if night.did_not_run],
        }
        said = [f"{kind}: {', '.join(jobs)}" for kind, jobs in kinds.items() if jobs]
        return "; ".join([f"incomplete: budget: {self.spending}", *said]) if said else ""

    @property
    def sheet(self) -> Sheet:
        """The night as a page: what was spent of its budget, and each job with its decision."""
        sheet = nights_sheet(self.nights)
        if not self.spending:
            return sheet
        said = Note(self.incomplete or f"budget of the night: {self.spending}")
        return replace(sheet, sections=[[said], *sheet.sections])

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
    for night in nights:
        facts = Facts(list(_facts(night)), f"job {night.job}")
        sections.append([Heading(f"job {night.job}"), facts])
        sections += [[_arms(night)]] if night.arms else []
    return Sheet(None, sections)


def night_progress_sheet(progress: NightProgress) -> Sheet:
    """How far a night is: each job's state, what was spent of the budget that they share, and of the run
    that is being made its line of progress and the problems that are stalled.
    """
    columns = [
        SheetColumn("job"), SheetColumn("state"), SheetColumn("run"),
        SheetColumn("trajectories", FIGURE), SheetColumn("new tokens", FIGURE),
    ]  # fmt: skip
    rows = [
        (
            job.name,
            job.state,
            job.run_id if job.run is None else job.run.run,
            ABSENT if job.run is None else f"{job.run.settled:,}/{job.run.planned:,}",
            ABSENT if job.run is None else number(job.run.completion_tokens),
        )
        for job in progress.jobs
    ]
    run = progress.current.run if progress.current.state == RUNNING else None
    parts: list[Part] = [] if run is None else list(_under_way(run))
    # The line of a run that shares the budget says what is spent of it.
    if (run is None or run.spending is None) and (spent := progress.spending()):
        parts.insert(0, Note(f"spent {', '.join(spent)}"))
    return Sheet(None, [[*parts, Table(columns, rows, caption="jobs of the night")]])


def _under_way(run: Progress) -> Iterator[Part]:
    yield Note(f"run {run.run}: {run.line()}")
    if stalled := [one for one in run.in_work.now() if one.stage == "stalled"]:
        named = [f"{one.place.problem_id} in round {one.place.round}" for one in stalled]
        more = f" and {len(named) - MOST_NAMED:,} more" if named[MOST_NAMED:] else ""
        yield Note(f"{len(named):,} stalled: {', '.join(named[:MOST_NAMED])}{more}")


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
    columns = [SheetColumn("accepted"), SheetColumn("runs"), SheetColumn("by"), SheetColumn("why")]
    baselines = Table(columns, rows, caption="baselines")
    none = Note(f"no baseline: pacore nightly accept {job} RUN makes a run one")
    return Sheet(f"job {job}", [[_table(nights)], [_taken(nights)], [baselines if rows else none]])


def cleaning_sheet(found: Sequence[tuple[str, KeptNight]], *, is_done: bool) -> Sheet:
    """What becomes of the nights of some jobs, each under its job's name: kept and why, or removed."""
    columns = [
        SheetColumn("job"), SheetColumn("night"), SheetColumn("decision"), SheetColumn("files", FIGURE),
        SheetColumn("MB", FIGURE), SheetColumn("removed" if is_done else "what becomes of it"),
    ]  # fmt: skip
    rows = [
        (
            job,
            one.night.run_id,
            one.night.decision,
            number(one.files),
            number(one.bytes / 1e6, 2),
            f"kept: {one.why}" if one.why else "yes" if is_done else "goes",
        )
        for job, one in found
    ]
    return Sheet(None, [[Table(columns, rows, caption="runs of nights")]])


def cleaning_line(job: str, gone: Sequence[KeptNight]) -> str:
    """The runs of nights that were removed, in a line."""
    size = sum(one.bytes for one in gone) / 1e6
    files = sum(one.files for one in gone)
    return (
        f"job {job}: the runs of {len(gone)} nights were removed, {files:,} files of {size:,.1f} MB"
    )


def night_records(nights: Sequence[Night]) -> list[dict[str, Any]]:
    """Nights as JSON has them."""
    return [{**asdict(night), "ended_at": night.ended_at.isoformat()} for night in nights]


def kept_records(found: Sequence[tuple[str, KeptNight]]) -> list[dict[str, Any]]:
    """What becomes of nights, as JSON has it; ``why`` is null of one that goes."""
    return [
        {
            "job": job,
            "night": one.night.run_id,
            "decision": one.night.decision,
            "why": one.why,
            "files": one.files,
            "bytes": one.bytes,
        }
        for job, one in found
    ]


def _table(nights: Sequence[Night]) -> Table:
    """A row a night, no wider than 80 columns where the names of its runs have up to 21 characters."""
    columns = [
        SheetColumn("run"), SheetColumn("decision"), SheetColumn("accuracy", FIGURE), SheetColumn("95 %"),
        SheetColumn("difference", FIGURE), SheetColumn("p", FIGURE),
    ]  # fmt: skip
    rows = []
    for night in nights:
        test = _tonight(night)
        rows.append(
            (
                night.run_id,
                night.decision,
                share(night.accuracy),
                between(night.low, night.high),
                points(test.difference if test else None),
                chance(test.p).removeprefix("p ").removeprefix("= ") if test else ABSENT,
            )
        )
    return Table(columns, rows, caption="nights")


def _taken(nights: Sequence[Night]) -> Table:
    """When each night came to its end, what it took, and what it was compared with."""
    columns = [
        SheetColumn("run"), SheetColumn("ended (UTC)"), SheetColumn("new tokens", FIGURE),
        SheetColumn("baseline"),
    ]  # fmt: skip
    rows = [
        (
            night.run_id,
            f"{night.ended_at:%Y-%m-%d %H:%M}",
            number(night.tokens),
            ", ".join(night.baseline) or ABSENT,
        )
        for night in nights
    ]
    return Table(columns, rows, caption="what nights took")


def _arms(night: Night) -> Table:
    """The arms of a night, each with its run and what its answers cost."""
    columns = [
        SheetColumn("arm"), SheetColumn("run"), SheetColumn("accuracy", FIGURE), SheetColumn("95 %"),
        SheetColumn("tokens an answer", FIGURE),
    ]  # fmt: skip
    rows = [
        (arm.name, arm.run_id, share(arm.accuracy), between(arm.low, arm.high), number(arm.tokens))
        for arm in night.arms
    ]
    return Table(columns, rows, caption=f"arms of job {night.job}")


def _tonight(night: Night) -> NightMeasure | None:
    """Tonight's accuracy by itself; of a job with arms, that of the first that the gate looks at."""
    return next((m for m in night.measures if (m.measure, m.nights) == ("accuracy", 1)), None)


def _facts(night: Night) -> Iterator[tuple[str, str]]:
    if night.evidence is not None:
        found = night.evidence
        words = evidence_words(found.complete, found.observed, found.detectable)
        yield "evidence", " · ".join(words)
    elif night.decision in (FAILED, INCOMPLETE):
        yield "evidence", "INCOMPLETE · NOT OBSERVED · NOT POWERED"
    yield "decision", night.decision
    for reason in night.reasons:
        yield "", reason
    if night.baseline:
        yield "baseline", ", ".join(night.baseline)
    for test in night.measures:
        when = "tonight" if test.nights == 1 else f"last {test.nights} nights"
        of = f" of {test.arm}" if test.arm else ""
        yield (
            f"{test.measure}{of}, {when}",
            f"{share(test.value)}, baseline {share(test.baseline)}: {points(test.difference)} "
            f"({points(test.low)} to {points(test.high)}), p = {test.p:.3g} of {test.problems:,} problems",
        )
    if night.measures:
        yield (
            "false alarms",
            f"{100 * ALARM:g} % a night where nothing changed, over all {len(night.measures)} tests "
            "(Benjamini and Hochberg)",
        )
    if night.detectable is not None:
        yield (
            "sensitivity",
            f"a loss of {100 * night.detectable:.1f} points is found within {WINDOW} nights 4 times in 5",
        )
    yield "ended", f"{night.ended_at:%Y-%m-%d %H:%M} UTC"
    yield "new tokens", number(night.tokens)
    for change in night.changed or ("nothing since the baseline",) * bool(night.baseline):
        yield "changed", change
    if night.flaky:
        more = f" and {len(night.flaky) - MOST_NAMED} more" if night.flaky[MOST_NAMED:] else ""
        named = ", ".join(night.flaky[:MOST_NAMED])
        yield (
            "flaky",
            f"{len(night.flaky)} problems turn between right and wrong without a cause: {named}{more}",
        )
