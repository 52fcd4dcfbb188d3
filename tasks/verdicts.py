"""Task on verdicts: grading every trajectory of some shards."""

from __future__ import annotations

from prefect import task
from prefect.runtime import flow_run

from pacore.core.config.evaluate import EvaluateConfig
from pacore.evaluation.batches import GradingBatch, evaluation_of
from pacore.runs.context import StageReport
from tasks.settings import SETTINGS


@task(name="verdicts", task_run_name="verdicts {batch.name}", **SETTINGS)
def verdicts(config: EvaluateConfig, batch: GradingBatch) -> list[StageReport]:
    """Grade a batch; the task's thread waits for one of the evaluation's."""
    evaluation = evaluation_of(config)
    evaluation.producer["flow_run_id"] = str(flow_run.get_id())
    return evaluation.submit(batch).result()
