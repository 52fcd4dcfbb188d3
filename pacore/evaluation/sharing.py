"""What two runs have in common: answers and trajectories that are the same in both.

Ids follow from content, so that a run finds trajectories of another run with the same prompts and recipe in
the store. Comparing runs of the same trajectories shows nothing, and comparing runs that share many shows
less than their number of answers suggests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pacore.errors import Refused
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse


@dataclass(frozen=True, slots=True)
class SharedAnswers(ReportRow):
    """Answers with a score to one problem in each of two runs; ``shared`` of each are the other's too."""

    QUERY: ClassVar[str] = "comparison/shared_answers"

    problem_id: str
    first_answers: int
    second_answers: int
    shared: int

    @property
    def is_same(self) -> bool:
        """Whether both runs have the very same answers."""
        return self.shared == self.first_answers == self.second_answers


@dataclass(frozen=True, slots=True)
class SharedTrajectories(ReportRow):
    """The trajectories of a round in each of two runs, and their tokens; some are the other's too."""

    QUERY: ClassVar[str] = "comparison/shared_trajectories"

    round: int
    first: int
    first_shared: int
    first_tokens: int
    first_shared_tokens: int
    second: int
    second_shared: int
    second_tokens: int
    second_shared_tokens: int


@dataclass(frozen=True, slots=True)
class Sharing:
    """What two runs share, on the problems that are compared.

    ``answers`` of each run have a score, and ``shared`` of each are decided by the same trajectories as
    one of the other. ``rounds`` has a record for each round.
    """

    answers: tuple[int, int]
    shared: int
    rounds: Sequence[SharedTrajectories]

    @property
    def is_any(self) -> bool:
        """Whether the runs share a trajectory."""
        return any(row.first_shared for row in self.rounds)


def sharing_of(
    warehouse: Warehouse, a: str, b: str, problem_ids: Sequence[str]
) -> tuple[Sharing, list[bool]]:
    """What runs ``a`` and ``b`` share on problems that both have scores for, and for each of these
    problems whether all its answers are the same trajectories in both.

    Raises Refused where all answers of one of them are answers of the other.
    """
    wanted = set(problem_ids)
    found = [row for row in warehouse.read(SharedAnswers, a=a, b=b) if row.problem_id in wanted]
    first, second = (
        sum(row.first_answers for row in found),
        sum(row.second_answers for row in found),
    )
    shared = sum(row.shared for row in found)
    if shared in (first, second):
        part, whole = (b, a) if shared == second else (a, b)
        raise Refused(same_trajectories(part, whole, shared))
    rounds = warehouse.read(SharedTrajectories, a=a, b=b, problem_ids=sorted(wanted))
    same = {row.problem_id: row.is_same for row in found}
    return Sharing((first, second), shared, rounds), [same[name] for name in problem_ids]


def same_trajectories(part: str, whole: str, answers: int) -> str:
    """Why two runs are not compared, in a line: all answers of ``part`` are answers of ``whole``."""
    return (
        f"runs {whole} and {part} are the same trajectories: all {answers:,} answers of {part} that could "
        f"be compared are answers of {whole} too; a run with another --seed-root has answers of its own"
    )
