"""A run without Prefect: the stages that the flow maps over shards, in threads of this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pacore.core.config.run import RunConfig
from pacore.runs.answers import conclude
from pacore.runs.context import Context, OpenShard, close_context, context_of
from pacore.runs.dispatch.progress import Progress
from pacore.runs.messages import compact
from pacore.runs.problems import begin, close, open_shards
from pacore.runs.trajectories import fill
from pacore.runs.verdicts import grade
from pacore.store.run import Run

MOST_THREADS = 64
"""Shards that are worked on side by side at most; how many are in memory the context limits further."""


def run(config: RunConfig, on_progress: Callable[[Progress], None] | None = None) -> Run:
    """Start or resume a run and finish it, without Prefect and without a server of it.

    Trajectories, tables and ids are those of the flow `infer`. ``on_progress`` is called with the
    progress of the run after each shard. Returns the finished run. Raises BadInput and Refused before
    anything is generated, and EngineUnavailable or StoreError where the run could not go on; what was
    generated is in the store then, and the same call resumes it.
    """
    started = begin(config)
    config = config.model_copy(update={"run_id": started.run_id})
    context = context_of(config, started.run_id)
    try:
        works = open_shards(context.store, started)
        with ThreadPoolExecutor(min(MOST_THREADS, max(1, len(works))), "shards") as threads:
            futures = [threads.submit(finish_shard, context, work) for work in works]
            try:
                for future in futures:
                    future.result()
                    if on_progress is not None:
                        on_progress(context.progress)
            except BaseException:
                context.stop()
                raise
        close(context.store, started)
    finally:
        close_context(config, started.run_id)
    return started


def finish_shard(
    context: Context, work: OpenShard, before_stage: Callable[[], None] = lambda: None
) -> None:
    """Take a shard through every stage, round by round; ``before_stage`` is called before each."""
    for round_ in range(1, context.run.plan.rounds + 1):
        before_stage()
        fill(context, work, round_)
        before_stage()
        compact(context, work, round_)
    before_stage()
    conclude(context, work)
    before_stage()
    grade(context, work)
