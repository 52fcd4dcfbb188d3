"""A comparison of two runs as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pacore.evaluation.comparison import ComparedRun, Comparison, Decision
from pacore.evaluation.statistics.paired import Paired
from pacore.report.accuracy import evidence_note
from pacore.report.rendering.plots import ACCURACY, Interval, interval_figure
from pacore.report.rendering.sheet import (
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

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure

LEAST_P = 0.0001


def comparison_sheet(found: Comparison, decision: Decision | None = None) -> Sheet:
    """Both runs side by side, their difference over common problems with its tests, and the gate."""
    runs = (found.first, found.second)
    columns = [SheetColumn(""), *(SheetColumn(run.run_id, FIGURE) for run in runs)]
    both = f"{found.first.run_id} and {found.second.run_id}"
    sections: list[list[Part]] = [
        [Table(columns, [*_rows(found), *_shared(found)], caption=f"runs {both} side by side")],
        [Facts(list(_tests(found)), f"difference between runs {both}")],
    ]
    if decision is not None:
        reasons = (Note(f"  {reason}") for reason in decision.reasons)
        sections.append([Heading(decision.word), *reasons])
    return Sheet(None, sections, [evidence_note(found.evidence)])


def comparison_figure(found: Comparison) -> Figure:
    """The accuracy of both runs with their intervals; the title is their difference."""
    rows = [
        Interval(run.run_id, run.accuracy, run.population_low, run.population_high)
        for run in (found.first, found.second)
        if run.accuracy is not None
    ]
    title = f"Difference {points(found.paired.difference)} ({_interval(found.paired)})"
    return interval_figure(rows, title, ACCURACY)


def _rows(found: Comparison) -> Iterator[list[str]]:
    """What each run is by itself, a line for each measure."""

    def row(title: str, value: Callable[[ComparedRun], str]) -> list[str]:
        return [title, value(found.first), value(found.second)]

    yield row("accuracy", lambda run: share(run.accuracy))
    yield row("accuracy, 95 %", lambda run: between(run.population_low, run.population_high))
    yield row("answers scored", lambda run: f"{run.scored:,} of {run.planned:,}")
    yield row("missing", lambda run: share(run.missing_rate))
    yield row("no answer", lambda run: share(run.no_answer_rate))
    yield row("failed", lambda run: share(run.failed_rate))
    yield row("truncated", lambda run: share(run.truncated_rate))
    yield row("timeout", lambda run: share(run.timeout_rate))
    yield row("crash", lambda run: share(run.crash_rate))
    yield row("ungraded", lambda run: share(run.ungraded_rate))
    yield row("tokens an answer", lambda run: number(run.tokens_per_answer))
    if currency := found.first.currency or found.second.currency:
        yield row(f"{currency} an answer", lambda run: number(run.effective_money_per_answer, 6))


def _tests(found: Comparison) -> Iterator[tuple[str, str]]:
    pair = found.paired
    left_out = found.only_first + found.only_second + found.changed
    beside = f", {left_out} not in both or changed" if left_out else ""
    yield "problems", f"{pair.problems:,} compared{beside}"
    if found.sharing.is_any:
        own = f"{pair.independent:,} problems have answers of their own in both runs"
        yield (
            "dependence",
            f"{own}; paired by problem, which accounts for the trajectories they share",
        )
    yield "difference", f"{points(pair.difference)} ({_interval(pair)})"
    yield "", f"from {share(pair.first)} to {share(pair.second)} on these problems"
    yield "problems better", f"{pair.better:,}, worse {pair.worse:,}, equal {pair.equal:,}"
    if pair.permutation_p is None:
        yield "permutation", "no problem's score differs"
    else:
        counted = "all sign patterns" if pair.is_exact else "100,000 sign patterns"
        yield "permutation", f"{chance(pair.permutation_p)} ({counted})"
    both = found.first.run_id, found.second.run_id
    yield (
        "McNemar",
        f"{chance(pair.mcnemar_p)} ({pair.gained} problems mostly right in {both[1]} alone, {pair.lost} in "
        f"{both[0]} alone)",
    )
    if pair.detectable is not None:
        yield (
            "sensitivity",
            f"{100 * pair.detectable:.1f} points: smallest difference that so many problems reveal with "
            "80 % power",
        )
    if (same := found.equivalence) is not None:
        word = "equivalent" if same.is_equivalent else "not shown to be equivalent"
        bounds = f"{points(same.low)} to {points(same.high)}, 90 %"
        within = f"within {100 * same.margin:g} points: {chance(same.p)}"
        yield "equivalence", f"{word} {within} ({bounds})"
    if found.graders[0] == found.graders[1]:
        yield "grader", ", ".join(found.graders[0])
    else:
        yield "graders", " against ".join(", ".join(graders) for graders in found.graders)


def _shared(found: Comparison) -> Iterator[list[str]]:
    """What of each run is the other's too: answers, and by round trajectories and their tokens."""
    sharing = found.sharing
    if not sharing.is_any:
        return
    yield ["shared answers", *(f"{sharing.shared:,} of {count:,}" for count in sharing.answers)]
    for row in sharing.rounds:
        yield [
            f"shared in round {row.round}",
            f"{row.first_shared:,} of {row.first:,}",
            f"{row.second_shared:,} of {row.second:,}",
        ]
        yield [
            "  of its tokens",
            share(_ratio(row.first_shared_tokens, row.first_tokens)),
            share(_ratio(row.second_shared_tokens, row.second_tokens)),
        ]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _interval(pair: Paired) -> str:
    if pair.low is None or pair.high is None:
        return "no interval: fewer than two problems"
    return f"{points(pair.low)} to {points(pair.high)}, 95 %"


def chance(p: float) -> str:
    """A p value: never one of 0, which no number of problems can show."""
    return f"p = {p:.4f}" if p >= LEAST_P else f"p < {LEAST_P:.4f}"
