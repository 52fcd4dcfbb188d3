"""The rows of a sweep: what the marts say of each of its arms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pacore.arms import Arm
from pacore.config import RunConfig
from pacore.measures import Measures, measure
from pacore.problem_report import headline
from pacore.statistics import Estimate
from pacore.sweep_config import PlannedSweep
from pacore.sweep_report import SweepResult, SweepRow
from pacore.warehouse import Warehouse

Row = Mapping[str, Any]
POOL = "first_round"


class Measured(NamedTuple):
    """An arm measured on the pool: its accuracy, and what its trajectories take beside the pool's.

    ``tokens`` and ``money`` are of a judge's votes on one member, ``alone_tokens`` of all its votes.
    """

    accuracy: float | None
    low: float | None = None
    high: float | None = None
    tokens: float | None = 0.0
    money: float | None = 0.0
    alone_tokens: int = 0


def sweep_result(
    warehouse: Warehouse, planned: PlannedSweep, judge: RunConfig | None = None
) -> SweepResult:
    """What a finished and graded sweep found. ``warehouse`` is open over its runs, and the judge's
    where there is one.
    """
    configs = [*planned.configs, *([] if judge is None else [judge])]
    run_ids = [str(config.run_id) for config in configs]
    costs = {row["run_id"]: row for row in warehouse.rows("reports/sweep_costs", run_ids=run_ids)}
    frontiers = {row["run_id"]: row for row in warehouse.rows("reports/frontiers", run_ids=run_ids)}
    pool = measure(warehouse, str(planned.pool.run_id))
    liked, judged = {}, Measured(None)
    if judge is not None:
        best = warehouse.rows("reports/best_of_n", run_id=str(planned.pool.run_id))
        liked = {row["n"]: row["best_of_n"] for row in best}
        judged = _judged(judge.replicates, frontiers[run_ids[-1]], costs[run_ids[-1]])
    rows = []
    for arm in planned.arms:
        run_id = planned.run_id(arm)
        found, alone = frontiers[run_id], int(costs[run_id]["alone_tokens"])
        if arm.kind == "run":
            rows.append(_run_row(arm, found, alone))
        elif arm.kind == "best":
            chosen = judged._replace(accuracy=liked.get(arm.count))
            rows.append(_pool_row(arm, found, alone, chosen))
        else:
            rows.append(_pool_row(arm, found, alone, _voted(arm, pool)))
    currency = next((row["currency"] for row in frontiers.values() if row["currency"]), None)
    new_tokens = sum(int(row["new_tokens"]) for row in costs.values())
    return SweepResult(planned.sweep_id, headline(pool.run), rows, new_tokens, currency)


def _run_row(arm: Arm, found: Row, alone_tokens: int) -> SweepRow:
    return SweepRow(
        name=arm.name,
        arm=arm.text,
        run_id=found["run_id"],
        trajectories=arm.trajectories,
        accuracy=found["score"],
        low=found["population_low"],
        high=found["population_high"],
        unanswered=found["unanswered_rate"],
        effective_tokens=found["tokens_per_answer"],
        accuracy_per_thousand_tokens=found["accuracy_per_thousand_tokens"],
        money=found["effective_money_per_answer"],
        alone_tokens=alone_tokens,
    )


def _judged(votes: int, spent: Row, costs: Row) -> Measured:
    """What a judge's votes take, which are paid for like any trajectory; of no accuracy yet."""
    tokens, money = spent["tokens_per_answer"], spent["effective_money_per_answer"]
    return Measured(
        None,
        tokens=None if tokens is None else votes * tokens,
        money=None if money is None else votes * money,
        alone_tokens=int(costs["alone_tokens"]),
    )


def _voted(arm: Arm, pool: Measures) -> Measured:
    """What a vote of some of the pool comes to; nothing where a problem has fewer."""
    votes: list[Estimate | None] = [
        row["vote"] for row in pool.pools if row["pool"] == POOL and row["k"] == arm.count
    ]
    found = votes[0] if votes else None
    return Measured(None) if found is None else Measured(found.value, found.low, found.high)


def _pool_row(arm: Arm, pool: Row, alone_tokens: int, found: Measured) -> SweepRow:
    """An arm that is measured on the pool: a vote, a choice, or a single member of it."""
    tokens, value = _each(arm, pool["tokens_per_answer"], found.tokens), found.accuracy
    return SweepRow(
        name=arm.name,
        arm=arm.text,
        run_id=pool["run_id"],
        trajectories=arm.trajectories,
        accuracy=value,
        low=found.low,
        high=found.high,
        unanswered=pool["unanswered_rate"] if arm.kind == "pool" else None,
        effective_tokens=tokens,
        accuracy_per_thousand_tokens=1000 * value / tokens
        if tokens and value is not None
        else None,
        money=_each(arm, pool["effective_money_per_answer"], found.money),
        alone_tokens=alone_tokens + found.alone_tokens,
    )


def _each(arm: Arm, member: float | None, votes: float | None) -> float | None:
    """What the members of an arm take together, each with the votes on it; None where not known."""
    return None if member is None or votes is None else arm.count * (member + votes)
