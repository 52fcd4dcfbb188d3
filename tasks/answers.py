"""Task on answers: what each problem's last message says."""

from __future__ import annotations

from prefect import task

from pacore.core.config.run import RunConfig
from pacore.runs.answers import conclude
from pacore.runs.context import OpenShard, StageReport
from tasks.settings import SETTINGS, opened


@task(name="answers", task_run_name="answers s{work.number}", **SETTINGS)
def answers(config: RunConfig, run_id: str, work: OpenShard, before: StageReport) -> StageReport:
    """Extract a shard's answers from its last messages."""
    return conclude(opened(config, run_id), work)
