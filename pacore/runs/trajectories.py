"""The stage `trajectories`: fill every slot of one shard in one round, and publish the rows.

Each attempt that a slot has had or gets is found in the journal or generated now; the rows are read
back from the journal.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice, tee
from typing import NamedTuple

from pacore.core.grading.extraction.extract import EXTRACTION_VERSION
from pacore.core.policies.stops import SetStop
from pacore.core.quorum import Attempt, Retry, SlotOutcome, attempt_recipe
from pacore.core.round import (
    Fits,
    Pass,
    Round,
    RoundPrompt,
    anything_fits,
    fits_window,
    outcomes_of,
    passes,
)
from pacore.core.trajectory import FAILED, Request, Trajectory, normalise
from pacore.errors import StoreError
from pacore.runs.dispatch.dispatcher import filled
from pacore.runs.dispatch.in_work import RoundCounts, SetPlace
from pacore.runs.dispatch.writers import Filled, Follower
from pacore.runs.filling.decisions import GoOn
from pacore.runs.filling.slots import RunSlot, WantedSlot, look_up, run_slots
from pacore.runs.inputs import RoundInput, round_inputs
from pacore.runs.work import ShardWork, StageReport, Work
from pacore.store.commits import Commit, Draft, find_commit, publish
from pacore.store.journal import Entry
from pacore.store.schema import STOPS, TRAJECTORIES, TRAJECTORY_TEXTS


class _OpenSet(NamedTuple):
    """A message set while its slots are filled: its round, the passes that are left, and what follows its
    requests, if its next round may begin ahead. Under a rule that stops early ``go_on`` begins that.
    """

    round: Round
    slots: list[RunSlot]
    passes: Iterator[Pass]
    follower: Follower | None
    go_on: GoOn | None


def fill(shard: ShardWork, round_: int) -> StageReport:
    """Sample what a shard lacks in a round and commit its trajectories and their texts.

    Raises Interrupted when stopped, EngineUnavailable when no engine answers, StoreError.
    """
    work = shard.work
    commit = find_commit(work.store, shard.unit("trajectories", round_))
    if commit is None:
        with work.active(shard.priority(round_)):
            if work.ahead is not None:
                work.ahead.reach(shard.shard.number, round_)
            inputs = work.with_tables(lambda: list(_inputs(shard, round_)))
            retries = work.retries()
            sets = [_open_set(shard, round_, one, retries) for one in inputs]
            del inputs
            stops = _decide(shard, sets)
            slots = _fill_slots(shard, sets)
            del sets
            seen = {"retries": len(retries)} if retries else {}
            commit = work.with_tables(lambda: _publish(shard, round_, slots, stops, seen))
    else:
        settled, lost = commit.counts["slots"], commit.counts["unfinished"]
        aborted = commit.counts.get("aborted", 0)
        reused = settled - lost - aborted
        is_ruled = work.run.plan.step(round_).stopping is not None
        counts = RoundCounts(
            reused=reused, failed=lost, aborted=aborted, decided=settled if is_ruled else 0
        )
        work.progress.add_to(round_, counts)
    return StageReport.of(commit)


def _inputs(shard: ShardWork, round_: int) -> Iterator[RoundInput]:
    """Every message set that goes on, from the tables of the round before; all problems in round 1."""
    path = shard.committed("messages", round_ - 1).path if round_ > 1 else None
    yield from round_inputs(shard.work.store, shard.work.run, shard.shard, path)


def _fits_of(work: Work, round_: int) -> Fits:
    """Whether a prompt of a round fits, as far as the plan's policy asks."""
    is_fitted = round_ > 1 and work.run.plan.overflow == "fewer_messages"
    return _fits(work) if is_fitted else anything_fits


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


