"""Task on messages: compaction."""

from __future__ import annotations

from prefect import task

from pacore.core.config.run import RunConfig
from pacore.runs.context import OpenShard, StageReport
from pacore.runs.messages import compact
from tasks.settings import SETTINGS, opened


@task(name="messages", task_run_name="messages r{round_} s{work.number}", **SETTINGS)
def messages(
    config: RunConfig, run_id: str, work: OpenShard, round_: int, before: StageReport
) -> StageReport:
    """Compact a shard's trajectories of a round to message sets."""
    return compact(opened(config, run_id), work, round_)
