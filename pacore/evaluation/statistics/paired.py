"""Two runs on the same problems: how far apart they are, and whether that may be chance.

The unit is the problem. A problem's difference is one observation, whatever its answers share: runs
that draw their first rounds from one pool answer a problem alike for that reason alone, and that is in
the spread of the differences already. Answers that are the same trajectories in both runs differ by
nothing: such a problem is an exact 0, and no observation of how differences vary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from pacore.evaluation.statistics.intervals import (
    CONFIDENCE,
    ROUNDING,
    Floats,
    border,
    difference_interval,
    differences_of,
    student_t,
)

PERMUTATIONS = 100_000
"""Sign patterns looked at: all of them up to 16 problems, so many drawn by chance beyond."""

POWER = 0.80

RESAMPLES = 10_000
"""Of problems, to see how often another run would be the best."""


@dataclass(frozen=True, slots=True)
class Paired:
    """B against A over the problems both have; all differences are B less A.

    ``first`` and ``second`` are the means of A and B over these problems. ``independent`` of the
    ``problems`` have answers of their own in each run; of the others all answers are the same
    trajectories. ``low`` and ``high`` are the 95 % interval of the mean difference
    (`difference_interval`); None below two independent problems; ``at_worst`` is the lower end of the
    one-sided one. ``permutation_p`` is two-sided, from flipping the signs of the problems' differences,
    None where there is none; ``is_exact`` where every pattern was counted. ``mcnemar_p`` is exact and
    two-sided, on which of the two solves a problem more often than not: ``gained`` problems only B,
    ``lost`` ones only A. ``detectable`` is about the least true difference that so many problems would
    find significant 4 times in 5; below some 20 problems it is found less often.
    """

    problems: int
    independent: int
    first: float
    second: float
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
    """Two one-sided tests over problems (Schuirmann 1987): whether |B - A| is below ``margin``.

    ``p`` is the larger of the two; ``low`` and ``high`` the 90 % interval (`difference_interval`), which
    lies within the margin exactly where ``p`` is below 5 %, and then ``is_equivalent`` is true.
    """

    margin: float
    p: float
    low: float
    high: float
    is_equivalent: bool


def paired(a: Sequence[float], b: Sequence[float], shared: Sequence[bool] | None = None) -> Paired:
    """Compare two runs by the mean scores in [0, 1] of their common problems, in the same order.

    ``shared`` says of which problems all answers are the same trajectories in both runs; None of none.
    Raises ValueError for no problems, sequences of different length, and where all are shared.
    """
    first, second, independent = _columns(a, b, shared)
    differences = differences_of(first, second)
    low = high = at_worst = detectable = None
    if independent > 1:
        low, high = difference_interval(differences, independent)
        at_worst = difference_interval(differences, independent, 2 * CONFIDENCE - 1)[0]
        missed = float(special.stdtrit(independent - 1, POWER))
        reach = 1 + missed / student_t(CONFIDENCE, independent - 1)
        detectable = min(1.0, (high - low) / 2 * reach)
    permutation_p, is_exact = _permutation(differences)
    gained = int(np.sum((second > 0.5) & (first < 0.5)))
    lost = int(np.sum((second < 0.5) & (first > 0.5)))
    return Paired(
        problems=len(differences),
        independent=independent,
        first=float(first.mean()),
        second=float(second.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        at_worst=at_worst,
        permutation_p=permutation_p,
        is_exact=is_exact,
        better=int(np.sum(differences > 0)),
        worse=int(np.sum(differences < 0)),
        equal=int(np.sum(differences == 0)),
        gained=gained,
        lost=lost,
        mcnemar_p=_mcnemar(gained, lost),
        detectable=detectable,
    )


def paired_interval(a: Sequence[float], b: Sequence[float]) -> tuple[float | None, float | None]:
    """The 95 % interval of `paired` alone, of B less A; None below two problems.

    Raises ValueError as it does.
    """
    first, second, independent = _columns(a, b, None)
    if independent < 2:
        return None, None
    return difference_interval(differences_of(first, second), independent)


def best_shares(values: Sequence[Sequence[float]]) -> list[float]:
    """Of several runs over the same problems, in which share of resamples of these each has the highest
    mean.

    Of runs with equal means each counts as likely. Which problems are drawn follows from their number
    alone.
    """
    scores = np.asarray(values, dtype=np.float64)
    count = scores.shape[1]
    random = np.random.default_rng(count)
    drawn = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    means = drawn @ scores.T
    best = means >= means.max(axis=1, keepdims=True) - 1e-9
    shares: list[float] = (best / best.sum(axis=1, keepdims=True)).mean(axis=0).tolist()
    return shares


def _mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact two-sided p value: of a binomial distribution of chance 1/2, which is symmetric."""
    return min(1.0, 2 * float(special.bdtr(min(gained, lost), gained + lost, 0.5)))


def equivalence(
    a: Sequence[float],
    b: Sequence[float],
    margin: float,
    shared: Sequence[bool] | None = None,
) -> Equivalence | None:
    """Test whether two runs differ by less than ``margin`` in mean score; None below two independent
    problems.

    Raises ValueError for a margin that is not positive, and as `paired` does.
    """
    if not margin > 0:
        raise ValueError("a margin of equivalence is above 0")
    first, second, independent = _columns(a, b, shared)
    if independent < 2:
        return None
    differences = differences_of(first, second)
    above = _p_above(differences, independent, -margin)
    below = _p_above(-differences, independent, -margin)
    low, high = difference_interval(differences, independent, 2 * CONFIDENCE - 1)
    p = max(above, below)
    return Equivalence(margin, p, low, high, is_equivalent=p < 1 - CONFIDENCE)


def _p_above(differences: Floats, independent: int, bound: float) -> float:
    """One-sided p of a mean that is ``bound`` or less: where the interval of that level ends there."""
    mean = float(differences.mean())
    if mean < bound:
        return 1 - _p_above(-differences, independent, -bound)

    def holds_bound(p: float) -> bool:
        return difference_interval(differences, independent, 1 - 2 * p)[0] <= bound

    # Of the two ends the greater one: no finite sample makes it 0.
    return border(holds_bound, 0.0, 0.5)[1]


def _columns(
    a: Sequence[float], b: Sequence[float], shared: Sequence[bool] | None
) -> tuple[Floats, Floats, int]:
    """Both runs' scores, and how many problems are independent."""
    if len(a) != len(b) or not len(a) or (shared is not None and len(shared) != len(a)):
        raise ValueError("two runs are compared over the problems that both have")
    independent = len(a) - sum(shared or ())
    if not independent:
        raise ValueError("two runs of the same trajectories have nothing to be compared")
    return np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), independent


def _permutation(differences: Floats) -> tuple[float | None, bool]:
    """The two-sided p of the mean under flipped signs, and whether all patterns were counted."""
    # A problem without a difference does not count: its sign changes no pattern's sum.
    nonzero = differences[differences != 0]
    count = len(nonzero)
    if not count:
        return None, True
    is_exact = 2**count <= PERMUTATIONS
    if is_exact:
        patterns = np.arange(2**count)[:, None] >> np.arange(count) & 1
    else:
        random = np.random.default_rng(list(hashlib.sha256(nonzero.tobytes()).digest()))
        patterns = random.integers(0, 2, size=(PERMUTATIONS, count))
    # Sums that are equal but for rounding are equal.
    sums = np.abs((1 - 2 * patterns) @ nonzero)
    far = int(np.sum(sums >= abs(nonzero.sum()) * (1 - 1e-9) - ROUNDING))
    return (far / len(sums) if is_exact else (far + 1) / (len(sums) + 1)), is_exact
