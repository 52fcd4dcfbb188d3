"""How often comparisons are right of runs that share trajectories: runs are made up, and compared.

    python -m benchmarks.pairing [--runs 1000] [--gates 400]

Two runs answer the same problems. A problem has a chance p that a trajectory of round 1 is right, drawn
from a beta distribution; a final trajectory gives the answer of most of the messages it sees nine times in
ten, and otherwise is right with chance p by itself. The second run sees more messages, or heeds them less.
So the true difference is known. Settings say what is shared: nothing; the first round, as where both draw
it from one pool; or all answers to most of the problems, as where a policy changes few prompts.

`paired` is the share of made-up comparisons whose 95 % interval held the true difference; `Student` that of
Student's interval over the same differences, `outside` how many of these leave [-1, 1]; `apart` that of two
runs taken for independent of each other, and `wider` how much wider this is than the first. Then how often
tests and gate err, which each may 5 times in 100: `worse` says that a run as good is significantly worse;
`no worse` lets one through that is worse by just the bound; `equivalent` says so of two that are apart by
just the margin.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

from pacore.evaluation.statistics.intervals import Floats, difference_interval
from pacore.evaluation.statistics.paired import equivalence, paired

SEED = 30_000
HEED = 0.9


class Setting(NamedTuple):
    """Problems, replicates, the beta distribution of chances, widths of both runs and what is shared.

    ``heed``: how often the second run's final trajectory gives the majority's answer; ``shares_rounds``:
    both see the same first messages; ``shares_answers``: chance that a problem's answers are the same.
    """

    problems: int
    replicates: int
    a: float = 1.0
    b: float = 1.0
    widths: tuple[int, int] = (3, 3)
    heed: float = HEED
    shares_rounds: bool = False
    shares_answers: float = 0.0

    @property
    def name(self) -> str:
        shared = "round 1" if self.shares_rounds else "nothing"
        if self.shares_answers:
            shared = f"{100 * self.shares_answers:.0f} % of problems"
        return (
            f"{self.problems} x {self.replicates}, beta({self.a:g}, {self.b:g}), "
            f"K {self.widths[0]} and {self.widths[1]}, heed {self.heed:g}, shared {shared}"
        )


SETTINGS = (
    Setting(30, 1),
    Setting(30, 1, shares_rounds=True),
    Setting(30, 4, shares_rounds=True),
    Setting(30, 4, widths=(3, 15), shares_rounds=True),
    Setting(100, 1, widths=(3, 15), shares_rounds=True),
    Setting(100, 4, 4.0, 1.0, shares_rounds=True),
    Setting(100, 4, heed=0.3, shares_rounds=True),
    Setting(100, 1, heed=0.3, shares_answers=0.8),
    Setting(100, 1, heed=0.3, shares_answers=0.95),
    Setting(100, 4, heed=0.3, shares_answers=0.95),
    Setting(8, 4, 0.2, 2.0, heed=-9.0, shares_rounds=True),
    Setting(17, 2, 0.2, 2.0, heed=-9.0, shares_rounds=True),
)
"""A ``heed`` below 0 is a second run that is right whatever it sees, as where its messages were edited."""


class Comparisons(NamedTuple):
    """Made-up comparisons: mean scores of both runs by comparison and problem, and what is shared."""

    first: Floats
    second: Floats
    shared: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    truth: float


def made_up(setting: Setting, runs: int, seed: int = SEED) -> Comparisons:
    """``runs`` comparisons, and the true difference of the two runs over all problems of the kind."""
    random = np.random.default_rng([seed, *map(int, (setting.problems, setting.replicates, runs))])
    shape = (runs, setting.problems)
    chances = random.beta(setting.a, setting.b, size=shape)
    sizes = (*shape, setting.replicates)
    draws = random.random((*sizes, max(setting.widths)))
    again = draws if setting.shares_rounds else random.random(draws.shape)
    first = _finals(random, chances, draws[..., : setting.widths[0]], HEED)
    second = _finals(random, chances, again[..., : setting.widths[1]], setting.heed)
    shared = random.random(shape) < setting.shares_answers
    second[shared] = first[shared]
    grid = np.linspace(0, 1, 2_001)[1:-1]
    weights = stats.beta.pdf(grid, setting.a, setting.b)
    rights = [
        _chance(grid, width, heed)
        for width, heed in zip(setting.widths, (HEED, setting.heed), strict=True)
    ]
    apart = float(weights @ (rights[1] - rights[0]) / weights.sum())
    truth = (1 - setting.shares_answers) * apart
    return Comparisons(first.mean(axis=2), second.mean(axis=2), shared, truth)


def _finals(random: np.random.Generator, chances: Floats, draws: Floats, heed: float) -> Floats:
    """Scores of final trajectories: (comparison, problem, replicate)."""
    votes = (draws < chances[..., None, None]).mean(axis=3) > 0.5
    own = random.random(votes.shape) < chances[..., None]
    heeds = random.random(votes.shape) < heed
    found = np.where(heeds, votes, own)
    if heed < 0:
        found = random.random(votes.shape) < 0.95
    return found.astype(np.float64)


def _chance(chances: Floats, width: int, heed: float) -> Floats:
    """Chance that a final trajectory is right, by the chance of one of round 1."""
    if heed < 0:
        return np.full_like(chances, 0.95)
    majority: Floats = stats.binom.sf(width // 2, width, chances)
    return heed * majority + (1 - heed) * chances


class Coverage(NamedTuple):
    """Shares of comparisons whose interval held the true difference, and of Student's that left [-1, 1]."""

    paired: float
    student: float
    apart: float
    wider: float
    outside: float


