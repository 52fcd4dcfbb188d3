"""What a person reads of a run: results, one problem, progress, and what to type next.

Every function returns plain text; nothing in a text can steer the terminal (see `pacore.report.terminal`).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pacore.errors import StoreError
from pacore.report.accuracy import accuracy_of, health_facts, missing_facts
from pacore.report.plan import forecast_table
from pacore.report.problem import show_problem
from pacore.report.query import query_output
from pacore.report.terminal import (
    ABSENT,
    Column,
    Content,
    Grid,
    facts,
    line,
    live_bar,
    number,
    stacked,
    to_text,
)
from pacore.runs.dispatch.progress import Progress
from pacore.runs.unpublished import Unpublished, unpublished
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit, current_units, read_commits
from pacore.store.gradings import OWN, GradingRecord, as_published, current_grading, read_gradings
from pacore.store.run import Run, headline, is_closed, list_runs, open_run
from pacore.text import excerpt, visible
from pacore.warehouse.views import Warehouse

__all__ = [
    "failures",
    "forecast_table",
    "live_progress",
    "next_commands",
    "query_output",
    "result_table",
    "show_problem",
    "status_table",
]

RESULT_ROWS = 30


LISTED = 20


FINISH_WORDS = 4


SHOWN_TABLES = ("trajectories", "messages", "answers")
"""Tables whose commits say how far a run is."""

STATUS_SECONDS = 5.0
"""How long the status of a store's open runs may take."""


def result_table(
    warehouse: Warehouse, run_id: str, progress: Progress | None = None, width: int | None = None
) -> str:
    """A run's problems with answers and scores, cut to the first thirty, and its totals.

    ``progress`` adds time and speed of the process that made them. ``width`` is in columns.
    """
    run = open_run(warehouse.store, run_id)
    columns = [
        Column("problem"),
        Column("answer"),
        Column("gold"),
        Column("score", is_number=True),
        Column("trajectories", is_number=True),
        Column("tokens", is_number=True),
    ]
    rows = [
        (
            row["problem"],
            excerpt(row["answer"] or ABSENT, 60),
            excerpt(row["gold"] or ABSENT, 30),
            number(row["score"], 2),
            number(row["trajectories"]),
            number(row["tokens"]),
        )
        for row in warehouse.results(run_id, RESULT_ROWS)
    ]
    parts: list[Content] = [line(headline(run), "bold"), line(""), Grid(columns, rows)]
    if run.problems > len(rows):
        parts.append(line(f" … and {run.problems - len(rows):,} more problems", "dim"))
    parts += [line(""), facts(list(_totals(warehouse, run_id, progress)))]
    return to_text(stacked(*parts), width)


def _totals(
    warehouse: Warehouse, run_id: str, progress: Progress | None
) -> Iterator[tuple[str, str]]:
    (total,) = warehouse.rows("reports/totals", run_id=run_id)
    yield "accuracy", accuracy_of(total)
    yield from missing_facts(total, warehouse.rows("reports/missing", run_id=run_id))
    yield from health_facts(total)
    if words := _finish_words(warehouse, run_id):
        yield "", words
    effective = f"{number(total['mean_effective_tokens'])} tokens an answer"
    yield "effective TTC", f"{effective}, {number(total['effective_tokens'])} in all"
    yield "marginal TTC", f"{number(total['marginal_tokens'])} tokens newly generated"
    if total["uncounted"]:
        yield "", f"tokens of {total['uncounted']:,} trajectories are not known and not in these"
    if progress is not None:
        yield "time", _time(progress)


def _time(progress: Progress) -> str:
    """How long a process took, and how fast tokens came in the part of it that generated them."""
    seconds = progress.finished_seconds or progress.elapsed_seconds
    generating = progress.generating_seconds
    if not progress.completion_tokens or not generating:
        return f"{seconds:,.1f} s"
    speed = progress.completion_tokens / generating
    return f"{seconds:,.1f} s, of which {generating:,.1f} s generating, at {speed:,.0f} tokens/s"


