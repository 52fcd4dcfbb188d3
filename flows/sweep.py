"""The flow `sweep`: a run for each arm over one pool, every run evaluated, and the frontier drawn.

The runs are made one after the other, the pool first: each finds what those before it generated. An
owned server stays warm in between.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.evaluate import evaluate
from flows.infer import infer
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.sweep import SweepConfig
from pacore.core.validation import validated
from pacore.engine.vllm.reuse import reusing_servers
from pacore.errors import BadInput, PacoreError
from pacore.evaluation.judging import finish_judging
from pacore.evaluation.sweep import begin_opinion, begin_sweep, check_sweep_fits, sweep_budget
from pacore.report.sweep import conclude_sweep
from pacore.store.backends.opening import open_store
from tasks.artifacts import sweep_artifact
from tasks.opened import SHARED_BUDGETS, sharing
from tasks.schedule import dated
from tasks.settings import FLOW_SETTINGS
from tasks.waiting import DONE, as_outermost, ended_by, stopped_by


def _run_name() -> str:
    try:
        run = dated(validated(SweepConfig, flow_run.parameters["config"]).run)
    except BadInput:
        return "sweep"
    return f"sweep-{run.run_id}" if run.run_id else "sweep"


@flow(name="sweep", flow_run_name=_run_name, **FLOW_SETTINGS)
def sweep(config: SweepConfig) -> State[Any]:
    """Compare strategies on one problem set: every arm a run, graded, at what it costs.

    Goes on where a sweep was stopped. Ends Completed; as Refused where the settings cannot be; or as
    the run or evaluation ended that could not go on.
    """
    try:
        with as_outermost():
            return _sweep(validated(SweepConfig, config))
    except PacoreError as fault:
        return ended_by(fault)


def _sweep(config: SweepConfig) -> State[Any]:
    config = config.model_copy(update={"run": dated(config.run)})
    planned = begin_sweep(config)
    with reusing_servers(), sharing(sweep_budget(config, planned)):
        check_sweep_fits(config, planned, SHARED_BUDGETS.get())
        for run in planned.configs:
            state: State[Any] = infer(run, return_state=True)
            if state.name not in DONE:
                return stopped_by(state)
        judging = begin_opinion(config, planned)
        if judging is not None:
            state = infer(judging.config, return_state=True)
            if state.name not in DONE:
                return stopped_by(state)
            finish_judging(open_store(config.run.store), judging)
    runs = tuple(str(run.run_id) for run in planned.configs)
    state = evaluate(
        EvaluateConfig(
            runs=runs,
            store=config.run.store,
            grader="auto",
            grading_timeout_seconds=config.run.grading_timeout_seconds,
        ),
        return_state=True,
    )
    if state.name not in DONE:
        return stopped_by(state)
    outcome = conclude_sweep(config, planned, judging)
    sweep_artifact(outcome)
    return Completed(message=f"sweep {planned.sweep_id}: {outcome.files[0]}", data=outcome)
