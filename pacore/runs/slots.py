"""Filling slots: each attempt one has had or gets, found in the journal or generated now."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import tee

from pacore.core.quorum import Pass, Retry, Standing, attempt_limit, attempt_recipe, passes
from pacore.core.round import RoundPrompt, by_slot
from pacore.core.trajectory import Generation, Request, Slot, Trajectory, normalise
from pacore.errors import StoreError
from pacore.runs.context import Context, OpenShard
from pacore.store.journal import Entry


@dataclass(slots=True)
class Attempt:
    """One attempt at a slot; ``generation`` only where the journal has none (context overflow)."""

    trajectory_id: str
    seed: int
    was_there: bool
    max_tokens: int | None = None
    retry_of: str | None = None
    is_finished: bool = False
    generation: Generation | None = None


@dataclass(slots=True)
class Filling:
    """One slot with its attempts, the standing one last.

    ``drawn_from`` is its prompt without the turns, which would hold a shard's texts in memory.
    ``retry`` is the one it was last chosen by, if any; ``finished`` and ``tombstones``, those this
    run itself saw fail, count since then.
    """

    place: Slot
    drawn_from: RoundPrompt
    attempts: list[Attempt] = field(default_factory=list)
    retry: Retry | None = None
    retry_of: str | None = None
    finished: int = 0
    tombstones: int = 0
    standing: Standing | None = None

    def begin(self, retry: Retry) -> None:
        """From here on attempts are the retry's."""
        self.retry, self.retry_of = retry, self.attempts[-1].trajectory_id
        self.finished = self.tombstones = 0

    @property
    def max_tokens(self) -> int | None:
        return attempt_limit(self.drawn_from.max_tokens, self.retry)

    @property
    def ended_unfinished(self) -> bool:
        """Whether the attempt before the last is a tombstone, so that the slot waits for another."""
        return len(self.attempts) > 1 and not self.attempts[-2].is_finished

    def settle(self, is_finished: bool, is_own: bool) -> None:
        """Note how the last attempt ended."""
        self.attempts[-1].is_finished = is_finished
        self.finished += is_finished
        self.tombstones += is_own and not is_finished
        self.standing = None


OpenSlot = tuple[RoundPrompt, Filling]
"""A slot to be tried now, and its prompt."""


class SetSlots:
    """The slots of one set while they are filled, pass after pass."""

    def __init__(
        self, context: Context, prompts: Sequence[RoundPrompt], retries: Sequence[Retry]
    ) -> None:
        self._context = context
        slots = by_slot(prompts)
        places = [place for _, place in slots]
        without_turns = {prompt.view: replace(prompt, turns=()) for prompt in prompts}
        self.prompts = [prompt for prompt, _ in slots]
        self.fillings = [Filling(place, without_turns[prompt.view]) for prompt, place in slots]
        self.passes: Iterator[Pass] = passes(
            context.run.plan, places, retries, self._ids, self._standings
        )

    def _ids(self) -> list[str]:
        return [filling.attempts[-1].trajectory_id for filling in self.fillings]

    def _standings(self) -> list[Standing]:
        changed = [filling for filling in self.fillings if filling.standing is None]
        lasts = [(filling, len(filling.attempts) - 1) for filling in changed]
        for filling, last in zip(changed, trajectories_of(self._context, lasts), strict=True):
            filling.standing = self._standing(filling, last)
        return [filling.standing for filling in self.fillings if filling.standing]

    def _standing(self, filling: Filling, last: Trajectory) -> Standing:
        """What stands in a slot, its text left out: what counts here is whether there is one."""
        is_lost = filling.tombstones >= self._context.config.attempts
        standing = Standing.of(
            last,
            filling.drawn_from.compaction,
            refills=max(0, filling.finished - 1),
            is_lost=is_lost and not last.generation.is_finished,
        )
        text = None if standing.candidate.text is None else ""
        return replace(standing, candidate=replace(standing.candidate, text=text))


