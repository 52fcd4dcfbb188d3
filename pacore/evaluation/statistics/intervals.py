"""Intervals: of means that are bounded, of the rate of a single problem, of the weights of features.

The interval of a rate is that of Clopper and Pearson. It holds at every rate, so a problem whose rate is at
or above a bound has an interval below it at most half as often as the interval misses; Wilson's and
Jeffreys' intervals hold on average over rates, and at some miss twice as often. It is wider, so more
problems are undecided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95

ROUNDING = 1e-12
"""Below any difference of two means of scores, and above what two means of the same scores are off."""

_HALVINGS = 40
"""Steps in which the end of an interval is found, to less than 1e-12."""

Floats = NDArray[np.float64]


def student_t(confidence: float, df: int) -> float:
    """The quantile of Student's t that a two-sided interval of this confidence is made with."""
    return float(special.stdtrit(df, (1 + confidence) / 2))


def wilson(value: float, variance: float, t: float, count: int) -> tuple[float, float]:
    """Wilson's interval of a mean in [0, 1] from the variance of its estimate.

    The effective sample size is value (1 - value) / variance (Kish), and a quantile ``t`` of Student's
    distribution is used in place of the normal one. Where nothing varied it is that of ``count`` answers.
    """
    most = value * (1 - value)
    size = most / variance if variance > 0 and most > 0 else float(count)
    weight = 1 / (1 + t * t / size)
    middle = weight * value + (1 - weight) / 2
    half = math.sqrt(weight * (1 - weight) * most + ((1 - weight) / 2) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def differences_of(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> Floats:
    """B less A, a problem each. Means of the same scores may differ by rounding, as their sums depend on
    the order: that is no difference.
    """
    found = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    return np.where(np.abs(found) < ROUNDING, 0.0, found)


def difference_interval(
    differences: Floats, independent: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The interval of a mean difference in [-1, 1], with Student's t over ``independent`` problems.

    It joins two. The first is Wilson's of the mean of (1 + difference) / 2, at the effective sample size
    its variance comes to. The second is Tango's of matched pairs, for how often problems differ either
    way, in differences of the size they typically have: where few or none differ, their spread shows too
    little of how many might. Neither leaves [-1, 1]. ``independent`` is 2 at least.
    """
    count, mean = len(differences), float(differences.mean())
    t = student_t(confidence, independent - 1)
    low, high = _tango(differences, t)
    if differences.any():
        variance = float(differences.var(ddof=1)) / count
        ends = wilson((1 + mean) / 2, variance / 4, t, count)
        low, high = min(low, 2 * ends[0] - 1), max(high, 2 * ends[1] - 1)
    return max(low, -1.0), min(high, 1.0)


def mean_interval(means: Sequence[float]) -> tuple[float | None, float | None]:
    """The 95 % interval of the mean over problems of numbers in about [-1, 1], one of each problem, with
    Student's t; None below two problems.
    """
    if len(means) < 2:
        return None, None
    values = np.sort(np.asarray(means, dtype=np.float64))
    half = (
        student_t(CONFIDENCE, len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    )
    middle = float(values.mean())
    return middle - half, middle + half


def _tango(differences: Floats, t: float) -> tuple[float, float]:
    """Tango's score interval (1998) of the difference of two shares over matched pairs.

    Differences are taken to be of one size, that which they and their squares add up to, and to have
    either sign so often; of 0 and 1 in every problem that is what they are. All means are in it whose
    variance, were they true, makes the mean there is no further from them than ``t`` standard errors.
    """
    count, squares = len(differences), float(np.square(differences).sum())
    size = squares / float(np.abs(differences).sum()) if squares else 1.0
    rises = float(differences[differences > 0].sum()) / size
    falls = -float(differences[differences < 0].sum()) / size
    share = (rises - falls) / count

    def is_inside(true: float) -> bool:
        # The share of falls that is likeliest where rises exceed them by ``true`` in all.
        linear = (2 * count - rises + falls) * true - rises - falls
        root = max(0.0, linear * linear + 8 * count * falls * true * (1 - true))
        fallen = (math.sqrt(root) - linear) / (4 * count)
        variance = (2 * fallen + true - true * true) / (count - 1)
        return (share - true) ** 2 <= t * t * variance

    low, high = (border(is_inside, share, end)[0] for end in (-1.0, 1.0))
    return size * low, size * high


def border(is_inside: Callable[[float], bool], start: float, end: float) -> tuple[float, float]:
    """The last value inside and the first outside on the way from ``start``, which is inside, to ``end``.

    Both are ``end`` where that is inside too. There has to be one border at most.
    """
    if is_inside(end):
        return end, end
    for _ in range(_HALVINGS):
        middle = (start + end) / 2
        if is_inside(middle):
            start = middle
        else:
            end = middle
    return start, end


RATES = 401
"""Rates that a problem may have, from 0 to 1 and closer together at both ends."""

STEPS = 400
"""Of the estimate of how often problems have each rate; more change it by less than its own error."""


class PoolCount(NamedTuple):
    """How many of the observed trajectories of a pool are right."""

    right: int
    observed: int


def rate_interval(right: float, observed: float, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a rate; both counts may be parts where draws hang together."""
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(right, observed - right + 1, tail)) if right > 0 else 0.0
    high = (
        float(special.betaincinv(right + 1, observed - right, 1 - tail))
        if right < observed
        else 1.0
    )
    return low, high


def chances_of_turning(
    pools: Mapping[PoolCount, int], is_inside: Callable[[PoolCount], bool]
) -> dict[PoolCount, float]:
    """The chance that another pool of as many trajectories is on the other side, for each count.

    ``pools`` says how many problems have each count. How often problems have each rate is estimated from
    all of them (the nonparametric maximum likelihood of Kiefer and Wolfowitz, by EM), and a problem has
    each rate with the chance that its own pool then leaves it.
    """
    known = [pool for pool in pools if pool.observed > 0]
    found = dict.fromkeys(pools, 0.0)
    if not known:
        return found
    rates = np.sin(np.linspace(0, np.pi / 2, RATES)) ** 2
    likely = np.array([_chances(pool.observed, rates)[pool.right] for pool in known])
    after = _posteriors(likely, np.array([pools[pool] for pool in known], dtype=np.float64))
    inside = {size: _inside(size, rates, is_inside) for size in {pool.observed for pool in known}}
    for pool, chances in zip(known, after, strict=True):
        share = float(chances @ inside[pool.observed])
        found[pool] = min(1.0, max(0.0, 1 - share if is_inside(pool) else share))
    return found


def _chances(observed: int, rates: Floats) -> Floats:
    """The chance of each number of right trajectories at each rate: a row a number."""
    right = np.arange(observed + 1)[:, None]
    logs = (
        special.gammaln(observed + 1) - special.gammaln(right + 1)
        - special.gammaln(observed - right + 1) + special.xlogy(right, rates)
        + special.xlog1py(observed - right, -rates)
    )  # fmt: skip
    found: Floats = np.exp(logs)
    return found


def _posteriors(likely: Floats, weights: Floats) -> Floats:
    """The chance of each rate given each pool, a row a pool; ``likely`` is that of the pool at a rate."""
    prior = np.full(likely.shape[1], 1 / likely.shape[1])
    for _ in range(STEPS):
        after = likely * prior
        after /= after.sum(axis=1, keepdims=True)
        prior = weights @ after / weights.sum()
    found: Floats = after
    return found


def _inside(observed: int, rates: Floats, is_inside: Callable[[PoolCount], bool]) -> Floats:
    """The chance at each rate that a pool is inside."""
    sides = [is_inside(PoolCount(right, observed)) for right in range(observed + 1)]
    found: Floats = np.array(sides, dtype=np.float64) @ _chances(observed, rates)
    return found


PENALTY = 10.0
"""Of features whose standard deviation in groups is 1: as many rows as say that they have no effect."""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """``weight`` of a feature, shrunk, with the 95 % interval over clusters; None below two of them."""

    weight: float
    low: float | None
    high: float | None


def line_in_groups(
    rows: Sequence[Sequence[float]],
    values: Sequence[float],
    groups: Sequence[object],
    clusters: Sequence[object],
) -> list[Coefficient]:
    """The weights of features in a ridge regression of values, both less their means in each group.

    Rows of one of ``clusters`` are not taken for independent. A feature that does not vary within groups
    has the weight 0. Raises ValueError for no rows, and sequences of different length.
    """
    if not rows or not len(rows) == len(values) == len(groups) == len(clusters):
        raise ValueError(
            "a value, a group and a cluster for each row, and one row at least, is needed"
        )
    x, y = np.array(rows, dtype=np.float64), np.array(values, dtype=np.float64)
    _, group = np.unique([str(one) for one in groups], return_inverse=True)
    sizes = np.bincount(group)
    means = np.column_stack([np.bincount(group, column) / sizes for column in (*x.T, y)])
    x, y = x - means[group, :-1], y - means[group, -1]
    scale = np.sqrt(np.mean(x**2, axis=0))
    varies = scale > 1e-12
    x[:, ~varies] = 0.0
    x[:, varies] /= scale[varies]
    bread = np.linalg.inv(x.T @ x + PENALTY * np.eye(x.shape[1]))
    weights = bread @ x.T @ y
    names, cluster = np.unique([str(one) for one in clusters], return_inverse=True)
    rests = x * (y - x @ weights)[:, None]
    sums = np.column_stack([np.bincount(cluster, column) for column in rests.T])
    errors = np.sqrt(np.diag(bread @ (sums.T @ sums) @ bread))
    halves = None
    if len(names) > 1:
        halves = student_t(CONFIDENCE, len(names) - 1) * errors
        halves *= np.sqrt(len(names) / (len(names) - 1))
    scale[~varies] = 1.0
    return [
        Coefficient(
            float(weight / unit),
            None if halves is None else float((weight - halves[place]) / unit),
            None if halves is None else float((weight + halves[place]) / unit),
        )
        for place, (weight, unit) in enumerate(zip(weights, scale, strict=True))
    ]
