"""Verdicts on answers, and the row a verdict becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

VerdictStatus = Literal["ok", "no_answer", "timeout", "parse_error"]


class Verdict(NamedTuple):
    """What grading one answer came to.

    ``score`` is 1.0 or 0.0; a missing answer scores 0.0. It is None for ``timeout`` and
    ``parse_error``, which say something of the grader or the gold answer and nothing of the answer.
    """

    status: VerdictStatus
    score: float | None


CORRECT = Verdict("ok", 1.0)
WRONG = Verdict("ok", 0.0)
NO_ANSWER = Verdict("no_answer", 0.0)
TIMEOUT = Verdict("timeout", None)
PARSE_ERROR = Verdict("parse_error", None)


@dataclass(frozen=True, slots=True)
class Score:
    """One row of the table ``scores``; grading again under another version adds a row.

    ``grader`` is a name (``math``), ``grader_version`` the version of its rules and of what else
    decides (``1+math-verify-0.9.0``). ``score`` is in [0, 1], None as in `Verdict`.
    """

    problem_id: str
    replicate: int
    trajectory_id: str | None
    grader: str
    grader_version: str
    status: str
    score: float | None
    gold: str
    answer: str | None
