"""A run as a page: its results, its status, its failures; and the commands that show more of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from pacore.evaluation.accuracy import Missing, Totals
from pacore.report.accuracy import accuracy_of, health_facts, missing_facts, token_facts
from pacore.report.problem import ProblemName
from pacore.report.rendering.sheet import (
    COUNT,
    TEXT,
    Facts,
    Note,
    Part,
    Sheet,
    cut,
    decimals,
    table,
)
from pacore.report.rendering.terminal import live_bar
from pacore.runs.dispatch.progress import Progress
from pacore.store.run import headline, open_run
from pacore.text import excerpt, visible
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

RESULT_ROWS = 30


LISTED = 20


FINISH_WORDS = 4


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
