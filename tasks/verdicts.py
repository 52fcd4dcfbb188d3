"""Task on verdicts: grading every trajectory of some shards."""

from __future__ import annotations

from prefect import task

from pacore.evaluation.batches import GradingBatch
from pacore.runs.work import StageReport
from tasks.opened import EVALUATION
from tasks.settings import SETTINGS


@task(name="verdicts", task_run_name="verdicts {batch.name}", **SETTINGS)
def verdicts(batch: GradingBatch) -> list[StageReport]:
    """Grade a batch; the task's thread waits for one of the evaluation's."""
    return EVALUATION.get().submit(batch).result()
