"""How often intervals hold the truth: runs are made up with a known one, and the marts asked.

    python -m benchmarks.coverage [--runs 2000] [--bootstraps 400]

Each problem has a chance of being solved, drawn from a beta distribution; each replicate solves it or
not. `population` asks whether the interval over problems holds the mean of that distribution, `these`
whether the other holds the mean chance of the problems at hand. `naive` is what one gets by taking all
answers for independent (Wilson's interval on their number). The published intervals are computed by the
SQL of `mart_accuracy` itself, those of votes by `pacore.evaluation.statistics`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from scipy import stats

from pacore.evaluation.statistics.bootstrap import Pool, majority_of, mean_of, two_level
from pacore.warehouse.relations import sql

AT_A_TIME = 200
SEED = 20_000


class Setting(NamedTuple):
    """Problems, replicates, and the beta distribution of the problems' chances."""

    problems: int
    replicates: int
    a: float
    b: float

    @property
    def name(self) -> str:
        mean = self.a / (self.a + self.b)
        return f"{self.problems} x {self.replicates}, mean {mean:.2f}, beta({self.a:g}, {self.b:g})"


SETTINGS = (
    Setting(30, 64, 1.0, 1.0),
    Setting(30, 64, 4.0, 1.0),
    Setting(30, 8, 0.5, 0.5),
    Setting(100, 8, 1.0, 1.0),
    Setting(100, 8, 0.3, 2.7),
    Setting(100, 1, 1.0, 1.0),
    Setting(30, 1, 1.0, 1.0),
    Setting(30, 1, 0.5, 4.5),
    Setting(500, 1, 1.0, 3.0),
)


class Coverage(NamedTuple):
    """Shares of made-up runs whose interval held the truth; None where there is no interval."""

    population: float
    these: float | None
    naive: float


def coverage(setting: Setting, runs: int, seed: int = SEED) -> Coverage:
    """Make up ``runs`` runs and ask the mart for the intervals of each."""
    random = np.random.default_rng([seed, *map(int, setting[:2])])
    truth = setting.a / (setting.a + setting.b)
    held = {"population": 0, "these": 0, "naive": 0}
    asked = {"population": 0, "these": 0, "naive": 0}
    for start in range(0, runs, AT_A_TIME):
        count = min(AT_A_TIME, runs - start)
        chances = random.beta(setting.a, setting.b, size=(count, setting.problems))
        shape = (count, setting.problems, setting.replicates)
        solved = random.random(shape) < chances[:, :, None]
        for run, row in enumerate(_intervals(solved)):
            mine = chances[run].mean()
            for question, wanted in (("population", truth), ("these", mine)):
                low, high = row[f"{question}_low"], row[f"{question}_high"]
                if low is not None:
                    asked[question] += 1
                    held[question] += low <= wanted <= high
            low, high = _wilson(float(solved[run].mean()), solved[run].size)
            asked["naive"] += 1
            held["naive"] += low <= truth <= high
    these = held["these"] / asked["these"] if asked["these"] else None
    return Coverage(held["population"] / asked["population"], these, held["naive"] / asked["naive"])


