"""Task on trajectories: the GPU task, mapped over shards."""

from __future__ import annotations

from prefect import task

from pacore.core.config.run import RunConfig
from pacore.runs.context import OpenShard, StageReport
from pacore.runs.trajectories import fill
from tasks.settings import SETTINGS, opened


@task(name="trajectories", task_run_name="trajectories r{round_} s{work.number}", **SETTINGS)
def trajectories(
    config: RunConfig, run_id: str, work: OpenShard, round_: int, before: StageReport | None
) -> StageReport:
    """Fill a shard's slots in a round; ``before`` is the round before, whose messages it reads."""
    return fill(opened(config, run_id), work, round_)
