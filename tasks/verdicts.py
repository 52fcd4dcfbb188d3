"""Tasks on verdicts: grading a run's own answers, and every trajectory of some shards."""

from __future__ import annotations

from prefect import task
from prefect.runtime import flow_run

from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.run import RunConfig
from pacore.evaluation.batches import GradingBatch, evaluation_of
from pacore.runs.context import OpenShard, StageReport
from pacore.runs.verdicts import grade
from tasks.settings import SETTINGS, opened


@task(name="own-verdicts", task_run_name="verdicts s{work.number}", **SETTINGS)
def own_verdicts(
    config: RunConfig, run_id: str, work: OpenShard, before: StageReport
) -> StageReport:
    """Grade a shard's answers, as the last stage of a run."""
    return grade(opened(config, run_id), work)


@task(name="verdicts", task_run_name="verdicts {batch.name}", **SETTINGS)
def verdicts(config: EvaluateConfig, batch: GradingBatch) -> list[StageReport]:
    """Grade a batch; the task's thread waits for one of the evaluation's."""
    evaluation = evaluation_of(config)
    evaluation.producer["flow_run_id"] = str(flow_run.get_id())
    return evaluation.submit(batch).result()
