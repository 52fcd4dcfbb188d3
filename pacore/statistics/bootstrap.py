"""The two-level bootstrap: problems drawn again, and within each problem the samples of its pool."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 1_000
SUBSETS = 8
"""Votes held on each resampled pool; more would change the interval by less than it is known."""

BLOCK = 4_000_000
"""Draws held in memory at a time."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """The samples of one problem: scores in [0, 1], and the class of each answer.

    ``classes`` are equal exactly where answers are equivalent; None where there is no answer.
    """

    scores: Sequence[float]
    classes: Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over problems with its 95 % intervals.

    ``low`` and ``high``: other problems and other samples. ``these_low`` and ``these_high``: these
    problems, other samples; None where no problem has two samples.
    """

    value: float
    low: float | None
    high: float | None
    these_low: float | None
    these_high: float | None


class Redrawn(NamedTuple):
    """Estimates of one problem, each on its samples drawn again with replacement.

    ``noise`` is the variance that the estimator itself adds to each by drawing.
    """

    estimates: Floats
    noise: float


Estimator = Callable[[Pool, np.random.Generator, int], Redrawn]


def mean_of(pool: Pool, random: np.random.Generator, resamples: int) -> Redrawn:
    """pass@1 of one problem: the mean score of its samples."""
    scores = np.asarray(pool.scores, dtype=np.float64)
    found = np.empty(resamples)
    step = max(1, BLOCK // max(1, len(scores)))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = random.integers(0, len(scores), size=(rows, len(scores)))
        found[start : start + rows] = scores[drawn].mean(axis=1)
    return Redrawn(found, 0.0)


def majority_of(k: int) -> Estimator:
    """maj@k of one problem: the mean score of the answer that most of k samples give.

    Of tied answers each is as likely, and samples without an answer never vote. On each resampled
    pool `SUBSETS` votes are held, of k samples without replacement.
    """

    def redrawn(pool: Pool, random: np.random.Generator, resamples: int) -> Redrawn:
        shares, worth = _classes(pool)
        count = len(pool.scores)
        found, noise = np.empty(resamples), np.empty(resamples)
        step = max(1, BLOCK // (SUBSETS * len(shares)))
        for start in range(0, resamples, step):
            rows = min(step, resamples - start)
            drawn = random.multinomial(count, shares, size=rows)
            votes = _subsets(np.repeat(drawn, SUBSETS, axis=0), min(k, count), random)
            elected = _elected(votes[:, 1:], worth).reshape(rows, SUBSETS)
            found[start : start + rows] = elected.mean(axis=1)
            noise[start : start + rows] = elected.var(axis=1, ddof=1) / SUBSETS
        return Redrawn(found, float(noise.mean()))

    return redrawn


def _classes(pool: Pool) -> tuple[Floats, Floats]:
    """The share of a pool that has no answer and that of each class, and the score of each class."""
    names = sorted({name for name in pool.classes if name is not None})
    members = {
        name: [score for score, of in zip(pool.scores, pool.classes, strict=True) if of == name]
        for name in names
    }
    sizes = [sum(name is None for name in pool.classes), *map(len, members.values())]
    worth = [sum(scores) / len(scores) for scores in members.values()]
    return np.array(sizes) / len(pool.scores), np.array(worth)


def _subsets(counts: Integers, k: int, random: np.random.Generator) -> Integers:
    """How many of each class are among k taken from each row's counts without replacement."""
    taken = np.zeros_like(counts)
    left = np.full(len(counts), k)
    others = counts.sum(axis=1)
    for index in range(counts.shape[1]):
        others = others - counts[:, index]
        taken[:, index] = random.hypergeometric(counts[:, index], others, left)
        left = left - taken[:, index]
    return taken


def _elected(votes: Integers, worth: Floats) -> Floats:
    """The expected score of the most frequent class of each row; 0 where a row has none."""
    if not len(worth):
        return np.zeros(len(votes))
    most = votes.max(axis=1, keepdims=True)
    won = (votes == most) & (most > 0)
    scores: Floats = (won @ worth) / np.maximum(won.sum(axis=1), 1)
    return scores


def two_level(
    pools: Sequence[Pool],
    estimator: Estimator,
    values: Sequence[float],
    name: str,
    resamples: int = RESAMPLES,
) -> Estimate:
    """95 % intervals of a mean over problems, of which ``values`` are the problems' estimates.

    Problems are drawn with replacement, and for each drawn one its samples. As the problems'
    estimates bear the noise of their samples already, drawing both counts it twice, and once is
    taken away. The bootstrap gives the standard errors; the intervals are Wilson's at the effective
    sample size these come to, with Student's t over problems: percentiles of few problems near 0 or
    1 hold the truth too seldom. What is drawn follows from ``name`` and nothing else. Raises
    ValueError for no problems.
    """
    if len(pools) != len(values) or not values:
        raise ValueError("an estimate for each problem, and one problem at least, is needed")
    value, count = float(np.mean(values)), len(values)
    if count < 2:
        return Estimate(value, None, None, None, None)
    random = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    redrawn = [estimator(pool, random, resamples) for pool in pools]
    estimates = np.stack([one.estimates for one in redrawn], axis=1)
    noise = float(np.mean([one.noise for one in redrawn])) / count
    problems = random.integers(0, count, size=(resamples, count))
    rows = random.integers(0, resamples, size=(resamples, count))
    both = estimates[rows, problems].mean(axis=1)
    redraw = max(0.0, float(estimates.var(axis=0, ddof=1).sum()) / count**2 - noise)
    # The bootstrap's variance of a mean of n is too small by (n - 1) / n.
    spread = max(0.0, float(both.var(ddof=1)) - noise - redraw) * count / (count - 1)
    low, high = wilson(value, spread, count - 1)
    sizes = [len(pool.scores) for pool in pools]
    if max(sizes) < 2:
        return Estimate(value, low, high, None, None)
    inflated = float(np.mean([size / (size - 1) for size in sizes if size > 1]))
    these = wilson(value, redraw * inflated, sum(size - 1 for size in sizes))
    return Estimate(value, low, high, *these)


def ratio(
    parts: Sequence[float], wholes: Sequence[float], name: str, resamples: int = RESAMPLES
) -> Estimate:
    """A ratio of sums over problems in [0, 1], with its 95 % interval: were other problems drawn.

    ``parts`` and ``wholes`` have a number for each problem; wholes of 1 make it a mean over
    problems. Problems are drawn with replacement, so that one with many cases stays one, and its
    cases are not taken for independent. Interval and chance are as in `two_level`; the other
    interval is None. Raises ValueError for no problems, and for a whole that is not above 0.
    """
    if len(parts) != len(wholes) or not wholes or min(wholes) <= 0:
        raise ValueError("a part for each problem, and of a whole above 0, is needed")
    above, below = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    value, count = float(above.sum() / below.sum()), len(below)
    if count < 2:
        return Estimate(value, None, None, None, None)
    random = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    found = np.empty(resamples)
    step = max(1, BLOCK // count)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = random.integers(0, count, size=(rows, count))
        found[start : start + rows] = above[drawn].sum(axis=1) / below[drawn].sum(axis=1)
    spread = float(found.var(ddof=1)) * count / (count - 1)
    return Estimate(value, *wilson(value, spread, count - 1), None, None)


def wilson(value: float, variance: float, df: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a mean in [0, 1] from the variance of its estimate.

    The effective sample size is value (1 - value) / variance (Kish), and Student's t stands in place
    of z. Where nothing varied it is that of ``df + 1`` answers.
    """
    t = float(stats.t.ppf(0.975, df))
    size = value * (1 - value) / variance if variance > 0 else df + 1.0
    size = size or df + 1.0
    middle = (value + t * t / (2 * size)) / (1 + t * t / size)
    half = t / (1 + t * t / size) * math.sqrt(value * (1 - value) / size + (t / (2 * size)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)
