"""Filling slots: each attempt one has had or gets, found in the journal or generated now."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import tee

from pacore.core.quorum import Attempt, Retry, SlotOutcome
from pacore.core.round import OpenSlot, Pass, RoundPrompt, by_slot, outcomes_of, passes
from pacore.core.trajectory import Generation, Request, Trajectory, normalise
from pacore.errors import StoreError
from pacore.runs.dispatch.dispatcher import Priority
from pacore.runs.work import Work
from pacore.store.journal import Entry


@dataclass(slots=True)
class RunSlot(OpenSlot):
    """A slot of a run; ``refused`` has, by attempt, what the journal does not: context overflows."""

    refused: dict[int, Generation] = field(default_factory=dict)


OpenSet = tuple[list[RunSlot], Iterator[Pass]]
"""The slots of one message set while they are filled, and the passes that are left."""


def _open_set(work: Work, prompts: Sequence[RoundPrompt], retries: Sequence[Retry]) -> OpenSet:
    slots = [RunSlot(place, prompt) for prompt, place in by_slot(prompts)]
    return slots, passes(work.run.plan, slots, retries, lambda: _outcomes(work, slots))


def _outcomes(work: Work, slots: Sequence[RunSlot]) -> list[SlotOutcome]:
    """What each slot came to, read from the journal where it was not yet.

    Texts are left out: what counts here is whether there is one.
    """
    changed = [slot for slot in slots if slot.outcome is None]
    currents = [(slot, len(slot.history.attempts) - 1) for slot in changed]
    for slot, current in zip(changed, trajectories_of(work, currents), strict=True):
        is_lost = slot.history.is_lost(work.limits.attempts)
        refills = slot.history.refills
        outcome = SlotOutcome.of(current, slot.prompt.compaction, refills, is_lost)
        text = None if outcome.candidate.text is None else ""
        slot.outcome = replace(outcome, candidate=replace(outcome.candidate, text=text))
    return outcomes_of(slots)


def _filled(slots: Sequence[RunSlot]) -> Iterator[RunSlot]:
    """The slots of a set without the turns of their prompts, which hold its texts in memory."""
    without_turns = {slot.prompt.view: replace(slot.prompt, turns=()) for slot in slots}
    for slot in slots:
        slot.prompt = without_turns[slot.prompt.view]
        yield slot


def fill_slots(
    work: Work,
    priority: Priority,
    sets: Iterable[Sequence[RoundPrompt]],
    retries: Sequence[Retry],
) -> list[RunSlot]:
    """Find each slot of some sets, given by their prompts, in the journal or have it generated.

    Returns when every slot has its attempts.
    """
    all_sets = [_open_set(work, prompts, retries) for prompts in sets]
    going = [(one, now) for one in all_sets if (now := next(one[1], None))]
    is_first = True
    while going:
        tried: list[tuple[RunSlot, Retry | None]] = []
        looked_up = time.monotonic()
        for (slots, _), now in going:
            work.progress.add(planned=0 if is_first else len(now.slots))
            tried += [(slots[number], now.retry) for number in now.slots]
        wanted = _look_up(work, tried)
        filled = work.generate([request for _, request in wanted], priority, looked_up)
        for (slot, _), result in zip(wanted, filled, strict=True):
            if result.generation is not None:
                slot.refused[len(slot.history.attempts) - 1] = result.generation
            slot.history = slot.history.ended(result.finish_reason)
        going = [(one, now) for one, _ in going if (now := next(one[1], None))]
        is_first = False
    return [slot for slots, _ in all_sets for slot in _filled(slots)]


def _look_up(
    work: Work, tried: Sequence[tuple[RunSlot, Retry | None]]
) -> list[tuple[RunSlot, Request]]:
    """Add the next attempts that slots have had to their histories; returns the requests that are
    still to be made, in slot order.

    A tombstone leads to the next attempt until this run has spent its own on the slot.
    """
    wanted: dict[int, tuple[RunSlot, Request]] = {}
    places: Sequence[int] = range(len(tried))
    is_first = True
    while places:
        before = [tried[place][0].history for place in places]
        requests = [
            slot.begin(work.run.recipe, retry if is_first else None)
            for slot, retry in (tried[place] for place in places)
        ]
        entries = work.journal.find_many([request.trajectory_id for request in requests])
        tombstones = []
        for place, earlier, request, entry in zip(places, before, requests, entries, strict=True):
            slot, _ = tried[place]
            if entry is not None:
                if _note(work, slot, entry):
                    tombstones.append(place)
            elif not work.is_generating and earlier.attempts and earlier.current.is_tombstone:
                # No attempt was made since.
                slot.history = earlier
            else:
                wanted[place] = slot, request
        places = tombstones
        is_first = False
    return [wanted[place] for place in sorted(wanted)]


def _note(work: Work, slot: OpenSlot, entry: Entry) -> bool:
    """Note how the current attempt ended; returns whether another follows it."""
    made = entry.generation
    slot.history = slot.history.ended(made.finish_reason, entry.run_id != work.run.run_id)
    is_lost = slot.history.is_lost(work.limits.attempts)
    if made.is_finished:
        work.progress.add(reused=1)
    elif is_lost:
        work.progress.add(unfinished=1)
    return not (made.is_finished or is_lost)


def trajectories_of(work: Work, attempts: Iterable[tuple[RunSlot, int]]) -> Iterator[Trajectory]:
    """Attempts at slots, each by its number, as trajectories: read back from the journal."""
    attempts, looked_up = tee(attempts)
    journalled = work.journal.find_many(
        slot.history.attempts[number].trajectory_id
        for slot, number in looked_up
        if number not in slot.refused
    )
    for slot, number in attempts:
        entry = _entry(work, slot, number, journalled)
        yield _trajectory(work, slot, number, entry)


def _entry(work: Work, slot: RunSlot, number: int, journalled: Iterator[Entry | None]) -> Entry:
    """What an attempt came to: an overflow of this run, or the next of those that were journalled."""
    trajectory_id = slot.history.attempts[number].trajectory_id
    if (refused := slot.refused.get(number)) is not None:
        return Entry(trajectory_id, refused, work.run.run_id, datetime.now(UTC))
    entry = next(journalled)
    if entry is None:
        raise StoreError(f"trajectory {trajectory_id} is gone from the journal")
    return entry


def _trajectory(work: Work, slot: RunSlot, number: int, entry: Entry) -> Trajectory:
    attempt: Attempt = slot.history.attempts[number]
    text_run_id = work.run.run_id
    if attempt.reused and work.has_text(entry.run_id, attempt.trajectory_id):
        text_run_id = entry.run_id
    return Trajectory(
        place=slot.place,
        trajectory_id=attempt.trajectory_id,
        attempt=number,
        seed=attempt.seed,
        prompt_digest=slot.prompt.digest,
        generation=entry.generation,
        thought=normalise(entry.generation),
        reused=attempt.reused,
        text_run_id=text_run_id,
        generated_at=entry.generated_at,
        prompt_messages=slot.prompt.prompt_messages,
        max_tokens=attempt.max_tokens,
        retry_of=attempt.retry_of,
        prompt_positions=slot.prompt.positions,
    )
