"""Verdicts on answers, and the row a verdict becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from pacore.core.identity import sha256_hex

VerdictName = Literal["correct", "wrong", "no_answer", "timeout", "crash"]


VERDICTS: tuple[VerdictName, ...] = get_args(VerdictName)


DECIDED: tuple[VerdictName, ...] = ("correct", "wrong")
"""The verdicts on an answer; rates of the others are reported beside every score."""


class Verdict(NamedTuple):
    """What grading one answer came to.

    ``correct`` and ``wrong`` are verdicts on an answer; ``score`` is in [0, 1], 1.0 exactly where
    it is ``correct``, and a wrong program may have passed some of its tests. A missing answer
    scores 0.0. ``timeout`` and ``crash`` have none: they are due to the grader or the gold
    answer and not to the answer. ``detail`` is a line for a person.
    """

    verdict: VerdictName
    score: float | None
    detail: str | None = None


CORRECT = Verdict("correct", 1.0)


WRONG = Verdict("wrong", 0.0)


NO_ANSWER = Verdict("no_answer", 0.0)


TIMEOUT = Verdict("timeout", None)


CRASH = Verdict("crash", None)
"""Has no cause, so it is never returned as it is (`crash`)."""


def crash(why: str) -> Verdict:
    """The verdict where the grader or the gold answer failed, with the reason in one line."""
    return CRASH._replace(detail=why)


def shown(text: str) -> str:
    """A text for a line of a verdict: quoted, in ASCII, cut."""
    quoted = ascii(text)
    return quoted if len(quoted) <= SHOWN_CHARACTERS else f"{quoted[: SHOWN_CHARACTERS - 1]}…"


SHOWN_CHARACTERS = 60

RECORDED_GOLD_CHARACTERS = 4_096


def recorded_gold(gold: str) -> str:
    """A gold answer as the table ``verdicts`` has it: itself, or the digest of a long one.

    The tests of a program may be megabytes, and the table ``problems`` has them once.
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
