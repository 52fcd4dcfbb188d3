"""The quorum of a round: what stands in its slots, whether a set goes on, and what is tried again.

Pure decisions over what trajectories gave, so that the pipeline and the oracle take the same ones
and neither shards, workers nor the order of arrival can change them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from pacore.core.message import Candidate, compacted
from pacore.core.plan import Compaction, Plan
from pacore.core.recipe import Recipe
from pacore.core.trajectory import UNFINISHED, ConclusionStatus, FinishReason, Slot, Trajectory


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in one slot after a round: its last attempt.

    ``is_lost`` says that an unfinished slot has used up its attempts and counts as it is;
    ``refills`` how many attempts the model finished there since the first.
    """

    candidate: Candidate
    finish_reason: FinishReason
    conclusion_status: ConclusionStatus
    error: str | None = None
    is_lost: bool = False
    refills: int = 0

    @staticmethod
    def of(
        trajectory: Trajectory, compaction: Compaction, refills: int = 0, is_lost: bool = False
    ) -> Standing:
        return Standing(
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
        return self.finish_reason in UNFINISHED and not self.is_lost

    @property
    def cause(self) -> str:
        """Why there is no message, in a word: no conclusion, or none that reads as an answer."""
        if self.conclusion_status == "present":
            return "no_answer"
        return self.finish_reason if self.conclusion_status == "none" else self.conclusion_status


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a message set may go on. ``waiting`` counts slots a resume would try again.

    ``reason`` is None exactly when it may: one line saying what the round is short of.
    """

    waiting: int
    reason: str | None

    @property
    def goes_on(self) -> bool:
        return self.reason is None


def outcome(plan: Plan, round_: int, standings: Sequence[Standing]) -> Outcome:
    """Judge one message set.

    A slot the engine failed to fill says nothing of the model, so the set waits for it rather than
    go on smaller. Trajectories without a message are the model's own and make the set smaller, down
    to the quorum, and under ``proceed`` below it. A set without any message fails under every
    policy: its next prompt would be the bare problem, and the round no round of PaCoRe.
    """
    waiting = sum(standing.is_waiting for standing in standings)
    have, need = _have(standings), plan.need(round_)
    enough = 1 if plan.on_shortfall == "proceed" else need
    if not waiting and have >= enough:
        return Outcome(0, None)
    causes = Counter(s.cause for s in standings if s.candidate.text is None)
    listed = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
    first_waiting = sorted(standings, key=lambda standing: not standing.is_waiting)
    error = next((s.error for s in first_waiting if s.error), None)
    refills = sum(standing.refills for standing in standings)
    reason = (
        f"round {round_}: {have} of {len(standings)} messages"
        + (f", {need} needed" if need > 1 else "")
        + (f", {refills} refills" if refills else "")
        + f" ({listed})"
    )
    return Outcome(waiting, f"{reason}: {error}" if error else reason)


def _have(standings: Sequence[Standing]) -> int:
    return sum(standing.candidate.text is not None for standing in standings)


def refills_due(plan: Plan, round_: int, standings: Sequence[Standing]) -> list[int]:
    """The slots of a short set that get a further attempt now, in slot order.

    As many as messages are missing, of those whose trajectory gave none: the least tried first,
    then the first. None while the set waits for the engine, none for a prompt that does not fit the
    window, as it will not fit the next time either, and none where too few may be tried to make up
    what is missing.
    """
    missing = plan.need(round_) - _have(standings)
    allowed = plan.refills_in(round_)
    if missing < 1 or not allowed or any(standing.is_waiting for standing in standings):
        return []
    open_slots = [
        (standing.refills, slot)
        for slot, standing in enumerate(standings)
        if standing.candidate.text is None
        and standing.finish_reason not in (*UNFINISHED, "context_overflow")
        and standing.refills < allowed
    ]
    if len(open_slots) < missing:
        return []
    return sorted(slot for _, slot in sorted(open_slots)[:missing])


class ChosenSlot(NamedTuple):
    """A slot `pacore retry` chose, by the trajectory that stood in it."""

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
        """Whether it chose what stands in a slot, which may have moved since.

        The slots of a condensing round are the positions of M, which another retry can shift. No
        trajectory fills two slots of a set, so its id says which is meant.
        """
        return (place.round, place.problem_id, place.replicate, trajectory_id) in self._named


def attempt_limit(bound_tokens: int | None, retry: Retry | None) -> int | None:
    """The ``max_tokens`` of an attempt's row: a retry's or its step's, whichever is less.

    A retry never lifts the bound of a step: how long a summary may be is the plan's to say.
    """
    asked = retry.max_tokens if retry is not None else None
    return min((limit for limit in (bound_tokens, asked) if limit is not None), default=None)


def attempt_recipe(recipe: Recipe, max_tokens: int | None) -> Recipe:
    """The recipe of one attempt in a run of ``recipe``, by the ``max_tokens`` its row has."""
    return recipe if max_tokens is None else replace(recipe, max_tokens=max_tokens)


class Pass(NamedTuple):
    """Slots to try at the same time; ``retry`` gives them another recipe from here on."""

    slots: list[int]
    retry: Retry | None = None


def passes(
    plan: Plan,
    places: Sequence[Slot],
    retries: Sequence[Retry],
    standing_ids: Callable[[], list[str]],
    standings: Callable[[], list[Standing]],
) -> Iterator[Pass]:
    """The slots of one set to try, pass after pass, each looking at what the one before gave.

    First every slot, then refills; then each retry in the order they were asked for, and its
    refills: so a later retry finds everything that was made before it in its place.
    ``standing_ids`` and ``standings`` tell what stands now; the second is asked only where a
    refill may be due.
    """
    round_ = places[0].round
    yield Pass(list(range(len(places))))
    yield from _refilling(plan, round_, standings)
    for retry in retries:
        ids = standing_ids()
        chosen = [place.slot for place in places if retry.names(place, ids[place.slot])]
        if chosen:
            yield Pass(chosen, retry)
            yield from _refilling(plan, round_, standings)


def _refilling(plan: Plan, round_: int, standings: Callable[[], list[Standing]]) -> Iterator[Pass]:
    while plan.refills_in(round_) and (due := refills_due(plan, round_, standings())):
        yield Pass(due)
