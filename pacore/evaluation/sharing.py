"""What two runs have in common: answers and trajectories that are the same in both.

Identity goes by content, so that a run that asks for what another asked for finds it. Comparing such runs
says nothing, and comparing runs that share much says less than their numbers seem to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pacore.errors import Refused
from pacore.warehouse.views import Warehouse

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Sharing:
    """What two runs share, on the problems that are compared.

    ``answers`` of each run have a score, and ``shared`` of each are decided by the same trajectories as
    one of the other. ``rounds`` has a row for each round, with the trajectories of each run in it, their
    tokens, and how many of both are the other's too. ``is_same`` says by problem id whether both runs
    have the very same answers.
    """

    answers: tuple[int, int]
    shared: int
    rounds: Sequence[Row]
    is_same: Mapping[str, bool]

    @property
    def is_any(self) -> bool:
        """Whether the runs share a trajectory."""
        return any(row["first_shared"] for row in self.rounds)


def sharing_of(warehouse: Warehouse, a: str, b: str, problem_ids: Sequence[str]) -> Sharing:
    """What runs ``a`` and ``b`` share on problems that both have scores for.

    Raises Refused where all answers of one of them are answers of the other.
    """
    wanted = set(problem_ids)
    found = [
        row
        for row in warehouse.rows("reports/shared_answers", a=a, b=b)
        if row["problem_id"] in wanted
    ]
    first, second, shared = (
        sum(row[name] for row in found) for name in ("first_answers", "second_answers", "shared")
    )
    if shared in (first, second):
        part, whole = (b, a) if shared == second else (a, b)
        raise Refused(same_trajectories(part, whole, shared))
    rounds = warehouse.rows("reports/shared_trajectories", a=a, b=b, problem_ids=sorted(wanted))
    same = {
        row["problem_id"]: row["shared"] == row["first_answers"] == row["second_answers"]
        for row in found
    }
    return Sharing((first, second), shared, rounds, same)


def same_trajectories(part: str, whole: str, answers: int) -> str:
    """Why two runs are not compared, in a line: all answers of ``part`` are answers of ``whole``."""
    return (
        f"runs {whole} and {part} are the same trajectories: all {answers:,} answers of {part} that could "
        f"be compared are answers of {whole} too; a run with another --seed-root has answers of its own"
    )
