"""The measures of one run, read from its marts once, with the intervals that SQL does not make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pacore.run import Run, open_run
from pacore.statistics import Estimate, Pool, majority_of, mean_of, two_level
from pacore.warehouse import Warehouse

Row = dict[str, Any]


@dataclass(frozen=True)
class Measures:
    """What the marts say of a run, row by row.

    ``totals`` has accuracy, rates and tokens, ``summary`` the grading that stands and the cost;
    ``pools`` a row for each pool and k with pass@k, pass^k and maj@k, the last as an estimate with
    its intervals too; ``rounds`` one for each round that hands messages on.
    """

    run: Run
    totals: Row
    summary: Row
    pools: list[Row]
    rounds: list[Row]

    @property
    def is_graded(self) -> bool:
        """Whether every trajectory has a verdict, and not only the answers."""
        return bool(self.summary["sequence"])


def measure(warehouse: Warehouse, run_id: str) -> Measures:
    """Read the measures of a run. Raises Refused for an unknown one."""
    run = open_run(warehouse.store, run_id)
    (totals,) = warehouse.rows("reports/totals", run_id=run_id)
    (summary,) = warehouse.rows("reports/evaluated_run", run_id=run_id)
    votes = dict(_votes(warehouse, run_id))
    pools = [
        {**row, "vote": votes.get((row["pool"], row["k"]))}
        for row in warehouse.rows("reports/evaluated_pools", run_id=run_id)
    ]
    rounds = warehouse.rows("reports/evaluated_rounds", run_id=run_id)
    return Measures(run, totals, summary, pools, rounds)


def _votes(warehouse: Warehouse, run_id: str) -> Iterator[tuple[tuple[str, int], Estimate]]:
    """maj@k of each pool and k, by the two-level bootstrap over problems and members."""
    members: dict[str, dict[str, Pool]] = {}
    rows = warehouse.rows("reports/evaluated_members", run_id=run_id)
    for (pool, problem_id), group in groupby(rows, key=lambda r: (r["pool"], r["problem_id"])):
        own = list(group)
        scores, classes = [row["score"] for row in own], [row["answer_key"] for row in own]
        members.setdefault(pool, {})[problem_id] = Pool(scores, classes)
    voted = warehouse.rows("reports/evaluated_votes", run_id=run_id)
    for (pool, k), group in groupby(voted, key=lambda row: (row["pool"], row["k"])):
        scores_of = {row["problem_id"]: row["score"] for row in group}
        chosen = [members[pool][problem_id] for problem_id in scores_of]
        estimator = mean_of if k == 1 else majority_of(k)
        named = f"{run_id} {pool} maj@{k}"
        yield (pool, k), two_level(chosen, estimator, list(scores_of.values()), named)
