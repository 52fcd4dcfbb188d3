"""The measures of one run, read from its marts once, with the intervals that SQL does not make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from pacore.core.config.evaluate import EvaluateConfig
from pacore.errors import ChecksFailed
from pacore.evaluation.batches import close_evaluation, evaluation_of, grade_all
from pacore.evaluation.statistics.bootstrap import (
    Estimate,
    Pool,
    Variance,
    majority_of,
    mean_of,
    pass_at,
    pass_of,
    pass_power,
    two_level,
)
from pacore.store.run import Run, open_run
from pacore.warehouse.views import Warehouse

Row = dict[str, Any]


Votes = Mapping[tuple[str, int], Mapping[str, float]]
"""maj@k by pool and k, and by problem."""


@dataclass(frozen=True)
class Measures:
    """What the marts say of a run, row by row.

    ``totals`` has accuracy, rates and tokens, ``missing`` why planned answers are missing, ``summary``
    the current grading and the cost;
    ``pools`` a row for each pool and k with pass@k, pass^k and maj@k, and the ``intervals`` of each by
    its name; ``rounds`` one for each round that hands messages on.
    """

    run: Run
    totals: Row
    missing: list[Row]
    summary: Row
    pools: list[Row]
    rounds: list[Row]

    @property
    def is_graded(self) -> bool:
        """Whether every trajectory has a verdict, and not only the answers."""
        return bool(self.summary["sequence"])


def evaluate(config: EvaluateConfig) -> dict[str, Measures]:
    """Grade every trajectory of some runs, check every invariant over them, and measure each, by run id.

    Without Prefect; what is graded already is not graded again. Raises as `Evaluation.batches`, and
    ChecksFailed, which names them, where checks return rows: nothing is measured then.
    """
    evaluation = evaluation_of(config)
    try:
        grade_all(evaluation, evaluation.batches())
    finally:
        close_evaluation(config)
    with Warehouse(evaluation.store, config.runs) as warehouse:
        if broken := sorted(name for name, rows in warehouse.run_checks().items() if rows):
            raise ChecksFailed(f"checks fail: {', '.join(broken)}")
        return {run_id: measure(warehouse, run_id) for run_id in config.runs}


def measure(warehouse: Warehouse, run_id: str) -> Measures:
    """Read the measures of a run. Raises Refused for an unknown one."""
    run = open_run(warehouse.store, run_id)
    (totals,) = warehouse.rows("reports/totals", run_id=run_id)
    (summary,) = warehouse.rows("reports/evaluated_run", run_id=run_id)
    members = _members(warehouse, run_id)
    votes = _votes(warehouse, run_id)
    pools = [
        {**row, "intervals": dict(_estimates(run, row, members[row["pool"]], votes))}
        for row in warehouse.rows("reports/evaluated_pools", run_id=run_id)
    ]
    rounds = warehouse.rows("reports/evaluated_rounds", run_id=run_id)
    missing = warehouse.rows("reports/missing", run_id=run_id)
    return Measures(run, totals, missing, summary, pools, rounds)


def _members(warehouse: Warehouse, run_id: str) -> dict[str, dict[str, Pool]]:
    """The scored members of each pool, by problem."""
    members: dict[str, dict[str, Pool]] = {}
    rows = warehouse.rows("reports/evaluated_members", run_id=run_id)
    for (pool, problem_id), group in groupby(rows, key=lambda r: (r["pool"], r["problem_id"])):
        own = list(group)
        scores, classes = [row["score"] for row in own], [row["answer_key"] for row in own]
        members.setdefault(pool, {})[problem_id] = Pool(scores, classes)
    return members


def _votes(warehouse: Warehouse, run_id: str) -> Votes:
    """maj@k of each pool, k and problem."""
    rows = warehouse.rows("reports/evaluated_votes", run_id=run_id)
    return {
        key: {row["problem_id"]: row["score"] for row in group}
        for key, group in groupby(rows, key=lambda row: (row["pool"], row["k"]))
    }


def _estimates(
    run: Run, row: Row, members: Mapping[str, Pool], votes: Votes
) -> Iterator[tuple[str, Estimate]]:
    """pass@k, pass^k and maj@k of one pool and k, each with its own intervals; what is null has none."""
    pool, k = row["pool"], row["k"]
    pools = list(members.values())
    found: dict[str, tuple[list[Pool], Variance, list[float]]] = {}
    for name, chance in (("pass_at_k", pass_at), ("pass_power_k", pass_power)):
        if row[name] is not None:
            counts = [(len(one.scores), sum(score == 1 for score in one.scores)) for one in pools]
            values = [chance(count, correct, k) for count, correct in counts]
            found[name] = pools, pass_of(k, chance), values
    if row["maj_at_k"] is not None:
        voted = votes[pool, k]
        variance = mean_of if k == 1 else majority_of(k)
        found["maj_at_k"] = [members[name] for name in voted], variance, list(voted.values())
    # Replicates that draw from one pool share trajectories, and are not samples of their own.
    is_shared = pool == "answers" and run.plan.pool is not None
    for name, (chosen, variance, values) in found.items():
        estimate = two_level(chosen, variance, values, f"{run.run_id} {pool} {name} {k}")
        if is_shared:
            estimate = replace(estimate, these_low=None, these_high=None)
        yield name, estimate
