"""A sweep: planned, and measured once its runs are finished and graded.

Each arm has its accuracy and cost, and its difference from the first arm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import Arm, PlannedSweep, SweepConfig, plan_sweep, sweep_id_of
from pacore.core.problem import Problem, set_digest
from pacore.engine.opening import resolve_recipe
from pacore.errors import Refused
from pacore.evaluation.comparison import ProblemAccuracy
from pacore.evaluation.evidence import Evidence, evidence_of
from pacore.evaluation.expected_votes import expected_votes
from pacore.evaluation.judging import Judging, begin_judging
from pacore.evaluation.measures import Measures, measure
from pacore.evaluation.replay.pools import PoolMember, longest_of
from pacore.evaluation.sharing import sharing_of
from pacore.evaluation.statistics.bootstrap import Estimate, ratio
from pacore.evaluation.statistics.paired import paired
from pacore.evaluation.strategies.equal_cost import POOL, EqualCost, pool_votes
from pacore.evaluation.strategies.frontier import Point, frontier
from pacore.problems.files import read_problem_set
from pacore.runs.planning.budget import SharedBudget, check_together
from pacore.runs.planning.together import NO_NEEDS, Needs, RunToMake
from pacore.runs.start import start_run
from pacore.store.backends.opening import open_store
from pacore.store.layout import run_key
from pacore.store.run import open_run
from pacore.warehouse.prices import read_prices
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

OPINION = "judge"
"""The grader by which the best of a pool is chosen: so many votes of the sweep's own model on each."""


@dataclass(frozen=True, slots=True)
class SweepCosts(ReportRow):
    """What a run would have generated with an empty store, and what it generated itself."""

    QUERY: ClassVar[str] = "sweep/costs"

    run_id: str
    alone_tokens: int
    new_tokens: int
    trajectories: int
    reused: int


@dataclass(frozen=True, slots=True)
class FrontierRow(ReportRow):
    """A run's row of `mart_frontier`: its accuracy and what an answer cost."""

    QUERY: ClassVar[str] = "sweep/frontiers"

    run_id: str
    model: str
    widths: list[int]
    steps: list[str]
    compaction: str
    replicates: int
    problems: int
    planned: int
    scored: int
    accuracy: float | None
    population_low: float | None
    population_high: float | None
    unanswered_rate: float | None
    tokens_per_answer: float | None
    marginal_tokens: int | None
    wasted_tokens: int | None
    uncounted: int | None
    accuracy_per_thousand_tokens: float | None
    currency: str | None
    effective_money_per_answer: float | None
    marginal_money: float | None
    path_tokens_per_answer: float | None
    path_seconds_per_answer: float | None
    engine_seconds_per_answer: float | None
    busy_seconds: float | None


@dataclass(frozen=True, slots=True)
class BestChoice(ReportRow):
    """The expected score of the best of n members of one problem's pool, by a judge's votes."""

    QUERY: ClassVar[str] = "sweep/best_choices"

    n: int
    problem_id: str
    best: float


@dataclass(frozen=True, slots=True)
class Measured:
    """An arm's accuracy, its value for each problem, and its cost in addition to its trajectories.

    ``tokens``, ``money`` and ``engine_seconds`` are of a judge's votes on one member, ``alone_tokens`` of
    all its votes. ``path`` are the tokens and seconds of the longest of the arm's members; None where not
    known.
    """

    estimate: Estimate | None = None
    by_problem: Mapping[str, float] = field(default_factory=dict)
    tokens: float | None = 0.0
    money: float | None = 0.0
    engine_seconds: float | None = 0.0
    alone_tokens: int = 0
    path: tuple[float | None, float | None] = (None, None)


