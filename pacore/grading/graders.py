"""Who grades: one grader for all problems, or for each the one it calls for."""

from __future__ import annotations

from collections.abc import Mapping

from pacore.grader import canonical_spec, parse_spec
from pacore.grading.rules import gold_answer, run_grading
from pacore.problem import Problem

AUTO = "auto"
"""Takes for each problem the grader it calls for, but for a judge, who is asked by name."""


def canonical_grader(grader: str) -> str:
    """``auto``, or the canonical spec. Raises BadInput for what is neither."""
    return AUTO if grader == AUTO else canonical_spec(grader)


def is_by_rules(grader: str) -> bool:
    """Whether verdicts follow from answer and gold answer alone: any grader but a judge."""
    return grader == AUTO or parse_spec(grader).name != "judge"


def judged_by(grader: str, against: str, problem: Problem) -> tuple[str, str | None] | None:
    """The spec and the gold answer by which a problem's answers are judged; None where they are not.

    Against the gold a problem needs a gold answer, and under ``auto`` one that rules can decide by.
    Against an ``opinion`` it needs none.
    """
    if grader == AUTO:
        return run_grading(problem)
    gold = gold_answer(problem)
    return None if gold is None and against == "gold" else (grader, gold)


def stated_version(grader: str, versions: Mapping[str, str]) -> str:
    """How a grading states the versions of the graders that decide in it.

    ``4+mpmath-1.3.0`` of one for all; ``choice 4, math 4+mpmath-1.3.0`` of ``auto``.
    """
    if grader == AUTO:
        return ", ".join(f"{spec} {version}" for spec, version in sorted(versions.items()))
    (version,) = versions.values()
    return version


def states_version(stated: str, grader: str, decided: tuple[str, str]) -> bool:
    """Whether a grading by ``grader`` that `stated_version` is of may decide by spec and version."""
    spec, version = decided
    return f"{spec} {version}" in stated.split(", ") if grader == AUTO else version == stated
