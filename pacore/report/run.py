"""A run as a page: its results, its status, its failures; and the commands that show more of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pacore.core.config.command import command_line
from pacore.core.problem import original_name
from pacore.errors import Exit, PacoreError
from pacore.evaluation.accuracy import Missing, Totals
from pacore.evaluation.evidence import Evidence, detectable_beside, evidence_of
from pacore.report.accuracy import (
    accuracy_of,
    agreement_facts,
    evidence_note,
    health_facts,
    interval_facts,
    missing_facts,
    token_facts,
)
from pacore.report.rendering.sheet import (
    COUNT,
    FIGURE,
    SHARE,
    TEXT,
    Facts,
    Note,
    Part,
    Sheet,
    Table,
    cut,
    decimals,
    share,
    table,
)
from pacore.runs.dispatch.progress import Progress
from pacore.store.run import Run, headline, open_run
from pacore.text import excerpt, visible
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure

RESULT_ROWS = 200
"""Problems in a run's table of results; the terminal shows fewer."""

_SHOWN_ROWS = 30


_LISTED = 20


FINISH_WORDS = 4

DISTINCT_ANSWERS = 4
"""Of a problem, in a run's table of results."""


@dataclass(frozen=True, slots=True)
class ResultRow(ReportRow):
    """A problem of a run by its name in its file: its answer, or the distinct ones of its replicates with
    their numbers, how many of the ``scored`` ones are ``correct``, their accuracy, and tokens.
    """

    QUERY: ClassVar[str] = "run/results"

    problem: str
    answer: str | None
    gold: str | None
    correct: int
    scored: int
    accuracy: float | None
    trajectories: int
    tokens: int | None


@dataclass(frozen=True, slots=True)
class FurtherFields(ReportRow):
    """The further fields of a problem's row in its file, a JSON object."""

    QUERY: ClassVar[str] = "run/names"

    problem_id: str
    metadata: str


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


@dataclass(frozen=True, slots=True)
class RoundOfProblem(ReportRow):
    """A round of a problem: the mean score of its trajectories, None where none is graded, and tokens."""

    QUERY: ClassVar[str] = "run/rounds"

    round: int
    problem_id: str
    accuracy: float | None
    new_tokens: int
    reused_tokens: int


@dataclass(frozen=True, slots=True)
class StoppedSets(ReportRow):
    """The message sets of a round that a stopping rule has decided: how many, how many of them early, after
    how many no round follows; trajectories that were aborted, slots that were not begun, and the share of
    the tokens of these sets that this has saved.
    """

    QUERY: ClassVar[str] = "run/stops"

    round: int
    sets: int
    stopped: int
    ended: int
    aborted: int
    not_begun: int
    saved: float | None


@dataclass(frozen=True, slots=True)
class RunResults:
    """What a run came to, read from its tables once for everything that is said of it at its end.

    ``results`` has the first problems in the order of their file, ``unanswered`` every answer that is none,
    failed ones first, ``evidence`` what all of it is worth, ``stops`` what a stopping rule decided.
    """

    run: Run
    results: Sequence[ResultRow]
    totals: Totals
    missing: Sequence[Missing]
    words: Sequence[FinishWord]
    unanswered: Sequence[Unanswered]
    evidence: Evidence
    stops: Sequence[StoppedSets] = ()

    @property
    def example(self) -> str | None:
        """A problem to look at: the first one, of those without an answer where there are any."""
        unanswered = min((row.problem_id for row in self.unanswered), default=None)
        return unanswered or next((row.problem for row in self.results), None)

    @property
    def failed(self) -> list[str]:
        """Problems that failed in some replicate, sorted by id."""
        failed = (row.problem_id for row in self.unanswered if row.status == "failed")
        return sorted(set(failed))


class ProblemsFailed(PacoreError):
    """A run that came to its end, at which some problems had failed; they are in its results."""

    exit_code = Exit.FAILED_PROBLEMS

    def __init__(self, message: str, results: RunResults) -> None:
        super().__init__(message)
        self.results = results


def run_results(warehouse: Warehouse, run_id: str) -> RunResults:
    """Raises Refused for an unknown run."""
    run = open_run(warehouse.store, run_id)
    (totals,) = warehouse.read(Totals, run_id=run_id)
    return RunResults(
        run=run,
        results=results(warehouse, run_id),
        totals=totals,
        missing=warehouse.read(Missing, run_id=run_id),
        words=warehouse.read(FinishWord, run_id=run_id),
        unanswered=warehouse.read(Unanswered, run_id=run_id),
        evidence=evidence_of(warehouse, [run_id], detectable_beside(totals)),
        stops=warehouse.read(StoppedSets, run_id=run_id) if run.plan.stopping else (),
    )


def results(warehouse: Warehouse, run_id: str) -> list[ResultRow]:
    """The first problems of a run in the order of their file, under the names that it has."""
    place: dict[str, object] = {"run_id": run_id, "rows": RESULT_ROWS}
    names = {
        row.problem_id: original_name(row.problem_id, json.loads(row.metadata))
        for row in warehouse.read(FurtherFields, **place)
    }
    rows = warehouse.read(ResultRow, **place, answers=DISTINCT_ANSWERS)
    return [replace(row, problem=names.get(row.problem, row.problem)) for row in rows]


