"""The accuracy of a run as records: totals, why answers are missing, and the accuracy by each grading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pacore.warehouse.report_rows import ReportRow


@dataclass(frozen=True, slots=True)
class Accuracy(ReportRow):
    """A run's row of `mart_accuracy`: counts of answers, pass@1 with its intervals, and rates."""

    run_id: str
    problems: int
    replicates: int
    planned: int
    answers: int
    scored: int
    lost: int
    pending: int
    missing: int
    ungraded: int
    accuracy: float | None
    lowest_accuracy: float | None
    highest_accuracy: float | None
    these_low: float | None
    these_high: float | None
    population_low: float | None
    population_high: float | None
    missing_rate: float | None
    unanswered_rate: float | None
    truncated_rate: float | None
    empty_rate: float | None
    unparsed_rate: float | None
    no_answer_rate: float | None
    failed_rate: float | None
    timeout_rate: float | None
    crash_rate: float | None
    ungraded_rate: float | None


@dataclass(frozen=True, slots=True)
class Totals(Accuracy):
    """The accuracy of a run and the tokens it took; ``uncounted`` trajectories have no token counts.
    ``agreed`` answers are those of messages that agreed, so that no round followed.
    """

    QUERY: ClassVar[str] = "run/totals"

    mean_effective_tokens: float | None
    effective_tokens: int | None
    marginal_tokens: int
    uncounted: int
    agreed: int


@dataclass(frozen=True, slots=True)
class Missing(ReportRow):
    """How many planned answers are missing for one reason; the reason of pending ones is None."""

    QUERY: ClassVar[str] = "run/missing"

    outcome: str
    finish_reason: str | None
    error: str | None
    answers: int


@dataclass(frozen=True, slots=True)
class GradingAccuracy(ReportRow):
    """One finished grading of a run against the gold answers, and the accuracy by it.

    ``stands`` marks the current grading, whose verdicts count.
    """

    QUERY: ClassVar[str] = "grading/gradings"

    sequence: int
    grading: str
    grader: str
    grader_version: str
    stands: bool
    accuracy: float | None
    scored: int
    planned: int


def current_accuracy(gradings: Sequence[GradingAccuracy]) -> GradingAccuracy:
    """The accuracy of a run by its current grading."""
    (found,) = (one for one in gradings if one.stands)
    return found
