"""A run as a page: its results, its status, its failures; and the commands that show more of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from pacore.errors import StoreError
from pacore.evaluation.accuracy import Missing, Totals
from pacore.report.accuracy import accuracy_of, health_facts, missing_facts, token_facts
from pacore.report.problem import ProblemName
from pacore.report.sheet import (
    COUNT,
    FIGURE,
    TEXT,
    Column,
    Facts,
    Note,
    Part,
    Sheet,
    Table,
    cut,
    decimals,
    number,
    table,
)
from pacore.report.terminal import live_bar
from pacore.runs.dispatch.progress import Progress
from pacore.runs.unpublished import Unpublished, unpublished
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit, current_units, read_commits
from pacore.store.gradings import OWN, GradingRecord, as_published, current_grading, read_gradings
from pacore.store.run import Run, headline, is_closed, list_runs, open_run
from pacore.text import excerpt, visible
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

RESULT_ROWS = 30


LISTED = 20


FINISH_WORDS = 4


SHOWN_TABLES = ("trajectories", "messages", "answers")
"""Tables whose commits show the progress of a run."""

STATUS_SECONDS = 5.0
"""How long the status of a store's open runs may take."""


@dataclass(frozen=True, slots=True)
class ResultRow(ReportRow):
    """A problem of a run: its answer, or those of its replicates, with their mean score and tokens."""

    QUERY: ClassVar[str] = "run/results"

    problem: str
    answer: str | None
    gold: str | None
    score: float | None
    trajectories: int
    tokens: int | None


@dataclass(frozen=True, slots=True)
class FailedProblem(ReportRow):
    """A problem that failed in some replicate."""

    QUERY: ClassVar[str] = "run/failed_problems"

    problem_id: str


@dataclass(frozen=True, slots=True)
class Unanswered(ReportRow):
    """A problem and replicate without an answer, and why."""

    QUERY: ClassVar[str] = "run/unanswered"

    problem_id: str
    replicate: int
    status: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class FinishWord(ReportRow):
    """A server's own word for the end of a text, and the finish reason it was taken for."""

    QUERY: ClassVar[str] = "run/finish_words"

    finish_said: str
    finish_reason: str
    trajectories: int


def result_sheet(warehouse: Warehouse, run_id: str, progress: Progress | None = None) -> Sheet:
    """A run's problems with answers and scores, cut to the first thirty, and its totals.

    ``progress`` adds time and speed of the process that made them.
    """
    run = open_run(warehouse.store, run_id)
    rows = warehouse.read(ResultRow, run_id=run_id, rows=RESULT_ROWS)
    shown: list[Part] = [
        table(
            rows,
            ("problem", TEXT, lambda row: row.problem),
            ("answer", cut(60), lambda row: row.answer),
            ("gold", cut(30), lambda row: row.gold),
            ("score", decimals(2), lambda row: row.score),
            ("trajectories", COUNT, lambda row: row.trajectories),
            ("tokens", COUNT, lambda row: row.tokens),
        )
    ]
    if run.problems > len(rows):
        shown.append(Note(f" … and {run.problems - len(rows):,} more problems", "faint"))
    return Sheet(headline(run), [shown, [Facts(list(_totals(warehouse, run_id, progress)))]])


def _totals(
    warehouse: Warehouse, run_id: str, progress: Progress | None
) -> Iterator[tuple[str, str]]:
    (total,) = warehouse.read(Totals, run_id=run_id)
    yield "accuracy", accuracy_of(total)
    yield from missing_facts(total, warehouse.read(Missing, run_id=run_id))
    yield from health_facts(total)
    if words := _finish_words(warehouse.read(FinishWord, run_id=run_id)):
        yield "", words
    yield from token_facts(total)
    if progress is not None:
        yield "time", _time(progress)


def _time(progress: Progress) -> str:
    """The time of a process, and the tokens per second while it generated."""
    seconds = progress.finished_seconds or progress.elapsed_seconds
    generating = progress.generating_seconds
    if not progress.completion_tokens or not generating:
        return f"{seconds:,.1f} s"
    speed = progress.completion_tokens / generating
    return f"{seconds:,.1f} s, of which {generating:,.1f} s generating, at {speed:,.0f} tokens/s"


def _finish_words(rows: Sequence[FinishWord]) -> str:
    """How many texts ended with a word that is neither an end nor a limit, and which words."""
    if not rows:
        return ""
    count = sum(row.trajectories for row in rows)
    shown = [
        f"{row.trajectories:,} {excerpt(row.finish_said, 30)} as {row.finish_reason}"
        for row in rows[:FINISH_WORDS]
    ]
    more = ", …" if rows[FINISH_WORDS:] else ""
    return f"other finish reasons {count:,} ({', '.join(shown)}{more})"


