"""The progress of runs: those of a store from their commits and the journal, and that of this process."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pacore.errors import StoreError
from pacore.report.rendering.sheet import (
    COUNT,
    FIGURE,
    TEXT,
    Heading,
    Note,
    Part,
    Sheet,
    SheetColumn,
    Table,
    number,
    table,
)
from pacore.runs.dispatch.in_work import SetNow
from pacore.runs.dispatch.progress import Progress
from pacore.runs.unpublished import Published, Unpublished, unpublished
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_units
from pacore.store.gradings import GradingRecord, as_published, current_grading, read_gradings
from pacore.store.layout import OWN
from pacore.store.run import BUDGET_STATUS, Run, is_closed, last_budget_stop, list_runs, open_run

STATUS_SECONDS = 5.0
"""How long the status of a store's open runs may take."""


SHOWN_IN_WORK = 25
"""Problems in work that a page of progress names: those that have been silent for longest."""


def progress_sheet(progress: Progress) -> Sheet:
    """How far the run of this process is: its line of progress, its rounds, and the problems in work."""
    parts: list[Part] = [Note(progress.line()), rounds_table(progress)]
    if found := progress.in_work.now():
        stalled = sum(one.stage == "stalled" for one in found)
        parts.append(Heading(f"{len(found):,} problems in work, {stalled:,} of them stalled"))
        parts.append(_in_work(found[:SHOWN_IN_WORK]))
        if found[SHOWN_IN_WORK:]:
            parts.append(Note(f"… and {len(found) - SHOWN_IN_WORK:,} more", "faint"))
    return Sheet(f"Progress of run {progress.run}", [parts])


def rounds_table(progress: Progress) -> Table:
    """What became of the trajectories of each round in this process.

    What is ``reused`` was in the store when the process began, whoever generated it.
    """
    is_stopped_early = any(one.aborted for one in progress.rounds.values())
    return table(
        sorted(progress.rounds.items()),
        ("round", COUNT, lambda one: one[0]),
        ("planned", COUNT, lambda one: one[1].planned),
        ("reused", COUNT, lambda one: one[1].reused),
        ("generated", COUNT, lambda one: one[1].generated),
        ("failed", COUNT, lambda one: one[1].failed),
        *([("not needed", COUNT, lambda one: one[1].aborted)] if is_stopped_early else []),
        ("truncated", COUNT, lambda one: one[1].truncated),
        (
            "left, at most" if progress.may_need_fewer else "left",
            COUNT,
            lambda one: one[1].left,
        ),
        ("new tokens", COUNT, lambda one: one[1].tokens),
        caption="trajectories of each round",
    )


def _in_work(rows: Sequence[SetNow]) -> Table:
    return table(
        rows,
        ("problem", TEXT, lambda one: one.place.problem_id),
        ("replicate", COUNT, lambda one: one.place.replicate),
        ("shard", COUNT, lambda one: one.place.shard),
        ("round", COUNT, lambda one: one.place.round),
        ("stage", TEXT, lambda one: one.stage),
        ("trajectories", FIGURE, lambda one: f"{one.settled} of {one.slots}"),
        ("seconds in the round", COUNT, lambda one: one.seconds),
        ("seconds without a sign", COUNT, lambda one: one.silent_seconds),
        caption="problems in work",
    )


def status_sheet(
    store: Backend,
    run_ids: Sequence[str] | None = None,
    patience_seconds: float = STATUS_SECONDS,
) -> Sheet:
    """How far runs are, from their commits and the journal: all runs of the store, or those named.

    Of open runs the journal has more than the commits. It is looked into for ``patience_seconds`` in
    all; where that is not enough, the figures of the runs it was too short for are estimates, with a ≈
    before them; under a stopping rule a ≤ is before what is needed at most. Where a file is missing that
    a run's prompts are made of, its figures are those of the commits, with a ≥.
    """
    names = list_runs(store) if run_ids is None else run_ids
    if not names:
        return Sheet(None, [[Note("no runs in this store")]])
    columns = [
        SheetColumn("run", is_folded=True),
        SheetColumn("status", is_folded=True),
        SheetColumn("shards a round", is_folded=True),
        SheetColumn("trajectories", FIGURE),
        SheetColumn("reused", FIGURE),
        SheetColumn("new tokens", FIGURE),
        SheetColumn("failed", COUNT),
        SheetColumn("graded by", is_folded=True),
    ]
    deadline = time.monotonic() + patience_seconds
    rows = [_status(store, open_run(store, name), deadline) for name in names]
    return Sheet(None, [[Table(columns, rows)]])


def _status(store: Backend, run: Run, deadline: float) -> tuple[object, ...]:
    units = current_units(store, run.run_id)
    published = Published.of(store, units)
    filled, total = published.of_table("trajectories"), published.total
    shards = len(run.shards)
    rounds = [
        f"{sum(commit.unit.round == round_ for commit in filled)}/{shards}"
        for round_ in range(1, run.plan.rounds + 1)
    ]
    is_ended = is_closed(store, run.run_id)
    more, about = (Unpublished(), "") if is_ended else _found(store, run, published, deadline)
    not_needed = total("aborted")
    settled = total("slots") - total("unfinished") - not_needed + more.finished
    after_agreement = sum(
        commit.counts.get("agreed", 0) * run.plan.trajectories_after(commit.unit.round)
        for commit in published.of_table("messages")
    )
    planned = run.trajectories - not_needed - after_agreement
    # A rule may decide the sets that are left by fewer slots than they have.
    most = "" if is_ended or run.plan.stopping is None else "≤"
    closed = "failures" if total("failed") else "complete"
    return (
        run.run_id,
        closed if is_ended else _open_status(store, run.run_id),
        " ".join(rounds),
        f"{about}{settled:,}/{most}{planned:,}",
        about + number(total("reused") + more.reused),
        about + number(total("completion_tokens") + more.completion_tokens),
        total("failed"),
        _graders(as_published(read_gradings(store, run.run_id), units)),
    )


def _open_status(store: Backend, run_id: str) -> str:
    return "open" if last_budget_stop(store, run_id) is None else BUDGET_STATUS


def _found(
    store: Backend, run: Run, published: Published, deadline: float
) -> tuple[Unpublished, str]:
    """What the journal has of an open run beyond its commits, and the sign before its figures."""
    try:
        found = unpublished(store, run, published.commits, deadline)
    except StoreError:
        # Something that the run is made from is missing or broken, which `pacore audit` names.
        return Unpublished(), "≥"
    return found, "≈" if found.is_estimate else ""


def _graders(records: Sequence[GradingRecord]) -> str:
    """The grader whose verdicts count, and how many gradings are not finished."""
    current = current_grading(records)
    unfinished = sum(record.finished_at is None for record in records)
    more = f", {unfinished} not finished" if unfinished else ""
    return f"{current.grading.grader if current else OWN}{more}"
