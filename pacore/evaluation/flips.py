"""Flips: verdicts that differ between two gradings of a run, or between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from pacore.errors import BadInput, Refused
from pacore.evaluation.sharing import same_trajectories
from pacore.store.run import headline, open_run
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse


@dataclass(frozen=True, slots=True)
class TrajectoryFlip(ReportRow):
    """A current trajectory on which two gradings differ in verdict or score."""

    QUERY: ClassVar[str] = "flips/trajectories"

    round: int
    problem: str
    replicate: int
    slot: int
    before: str
    after: str
    before_score: float | None
    after_score: float | None
    before_answer: str | None
    after_answer: str | None
    gold: str | None


@dataclass(frozen=True, slots=True)
class TrajectoryFlipCount(ReportRow):
    """How many trajectories have one pair of verdicts, and how many of them changed."""

    QUERY: ClassVar[str] = "flips/trajectory_counts"

    before: str
    after: str
    trajectories: int
    changed: int

    @property
    def compared(self) -> int:
        return self.trajectories

    @property
    def shared(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class AnswerFlip(ReportRow):
    """A problem and replicate that two runs answered and whose current scores differ."""

    QUERY: ClassVar[str] = "flips/answers"

    problem: str
    replicate: int
    before: str
    after: str
    before_score: float | None
    after_score: float | None
    before_answer: str | None
    after_answer: str | None
    gold: str | None


@dataclass(frozen=True, slots=True)
class AnswerFlipCount(ReportRow):
    """How many answers have one pair of verdicts, how many changed, and how many are the same trajectory
    in both runs.
    """

    QUERY: ClassVar[str] = "flips/answer_counts"

    before: str
    after: str
    answers: int
    changed: int
    shared: int

    @property
    def compared(self) -> int:
        return self.answers


@dataclass(frozen=True, slots=True)
class KnownGrading(ReportRow):
    """One grading of a run, finished or not; number 0 is the run's own."""

    QUERY: ClassVar[str] = "flips/gradings"

    sequence: int
    grading: str
    grader: str
    grader_version: str
    against: str
    finished_at: datetime | None
    stands: bool

    def __str__(self) -> str:
        """``95f51533 (auto: math 4+mpmath-1.3.0+sympy-1.14.0)``; of the run's own ``run (auto)``."""
        by = ": ".join(part for part in (self.grader, self.grader_version) if part)
        ended = "" if self.finished_at else ", not finished"
        return f"{self.grading} ({by}{ended})"


@dataclass(frozen=True, slots=True)
class FlipQuery:
    """Which flips to read: those between two gradings of a run, or between two runs.

    ``noun`` is what has the verdicts; ``sides`` say in a line what is before and what is after.
    """

    flips: type[TrajectoryFlip] | type[AnswerFlip]
    counts: type[TrajectoryFlipCount] | type[AnswerFlipCount]
    parameters: Mapping[str, str]
    noun: str
    title: str
    sides: tuple[str, str]


def compare_gradings(
    warehouse: Warehouse, run_id: str, before: str | None, after: str | None
) -> FlipQuery:
    """Two gradings of a run; without names, the two last finished that compare with gold answers.

    A grading is named by its id or the beginning of it, the run's own by ``run``. Raises BadInput
    for a name that is none or several, Refused where there is one grading alone.
    """
    run = open_run(warehouse.store, run_id)
    known = warehouse.read(KnownGrading, run_id=run_id)
    finished = [row for row in known if row.finished_at and row.against == "gold"]
    given = {
        "from": _named(known, "from", before) if before is not None else None,
        "to": _named(known, "to", after) if after is not None else None,
    }
    later = given["to"] or _last(finished, other_than=given["from"])
    earlier = given["from"] or _last(
        [row for row in finished if row.sequence < later.sequence] or finished,
        other_than=later,
    )
    return FlipQuery(
        TrajectoryFlip,
        TrajectoryFlipCount,
        {"run_id": run_id, "before": earlier.grading, "after": later.grading},
        "trajectories",
        headline(run),
        (str(earlier), str(later)),
    )


def _last(rows: Sequence[KnownGrading], other_than: KnownGrading | None) -> KnownGrading:
    found = [row for row in rows if row != other_than]
    if not found:
        raise Refused("there is one grading only; pacore grade makes another")
    return found[-1]


def _named(rows: Sequence[KnownGrading], flag: str, name: str) -> KnownGrading:
    """The grading of that name. Raises BadInput naming those there are."""
    found = [row for row in rows if row.grading == name] or [
        row for row in rows if name and row.grading.startswith(name)
    ]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(map(str, found or rows))
    what = "may be any of" if found else "is no grading of the run; there are"
    raise BadInput(f"--{flag} {name}: {what} {listed}")


def compare_runs(warehouse: Warehouse, before: str, after: str) -> FlipQuery:
    """The answers of two runs to problems both have, by their current scores.

    Raises Refused where there is not one such answer, and where all are the same trajectories.
    """
    runs = [open_run(warehouse.store, run_id) for run_id in (before, after)]
    compared = FlipQuery(
        AnswerFlip,
        AnswerFlipCount,
        {"before": before, "after": after},
        "answers",
        f"runs {before} and {after}",
        (headline(runs[0]), headline(runs[1])),
    )
    counts = warehouse.read(AnswerFlipCount, **compared.parameters)
    answers = sum(row.answers for row in counts)
    if not answers:
        raise Refused(
            f"runs {before} and {after} have no problem in common that both answered and whose gold "
            "answer is the same"
        )
    if sum(row.shared for row in counts) == answers:
        raise Refused(same_trajectories(after, before, answers))
    return compared
