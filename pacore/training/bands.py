"""Bands: which problems are kept for the accuracy of their pool, and how surely.

The bounds are strict (paper, appendix C: 0 < accuracy < 9/24 of mathematics, < 15/24 of programs), and
under every policy a problem that is kept has its accuracy between them. A problem *straddles* the upper
bound where the interval of its accuracy has it inside. Then the accuracy decides (``keep``, as in the
paper), or the problem is dropped (``drop``), or more is drawn of it (``sample``): of problems truly at or
above the bound, the last two keep at most half of what the confidence leaves, over all looks at a problem
together. That an accuracy is above 0, or below 1, one trajectory proves, and no number the contrary,
so those bounds are decided by the pool alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from pacore.core.config.training import Bands, Policy, TrainingConfig
from pacore.evaluation.statistics.intervals import PoolCount, chances_of_turning, rate_interval

UNOBSERVED, UNDECIDED = "unobserved", "undecided"
NEVER_RIGHT, ALWAYS_RIGHT, TOO_OFTEN_RIGHT = "never right", "always right", "too often right"


class Rate(NamedTuple):
    """Of ``drawn`` trajectories ``observed`` have a score, and ``right`` are right.

    ``together``: so many hang together, as those of one prompt do; they count as one for the interval.
    """

    right: int
    observed: int
    drawn: int
    together: int = 1


@dataclass(frozen=True, slots=True)
class Band:
    """What the accuracy of a problem has to be: above 0 and below ``upper``.

    ``observed`` is the share of the trajectories that must have a score, and ``looks`` the number of times
    that a problem may be looked at, over which ``confidence`` holds.
    """

    upper: Fraction
    observed: Fraction = Fraction(1)
    confidence: float = 0.95
    policy: Policy = "keep"
    looks: int = 1

    def holds(self, count: PoolCount) -> bool:
        """Whether an accuracy is strictly between the bounds."""
        return 0 < count.right < self.upper * count.observed

    def interval(self, rate: Rate) -> tuple[float, float]:
        """The interval of the accuracy, at the confidence of one look."""
        confidence = 1 - (1 - self.confidence) / self.looks
        return rate_interval(rate.right / rate.together, rate.observed / rate.together, confidence)

    def straddles(self, rate: Rate) -> bool:
        """Whether the upper bound is inside the interval."""
        low, high = self.interval(rate)
        return rate.right > 0 and low < self.upper < high

    def is_unobserved(self, rate: Rate) -> bool:
        """Whether too few trajectories have a score: that says nothing of the model."""
        return rate.observed == 0 or rate.observed < self.observed * rate.drawn

    def reason(self, rate: Rate) -> str | None:
        """Why a problem is dropped; None where it is kept."""
        if self.is_unobserved(rate):
            return UNOBSERVED
        if rate.right == 0:
            return NEVER_RIGHT
        if self.policy != "keep" and self.straddles(rate):
            return UNDECIDED
        if not self.holds(PoolCount(rate.right, rate.observed)):
            return ALWAYS_RIGHT if self.upper == 1 else TOO_OFTEN_RIGHT
        return None


class BandVerdict(NamedTuple):
    """What a band says of one problem; ``reason`` is None where it is kept. See `TrainingDecision`."""

    reason: str | None
    rate: float | None
    low: float | None
    high: float | None
    straddles: bool
    turning: float | None


def band_of(bands: Bands, kind: str, looks: int = 1) -> Band:
    """The band of stage 1 of problems of a kind, ``math`` or ``code``."""
    return Band(bands.upper(kind), Fraction(bands.observed), bands.confidence, bands.policy, looks)


def band_of_synthesis(bands: Bands) -> Band:
    """The band of stage 2: 0 < accuracy < 1."""
    return Band(Fraction(1), Fraction(bands.observed), bands.confidence)


def looks_of(config: TrainingConfig) -> list[int]:
    """How many trajectories of a problem there are at each look: the pool, then twice as many each time."""
    looks = [config.pool]
    if config.bands.policy == "sample":
        while looks[-1] < config.most_draws:
            looks.append(min(2 * looks[-1], config.most_draws))
    return looks


class BandJudge:
    """What a band says of problems by their rates, with the chance that another pool says otherwise.

    ``counts`` says how many problems have each rate: that chance follows from all of them.
    """

    def __init__(self, band: Band, counts: Mapping[Rate, int]) -> None:
        self._band = band
        self._known: dict[Rate, BandVerdict] = {}
        pools: Counter[PoolCount] = Counter()
        for rate, problems in counts.items():
            if not band.is_unobserved(rate):
                pools[PoolCount(rate.right, rate.observed)] += problems
        together = max((rate.together for rate in counts), default=1)

        def is_kept(pool: PoolCount) -> bool:
            return band.reason(Rate(pool.right, pool.observed, pool.observed, together)) is None

        self._turning = chances_of_turning(pools, is_kept)

    def of(self, rate: Rate) -> BandVerdict:
        """What is said of a problem with one of the rates that were counted."""
        if rate not in self._known:
            self._known[rate] = self._judged(rate)
        return self._known[rate]

    def _judged(self, rate: Rate) -> BandVerdict:
        reason = self._band.reason(rate)
        if rate.observed == 0:
            return BandVerdict(reason, None, None, None, straddles=False, turning=None)
        low, high = self._band.interval(rate)
        is_observed = reason != UNOBSERVED
        return BandVerdict(
            reason,
            rate.right / rate.observed,
            low,
            high,
            straddles=is_observed and self._band.straddles(rate),
            turning=self._turning[PoolCount(rate.right, rate.observed)] if is_observed else None,
        )
