"""What the evidence of runs is worth: whether it is complete, whether it was observed, and what
difference it has the power to show.

A number can look well while what it rests on is missing. Every rule of ``sql/evidence`` counts what is
lacking of one kind of evidence, and of how much; this says in three words what follows from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pacore.evaluation.accuracy import Accuracy
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

Part = Literal["complete", "observed"]

NORMAL_REACH, REACH_BY_DF, LEAST_REACH = 0.4294, 0.36, 0.108
"""Of Student's t the 80 % quantile as a share of the 97.5 % one: within 0.003 of
NORMAL_REACH - REACH_BY_DF / df, and LEAST_REACH at one degree of freedom.

scipy has both, and takes a second to import.
"""


@dataclass(frozen=True, slots=True)
class RuleRow(ReportRow):
    """A rule's row of `mart_evidence`: ``lacking`` of ``total`` of a ``unit`` lack the evidence."""

    QUERY: ClassVar[str] = "evidence/rules"

    run_id: str
    part: str
    rule: str
    version: int
    status: str
    lacking: int
    total: int
    most: int | None
    allowed: float | None
    unit: str
    lack: str
    says: str

    @property
    def is_missing(self) -> bool:
        """Whether the run is refused for it: evidence is lacking, or nothing is there to look at."""
        return self.status in ("lacking", "unobserved")

    def __str__(self) -> str:
        if self.status == "unobserved":
            return f"{self.rule}: no {self.unit} to see it in"
        return f"{self.lack} {self.lacking:,} of {self.total:,} {self.unit}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The verdict on the evidence of one run or several.

    ``detectable`` is the least true difference of two runs that so many problems and replicates reveal 4
    times in 5, in [0, 1]; None where nothing is known of it, and 1 where no difference is revealed.
    """

    complete: bool
    observed: bool
    powered: bool
    detectable: float | None
    rules: Sequence[RuleRow]

    @classmethod
    def of(cls, rules: Sequence[RuleRow], detectable: float | None) -> Evidence:
        """The verdict that follows from the rules of some runs."""
        missing = {row.part for row in rules if row.is_missing}
        is_powered = detectable is not None and detectable < 1
        return cls(
            "complete" not in missing, "observed" not in missing, is_powered, detectable, rules
        )

    def missing(self, part: Part | None = None) -> Iterator[RuleRow]:
        """The rules that a run is refused for, of one part or of both."""
        return (row for row in self.rules if row.is_missing and part in (None, row.part))

    @property
    def stated(self) -> Iterator[RuleRow]:
        """The rules whose lack is a fact to know, and no reason to refuse a run."""
        return (row for row in self.rules if row.status == "stated")


def evidence_of(warehouse: Warehouse, run_ids: Sequence[str], detectable: float | None) -> Evidence:
    """The verdict on the evidence of runs, which the warehouse is open over."""
    return Evidence.of(warehouse.read(RuleRow, run_ids=list(run_ids)), detectable)


def detectable_beside(total: Accuracy) -> float | None:
    """The least true difference that a comparison with another run of so many problems and replicates would
    reveal 4 times in 5, were the two as far apart by chance as runs of other problems are.

    Problems that are easy or hard for both make it smaller: of two runs `paired` knows it from their
    differences. None below two problems with a score.
    """
    low, high = total.population_low, total.population_high
    if low is None or high is None or total.problems < 2:
        return None
    reach = 1 + max(LEAST_REACH, NORMAL_REACH - REACH_BY_DF / (total.problems - 1))
    return min(1.0, math.sqrt(2) * (high - low) / 2 * reach)
