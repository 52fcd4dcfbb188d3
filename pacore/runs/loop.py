"""A run without Prefect: the stages that the flow maps over shards, in threads of this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pacore.runs.answers import conclude
from pacore.runs.messages import compact
from pacore.runs.problems import close, note_budget_stop
from pacore.runs.trajectories import fill
from pacore.runs.verdicts import grade
from pacore.runs.work import ShardWork, StageReport, Work

MOST_THREADS = 64
"""Shards that are worked on side by side at most; how many are in memory `Work` limits further."""


def finish_shards(work: Work) -> None:
    """Do what is left of a run, in threads of this process, and close it: trajectories, tables and ids are
    those of the flow `infer`. Raises EngineUnavailable or StoreError where the run could not go on.
    """
    shards = [work.shard(opened) for opened in work.left]
    with ThreadPoolExecutor(min(MOST_THREADS, max(1, len(shards))), "shards") as threads:
        futures = [threads.submit(finish_shard, shard) for shard in shards]
        try:
            for future in futures:
                future.result()
        except BaseException:
            work.stop()
            note_budget_stop(work)
            raise
    close(work.store, work.run)


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
