"""What runs that are made one after the other are expected to generate together, before they begin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

from pacore.core.config.run import RunConfig
from pacore.core.plan import Plan
from pacore.core.problem import Problem, set_digest
from pacore.engine.opening import resolve_recipe
from pacore.runs.dispatch.budget import NOTHING, Amount, Limited
from pacore.runs.planning.expected import stored_tokens_of
from pacore.runs.planning.forecast import Forecast, Forecaster
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.journal import Journal
from pacore.store.layout import problem_set_key
from pacore.store.run import Run, is_closed
from pacore.warehouse.prices import Price, prices_in


class Need(NamedTuple):
    """Tokens that a run is expected to generate still, and ``what`` takes them, in words."""

    tokens: float
    what: str


RuleNeed = Callable[[Backend, Run, Forecast], Need | None]
"""What a run needs under its stopping rule, by what is known of the rule; None where nothing is."""


def no_need_known(*_: object) -> None:
    """Nothing is known of any rule: a `RuleNeed`."""


def least_need(plan: Plan, found: Forecast, means: Collection[float]) -> Need | None:
    """What a run needs if each of its rules stops as early as it can, of the mean of ``means`` tokens a
    trajectory; None where there are none.
    """
    if not means:
        return None
    tokens, count = sum(means) / len(means), 0.0
    for number, forecast in enumerate(found.rounds, 1):
        rule, width = forecast.step.stopping, forecast.step.width
        share = forecast.to_generate / forecast.trajectories if forecast.trajectories else 0.0
        least = width if rule is None else rule.least(width, tokens, shows_messages=number > 1)
        count += share * least * found.problems * plan.replicates
        if rule is not None and rule.depth is not None:
            break
    what = f"even the fewest trajectories that {plan.stopping} can do with, {count:,.0f}, take"
    return Need(count * tokens, what)


class RunToMake(NamedTuple):
    """A run that is to be made, or to go on: its dated settings, and its problem set."""

    config: RunConfig
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class Needs:
    """What some runs are to generate, and what that is expected to take.

    ``votes`` of judges come beside the trajectories ``to_generate``, about so many. Nothing that is stored
    tells how long the ``unknown`` ones of the trajectories are, or at most so many ``unknown_votes``:
    ``amount`` is without them, and has of the ``ruled`` ones the fewest that their stopping rules can do
    with. ``what`` takes it, in words, where that are not so many trajectories of the stored length.
    """

    to_generate: int
    amount: Amount
    unknown: int = 0
    runs: int = 1
    votes: float = 0.0
    unknown_votes: int = 0
    ruled: int = 0
    what: str = ""

    def __add__(self, other: Needs) -> Needs:
        return Needs(
            self.to_generate + other.to_generate,
            self.amount + other.amount,
            self.unknown + other.unknown,
            self.runs + other.runs,
            self.votes + other.votes,
            self.unknown_votes + other.unknown_votes,
            self.ruled + other.ruled,
        )

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is to be generated, as far as is known."""
        return not self.to_generate and not self.votes

    def said(self, part: Limited) -> str:
        """``60 trajectories of the length of stored ones take about 4,800``, as one limit counts it."""
        if self.what:
            return f"{self.what} about {part.of(self.amount):,.4g}"
        of = f" of {self.runs:,} runs" if self.runs > 1 else ""
        named = [f"{self.to_generate:,} trajectories{of}"] if self.runs else []
        if self.votes:
            named.append(f"about {self.votes:,.0f} votes of a judge")
        if of or named[1:]:
            named[-1] += ","
        least = "at least " if self.unknown or self.unknown_votes or self.ruled else ""
        what = ", and ".join(named)
        return f"{what} of the length of stored ones take {least}about {part.of(self.amount):,.4g}"


NO_NEEDS = Needs(0, NOTHING, runs=0)


class Together:
    """Forecasts runs in the order in which they are made: each finds what those before it generate, where
    they are in one store.
    """

    def __init__(self) -> None:
        self._pending: dict[str, set[Hashable]] = defaultdict(set)

    def copy(self) -> Together:
        """One that goes on from here, and leaves this as it is."""
        other = Together()
        for store, pending in self._pending.items():
            other._pending[store] = set(pending)
        return other

    def needs(self, runs: Sequence[RunToMake]) -> Needs:
        """What further runs are to generate. Raises BadInput, and StoreError."""
        found = NO_NEEDS
        for one in runs:
            count, expected = self._forecast(one)
            if expected is None:
                found += Needs(count, NOTHING, unknown=count)
                continue
            price = price_of(one.config)
            money = 0.0 if price is None else price.cost(0, 0, expected)
            ruled = 0 if one.config.stopping is None else count
            found += Needs(count, Amount(expected, money), ruled=ruled)
        return found

    def _forecast(self, planned: RunToMake) -> tuple[int, float | None]:
        """How many trajectories a run is to generate, and the tokens that these are expected to have."""
        config, problems = planned
        store = open_store(config.store)
        if config.run_id is not None and is_closed(store, config.run_id):
            return 0, 0.0
        forecaster = Forecaster(config.plan, resolve_recipe(config), Journal(store))
        found = forecaster.forecast(problems, 1, self._pending[store.url])
        key = problem_set_key(PurePosixPath(config.problems).stem, set_digest(problems))
        means = partial(stored_tokens_of, store, key, config.model, config.run_id)
        if config.stopping is not None:
            need = least_need(config.plan, found, means().values())
            return found.total("to_generate"), None if need is None else need.tokens
        return found.total("to_generate"), found.tokens_by(means)


def price_of(config: RunConfig) -> Price | None:
    """The prices of a run's model; None without a table. Raises BadInput for one without the model."""
    return price_in(config.prices, config.model)


def price_in(file: str | None, model: str) -> Price | None:
    """The prices of a model in a file; None without one. Raises BadInput for a file without the model."""
    return None if file is None else prices_in(file, [model])[model]
