"""Verdicts on trial: what a grading reads in every trajectory, and that it says something of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pacore.auditing.finding import Finding, Where, shown
from pacore.auditing.rows import Row
from pacore.core.grading.choose import is_by_rules, judged_by, states_version
from pacore.core.grading.extraction.extract import extract
from pacore.core.grading.programs.tests import wanted_of
from pacore.core.problem import Problem
from pacore.core.trajectory import UNFINISHED
from pacore.sandbox.grade import grader_version
from pacore.store.gradings import Grading


@dataclass(frozen=True)
class Judged:
    """One problem and replicate in one round under one grading.

    ``trajectories`` are all rows of the place, attempts in order; ``file`` is the verdicts' own.
    """

    round: int
    problem: Problem
    replicate: int
    grading: Grading
    file: str
    trajectories: Sequence[Row]
    verdicts: Sequence[Row]

    @property
    def where(self) -> Where:
        problem_id = self.problem.problem_id
        return Where(self.file, "verdicts", self.round, problem_id, self.replicate)

    @property
    def by(self) -> tuple[str, str | None] | None:
        """Spec and gold answer, None where the grading does not judge the problem."""
        return judged_by(self.grading.grader, self.grading.against, self.problem)

    def finished(self) -> dict[int, Row]:
        """What stands in each slot, where the model finished it."""
        standing = {row["slot"]: row for row in self.trajectories}
        return {
            slot: row for slot, row in standing.items() if row["finish_reason"] not in UNFINISHED
        }


def check_verdicts(here: Judged) -> Iterator[Finding]:
    """Hold the verdicts of one place against what stands there, answers read once more."""
    finished = here.finished() if here.by is not None else {}
    counted = Counter(row["slot"] for row in here.verdicts)
    for row in here.verdicts:
        where = Where.of(row, "verdicts", here.round)
        judged = finished.get(row["slot"])
        if here.by is None:
            yield Finding("verdicts", where, "is on a problem that its grading does not judge")
        elif judged is None or judged["trajectory_id"] != row["trajectory_id"]:
            stands = judged["trajectory_id"] if judged else "nothing that was finished"
            what = f"is on trajectory {shown(row['trajectory_id'])}; in its slot stands {stands}"
            yield Finding("verdicts", where, what)
        elif counted[row["slot"]] > 1:
            yield Finding("duplicates", where, f"stands here {counted[row['slot']]} times")
        else:
            yield from _read_again(here, row, judged, where)
    if here.grading.against == "gold":
        for slot in sorted(finished.keys() - counted.keys()):
            yield Finding("verdicts", here.where.at(slot=slot), "is missing")


def _read_again(here: Judged, row: Row, judged: Row, where: Where) -> Iterator[Finding]:
    """The row says of its answer what conclusion, problem and grading make of it."""
    grading = here.grading
    expected: dict[str, Any] = {"grading": grading.grading_id}
    if is_by_rules(grading.grader) and here.by is not None:
        spec, gold = here.by
        expected["grader"] = spec
        # Another version may have read another answer.
        if row["grader_version"] == grader_version(spec):
            read = None
            if judged["conclusion"] is not None:
                is_cut = judged["finish_reason"] == "length"
                read = extract(judged["conclusion"], spec, wanted_of(spec, gold), is_cut=is_cut)
            answer, method = read if read and read.text.strip() else (None, None)
            expected |= {"answer": answer, "method": method}
    for column, value in expected.items():
        if row.get(column) != value:
            what = f"{column} is {shown(row.get(column))}; read again it is {shown(value)}"
            yield Finding("verdicts", where, what)
    decided = (row["grader"], row["grader_version"])
    if not states_version(grading.grader_version, grading.grader, decided):
        what = f"grader_version is {shown(row['grader_version'])}; its grading is "
        yield Finding("verdicts", where, what + shown(grading.grader_version))
