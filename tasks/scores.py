"""Task on scores: grading against the gold answers."""

from __future__ import annotations

from prefect import task

from pacore.core.config.run import RunConfig
from pacore.runs.context import OpenShard, StageReport
from pacore.runs.scores import grade
from tasks.settings import SETTINGS, opened


@task(name="scores", task_run_name="scores s{work.number}", **SETTINGS)
def scores(config: RunConfig, run_id: str, work: OpenShard, before: StageReport) -> StageReport:
    """Grade a shard's answers."""
    return grade(opened(config, run_id), work)