def coverage(setting: Setting, runs: int) -> Coverage:
    """How often the interval of a difference holds the truth."""
    found = made_up(setting, runs)
    held, widths = [0, 0, 0], [0.0, 0.0]
    outside = counted = 0
    for first, second, shared in zip(found.first, found.second, found.shared, strict=True):
        independent = int(len(shared) - shared.sum())
        if independent < 2:
            continue
        counted += 1
        own = difference_interval(second - first, independent)
        bounds = (own, _student(second - first), _apart(first, second))
        for index, (low, high) in enumerate(bounds):
            held[index] += low <= found.truth <= high
        assert -1 <= own[0] <= own[1] <= 1
        outside += bounds[1][0] < -1 or bounds[1][1] > 1
        widths[0] += own[1] - own[0]
        widths[1] += bounds[2][1] - bounds[2][0]
    ours, student, apart = (count / counted for count in held)
    return Coverage(ours, student, apart, widths[1] / widths[0], outside / counted)


def _student(differences: Floats) -> tuple[float, float]:
    return _around(differences.mean(), differences.var(ddof=1) / len(differences), len(differences))


def _apart(first: Floats, second: Floats) -> tuple[float, float]:
    variance = (first.var(ddof=1) + second.var(ddof=1)) / len(first)
    return _around(second.mean() - first.mean(), variance, len(first))


def _around(mean: float, variance: float, count: int) -> tuple[float, float]:
    half = float(stats.t.ppf(0.975, count - 1)) * math.sqrt(variance)
    return mean - half, mean + half


class Errors(NamedTuple):
    """Shares of made-up comparisons in which a test or the gate errs; each may in 5 of 100."""

    worse: float
    no_worse: float
    equivalent: float


def errors(setting: Setting, runs: int) -> Errors:
    """How often tests err: the first on runs that are as good, the others at bound and margin.

    The second run of ``setting`` is worse or better than the first by what is known; the bound and the
    margin are just that. The runs that are as good heed alike.
    """
    alike = made_up(setting._replace(heed=HEED, widths=(setting.widths[0],) * 2), runs, SEED + 1)
    wrong = 0
    for scores in _scores(alike):
        pair = paired(*scores)
        p = pair.permutation_p
        wrong += p is not None and p < 0.05 and pair.difference < 0
    apart = made_up(setting, runs, SEED + 2)
    bound, passed, equal = abs(apart.truth), 0, 0
    for first, second, shared in _scores(apart):
        if len(shared) - sum(shared) < 2:
            continue
        tested = equivalence(first, second, bound, shared)
        assert tested is not None
        equal += tested.is_equivalent
        low, high = tested.low, tested.high
        passed += low > -bound if apart.truth < 0 else high < bound
    return Errors(wrong / runs, passed / runs, equal / runs)


def _scores(found: Comparisons) -> Iterator[tuple[list[float], list[float], list[bool]]]:
    for first, second, shared in zip(found.first, found.second, found.shared, strict=True):
        if not shared.all():
            yield first.tolist(), second.tolist(), shared.tolist()


TESTED = (
    Setting(30, 1, 4.0, 1.0, heed=0.0),
    Setting(30, 1, 4.0, 1.0, heed=0.0, shares_rounds=True),
    Setting(30, 4, 4.0, 1.0, heed=0.0, shares_rounds=True),
    Setting(200, 8, 4.0, 1.0, heed=0.0),
    Setting(200, 8, 4.0, 1.0, heed=0.0, shares_rounds=True),
    Setting(200, 8, 4.0, 1.0, heed=0.0, shares_answers=0.8),
    Setting(200, 8, 4.0, 1.0, heed=0.0, shares_answers=0.95),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--gates", type=int, default=400)
    asked = parser.parse_args()
    print(f"nominal 95 % intervals of a difference, {asked.runs:,} made-up comparisons each\n")
    print(f"{'':76} {'paired':>7} {'Student':>8} {'outside':>8} {'apart':>7} {'wider':>7}")
    for setting in SETTINGS:
        found = coverage(setting, asked.runs)
        print(
            f"{setting.name:76} {100 * found.paired:5.1f} % {100 * found.student:6.1f} % "
            f"{100 * found.outside:6.1f} % {100 * found.apart:5.1f} % {found.wider:6.2f}x",
            flush=True,
        )
    print(f"\nerrors of tests and gate, 5 % allowed, {asked.gates:,} made-up comparisons each\n")
    print(f"{'':76} {'worse':>8} {'no worse':>9} {'equivalent':>11}")
    for setting in TESTED:
        wrong = errors(setting, asked.gates)
        print(
            f"{setting.name:76} {100 * wrong.worse:6.1f} % {100 * wrong.no_worse:7.1f} % "
            f"{100 * wrong.equivalent:9.1f} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
