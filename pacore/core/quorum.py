"""The quorum of a round: what its slots came to, whether a message set is short, what is tried again.

Pure decisions over the attempts at each slot and what they gave, so that the pipeline and the pure
algorithm (`pacore.core.solve`) take the same ones, and neither shards, workers nor the order of
arrival can change them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from pacore.core.message import Candidate, compacted
from pacore.core.plan import Compaction, Plan
from pacore.core.recipe import Recipe
from pacore.core.trajectory import (
    FAILED,
    UNFINISHED,
    ConclusionStatus,
    FinishReason,
    Slot,
    Trajectory,
)


class Attempt(NamedTuple):
    """One attempt at a slot.

    ``finish_reason`` is None as long as nothing is known of its end. ``reused``: another run
    generated it, so that a failure is none of this run's. ``retry_of`` names the trajectory that
    `pacore retry` replaced by it, and ``max_tokens`` the limit it has in place of the recipe's.
    """

    trajectory_id: str
    seed: int
    finish_reason: FinishReason | None = None
    reused: bool = False
    retry_of: str | None = None
    max_tokens: int | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the model finished it."""
        return self.finish_reason is not None and self.finish_reason not in UNFINISHED

    @property
    def is_tombstone(self) -> bool:
        """Whether the engine failed, so that it shows nothing of the model."""
        return self.finish_reason in FAILED


@dataclass(frozen=True, slots=True)
class History:
    """The attempts at one slot in their order; the last is the current one.

    Attempts are counted from the last retry on: its limit of failures and its refills are its own.
    """

    attempts: tuple[Attempt, ...] = ()

    @property
    def current(self) -> Attempt:
        """The current attempt, which the slot's row in every table is about."""
        return self.attempts[-1]

    @property
    def since_retried(self) -> Sequence[Attempt]:
        """The attempts since the slot was last retried; all of them where it never was."""
        return [one for one in self.attempts if one.retry_of == self.current.retry_of]

    @property
    def tombstones(self) -> int:
        """Attempts since it was last retried that this run itself saw fail in the engine."""
        return sum(one.is_tombstone and not one.reused for one in self.since_retried)

    @property
    def refills(self) -> int:
        """Attempts since it was last retried that the model finished after the first."""
        return max(0, sum(one.is_finished for one in self.since_retried) - 1)

    def is_lost(self, attempts: int | None) -> bool:
        """Whether the current attempt failed and was the last of the failures a slot may have.

        ``attempts`` is how many those are; without a limit no slot is ever lost.
        """
        if attempts is None or not self.attempts:
            return False
        return self.current.is_tombstone and self.tombstones >= attempts

    def added(self, attempt: Attempt) -> History:
        """With one more attempt, which is the current one from here on."""
        return History((*self.attempts, attempt))

    def ended(self, finish_reason: FinishReason, reused: bool = False) -> History:
        """With the end of the current attempt."""
        ended = self.current._replace(finish_reason=finish_reason, reused=reused)
        return History((*self.attempts[:-1], ended))


