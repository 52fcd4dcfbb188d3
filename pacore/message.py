"""Messages and compaction C: each trajectory's conclusion, ordered for the next prompt (eq. 2)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import combining

from pacore.plan import Compaction, CompactionPolicy, MessageOrder
from pacore.trajectory import Generation, Thought, Trajectory, written_text

COMPACTOR_VERSION = "1"
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
    def sort_key(self) -> tuple[str, int, int]:
        return (self.problem_id, self.replicate, self.position)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What compaction needs to know of one trajectory; ``text`` None means it has no message.

    ``tail_tokens`` is set where the text is the end of a thought that was cut.
    """

    trajectory_id: str
    text: str | None
    content_characters: int
    tail_tokens: int | None = None


def compacted_text(trajectory: Trajectory, policy: CompactionPolicy) -> str | None:
    """C of one trajectory (section 2.1): its conclusion, or under ``verbatim`` all it said.

    ``verbatim`` is the paper's ablation without compaction. A trajectory without a conclusion has
    no message under either policy.
    """
    thought = trajectory.thought
    if thought.conclusion is None or policy == "conclusion":
        return thought.conclusion
    return verbatim_text(thought.reasoning, thought.conclusion)


def compacted(trajectory: Trajectory, compaction: Compaction) -> Candidate:
    """C of one trajectory under the policies of its round."""
    text = compacted_text(trajectory, compaction.policy)
    tail_tokens = None
    if trajectory.thought.status == "truncated" and compaction.tail_tokens is not None:
        tail_tokens = compaction.tail_tokens
        text = tail_text(trajectory.generation, trajectory.thought, tail_tokens)
    characters = trajectory.content_characters
    return Candidate(trajectory.trajectory_id, text, characters, tail_tokens)


def tail_text(generation: Generation, thought: Thought, tail_tokens: int) -> str | None:
    """The last tokens of a thought that was cut: its reasoning, and its content where it has any.

    Measured by the trajectory's own characters a token; where nobody counted its tokens, by one
    character each, so that it is never longer than asked. None where nothing was written.
    """
    written = written_text(generation, thought)
    tokens = generation.completion_tokens or len(written)
    if tail_tokens < tokens:
        start = len(written) - len(written) * tail_tokens // tokens
        while start < len(written) and combining(written[start]):
            start += 1
        written = written[start:]
    return written.strip() or None


def verbatim_text(reasoning: str | None, conclusion: str) -> str:
    """Reasoning and conclusion as one text."""
    return f"{reasoning.strip()}\n\n{conclusion}" if reasoning else conclusion


def order(candidates: Iterable[Candidate], policy: MessageOrder) -> list[Candidate]:
    """Put the trajectories of one message set in the order of the next prompt.

    ``content`` sorts by trajectory id, a hash, so position says nothing of length or arrival.
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
    compaction: CompactionPolicy,
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
            compactor=compactor(candidate, compaction),
        )
        for position, candidate in enumerate(kept, 1)
    ]


def compactor(candidate: Candidate, compaction: CompactionPolicy) -> str:
    """What made a message, and in which version: ``conclusion/1``, or ``tail(512)/1`` of a cut one."""
    is_tail = candidate.tail_tokens is not None
    name = f"tail({candidate.tail_tokens})" if is_tail else compaction
    return f"{name}/{COMPACTOR_VERSION}"