def _open_set(
    shard: ShardWork, number: int, given: RoundInput, retries: Sequence[Retry]
) -> _OpenSet:
    """The slots of P(x, M), within the engine's window as far as the plan's policy goes."""
    work, run = shard.work, shard.work.run
    problem, replicate, messages = given
    round_ = Round(run.plan, run.recipe, problem, (number, replicate), messages)
    slots = run_slots(round_.prompts(_fits_of(work, number)))
    follower, go_on = None, None
    if work.ahead is not None and not retries:
        fits_of = partial(_fits_of, work)
        if round_.step.stopping is None:
            follower = work.ahead.follow(round_, slots, shard.shard.number, fits_of)
        else:
            go_on = partial(work.ahead.decided, round_, shard.shard.number, fits_of)
    left = passes(run.plan, slots, retries, lambda: _outcomes(work, slots))
    return _OpenSet(round_, slots, left, follower, go_on)


def _decide(shard: ShardWork, sets: Sequence[_OpenSet]) -> list[SetStop]:
    """Take the first pass over sets that are under a rule, until it has decided each of them.

    Returns how it did, but for sets that wait for the engine.
    """
    decisions, number = shard.work.decisions, shard.shard.number
    ruled = [one for one in sets if one.round.step.stopping is not None]
    begun = [decisions.fill(one.round, one.slots, number, one.go_on) for one in ruled]
    stops = []
    for one, done in zip(ruled, begun, strict=True):
        next(one.passes)
        decided = done.result()
        for slot, same in zip(one.slots, decided.slots, strict=True):
            slot.history, slot.refused = same.history, same.refused
            slot.decided_at = same.decided_at
        decisions.take((one.round.place[0], one.round.problem.problem_id, one.round.place[1]))
        if decided.stop is not None:
            stops.append(decided.stop)
    return stops


def _fill_slots(shard: ShardWork, sets: Sequence[_OpenSet]) -> list[RunSlot]:
    """Find each slot of some sets in the journal or have it generated.

    Returns when every slot has its attempts.
    """
    work = shard.work
    going = [(one, now) for one in sets if (now := next(one.passes, None))]
    is_first = True
    while going:
        looked_up = time.monotonic()
        if not is_first:
            round_ = going[0][0].slots[0].place.round
            more = RoundCounts(planned=sum(len(now.slots) for _, now in going))
            work.progress.add_to(round_, more)
        wanted = _look_up(work, going)
        begun = [
            list(_begun(shard, one, [request for _, request in missing], looked_up))
            for (one, _), missing in zip(going, wanted, strict=True)
        ]
        for missing, parts in zip(wanted, begun, strict=True):
            results = [result for part in parts for result in filled(part)]
            for (slot, _), result in zip(missing, results, strict=True):
                if result.generation is not None:
                    slot.refuse(result.generation)
                else:
                    slot.history = slot.history.ended(result.finish_reason)
        going = [(one, now) for one, _ in going if (now := next(one.passes, None))]
        is_first = False
    return [slot for one in sets for slot in _filled(one.slots)]


def _begun(
    shard: ShardWork, one: _OpenSet, requests: Sequence[Request], looked_up: float
) -> Iterator[Future[list[Filled]]]:
    """Begin the requests of a set, by the priority of its problem (`WorkOrder.parts`)."""
    work, place = shard.work, one.slots[0].place
    number, problem_id = shard.shard.number, place.problem_id
    set_place = SetPlace(number, place.round, problem_id, place.replicate)
    parts = work.order.parts(
        number, place.round, problem_id, requests, is_followed=one.follower is not None
    )
    for part, hint in parts:
        yield work.begin(set_place, part, hint, looked_up, one.follower)


def _outcomes(work: Work, slots: Sequence[RunSlot]) -> list[SlotOutcome]:
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


def _filled(slots: Sequence[RunSlot]) -> Iterator[RunSlot]:
    """The slots of a set without the turns of their prompts, which hold its texts in memory."""
    without_turns = {slot.prompt.view: replace(slot.prompt, turns=()) for slot in slots}
    for slot in slots:
        slot.prompt = without_turns[slot.prompt.view]
        yield slot


_Missing = list[tuple[RunSlot, Request]]
"""Slots, in their order, with requests that are still to be made."""


