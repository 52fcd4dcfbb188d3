"""Scores on trial: answers graded once more, where this is still the grader that graded them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.auditing.finding import Finding, Where
from pacore.auditing.rows import Row
from pacore.errors import BadInput, PacoreError
from pacore.grader import parse_spec
from pacore.sandbox import grade_answers, grader_version

GRADING_TIMEOUT_SECONDS = 10.0


def check_grades(rows: Sequence[tuple[Row, str]], round_: int) -> Iterator[Finding]:
    """Hold each score, given with its problem's gold answer, against the verdict on its answer.

    A grading that broke off says nothing of another, and neither does another grader's version.
    """
    same = [
        (row, gold) for row, gold in rows if row["grader_version"] == _version_here(row["grader"])
    ]
    items = [(row["grader"], gold, row.get("answer")) for row, gold in same]
    if not items:
        return
    try:
        verdicts = grade_answers(items, GRADING_TIMEOUT_SECONDS)
    except PacoreError as fault:
        where = Where.of(same[0][0], "scores", round_).at(problem_id=None, replicate=None)
        yield Finding("grades", where, f"answers could not be graded again: {fault}", "warning")
        return
    for (row, _), verdict in zip(same, verdicts, strict=True):
        if "timeout" in (row["verdict"], verdict.verdict):
            continue
        if (row["verdict"], row.get("score")) != (verdict.verdict, verdict.score):
            said = f"{row['verdict']} {row.get('score')}"
            what = f"is {said}; graded again it is {verdict.verdict} {verdict.score}"
            yield Finding("grades", Where.of(row, "scores", round_), what)


def _version_here(spec: str) -> str | None:
    """The version of a grader in this installation; None for one it does not have."""
    try:
        return None if parse_spec(spec).name == "judge" else grader_version(spec)
    except BadInput:
        return None
