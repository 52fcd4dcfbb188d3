"""The tasks of the flows: each calls one stage on what its flow has open."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger, task
from prefect.client.schemas.objects import State

from pacore.core.config.run import RunConfig
from pacore.errors import PacoreError
from pacore.evaluation.batches import GradingBatch
from pacore.evaluation.replay.planned import rule_need
from pacore.runs.answers import conclude
from pacore.runs.messages import compact
from pacore.runs.problems import open_work
from pacore.runs.trajectories import fill
from pacore.runs.verdicts import grade
from pacore.runs.work import OpenShard, StageReport, Work
from pacore.text import visible
from pacore.warehouse.views import CheckRow
from tasks.opened import EVALUATION, SHARED_BUDGETS, WAREHOUSE, WORK
from tasks.settings import SETTINGS
from tasks.waiting import ended_by


@task(name="problems", task_run_name="problems", **SETTINGS)
def problems(config: RunConfig) -> Work | State[Any]:
    """Open the run, or take it as the command that calls the flow has opened it; the state of the task,
    and what its call returns, where it cannot be opened.
    """
    try:
        return WORK.get(None) or open_work(config, SHARED_BUDGETS.get(), rule_need)
    except PacoreError as fault:
        return ended_by(fault)


@task(name="trajectories", task_run_name="trajectories r{round_} s{shard.number}", **SETTINGS)
def trajectories(shard: OpenShard, round_: int, before: StageReport | None) -> StageReport:
    """Fill a shard's slots in a round; ``before`` is the round before, whose messages it reads."""
    return _logged(fill(WORK.get().shard(shard), round_))


@task(name="messages", task_run_name="messages r{round_} s{shard.number}", **SETTINGS)
def messages(shard: OpenShard, round_: int, before: StageReport) -> StageReport:
    """Compact a shard's trajectories of a round to message sets."""
    return _logged(compact(WORK.get().shard(shard), round_))


@task(name="answers", task_run_name="answers s{shard.number}", **SETTINGS)
def answers(shard: OpenShard, before: StageReport) -> StageReport:
    """Extract a shard's answers from its last messages."""
    return _logged(conclude(WORK.get().shard(shard)))


@task(name="own-verdicts", task_run_name="verdicts s{shard.number}", **SETTINGS)
def own_verdicts(shard: OpenShard, before: StageReport) -> StageReport:
    """Grade a shard's answers, as the last stage of a run."""
    return _logged(grade(WORK.get().shard(shard)))


def _logged(report: StageReport) -> StageReport:
    """Write the one line of a stage to its log, and return its report."""
    get_run_logger().info("run %s, %s", WORK.get().run.run_id, visible(str(report)))
    return report


@task(name="verdicts", task_run_name="verdicts {batch.name}", **SETTINGS)
def verdicts(batch: GradingBatch) -> list[StageReport]:
    """Grade a batch; the task's thread waits for one of the evaluation's."""
    return EVALUATION.get().submit(batch).result()


@task(name="checks", task_run_name="checks", **SETTINGS)
def checks() -> dict[str, list[CheckRow]]:
    """Rows that break an invariant, by the invariant's name; the others are left out."""
    return WAREHOUSE.get().broken_checks(EVALUATION.get().progress.do)
