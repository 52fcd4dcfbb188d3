"""The outcomes of a program's tests, and the verdict on the program."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from pydantic import JsonValue

from pacore.core.grading.checkers import is_close
from pacore.core.grading.verdict import CORRECT, Verdict

OutcomeName = Literal[
    "passed", "wrong_output", "runtime_error", "timeout", "memory", "output_limit", "not_run"
]


class CaseOutcome(NamedTuple):
    """The outcome of one test.

    ``points`` are in [0, 1]: 1.0 exactly for a passed test, between 0 and 1 only from a custom checker.
    ``seconds`` is the program's CPU time. ``excerpt`` is one line for the user: where the output first
    differs, or the program's error.
    """

    outcome: OutcomeName
    points: float = 0.0
    seconds: float = 0.0
    excerpt: str = ""


NOT_RUN = CaseOutcome("not_run")


class ProgramReport(NamedTuple):
    """One outcome for every test, in the order of the tests."""

    outcomes: tuple[CaseOutcome, ...]

    @property
    def passed(self) -> int:
        return sum(one.outcome == "passed" for one in self.outcomes)

    @property
    def score(self) -> float:
        """The mean of the points; below 1.0 unless every test was passed."""
        if self.passed == len(self.outcomes):
            return 1.0
        rate = math.fsum(one.points for one in self.outcomes) / len(self.outcomes)
        return min(rate, math.nextafter(1.0, 0.0))

    def verdict(self) -> Verdict:
        """``correct``, or ``wrong`` with the score and the first test that was not passed."""
        if self.passed == len(self.outcomes):
            return CORRECT
        number, failed = next(
            (number, one)
            for number, one in enumerate(self.outcomes, start=1)
            if one.outcome != "passed"
        )
        detail = f"{self.passed} of {len(self.outcomes)} tests; test {number}: "
        detail += failed.outcome.replace("_", " ")
        detail += f": {failed.excerpt}" if failed.excerpt else ""
        return Verdict("wrong", self.score, detail)


def same_result(expected: JsonValue, found: JsonValue, tolerance: float | None = None) -> bool:
    """Whether a function returned the expected value: by Python's equality, where 1 == 1.0 == True.

    With a ``tolerance`` numbers may differ as in `is_close`. Raises RecursionError for values nested
    too deeply.
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
            return is_close(float(expected), float(found), tolerance)
        except OverflowError:
            return False
    return False
