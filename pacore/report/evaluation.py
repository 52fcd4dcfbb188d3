"""Evaluations and gradings as pages: the measures of a run with their intervals, the verdicts of a grading
by round, the accuracy by each grading; and why nothing is reported where checks fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pacore.errors import ChecksFailed
from pacore.evaluation.accuracy import GradingAccuracy, Totals, current_accuracy
from pacore.evaluation.evidence import Evidence, detectable_beside, evidence_of
from pacore.evaluation.measures import Measures, PoolMeasures, RoundGap, measure
from pacore.report.accuracy import (
    accuracy_of,
    agreement_facts,
    evidence_note,
    health_facts,
    interval_facts,
    missing_facts,
    only_answers_graded,
    token_facts,
)
from pacore.report.rendering.plots import Curve, Interval, curve_figure, interval_figure
from pacore.report.rendering.sheet import (
    ABSENT,
    COUNT,
    FIGURE,
    INTERVAL,
    SHARE,
    TEXT,
    Facts,
    Heading,
    Note,
    Part,
    Sheet,
    SheetColumn,
    Table,
    number,
    share,
    table,
)
from pacore.store.run import Run, headline, open_run
from pacore.text import excerpt
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import CHECK_ROWS, CheckRow, Warehouse

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure

ESTIMATES = {"pass_at_k": "pass@", "pass_power_k": "pass^", "maj_at_k": "maj@"}


POOLS = {"first_round": "samples of the bare problem", "answers": "answers of the replicates"}


@dataclass(frozen=True, slots=True)
class GradedRound(ReportRow):
    """The verdicts of a grading on the current trajectories of one round, and their mean score."""

    QUERY: ClassVar[str] = "grading/rounds"

    round: int
    trajectories: int
    correct: int
    wrong: int
    no_answer: int
    timeout: int
    crash: int
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class JudgeAgreement(ReportRow):
    """A judge's row of `mart_judges`: how far it agrees with the last grading by rules."""

    QUERY: ClassVar[str] = "grading/judge"

    run_id: str
    grading: str
    grader: str
    against: str
    judged: int
    crash_rate: float
    other: str | None
    other_grader: str | None
    compared: int
    both_correct: int
    only_judge: int
    only_other: int
    both_wrong: int
    agreement: float | None
    kappa: float | None

    def __str__(self) -> str:
        if not self.compared or self.agreement is None:
            return "decides on no trajectory that a grading by rules has decided on"
        kappa = "" if self.kappa is None else f", kappa {self.kappa:.2f}"
        found = f"{self.agreement:.1%} of {self.compared:,} trajectories{kappa}"
        return f"agrees with {self.other_grader} on {found}"


class EvaluatedRun(NamedTuple):
    """What an evaluation found of one run: its measures and gradings, the verdicts of the current grading
    by round, and two pages: that grading, and the measures over it.
    """

    found: Measures
    gradings: Sequence[GradingAccuracy]
    rounds: Sequence[GradedRound]
    grading: Sheet
    measures: Sheet

    @property
    def current(self) -> GradingAccuracy:
        """The grading whose verdicts count."""
        return current_accuracy(self.gradings)


def evaluated_run(
    warehouse: Warehouse, run_id: str, begin: Callable[[str], None] = lambda _: None
) -> EvaluatedRun:
    """What the current grading of a run gives; ``begin`` as in `measure`.

    Raises Refused for an unknown run.
    """
    run, found = open_run(warehouse.store, run_id), measure(warehouse, run_id, begin)
    gradings = warehouse.read(GradingAccuracy, run_id=run_id)
    current = current_accuracy(gradings)
    rounds = warehouse.read(GradedRound, run_id=run_id, grading=current.grading)
    page = _grading_page(run, gradings, current, rounds, found.evidence)
    return EvaluatedRun(found, gradings, rounds, page, evaluation_sheet(run, found))


