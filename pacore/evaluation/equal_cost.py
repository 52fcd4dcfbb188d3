"""Rounds compared with self-consistency at equal tokens: each strategy of a sweep that is a run, and the
majority vote over as many samples of the bare problem as cost what its answer costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pacore.core.config.sweep import PlannedSweep
from pacore.evaluation.comparison import ProblemScore
from pacore.evaluation.measures import Vote
from pacore.evaluation.statistics.paired import Paired, paired
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

POOL = "first_round"


@dataclass(frozen=True, slots=True)
class AnswerTokens(ReportRow):
    """The mean effective TTC of an answer of a run, in tokens; None where it is not known."""

    QUERY: ClassVar[str] = "sweep/answer_tokens"

    run_id: str
    tokens_per_answer: float | None


@dataclass(frozen=True, slots=True)
class EqualCost:
    """A strategy compared with the vote of ``count`` samples, whose tokens are nearest to its own.

    ``tokens`` and ``vote_tokens`` are those of an answer of each; ``pair`` is the strategy less the vote,
    paired by problem; None where the pool has fewer than ``count`` samples of every problem, or no problem
    is scored in both.
    """

    arm: str
    count: int
    tokens: float
    vote_tokens: float
    pair: Paired | None


def vote_counts(warehouse: Warehouse, planned: PlannedSweep) -> dict[str, int]:
    """For each strategy that is a run, by its name, how many samples of the pool cost what its answer does.

    Strategies whose tokens are not known are left out, and so are those of a single trajectory.
    """
    tokens = _tokens(warehouse, planned)
    member = tokens.get(str(planned.pool.run_id))
    found = {}
    for arm in planned.arms:
        spent = tokens.get(planned.run_id(arm)) if arm.kind == "run" else None
        if member and spent and arm.widths:
            found[arm.name] = max(1, round(spent / member))
    return found


def _tokens(warehouse: Warehouse, planned: PlannedSweep) -> Mapping[str, float]:
    run_ids = [str(config.run_id) for config in planned.configs]
    rows = warehouse.read(AnswerTokens, run_ids=run_ids)
    return {row.run_id: row.tokens_per_answer for row in rows if row.tokens_per_answer}


def pool_votes(warehouse: Warehouse, run_id: str) -> Mapping[int, Mapping[str, float]]:
    """The expected score of a vote of k samples of the bare problem, by k and by problem."""
    votes: dict[int, dict[str, float]] = defaultdict(dict)
    for vote in warehouse.read(Vote, run_id=run_id):
        if vote.pool == POOL:
            votes[vote.k][vote.problem_id] = vote.score
    return votes


def at_equal_cost(
    warehouse: Warehouse, planned: PlannedSweep, counts: Mapping[str, int]
) -> Sequence[EqualCost]:
    """The comparison of each strategy in ``counts``, in the order of the sweep.

    ``warehouse`` is open over the sweep's runs, with ``counts`` among its numbers.
    """
    tokens = _tokens(warehouse, planned)
    pool_id = str(planned.pool.run_id)
    votes = pool_votes(warehouse, pool_id)
    found = []
    for arm in planned.arms:
        if arm.name not in counts:
            continue
        count, run_id = counts[arm.name], planned.run_id(arm)
        scores = {
            row.problem_id: row.score for row in warehouse.read(ProblemScore, run_ids=[run_id])
        }
        voted = votes.get(count, {})
        both = sorted(scores.keys() & voted.keys())
        pair = (
            paired([voted[name] for name in both], [scores[name] for name in both])
            if both
            else None
        )
        found.append(EqualCost(arm.name, count, tokens[run_id], count * tokens[pool_id], pair))
    return found
