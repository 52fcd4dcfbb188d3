"""Intervals of means that are bounded: of scores in [0, 1], and of differences of scores in [-1, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95


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
