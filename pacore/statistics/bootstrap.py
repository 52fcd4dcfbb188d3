"""The two-level bootstrap: problems drawn again, and within each problem the samples of its pool."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


Resampled = Callable[[Pool, np.random.Generator, int], Floats]
"""Estimates of one problem, each on its samples drawn again with replacement."""


def mean_of(pool: Pool, random: np.random.Generator, resamples: int) -> Floats:
    """pass@1 of one problem: the mean score of its samples."""
    scores = np.asarray(pool.scores, dtype=np.float64)
    found = np.empty(resamples)
    step = max(1, BLOCK // max(1, len(scores)))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = random.integers(0, len(scores), size=(rows, len(scores)))
        found[start : start + rows] = scores[drawn].mean(axis=1)
    return found


def majority_of(k: int) -> Resampled:
    """maj@k of one problem: the mean score of the answer that most of k samples give.

    Of tied answers each is as likely, and samples without an answer never vote. On each resampled
    pool `SUBSETS` votes are held, of k samples without replacement.
    """

    def resampled(pool: Pool, random: np.random.Generator, resamples: int) -> Floats:
        shares, worth = _classes(pool)
        count = len(pool.scores)
        found = np.empty(resamples)
        step = max(1, BLOCK // (SUBSETS * len(shares)))
        for start in range(0, resamples, step):
            rows = min(step, resamples - start)
            drawn = random.multinomial(count, shares, size=rows)
            votes = _subsets(np.repeat(drawn, SUBSETS, axis=0), min(k, count), random)
            elected = _elected(votes[:, 1:], worth)
            found[start : start + rows] = elected.reshape(rows, SUBSETS).mean(axis=1)
        return found

    return resampled


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
    estimator: Resampled,
    value: float,
    name: str,
    resamples: int = RESAMPLES,
) -> Estimate:
    """95 % intervals of a mean over problems of which ``value`` is the estimate.

    Problems are drawn with replacement, and for each drawn one its samples; percentile intervals,
    widened by sqrt(P / (P - 1)) as the bootstrap's variance of a mean is too small by that. What is
    drawn follows from ``name`` and nothing else.
    """
    known = [pool for pool in pools if len(pool.scores)]
    if len(known) < 2:
        return Estimate(value, None, None, None, None)
    random = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    estimates = np.stack([estimator(pool, random, resamples) for pool in known], axis=1)
    count = len(known)
    problems = random.integers(0, count, size=(resamples, count))
    rows = random.integers(0, resamples, size=(resamples, count))
    both = estimates[rows, problems].mean(axis=1)
    low, high = _percentiles(both, value, math.sqrt(count / (count - 1)))
    these = estimates.mean(axis=1)
    if all(len(pool.scores) < 2 for pool in known):
        return Estimate(value, low, high, None, None)
    sizes = [len(pool.scores) for pool in known if len(pool.scores) > 1]
    widened = math.sqrt(np.mean([size / (size - 1) for size in sizes]))
    return Estimate(value, low, high, *_percentiles(these, value, widened))


def _percentiles(means: Floats, value: float, widened: float) -> tuple[float, float]:
    low, high = np.quantile(means, [0.025, 0.975])
    middle = float(means.mean())
    return (
        max(0.0, value + widened * (float(low) - middle)),
        min(1.0, value + widened * (float(high) - middle)),
    )
