"""Task on scores: grading against the gold answers."""

from __future__ import annotations

from prefect import task

from pacore.runs.scores import grade
from pacore.runs.work import OpenShard, StageReport
from tasks.opened import WORK
from tasks.settings import SETTINGS


@task(name="scores", task_run_name="scores s{shard.number}", **SETTINGS)
def scores(shard: OpenShard, before: StageReport) -> StageReport:
    """Grade a shard's answers."""
    return grade(WORK.get().shard(shard))
