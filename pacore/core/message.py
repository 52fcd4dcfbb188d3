"""Compaction C (eq. 2): the message of each trajectory, and the message set M of a round.

C takes one trajectory at a time; M has the messages of a round in the order of the next prompt.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from unicodedata import combining

from pacore.core.plan import Compaction, MessageOrder, MessagePolicy, Plan
from pacore.core.problem import Problem
from pacore.core.trajectory import (
    CLOSE,
    ConclusionStatus,
    Generation,
    Thought,
    Trajectory,
    normalise,
    written_text,
)

COMPACTOR_VERSION = "1"


ANSWER_COMPACTOR_VERSION = "2"
"""Counts on when a conclusion may give another answer; messages written before keep theirs."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What compaction made of one trajectory; ``text`` None means it has no message.

    ``tail_tokens`` is set where the text is the end of a thought that was cut, ``bound_tokens``
    where it is a text that was cut at the bound of its step.
    """

    trajectory_id: str
    text: str | None
    content_characters: int
    tail_tokens: int | None = None
    bound_tokens: int | None = None


class CompactionInput(NamedTuple):
    """What compaction reads in a trajectory's row; most policies need no more.

    ``is_cut``: the model was cut at its limit, maybe within the conclusion.
    """

    trajectory_id: str
    conclusion: str | None
    status: ConclusionStatus
    content_characters: int
    is_cut: bool = False


def compaction_of(plan: Plan, round_: int, problem: Problem) -> Compaction:
    """C of a round for one problem: how an answer is read depends on the problem's grader."""
    compaction = plan.step(round_).compaction
    if compaction.policy != "answer":
        return compaction
    # Policies that read no answers, and commands that only count, need not wait for the graders.
    from pacore.core.grading.choose import choose_grader, gold_answer
    from pacore.core.grading.programs.tests import wanted_of

    spec = choose_grader(problem)
    return replace(compaction, grader=spec, wanted=wanted_of(spec, gold_answer(problem)))


def compacted(trajectory: Trajectory, compaction: Compaction) -> Candidate:
    """C of one trajectory (section 2.1) under the policies of its round."""
    thought = trajectory.thought
    row = CompactionInput(
        trajectory.trajectory_id,
        thought.conclusion,
        thought.status,
        trajectory.generation.content_characters,
        trajectory.generation.finish_reason == "length",
    )
    return candidate_of(row, compaction, trajectory.generation)


def needs_generation(row: CompactionInput, compaction: Compaction) -> bool:
    """Whether C of a trajectory takes text that its conclusion does not hold."""
    if compaction.policy == "reference":
        return row.status != "none"
    if row.status == "truncated":
        return (compaction.tail_tokens or compaction.bound_tokens) is not None
    return row.conclusion is not None and compaction.policy == "verbatim"


def candidate_of(
    row: CompactionInput, compaction: Compaction, generation: Generation | None
) -> Candidate:
    """C of one trajectory; its generation may be None where `needs_generation` is false.

    ``verbatim`` is the paper's ablation without compaction, and what a condensing round reads. A
    trajectory without a conclusion has no message under any policy, but for one that was cut where
    the round's tails or its bound make one of it. ``reference`` takes whatever the content has.
    """
    text = row.conclusion
    if compaction.policy == "reference":
        text = None if generation is None else reference_text(generation)
        return Candidate(row.trajectory_id, text, row.content_characters)
    if row.status == "truncated":
        return _truncated_candidate(row, compaction, generation)
    if text is not None and compaction.policy == "verbatim" and generation is not None:
        text = verbatim_text(normalise(generation).reasoning, text)
    elif text is not None and compaction.policy == "answer":
        assert compaction.grader is not None, "answers are read by compaction_of a problem"
        from pacore.core.grading.extraction.extract import extract

        found = extract(text, compaction.grader, compaction.wanted, is_cut=row.is_cut)
        text = answer_text(found.text, compaction.grader) if found else None
    return Candidate(row.trajectory_id, text, row.content_characters)


def _truncated_candidate(
    row: CompactionInput, compaction: Compaction, generation: Generation | None
) -> Candidate:
    whole = Candidate(row.trajectory_id, None, row.content_characters)
    if generation is None:
        return whole
    thought = normalise(generation)
    if (bound_tokens := compaction.bound_tokens) is not None:
        return replace(whole, text=bounded_text(generation, thought), bound_tokens=bound_tokens)
    if (tail_tokens := compaction.tail_tokens) is not None:
        text = tail_text(generation, thought, tail_tokens)
        return replace(whole, text=text, tail_tokens=tail_tokens)
    return whole


