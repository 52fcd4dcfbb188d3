"""False alarms and detection of the nightly gate, on simulated nights.

    python -m benchmarks.nights --problems 30 100 300 --replicates 4 --years 20

A model solves each problem with a chance of its own, drawn from a Beta distribution with most near 0 and 1,
as reasoning models do. Each night every problem is sampled anew; the baseline is one such night, so that
its luck stays for a whole year. Printed are the share of nights that alarm where nothing changes, with the
worst year; in how many years a loss of the size that the gate states is found within three nights, right
after the baseline and two months later; and a drift of one point a night within ten.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator

import numpy as np

from benchmarks.results import Figure, Results, add_option
from pacore.evaluation.statistics.nightly import (
    WINDOW,
    Measures,
    detectable,
    night_tests,
    old_of,
)

NIGHTS_A_YEAR = 365

LATE = 60
"""Nights without a loss before one."""

Chances = np.ndarray[tuple[int], np.dtype[np.float64]]


class Simulated:
    """Nights of one model on one problem set."""

    def __init__(self, problems: int, replicates: int, seed: int) -> None:
        self._random = np.random.default_rng([problems, replicates, seed])
        self._chances: Chances = self._random.beta(0.5, 0.4, problems)
        self._replicates = replicates
        self._names = [f"p{number}" for number in range(problems)]
        self.baseline = self.night()

    def night(self, loss: float = 0.0) -> Measures:
        """The measures of a night on which accuracy is lower by ``loss`` on average.

        What is lost is lost on problems that can be solved, in the share that this takes.
        """
        kept = 1 - loss / float(self._chances.mean())
        right = self._random.binomial(self._replicates, self._chances * max(kept, 0.0))
        silent = self._random.binomial(self._replicates, 0.02, len(self._names))
        return {
            "accuracy": dict(zip(self._names, right / self._replicates, strict=True)),
            "answered": dict(zip(self._names, 1 - silent / self._replicates, strict=True)),
        }

    def alarms(self, losses: Iterator[float] | list[float]) -> Iterator[bool]:
        """Whether each of some nights alarms."""
        past: list[tuple[Measures, bool]] = []
        for loss in losses:
            nights = [*(measures for measures, _ in past[1 - WINDOW :]), self.night(loss)]
            old = [measures for measures, _ in old_of(past, lambda night: not night[1])]
            is_alarm = any(test.is_alarm for test in night_tests(self.baseline, nights, old))
            past.append((nights[-1], is_alarm))
            yield is_alarm

    @property
    def stated(self) -> float:
        """The loss that the gate says it finds."""
        found = detectable(self.baseline, self.night(), "accuracy", pools=1)
        assert found is not None
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", nargs="+", type=int, default=[30, 100, 300])
    parser.add_argument("--replicates", type=int, default=4)
    parser.add_argument("--years", type=int, default=20)
    add_option(parser)
    given = parser.parse_args()
    results = Results("nights", given.results)
    print(
        f"{'problems':>9} {'stated':>8} {'false alarms':>13} {'worst year':>11} "
        f"{'loss found in 3':>16} {'late':>11} {'drift found in 10':>18}"
    )
    for problems in given.problems:
        models = [Simulated(problems, given.replicates, seed) for seed in range(given.years)]
        stated = [model.stated for model in models]
        rates = [statistics.fmean(model.alarms([0.0] * NIGHTS_A_YEAR)) for model in models]
        many = [Simulated(problems, given.replicates, 1_000 + seed) for seed in range(200)]
        found = [any(model.alarms([model.stated] * WINDOW)) for model in many]
        late = [
            any(list(model.alarms([0.0] * LATE + [model.stated] * WINDOW))[LATE:])
            for model in many[:50]
        ]
        drifted = [any(model.alarms([night / 100 for night in range(1, 11)])) for model in many]
        print(
            f"{problems:>9} {100 * statistics.median(stated):>7.1f}p {statistics.fmean(rates):>13.1%} "
            f"{max(rates):>11.1%} {statistics.fmean(found):>16.1%} {statistics.fmean(late):>11.1%} "
            f"{statistics.fmean(drifted):>18.1%}",
            flush=True,
        )
        workload = f"{problems} problems, {given.replicates} replicates"
        for metric, values in (
            ("false alarms", rates),
            ("stated loss", stated),
        ):
            results.add(Figure(workload=workload, subject="nightly gate", metric=metric,
                               unit="share", values=values))  # fmt: skip
        for metric, hits in (
            ("loss found in 3 nights", found),
            ("found after two months", late),
            ("drift found in 10", drifted),
        ):
            results.add(Figure(workload=workload, subject="nightly gate", metric=metric,
                               unit="share", values=[statistics.fmean(hits)], better="higher"))  # fmt: skip


if __name__ == "__main__":
    main()
