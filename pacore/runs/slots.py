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
from pacore.runs.context import Context, OpenShard
from pacore.store.journal import Entry


@dataclass(slots=True)
class RunSlot(OpenSlot):
    """A slot of a run; ``refused`` has, by attempt, what the journal does not: context overflows."""

    refused: dict[int, Generation] = field(default_factory=dict)


OpenSet = tuple[list[RunSlot], Iterator[Pass]]
"""The slots of one message set while they are filled, and the passes that are left."""


def _open_set(
    context: Context, prompts: Sequence[RoundPrompt], retries: Sequence[Retry]
) -> OpenSet:
    slots = [RunSlot(place, prompt) for prompt, place in by_slot(prompts)]
    return slots, passes(context.run.plan, slots, retries, lambda: _outcomes(context, slots))


def _outcomes(context: Context, slots: Sequence[RunSlot]) -> list[SlotOutcome]:
    """What each slot came to, read from the journal where it was not yet.

    Texts are left out: what counts here is whether there is one.
    """
    changed = [slot for slot in slots if slot.outcome is None]
    currents = [(slot, len(slot.history.attempts) - 1) for slot in changed]
    for slot, current in zip(changed, trajectories_of(context, currents), strict=True):
        is_lost = slot.history.is_lost(context.config.attempts)
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
    context: Context,
    work: OpenShard,
    round_: int,
    sets: Iterable[Sequence[RoundPrompt]],
    retries: Sequence[Retry],
) -> list[RunSlot]:
    """Find each slot of some sets, given by their prompts, in the journal or have it generated.

    Returns when every slot has its attempts.
    """
    all_sets = [_open_set(context, prompts, retries) for prompts in sets]
    going = [(one, now) for one in all_sets if (now := next(one[1], None))]
    is_first = True
    while going:
        tried: list[tuple[RunSlot, Retry | None]] = []
        looked_up = time.monotonic()
        for (slots, _), now in going:
            context.progress.add(planned=0 if is_first else len(now.slots))
            tried += [(slots[number], now.retry) for number in now.slots]
        wanted = _look_up(context, tried)
        requests = [request for _, request in wanted]
        priority = context.priority(work, round_)
        filled = context.dispatcher.fill(
            requests, context.run.run_id, priority, context.note, looked_up
        )
        for (slot, _), result in zip(wanted, filled, strict=True):
            if result.generation is not None:
                slot.refused[len(slot.history.attempts) - 1] = result.generation
            slot.history = slot.history.ended(result.finish_reason)
        going = [(one, now) for one, _ in going if (now := next(one[1], None))]
        is_first = False
    return [slot for slots, _ in all_sets for slot in _filled(slots)]


def _look_up(
    context: Context, tried: Sequence[tuple[RunSlot, Retry | None]]
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
            slot.begin(context.run.recipe, retry if is_first else None)
            for slot, retry in (tried[place] for place in places)
        ]
        entries = context.journal.find_many([request.trajectory_id for request in requests])
        tombstones = []
        for place, earlier, request, entry in zip(places, before, requests, entries, strict=True):
            slot, _ = tried[place]
            if entry is not None:
                if _note(context, slot, entry):
                    tombstones.append(place)
            elif not context.generates and earlier.attempts and earlier.current.is_tombstone:
                # No attempt was made since.
                slot.history = earlier
            else:
                wanted[place] = slot, request
        places = tombstones
        is_first = False
    return [wanted[place] for place in sorted(wanted)]


def _note(context: Context, slot: OpenSlot, entry: Entry) -> bool:
    """Note how the current attempt ended; returns whether another follows it."""
    made = entry.generation
    slot.history = slot.history.ended(made.finish_reason, entry.run_id != context.run.run_id)
    is_lost = slot.history.is_lost(context.config.attempts)
    if made.is_finished:
        context.progress.add(reused=1)
    elif is_lost:
        context.progress.add(unfinished=1)
    return not (made.is_finished or is_lost)


def trajectories_of(
    context: Context, attempts: Iterable[tuple[RunSlot, int]]
) -> Iterator[Trajectory]:
    """Attempts at slots, each by its number, as trajectories: read back from the journal."""
    attempts, looked_up = tee(attempts)
    journalled = context.journal.find_many(
        slot.history.attempts[number].trajectory_id
        for slot, number in looked_up
        if number not in slot.refused
    )
    for slot, number in attempts:
        entry = _entry(context, slot, number, journalled)
        yield _trajectory(context, slot, number, entry)


def _entry(
    context: Context, slot: RunSlot, number: int, journalled: Iterator[Entry | None]
) -> Entry:
    """What an attempt came to: an overflow of this run, or the next of those that were journalled."""
    trajectory_id = slot.history.attempts[number].trajectory_id
    if (refused := slot.refused.get(number)) is not None:
        return Entry(trajectory_id, refused, context.run.run_id, datetime.now(UTC))
    entry = next(journalled)
    if entry is None:
        raise StoreError(f"trajectory {trajectory_id} is gone from the journal")
    return entry


def _trajectory(context: Context, slot: RunSlot, number: int, entry: Entry) -> Trajectory:
    attempt: Attempt = slot.history.attempts[number]
    text_run_id = context.run.run_id
    if attempt.reused and context.has_text(entry.run_id, attempt.trajectory_id):
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
