"""A finished run that was never sampled: published through the stages' own functions, without a journal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pacore.core.answer import Answer
from pacore.core.config.run import RunConfig
from pacore.core.message import Message
from pacore.core.plan import Shard
from pacore.core.trajectory import Generation, Slot, Trajectory, normalise
from pacore.problems.files import read_problem_set
from pacore.runs.start import start_run
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import publish, write_snapshot
from pacore.store.layout import OWN, Unit
from pacore.store.run import Run, close_run
from pacore.store.schema import TABLES, Row
from tests.fixtures.small_store import own_verdict

WIDTH = 16
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def _trajectory(run: Run, problem_id: str, round_: int, slot: int) -> Trajectory:
    place = Slot(round_, problem_id, 0, slot, slot)
    # Not the ids that sampling would give: a run that is closed is not sampled again.
    trajectory_id = f"{abs(hash((problem_id, round_, slot))):032x}"[-32:]
    made = Generation(
        finish_reason="stop",
        content=f"Both ways agree. The answer is \\boxed{{{slot}}}.",
        reasoning=f"Let me look at {problem_id} once more, now for the {slot}th time. " * 8,
        prompt_tokens=40,
        completion_tokens=120 + slot,
        usage_source="server",
        error=None,
        engine="scripted",
        latency_seconds=0.1,
    )
    return Trajectory(
        place=place,
        trajectory_id=trajectory_id,
        attempt=0,
        seed=slot,
        prompt_digest=problem_id,
        generation=made,
        thought=normalise(made),
        text_run_id=run.run_id,
        generated_at=WHEN,
    )


def _publish(store: Backend, run: Run, shard: Shard, problem_ids: list[str]) -> None:
    """All units of one shard."""
    last = run.plan.rounds
    made = {
        round_: [
            _trajectory(run, problem_id, round_, slot)
            for problem_id in problem_ids
            for slot in range(run.plan.width(round_))
        ]
        for round_ in range(1, last + 1)
    }
    for round_, trajectories in made.items():
        messages = [
            Message(
                round_, t.place.problem_id, 0, t.place.slot + 1, t.trajectory_id,
                t.thought.conclusion or "", "conclusion/1",
            )
            for t in trajectories
        ]  # fmt: skip
        slots = len(trajectories)
        counts = {"slots": slots, "reused": 0, "unfinished": 0, "completion_tokens": slots}
        _put(store, run, ("trajectory_texts", round_, shard), trajectories, {})
        _put(store, run, ("trajectories", round_, shard), trajectories, counts)
        _put(store, run, ("messages", round_, shard), messages, {"sets": len(problem_ids)})
    ends = [
        Answer(t.place.problem_id, 0, "0", "boxed", t.trajectory_id, "stop", "answered", None, None)
        for t in made[last]
    ]
    graded = [own_verdict(answer, "correct", 1.0, "0", "math") for answer in ends]
    _put(store, run, ("answers", last, shard), ends, {"answered": len(ends), "retryable": 0})
    _put(store, run, ("verdicts", last, shard), graded, {"correct": len(graded)})


def _put(
    store: Backend,
    run: Run,
    place: tuple[str, int, Shard],
    items: list[Any],
    counts: dict[str, int],
) -> None:
    table, round_, shard = place
    rows: Iterator[Row] = map(TABLES[table].row, items)
    grading = OWN if table == "verdicts" else ""
    unit = Unit(run.run_id, table, round_, shard.name, 0, grading)
    publish(store, unit, rows, counts=counts)


def build(config: RunConfig) -> Run:
    """A finished run of the configuration, published shard after shard."""
    store = open_store(config.store)
    problems = sorted(read_problem_set(config.problems), key=lambda problem: problem.problem_id)
    run = start_run(store, config, config.recipe, problems)
    for shard in run.shards:
        ids = [problem.problem_id for problem in problems[shard.start : shard.stop]]
        _publish(store, run, shard, ids)
    write_snapshot(store, run.run_id)
    counts = {"answered": len(problems), "no_answer": 0, "failed": 0, "retryable": 0}
    close_run(store, run, counts)
    return run
