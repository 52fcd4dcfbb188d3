"""What came of the tests of a program, and the verdict it makes."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from pydantic import JsonValue

from pacore.core.grading.checkers import close
from pacore.core.grading.verdict import CORRECT, Verdict

OutcomeName = Literal[
    "passed", "wrong_output", "runtime_error", "timeout", "memory", "output_limit", "not_run"
]


class Outcome(NamedTuple):
    """What came of one test.

    ``points`` in [0, 1], 1.0 exactly where it was passed; between the two only where a checker of
    the problem's own says so. ``seconds`` of CPU that the program took. ``excerpt`` is a line for a
    person: where the output first differs, or what the program died of.
    """

    outcome: OutcomeName
    points: float = 0.0
    seconds: float = 0.0
    excerpt: str = ""


NOT_RUN = Outcome("not_run")


class ProgramReport(NamedTuple):
    """One outcome for every test, in the order of the tests."""

    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> int:
        return sum(one.outcome == "passed" for one in self.outcomes)

    @property
    def score(self) -> float:
        """The pass rate; below 1.0 unless every test was passed."""
        if self.passed == len(self.outcomes):
            return 1.0
        rate = math.fsum(one.points for one in self.outcomes) / len(self.outcomes)
        return min(rate, math.nextafter(1.0, 0.0))

    def verdict(self) -> Verdict:
        """``correct``, or ``wrong`` with the pass rate and the first test that was not passed."""
        if self.passed == len(self.outcomes):
            return CORRECT
        number, failed = next(
            (number, one)
            for number, one in enumerate(self.outcomes, start=1)
            if one.outcome != "passed"
        )
        said = f"{self.passed} of {len(self.outcomes)} tests; test {number}: "
        said += failed.outcome.replace("_", " ")
        return Verdict("wrong", self.score, f"{said}: {failed.excerpt}" if failed.excerpt else said)


def same_result(expected: JsonValue, found: JsonValue, tolerance: float | None = None) -> bool:
    """Whether a function returned what it should: equal as Python has it, so that 1 is 1.0 is True.

    With a ``tolerance`` numbers may be that far apart, as `close` has it. Raises RecursionError for
    values nested too deep to compare.
    """
    if tolerance is None or expected == found:
        return expected == found
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(
            same_result(one, other, tolerance) for one, other in zip(expected, found, strict=True)
        )
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(
            same_result(value, found[key], tolerance) for key, value in expected.items()
        )
    if isinstance(expected, int | float) and isinstance(found, int | float):
        try:
            return close(float(expected), float(found), tolerance)
        except OverflowError:
            return False
    return False
