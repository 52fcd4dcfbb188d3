"""How the rows of a run follow from the rows before them: one function for each step.

What an audit or an explanation recomputes is recomputed here, by the core's own functions, so that a
new policy of the plan has to be added for both in one place only. `PlaceRows` has the rows of one
problem and replicate in one round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from pacore.audit.finding import Where
from pacore.core.message import CompactionInput, Message, compaction_of, needs_generation
from pacore.core.plan import Plan
from pacore.core.problem import Problem
from pacore.core.quorum import Agreed, Shortfall, SlotOutcome, attempt_recipe
from pacore.core.recipe import Recipe
from pacore.core.round import Round, RoundPrompt, View, by_slot, conclude_round
from pacore.core.trajectory import Generation, Slot, Thought, Trajectory, normalise
from pacore.store.journal import Entry
from pacore.store.rows import StoredMessage, StoredStop, StoredText, StoredTrajectory
from pacore.store.run import Run
from pacore.store.schema import TRAJECTORIES


def recipe_of_attempt(run: Run, row: StoredTrajectory) -> Recipe:
    """The recipe one attempt was sampled by: the run's, or a retry's with another limit."""
    return attempt_recipe(run.recipe, row.max_tokens)


class Prompts:
    """The prompts of one place = (round, replicate) of a run, rendered again when they are needed.

    ``texts`` are the messages of the round before, by position. ``draws`` has, by slot, the draw
    that the plan gives it, and so every slot that the plan has.
    """

    def __init__(
        self, run: Run, problem: Problem, place: tuple[int, int], texts: Sequence[str]
    ) -> None:
        self._round = Round(run.plan, run.recipe, problem, place, texts)
        slots = by_slot(self._round.prompts())
        self._whole = {place.slot: prompt for prompt, place in slots}
        self._cut: dict[tuple[View, int], RoundPrompt] = {}
        self.draws = {place.slot: place.draw for _, place in slots}

    def of(self, row: StoredTrajectory) -> RoundPrompt | None:
        """P(x, M) as one attempt saw it, None where the plan has no such slot."""
        whole, kept = self._whole.get(row.slot), row.prompt_messages
        if whole is None or kept is None:
            return whole
        cut = whole.view, kept
        if cut not in self._cut:
            self._cut[cut] = self._round.prompt(*cut)
        return self._cut[cut]


def trajectory_of(round_: int, row: StoredTrajectory, entry: Entry | None) -> Trajectory:
    """A row as the trajectory it says it is; what rows do not have is taken from the journal."""
    made = entry.generation if entry else Generation(row.finish_reason, error=row.error)
    made = replace(made, finish_reason=row.finish_reason)
    reasoning = normalise(made).reasoning
    closed, status = row.thinking_closed, row.conclusion_status
    return Trajectory(
        place=Slot(round_, row.problem_id, row.replicate, row.slot, row.draw),
        trajectory_id=row.trajectory_id,
        attempt=row.attempt,
        seed=row.seed,
        prompt_digest=row.prompt_digest,
        generation=made,
        thought=Thought(reasoning, row.conclusion, closed, status),
    )


def needs_journal(plan: Plan, round_: int, row: StoredTrajectory) -> bool:
    """Whether a message of a round holds more of a trajectory than its row does."""
    made = CompactionInput(
        row.trajectory_id, row.conclusion, row.conclusion_status, row.content_characters
    )
    return needs_generation(made, plan.step(round_).compaction)


def slot_outcome(
    run: Run, place: tuple[int, Problem], row: StoredTrajectory, entry: Entry | None
) -> SlotOutcome:
    """What a slot of ``place`` = (round, problem) came to, given the row of its current attempt."""
    round_, problem = place
    compaction = compaction_of(run.plan, round_, problem)
    found = SlotOutcome.of(trajectory_of(round_, row, entry), compaction)
    characters = row.content_characters
    return replace(found, candidate=replace(found.candidate, content_characters=characters))


def concluded(
    plan: Plan, place: tuple[int, str, int], outcomes: Sequence[SlotOutcome], is_lenient: bool
) -> list[Message] | Shortfall | Agreed:
    """The message set that follows from the slots of ``place`` = (round, problem id, replicate).

    How many attempts make a slot lost is a matter of operation and is in no table. ``is_lenient``
    takes every slot without a generation as lost, so that the set may go on without it.
    """
    if is_lenient:
        outcomes = [replace(outcome, is_lost=True) for outcome in outcomes]
    return conclude_round(plan, place, outcomes)


@dataclass(frozen=True)
class Journalled:
    """An entry of the journal, and what a row of its trajectory has in the columns that follow from it."""

    entry: Entry
    columns: Mapping[str, object]

    @staticmethod
    def of(entry: Entry) -> Journalled:
        """Raises KeyError, TypeError, ValueError or AttributeError for an entry that is none."""
        made = Generated(
            generation=entry.generation,
            thought=normalise(entry.generation),
            generated_at=entry.generated_at.replace(tzinfo=None),
        )
        return Journalled(entry, {name: value(made) for name, value in GENERATED.items()})


class Generated(NamedTuple):
    """What an entry of the journal says of its trajectory, under the names that `Trajectory` has."""

    generation: Generation
    thought: Thought
    generated_at: datetime


GENERATED = {
    column.name: attrgetter(column.source)
    for column in TRAJECTORIES.columns
    if column.source.partition(".")[0] in Generated._fields
}
"""The columns of trajectories that follow from an entry of the journal alone."""


@dataclass(frozen=True)
class PlaceRows:
    """The rows of one problem and replicate in one round, and everything they are compared with.

    A table that could not be read is None, which is not the same as no rows. ``before`` are the
    messages of the round before. ``files`` names the file each table has here. ``entries`` has, by
    trajectory id, the journal's entry, None where there is none, or why it cannot be read.
    """

    round: int
    problem: Problem
    replicate: int
    files: Mapping[str, str]
    trajectories: list[StoredTrajectory] | None
    texts: list[StoredText] | None
    before: list[StoredMessage] | None
    messages: list[StoredMessage] | None
    stops: list[StoredStop] | None = None
    entries: Mapping[str, Journalled | str | None] = field(default_factory=dict)

    def where(self, table: str) -> Where:
        """The place itself, for what is wrong with no row of it."""
        problem_id = self.problem.problem_id
        return Where(self.files[table], table, self.round, problem_id, self.replicate)

    def entry(self, row: StoredTrajectory | StoredText) -> Entry | None:
        """The journal's entry of a row, where there is one that can be read."""
        found = self.entries.get(row.trajectory_id)
        return found.entry if isinstance(found, Journalled) else None

    def slots(self) -> dict[int, list[StoredTrajectory]]:
        """The rows of each slot, attempts in order; the last one is current."""
        rows = self.trajectories or []
        return {slot: list(found) for slot, found in groupby(rows, key=lambda row: row.slot)}

    def current(self) -> list[StoredTrajectory]:
        """The row of each slot's current attempt, in slot order."""
        return [attempts[-1] for attempts in self.slots().values()]
