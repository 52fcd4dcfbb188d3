"""Rounds compared with self-consistency at equal tokens: each strategy of a sweep that is a run, and the
majority vote over as many samples of the bare problem as cost what its answer costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pacore.core.config.sweep import PlannedSweep
from pacore.evaluation.comparison import ProblemAccuracy
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


def pool_votes(warehouse: Warehouse, run_id: str) -> Mapping[int, Mapping[str, float]]:
    """The expected accuracy of a vote of k samples of the bare problem, by k and by problem."""
    votes: dict[int, dict[str, float]] = defaultdict(dict)
    for vote in warehouse.read(Vote, run_id=run_id):
        if vote.pool == POOL:
            votes[vote.k][vote.problem_id] = vote.accuracy
    return votes


def at_equal_cost(warehouse: Warehouse, planned: PlannedSweep) -> Sequence[EqualCost]:
    """The comparison of each strategy that is a run, in the order of the sweep.

    Strategies whose tokens are not known are left out, and so are those of a single trajectory.
    ``warehouse`` is open over the sweep's runs.
    """
    pool_id = str(planned.pool.run_id)
    run_of = {
        arm.name: planned.run_id(arm) for arm in planned.arms if arm.kind == "run" and arm.widths
    }
    run_ids = [pool_id, *run_of.values()]
    spent = warehouse.read(AnswerTokens, run_ids=run_ids)
    tokens = {row.run_id: row.tokens_per_answer for row in spent if row.tokens_per_answer}
    if pool_id not in tokens:
        return []
    known = {name: run_id for name, run_id in run_of.items() if run_id in tokens}
    counts = {
        name: max(1, round(tokens[run_id] / tokens[pool_id])) for name, run_id in known.items()
    }
    warehouse.count_votes(counts.values())
    votes = pool_votes(warehouse, pool_id)
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for row in warehouse.read(ProblemAccuracy, run_ids=list(known.values())):
        scores[row.run_id][row.problem_id] = row.accuracy
    return [
        EqualCost(
            name,
            counts[name],
            tokens[run_id],
            counts[name] * tokens[pool_id],
            _paired(votes.get(counts[name], {}), scores[run_id]),
        )
        for name, run_id in known.items()
    ]


def _paired(voted: Mapping[str, float], scores: Mapping[str, float]) -> Paired | None:
    """A strategy's scores less those of a vote, over the problems that both have; None without any."""
    both = sorted(scores.keys() & voted.keys())
    if not both:
        return None
    return paired([voted[name] for name in both], [scores[name] for name in both])
