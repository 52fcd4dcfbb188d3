"""Task on messages: compaction."""

from __future__ import annotations

from prefect import task

from pacore.runs.messages import compact
from pacore.runs.work import OpenShard, StageReport
from tasks.opened import WORK
from tasks.settings import SETTINGS


@task(name="messages", task_run_name="messages r{round_} s{shard.number}", **SETTINGS)
def messages(shard: OpenShard, round_: int, before: StageReport) -> StageReport:
    """Compact a shard's trajectories of a round to message sets."""
    return compact(WORK.get().shard(shard), round_)
