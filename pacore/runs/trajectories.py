"""The stage `trajectories`: fill every slot of one shard in one round, and publish the rows.

Each attempt that a slot has had or gets is found in the journal or generated now; the rows are read
back from the journal.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice, tee

from pacore.core.quorum import Attempt, Retry, SlotOutcome, attempt_recipe
from pacore.core.round import (
    Fits,
    OpenSlot,
    Pass,
    Round,
    RoundPrompt,
    anything_fits,
    by_slot,
    fits_window,
    outcomes_of,
    passes,
)
from pacore.core.trajectory import Generation, Request, Trajectory, normalise
from pacore.errors import StoreError
from pacore.runs.dispatch.dispatcher import Priority
from pacore.runs.inputs import RoundInput, round_inputs
from pacore.runs.work import ShardWork, StageReport, Work
from pacore.store.commits import Commit, Draft, find_commit
from pacore.store.journal import Entry
from pacore.store.schema import TRAJECTORIES, TRAJECTORY_TEXTS


@dataclass(slots=True)
class _RunSlot(OpenSlot):
    """A slot of a run; ``refused`` has, by attempt, what the journal does not: context overflows."""

    refused: dict[int, Generation] = field(default_factory=dict)


_OpenSet = tuple[list[_RunSlot], Iterator[Pass]]
"""The slots of one message set while they are filled, and the passes that are left."""


def fill(shard: ShardWork, round_: int) -> StageReport:
    """Sample what a shard lacks in a round and commit its trajectories and their texts.

    Raises Interrupted when stopped, EngineUnavailable when no engine answers, StoreError.
    """
    work = shard.work
    commit = find_commit(work.store, shard.unit("trajectories", round_))
    if commit is None:
        with work.active(shard.priority(round_)):
            inputs = work.with_tables(lambda: list(_inputs(shard, round_)))
            sets = _prompts(work, round_, inputs)
            del inputs
            retries = work.retries()
            slots = _fill_slots(work, shard.priority(round_), sets, retries)
            del sets
            seen = {"retries": len(retries)} if retries else {}
            commit = work.with_tables(lambda: _publish(shard, round_, slots, seen))
    else:
        settled, lost = commit.counts["slots"], commit.counts["unfinished"]
        work.progress.add(reused=settled - lost, unfinished=lost)
    return StageReport.of(commit)


def _inputs(shard: ShardWork, round_: int) -> Iterator[RoundInput]:
    """Every message set that goes on, from the tables of the round before; all problems in round 1."""
    path = shard.committed("messages", round_ - 1).path if round_ > 1 else None
    yield from round_inputs(shard.work.store, shard.work.run, shard.shard, path)


def _prompts(work: Work, round_: int, inputs: Iterable[RoundInput]) -> list[list[RoundPrompt]]:
    """P(x, M) of each set, within the engine's window as far as the plan's policy goes."""
    run = work.run
    is_fitted = round_ > 1 and run.plan.overflow == "fewer_messages"
    fits = _fits(work) if is_fitted else anything_fits
    return [
        Round(run.plan, run.recipe, problem, (round_, replicate), messages).prompts(fits)
        for problem, replicate, messages in inputs
    ]


def _fits(work: Work) -> Fits:
    """Whether a prompt and its answer fit the engine's window, as far as the engine counts."""
    window_tokens = work.engine.info().window_tokens

    def fits(prompt: RoundPrompt) -> bool:
        recipe = attempt_recipe(work.run.recipe, prompt.max_tokens)
        request = prompt.request(recipe, prompt.draws[0])
        return fits_window(
            prompt.turns,
            recipe.max_tokens,
            window_tokens,
            lambda: work.engine.count_prompt_tokens(request),
        )

    return fits


def _fill_slots(
    work: Work,
    priority: Priority,
    sets: Iterable[Sequence[RoundPrompt]],
    retries: Sequence[Retry],
) -> list[_RunSlot]:
    """Find each slot of some sets, given by their prompts, in the journal or have it generated.

    Returns when every slot has its attempts.
    """
    all_sets = [_open_set(work, prompts, retries) for prompts in sets]
    going = [(one, now) for one in all_sets if (now := next(one[1], None))]
    is_first = True
    while going:
        tried: list[tuple[_RunSlot, Retry | None]] = []
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


def _open_set(work: Work, prompts: Sequence[RoundPrompt], retries: Sequence[Retry]) -> _OpenSet:
    slots = [_RunSlot(place, prompt) for prompt, place in by_slot(prompts)]
    return slots, passes(work.run.plan, slots, retries, lambda: _outcomes(work, slots))


