"""Two runs on the same problems: how far apart they are, and whether that may be chance."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

PERMUTATIONS = 100_000
"""Sign patterns looked at: all of them up to 16 problems, so many drawn by chance beyond."""

CONFIDENCE, POWER = 0.95, 0.80

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Paired:
    """B against A over the problems both have; all differences are B less A.

    ``low`` and ``high`` are the 95 % interval of the mean difference, Student's t over problems;
    None below two problems; ``at_worst`` is the lower end of the one-sided one. ``permutation_p`` is
    two-sided, from flipping the signs of the problems' differences; ``is_exact`` where every pattern
    was counted. ``mcnemar_p`` is exact and two-sided, on which of the two solves a problem more
    often than not: ``gained`` problems only B, ``lost`` ones only A. ``detectable`` is the least true
    difference that so many problems would find significant 4 times in 5.
    """

    problems: int
    difference: float
    low: float | None
    high: float | None
    at_worst: float | None
    permutation_p: float | None
    is_exact: bool
    better: int
    worse: int
    equal: int
    gained: int
    lost: int
    mcnemar_p: float
    detectable: float | None


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided t tests over problems (Schuirmann 1987): whether |B - A| is below ``margin``.

    ``p`` is the larger of the two; ``low`` and ``high`` the 90 % interval, which lies within the
    margin exactly where ``p`` is below 5 %.
    """

    margin: float
    p: float
    low: float
    high: float

    @property
    def is_equivalent(self) -> bool:
        return self.p < 1 - CONFIDENCE


def paired(a: Sequence[float], b: Sequence[float]) -> Paired:
    """Compare two runs by the mean scores of their common problems, in the same order.

    Raises ValueError for no problems, or sequences of different length.
    """
    first, second = _columns(a, b)
    differences = second - first
    count = len(differences)
    mean = float(differences.mean())
    half = one_sided = detectable = None
    if count > 1:
        error = float(differences.std(ddof=1)) / math.sqrt(count)
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
        one_sided = float(stats.t.ppf(CONFIDENCE, count - 1)) * error
        detectable = half + float(stats.t.ppf(POWER, count - 1)) * error
    permutation_p, is_exact = _permutation(differences)
    gained = int(np.sum((second > 0.5) & (first < 0.5)))
    lost = int(np.sum((second < 0.5) & (first > 0.5)))
    return Paired(
        problems=count,
        difference=mean,
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
        at_worst=None if one_sided is None else mean - one_sided,
        permutation_p=permutation_p,
        is_exact=is_exact,
        better=int(np.sum(differences > 0)),
        worse=int(np.sum(differences < 0)),
        equal=int(np.sum(differences == 0)),
        gained=gained,
        lost=lost,
        mcnemar_p=float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0,
        detectable=detectable,
    )


def equivalence(a: Sequence[float], b: Sequence[float], margin: float) -> Equivalence | None:
    """Test whether two runs differ by less than ``margin`` in mean score; None below two problems.

    Where no problem's scores differ at all the runs are as equal as can be seen, and ``p`` is 0.
    Raises ValueError for a margin that is not positive, and as `paired` does.
    """
    if not margin > 0:
        raise ValueError("a margin of equivalence is above 0")
    first, second = _columns(a, b)
    differences = second - first
    if len(differences) < 2:
        return None
    mean, df = float(differences.mean()), len(differences) - 1
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    if error == 0.0:
        return Equivalence(margin, 0.0 if abs(mean) < margin else 1.0, mean, mean)
    above = float(stats.t.sf((mean + margin) / error, df))
    below = float(stats.t.cdf((mean - margin) / error, df))
    half = float(stats.t.ppf(CONFIDENCE, df)) * error
    return Equivalence(margin, max(above, below), mean - half, mean + half)


def _columns(a: Sequence[float], b: Sequence[float]) -> tuple[Floats, Floats]:
    if len(a) != len(b) or not len(a):
        raise ValueError("two runs are compared over the problems that both have")
    return np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)


def _permutation(differences: Floats) -> tuple[float | None, bool]:
    """The two-sided p of the mean under flipped signs, and whether all patterns were counted."""
    # A problem without a difference says nothing: its sign changes no pattern's sum.
    told = differences[differences != 0]
    count = len(told)
    if not count:
        return None, True
    is_exact = 2**count <= PERMUTATIONS
    if is_exact:
        patterns = np.arange(2**count)[:, None] >> np.arange(count) & 1
    else:
        random = np.random.default_rng(list(hashlib.sha256(told.tobytes()).digest()))
        patterns = random.integers(0, 2, size=(PERMUTATIONS, count))
    # Sums that are equal but for rounding are equal.
    sums = np.abs((1 - 2 * patterns) @ told)
    far = int(np.sum(sums >= abs(told.sum()) * (1 - 1e-9) - 1e-12))
    return (far / len(sums) if is_exact else (far + 1) / (len(sums) + 1)), is_exact
