"""What bands decide on problems whose true rates are known: error rates, cost, and estimated turning.

    python -m benchmarks.bands [--problems 20000] [--pool 24]

`kept` at a true rate is the share of problems of that rate that a policy keeps; of those at or above the
bound `drop` and `sample` state 2.5 % at most. `draws` is how many trajectories a problem took. `turned` is
the share of problems on which a second pool decided otherwise, and `estimated` what the first pool alone
said of it. Last come the time and memory of looking for near duplicates among made-up problems.
"""

from __future__ import annotations

import argparse
import random
import time
import tracemalloc
from collections import Counter
from fractions import Fraction

import numpy as np

from benchmarks.results import Figure, Results, add_option
from pacore.core.config.training import Policy
from pacore.core.problem import Problem, Turn
from pacore.training.bands import Band, BandJudge, Rate
from pacore.training.filters import NearDuplicates
from tests.fixtures.simulated_bands import DISTRIBUTIONS, decided_by, problems_of_rates

BOUND = Fraction(9, 24)
TRUE = (0.1, 0.25, 0.33, 0.375, 0.42, 0.5, 0.7)
POLICIES: tuple[Policy, ...] = ("keep", "drop", "sample")


def at_true_rates(results: Results, problems: int, pool: int) -> None:
    """What each policy keeps of problems of one true rate."""
    for policy in POLICIES:
        for true in TRUE:
            rng = np.random.default_rng(1)
            found = decided_by(policy, BOUND, np.full(problems, true), rng, pool)
            workload = f"{problems} problems of rate {true:g}, pool {pool}"
            kept, undecided = float(found.kept.mean()), float(found.undecided.mean())
            results.add(Figure(workload, policy, "kept", "share", [kept]))
            results.add(Figure(workload, policy, "undecided", "share", [undecided]))
            results.add(Figure(workload, policy, "draws", "a problem", [found.draws / problems]))


def turning(results: Results, problems: int, pool: int) -> None:
    """The share of problems that another pool turns, and what was expected."""
    for distribution in DISTRIBUTIONS:
        rng = np.random.default_rng(2)
        true = problems_of_rates(distribution, problems, rng)
        band = Band(BOUND)
        first, second = (
            [Rate(int(right), pool, pool) for right in rng.binomial(pool, true)] for _ in range(2)
        )
        judge = BandJudge(band, Counter(first))
        estimated = float(np.mean([judge.of(rate).turning or 0.0 for rate in first]))
        turned = float(
            np.mean(
                [
                    (band.reason(one) is None) != (band.reason(other) is None)
                    for one, other in zip(first, second, strict=True)
                ]
            )
        )
        workload = f"{problems} problems, {distribution}, pool {pool}"
        figure = Figure(
            workload, "estimated", "turned", "share", [estimated], "another pool", [turned]
        )
        results.add(figure)


def near_duplicates(results: Results, problems: int) -> None:
    """Time and memory a problem of 60 words from a vocabulary of 5,000, every tenth of which is a copy."""
    rng = random.Random(3)
    texts = [" ".join(f"w{rng.randrange(5000)}" for _ in range(60)) for _ in range(problems)]
    tracemalloc.start()
    near, began, found = NearDuplicates(Fraction("0.7")), time.perf_counter(), 0
    for number, text in enumerate(texts):
        same = texts[number - 1] if number % 10 == 9 else text
        found += near.find(f"p{number}", Problem("p", (Turn("user", same),), "1")) is not None
    seconds = time.perf_counter() - began
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    workload = f"{problems} problems of 60 words"
    each = 1e3 * seconds / problems
    results.add(Figure(workload, "near duplicates", "time a problem", "ms", [each]))
    print(
        f"near duplicates: {found} of {problems // 10} copies found, {each:.2f} ms and "
        f"{held / problems:.0f} bytes of Python's a problem, beside the index"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=20_000)
    parser.add_argument("--pool", type=int, default=24)
    add_option(parser)
    given = parser.parse_args()
    results = Results("bands", given.results)
    at_true_rates(results, given.problems, given.pool)
    turning(results, given.problems, given.pool)
    near_duplicates(results, given.problems)


if __name__ == "__main__":
    main()
