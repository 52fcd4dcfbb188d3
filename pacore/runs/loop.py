"""A run without Prefect: the stages that the flow maps over shards, in threads of this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pacore.core.config.run import RunConfig
from pacore.runs.answers import conclude
from pacore.runs.dispatch.progress import Progress
from pacore.runs.messages import compact
from pacore.runs.problems import close, open_work
from pacore.runs.trajectories import fill
from pacore.runs.verdicts import grade
from pacore.runs.work import ShardWork, StageReport
from pacore.store.run import Run

MOST_THREADS = 64
"""Shards that are worked on side by side at most; how many are in memory `Work` limits further."""


def run(config: RunConfig, on_progress: Callable[[Progress], None] | None = None) -> Run:
    """Start or resume a run and finish it, without Prefect and without a server of it.

    Trajectories, tables and ids are those of the flow `infer`. ``on_progress`` is called with the
    progress of the run after each shard. Returns the finished run. Raises BadInput and Refused before
    anything is generated, and EngineUnavailable or StoreError where the run could not go on; what was
    generated is in the store then, and the same call resumes it.
    """
    with open_work(config) as work:
        shards = [work.shard(opened) for opened in work.left]
        with ThreadPoolExecutor(min(MOST_THREADS, max(1, len(shards))), "shards") as threads:
            futures = [threads.submit(finish_shard, shard) for shard in shards]
            try:
                for future in futures:
                    future.result()
                    if on_progress is not None:
                        on_progress(work.progress)
            except BaseException:
                work.stop()
                raise
        close(work.store, work.run)
        return work.run


def finish_shard(
    shard: ShardWork, before_stage: Callable[[], None] = lambda: None
) -> list[StageReport]:
    """Take a shard through every stage, round by round; ``before_stage`` is called before each.

    Returns what each stage has committed, in their order.
    """
    reports: list[StageReport] = []
    for round_ in range(1, shard.work.run.plan.rounds + 1):
        for sampling in (fill, compact):
            before_stage()
            reports.append(sampling(shard, round_))
    for ending in (conclude, grade):
        before_stage()
        reports.append(ending(shard))
    return reports