def sweep_result(
    warehouse: Warehouse,
    planned: PlannedSweep,
    scores: Mapping[str, Mapping[str, float]],
    judge: RunConfig | None = None,
) -> SweepResult:
    """What a finished and graded sweep found, by its `scores_of_arms`. ``warehouse`` is open over its runs,
    and the judge's where there is one.
    """
    configs = [*planned.configs, *([] if judge is None else [judge])]
    run_ids = [str(config.run_id) for config in configs]
    costs = {row.run_id: row for row in warehouse.read(SweepCosts, run_ids=run_ids)}
    frontiers = {row.run_id: row for row in warehouse.read(FrontierRow, run_ids=run_ids)}
    pool = measure(warehouse, str(planned.pool.run_id))
    judged = Measured()
    if judge is not None:
        judged = _judged(judge.replicates, frontiers[run_ids[-1]], costs[run_ids[-1]])
    measured = _measured(warehouse, planned, scores, pool, judged)
    rows = []
    for arm in planned.arms:
        run_id = planned.run_id(arm)
        row = _run_row if arm.kind == "run" else _pool_row
        rows.append(row(arm, frontiers[run_id], costs[run_id].alone_tokens, measured[arm.name]))
    first = planned.arms[0]
    rows = [
        row if arm is first else _with_difference(warehouse, planned, (first, arm), measured, row)
        for arm, row in zip(planned.arms, rows, strict=True)
    ]
    currency = next((row.currency for row in frontiers.values() if row.currency), None)
    new_tokens = sum(row.new_tokens for row in costs.values())
    result = SweepResult.of(planned.sweep_id, first.name, rows, new_tokens, currency)
    evidence = evidence_of(warehouse, run_ids, _detectable(result, pool))
    return replace(result, evidence=evidence)


def _detectable(result: SweepResult, pool: Measures) -> float | None:
    """What every difference of the sweep reveals; of one arm alone, what a comparison with it would."""
    compared = [arm.detectable for arm in result.arms if arm.compared]
    if not compared:
        return pool.evidence.detectable
    return None if None in compared else max(each for each in compared if each is not None)


def scores_of_arms(warehouse: Warehouse, planned: PlannedSweep) -> dict[str, Mapping[str, float]]:
    """The value of every arm for each problem that it has one for, by the arm's name."""
    pool_id = str(planned.pool.run_id)
    votes = pool_votes(warehouse, pool_id)
    best: dict[int, dict[str, float]] = defaultdict(dict)
    for choice in warehouse.read(BestChoice, run_id=pool_id):
        best[choice.n][choice.problem_id] = choice.best
    scores: dict[str, dict[str, float]] = {str(one.run_id): {} for one in planned.runs.values()}
    for row in warehouse.read(ProblemAccuracy, run_ids=list(scores)):
        scores[row.run_id][row.problem_id] = row.accuracy
    return {
        arm.name: scores[planned.run_id(arm)]
        if arm.kind == "run"
        else (best if arm.kind == "best" else votes).get(arm.count, {})
        for arm in planned.arms
    }


def _measured(
    warehouse: Warehouse,
    planned: PlannedSweep,
    scores: Mapping[str, Mapping[str, float]],
    pool: Measures,
    judged: Measured,
) -> dict[str, Measured]:
    """Every arm by its name; one that some problem has too few trajectories for has no estimate."""
    intervals = {row.k: row.intervals for row in pool.pools if row.pool == POOL}
    members = warehouse.read(PoolMember, run_id=str(planned.pool.run_id))
    found = {}
    for arm in planned.arms:
        values = scores[arm.name]
        if arm.kind == "run":
            found[arm.name] = Measured(None, values)
        elif arm.kind == "best":
            estimate = ratio(list(values.values()), [1.0] * len(values)) if values else None
            found[arm.name] = replace(judged, estimate=estimate, by_problem=values)
        else:
            estimate = intervals.get(arm.count, {}).get("maj_at_k")
            found[arm.name] = Measured(estimate, values, path=longest_of(members, arm.count))
    return found


def _with_difference(
    warehouse: Warehouse,
    planned: PlannedSweep,
    arms: tuple[Arm, Arm],
    measured: Mapping[str, Measured],
    row: SweepRow,
) -> SweepRow:
    """A row with its difference from the first arm over the problems both have, paired by problem.

    All arms draw round 1 from one pool, which pairing takes into account; where the answers of both are
    the same trajectories the row has no difference.
    """
    first, arm = arms
    before, after = measured[first.name].by_problem, measured[arm.name].by_problem
    both = sorted(before.keys() & after.keys())
    is_same = first.kind != "run" and arm.kind != "run" and first.count == arm.count == 1
    if not both or is_same:
        return row
    shared = [False] * len(both)
    if first.kind == arm.kind == "run":
        try:
            _, shared = sharing_of(warehouse, planned.run_id(first), planned.run_id(arm), both)
        except Refused:
            return row
    pair = paired([before[name] for name in both], [after[name] for name in both], shared)
    return replace(
        row,
        difference=pair.difference,
        difference_low=pair.low,
        difference_high=pair.high,
        compared=pair.problems,
        detectable=pair.detectable,
    )


