"""The answer of a problem: the final message, and what it answers (paper, eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pacore.core.message import Message
from pacore.core.plan import Plan
from pacore.core.problem import Problem
from pacore.core.quorum import Agreed, SlotOutcome, set_end
from pacore.core.trajectory import UNFINISHED, FinishReason

AnswerStatus = Literal["answered", "no_answer", "failed"]


def answer_of(problem: Problem, message: Message, finish_reason: FinishReason) -> Answer:
    """y = m_R^(1) (eq. 3), and what it answers."""
    # Who only reads answers need not wait for the graders.
    from pacore.core.grading.choose import choose_grader, gold_answer
    from pacore.core.grading.extraction.extract import Extracted, find_answer
    from pacore.core.grading.programs.tests import wanted_of

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


@dataclass(frozen=True, slots=True)
class Ended:
    """Where one replicate of a problem ended: the last round it reached, and what its slots came to.

    ``messages`` are those of its rounds, as far as they are known; that of the plan's last round is
    the final message, which has the answer.
    """

    round: int
    outcomes: Sequence[SlotOutcome]
    messages: Sequence[Message] = ()


def final_answer(plan: Plan, problem: Problem, replicate: int, ended: Ended) -> Answer:
    """The answer row of a replicate.

    Where the messages of a round agree, so that none follows, it is of one of them. Without a final
    message, a last trajectory the model finished without a conclusion is ``no_answer``; anything else
    left the problem unsolved and is ``failed``.
    """
    outcomes = ended.outcomes
    end = set_end(plan, ended.round, outcomes)
    if isinstance(end, Agreed):
        made = end.slot.candidate
        place = (ended.round, problem.problem_id, replicate, 1)
        message = Message(*place, made.trajectory_id, made.text or "", "")
        return answer_of(problem, message, end.slot.finish_reason)
    if ended.messages and ended.messages[-1].round == plan.rounds:
        return answer_of(problem, ended.messages[-1], outcomes[0].finish_reason)
    last = outcomes[0] if ended.round == plan.rounds and outcomes else None
    is_finished = last is not None and last.finish_reason not in UNFINISHED
    return Answer(
        problem_id=problem.problem_id,
        replicate=replicate,
        answer=None,
        method=None,
        trajectory_id=last.candidate.trajectory_id if last else None,
        finish_reason=last.finish_reason if last else None,
        status="no_answer" if is_finished else "failed",
        reason=end.reason if end else None,
        failed_round=None if is_finished else ended.round,
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
