"""Means over problems with their intervals: of scores, of votes and of pass@k.

The unit is the problem. How far other problems may lie is in the spread of the problems' estimates; how
far these same problems may lie, solved again, is in the spread of each problem's own samples. That of a
mean and of pass@k is known; a vote's is found by resampling the problem's pool.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from pacore.evaluation.statistics.intervals import CONFIDENCE, Floats, student_t, wilson

RESAMPLES = 30_000
"""Of all pools of an estimate together, since the error of the sum of their variances is what counts."""

FEWEST_RESAMPLES = 100
"""Of one pool, or of some that are alike, however many problems there are."""

SUBSETS = 8
"""Votes of each resampled pool; more would change the interval by less than its own error."""

_BLOCK = 4_000_000
"""Draws in memory at a time."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """The samples of one problem: scores in [0, 1], and the class of each answer.

    ``classes`` are equal exactly where answers are equivalent; None where there is no answer. They are
    numbered, and samples put in order, so that pools are equal that differ in names and order alone: of
    many problems with few samples, most are.
    """

    scores: Sequence[float]
    classes: Sequence[str | None]

    def __post_init__(self) -> None:
        members: dict[str | None, list[float]] = {None: []}
        for score, name in zip(self.scores, self.classes, strict=True):
            members.setdefault(name, []).append(float(score))
        silent, *voting = members.values()
        voting = sorted(map(sorted, voting), key=lambda scores: (len(scores), scores))
        numbered = ([str(number)] * len(scores) for number, scores in enumerate(voting))
        object.__setattr__(self, "scores", tuple(chain(sorted(silent), *voting)))
        object.__setattr__(self, "classes", tuple(chain([None] * len(silent), *numbered)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over problems in [0, 1] with its 95 % intervals.

    ``low`` and ``high``: were other problems drawn; None below two problems. ``these_low`` and
    ``these_high``: were these problems solved again; None where some problem has no two samples, and
    where no problem's samples would change its estimate.
    """

    value: float
    low: float | None
    high: float | None
    these_low: float | None
    these_high: float | None


Variance = Callable[[Pool, Callable[[], np.random.Generator], int], float]
"""The variance of a problem's estimate, were the samples of its pool drawn anew: known, or found with a
generator, which is made when it is called for, and a number of resamples.
"""


def mean_of(pool: Pool, *_: object) -> float:
    """Of pass@1, the mean score of a problem's samples."""
    scores = np.sort(np.asarray(pool.scores, dtype=np.float64))
    return float(scores.var(ddof=1)) / len(scores)


def pass_at(members: int, correct: int, k: int) -> float:
    """Chance that one at least of k members taken without replacement is correct (Chen et al. 2021)."""
    wrong = (max(0.0, 1 - k / i) for i in range(members - correct + 1, members + 1))
    return 1.0 - math.prod(wrong)


def pass_power(members: int, correct: int, k: int) -> float:
    """Chance that all of k members taken without replacement are correct."""
    return math.prod(max(0, correct - i) / (members - i) for i in range(k))


def pass_of(k: int, chance: Callable[[int, int, int], float]) -> Variance:
    """Of pass@k or pass^k, as ``chance`` is `pass_at` or `pass_power`: over how many are correct."""

    @cache
    def chances(members: int) -> Floats:
        return np.array([chance(members, correct, k) for correct in range(members + 1)])

    @cache
    def of_counts(members: int, correct: int) -> float:
        counts = np.arange(members + 1)
        weights = np.diff(special.bdtr(counts, members, correct / members), prepend=0.0)
        deviations = chances(members) - weights @ chances(members)
        return float(weights @ np.square(deviations)) * members / (members - 1)

    def variance(pool: Pool, *_: object) -> float:
        return of_counts(len(pool.scores), sum(score == 1 for score in pool.scores))

    return variance


class ResampledVotes(NamedTuple):
    """Votes of a problem on its pool drawn again with replacement.

    ``noise`` is the variance that holding `SUBSETS` votes, and not all, adds to each of ``scores``.
    """

    scores: Floats
    noise: float


