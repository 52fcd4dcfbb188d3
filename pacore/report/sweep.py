"""A sweep as a page: a row for each arm, and what sharing saved; also as CSV, JSON and a picture."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING

from pacore.core.config.sweep import PlannedSweep, SweepConfig
from pacore.evaluation.judging import Judging
from pacore.evaluation.strategies.budget import (
    ARMS,
    SCORES,
    BudgetArm,
    BudgetChoice,
    Cost,
)
from pacore.evaluation.strategies.equal_cost import EqualCost, at_equal_cost
from pacore.evaluation.sweep import SweepResult, SweepRow, scores_of_arms, sweep_result
from pacore.report.accuracy import evidence_note
from pacore.report.comparison import chance
from pacore.report.rendering.plots import frontier_figure, image
from pacore.report.rendering.sheet import (
    ABSENT,
    COUNT,
    FIGURE,
    INTERVAL,
    POINTS,
    SHARE,
    TEXT,
    Facts,
    Format,
    Heading,
    Note,
    Part,
    Sheet,
    between,
    decimals,
    number,
    points,
    settled,
    share,
    table,
    to_json,
)
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.layout import sweep_key
from pacore.store.run import headline, open_run
from pacore.warehouse.prices import read_prices
from pacore.warehouse.views import ReportWarehouse

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure


def sweep_sheet(title: str, result: SweepResult, files: Sequence[str] = ()) -> Sheet:
    """The arms as a table, cheapest first, those on the frontier marked, what sharing saved, and the
    addresses of the files that keep it.
    """
    cheapest_first = sorted(result.arms, key=lambda arm: (arm.effective_tokens or 0.0, arm.name))
    money = (f"{result.currency} an answer", decimals(6), lambda arm: arm.money)
    arms = table(
        cheapest_first,
        ("arm", TEXT, lambda arm: arm.name),
        ("accuracy", SHARE, lambda arm: arm.accuracy),
        ("accuracy, 95 %", INTERVAL, lambda arm: (arm.low, arm.high)),
        ("scored", FIGURE, lambda arm: f"{arm.scored:,}/{arm.planned:,}"),
        ("no answer", SHARE, lambda arm: arm.unanswered),
        ("tokens", COUNT, lambda arm: arm.effective_tokens),
        ("points/1k", PER_THOUSAND, lambda arm: arm.accuracy_per_thousand_tokens),
        *([money] if result.currency is not None else []),
        ("frontier", TEXT, lambda arm: "●" if arm.name in result.frontier else ""),
        caption="accuracy and cost of each strategy",
    )
    saved = result.alone_tokens - result.new_tokens
    saved_share = saved / result.alone_tokens if result.alone_tokens else None
    spent = [
        ("tokens", "effective TTC of an answer; points of accuracy per thousand of them"),
        ("each arm alone", f"{result.alone_tokens:,} tokens"),
        ("generated now", f"{result.new_tokens:,} tokens"),
        ("not generated", f"{saved:,} tokens ({share(saved_share)})"),
    ]
    sections: list[list[Part]] = [[arms], *_differences(result), *_equal_cost(result)]
    sections.append([Facts(spent, "tokens of the sweep")])
    if files:
        kept = [("" if place else "files", file) for place, file in enumerate(files)]
        sections.append([Facts(kept, "files of the sweep")])
    lead = [] if result.evidence is None else [evidence_note(result.evidence)]
    return Sheet(title, sections, lead)


PER_THOUSAND = Format(lambda gain: number(None if gain is None else 100 * gain, 1))
"""Percentage points of accuracy that a thousand tokens buy."""


def _differences(result: SweepResult) -> Iterator[list[Part]]:
    """The difference of every arm from the first, where there is one."""
    compared = [arm for arm in result.arms if arm.difference is not None]
    if compared:
        heading = (
            f"compared with {result.baseline}, paired by problem; all share the pool of round 1"
        )
        differences = table(
            compared,
            ("arm", TEXT, lambda arm: arm.name),
            ("difference", POINTS, lambda arm: arm.difference),
            (
                "difference, 95 %",
                FIGURE,
                lambda arm: between(arm.difference_low, arm.difference_high, points),
            ),
            ("problems", COUNT, lambda arm: arm.compared),
        )
        yield [Heading(heading), differences]


def _equal_cost(result: SweepResult) -> Iterator[list[Part]]:
    """Each strategy that is a run, compared with the majority vote that costs the same."""
    if not result.equal_cost:
        return
    heading = "compared with self-consistency (sc) at equal tokens, paired by problem"
    rows = table(
        result.equal_cost,
        ("arm", TEXT, lambda row: row.arm),
        ("tokens", COUNT, lambda row: row.tokens),
        ("compared with", TEXT, lambda row: f"sc:{row.count}"),
        ("tokens", COUNT, lambda row: row.vote_tokens),
        ("difference", POINTS, lambda row: row.pair and row.pair.difference),
        ("95 %", FIGURE, _interval),
        ("permutation", FIGURE, _permutation),
        ("problems", COUNT, lambda row: row.pair and row.pair.problems),
    )
    missing = [row for row in result.equal_cost if row.pair is None]
    notes = [
        Note(
            f"{row.arm}: the pool has fewer than {row.count:,} samples; --arm sc:{row.count} makes them"
        )
        for row in missing
    ]
    yield [Heading(heading), rows, *notes]


def _interval(row: EqualCost) -> str:
    if row.pair is None:
        return ABSENT
    return between(row.pair.low, row.pair.high, _signed)


def _signed(difference: float | None) -> str:
    return f"{100 * (difference or 0.0):+.1f}"


def _permutation(row: EqualCost) -> str:
    return (
        ABSENT
        if row.pair is None or row.pair.permutation_p is None
        else chance(row.pair.permutation_p)
    )


_COSTS: Mapping[Cost, tuple[str, Format]] = {
    "effective_tokens": ("tokens", COUNT),
    "path_tokens": ("path tokens", COUNT),
    "money": ("money", decimals(6)),
    "path_seconds": ("seconds", decimals(1)),
    "engine_seconds": ("engine seconds", decimals(1)),
}


def budget_sheet(found: BudgetChoice) -> Sheet:
    """The arm that a budget buys, beside the others: those that it pays for first."""
    named = {**_COSTS, "money": (found.currency or "money", decimals(6))}
    limits = ", ".join(
        f"{named[name][1].write(limit)} {named[name][0]}" for name, limit in found.budget.items()
    )
    title = f"sweep {found.sweep}: at most {limits} an answer"
    chosen = next((arm for arm in found.arms if arm.name == found.chosen), None)
    if chosen is None:
        lead: list[Part] = [Note("no arm is paid for")]
    else:
        interval = between(chosen.low, chosen.high)
        lead = [
            Note(f"run {chosen.name}: accuracy {share(chosen.accuracy)} ({interval}, 95 %)"),
            Note(
                f"the best of what is paid for in {share(chosen.best_share)} of resamples of "
                f"{found.problems:,} problems"
            ),
        ]
        as_good = [arm.name for arm in found.arms if arm.pair and (arm.pair.low or 0) <= 0]
        if as_good:
            lead.append(Note(f"not worse beyond chance (95 %): {', '.join(as_good)}"))
    shown = sorted(found.arms, key=lambda arm: (not arm.is_affordable, -(arm.accuracy or 0.0)))
    costs = [(*named[name], partial(_cost_of, name)) for name in found.budget]
    arms = table(
        shown,
        ("arm", TEXT, lambda arm: arm.name),
        ("accuracy", SHARE, lambda arm: arm.accuracy),
        *costs,
        ("fits", TEXT, lambda arm: "●" if arm.is_affordable else ""),
        (
            "behind by",
            FIGURE,
            lambda arm: ABSENT if arm.pair is None else _signed(arm.pair.difference),
        ),
        (
            "95 %",
            FIGURE,
            lambda arm: (
                ABSENT if arm.pair is None else between(arm.pair.low, arm.pair.high, _signed)
            ),
        ),
        ("best in", SHARE, lambda arm: arm.best_share),
        caption="arms and what the budget pays for",
    )
    said = (
        "behind: points of the chosen arm above it, paired by problem; best in: share of resamples"
    )
    return Sheet(title, [[arms], [Note(said, "faint")]], lead)


def _cost_of(name: Cost, arm: BudgetArm) -> float | None:
    return arm.costs[name]


def sweep_csv(result: SweepResult) -> str:
    """The arms as CSV, a column for each field of `SweepRow`."""
    file = io.StringIO()
    writer = csv.DictWriter(file, [one.name for one in fields(SweepRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(settled(arm) for arm in result.arms)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """What a sweep found under its title, the addresses of its files: picture, CSV and JSON, and its runs,
    those of a judge among them.
    """

    title: str
    result: SweepResult
    files: tuple[str, ...]
    runs: tuple[str, ...] = ()


def sweep_figure(title: str, result: SweepResult) -> Figure:
    """The accuracy of every arm against what its answer costs."""
    return frontier_figure(result.points, f"Accuracy and cost of each strategy: {title}")


def conclude_sweep(
    config: SweepConfig, planned: PlannedSweep, judging: Judging | None = None
) -> SweepOutcome:
    """Read the marts of its runs, all graded, and keep table and picture below ``sweeps/``."""
    store = open_store(config.run.store)
    run_ids = [str(run.run_id) for run in planned.configs]
    judge = None if judging is None else judging.config
    if judge is not None:
        run_ids.append(str(judge.run_id))
    prices = read_prices(config.run.prices) if config.run.prices else ()
    counts = [arm.count for arm in planned.arms]
    with ReportWarehouse(store, run_ids, prices, counts) as warehouse:
        scores = scores_of_arms(warehouse, planned)
        result = sweep_result(warehouse, planned, scores, judge)
        result = replace(result, equal_cost=at_equal_cost(warehouse, planned))
    title = headline(open_run(store, str(planned.pool.run_id)))
    picture = sweep_figure(title, result)
    written = {
        "frontier.svg": image(picture),
        "frontier.png": image(picture, "png"),
        "arms.csv": sweep_csv(result).encode(),
        ARMS: to_json(result).encode(),
        SCORES: to_json(scores).encode(),
        "arms.txt": to_text(sweep_sheet(title, result)).encode() + b"\n",
    }
    files = [_keep(store, planned.sweep_id, name, data) for name, data in written.items()]
    return SweepOutcome(title, result, tuple(files), tuple(run_ids))


def _keep(store: Backend, sweep_id: str, name: str, data: bytes) -> str:
    """Put one file of a sweep, in place of an earlier one; its address."""
    scratch = store.scratch() / f"sweep-{secrets.token_hex(8)}"
    scratch.write_bytes(data)
    try:
        key = sweep_key(sweep_id, name)
        store.put_file(key, scratch)
        return store.uri(key)
    finally:
        scratch.unlink(missing_ok=True)
