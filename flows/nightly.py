"""The flow `nightly`: each job's run, its evaluation, and whether it is as good as its baseline.

Jobs are done one after the other, and one that fails does not stop the others. What a night came to is in
the ledger of the job's store; only a person makes a night the baseline of later ones.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from flows.evaluate import evaluate
from flows.infer import infer
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.nightly import NightlyConfig, NightlyJob
from pacore.core.config.run import RunConfig
from pacore.core.validation import validated
from pacore.engine.vllm.reuse import reusing_servers
from pacore.errors import BadInput, PacoreError
from pacore.evaluation.comparison import NO_GO
from pacore.evaluation.night import FAILED, INCOMPLETE, conclude_night, note_night
from pacore.report.nightly import NightReport, nights_sheet
from pacore.store.backends.opening import open_store
from pacore.store.nights import Night
from tasks.artifacts import report_artifact
from tasks.schedule import dated
from tasks.settings import FLOW_SETTINGS
from tasks.waiting import DONE, ended_by
from tasks.waiting import INCOMPLETE as STOPPED_BY_BUDGET

STATES = {NO_GO: NO_GO, INCOMPLETE: "Incomplete", FAILED: "Failed"}
"""Names of the states of a night with such a decision."""


def _run_name() -> str:
    try:
        config = validated(NightlyConfig, flow_run.parameters["config"])
    except BadInput:
        return "nightly"
    return f"nightly-{'-'.join(job.name for job in config.jobs)}"[:100]


@flow(name="nightly", flow_run_name=_run_name, **FLOW_SETTINGS)
def nightly(config: NightlyConfig) -> State[Any]:
    """Run every job of a night, compare it with its baseline, and add what it came to to the ledger.

    Ends Completed where no job is a NO-GO, incomplete or failed; as NO-GO, Incomplete or Failed naming the
    jobs otherwise; as Refused where the settings cannot be; or Cancelled.
    """
    try:
        return _nightly(validated(NightlyConfig, config))
    except PacoreError as fault:
        return ended_by(fault)


def _nightly(config: NightlyConfig) -> State[Any]:
    nights: list[Night] = []
    with reusing_servers():
        for job in config.jobs:
            run = dated(job.dated())
            ended = _made(job, run)
            if isinstance(ended, State):
                return ended
            nights.append(ended)
    report_artifact("nightly", nights_sheet(nights))
    report = NightReport(nights)
    if report.worst is not None:
        return Failed(name=STATES[report.worst], message=str(report), data=report)
    return Completed(message=str(report), data=report)


def _made(job: NightlyJob, run: RunConfig) -> Night | State[Any]:
    """One job's night; the state where it was cancelled, which ends the others too."""
    store, run_id = open_store(run.store), str(run.run_id)
    state: State[Any] = infer(run, return_state=True)
    if state.name in DONE:
        graded = EvaluateConfig(
            runs=(run_id,),
            store=run.store,
            grader=job.grader,
            grading_timeout_seconds=run.grading_timeout_seconds,
        )
        state = evaluate(graded, return_state=True)
        if state.name in DONE:
            return conclude_night(store, job, run_id)
    if state.name == "Cancelled":
        return Cancelled(message=state.message)
    decision = INCOMPLETE if state.name == STOPPED_BY_BUDGET else FAILED
    return note_night(store, job, run_id, decision, f"{state.name}: {state.message}")
