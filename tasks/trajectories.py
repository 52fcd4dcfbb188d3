"""Task on trajectories: the GPU task, mapped over shards."""

from __future__ import annotations

from prefect import task

from pacore.runs.trajectories import fill
from pacore.runs.work import OpenShard, StageReport
from tasks.opened import WORK
from tasks.settings import SETTINGS


@task(name="trajectories", task_run_name="trajectories r{round_} s{shard.number}", **SETTINGS)
def trajectories(shard: OpenShard, round_: int, before: StageReport | None) -> StageReport:
    """Fill a shard's slots in a round; ``before`` is the round before, whose messages it reads."""
    return fill(WORK.get().shard(shard), round_)
