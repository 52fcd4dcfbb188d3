"""A plan under a stopping rule by the pool of one run: what is expected, and what the rule saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from pacore.core.plan import Plan
from pacore.core.policies.stops import plain_keys
from pacore.core.stopping import Stopping
from pacore.errors import Refused
from pacore.evaluation.replay.check import round_rules
from pacore.evaluation.replay.forecast import ReplaySettings
from pacore.evaluation.replay.planned import Expected, LaterBy, RuleForecast, Spending
from pacore.evaluation.replay.pools import Pooled, PromptTokens, run_pools
from pacore.evaluation.replay.rounds import Rounds, later_tokens, run_rounds
from pacore.evaluation.statistics.arrivals import (
    Ratio,
    Replayed,
    ratio_of_sums,
    replay_pools,
)
from pacore.runs.planning.forecast import Forecast
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run
from pacore.warehouse.prices import Price
from pacore.warehouse.views import ReportWarehouse


class _Costs(NamedTuple):
    """Tokens and money of a set, or of an answer; money None without a price."""

    tokens: float
    money: float | None

    def plus(self, other: _Costs) -> _Costs:
        money = None if self.money is None or other.money is None else self.money + other.money
        return _Costs(self.tokens + other.tokens, money)

    def times(self, number: float) -> _Costs:
        money = None if self.money is None else self.money * number
        return _Costs(self.tokens * number, money)


_ByProblem = Mapping[str, tuple[_Costs, _Costs]]
"""What each problem costs under the rule, and without."""


class PlannedRule(NamedTuple):
    """A plan under a rule, its forecast without, and the price of its model."""

    plan: Plan
    found: Forecast
    price: Price | None

    @property
    def sets(self) -> int:
        return self.found.problems * self.plan.replicates

    def share(self, first: int, last: int) -> float:
        """The share of the slots of some rounds that is to be generated."""
        rounds = self.found.rounds[first - 1 : last]
        slots = sum(one.trajectories for one in rounds)
        return sum(one.to_generate for one in rounds) / slots if slots else 0.0

    def completions(self, tokens: float) -> _Costs:
        """Generated tokens without their prompts."""
        return _Costs(tokens, None if self.price is None else self.price.cost(0, 0, tokens))


def forecast_by(store: Backend, run: Run, planned: PlannedRule) -> RuleForecast:
    """By the pool of a run. Raises Refused where no problem has enough trajectories."""
    plan, price = planned.plan, planned.price
    rules, is_alike = round_rules(plan), run.plan.configuration == plan.configuration
    with ReportWarehouse(store, [run.run_id]) as warehouse:
        # A plan is asked for often: computer algebra would take seconds.
        pools = run_pools(warehouse, run, plain_keys)
        rounds = run_rounds(warehouse, run) if is_alike else None
    kept = [one for one in pools.pooled if len(one.pool.tokens) >= plan.width(1)]
    if not kept:
        raise Refused(f"run {run.run_id}: no problem has {plan.width(1):,} trajectories")
    first = _first_round(kept, rules[0], planned)
    later: _ByProblem = {}
    later_by: LaterBy | None = None
    if rounds is not None and rounds.by_problem:
        later, later_by = _stored_rounds(rules, rounds, planned), "stored rounds"
    elif not any(rule.of_rounds.text for rule in rules):
        later, later_by = _as_long_as_first(first, planned), "length of round 1"
    share = planned.share(1, 1)
    total = {
        problem: (under.times(share).plus(rest[0]), whole.times(share).plus(rest[1]))
        for problem, (under, whole) in first.items()
        if (rest := later.get(problem)) is not None
    }
    return RuleForecast(
        plan.stopping or "",
        run.run_id,
        pools.unobserved is None,
        None,
        len(first),
        ReplaySettings().orders,
        _spending(first, planned.sets * share),
        _spending(later, planned.sets),
        later_by if later else None,
        _spending(total, planned.sets),
        None if price is None else price.currency,
    )


def _first_round(kept: Sequence[Pooled], rule: Stopping, planned: PlannedRule) -> _ByProblem:
    """A set of round 1 of each problem, as `check_forecast` replays it."""
    width, price = planned.plan.width(1), planned.price
    under, whole = replay_pools(
        [one.pool for one in kept], [rule, Stopping()], width, ReplaySettings().orders
    )

    def costs(prompt: PromptTokens | None, record: Replayed) -> _Costs:
        money = None
        if price is not None and prompt is not None:
            money = price.cost(prompt.tokens, prompt.cached, 0) * record.begun
        return planned.completions(record.tokens).plus(_Costs(0, money))

    return {
        one.problem: (costs(one.prompt, now), costs(one.prompt, before))
        for one, now, before in zip(kept, under, whole, strict=True)
    }


def _stored_rounds(rules: Sequence[Stopping], rounds: Rounds, planned: PlannedRule) -> _ByProblem:
    """The rounds of an answer after the first, as those of a run that has the same."""
    share = planned.share(2, planned.plan.rounds)
    return {
        problem: (planned.completions(under * share), planned.completions(whole * share))
        for problem, (under, whole) in later_tokens(rules, rounds).items()
    }


def _as_long_as_first(first: _ByProblem, planned: PlannedRule) -> _ByProblem:
    """The rounds of an answer after the first, with all their slots, as long as trajectories of round 1."""
    found, width = planned.found, planned.plan.width(1)

    def later(tokens: float) -> _Costs:
        """With ``tokens`` a trajectory."""
        lengths = [
            one.to_generate / planned.sets * min(tokens, found.longest_in(number) or tokens)
            for number, one in enumerate(found.rounds[1:], 2)
        ]
        return planned.completions(sum(lengths))

    mean = {problem: later(whole.tokens / width) for problem, (_, whole) in first.items()}
    return {problem: (costs, costs) for problem, costs in mean.items()}


def _spending(by_problem: _ByProblem, sets: float) -> Spending | None:
    """What so many sets of all problems cost, given a set of each; None where nothing is known."""
    if not by_problem:
        return None
    under, whole = ([pair[place] for pair in by_problem.values()] for place in (0, 1))
    money, all_money = (
        [one.money for one in some if one.money is not None] for some in (under, whole)
    )
    return Spending(
        _expected([one.tokens for one in under], [one.tokens for one in whole], sets),
        _expected(money, all_money, sets) if len(money) == len(under) else None,
    )


def _expected(under: Sequence[float], whole: Sequence[float], times: float) -> Expected:
    """By an amount of each problem, the mean of which is spent so many ``times``."""
    part = ratio_of_sums(under, whole) if sum(whole) > 0 else Ratio(1.0, None, None)
    total = fmean(whole) * times
    low, high = (None if one is None else one * total for one in (part.low, part.high))
    return Expected(part.value * total, low, high, total, *part.rest)