def _finish_words(warehouse: Warehouse, run_id: str) -> str:
    """How many texts ended with a word that is neither an end nor a limit, and which words."""
    rows = warehouse.rows("reports/finish_words", run_id=run_id)
    if not rows:
        return ""
    count = sum(row["trajectories"] for row in rows)
    shown = [
        f"{row['trajectories']:,} {excerpt(row['finish_said'], 30)} as {row['finish_reason']}"
        for row in rows[:FINISH_WORDS]
    ]
    more = ", …" if rows[FINISH_WORDS:] else ""
    return f"other finish reasons {count:,} ({', '.join(shown)}{more})"


def status_table(
    store: Backend,
    run_ids: Sequence[str] | None = None,
    width: int | None = None,
    patience_seconds: float = STATUS_SECONDS,
) -> str:
    """How far runs are, from their commits and the journal: all runs of the store, or those named.

    Of open runs the journal has more than the commits. It is looked into for ``patience_seconds`` in
    all; where that is not enough, the figures of the runs it was too short for are estimates, with a ≈
    before them. Where a file is missing that a run's prompts are made of, its figures are what the
    commits say, with a ≥.
    """
    names = list_runs(store) if run_ids is None else run_ids
    if not names:
        return "no runs in this store"
    columns = [
        Column("run"),
        Column("status"),
        Column("shards a round"),
        Column("trajectories", is_number=True),
        Column("reused", is_number=True),
        Column("new tokens", is_number=True),
        Column("failed", is_number=True),
        Column("graded by"),
    ]
    deadline = time.monotonic() + patience_seconds
    rows = [_status(store, open_run(store, name), deadline) for name in names]
    return to_text(Grid(columns, rows), width)


def _status(store: Backend, run: Run, deadline: float) -> tuple[str, ...]:
    units = current_units(store, run.run_id)
    commits = read_commits(store, [unit for unit in units if unit.table in SHOWN_TABLES])
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
        number(total("failed")),
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
    """The grader whose verdicts count, and how many gradings go on."""
    stands = current_grading(records)
    going_on = sum(record.finished_at is None for record in records)
    more = f", {going_on} not finished" if going_on else ""
    return f"{stands.grading.grader if stands else OWN}{more}"


def failures(warehouse: Warehouse, run_id: str, width: int | None = None) -> str:
    """Every problem without an answer, and why, a line each; failed ones first."""
    rows = warehouse.rows("reports/unanswered", run_id=run_id)
    several = open_run(warehouse.store, run_id).plan.replicates > 1
    parts = [
        line(
            f"{row['problem_id']}"
            + (f" (replicate {row['replicate']})" if several else "")
            + f": {row['status'].replace('_', ' ')}: {excerpt(row['reason'] or '', 300)}"
        )
        for row in rows[:LISTED]
    ]
    if len(rows) > LISTED:
        parts.append(line(f"… and {len(rows) - LISTED:,} more"))
    return to_text(stacked(*parts), width)


def next_commands(warehouse: Warehouse, run_id: str, store_url: str) -> str:
    """Commands that show more of a run, ready to be copied: a line each, however long."""
    problems = warehouse.rows("reports/problem_ids", run_id=run_id)
    store = "" if store_url == "./store" else f" --store {shlex.quote(store_url)}"
    asked = f"SELECT * FROM mart_rounds WHERE run_id = '{run_id}'"
    commands = [f'pacore query{store} "{asked}"']
    if problems:
        problem_id = shlex.quote(problems[0]["problem_id"])
        commands.insert(0, f"pacore show{store} {run_id} {problem_id}")
    return "\n".join(["next", *(f"  {visible(command)}" for command in commands)])


@contextmanager
def live_progress(progress: Progress) -> Iterator[None]:
    """Show a run's progress on stderr for as long as the context lasts."""
    with live_bar(lambda: progress.settled / max(progress.planned, 1), progress.line):
        yield
