"""The slots of a run while they are filled: each attempt that one has had is found in the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from pacore.core.quorum import Retry
from pacore.core.round import OpenSlot, RoundPrompt, by_slot
from pacore.core.trajectory import Generation, Request
from pacore.runs.dispatch.in_work import RoundCounts
from pacore.runs.dispatch.progress import Progress
from pacore.store.journal import Entry, Journal
from pacore.store.run import Run


@dataclass(slots=True)
class RunSlot(OpenSlot):
    """A slot of a run; ``refused`` has, by attempt, what the journal does not: context overflows, what was
    not sent as the budget of its problem was spent, and what was aborted, by a decision at ``decided_at``.
    """

    refused: dict[int, Generation] = field(default_factory=dict)
    decided_at: datetime | None = None

    def refuse(self, made: Generation) -> None:
        """Note what the current attempt came to, which is no part of the journal."""
        self.refused[len(self.history.attempts) - 1] = made
        self.history = self.history.ended(made.finish_reason)


def run_slots(prompts: Iterable[RoundPrompt]) -> list[RunSlot]:
    """The slots of a round in their order, none of them tried yet."""
    return [RunSlot(place, prompt) for prompt, place in by_slot(prompts)]


class AttemptLimits(Protocol):
    """How many attempts a run spends on a trajectory, and how long on an answer."""

    @property
    def attempts(self) -> int: ...

    @property
    def grading_timeout_seconds(self) -> float: ...


class Opened(Protocol):
    """What looking up slots needs of the work on a run (`pacore.runs.work.Work`)."""

    run: Run
    journal: Journal
    progress: Progress

    @property
    def limits(self) -> AttemptLimits: ...

    @property
    def is_generating(self) -> bool: ...

    def is_counted(self, trajectory_id: str) -> bool: ...

    def refused_ahead(self, trajectory_id: str) -> Generation | None: ...


class WantedSlot(NamedTuple):
    """A slot to look up the next attempts of; with a ``retry`` one that replaces what it has.

    ``found`` is called with each that the journal has.
    """

    slot: RunSlot
    retry: Retry | None = None
    found: Callable[[RunSlot, Request, Entry], None] | None = None


def look_up(work: Opened, wanted: Sequence[WantedSlot]) -> dict[int, Request]:
    """Add the next attempts that slots have had to their histories; returns what is still missing, by the
    place of its slot.

    A tombstone leads to the next attempt until this run has spent its own on the slot.
    """
    missing: dict[int, Request] = {}
    places: Sequence[int] = range(len(wanted))
    is_first = True
    while places:
        before = [wanted[place].slot.history for place in places]
        requests = [
            one.slot.begin(work.run.recipe, one.retry if is_first else None)
            for one in (wanted[place] for place in places)
        ]
        entries = work.journal.find_many([request.trajectory_id for request in requests])
        tombstones = []
        for place, earlier, request, entry in zip(places, before, requests, entries, strict=True):
            slot, found = wanted[place].slot, wanted[place].found
            if entry is not None:
                if found is not None:
                    found(slot, request, entry)
                if _note(work, slot, entry):
                    tombstones.append(place)
            elif (overflowed := work.refused_ahead(request.trajectory_id)) is not None:
                slot.refuse(overflowed)
            elif not work.is_generating and earlier.attempts and earlier.current.is_tombstone:
                # No attempt was made since.
                slot.history = earlier
            else:
                missing[place] = request
        places = tombstones
        is_first = False
    return dict(sorted(missing.items()))


def _note(work: Opened, slot: OpenSlot, entry: Entry) -> bool:
    """Note how the current attempt ended; returns whether another follows it."""
    made = entry.generation
    slot.history = slot.history.ended(made.finish_reason, entry.run_id != work.run.run_id)
    is_lost = slot.history.is_lost(work.limits.attempts)
    if work.is_counted(entry.trajectory_id):
        # It was made by this start of the run, which tries nothing twice.
        return False
    if made.is_finished:
        truncated = int(made.finish_reason == "length")
        work.progress.add_to(slot.place.round, RoundCounts(reused=1, truncated=truncated))
    elif is_lost:
        work.progress.add_to(slot.place.round, RoundCounts(failed=1))
    return not (made.is_finished or is_lost)
