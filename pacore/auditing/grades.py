"""Scores and verdicts on trial: answers graded once more, where this is still the same grader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.auditing.finding import Finding, Severity, Where, shown
from pacore.auditing.rows import Row
from pacore.core.grading.spec import parse_spec
from pacore.core.grading.verdict import Verdict
from pacore.errors import BadInput, PacoreError
from pacore.sandbox.grade import answer_keys, grade_answers, grader_version

GRADING_TIMEOUT_SECONDS = 10.0

PROGRAMS = 8
"""Different programs of a shard and round that are run again: each may take as long as its tests."""

Graded = tuple[Row, str]
"""A row of scores or verdicts, with its problem's gold answer."""


def check_grades(rows: Sequence[Graded], table: str, round_: int) -> Iterator[Finding]:
    """Hold each score or verdict against the verdict on its answer.

    A grading that broke off says nothing of another, and neither does another grader's version.
    Of programs those of the smallest trajectory ids are run, and what ran out of time somewhere is
    suspicious, not wrong.
    """
    by_kind: dict[bool, list[Graded]] = {False: [], True: []}
    for row, gold in rows:
        by_kind[_is_program(row)].append((row, gold))
    for some in (by_kind[False], _sampled(by_kind[True])):
        try:
            yield from _graded_again(some, table, round_)
        except PacoreError as fault:
            where = Where.of(some[0][0], table, round_).at(
                problem_id=None, replicate=None, slot=None
            )
            what = f"answers could not be graded again: {fault}"
            yield Finding("grades", where, what, "warning")


def _is_program(row: Row) -> bool:
    return str(row["grader"]).partition(":")[0] == "code"


def _sampled(rows: Sequence[Graded]) -> list[Graded]:
    in_order = sorted(rows, key=lambda graded: graded[0].get("trajectory_id") or "")
    chosen = list(dict.fromkeys((row.get("answer"), gold) for row, gold in in_order))[:PROGRAMS]
    return [(row, gold) for row, gold in rows if (row.get("answer"), gold) in chosen]


def _graded_again(rows: Sequence[Graded], table: str, round_: int) -> Iterator[Finding]:
    same = [
        (row, gold) for row, gold in rows if row["grader_version"] == _version_here(row["grader"])
    ]
    items = [(row["grader"], gold, row.get("answer")) for row, gold in same]
    verdicts = grade_answers(items, GRADING_TIMEOUT_SECONDS) if items else []
    for (row, _), verdict in zip(same, verdicts, strict=True):
        if "timeout" in (row["verdict"], verdict.verdict):
            continue
        if (row["verdict"], row.get("score")) != (verdict.verdict, verdict.score):
            said = f"{row['verdict']} {row.get('score')}"
            what = f"is {said}; graded again it is {verdict.verdict} {verdict.score}"
            where = Where.of(row, table, round_)
            yield Finding("grades", where, what, _severity(row, verdict))
    yield from _keys_again([row for row, _ in same if row.get("answer_key") is not None], round_)


def _keys_again(rows: Sequence[Row], round_: int) -> Iterator[Finding]:
    """The equivalence class of each answer is the one its grader puts it in."""
    asked = [(row["grader"], row["answer"]) for row in rows if row.get("answer") is not None]
    keys = dict(zip(asked, answer_keys(asked, GRADING_TIMEOUT_SECONDS), strict=True))
    for row in rows:
        expected = keys.get((row["grader"], row.get("answer")))
        if row["answer_key"] != expected:
            what = f"answer_key is {shown(row['answer_key'])}; the answer has {shown(expected)}"
            yield Finding("grades", Where.of(row, "verdicts", round_), what)


def _version_here(spec: str) -> str | None:
    """The version of a grader in this installation; None for one it does not have."""
    try:
        return None if parse_spec(spec).name == "judge" else grader_version(spec)
    except BadInput:
        return None


def _severity(row: Row, verdict: Verdict) -> Severity:
    """A busy machine may fail a program that another passes; scores do not say what failed it."""
    said = (row.get("detail", "timeout"), verdict.detail)
    ran_out = any("timeout" in (detail or "") for detail in said)
    return "warning" if _is_program(row) and ran_out else "error"
