"""The flow `evaluate`: grade every trajectory of some runs, check every invariant, and report.

Shards are mapped in a few hundred parts at most. The threads of the tasks only wait for the few that
grade, and those for the processes that do the work, of which one process of pacore has one set.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.infer import infer
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.run import RunConfig
from pacore.core.validation import validated
from pacore.errors import BadInput, PacoreError
from pacore.evaluation.batches import Evaluation
from pacore.report.accuracy import accuracy_of
from pacore.report.evaluation import (
    evaluated_run,
    gradings_table,
    refusal,
)
from pacore.report.rendering.sheet import Heading, Part
from pacore.report.run import results
from pacore.warehouse.views import ReportWarehouse
from tasks.artifacts import ProgressArtifact, report_artifact, results_artifact, verdicts_artifact
from tasks.opened import EVALUATION, WAREHOUSE, given
from tasks.settings import FLOW_SETTINGS
from tasks.stages import checks, verdicts
from tasks.takeover import mark, taking_over
from tasks.waiting import DONE, ended_by, finish


def _run_name() -> str:
    try:
        runs = validated(EvaluateConfig, flow_run.parameters["config"]).runs
    except BadInput:
        return "evaluate"
    return f"evaluate-{runs[0]}" if len(runs) == 1 else f"evaluate-{len(runs)}-runs"


def made_and_graded(run: RunConfig, grader: str = "auto") -> State[Any]:
    """Make or finish a run and grade all of it: the end of its evaluation, or of the run where it did not
    come to its end.
    """
    state: State[Any] = infer(run, return_state=True)
    if state.name not in DONE:
        return state
    config = EvaluateConfig(
        runs=(str(run.run_id),),
        store=run.store,
        grader=grader,
        grading_timeout_seconds=run.grading_timeout_seconds,
    )
    graded: State[Any] = evaluate(config, return_state=True)
    return graded


@flow(
    name="evaluate",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]  # its bound is a result type
    **FLOW_SETTINGS,
)
def evaluate(config: EvaluateConfig) -> State[Any]:
    """Grade some runs of a store, check every invariant over them, and report.

    Goes on where an evaluation was stopped. Ends Completed; as ChecksFailed where a check returns
    rows, and then nothing is reported; as PartialFailure when tasks failed; as Refused where the settings
    cannot be; or Cancelled.
    """
    try:
        return _evaluate(validated(EvaluateConfig, config))
    except PacoreError as fault:
        return ended_by(fault)


def _evaluate(config: EvaluateConfig) -> State[Any]:
    with ExitStack() as stack:
        opened = EVALUATION.get(None)
        evaluation = stack.enter_context(Evaluation(config) if opened is None else opened)
        evaluation.gradings()
        evaluation.producer["flow_run_id"] = str(flow_run.get_id())
        for run_id in config.runs:
            mark(evaluation.store.url, run_id)
            stack.enter_context(taking_over(evaluation.store.url, run_id))
        stack.enter_context(given(EVALUATION, evaluation))
        return _grade(evaluation) or _report(evaluation)


def _grade(evaluation: Evaluation) -> State[Any] | None:
    """Grade what is left; the state to end in where that is the end."""
    batches = evaluation.batches()
    ended = finish(
        verdicts.map(batches) if batches else [],
        ProgressArtifact(evaluation.config.runs[0], evaluation.progress),
        evaluation.stop,
        "the evaluation was interrupted; the same command continues it",
    )
    if ended is None:
        evaluation.finish()
    return ended


def _report(evaluation: Evaluation) -> State[Any]:
    """Check, and report where no check returns rows. The state's data are an `EvaluatedRun` of each run."""
    said, reports = [], []
    doing = evaluation.progress.do
    with ReportWarehouse(evaluation.store, evaluation.config.runs, evaluation.prices) as warehouse:
        with given(WAREHOUSE, warehouse):
            broken = checks()
        if broken:
            fault = refusal(broken)
            return Failed(name="ChecksFailed", message=str(fault), data=fault)
        for run_id in evaluation.config.runs:
            evaluated = evaluated_run(warehouse, run_id, doing)
            reports.append(evaluated)
            total, page = evaluated.found.totals, evaluated.measures
            summary = f"run {run_id}: accuracy {accuracy_of(total)}, by {evaluated.current.grader}"
            verdicts_artifact(run_id, evaluated.rounds, f"{summary}; verdicts by round")
            by_grading: list[Part] = [
                Heading("accuracy by grading"),
                gradings_table(evaluated.gradings),
            ]
            report_artifact(run_id, replace(page, sections=[*page.sections, by_grading]))
            results_artifact(run_id, results(warehouse, run_id), summary)
            said.append(summary)
    doing(None)
    return Completed(message="; ".join(said), data=reports)
