"""What the tests of stages and flows share: problem files, a run without Prefect, and the oracle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pacore.core.config.run import RunConfig
from pacore.core.quorum import Retry
from pacore.core.solve import Solved, solve
from pacore.engine.opening import resolve_recipe
from pacore.engine.scripted import ScriptedEngine
from pacore.problems.files import read_problem_set
from pacore.runs.answers import conclude
from pacore.runs.context import Context, close_context, context_of
from pacore.runs.messages import compact
from pacore.runs.problems import begin, close, open_shards
from pacore.runs.scores import grade
from pacore.runs.trajectories import fill
from pacore.store.backends.opening import open_store
from pacore.store.commits import standing_files
from pacore.store.parquet import read_rows
from pacore.store.run import Run

OPERATIONAL_COLUMNS = {"latency_seconds", "generated_at", "reused", "text_run_id"}
TRAJECTORY_COLUMNS = (
    "problem_id", "replicate", "slot", "draw", "attempt", "trajectory_id", "seed", "prompt_digest",
    "finish_reason", "conclusion_status", "conclusion", "prompt_tokens", "completion_tokens",
    "usage_source", "thinking_closed", "reasoning_characters", "content_characters",
    "prompt_messages", "max_tokens", "retry_of", "prompt_positions",
)  # fmt: skip
MESSAGE_COLUMNS = ("problem_id", "replicate", "position", "trajectory_id", "text", "compactor")
ANSWER_COLUMNS = (
    "problem_id", "replicate", "answer", "method", "trajectory_id", "finish_reason", "status",
    "reason", "failed_round",
)  # fmt: skip
SCORE_COLUMNS = ("problem_id", "replicate", "grader", "status", "score", "gold", "answer")

Rows = list[tuple[Any, ...]]


def write_problems(path: Path, count: int = 5) -> Path:
    """A problem set of ``count`` sums, in a shuffled order that must not matter."""
    rows = [
        {"id": f"sum-{n:04d}", "problem": f"What is {n} + {2 * n + 1}?", "answer": str(3 * n + 1)}
        for n in range(count)
    ]
    rows = rows[::2] + rows[1::2]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def scripted_config(folder: Path, problems: Path, **fields: Any) -> RunConfig:
    given = {"engine": "scripted", "store": str(folder), "problems": str(problems), **fields}
    return RunConfig.model_validate(given)


def run_stages(config: RunConfig, before_stage: Callable[[], None] = lambda: None) -> Run:
    """The stages in a plain loop, shard after shard, as the flow maps them."""
    run = begin(config)
    config = config.model_copy(update={"run_id": run.run_id})
    context: Context = context_of(config, run.run_id)
    try:
        for work in open_shards(context.store, run):
            for round_ in range(1, run.plan.rounds + 1):
                before_stage()
                fill(context, work, round_)
                before_stage()
                compact(context, work, round_)
            before_stage()
            conclude(context, work)
            before_stage()
            grade(context, work)
        close(context.store, run)
    finally:
        close_context(config, run.run_id)
    return run


def table(store_url: str, run_id: str, name: str, columns: Sequence[str]) -> Rows:
    """Rows of one table of a run, ``round`` first, sorted."""
    store = open_store(store_url)
    found: Rows = []
    for key in standing_files(store, run_id).get(name, []):
        round_ = int(key.split("round=")[1].split("/")[0])
        with store.open(key) as file:
            for row in read_rows(file, columns):
                found.append((round_, *(row[column] for column in columns)))
    return sorted(found, key=lambda row: json.dumps(row, default=str))


def tables(store_url: str, run_id: str) -> dict[str, Rows]:
    """Everything a run says, but when and how fast."""
    return {
        "trajectories": table(store_url, run_id, "trajectories", TRAJECTORY_COLUMNS),
        "messages": table(store_url, run_id, "messages", MESSAGE_COLUMNS),
        "answers": table(store_url, run_id, "answers", ANSWER_COLUMNS),
        "scores": table(store_url, run_id, "scores", SCORE_COLUMNS),
    }


def oracle(
    config: RunConfig, attempts: int | None = None, retries: Sequence[Retry] = ()
) -> list[Solved]:
    """The in-memory definition on the same problems and engine; see `pacore.core.solve.solve`."""
    recipe = resolve_recipe(config)
    problems = read_problem_set(config.problems, config.limit)

    async def all_of_them() -> list[Solved]:
        engine = ScriptedEngine(config.model)
        solved = [
            await solve(problem, config.plan, recipe, engine, attempts=attempts, retries=retries)
            for problem in problems
        ]
        await engine.close()
        return solved

    return asyncio.run(all_of_them())


def oracle_tables(
    config: RunConfig, attempts: int | None = None, retries: Sequence[Retry] = ()
) -> dict[str, Rows]:
    """The oracle's trajectories, messages and answers as the rows of the tables."""
    solved = oracle(config, attempts, retries)
    rounds = config.plan.rounds
    trajectories = [
        (
            t.place.round, t.place.problem_id, t.place.replicate, t.place.slot, t.place.draw,
            t.attempt, t.trajectory_id, t.seed, t.prompt_digest, t.generation.finish_reason,
            t.thought.status, t.thought.conclusion, t.generation.prompt_tokens,
            t.generation.completion_tokens, t.generation.usage_source, t.thought.thinking_closed,
            len(t.thought.reasoning or ""), t.content_characters,
            t.prompt_messages, t.max_tokens, t.retry_of,
            None if t.prompt_positions is None else list(t.prompt_positions),
        )
        for one in solved
        for t in one.trajectories
    ]  # fmt: skip
    messages = [
        (m.round, m.problem_id, m.replicate, m.position, m.trajectory_id, m.text, m.compactor)
        for one in solved
        for m in one.messages
    ]
    answers = [
        (
            rounds, a.problem_id, a.replicate, a.answer, a.method, a.trajectory_id,
            a.finish_reason, a.status, a.reason, a.failed_round,
        )
        for one in solved
        for a in one.answers
    ]  # fmt: skip
    found: dict[str, Rows] = {
        "trajectories": list(trajectories),
        "messages": list(messages),
        "answers": list(answers),
    }
    for rows in found.values():
        rows.sort(key=lambda row: json.dumps(row, default=str))
    return found


def journal_size(store_url: str) -> int:
    """How many generations a store has paid for."""
    return sum(1 for _ in open_store(store_url).list("journal"))


class Killed(BaseException):
    """The end of a process, as far as the stages can tell."""


def killed_after(stages: int) -> Callable[[], None]:
    """What ends a run before its ``stages``-th stage."""
    left = stages

    def one_more() -> None:
        nonlocal left
        left -= 1
        if left < 1:
            raise Killed

    return one_more
