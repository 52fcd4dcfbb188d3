"""How far a forecast was off: what a run under a stopping rule spent, beside what the replay of a whole
pool said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pacore.core.plan import Plan
from pacore.core.stopping import Stopping
from pacore.errors import Refused
from pacore.evaluation.replay.pools import Pools
from pacore.evaluation.replay.rounds import Rounds, later_tokens
from pacore.evaluation.statistics.arrivals import ratio_of_sums, replay_pools
from pacore.store.run import Run
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse


@dataclass(frozen=True, slots=True)
class SetsSpent(ReportRow):
    """What the message sets of one problem took in round 1 and in all others, and of how many trajectories
    of round 1 the store had some already.
    """

    QUERY: ClassVar[str] = "replay/spent"

    problem_id: str
    sets: int
    tokens: int
    later_tokens: int
    trajectories: int
    reused: int


@dataclass(frozen=True, slots=True)
class SavedTokens:
    """Tokens that were saved beside their forecast: shares of the tokens without a rule. ``off`` is the one
    less the other, with the 95 % interval of resampled problems.
    """

    saved: float
    forecast: float
    off: float
    low: float | None
    high: float | None

    @staticmethod
    def of(
        actual: Sequence[float], foreseen: Sequence[float], whole: Sequence[float]
    ) -> SavedTokens:
        """By the tokens of each problem: spent, forecast, and without a rule."""
        off = ratio_of_sums([then - now for then, now in zip(foreseen, actual, strict=True)], whole)
        saved, forecast = (1 - sum(some) / sum(whole) for some in (actual, foreseen))
        return SavedTokens(saved, forecast, off.value, off.low, off.high)


@dataclass(frozen=True, slots=True)
class ForecastCheck:
    """What a run saved in its ``first`` round, beside its forecast, over the problems that both have; and
    in the ``later`` ones, where its rule is about rounds and the forecast is from a run that has them.

    ``reused`` of its ``trajectories`` in round 1 were in the store already: these arrive at once and in the
    order of their slots, with nothing in flight that could be aborted.
    """

    run_id: str
    policy: str
    problems: int
    sets: int
    first: SavedTokens
    later: SavedTokens | None
    trajectories: int
    reused: int


def rules_of(run: Run) -> list[Stopping]:
    """`round_rules` of a run. Raises Refused where it has none."""
    rules = round_rules(run.plan)
    if not any(rule.text for rule in rules):
        raise Refused(f"run {run.run_id}: was made under no stopping rule")
    return rules


def round_rules(plan: Plan) -> list[Stopping]:
    """The rule of each round of a plan but the last, of a single round that of this."""
    steps = plan.steps[: max(1, plan.rounds - 1)]
    return [step.stopping or Stopping() for step in steps]


def check_forecast(
    pools: Pools, run: Run, spent: Sequence[SetsSpent], orders: int, rounds: Rounds | None = None
) -> ForecastCheck:
    """Compare what ``run`` spent with the replay of its rule over ``pools``, in sets of its own width, and
    over ``rounds``, where it is about these.

    Raises Refused where the two have no problem in common that has enough trajectories.
    """
    rules, width = rules_of(run), run.plan.width(1)
    by_problem = {row.problem_id: row for row in spent}
    kept = [
        one for one in pools.pooled if one.problem in by_problem and len(one.pool.tokens) >= width
    ]
    if not kept:
        raise Refused(
            f"run {run.run_id}: {pools.title} has no problem of it with {width:,} trajectories"
        )
    foreseen, whole = replay_pools(
        [one.pool for one in kept], [rules[0], Stopping()], width, orders
    )
    rows = [by_problem[one.problem] for one in kept]
    first = SavedTokens.of(
        [row.tokens / row.sets for row in rows],
        [one.tokens for one in foreseen],
        [one.tokens for one in whole],
    )
    return ForecastCheck(
        run.run_id,
        run.plan.stopping or "",
        len(kept),
        sum(row.sets for row in rows),
        first,
        None if rounds is None else _later(rules, rounds, by_problem),
        sum(row.trajectories for row in rows),
        sum(row.reused for row in rows),
    )


def _later(
    rules: Sequence[Stopping], rounds: Rounds, by_problem: Mapping[str, SetsSpent]
) -> SavedTokens | None:
    """The rounds after the first; None where no problem has all of them."""
    tokens = later_tokens(rules, rounds)
    kept = [problem for problem in tokens if problem in by_problem]
    if not kept:
        return None
    return SavedTokens.of(
        [by_problem[one].later_tokens / by_problem[one].sets for one in kept],
        [tokens[one][0] for one in kept],
        [tokens[one][1] for one in kept],
    )


def spent_by(warehouse: Warehouse, run: Run) -> list[SetsSpent]:
    """What each problem of a run took; ``warehouse`` is open over it."""
    return warehouse.read(SetsSpent, run_id=run.run_id)
