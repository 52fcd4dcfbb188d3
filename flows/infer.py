"""The flow `infer`: rounds of trajectories over a problem set, to answers with verdicts.

Rounds are mapped one after the other with the round before as input, so each shard goes on as soon
as its own messages are there: no barrier between shards. The threads only wait; the engine's slots
bound the work.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, unmapped
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from pacore.core.config.run import RunConfig
from pacore.core.validation import validated
from pacore.errors import BadInput, PacoreError
from pacore.report.accuracy import accuracy_of
from pacore.report.run import ProblemsFailed, run_results
from pacore.runs.problems import close, note_budget_stop
from pacore.runs.work import StageReport, Work
from pacore.store.backends.opening import open_store
from pacore.text import visible
from pacore.warehouse.views import ReportWarehouse
from tasks.artifacts import ProgressArtifact, results_artifact, summary_artifact
from tasks.opened import SHOWING, WORK, given
from tasks.schedule import dated
from tasks.settings import FLOW_SETTINGS
from tasks.stages import answers, messages, own_verdicts, problems, trajectories
from tasks.takeover import mark, taking_over
from tasks.waiting import ended_by, finish


def _run_name() -> str:
    try:
        config = dated(validated(RunConfig, flow_run.parameters["config"]))
    except BadInput:
        return "infer"
    return f"infer-{config.run_id}" if config.run_id else "infer"


@flow(
    name="infer",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]  # its bound is a result type
    **FLOW_SETTINGS,
)
def infer(config: RunConfig) -> State[Any]:
    """Run PaCoRe on a problem set: every round, the answers and the verdicts on them.

    Resumes the run if it was begun before. Ends Completed; as CompletedWithFailures when problems
    stayed without an answer, naming them; as PartialFailure when tasks failed; as "Incomplete: budget"
    when its budget is spent; as Refused where the settings cannot be; or Cancelled.
    """
    try:
        return _infer(dated(validated(RunConfig, config)))
    except PacoreError as fault:
        return ended_by(fault)


def _infer(config: RunConfig) -> State[Any]:
    store_url = open_store(config.store).url
    mark(store_url, config.run_id)
    opened = problems(config)
    if isinstance(opened, State):
        raise opened.result(raise_on_failure=False)
    with opened as work:
        run_id = work.run.run_id
        if config.run_id is None:
            mark(store_url, run_id)
        work.producer = {"flow_run_id": str(flow_run.get_id())}
        with taking_over(store_url, run_id), given(WORK, work), SHOWING.get()(work):
            return _fill(work) or _conclude(work)


def _fill(work: Work) -> State[Any] | None:
    """Do what is left of a run; the state to end in where that is the end."""
    run_id = work.run.run_id
    interrupted = f"run {run_id} was interrupted; pacore resume {run_id} finishes it"
    artifact = ProgressArtifact(run_id, work.progress)
    ended = finish(_submit(work), artifact, work.stop, interrupted)
    note_budget_stop(work)
    return ended


def _submit(work: Work) -> list[PrefectFuture[StageReport]]:
    """Map every stage over the shards, round by round; returns all futures, in that order."""
    submitted: list[PrefectFuture[StageReport]] = []
    if not work.left:
        return submitted
    before: Any = unmapped(None)
    for round_ in range(1, work.run.plan.rounds + 1):
        sampled = trajectories.map(work.left, unmapped(round_), before)
        before = messages.map(work.left, unmapped(round_), sampled)
        submitted += [*sampled, *before]
    concluded = answers.map(work.left, before)
    graded = own_verdicts.map(work.left, concluded)
    return [*submitted, *concluded, *graded]


def _conclude(work: Work) -> State[Any]:
    """Close the run and say what it came to. The state's data, or its error, has the `RunResults`."""
    close(work.store, work.run)
    run = work.run
    with ReportWarehouse(work.store, [run.run_id]) as warehouse:
        found = run_results(warehouse, run.run_id)
    summary = f"run {run.run_id}: accuracy {accuracy_of(found.totals)}"
    count = len(found.results)
    shown = f"; the first {count} of {run.problems} problems" if run.problems > count else ""
    results_artifact(run.run_id, found.results, summary + shown)
    summary_artifact(found, work.progress, work.store.url)
    if failed := found.failed:
        named = visible(", ".join(failed[:20]))
        named += f" and {len(failed) - 20} more" if failed[20:] else ""
        fault = ProblemsFailed(f"{len(failed)} problems failed: {named}", found)
        return Failed(name="CompletedWithFailures", message=str(fault), data=fault)
    return Completed(message=summary, data=found)