def _run_row(arm: Arm, found: FrontierRow, alone_tokens: int, _: Measured) -> SweepRow:
    return SweepRow(
        name=arm.name,
        arm=arm.text,
        run_id=found.run_id,
        trajectories=arm.trajectories,
        planned=found.planned,
        scored=found.scored,
        accuracy=found.accuracy,
        low=found.population_low,
        high=found.population_high,
        unanswered=found.unanswered_rate,
        effective_tokens=found.tokens_per_answer,
        accuracy_per_thousand_tokens=found.accuracy_per_thousand_tokens,
        money=found.effective_money_per_answer,
        alone_tokens=alone_tokens,
        path_tokens=found.path_tokens_per_answer,
        path_seconds=found.path_seconds_per_answer,
        engine_seconds=found.engine_seconds_per_answer,
    )


def _judged(votes: int, spent: FrontierRow, costs: SweepCosts) -> Measured:
    """The cost of a judge's votes, which are trajectories too; without an accuracy."""
    tokens, money = spent.tokens_per_answer, spent.effective_money_per_answer
    return Measured(
        tokens=None if tokens is None else votes * tokens,
        money=None if money is None else votes * money,
        engine_seconds=None
        if spent.engine_seconds_per_answer is None
        else votes * spent.engine_seconds_per_answer,
        alone_tokens=costs.alone_tokens,
    )


def _pool_row(arm: Arm, pool: FrontierRow, alone_tokens: int, found: Measured) -> SweepRow:
    """An arm that is measured on the pool: a vote, a choice, or a single member of it."""
    tokens = _each(arm, pool.tokens_per_answer, found.tokens)
    estimate = found.estimate
    value = None if estimate is None else estimate.value
    return SweepRow(
        name=arm.name,
        arm=arm.text,
        run_id=pool.run_id,
        trajectories=arm.trajectories,
        planned=pool.planned,
        scored=pool.scored,
        accuracy=value,
        low=None if estimate is None else estimate.low,
        high=None if estimate is None else estimate.high,
        unanswered=pool.unanswered_rate if arm.kind == "pool" else None,
        effective_tokens=tokens,
        accuracy_per_thousand_tokens=1000 * value / tokens
        if tokens and value is not None
        else None,
        money=_each(arm, pool.effective_money_per_answer, found.money),
        path_tokens=found.path[0],
        path_seconds=found.path[1],
        engine_seconds=_each(arm, pool.engine_seconds_per_answer, found.engine_seconds),
        alone_tokens=alone_tokens + found.alone_tokens,
    )


def _each(arm: Arm, member: float | None, votes: float | None) -> float | None:
    """The cost of the members of an arm, each with the votes on it; None where not known."""
    return None if member is None or votes is None else arm.count * (member + votes)


def begin_sweep(config: SweepConfig, problems: list[Problem] | None = None) -> PlannedSweep:
    """The runs of a sweep, under the name it has; ``problems`` where the set has been read.

    Raises BadInput for a problem set, a price table, a store or an engine that is wrong, Refused where
    a run of one of the names exists under another identity; nothing is written.
    """
    run = config.run
    if run.prices:
        read_prices(run.prices)
    recipe, store = resolve_recipe(run), open_store(run.store)
    if problems is None:
        problems = read_problem_set(run.problems, run.limit, run.fields)
    planned = plan_sweep(config, sweep_id_of(config, set_digest(problems)))
    for each in planned.configs:
        if store.exists(run_key(str(each.run_id))):
            start_run(store, each, recipe, problems)
    return planned


def sweep_budget(config: SweepConfig, planned: PlannedSweep) -> SharedBudget | None:
    """The budget that the runs of a sweep share, the votes of its own model included; None without one."""
    budget = SharedBudget.of_runs("the sweep's", config.run)
    if budget is not None:
        include_sweep(budget, planned)
    return budget