def settle(
    context: Context,
    work: OpenShard,
    round_: int,
    sets: Iterable[Sequence[RoundPrompt]],
    retries: Sequence[Retry],
) -> list[Filling]:
    """Find each slot of some sets, given by their prompts, in the journal or have it generated.

    Returns when every slot is settled.
    """
    all_sets = [SetSlots(context, prompts, retries) for prompts in sets]
    going = [(slots, now) for slots in all_sets if (now := next(slots.passes, None))]
    is_first = True
    while going:
        open_slots: list[OpenSlot] = []
        looked_up = time.monotonic()
        for slots, now in going:
            context.progress.add(planned=0 if is_first else len(now.slots))
            for slot in now.slots:
                filling = slots.fillings[slot]
                if now.retry is not None:
                    filling.begin(now.retry)
                open_slots.append((slots.prompts[slot], filling))
        wanted = _look_up(context, open_slots)
        requests = [request for _, request in wanted]
        priority = context.priority(work, round_)
        filled = context.dispatcher.fill(
            requests, context.run.run_id, priority, context.note, looked_up
        )
        for (filling, _), one in zip(wanted, filled, strict=True):
            filling.attempts[-1].generation = one.generation
            filling.settle(one.is_finished, is_own=True)
        going = [(slots, now) for slots, _ in going if (now := next(slots.passes, None))]
        is_first = False
    return [filling for slots in all_sets for filling in slots.fillings]


def _look_up(context: Context, open_slots: Sequence[OpenSlot]) -> list[tuple[Filling, Request]]:
    """Note the next attempts slots have had; returns the requests still to be made, in slot order.

    A tombstone leads to the next attempt until this run has spent its own on the slot.
    """
    wanted: dict[int, tuple[Filling, Request]] = {}
    places: Sequence[int] = range(len(open_slots))
    while places:
        requests = [_next_request(context, *open_slots[place]) for place in places]
        entries = context.journal.find_many([request.trajectory_id for request in requests])
        tombstones = []
        for place, request, entry in zip(places, requests, entries, strict=True):
            _, filling = open_slots[place]
            if _note(context, filling, request, entry):
                tombstones.append(place)
            elif entry is None and not context.generates and filling.ended_unfinished:
                # Nobody has tried it since.
                filling.attempts.pop()
            elif entry is None:
                wanted[place] = filling, request
        places = tombstones
    return [wanted[place] for place in sorted(wanted)]


def _next_request(context: Context, prompt: RoundPrompt, filling: Filling) -> Request:
    recipe = attempt_recipe(context.run.recipe, filling.max_tokens)
    return prompt.request(recipe, filling.place.draw, len(filling.attempts))


def _note(context: Context, filling: Filling, request: Request, entry: Entry | None) -> bool:
    """Note a slot's next attempt, and how it ended if it did; returns whether another follows it."""
    attempt = Attempt(
        request.trajectory_id,
        request.seed,
        entry is not None,
        filling.max_tokens,
        filling.retry_of,
    )
    filling.attempts.append(attempt)
    if entry is None:
        return False
    filling.settle(entry.generation.is_finished, entry.run_id == context.run.run_id)
    is_lost = filling.tombstones >= context.config.attempts
    if entry.generation.is_finished:
        context.progress.add(reused=1)
    elif is_lost:
        context.progress.add(unfinished=1)
    return not (entry.generation.is_finished or is_lost)


def trajectories_of(
    context: Context, attempts: Iterable[tuple[Filling, int]]
) -> Iterator[Trajectory]:
    """Attempts at slots, each by its number, as trajectories: read back from the journal."""
    attempts, asked = tee(attempts)
    journalled = context.journal.find_many(
        attempt.trajectory_id
        for filling, number in asked
        if (attempt := filling.attempts[number]).generation is None
    )
    for filling, number in attempts:
        entry = _entry(context, filling.attempts[number], journalled)
        yield _trajectory(context, filling, number, entry)


def _entry(context: Context, attempt: Attempt, journalled: Iterator[Entry | None]) -> Entry:
    """What an attempt came to: its own, or the next of those that were journalled."""
    if attempt.generation is not None:
        own, now = context.run.run_id, datetime.now(UTC)
        return Entry(attempt.trajectory_id, attempt.generation, own, now)
    entry = next(journalled)
    if entry is None:
        raise StoreError(f"trajectory {attempt.trajectory_id} is gone from the journal")
    return entry


def _trajectory(context: Context, filling: Filling, number: int, entry: Entry) -> Trajectory:
    attempt = filling.attempts[number]
    reused = attempt.was_there and entry.run_id != context.run.run_id
    text_run_id = context.run.run_id
    if reused and context.has_text(entry.run_id, attempt.trajectory_id):
        text_run_id = entry.run_id
    return Trajectory(
        place=filling.place,
        trajectory_id=attempt.trajectory_id,
        attempt=number,
        seed=attempt.seed,
        prompt_digest=filling.drawn_from.digest,
        generation=entry.generation,
        thought=normalise(entry.generation),
        reused=reused,
        text_run_id=text_run_id,
        generated_at=entry.generated_at,
        prompt_messages=filling.drawn_from.prompt_messages,
        max_tokens=attempt.max_tokens,
        retry_of=attempt.retry_of,
        prompt_positions=filling.drawn_from.positions,
    )