def resampled_votes(
    pool: Pool, k: int, random: np.random.Generator, resamples: int
) -> ResampledVotes:
    """maj@k of one problem on each resampled pool: the mean score of the answer that most of k give.

    Of tied answers each is as likely, and samples without an answer never vote. On each resampled
    pool `SUBSETS` votes are taken, of k samples without replacement, or one of all of them.
    """
    shares, class_scores = _classes(pool)
    count = len(pool.scores)
    found, noise = np.empty(resamples), np.empty(resamples)
    step = max(1, _BLOCK // (SUBSETS * len(shares)))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = random.multinomial(count, shares, size=rows)
        if k >= count:  # every vote of a pool is the same, and none takes a draw
            found[start : start + rows] = _vote_scores(drawn[:, 1:], class_scores)
            noise[start : start + rows] = 0.0
            continue
        votes = _subsets(np.repeat(drawn, SUBSETS, axis=0), k, random)
        scores = _vote_scores(votes[:, 1:], class_scores).reshape(rows, SUBSETS)
        found[start : start + rows] = scores.mean(axis=1)
        noise[start : start + rows] = scores.var(axis=1, ddof=1) / SUBSETS
    return ResampledVotes(found, float(noise.mean()))


def majority_of(k: int) -> Variance:
    """Of maj@k, from `resampled_votes`.

    Its error may leave the variance of a pool below 0, which their sum needs so as not to be too large.
    """

    def variance(pool: Pool, random: Callable[[], np.random.Generator], resamples: int) -> float:
        if len(set(pool.classes)) == 1:
            return 0.0
        found = resampled_votes(pool, k, random(), resamples)
        members = len(pool.scores)
        spread = float(found.scores.var(ddof=1)) - found.noise
        # A pool drawn from a pool of n varies less than one drawn anew by (n - 1) / n.
        return spread * members / (members - 1)

    return variance


def _classes(pool: Pool) -> tuple[Floats, Floats]:
    """The share of a pool that has no answer and that of each class, and the score of each class."""
    names = sorted({name for name in pool.classes if name is not None})
    members = {
        name: [score for score, of in zip(pool.scores, pool.classes, strict=True) if of == name]
        for name in names
    }
    sizes = [sum(name is None for name in pool.classes), *map(len, members.values())]
    class_scores = [math.fsum(scores) / len(scores) for scores in members.values()]
    return np.array(sizes) / len(pool.scores), np.array(class_scores)


def _subsets(counts: Integers, k: int, random: np.random.Generator) -> Integers:
    """How many of each class are among k taken from each row's counts without replacement."""
    taken = np.zeros_like(counts)
    left = np.full(len(counts), k)
    others = counts.sum(axis=1)
    last = counts.shape[1] - 1
    for index in range(last):
        others = others - counts[:, index]
        taken[:, index] = random.hypergeometric(counts[:, index], others, left)
        left = left - taken[:, index]
    # What is left of k is of the last class, for which nothing is drawn.
    taken[:, last] = left
    return taken


def _vote_scores(votes: Integers, class_scores: Floats) -> Floats:
    """The expected score of the most frequent class of each row; 0 where a row has none."""
    if not len(class_scores):
        return np.zeros(len(votes))
    most = votes.max(axis=1, keepdims=True)
    won = (votes == most) & (most > 0)
    scores: Floats = (won @ class_scores) / np.maximum(won.sum(axis=1), 1)
    return scores


def two_level(
    pools: Sequence[Pool],
    variance: Variance,
    values: Sequence[float],
    name: str,
    resamples: int = RESAMPLES,
) -> Estimate:
    """95 % intervals of a mean over problems, of which ``values`` are the problems' estimates.

    That of other problems is made of the spread of the estimates, which bear the noise of their samples
    already; that of these problems of each one's own ``variance``. Both are Wilson's at the effective
    sample size, with Student's t over problems, or over samples: plain ones of few problems near 0 or 1
    contain the true value too seldom, and leave [0, 1]. Draws follow from ``name`` and the pool, so that
    the order of problems and samples changes nothing; ``resamples`` is their number in all, of which
    pools that are alike have their share together. Raises ValueError for no problems.
    """
    if len(pools) != len(values) or not values:
        raise ValueError("an estimate for each problem, and one problem at least, is needed")
    value, count = math.fsum(values) / len(values), len(values)
    if count < 2:
        return Estimate(value, None, None, None, None)
    spread = float(np.var(np.sort(values), ddof=1)) / count
    low, high = wilson(value, spread, student_t(CONFIDENCE, count - 1), count)
    if min(len(pool.scores) for pool in pools) < 2:
        return Estimate(value, low, high, None, None)
    alike = Counter(pools)
    own = math.fsum(
        many
        * variance(
            pool, partial(_random, name, pool), max(FEWEST_RESAMPLES, resamples * many // count)
        )
        for pool, many in alike.items()
    )
    own /= count**2
    if own <= 0:
        return Estimate(value, low, high, None, None)
    df = sum(len(pool.scores) - 1 for pool in pools)
    these = wilson(value, own, student_t(CONFIDENCE, df), df + 1)
    return Estimate(value, low, high, *these)


def _random(name: str, pool: Pool) -> np.random.Generator:
    members = f"{name} {pool.scores} {pool.classes}"
    return np.random.default_rng(list(hashlib.sha256(members.encode()).digest()))


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Estimate:
    """A ratio of sums over problems in [0, 1], with its 95 % interval: were other problems drawn.

    ``parts`` and ``wholes`` have a number for each problem; wholes of 1 make it a mean over problems.
    The variance is that of a ratio of sums over clusters, so that a problem with many cases stays one,
    and its cases are not taken for independent. The interval is Wilson's as in `two_level`; the other
    one is None. Raises ValueError for no problems, and for a whole that is not above 0.
    """
    if len(parts) != len(wholes) or not wholes or min(wholes) <= 0:
        raise ValueError("a part for each problem, and of a whole above 0, is needed")
    total, count = math.fsum(wholes), len(wholes)
    value = math.fsum(parts) / total
    if count < 2:
        return Estimate(value, None, None, None, None)
    rests = math.fsum((p - value * w) ** 2 for p, w in zip(parts, wholes, strict=True))
    variance = rests * count / (count - 1) / total**2
    low, high = wilson(value, variance, student_t(CONFIDENCE, count - 1), count)
    return Estimate(value, low, high, None, None)