def status_sheet(
    store: Backend,
    run_ids: Sequence[str] | None = None,
    patience_seconds: float = STATUS_SECONDS,
) -> Sheet:
    """How far runs are, from their commits and the journal: all runs of the store, or those named.

    Of open runs the journal has more than the commits. It is looked into for ``patience_seconds`` in
    all; where that is not enough, the figures of the runs it was too short for are estimates, with a ≈
    before them. Where a file is missing that a run's prompts are made of, its figures are those of
    the commits, with a ≥.
    """
    names = list_runs(store) if run_ids is None else run_ids
    if not names:
        return Sheet(None, [[Note("no runs in this store")]])
    columns = [
        Column("run"),
        Column("status"),
        Column("shards a round"),
        Column("trajectories", FIGURE),
        Column("reused", FIGURE),
        Column("new tokens", FIGURE),
        Column("failed", COUNT),
        Column("graded by"),
    ]
    deadline = time.monotonic() + patience_seconds
    rows = [_status(store, open_run(store, name), deadline) for name in names]
    return Sheet(None, [[Table(columns, rows)]])


def _status(store: Backend, run: Run, deadline: float) -> tuple[object, ...]:
    units = current_units(store, run.run_id)
    commits = list(read_commits(store, [unit for unit in units if unit.table in SHOWN_TABLES]))
    filled = [commit for commit in commits if commit.unit.table == "trajectories"]
    shown = [commit for commit in commits if commit.unit.table != "messages"]

    def total(name: str) -> int:
        return sum(commit.counts.get(name, 0) for commit in shown)

    shards = len(run.shards)
    rounds = [
        f"{sum(commit.unit.round == round_ for commit in filled)}/{shards}"
        for round_ in range(1, run.plan.rounds + 1)
    ]
    is_ended = is_closed(store, run.run_id)
    more, about = (Unpublished(), "") if is_ended else _found(store, run, commits, deadline)
    settled = total("slots") - total("unfinished") + more.finished
    closed = "failures" if total("failed") else "complete"
    return (
        run.run_id,
        closed if is_ended else "open",
        " ".join(rounds),
        f"{about}{settled:,}/{run.trajectories:,}",
        about + number(total("reused") + more.reused),
        about + number(total("completion_tokens") + more.completion_tokens),
        total("failed"),
        _graders(as_published(read_gradings(store, run.run_id), units)),
    )


def _found(
    store: Backend, run: Run, commits: Sequence[Commit], deadline: float
) -> tuple[Unpublished, str]:
    """What the journal has of an open run beyond its commits, and the sign before its figures."""
    try:
        found = unpublished(store, run, commits, deadline)
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


def failures_sheet(warehouse: Warehouse, run_id: str) -> Sheet:
    """Every problem without an answer, and why, a line each; failed ones first."""
    rows = warehouse.read(Unanswered, run_id=run_id)
    several = open_run(warehouse.store, run_id).plan.replicates > 1
    notes = [
        Note(
            f"{row.problem_id}"
            + (f" (replicate {row.replicate})" if several else "")
            + f": {row.status.replace('_', ' ')}: {excerpt(row.reason or '', 300)}"
        )
        for row in rows[:LISTED]
    ]
    if len(rows) > LISTED:
        notes.append(Note(f"… and {len(rows) - LISTED:,} more"))
    return Sheet(None, [notes])


def next_commands(warehouse: Warehouse, run_id: str, store_url: str) -> str:
    """Commands that show more of a run, ready to be copied: a line each, however long."""
    problems = warehouse.read(ProblemName, run_id=run_id)
    store = "" if store_url == "./store" else f" --store {shlex.quote(store_url)}"
    query = f"SELECT * FROM mart_rounds WHERE run_id = '{run_id}'"
    commands = [f'pacore query{store} "{query}"']
    if problems:
        problem_id = shlex.quote(problems[0].problem_id)
        commands.insert(0, f"pacore show{store} {run_id} {problem_id}")
    return "\n".join(["next", *(f"  {visible(command)}" for command in commands)])


@contextmanager
def live_progress(progress: Progress) -> Iterator[None]:
    """Show a run's progress on stderr for as long as the context lasts."""
    with live_bar(lambda: progress.settled / max(progress.planned, 1), progress.line):
        yield
