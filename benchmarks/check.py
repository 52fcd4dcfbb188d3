"""Whether the last measured ratios are as good as those the repository expects, loosely.

    python -m benchmarks.check --results build/bench/results

Each ratio of `expected.toml` may be worse than expected by its factor: larger where less is better,
smaller where more is. Exit code 1, and a line for each ratio that is worse, or that a benchmark with
figures did not measure. Benchmarks without any figures are named and not counted.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Result, add_option, newest

EXPECTED = Path(__file__).with_name("expected.toml")


@dataclass(frozen=True, slots=True)
class Expected:
    """A ratio of the file, and by which factor it may be worse."""

    benchmark: str
    workload: str
    subject: str
    metric: str
    ratio_to: str
    ratio: float
    factor: float

    @property
    def name(self) -> tuple[str, str, str, str, str]:
        return self.benchmark, self.workload, self.subject, self.metric, self.ratio_to

    def bound(self, better: str) -> float:
        """The worst ratio that is allowed."""
        return self.ratio * self.factor if better == "lower" else self.ratio / self.factor


def read_expected(file: Path) -> list[Expected]:
    """The ratios of a file."""
    return [Expected(**entry) for entry in tomllib.loads(file.read_text())["ratio"]]


def faults(expected: Sequence[Expected], results: Sequence[Result]) -> Iterator[str]:
    """What is worse than expected or was not measured, a line each."""
    found = {one.name: one for one in results}
    measured = {one.benchmark for one in results}
    for one in expected:
        said = f"{one.benchmark}, {one.workload}: {one.subject}, {one.metric} / {one.ratio_to}"
        result = found.get(one.name)
        if result is None or result.ratio is None:
            if one.benchmark in measured:
                yield f"{said}: not measured"
            continue
        bound = one.bound(result.better)
        is_worse = result.ratio > bound if result.better == "lower" else result.ratio < bound
        if is_worse:
            beyond = "above" if result.better == "lower" else "below"
            yield (
                f"{said}: {result.ratio:.3g} is {beyond} {bound:.3g}"
                f" (expected {one.ratio:g}, factor {one.factor:g})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expected", type=Path, default=EXPECTED)
    add_option(parser)
    given = parser.parse_args()
    expected, results = read_expected(given.expected), newest(given.results)
    if not results:
        raise SystemExit(f"{given.results}: has no figures; make bench measures them")
    found = list(faults(expected, results))
    missing = {one.benchmark for one in expected} - {one.benchmark for one in results}
    for line in found:
        print(line)
    if missing:
        print(f"not measured: {', '.join(sorted(missing))}")
    compared = sum(one.benchmark not in missing for one in expected)
    print(f"{compared - len(found)} of {compared} ratios are as expected or better")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
