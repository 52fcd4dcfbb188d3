"""Which strategy of a sweep to run for what one is ready to spend on an answer, by what the sweep has
stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pacore.errors import BadInput, Refused, StoreError
from pacore.evaluation.statistics.paired import Paired, best_shares, paired
from pacore.store.backends.protocol import Backend
from pacore.store.layout import sweep_key
from pacore.text import did_you_mean

Cost = Literal["effective_tokens", "path_tokens", "money", "path_seconds", "engine_seconds"]
"""What an answer of an arm costs: fields of `pacore.evaluation.sweep.SweepRow`."""

ARMS, SCORES = "arms.json", "scores.json"
"""Files of a sweep: its `SweepResult`, and the value of every arm for each problem."""


@dataclass(frozen=True, slots=True)
class BudgetArm:
    """An arm that the budget pays for, or not.

    ``accuracy`` has its 95 % interval. ``costs`` are those of an answer that the budget limits, None
    where one is not known. ``pair`` is the chosen arm less this one, paired by problem; None of itself,
    of one that is not paid for, and where no problem has both. ``best_share`` is the share of resamples
    of the problems in which this arm is the best of those that are paid for.
    """

    name: str
    accuracy: float | None
    low: float | None
    high: float | None
    costs: Mapping[Cost, float | None]
    is_affordable: bool
    pair: Paired | None = None
    best_share: float | None = None


@dataclass(frozen=True, slots=True)
class BudgetChoice:
    """The arm with the highest accuracy that the budget pays for, None where it pays for none, beside the
    others.

    ``problems`` have a value under every arm that is paid for.
    """

    sweep: str
    budget: Mapping[Cost, float]
    currency: str | None
    problems: int
    chosen: str | None
    arms: Sequence[BudgetArm]


def arm_for(store: Backend, sweep: str, budget: Mapping[Cost, float]) -> BudgetChoice:
    """The choice among the arms of a stored sweep, for what an answer may cost: every limit of ``budget``
    holds.

    Raises BadInput for a budget that is empty or not above 0, Refused for a sweep that is not there or
    was stored without what is needed, StoreError for one that cannot be read.
    """
    if not budget or not all(limit > 0 for limit in budget.values()):
        raise BadInput(
            "a budget is a number above 0: --tokens, --money, --seconds, --path-tokens, --engine-seconds"
        )
    result = _file(store, sweep, ARMS)
    scores: dict[str, dict[str, float]] = _file(store, sweep, SCORES)
    arms = [
        BudgetArm(
            one["name"], one["accuracy"], one["low"], one["high"],
            costs := {name: one.get(name) for name in budget},
            one["accuracy"] is not None and _is_paid(costs, budget),
        )
        for one in result["arms"]
    ]  # fmt: skip
    if missing := [name for name in budget if not any(arm.costs[name] for arm in arms)]:
        said = _UNKNOWN.get(missing[0], "no arm has what it took")
        raise Refused(f"sweep {sweep}: {said}")
    paid = [arm for arm in arms if arm.is_affordable and scores.get(arm.name)]
    names = [arm.name for arm in paid]
    problems = sorted(set.intersection(*(set(scores[name]) for name in names)) if names else ())
    currency = result["currency"]
    if not problems:
        return BudgetChoice(sweep, budget, currency, 0, None, arms)
    values = {name: [scores[name][problem] for problem in problems] for name in names}
    best = max(paid, key=lambda arm: (sum(values[arm.name]), -(arm.costs[next(iter(budget))] or 0)))
    shares = dict(zip(names, best_shares(list(values.values())), strict=True))
    compared = [
        BudgetArm(
            arm.name,
            arm.accuracy,
            arm.low,
            arm.high,
            arm.costs,
            arm.is_affordable,
            paired(values[arm.name], values[best.name])
            if arm.name in values and arm.name != best.name
            else None,
            shares.get(arm.name),
        )
        for arm in arms
    ]
    return BudgetChoice(sweep, budget, currency, len(problems), best.name, compared)


_UNKNOWN: Mapping[Cost, str] = {
    "money": "no arm has a price; run the sweep again with --prices, which generates nothing",
    "path_seconds": "no arm has latencies",
    "engine_seconds": "no arm has latencies",
}


def _is_paid(costs: Mapping[Cost, float | None], budget: Mapping[Cost, float]) -> bool:
    return all(cost is not None and cost <= budget[name] for name, cost in costs.items())


def _file(store: Backend, sweep: str, name: str) -> Any:
    try:
        data = store.get(sweep_key(sweep, name))
    except KeyError:
        there = sorted({key.split("/")[1] for key in store.list("sweeps")})
        if sweep in there:
            raise Refused(
                f"sweep {sweep}: {name} is not there; the same sweep again writes it and generates nothing"
            ) from None
        near = did_you_mean(sweep, there) or (f"; its sweeps: {', '.join(there)}" if there else "")
        raise Refused(f"no sweep {sweep!r} in {store.url}{near}") from None
    try:
        return json.loads(data)
    except ValueError as fault:
        raise StoreError(f"{sweep_key(sweep, name)}: is not JSON: {fault}") from None
