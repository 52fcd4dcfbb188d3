"""Task on answers: what each problem's last message says."""

from __future__ import annotations

from prefect import task

from pacore.runs.answers import conclude
from pacore.runs.work import OpenShard, StageReport
from tasks.opened import WORK
from tasks.settings import SETTINGS


@task(name="answers", task_run_name="answers s{shard.number}", **SETTINGS)
def answers(shard: OpenShard, before: StageReport) -> StageReport:
    """Extract a shard's answers from its last messages."""
    return conclude(WORK.get().shard(shard))
