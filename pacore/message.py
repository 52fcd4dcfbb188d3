"""Messages: what compaction made of a round's trajectories, in the order of the next prompt."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pacore.compaction import Candidate, compactor
from pacore.plan import MessageOrder
from pacore.step import MessagePolicy

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
