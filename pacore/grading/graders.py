"""Who grades: one grader for all problems, or for each the one it calls for."""

from __future__ import annotations

from pacore.errors import BadInput
from pacore.grading.rules import choose_grader
from pacore.problem import GRADERS, GraderName, Problem

AUTO = "auto"
"""Takes for each problem the grader it calls for."""


def is_by_rules(grader: str) -> bool:
    """Whether verdicts follow from answer and gold answer alone."""
    return grader in (AUTO, *GRADERS)


def known_grader(grader: str) -> GraderName:
    """A grader by its name. Raises BadInput for one that there is not."""
    for name in GRADERS:
        if name == grader:
            return name
    raise BadInput(f"--grader {grader!r}: is none of {', '.join((AUTO, *GRADERS))}")


def grader_of(grader: str, problem: Problem) -> GraderName:
    """The grader that judges a problem under ``auto``, or under one grader for all."""
    return choose_grader(problem) if grader == AUTO else known_grader(grader)


def stated_version(grader: str, versions: dict[GraderName, str]) -> str:
    """How a grading states the versions of the graders that decide in it.

    ``1+math-verify-0.9.0`` of one for all; ``choice 1, math 1+math-verify-0.9.0`` of ``auto``.
    """
    if grader == AUTO:
        return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    (version,) = versions.values()
    return version


def states_version(stated: str, grader: str, decided: tuple[str, str]) -> bool:
    """Whether a grading by ``grader`` that `stated_version` is of may decide by grader and version."""
    name, version = decided
    return f"{name} {version}" in stated.split(", ") if grader == AUTO else version == stated
