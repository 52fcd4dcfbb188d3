"""The flow `training_data`: sources to problems that synthesis can be learned from, with proof.

Sources and filters, the votes of a judge where there is one, a pool of each problem, stage 1, the synthesis
by a checkpoint, stage 2. The runs are ordinary runs, made and evaluated by the flows of these names, one
after the other; an owned server stays warm in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.evaluate import made_and_graded
from flows.infer import infer
from pacore.core.config.run import RunConfig
from pacore.core.config.training import TrainingConfig
from pacore.core.validation import validated
from pacore.engine.vllm.reuse import reusing_servers
from pacore.errors import BadInput, PacoreError
from pacore.report.ledgers.training import training_report, training_sheet
from pacore.runs.planning.budget import SharedBudget
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.training import TrainingRecord
from pacore.training.bands import looks_of
from pacore.training.stages import (
    PoolRates,
    conclude_stage1,
    conclude_stage2,
    prepare_training,
    put_further,
    put_synthesis,
)
from pacore.training.validity import conclude_validity, put_questions
from tasks.artifacts import report_artifact
from tasks.opened import sharing
from tasks.settings import FLOW_SETTINGS
from tasks.waiting import DONE, as_outermost, ended_by, stopped_by


def _run_name() -> str:
    try:
        return f"training-{validated(TrainingConfig, flow_run.parameters['config']).name}"
    except BadInput:
        return "training-data"


@flow(name="training-data", flow_run_name=_run_name, **FLOW_SETTINGS)
def training_data(config: TrainingConfig) -> State[Any]:
    """Make a training set: which problems of the sources a model can learn synthesis from.

    Goes on where it was stopped, and generates nothing twice; with another checkpoint only stage 2 is done
    again. Ends Completed; as Refused where the settings cannot be; or as the run or evaluation ended that
    could not go on.
    """
    try:
        with as_outermost():
            return _training_data(validated(TrainingConfig, config))
    except PacoreError as fault:
        return ended_by(fault)


class _Stopped(Exception):
    """A run or an evaluation could not go on; ``state`` is what the flow ends as."""

    def __init__(self, state: State[Any]) -> None:
        super().__init__(state.message)
        self.state = state


@dataclass
class _Runs:
    """The runs of a training set, made one after the other within one budget."""

    store: Backend
    budget: SharedBudget | None

    def make(self, run: RunConfig) -> str:
        """Make or finish a run, and grade all of it; returns its name. Raises _Stopped."""
        if self.budget is not None:
            self.budget.include(run)
        with sharing(self.budget):
            state = made_and_graded(run)
        if state.name not in DONE:
            raise _Stopped(stopped_by(state))
        return str(run.run_id)


def _training_data(config: TrainingConfig) -> State[Any]:
    store, log = open_store(config.run.store), get_run_logger()
    record = prepare_training(
        store, config, lambda name: log.info("source %s: reading and filtering", name)
    )
    runs = _Runs(store, SharedBudget.of_runs("the training set's", config.run))
    try:
        with reusing_servers():
            if config.judge is not None:
                record = _validity(config, record, runs)
            record = _stage1(config, record, runs)
            if config.synthesis is not None:
                record = _stage2(config, record, runs)
    except _Stopped as stopped:
        return stopped.state
    report = training_report(store, record)
    report_artifact(f"training-{record.name}", training_sheet(report))
    return Completed(message=report.line, data=report)


def _validity(config: TrainingConfig, record: TrainingRecord, runs: _Runs) -> TrainingRecord:
    """The problems that the judge finds valid; its budget is its own, and so is no part of the others'."""
    run = put_questions(runs.store, config, record)
    if run is None:
        return record
    state: State[Any] = infer(run, return_state=True)
    if state.name not in DONE:
        raise _Stopped(stopped_by(state))
    return conclude_validity(runs.store, config, record)


def _stage1(config: TrainingConfig, record: TrainingRecord, runs: _Runs) -> TrainingRecord:
    runs.make(config.pool_run(runs.store.uri(record.problem_set)))
    rates, further = PoolRates(runs.store, record), list[str]()
    for draws in looks_of(config)[1:]:
        run = put_further(runs.store, config, rates, record, draws)
        if run is None:
            break
        further.append(runs.make(run))
        rates.add(further[-1])
    return conclude_stage1(runs.store, config, record, rates, further)


def _stage2(config: TrainingConfig, record: TrainingRecord, runs: _Runs) -> TrainingRecord:
    run = put_synthesis(runs.store, config, record)
    run_id = None if run is None else runs.make(run)
    return conclude_stage2(runs.store, config, record, run_id)
