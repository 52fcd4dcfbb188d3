"""The stage `trajectories`: fill every slot of one shard in one round, and publish the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from pacore.commits import Commit, Draft, find_commit
from pacore.dispatch import Filled, result_of
from pacore.errors import StoreError
from pacore.journal import Entry
from pacore.rounds import RoundPrompt, round_prompt
from pacore.stage.context import Context, OpenShard, StageReport
from pacore.tables import text_row, trajectory_row
from pacore.trajectory import Generation, Request, Slot, Trajectory, normalise
from pacore.warehouse import message_sets


@dataclass(slots=True)
class _Attempt:
    """One attempt at a slot; ``generation`` only where the journal has none (context overflow)."""

    trajectory_id: str
    seed: int
    was_there: bool
    generation: Generation | None = None


@dataclass(slots=True)
class _Filling:
    """One slot with its attempts, the standing one last."""

    place: Slot
    prompt_digest: str
    attempts: list[_Attempt] = field(default_factory=list)


def fill(context: Context, work: OpenShard, round_: int) -> StageReport:
    """Sample what a shard lacks in a round and commit its trajectories and their texts.

    Raises Interrupted when stopped, EngineUnavailable when no engine answers, StoreError.
    """
    unit = context.unit("trajectories", round_, work)
    commit = find_commit(context.store, unit)
    if commit is None:
        with context.active(work, round_):
            prompts = context.with_tables(lambda: list(_prompts(context, work, round_)))
            fillings = _settle(context, work, round_, prompts)
            del prompts
            commit = context.with_tables(lambda: _publish(context, work, round_, fillings))
    else:
        settled, lost = commit.counts["slots"], commit.counts["unfinished"]
        context.progress.add(reused=settled - lost, unfinished=lost)
    return StageReport(unit.table, unit.name, round_, commit.path, commit.rows, commit.counts)


def _prompts(context: Context, work: OpenShard, round_: int) -> Iterator[RoundPrompt]:
    """P(x, M) of every message set that goes on, from the tables of the round before."""
    run = context.run
    problems = iter(context.problems(context.shards[work.number]))
    if round_ == 1:
        for problem in problems:
            for replicate in range(run.plan.replicates):
                yield round_prompt(run.plan, run.recipe, problem, (1, replicate))
        return
    before = find_commit(context.store, context.unit("messages", round_ - 1, work))
    if before is None:
        raise StoreError(f"{context.input_of('messages', round_ - 1, work)}: is not committed")
    problem = next(problems)
    for (problem_id, replicate), texts, _ in message_sets(context.store.uri(before.path)):
        while problem.problem_id != problem_id:
            problem = next(problems)
        yield round_prompt(run.plan, run.recipe, problem, (round_, replicate), texts)


def _settle(
    context: Context, work: OpenShard, round_: int, prompts: Iterable[RoundPrompt]
) -> list[_Filling]:
    """Find each slot in the journal or have it generated; returns when every slot is settled."""
    fillings = []
    waiting: list[tuple[_Attempt, Future[Filled]]] = []
    for prompt in prompts:
        for slot in prompt.slots():
            filling = _Filling(slot, prompt.digest)
            fillings.append(filling)
            request = _look_up(context, prompt, filling)
            if request is not None:
                priority = (-round_, work.number)
                future = context.dispatcher.submit(request, context.run.run_id, priority)
                waiting.append((filling.attempts[-1], future))
    for attempt, future in waiting:
        filled = result_of(future)
        attempt.generation = filled.generation
        context.progress.add(
            generated=int(filled.is_finished),
            unfinished=int(not filled.is_finished),
            completion_tokens=filled.completion_tokens,
        )
    return fillings


def _look_up(context: Context, prompt: RoundPrompt, filling: _Filling) -> Request | None:
    """Note the attempts a slot has had; returns the request still to be made, if any.

    A tombstone leads to the next attempt until this run has spent its own on the slot.
    """
    own_tombstones = 0
    for attempt in count():
        request = prompt.request(context.run.recipe, filling.place.draw, attempt)
        entry = context.journal.find(request.trajectory_id)
        was_there = entry is not None
        filling.attempts.append(_Attempt(request.trajectory_id, request.seed, was_there))
        if entry is None:
            return request
        if entry.generation.is_finished:
            context.progress.add(reused=1)
            return None
        own_tombstones += entry.run_id == context.run.run_id
        if own_tombstones >= context.config.attempts:
            context.progress.add(unfinished=1)
            return None
    return None


def _publish(
    context: Context, work: OpenShard, round_: int, fillings: Iterable[_Filling]
) -> Commit:
    """Derive the rows from the journal, in the order of the slots, a row at a time."""
    texts = Draft(context.store, context.unit("trajectory_texts", round_, work))
    rows = Draft(context.store, context.unit("trajectories", round_, work))
    counts = {"slots": 0, "reused": 0, "unfinished": 0, "completion_tokens": 0}
    written: set[str] = set()
    with texts, rows:
        for filling in fillings:
            counts["slots"] += 1
            for trajectory in _trajectories(context, filling):
                trajectory_id = trajectory.trajectory_id
                is_own = trajectory.text_run_id == context.run.run_id
                if (
                    is_own
                    and trajectory_id not in written
                    and not _is_kept(context, work, trajectory_id)
                ):
                    texts.add(text_row(trajectory))
                    written.add(trajectory_id)
                rows.add(trajectory_row(trajectory))
                counts["reused"] += trajectory.reused
                if not trajectory.reused:
                    counts["completion_tokens"] += trajectory.generation.completion_tokens or 0
            counts["unfinished"] += not trajectory.generation.is_finished
        inputs = [context.input_of("messages", round_ - 1, work)] if round_ > 1 else []
        texts.commit(inputs=inputs, producer=context.producer)
        return rows.commit(inputs=inputs, counts=counts, producer=context.producer)


def _is_kept(context: Context, work: OpenShard, trajectory_id: str) -> bool:
    """Whether an earlier revision of the shard has stored a text already."""
    return work.revision > 0 and context.has_text(context.run.run_id, trajectory_id)


def _trajectories(context: Context, filling: _Filling) -> Iterator[Trajectory]:
    for number, attempt in enumerate(filling.attempts):
        entry = _entry(context, attempt)
        reused = attempt.was_there and entry.run_id != context.run.run_id
        text_run_id = context.run.run_id
        if reused and context.has_text(entry.run_id, attempt.trajectory_id):
            text_run_id = entry.run_id
        yield Trajectory(
            place=filling.place,
            trajectory_id=attempt.trajectory_id,
            attempt=number,
            seed=attempt.seed,
            prompt_digest=filling.prompt_digest,
            generation=entry.generation,
            thought=normalise(entry.generation),
            reused=reused,
            text_run_id=text_run_id,
            generated_at=entry.generated_at,
        )


def _entry(context: Context, attempt: _Attempt) -> Entry:
    if attempt.generation is not None:
        own, now = context.run.run_id, datetime.now(UTC)
        return Entry(attempt.trajectory_id, attempt.generation, own, now)
    entry = context.journal.find(attempt.trajectory_id)
    if entry is None:
        raise StoreError(f"trajectory {attempt.trajectory_id} is gone from the journal")
    return entry