def verbatim_text(reasoning: str | None, conclusion: str) -> str:
    """Reasoning and conclusion as one text."""
    return f"{reasoning.strip()}\n\n{conclusion}" if reasoning else conclusion


def reference_text(generation: Generation) -> str | None:
    """The message of the published code: the content after its last ``</think>``, else all of it.

    Not a character is taken off, and how the text ended does not matter. Content that ends with the
    tag is an empty message; there is none only where the server sent no content.
    """
    if not generation.is_finished or not generation.content:
        return None
    return generation.content.rpartition(CLOSE)[2]


def answer_text(answer: str, spec: str) -> str:
    r"""An answer as a message of its own: ``\boxed{…}``, where that reads as the same answer again.

    An answer of several lines, a program, and one whose braces would not close its box stay as they
    are.
    """
    from pacore.core.grading.extraction.extract import extract

    boxed = f"\\boxed{{{answer}}}"
    again = extract(boxed, spec)
    return boxed if "\n" not in answer and again and again.text == answer else answer


def bounded_text(generation: Generation, thought: Thought) -> str | None:
    """A text that was cut at its step's bound, as far as it goes; None inside of thinking.

    The bound is the policy, so reaching it is no fault. A model that shows its thinking must have
    closed it; of one that shows none everything is its text.
    """
    if thought.thinking_closed is not None:
        return None
    return (generation.content or "").strip() or None


def tail_text(generation: Generation, thought: Thought, tail_tokens: int) -> str | None:
    """The last tokens of a thought that was cut: its reasoning, and its content where it has any.

    Measured by the trajectory's own characters a token; where its tokens were not counted, by one
    character each, so that it is never longer than ``tail_tokens``. None where nothing was written.
    """
    written = written_text(generation, thought)
    tokens = generation.completion_tokens or len(written)
    if tail_tokens < tokens:
        start = len(written) - len(written) * tail_tokens // tokens
        while start < len(written) and combining(written[start]):
            start += 1
        written = written[start:]
    return written.strip() or None


def compactor(candidate: Candidate, policy: MessagePolicy) -> str:
    """What made a message, and in which version: ``conclusion/1``.

    Of one that was cut ``tail(512)/1`` where that is its end, ``cut(512)/1`` where its beginning.
    """
    name: str = policy
    if candidate.tail_tokens is not None:
        name = f"tail({candidate.tail_tokens})"
    elif candidate.bound_tokens is not None:
        name = f"cut({candidate.bound_tokens})"
    return f"{name}/{ANSWER_COMPACTOR_VERSION if name == 'answer' else COMPACTOR_VERSION}"


REFERENCE_SEED = 42


@dataclass(frozen=True, slots=True)
class Message:
    """One row of the table ``messages``: a compacted trajectory at a 1-based position of M."""

    round: int
    problem_id: str
    replicate: int
    position: int
    trajectory_id: str
    text: str
    compactor: str

    @property
    def characters(self) -> int:
        """Length of the text."""
        return len(self.text)

    @property
    def sort_key(self) -> tuple[str, int, int]:
        return (self.problem_id, self.replicate, self.position)


def order(candidates: Iterable[Candidate], policy: MessageOrder) -> list[Candidate]:
    """Put the trajectories of one message set in the order of the next prompt.

    ``content`` sorts by trajectory id, a hash, so position does not depend on length or arrival.
    ``reference`` is the reference code's: by length of the full content, then one fixed shuffle
    with seed 42, which ties a message's position to its length rank; ties fall back to the id.
    """
    by_id = sorted(candidates, key=lambda candidate: candidate.trajectory_id)
    if policy == "content":
        return by_id
    by_length = sorted(by_id, key=lambda candidate: candidate.content_characters)
    random.Random(REFERENCE_SEED).shuffle(by_length)
    return by_length


def message_set(
    place: tuple[int, str, int],
    candidates: Sequence[Candidate],
    order_policy: MessageOrder,
    policy: MessagePolicy,
) -> list[Message]:
    """M of one (round, problem id, replicate): a message for each trajectory that has a text."""
    round_, problem_id, replicate = place
    kept = [c for c in order(candidates, order_policy) if c.text is not None]
    return [
        Message(
            round=round_,
            problem_id=problem_id,
            replicate=replicate,
            position=position,
            trajectory_id=candidate.trajectory_id,
            text=candidate.text or "",
            compactor=compactor(candidate, policy),
        )
        for position, candidate in enumerate(kept, 1)
    ]
