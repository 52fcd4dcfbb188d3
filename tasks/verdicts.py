"""Tasks on verdicts: grading a run's own answers, and every trajectory of some shards."""

from __future__ import annotations

from prefect import task

from pacore.evaluation.batches import GradingBatch
from pacore.runs.verdicts import grade
from pacore.runs.work import OpenShard, StageReport
from tasks.opened import EVALUATION, WORK
from tasks.settings import SETTINGS


@task(name="own-verdicts", task_run_name="verdicts s{shard.number}", **SETTINGS)
def own_verdicts(shard: OpenShard, before: StageReport) -> StageReport:
    """Grade a shard's answers, as the last stage of a run."""
    return grade(WORK.get().shard(shard))


@task(name="verdicts", task_run_name="verdicts {batch.name}", **SETTINGS)
def verdicts(batch: GradingBatch) -> list[StageReport]:
    """Grade a batch; the task's thread waits for one of the evaluation's."""
    return EVALUATION.get().submit(batch).result()
