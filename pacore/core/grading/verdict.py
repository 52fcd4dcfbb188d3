"""Verdicts on answers, and the rows of the tables ``scores`` and ``verdicts``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from pacore.core.identity import sha256_hex

VerdictName = Literal["correct", "wrong", "no_answer", "timeout", "crash"]

VERDICT_NAMES: tuple[VerdictName, ...] = get_args(VerdictName)


class Verdict(NamedTuple):
    """The result of grading one answer.

    ``score`` is in [0, 1]: 1.0 exactly for ``correct``, below that for ``wrong`` (the pass rate of a
    program), 0.0 for ``no_answer``, and None for ``timeout`` and ``crash``, which are due to the grader
    or the gold answer and not to the answer. ``detail`` is one line for the user.
    """

    verdict: VerdictName
    score: float | None
    detail: str | None = None


CORRECT = Verdict("correct", 1.0)

WRONG = Verdict("wrong", 0.0)

NO_ANSWER = Verdict("no_answer", 0.0)

TIMEOUT = Verdict("timeout", None)

CRASH = Verdict("crash", None)
"""Has no detail; use `crash`."""


def crash(why: str) -> Verdict:
    """The verdict for a failure of the grader or the gold answer, with the reason in one line."""
    return CRASH._replace(detail=why)


def quoted_text(text: str) -> str:
    """A text for the detail of a verdict: quoted, in ASCII, truncated."""
    shown = ascii(text)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[: _SHOWN_CHARACTERS - 1]}…"


_SHOWN_CHARACTERS = 60

RECORDED_GOLD_CHARACTERS = 4_096


def recorded_gold(gold: str) -> str:
    """A gold answer as stored in the table ``verdicts``: itself, or the digest of a long one.

    The tests of a program may be megabytes, and are stored once, in the table ``problems``.
    """
    if len(gold) <= RECORDED_GOLD_CHARACTERS:
        return gold
    return f"sha256:{sha256_hex(gold.encode())}"


@dataclass(frozen=True, slots=True)
class GradedTrajectory:
    """One row of the table ``verdicts``: what one grading says of one trajectory.

    ``trajectory_id`` is None only in a run's own grading, where a replicate did not reach the last
    round. ``grading`` is its id; ``grader`` a spec (``math``) and ``grader_version`` the version of its
    rules and of what else decides (``4+mpmath-1.3.0``). ``answer`` is what that grader reads in the
    conclusion and ``method`` how it was found; ``answer_key`` names the answers it takes for the same.
    All three are None where there is no answer. ``gold_answer`` is as `recorded_gold` gives it, None in an
    opinion.
    """

    problem_id: str
    replicate: int
    slot: int
    trajectory_id: str | None
    grading: str
    grader: str
    grader_version: str
    verdict: Verdict
    answer: str | None
    method: str | None
    answer_key: str | None
    gold_answer: str | None