def evaluation_figure(found: Sequence[Measures]) -> Figure:
    """pass@k and maj@k over k, on samples of the bare problem or, where there are several, on the answers
    of the replicates; the accuracy of each run where it has one answer a problem.
    """
    curves = [curve for one in found for curve in _curves(one)]
    if curves:
        title = (
            "How accuracy grows with the number of samples (bands: 95 %, new problems of this kind)"
        )
        return curve_figure(curves, title, ("samples of a problem, k", "accuracy, %"))
    rows = [
        Interval(
            one.run_id, one.totals.accuracy, one.totals.population_low, one.totals.population_high
        )
        for one in found
        if one.totals.accuracy is not None
    ]
    title = "Accuracy of each run (bars: 95 %, new problems of this kind)"
    return interval_figure(rows, title, "accuracy, %")


def _curves(found: Measures) -> Iterator[Curve]:
    for pool, group in groupby(found.pools, key=lambda row: row.pool):
        rows = list(group)
        for name, sign in ESTIMATES.items():
            known = [row for row in rows if name in row.intervals]
            if len(known) > 1 and name != "pass_power_k":
                label = f"{found.run_id}: {sign}k, {POOLS[pool]}"
                estimates = [row.intervals[name] for row in known]
                yield Curve(label, [row.k for row in known], estimates)


def evaluation_sheet(run: Run, found: Measures) -> Sheet:
    """The measures of a run: accuracy, cost, estimates by pool and k, and messages by round."""
    facts = [*_accuracy(found), *health_facts(found.totals), *_spent(found)]
    sections: list[Sequence[Part]] = [[Facts(facts, "accuracy and cost")]]
    for pool, group in groupby(found.pools, key=lambda row: row.pool):
        rows = list(group)
        # With one round, the answers of the replicates are the members of the pool.
        if len(rows) > 1 and (pool == "first_round" or run.plan.rounds > 1):
            of = f"{rows[0].problems:,} of {run.problems:,} problems"
            heading = Heading(f"{POOLS[pool]}, k taken without replacement, {of}")
            caption = f"{POOLS[pool]}: accuracy by their number k"
            sections.append([heading, _pool(rows, caption)])
    if found.rounds:
        sections.append([Heading("messages"), _rounds(found.rounds)])
    if not found.is_graded:
        sections.append([only_answers_graded(run.run_id)])
    return Sheet(headline(run), sections, [evidence_note(found.evidence)])


def _accuracy(found: Measures) -> Iterator[tuple[str, str]]:
    total, summary = found.totals, found.summary
    yield "accuracy", accuracy_of(total)
    yield from interval_facts(total)
    yield from missing_facts(total, found.missing)
    yield from agreement_facts(total)
    by = f" (grading {summary.grading})" if found.is_graded else ""
    yield "graded by", f"{summary.graders or ABSENT}{by}"


def _spent(found: Measures) -> Iterator[tuple[str, str]]:
    summary = found.summary
    wasted = f", {number(summary.wasted_tokens)} wasted on attempts given up"
    yield from token_facts(found.totals, summary.accuracy_per_thousand_tokens, wasted)
    cached = summary.cached_prompt_tokens
    known = "" if cached is None else f", {number(cached)} of them cached"
    yield "prompts", f"{number(summary.prompt_tokens)} tokens{known}"
    if summary.currency is not None:
        each = number(summary.effective_money_per_answer, 6)
        money = f"{number(summary.effective_money, 4)} in all"
        new = f"{number(summary.marginal_money, 4)} newly spent"
        yield "cost", f"{summary.currency} {each} an answer, {money}, {new}"


def _pool(rows: Sequence[PoolMeasures], caption: str) -> Table:
    """Every estimate in a line of its own, with its intervals."""
    columns = [
        SheetColumn("estimate"),
        SheetColumn("value", FIGURE),
        SheetColumn("new problems, 95 %", INTERVAL),
        SheetColumn("run again, 95 %", INTERVAL),
        SheetColumn("tokens", COUNT),
    ]
    lines = [_estimate(row, name, sign) for name, sign in ESTIMATES.items() for row in rows]
    return Table(columns, lines, caption=caption)


