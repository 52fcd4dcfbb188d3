"""The figures of a replay: what each policy spends and changes, and what a choice among them is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pacore.evaluation.replay.change import VoteVerdict
from pacore.evaluation.replay.rounds import RoundsForecast

Measure = Literal["accuracy", "agreement"]
"""By what a vote is measured: by what answers are worth, or, where nothing says that, by the vote of the
whole pool.
"""


@dataclass(frozen=True, slots=True)
class PolicyForecast:
    """One policy over the problems of one model, or of all where ``model`` is None. Means are over
    problems.

    ``accuracy`` is that of the vote and ``coverage`` the share of sets with a right answer among the
    messages; all of them, and ``verdict``, are None where nothing says what answers are worth: they are
    unobserved. ``agreement`` is how often the vote is that of the whole pool. The differences are from the
    whole set, paired by problem, with their 95 % intervals (`difference_interval`) and the p of flipped
    signs. ``unrelated_difference`` is that of the accuracy, of the agreement where that is unobserved, with
    the lengths of each pool dealt anew (`with_lengths_dealt`): a rule sees short trajectories first, and
    gains where they are right more often. ``tokens`` are generated for a set, ``saved`` the share of
    the whole set's that are not; ``path_tokens`` are generated one after the other until the set ended,
    ``path_ratio`` their share of the whole set's; both with the 95 % interval of resampled problems.
    ``money`` is what a set costs, each prompt that was begun included where its tokens are known, and
    ``money_saved`` the share of the whole set's that is not spent; ``seconds`` are those of the path and
    ``engine_seconds`` those of all trajectories, at the speed that the stored ones had; None where prices
    or times are not known. ``begun`` trajectories were begun and ``ended`` ended; ``stopped`` is the share
    of sets that were not whole. ``verdict`` says what the accuracy shows, and ``reason`` why a higher one
    is no gain. ``is_on_money_frontier`` takes money in place of tokens, None where it is not known.
    """

    policy: str
    model: str | None
    problems: int
    accuracy: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    permutation_p: float | None
    unrelated_difference: float
    coverage: float | None
    coverage_difference: float | None
    coverage_low: float | None
    coverage_high: float | None
    agreement: float
    agreement_difference: float
    agreement_low: float | None
    agreement_high: float | None
    agreement_p: float | None
    tokens: float
    saved: float
    saved_low: float | None
    saved_high: float | None
    path_tokens: float
    path_ratio: float
    path_low: float | None
    path_high: float | None
    money: float | None
    money_saved: float | None
    money_low: float | None
    money_high: float | None
    seconds: float | None
    engine_seconds: float | None
    begun: float
    ended: float
    stopped: float
    verdict: VoteVerdict | None
    reason: str | None = None
    is_on_frontier: bool = False
    is_on_money_frontier: bool | None = None

    def credited(self, whole: PolicyForecast) -> float:
        """Its accuracy as the frontier takes it, above that of the whole set only where it is a gain; its
        agreement where that is unobserved, never above that of the whole set.
        """
        if self.accuracy is None or whole.accuracy is None:
            return min(self.agreement, whole.agreement)
        return self.accuracy if self.verdict == "higher" else min(self.accuracy, whole.accuracy)


@dataclass(frozen=True, slots=True)
class Choice:
    """The rule with the least ``cost`` that loses at most the tolerance, chosen on some problems and
    measured on others.

    ``chosen`` counts how often each policy was; ``difference`` is that of its ``measure``; it, ``saved``,
    ``path_ratio`` and ``money_saved`` are as in `PolicyForecast`, means over the measurements. ``is_gain``:
    a higher vote is one, as each policy that was chosen is ``higher`` over all.
    """

    how: Literal["half of the problems", "one model"]
    times: int
    chosen: Mapping[str, int]
    difference: float
    saved: float
    path_ratio: float
    is_gain: bool
    cost: Literal["tokens", "money"] = "tokens"
    money_saved: float | None = None
    measure: Measure = "accuracy"


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay: its policies over all models, and over each where there are several.

    ``left_out`` problems have fewer than ``width`` trajectories, and ``unscored`` trajectories no score or
    no length. ``has_prompts``: money counts the prompts; ``unpriced`` models have no price. ``columns`` are
    as in `Pools`, and so is ``unobserved``. ``rounds`` are of rules over all rounds, of a graded run that
    has several; ``rounds_left_out`` of its answers lack one.
    """

    title: str
    width: int
    orders: int
    problems: int
    trajectories: int
    policies: Sequence[PolicyForecast]
    choices: Sequence[Choice]
    tolerance: float
    left_out: int
    unscored: int
    currency: str | None
    columns: Mapping[str, str] = field(default_factory=dict)
    rounds: Sequence[RoundsForecast] = ()
    rounds_left_out: int = 0
    has_prompts: bool = True
    unpriced: Sequence[str] = ()
    unobserved: str | None = None

    @property
    def together(self) -> list[PolicyForecast]:
        """The policies over all models."""
        return [one for one in self.policies if one.model is None]


def undominated(policies: Sequence[PolicyForecast], cost: Literal["tokens", "money"]) -> set[str]:
    """The policies that no other dominates: none is as good in credited accuracy, ``cost`` and path, and
    better in one. The first is the whole set. Empty where the cost is not known.
    """
    whole = policies[0]
    if getattr(whole, cost) is None:
        return set()
    costs = {
        one.policy: (-one.credited(whole), getattr(one, cost), one.path_tokens) for one in policies
    }
    return {
        policy
        for policy, own in costs.items()
        if not any(
            other != own and all(a <= b for a, b in zip(other, own, strict=True))
            for other in costs.values()
        )
    }