def result_sheet(found: RunResults, progress: Progress | None = None) -> Sheet:
    """A run's problems with answers and scores, cut to the first thirty, and its totals. Where there are
    replicates a problem has the share of them that is right.

    ``progress`` adds time and speed of the process that made them.
    """
    rows = found.results[:_SHOWN_ROWS]
    shown: list[Part] = [_replicates(rows) if found.run.plan.replicates > 1 else _answers(rows)]
    if found.run.problems > len(rows):
        shown.append(Note(f" … and {found.run.problems - len(rows):,} more problems", "faint"))
    if found.run.plan.replicates > 1:
        hint = f"pacore show {found.run.run_id} PROBLEM lists the replicates of one"
        shown.append(Note(hint, "faint"))
    return Sheet(
        headline(found.run),
        [shown, [Facts(list(_totals(found, progress)), "accuracy, failures and tokens")]],
        [evidence_note(found.evidence)],
    )


def run_figure(warehouse: Warehouse, run_id: str) -> Figure:
    """The accuracy of each round with its interval over problems, and its tokens. Raises Refused for an
    unknown run.
    """
    # matplotlib and statistics take a second to import, which results without a figure do not wait for.
    from pacore.evaluation.statistics.bootstrap import ratio
    from pacore.report.rendering.plots import Dots, Interval, Stacks, rounds_figure

    run = open_run(warehouse.store, run_id)
    by_round: dict[int, list[RoundOfProblem]] = {n: [] for n in range(1, run.plan.rounds + 1)}
    for row in warehouse.read(RoundOfProblem, run_id=run_id):
        by_round[row.round].append(row)
    names: list[str] = []
    values: list[Interval | None] = []
    for number, rows in by_round.items():
        scores = [row.accuracy for row in rows if row.accuracy is not None]
        found = ratio(scores, [1.0] * len(scores)) if scores else None
        values.append(Interval("", found.value, found.low, found.high) if found else None)
        graded = "" if scores else "\nnot graded" if rows else "\nnot made yet"
        names.append(f"round {number}, width {run.plan.step(number).label}{graded}")
    tokens = {
        "reused": [float(sum(row.reused_tokens for row in rows)) for rows in by_round.values()],
        "generated": [float(sum(row.new_tokens for row in rows)) for rows in by_round.values()],
    }
    panels: list[Dots | Stacks] = [
        Dots("accuracy, %\n(bars: 95 %, new problems of this kind)", values),
        Stacks("tokens of the round", tokens),
    ]
    return rounds_figure(names, panels, f"Accuracy and tokens by round: {headline(run)}")


def _answers(rows: Sequence[ResultRow]) -> Table:
    return table(
        rows,
        ("problem", TEXT, lambda row: row.problem),
        ("answer", cut(60), lambda row: row.answer),
        ("gold", cut(30), lambda row: row.gold),
        ("score", decimals(2), lambda row: row.accuracy),
        ("trajectories", COUNT, lambda row: row.trajectories),
        ("tokens", COUNT, lambda row: row.tokens),
        caption="answer to each problem",
    )


def _replicates(rows: Sequence[ResultRow]) -> Table:
    return table(
        rows,
        ("problem", TEXT, lambda row: row.problem),
        ("right", FIGURE, lambda row: f"{row.correct:,} of {row.scored:,}"),
        ("accuracy", SHARE, lambda row: row.accuracy),
        ("gold", cut(30), lambda row: row.gold),
        ("answers", cut(60), lambda row: row.answer),
        ("tokens", COUNT, lambda row: row.tokens),
        caption="answers to each problem",
    )


def _totals(found: RunResults, progress: Progress | None) -> Iterator[tuple[str, str]]:
    yield "accuracy", accuracy_of(found.totals)
    yield from interval_facts(found.totals)
    yield from missing_facts(found.totals, found.missing)
    yield from agreement_facts(found.totals)
    yield from health_facts(found.totals)
    if words := _finish_words(found.words):
        yield "", words
    yield from token_facts(found.totals)
    for row in found.stops:
        yield f"stopping, round {row.round}", _stopping(row)
    if progress is not None:
        if progress.spending is not None:
            yield "spent", progress.spending()
        yield "time", _time(progress)


def _stopping(row: StoppedSets) -> str:
    """What a rule has decided in a round, and what that has saved."""
    left = f"{row.aborted:,} trajectories aborted, {row.not_begun:,} not begun"
    ended = f", after {row.ended:,} of them no round" if row.ended else ""
    return (
        f"{row.stopped:,} of {row.sets:,} sets decided early{ended}; {left}; about {share(row.saved)} of "
        "their tokens saved"
    )


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


def failures_sheet(found: RunResults) -> Sheet:
    """Every problem without an answer, and why, a line each; failed ones first."""
    rows = found.unanswered
    several = found.run.plan.replicates > 1
    notes = [
        Note(
            f"{row.problem_id}"
            + (f" (replicate {row.replicate})" if several else "")
            + f": {row.status.replace('_', ' ')}: {excerpt(row.reason or '', 300)}"
        )
        for row in rows[:_LISTED]
    ]
    if len(rows) > _LISTED:
        notes.append(Note(f"… and {len(rows) - _LISTED:,} more"))
    return Sheet(None, [notes])


def next_commands(found: RunResults, store_url: str) -> str:
    """Commands that show more of a run, ready to be copied: a line each, however long."""
    run_id = found.run.run_id
    query = f"SELECT * FROM mart_rounds WHERE run_id = '{run_id}'"
    commands = [
        command_line("evaluate", store_url, run_id),
        # In double quotes, which are easier to read around those of SQL.
        f'{command_line("query", store_url)} "{query}"',
    ]
    if found.example is not None:
        commands.insert(0, command_line("show", store_url, run_id, found.example))
    return "\n".join(["next", *(f"  {visible(command)}" for command in commands)])