def _estimate(row: PoolMeasures, name: str, sign: str) -> list[object]:
    found = row.intervals.get(name)
    mark = "~" if name == "maj_at_k" and row.method == "resampled" else ""
    return [
        f"{sign}{row.k:,}",
        mark + share(getattr(row, name)),
        (found.low, found.high) if found else (None, None),
        (found.these_low, found.these_high) if found else (None, None),
        row.tokens,
    ]


def _rounds(rows: Sequence[RoundGap]) -> Table:
    return table(
        rows,
        ("round", FIGURE, lambda row: row.round),
        ("sets", COUNT, lambda row: row.sets),
        ("accuracy", SHARE, lambda row: row.message_accuracy),
        ("some correct", SHARE, lambda row: row.oracle),
        ("answers", SHARE, lambda row: row.accuracy),
        ("oracle gap", SHARE, lambda row: row.gap),
        caption="messages of each round, and the answers made from them",
    )


def grading_sheet(warehouse: Warehouse, run_id: str, grading_id: str) -> Sheet:
    """The verdicts of a grading on a run, round by round, and the accuracy by each of its gradings."""
    gradings = warehouse.read(GradingAccuracy, run_id=run_id)
    named = next(row for row in gradings if row.grading == grading_id)
    rounds = warehouse.read(GradedRound, run_id=run_id, grading=grading_id)
    (totals,) = warehouse.read(Totals, run_id=run_id)
    evidence = evidence_of(warehouse, [run_id], detectable_beside(totals))
    return _grading_page(open_run(warehouse.store, run_id), gradings, named, rounds, evidence)


def _grading_page(
    run: Run,
    gradings: Sequence[GradingAccuracy],
    named: GradingAccuracy,
    rounds: Sequence[GradedRound],
    evidence: Evidence,
) -> Sheet:
    by_round = table(
        rounds,
        ("round", FIGURE, lambda row: row.round),
        ("trajectories", COUNT, lambda row: row.trajectories),
        ("correct", COUNT, lambda row: row.correct),
        ("wrong", COUNT, lambda row: row.wrong),
        ("no answer", COUNT, lambda row: row.no_answer),
        ("timeout", COUNT, lambda row: row.timeout),
        ("crash", COUNT, lambda row: row.crash),
        ("accuracy", SHARE, lambda row: row.accuracy),
        caption=f"verdicts of each round by grading {named.grading}",
    )
    return Sheet(
        headline(run),
        [[by_round], [gradings_table(gradings)]],
        [
            evidence_note(evidence),
            Note(f"grading {named.grading} · {named.grader} · {named.grader_version}"),
        ],
    )


def gradings_table(gradings: Sequence[GradingAccuracy]) -> Table:
    """The accuracy of a run by each of its gradings, the current one marked."""
    return table(
        gradings,
        ("grading", TEXT, lambda row: row.grading),
        ("grader", TEXT, lambda row: row.grader),
        ("version", TEXT, lambda row: row.grader_version or None),
        ("accuracy", SHARE, lambda row: row.accuracy),
        ("scored", FIGURE, lambda row: f"{number(row.scored)}/{number(row.planned)}"),
        ("", TEXT, lambda row: "current" if row.stands else ""),
        caption="accuracy by each grading",
    )


_SHOWN_ROWS = 3


_SHOWN_CHARACTERS = 60


def refusal(broken: Mapping[str, Sequence[CheckRow]]) -> ChecksFailed:
    """Why nothing is reported: each check that was broken, with its first rows."""
    named = ", ".join(sorted(broken))
    return ChecksFailed(
        "\n".join([f"nothing is reported, for checks fail: {named}", *_rows(broken)])
    )


def _rows(broken: Mapping[str, Sequence[CheckRow]]) -> Iterator[str]:
    for name, rows in sorted(broken.items()):
        counted = f"{len(rows):,}" if len(rows) < CHECK_ROWS else f"{CHECK_ROWS} or more"
        yield f"  {name}: {counted} row{'' if len(rows) == 1 else 's'}"
        for row in rows[:_SHOWN_ROWS]:
            yield "    " + ", ".join(
                f"{column} {excerpt(str(value), _SHOWN_CHARACTERS)}"
                for column, value in row.items()
            )