def check_sweep_fits(
    config: SweepConfig, planned: PlannedSweep, shared_budgets: Sequence[SharedBudget]
) -> None:
    """Raise as `check_together` does where all runs of a sweep are expected not to fit into a budget that
    they share: DoesNotFit, or BudgetSpent where it is that of others too.
    """
    if shared_budgets:
        problems = read_problem_set(config.run.problems, config.run.limit, config.run.fields)
        runs = [RunToMake(one, problems) for one in planned.configs]
        check_together(runs, shared_budgets, expected_opinion(planned, problems))


def expected_opinion(planned: PlannedSweep, problems: list[Problem]) -> Needs:
    """What the votes of a sweep's own model are expected to take; nothing where no arm needs them."""
    if not _needs_opinion(planned):
        return NO_NEEDS
    pool = planned.pool
    return expected_votes(RunToMake(pool, problems), pool, OPINION, "opinion")


def _needs_opinion(planned: PlannedSweep) -> bool:
    return any(arm.kind == "best" for arm in planned.arms)


def include_sweep(budget: SharedBudget, planned: PlannedSweep) -> None:
    """Have all runs of a sweep share a budget."""
    for run in planned.configs:
        budget.include(run, has_judge=run is planned.pool)


def begin_opinion(config: SweepConfig, planned: PlannedSweep) -> Judging | None:
    """The judging of the pool by the sweep's own model; None where no arm needs it."""
    if not _needs_opinion(planned):
        return None
    store = open_store(config.run.store)
    return begin_judging(store, open_run(store, str(planned.pool.run_id)), OPINION, "opinion", {})


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One arm: what it is and where it was measured, how good it is, and what it costs.

    ``accuracy`` is pass@1, or the expected score of a vote or a choice, in [0, 1] with its 95 % interval
    over problems and draws; ``scored`` of the ``planned`` answers of its run have a score. ``difference``
    is from the sweep's first arm over the ``compared`` problems, paired, with its 95 % interval; None of
    that arm itself, and where both are the same trajectories; ``detectable`` is as in `Paired`.
    ``unanswered`` is the share of answers that are none. ``effective_tokens`` is the mean TTC of an
    answer. ``money`` is that of an answer by the price table. ``path_tokens`` and ``path_seconds`` are
    those of its critical path, ``engine_seconds`` those of all its trajectories, as in `mart_ttc`.
    ``alone_tokens`` is what the trajectories the figure rests on would have cost by themselves.
    """

    name: str
    arm: str
    run_id: str
    trajectories: int
    planned: int
    scored: int
    accuracy: float | None
    low: float | None
    high: float | None
    unanswered: float | None
    effective_tokens: float | None
    accuracy_per_thousand_tokens: float | None
    money: float | None
    alone_tokens: int
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    compared: int = 0
    detectable: float | None = None
    path_tokens: float | None = None
    path_seconds: float | None = None
    engine_seconds: float | None = None

    @property
    def point(self) -> Point:
        return Point(self.name, self.effective_tokens, self.accuracy, self.low, self.high)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A sweep's arms, those on the frontier, and tokens.

    ``baseline`` names the arm that the differences are from. ``alone_tokens`` is what every arm by
    itself would have generated, added up; ``new_tokens`` what the runs of the sweep generated.
    ``equal_cost`` compares each arm that is a run with self-consistency at equal tokens; ``evidence`` says
    what the evidence of all its runs is worth.
    """

    sweep: str
    baseline: str
    arms: Sequence[SweepRow]
    frontier: Sequence[str]
    alone_tokens: int
    new_tokens: int
    currency: str | None
    equal_cost: Sequence[EqualCost] = ()
    evidence: Evidence | None = None

    @classmethod
    def of(
        cls,
        sweep_id: str,
        baseline: str,
        arms: Sequence[SweepRow],
        new_tokens: int,
        currency: str | None,
    ) -> SweepResult:
        """The result of arms, with what follows from them."""
        best = [point.name for point in frontier([arm.point for arm in arms])]
        alone_tokens = sum(arm.alone_tokens for arm in arms)
        return cls(sweep_id, baseline, arms, best, alone_tokens, new_tokens, currency)

    @property
    def points(self) -> list[Point]:
        return [arm.point for arm in self.arms]
