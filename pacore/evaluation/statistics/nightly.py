"""Whether a night is worse than its baseline by more than chance: few false alarms, and a stated power.

Each measure is tested twice, over tonight alone and over the last nights pooled, since the pool has less
noise and tonight is newer. One baseline that was lucky would make every later night look worse; so once
there are nights that are old enough not to have the same fault, a fall has to show against them too.
Problems are paired, so that differences between problems do not count; what is left is the noise of
sampling. Over all tests of a night the Benjamini-Hochberg procedure (1995) bounds the chance of an alarm
where nothing has changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from scipy import special

from pacore.evaluation.statistics.intervals import (
    CONFIDENCE,
    ROUNDING,
    Floats,
    difference_interval,
    differences_of,
)
from pacore.store.nights import NightMeasure

ALARM = 0.025
"""Chance of an alarm on a night where nothing has changed."""

WINDOW = 3
"""Nights that are pooled, tonight included."""

OLD, MOST_OLD = 14, 30
"""Nights between tonight and those that count as old, and how many of these are pooled at most."""

POWER = 0.80

FEWEST_PROBLEMS = 2

_ENUMERATED = 12
"""Problems that differ, up to which every pattern of their signs is counted."""


_T = TypeVar("_T")

Measures = Mapping[str, Mapping[str, float]]
"""Of each measure, the mean of each problem in [0, 1], by problem."""


def pooled(nights: Sequence[Measures]) -> Measures:
    """The means of some nights together, over the problems that all of them have.

    A measure is pooled over the nights that have it: an arm may have come to a job later.
    """
    found: dict[str, Mapping[str, float]] = {}
    for measure in dict.fromkeys(name for night in nights for name in night):
        means = [night[measure] for night in nights if night.get(measure)]
        shared = sorted(set.intersection(*map(set, means))) if means else []
        found[measure] = {
            problem: sum(one[problem] for one in means) / len(means) for problem in shared
        }
    return found


def old_of(earlier: Sequence[_T], went_well: Callable[[_T], bool]) -> list[_T]:
    """The old ones of all nights before tonight since the baseline was accepted, in their order.

    Nights with an alarm are left out: a loss that lasts may not become what later nights are compared with.
    """
    return [night for night in earlier[: max(0, len(earlier) + 1 - OLD)] if went_well(night)][
        -MOST_OLD:
    ]


def night_tests(
    baseline: Measures, nights: Sequence[Measures], old: Sequence[Measures] = ()
) -> list[NightMeasure]:
    """Test the last night, and the last `WINDOW` nights together, against the baseline and old nights.

    ``nights`` are those since the baseline was accepted, at least the last `WINDOW`, in their order;
    ``old`` as `old_of` gives them. A test's p is the greater one of both comparisons. Measures with fewer
    than two problems in common are left out: they are not observed.
    """
    reference = pooled([baseline, *old]) if old else {}
    found = []
    for size in (1, WINDOW):
        for measure, before in baseline.items():
            having = [night for night in nights if night.get(measure)]
            if not nights[-1].get(measure) or (size > 1 and len(having) == 1):
                continue
            window = having[-size:]
            after = pooled(window)[measure]
            test = _tested(measure, before, after, len(window))
            if test is not None and old:
                against_old = _p_worse(_differences(reference[measure], after))
                test = replace(test, p=max(test.p, against_old))
            found += [] if test is None else [test]
    alarms = _rejected([test.p for test in found], ALARM)
    return [replace(test, is_alarm=is_alarm) for test, is_alarm in zip(found, alarms, strict=True)]


def detectable(baseline: Measures, tonight: Measures, measure: str, *, pools: int) -> float | None:
    """About the least loss of a measure that a run of `WINDOW` nights finds with a chance of `POWER`.

    The baseline has ``pools`` nights of the same size. None where nothing tells how much chance alone
    moves it.
    """
    differences = _differences(baseline[measure], tonight[measure])
    if len(differences) < FEWEST_PROBLEMS:
        return None
    # A night's own noise is 1, the baseline's 1/pools, that of a window 1/WINDOW.
    share = (1 / WINDOW + 1 / pools) / (1 + 1 / pools)
    error = float(differences.std(ddof=1)) * math.sqrt(share / len(differences))
    if not error:
        return None
    level = ALARM / (2 * len(baseline))
    # A problem that is always right, or never, tells nothing of chance.
    freedom = max(1, np.count_nonzero(differences) - 1)
    reach = float(special.stdtrit(freedom, 1 - level) + special.stdtrit(freedom, POWER))
    return min(1.0, reach * error)


def _differences(before: Mapping[str, float], after: Mapping[str, float]) -> Floats:
    both = sorted(before.keys() & after.keys())
    return differences_of([before[name] for name in both], [after[name] for name in both])


def _tested(
    measure: str, before: Mapping[str, float], after: Mapping[str, float], nights: int
) -> NightMeasure | None:
    both = sorted(before.keys() & after.keys())
    if len(both) < FEWEST_PROBLEMS:
        return None
    differences = _differences(before, after)
    low, high = difference_interval(differences, len(both), CONFIDENCE)
    return NightMeasure(
        measure=measure,
        nights=nights,
        problems=len(both),
        value=sum(after[name] for name in both) / len(both),
        baseline=sum(before[name] for name in both) / len(both),
        low=low,
        high=high,
        p=_p_worse(differences),
        is_alarm=False,
    )


def _p_worse(differences: Floats) -> float:
    """The chance of a mean as low as this one where no problem has changed.

    Of few problems that differ, over all patterns of their signs; of more, by Student's t, whose
    requirements their sum then meets.
    """
    nonzero = differences[differences != 0]
    count = len(nonzero)
    if not count:
        return 1.0
    if count <= _ENUMERATED:
        signs = 1 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)
        return float(np.mean(signs @ np.abs(nonzero) <= nonzero.sum() + ROUNDING))
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return float(special.stdtr(len(differences) - 1, differences.mean() / error))


def _rejected(ps: Sequence[float], rate: float) -> list[bool]:
    """Which tests the Benjamini-Hochberg procedure rejects."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    last = max(
        (rank for rank, one in enumerate(order, 1) if ps[one] <= rate * rank / len(ps)), default=0
    )
    return [one in order[:last] for one in range(len(ps))]