def _look_up(work: Work, going: Sequence[tuple[_OpenSet, Pass]]) -> list[_Missing]:
    """Add the next attempts that slots have had to their histories; returns what each set still misses."""
    wanted = [
        WantedSlot(one.slots[slot], now.retry, partial(_keep, one.follower))
        for one, now in going
        for slot in now.slots
    ]
    missing = look_up(work, wanted)
    found = iter(range(len(wanted)))
    return [
        [
            (wanted[place].slot, missing[place])
            for place in islice(found, len(now.slots))
            if place in missing
        ]
        for _, now in going
    ]


def _keep(follower: Follower | None, slot: RunSlot, request: Request, entry: Entry) -> None:
    del slot
    if follower is not None:
        follower.kept(request, entry.generation)


def _publish(
    shard: ShardWork,
    round_: int,
    slots: Sequence[RunSlot],
    stops: Sequence[SetStop],
    seen: dict[str, int],
) -> Commit:
    """Derive the rows from the journal, in the order of the slots, a row at a time.

    ``stops`` is how a rule has decided sets; ``seen`` is counted with them: how many retries the run had.
    """
    work = shard.work
    texts = Draft(work.store, shard.unit("trajectory_texts", round_))
    rows = Draft(work.store, shard.unit("trajectories", round_))
    counts = {"slots": 0, "reused": 0, "unfinished": 0, "completion_tokens": 0, **seen}
    is_stopped_early = work.run.plan.step(round_).stopping is not None
    if is_stopped_early:
        counts["aborted"] = 0
    written: set[str] = set()
    with texts, rows:
        attempts = ((slot, n) for slot in slots for n in range(len(slot.history.attempts)))
        trajectories = _trajectories_of(work, attempts)
        for slot in slots:
            counts["slots"] += 1
            for trajectory in islice(trajectories, len(slot.history.attempts)):
                trajectory_id = trajectory.trajectory_id
                is_own = trajectory.text_run_id == work.run.run_id
                is_new = is_own and trajectory_id not in written
                # What was not sent or aborted has no text, and another run has it under the same id.
                has_text = trajectory.generation.finish_reason not in ("cancelled", "aborted")
                if is_new and has_text and not _is_kept(shard, trajectory_id):
                    texts.add(TRAJECTORY_TEXTS.row(trajectory))
                    written.add(trajectory_id)
                rows.add(TRAJECTORIES.row(trajectory))
                counts["reused"] += trajectory.reused
                if not trajectory.reused:
                    counts["completion_tokens"] += trajectory.generation.completion_tokens or 0
            counts["unfinished"] += trajectory.generation.finish_reason in FAILED
            if is_stopped_early:
                counts["aborted"] += trajectory.generation.finish_reason == "aborted"
        inputs = [shard.input_key("messages", round_ - 1)] if round_ > 1 else []
        texts.commit(inputs=inputs, producer=work.producer)
        if is_stopped_early:
            publish_stops(shard, round_, stops)
        return rows.commit(inputs=inputs, counts=counts, producer=work.producer)


def publish_stops(shard: ShardWork, round_: int, stops: Sequence[SetStop]) -> None:
    """Commit how a rule has decided the sets of a shard's round."""
    work = shard.work
    publish(
        work.store,
        shard.unit("stops", round_),
        map(STOPS.row, sorted(stops, key=lambda one: one.place)),
        inputs=[shard.input_key("messages", round_ - 1)] if round_ > 1 else [],
        counts={"sets": len(stops), "stopped": sum(one.is_stopped for one in stops)},
        producer={**work.producer, "extraction": EXTRACTION_VERSION},
    )


def _is_kept(shard: ShardWork, trajectory_id: str) -> bool:
    """Whether an earlier revision of the shard has stored a text already."""
    return shard.revision > 0 and shard.work.has_text(shard.work.run.run_id, trajectory_id)


def _trajectories_of(work: Work, attempts: Iterable[tuple[RunSlot, int]]) -> Iterator[Trajectory]:
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
        ended_at = slot.decided_at or datetime.now(UTC)
        return Entry(trajectory_id, refused, work.run.run_id, ended_at)
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
