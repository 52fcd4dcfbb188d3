"""The answer of a problem: the final message, and what it answers (paper, eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pacore.core.grading.choose import choose_grader, gold_answer
from pacore.core.grading.extraction.extract import AnswerStatus, Extracted, find_answer
from pacore.core.grading.programs.tests import wanted_of
from pacore.core.message import Message
from pacore.core.plan import Plan
from pacore.core.problem import Problem
from pacore.core.quorum import Standing, outcome
from pacore.core.trajectory import UNFINISHED, FinishReason


def answer_of(problem: Problem, message: Message, finish_reason: FinishReason) -> Answer:
    """y = m_R^(1) (eq. 3), and what it answers."""
    spec = choose_grader(problem)
    wanted = wanted_of(spec, gold_answer(problem))
    found = find_answer(message.text, spec, wanted, is_cut=finish_reason == "length")
    extracted = found if isinstance(found, Extracted) else None
    return Answer(
        problem_id=problem.problem_id,
        replicate=message.replicate,
        answer=extracted.text if extracted else None,
        method=extracted.method if extracted else None,
        trajectory_id=message.trajectory_id,
        finish_reason=finish_reason,
        status="answered" if extracted else "no_answer",
        reason=None if isinstance(found, Extracted) else found.reason,
        failed_round=None,
    )


def missing_answer(
    plan: Plan, place: tuple[int, str, int], standings: Sequence[Standing]
) -> Answer:
    """The answer row of a replicate that ended without one at ``place`` (round, problem, replicate).

    A last trajectory the model finished without a conclusion is ``no_answer``; anything else left
    the problem unsolved and is ``failed``.
    """
    round_, problem_id, replicate = place
    is_final = round_ == plan.rounds
    final = standings[0] if is_final and standings else None
    had_its_say = final is not None and final.finish_reason not in UNFINISHED
    return Answer(
        problem_id=problem_id,
        replicate=replicate,
        answer=None,
        method=None,
        trajectory_id=final.candidate.trajectory_id if final else None,
        finish_reason=final.finish_reason if final else None,
        status="no_answer" if had_its_say else "failed",
        reason=outcome(plan, round_, standings).reason,
        failed_round=None if had_its_say else round_,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of the table ``answers``; exactly one per problem and replicate.

    ``answer`` and ``method`` are None unless ``status`` is ``answered``. ``reason`` says, for a
    person, why there is no answer; ``failed_round`` is the 1-based round a failed pass ended in.
    """

    problem_id: str
    replicate: int
    answer: str | None
    method: str | None
    trajectory_id: str | None
    finish_reason: FinishReason | None
    status: AnswerStatus
    reason: str | None
    failed_round: int | None
