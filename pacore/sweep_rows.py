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


class Judge(NamedTuple):
    """What a judge said of the pool: best of n by n, and what its votes on one member take."""

    best: Mapping[int, float | None]
    tokens: float | None
    money: float | None
    alone_tokens: int


def sweep_result(
    warehouse: Warehouse, planned: PlannedSweep, judge: RunConfig | None = None
) -> SweepResult:
    """What a finished and graded sweep found. ``warehouse`` is open over its runs, and the judge's
    where there is one.
    """
    run_ids = [str(config.run_id) for config in planned.configs]
    judge_ids = [] if judge is None else [str(judge.run_id)]
    run_ids += judge_ids
    costs = {row["run_id"]: row for row in warehouse.rows("reports/sweep_costs", run_ids=run_ids)}
    frontiers = {row["run_id"]: row for row in warehouse.rows("reports/frontiers", run_ids=run_ids)}
    pool = measure(warehouse, str(planned.pool.run_id))
    rows = []
    for arm in planned.arms:
        run_id = planned.run_id(arm)
        found, alone = frontiers[run_id], int(costs[run_id]["alone_tokens"])
        if arm.kind == "run":
            rows.append(_run_row(arm, found, alone))
        elif arm.kind == "best":
            said = _judge(warehouse, planned, judge, frontiers, costs)
            rows.append(_best_row(arm, found, alone, said))
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


def _judge(
    warehouse: Warehouse,
    planned: PlannedSweep,
    judge: RunConfig | None,
    frontiers: Mapping[str, Row],
    costs: Mapping[str, Row],
) -> Judge:
    assert judge is not None, "an arm of the kind has its pool judged"
    best = warehouse.rows("reports/best_of_n", run_id=str(planned.pool.run_id))
    run_id = str(judge.run_id)
    votes, own = judge.replicates, frontiers[run_id]
    tokens, money = own["tokens_per_answer"], own["effective_money_per_answer"]
    return Judge(
        {row["n"]: row["best_of_n"] for row in best},
        None if tokens is None else votes * tokens,
        None if money is None else votes * money,
        int(costs[run_id]["alone_tokens"]),
    )


def _best_row(arm: Arm, pool: Row, alone_tokens: int, judge: Judge) -> SweepRow:
    """The best of some of the pool by the judge, whose votes are paid for like any trajectory."""
    value = judge.best.get(arm.count)
    tokens = money = None
    if pool["tokens_per_answer"] is not None and judge.tokens is not None:
        tokens = arm.count * (pool["tokens_per_answer"] + judge.tokens)
    if pool["effective_money_per_answer"] is not None and judge.money is not None:
        money = arm.count * (pool["effective_money_per_answer"] + judge.money)
    return SweepRow(
        name=arm.name,
        arm=arm.text,
        run_id=pool["run_id"],
        trajectories=arm.trajectories,
        accuracy=value,
        low=None,
        high=None,
        unanswered=None,
        effective_tokens=tokens,
        accuracy_per_thousand_tokens=1000 * value / tokens
        if tokens and value is not None
        else None,
        money=money,
        alone_tokens=alone_tokens + judge.alone_tokens,
    )


def _voted(arm: Arm, pool: Measures) -> Estimate | None:
    """What a vote of some of the pool comes to; None where a problem has fewer."""
    votes: list[Estimate | None] = [
        row["vote"] for row in pool.pools if row["pool"] == POOL and row["k"] == arm.count
    ]
    return votes[0] if votes else None


def _pool_row(arm: Arm, pool: Row, alone_tokens: int, found: Estimate | None) -> SweepRow:
    """An arm that is measured on the pool: a vote, a choice, or a single member of it."""
    tokens = None
    if pool["tokens_per_answer"] is not None:
        tokens = arm.count * pool["tokens_per_answer"]
    money = pool["effective_money_per_answer"]
    value = found.value if found else None
    return SweepRow(
        name=arm.name,
        arm=arm.text,
        run_id=pool["run_id"],
        trajectories=arm.trajectories,
        accuracy=value,
        low=found.low if found else None,
        high=found.high if found else None,
        unanswered=pool["unanswered_rate"] if arm.kind == "pool" else None,
        effective_tokens=tokens,
        accuracy_per_thousand_tokens=1000 * value / tokens
        if tokens and value is not None
        else None,
        money=None if money is None else arm.count * money,
        alone_tokens=alone_tokens,
    )