def _intervals(solved: np.ndarray[Any, Any]) -> Iterator[dict[str, Any]]:
    """What `mart_accuracy` says of runs whose answers are these."""
    runs, problems, replicates = solved.shape
    places = np.indices(solved.shape).reshape(3, -1)
    columns = {
        "run_id": pa.array(places[0]),
        "problem_id": pa.array(places[1]),
        "replicate": pa.array(places[2]),
        "score": pa.array(solved.ravel().astype(float)),
    }
    with duckdb.connect() as connection:
        connection.register("made", pa.table(columns))
        connection.execute(
            "CREATE TABLE last_verdicts AS SELECT *, if(score = 1, 'correct', 'wrong') AS verdict FROM made"
        )
        connection.execute(
            "CREATE VIEW answers AS SELECT run_id, problem_id, replicate, 0 AS trajectory_id "
            "FROM last_verdicts"
        )
        connection.execute(
            "CREATE VIEW outcomes AS SELECT run_id, problem_id, replicate, 'answered' AS status, "
            "'answered' AS outcome, true AS is_evidence FROM last_verdicts"
        )
        connection.execute(
            "CREATE VIEW runs AS SELECT DISTINCT run_id, 1 AS rounds, NULL::INTEGER AS pool, "
            f"{problems} AS problems, {replicates} AS replicates FROM last_verdicts"
        )
        connection.execute(
            "CREATE VIEW trajectories AS SELECT *, 1 AS round, 0 AS trajectory_id, "
            "'present' AS conclusion_status FROM last_verdicts"
        )
        connection.execute("SET VARIABLE fewest_rounds = 1")
        connection.execute(f"CREATE VIEW student_t AS {sql('views/student_t')}")
        cursor = connection.execute(sql("marts/accuracy"))
        names = [column[0] for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert len(found) == runs
    return iter(sorted(found, key=lambda row: int(row["run_id"])))


def _wilson(score: float, count: int) -> tuple[float, float]:
    found = stats.binomtest(round(score * count), count).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


class VoteCoverage(NamedTuple):
    """Shares of made-up pools whose bootstrap interval of maj@k held the truth."""

    population: float
    these: float


def vote_coverage(problems: int, members: int, k: int, runs: int) -> VoteCoverage:
    """maj@k of pools with three answers each, of which the truth is known by counting.

    The right answer has a chance p, uniform over problems, and two wrong ones share the rest.
    """
    random = np.random.default_rng([SEED, problems, members, k])
    grid = np.linspace(0, 1, 401)
    exact = np.array([_truth(p, k) for p in grid])
    truth = float(np.trapezoid(exact, grid))
    held = [0, 0]
    for run in range(runs):
        chances = random.random(problems)
        mine = float(np.interp(chances, grid, exact).mean())
        pools, values = [], []
        for p in chances:
            drawn = random.choice(3, size=members, p=[p, (1 - p) / 2, (1 - p) / 2])
            pools.append(Pool((drawn == 0).astype(float).tolist(), [str(c) for c in drawn]))
            values.append(_expected(np.bincount(drawn, minlength=3), k))
        estimator = mean_of if k == 1 else majority_of(k)
        found = two_level(pools, estimator, values, f"run {run}", 600 * problems)
        for index, (low, high, wanted) in enumerate(
            ((found.low, found.high, truth), (found.these_low, found.these_high, mine))
        ):
            assert low is not None
            assert high is not None
            held[index] += low <= wanted <= high
    return VoteCoverage(held[0] / runs, held[1] / runs)


def _splits(k: int) -> Iterator[tuple[int, int, int]]:
    for first in range(k + 1):
        for second in range(k - first + 1):
            yield first, second, k - first - second


def _won(votes: tuple[int, int, int]) -> float:
    most = max(votes)
    return (votes[0] == most) / sum(count == most for count in votes)


def _truth(p: float, k: int) -> float:
    """Chance that the right answer wins a vote of k fresh samples."""
    return sum(
        _won(votes)
        * math.factorial(k)
        / math.prod(map(math.factorial, votes))
        * p ** votes[0]
        * ((1 - p) / 2) ** (votes[1] + votes[2])
        for votes in _splits(k)
    )


def _expected(counts: np.ndarray[Any, Any], k: int) -> float:
    """maj@k of a pool with these counts, over all subsets."""
    ways = sum(
        _won(votes) * math.prod(math.comb(int(n), v) for n, v in zip(counts, votes, strict=True))
        for votes in _splits(k)
    )
    return ways / math.comb(int(counts.sum()), k)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--bootstraps", type=int, default=400)
    asked = parser.parse_args()
    print(f"coverage of nominal 95 % intervals, {asked.runs:,} made-up runs each\n")
    print(f"{'problems x replicates':44} {'population':>10} {'these':>8} {'naive':>8}")
    for setting in SETTINGS:
        found = coverage(setting, asked.runs)
        these = "-" if found.these is None else f"{100 * found.these:.1f} %"
        print(
            f"{setting.name:44} {100 * found.population:8.1f} % {these:>8} "
            f"{100 * found.naive:6.1f} %",
            flush=True,
        )
    print(f"\nmaj@k by the two-level bootstrap, {asked.bootstraps:,} made-up pools each\n")
    for problems, members, k in ((30, 16, 1), (30, 16, 4), (30, 64, 4), (30, 64, 16)):
        votes = vote_coverage(problems, members, k, asked.bootstraps)
        print(
            f"{f'{problems} x pool of {members}, maj@{k}':44} {100 * votes.population:8.1f} % "
            f"{100 * votes.these:6.1f} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