def _outcomes(work: Work, slots: Sequence[_RunSlot]) -> list[SlotOutcome]:
    """What each slot came to, read from the journal where it was not yet.

    Texts are left out: what counts here is whether there is one.
    """
    changed = [slot for slot in slots if slot.outcome is None]
    currents = [(slot, len(slot.history.attempts) - 1) for slot in changed]
    for slot, current in zip(changed, _trajectories_of(work, currents), strict=True):
        is_lost = slot.history.is_lost(work.limits.attempts)
        refills = slot.history.refills
        outcome = SlotOutcome.of(current, slot.prompt.compaction, refills, is_lost)
        text = None if outcome.candidate.text is None else ""
        slot.outcome = replace(outcome, candidate=replace(outcome.candidate, text=text))
    return outcomes_of(slots)


def _filled(slots: Sequence[_RunSlot]) -> Iterator[_RunSlot]:
    """The slots of a set without the turns of their prompts, which hold its texts in memory."""
    without_turns = {slot.prompt.view: replace(slot.prompt, turns=()) for slot in slots}
    for slot in slots:
        slot.prompt = without_turns[slot.prompt.view]
        yield slot


def _look_up(
    work: Work, tried: Sequence[tuple[_RunSlot, Retry | None]]
) -> list[tuple[_RunSlot, Request]]:
    """Add the next attempts that slots have had to their histories; returns the requests that are
    still to be made, in slot order.

    A tombstone leads to the next attempt until this run has spent its own on the slot.
    """
    wanted: dict[int, tuple[_RunSlot, Request]] = {}
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


def _publish(
    shard: ShardWork,
    round_: int,
    slots: Sequence[_RunSlot],
    seen: dict[str, int],
) -> Commit:
    """Derive the rows from the journal, in the order of the slots, a row at a time.

    ``seen`` is counted with them: how many retries the run had.
    """
    work = shard.work
    texts = Draft(work.store, shard.unit("trajectory_texts", round_))
    rows = Draft(work.store, shard.unit("trajectories", round_))
    counts = {"slots": 0, "reused": 0, "unfinished": 0, "completion_tokens": 0, **seen}
    written: set[str] = set()
    with texts, rows:
        attempts = ((slot, n) for slot in slots for n in range(len(slot.history.attempts)))
        trajectories = _trajectories_of(work, attempts)
        for slot in slots:
            counts["slots"] += 1
            for trajectory in islice(trajectories, len(slot.history.attempts)):
                trajectory_id = trajectory.trajectory_id
                is_own = trajectory.text_run_id == work.run.run_id
                if is_own and trajectory_id not in written and not _is_kept(shard, trajectory_id):
                    texts.add(TRAJECTORY_TEXTS.row(trajectory))
                    written.add(trajectory_id)
                rows.add(TRAJECTORIES.row(trajectory))
                counts["reused"] += trajectory.reused
                if not trajectory.reused:
                    counts["completion_tokens"] += trajectory.generation.completion_tokens or 0
            counts["unfinished"] += not trajectory.generation.is_finished
        inputs = [shard.input_key("messages", round_ - 1)] if round_ > 1 else []
        texts.commit(inputs=inputs, producer=work.producer)
        return rows.commit(inputs=inputs, counts=counts, producer=work.producer)


def _is_kept(shard: ShardWork, trajectory_id: str) -> bool:
    """Whether an earlier revision of the shard has stored a text already."""
    return shard.revision > 0 and shard.work.has_text(shard.work.run.run_id, trajectory_id)


def _trajectories_of(work: Work, attempts: Iterable[tuple[_RunSlot, int]]) -> Iterator[Trajectory]:
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


def _entry(work: Work, slot: _RunSlot, number: int, journalled: Iterator[Entry | None]) -> Entry:
    """What an attempt came to: an overflow of this run, or the next of those that were journalled."""
    trajectory_id = slot.history.attempts[number].trajectory_id
    if (refused := slot.refused.get(number)) is not None:
        return Entry(trajectory_id, refused, work.run.run_id, datetime.now(UTC))
    entry = next(journalled)
    if entry is None:
        raise StoreError(f"trajectory {trajectory_id} is gone from the journal")
    return entry


def _trajectory(work: Work, slot: _RunSlot, number: int, entry: Entry) -> Trajectory:
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
