"""What a run under a stopping rule is expected to generate, by the replay of a pool that the store has.

The pool is round 1 of a run without a rule over the same problems, with the same model and the same
settings of sampling, whatever its seeds are. It is the last such run with as many trajectories of a problem
as the round has slots, one with the same rounds before all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pacore.core.plan import Plan
from pacore.errors import Refused, StoreError
from pacore.runs.planning.expected import runs_over
from pacore.runs.planning.forecast import Forecast
from pacore.runs.planning.together import Need
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run
from pacore.warehouse.prices import Price

MOST_TRIED = 3
"""Runs that are looked into, where those before them cannot be replayed."""

NO_POOL = "no stored pool to forecast the rule from"


@dataclass(frozen=True, slots=True)
class Expected:
    """An amount that is expected under a rule, in place of ``whole`` without it; ``saved`` is the share of
    that which is not spent. Bounds are of the 95 % interval of resampled problems, None below two problems.
    """

    value: float
    low: float | None
    high: float | None
    whole: float
    saved: float
    saved_low: float | None
    saved_high: float | None


@dataclass(frozen=True, slots=True)
class Spending:
    """Generated tokens, and ``money`` with the prompts that are sent in round 1; None without a price, and
    where nobody counted the tokens of some prompt.
    """

    tokens: Expected
    money: Expected | None


LaterBy = Literal["stored rounds", "length of round 1"]


@dataclass(frozen=True, slots=True)
class RuleForecast:
    """What a plan under ``rule`` is expected to generate, what is stored already left out.

    ``run_id`` is the run whose pool was replayed, of which ``problems`` have enough trajectories, each in
    ``orders`` orders; None where there is none, for ``reason`` if there is something to be said. Of a run
    that is not ``is_graded`` exact rules tell which answers agree (`plain_keys`). ``later`` are all rounds
    after the first, ``later_by`` what is taken for them: the stored rounds of that run where it has the
    same, else the length of its trajectories of round 1. ``later`` and ``total`` are None where the rule is
    about rounds and the run has others. ``currency`` is that of ``money``.
    """

    rule: str
    run_id: str | None = None
    is_graded: bool = True
    reason: str | None = None
    problems: int = 0
    orders: int = 0
    first: Spending | None = None
    later: Spending | None = None
    later_by: LaterBy | None = None
    total: Spending | None = None
    currency: str | None = None


def forecast_rule(
    store: Backend, identity: Mapping[str, Any], found: Forecast, price: Price | None = None
) -> RuleForecast | None:
    """What a run with this ``identity``, of which ``found`` is the forecast without its rule, is expected
    to generate under it; None for a run without a rule, and where nothing is to be generated.

    ``price`` is that of the model. Raises StoreError for a run whose record cannot be read.
    """
    plan = Plan.from_json(dict(identity["plan"]))
    if plan.stopping is None or not found.total("to_generate"):
        return None
    # Most runs start without a forecast, and need not wait for what computes it.
    from pacore.evaluation.replay.by_pool import PlannedRule, forecast_by

    reasons: list[str] = []
    for run in pool_runs(store, identity)[:MOST_TRIED]:
        try:
            return forecast_by(store, run, PlannedRule(plan, found, price))
        except (Refused, StoreError) as fault:
            reasons.append(str(fault))
    return RuleForecast(plan.stopping, reason=reasons[0] if reasons else None)


def rule_need(store: Backend, run: Run, found: Forecast) -> Need | None:
    """What a run needs under its rule, of which ``found`` is the forecast without it; None where no stored
    pool tells: a `RuleNeed`.
    """
    expected = forecast_rule(store, run.identity, found)
    if expected is None or expected.total is None:
        return None
    what = f"under {expected.rule} by a replay of run {expected.run_id} its trajectories take"
    return Need(expected.total.tokens.value, what)


def pool_runs(store: Backend, identity: Mapping[str, Any]) -> list[Run]:
    """The runs whose pools are of the problems and the settings of an identity, the best first."""
    plan, recipe = Plan.from_json(dict(identity["plan"])), _without_seed(identity["recipe"])
    found = [
        run
        for run in runs_over(store, identity)
        if run.plan.stopping is None
        and _without_seed(run.identity["recipe"]) == recipe
        and _pool_size(run.plan) >= plan.width(1)
    ]
    # Sorting keeps the order of those that are alike, the last first.
    return sorted(found, key=lambda run: run.plan.configuration != plan.configuration)


def _without_seed(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recipe.items() if name != "seed_root"}


def _pool_size(plan: Plan) -> int:
    """The most trajectories that round 1 of a plan has of a problem."""
    slots = plan.replicates * plan.width(1)
    return slots if plan.pool is None else min(slots, plan.pool)