@dataclass(frozen=True, slots=True)
class SlotOutcome:
    """What one slot came to: the current attempt, and the message compaction makes of it.

    ``is_lost`` says that an unfinished slot has used up its attempts and counts as it is;
    ``refills`` how many attempts the model finished there since the first. ``is_answer``: the messages of
    its set agree, no round follows, and its message has the answer (``depth`` of `pacore.core.stopping`).
    """

    candidate: Candidate
    finish_reason: FinishReason
    conclusion_status: ConclusionStatus
    error: str | None = None
    is_lost: bool = False
    refills: int = 0
    is_answer: bool = False

    @staticmethod
    def of(
        trajectory: Trajectory, compaction: Compaction, refills: int = 0, is_lost: bool = False
    ) -> SlotOutcome:
        return SlotOutcome(
            compacted(trajectory, compaction),
            trajectory.generation.finish_reason,
            trajectory.thought.status,
            trajectory.generation.error,
            is_lost,
            refills,
        )

    @property
    def is_waiting(self) -> bool:
        """Whether a resume would try the slot again: the engine failed to fill it."""
        return self.finish_reason in FAILED and not self.is_lost

    @property
    def cause(self) -> str:
        """Why there is no message: a finish reason, a conclusion status, or ``no_answer`` where the
        conclusion has no answer to read.
        """
        if self.conclusion_status == "present":
            return "no_answer"
        return self.finish_reason if self.conclusion_status == "none" else self.conclusion_status


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why a message set does not go on to the next round.

    ``waiting`` counts slots a resume would try again; ``reason`` is one line saying what the round
    is short of.
    """

    waiting: int
    reason: str


class Agreed(NamedTuple):
    """A set whose messages agree, so that no round follows: the slot whose message has the answer."""

    slot: SlotOutcome


def shortfall(plan: Plan, round_: int, outcomes: Sequence[SlotOutcome]) -> Shortfall | None:
    """What the message set of a 1-based round is short of, given its slots; None where it goes on.

    A slot the engine failed to fill shows nothing of the model, so the set waits for it rather than
    go on smaller. Trajectories without a message are the model's own and make the set smaller, down
    to the quorum, and under ``proceed`` below it. A set without any message fails under every
    policy: its next prompt would be the bare problem, and the round no round of PaCoRe.
    """
    waiting = sum(outcome.is_waiting for outcome in outcomes)
    have, need = _have(outcomes), plan.need(round_)
    enough = 1 if plan.on_shortfall == "proceed" else need
    if not waiting and have >= enough:
        return None
    causes = Counter(one.cause for one in outcomes if one.candidate.text is None)
    listed = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
    first_waiting = sorted(outcomes, key=lambda outcome: not outcome.is_waiting)
    error = next((one.error for one in first_waiting if one.error), None)
    refills = sum(outcome.refills for outcome in outcomes)
    reason = (
        f"round {round_}: {have} of {len(outcomes)} messages"
        + (f", {need} needed" if need > 1 else "")
        + (f", {refills} refills" if refills else "")
        + f" ({listed})"
    )
    return Shortfall(waiting, f"{reason}: {error}" if error else reason)


def _have(outcomes: Sequence[SlotOutcome]) -> int:
    return sum(outcome.candidate.text is not None for outcome in outcomes)


def set_end(plan: Plan, round_: int, outcomes: Sequence[SlotOutcome]) -> Shortfall | Agreed | None:
    """Why no round follows a message set: what it is short of, or that its messages agree; None else."""
    short = shortfall(plan, round_, outcomes)
    if short is not None:
        return short
    return next((Agreed(outcome) for outcome in outcomes if outcome.is_answer), None)


def mark_answer(outcomes: Sequence[SlotOutcome], trajectory_id: str | None) -> list[SlotOutcome]:
    """What slots came to, given the trajectory whose message has the answer, if a rule found one."""
    return [
        replace(outcome, is_answer=True)
        if outcome.candidate.trajectory_id == trajectory_id
        else outcome
        for outcome in outcomes
    ]


def refills_due(plan: Plan, round_: int, outcomes: Sequence[SlotOutcome]) -> list[int]:
    """The slots of a short set that get a further attempt now, in slot order.

    As many as messages are missing, of those whose trajectory gave none: the least tried first,
    then the first. None while the set waits for the engine, none for a prompt that does not fit the
    window, as it will not fit the next time either, and none where too few may be tried to make up
    what is missing.
    """
    missing = plan.need(round_) - _have(outcomes)
    allowed = plan.refills_in(round_)
    if missing < 1 or not allowed or any(outcome.is_waiting for outcome in outcomes):
        return []
    may_be_refilled = [
        (outcome.refills, slot)
        for slot, outcome in enumerate(outcomes)
        if outcome.candidate.text is None
        and outcome.finish_reason not in (*UNFINISHED, "context_overflow")
        and outcome.refills < allowed
    ]
    if len(may_be_refilled) < missing:
        return []
    return sorted(slot for _, slot in sorted(may_be_refilled)[:missing])


class ChosenSlot(NamedTuple):
    """A slot `pacore retry` chose, by the trajectory that was its current one."""

    round: int
    problem_id: str
    replicate: int
    slot: int
    trajectory_id: str


@dataclass(frozen=True)
class Retry:
    """One `pacore retry`: the slots it chose, and their limit; None leaves the recipe's."""

    chosen: frozenset[ChosenSlot]
    max_tokens: int | None = None

    @cached_property
    def _named(self) -> frozenset[tuple[int, str, int, str]]:
        return frozenset((c.round, c.problem_id, c.replicate, c.trajectory_id) for c in self.chosen)

    def names(self, place: Slot, trajectory_id: str) -> bool:
        """Whether it chose the current trajectory of a slot, which may have moved since.

        The slots of a condensing round are the positions of M, which another retry can shift. No
        trajectory fills two slots of a set, so its id identifies the slot.
        """
        return (place.round, place.problem_id, place.replicate, trajectory_id) in self._named


def attempt_limit(bound_tokens: int | None, retry: Retry | None) -> int | None:
    """The ``max_tokens`` of an attempt's row: a retry's or its step's, whichever is less.

    A retry never raises the bound of a step: the plan decides how long a summary may be.
    """
    limits = (bound_tokens, retry.max_tokens if retry is not None else None)
    return min((limit for limit in limits if limit is not None), default=None)


def attempt_recipe(recipe: Recipe, max_tokens: int | None) -> Recipe:
    """The recipe of one attempt in a run of ``recipe``, by the ``max_tokens`` its row has."""
    return recipe if max_tokens is None else replace(recipe, max_tokens=max_tokens)
