"""The measures of one run, read from its marts, and the intervals that SQL does not compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import ClassVar

from pacore.evaluation.accuracy import Missing, Totals
from pacore.evaluation.evidence import Evidence, detectable_beside, evidence_of
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
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse


@dataclass(frozen=True, slots=True)
class Summary(ReportRow):
    """The current grading of a run, and what the run cost."""

    QUERY: ClassVar[str] = "evaluation/run"

    grading: str
    sequence: int
    grader: str
    graders: str | None
    prompt_tokens: int | None
    cached_prompt_tokens: int | None
    wasted_tokens: int | None
    currency: str | None
    effective_money: float | None
    effective_money_per_answer: float | None
    marginal_money: float | None
    accuracy_per_thousand_tokens: float | None


@dataclass(frozen=True, slots=True)
class PoolRow(ReportRow):
    """pass@k, pass^k and maj@k of one pool and k, and the tokens of such a vote."""

    QUERY: ClassVar[str] = "evaluation/pools"

    pool: str
    k: int
    problems: int
    members: int
    pass_at_k: float | None
    pass_power_k: float | None
    maj_at_k: float | None
    method: str | None
    tokens: float | None


@dataclass(frozen=True, slots=True)
class PoolMeasures(PoolRow):
    """The same with the intervals of each estimate, by its name."""

    intervals: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Member(ReportRow):
    """One scored member of a pool; ``answer_key`` is None where it has no answer."""

    QUERY: ClassVar[str] = "evaluation/members"

    pool: str
    problem_id: str
    score: float
    answer_key: str | None


@dataclass(frozen=True, slots=True)
class Vote(ReportRow):
    """The expected accuracy of a vote of k members of one problem's pool."""

    QUERY: ClassVar[str] = "evaluation/votes"

    pool: str
    k: int
    problem_id: str
    accuracy: float


@dataclass(frozen=True, slots=True)
class RoundGap(ReportRow):
    """How good the messages of a round are, and what a perfect choice among them would gain."""

    QUERY: ClassVar[str] = "evaluation/rounds"

    round: int
    sets: int
    problems: int
    message_accuracy: float | None
    oracle: float
    accuracy: float
    gap: float


VoteScores = Mapping[tuple[str, int], Mapping[str, float]]
"""maj@k by pool and k, and by problem."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of one run, as its marts have them.

    ``totals`` has accuracy, rates and tokens, ``missing`` why planned answers are missing, ``summary``
    the current grading and the cost; ``pools`` a record for each pool and k with the intervals of its
    estimates; ``rounds`` one for each round whose messages the next round sees; ``evidence`` what all of it
    is worth.
    """

    run_id: str
    totals: Totals
    missing: Sequence[Missing]
    summary: Summary
    pools: Sequence[PoolMeasures]
    rounds: Sequence[RoundGap]
    evidence: Evidence

    @property
    def is_graded(self) -> bool:
        """Whether every trajectory has a verdict, and not only the answers."""
        return self.summary.sequence > 0


def measure(
    warehouse: Warehouse, run_id: str, begin: Callable[[str], None] = lambda _: None
) -> Measures:
    """Read the measures of a run. Raises Refused for an unknown one.

    ``begin`` is called with a line about each part of the work before it is begun.
    """
    run = open_run(warehouse.store, run_id)
    begin(f"measuring run {run_id}: accuracy and cost")
    (totals,) = warehouse.read(Totals, run_id=run_id)
    (summary,) = warehouse.read(Summary, run_id=run_id)
    begin(f"measuring run {run_id}: votes")
    members = _members(warehouse, run_id)
    votes = _votes(warehouse, run_id)
    pools = []
    for row in warehouse.read(PoolRow, run_id=run_id):
        begin(f"measuring run {run_id}: intervals of {row.pool}, k = {row.k}")
        intervals = dict(_estimates(run, row, members[row.pool], votes))
        pools.append(PoolMeasures(**asdict(row), intervals=intervals))
    begin(f"measuring run {run_id}: rounds")
    rounds = warehouse.read(RoundGap, run_id=run_id)
    missing = warehouse.read(Missing, run_id=run_id)
    evidence = evidence_of(warehouse, [run_id], detectable_beside(totals))
    return Measures(run_id, totals, missing, summary, pools, rounds, evidence)


def _members(warehouse: Warehouse, run_id: str) -> dict[str, dict[str, Pool]]:
    """The scored members of each pool, by problem."""
    members: dict[str, dict[str, Pool]] = {}
    rows = warehouse.read(Member, run_id=run_id)
    for (pool, problem_id), group in groupby(rows, key=lambda row: (row.pool, row.problem_id)):
        own = list(group)
        scores, classes = [row.score for row in own], [row.answer_key for row in own]
        members.setdefault(pool, {})[problem_id] = Pool(scores, classes)
    return members


def _votes(warehouse: Warehouse, run_id: str) -> VoteScores:
    """maj@k of each pool, k and problem."""
    rows = warehouse.read(Vote, run_id=run_id)
    return {
        key: {row.problem_id: row.accuracy for row in group}
        for key, group in groupby(rows, key=lambda row: (row.pool, row.k))
    }


def _estimates(
    run: Run, row: PoolRow, members: Mapping[str, Pool], votes: VoteScores
) -> Iterator[tuple[str, Estimate]]:
    """pass@k, pass^k and maj@k of one pool and k, each with its own intervals; what is null has none."""
    pool, k = row.pool, row.k
    pools = list(members.values())
    found: dict[str, tuple[list[Pool], Variance, list[float]]] = {}
    for name, value, chance in (
        ("pass_at_k", row.pass_at_k, pass_at),
        ("pass_power_k", row.pass_power_k, pass_power),
    ):
        if value is not None:
            counts = [(len(one.scores), sum(score == 1 for score in one.scores)) for one in pools]
            values = [chance(count, correct, k) for count, correct in counts]
            found[name] = pools, pass_of(k, chance), values
    if row.maj_at_k is not None:
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
