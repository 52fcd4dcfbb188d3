"""The flow `infer`: rounds of trajectories over a problem set, to answers with verdicts.

Rounds are mapped one after the other with the round before as input, so each shard goes on as soon
as its own messages are there: no barrier between shards. The threads only wait; the engine's slots
bound the work.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, unmapped
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from pacore.core.config.run import RunConfig
from pacore.evaluation.accuracy import Totals
from pacore.report.accuracy import accuracy_of
from pacore.report.run import FailedProblem, ResultRow
from pacore.runs.context import OpenShard, StageReport, close_context, context_of
from pacore.runs.problems import close
from pacore.store.backends.opening import open_store
from pacore.store.run import Run
from pacore.text import visible
from pacore.warehouse.views import Warehouse
from tasks.answers import answers
from tasks.artifacts import ProgressArtifact, results_artifact
from tasks.messages import messages
from tasks.problems import problems
from tasks.settings import RUN_SETTINGS
from tasks.takeover import mark, taking_over
from tasks.trajectories import trajectories
from tasks.verdicts import own_verdicts
from tasks.waiting import partial_failure, settle, wait_for_all

RESULT_ROWS = 200


def _run_name() -> str:
    config = flow_run.parameters["config"]
    named = config.get("run_id") if isinstance(config, dict) else config.run_id
    return f"infer-{named}" if named else "infer"


@flow(
    name="infer",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]  # its bound is a result type
    log_prints=False,
    **RUN_SETTINGS,
)
def infer(config: RunConfig) -> State[Any]:
    """Run PaCoRe on a problem set: every round, the answers and the verdicts on them.

    Resumes the run if it was begun before. Ends Completed; as CompletedWithFailures when problems
    stayed without an answer, naming them; as PartialFailure when tasks failed; or Cancelled.
    """
    store_url = open_store(config.store).url
    mark(store_url, config.run_id)
    run, works = problems(config)
    if config.run_id is None:
        mark(store_url, run.run_id)
    with taking_over(store_url, run.run_id):
        return _work(config, run, works)


def _work(config: RunConfig, run: Run, works: list[OpenShard]) -> State[Any]:
    """Do what is left of a run; the state to end in."""
    context = context_of(config, run.run_id)
    try:
        futures = _submit(config, run, works)
        try:
            wait_for_all(futures, ProgressArtifact(run.run_id, context.progress))
        except (KeyboardInterrupt, TerminationSignal) as signal:
            context.stop()
            settle(futures)
            if isinstance(signal, TerminationSignal):
                raise
            return Cancelled(message=f"run {run.run_id} was interrupted; start it again to go on")
        faults = settle(futures)
    finally:
        close_context(config, run.run_id)
    if faults:
        return partial_failure(faults, len(futures))
    return _conclude(config, run)


def _submit(
    config: RunConfig, run: Run, works: list[OpenShard]
) -> list[PrefectFuture[StageReport]]:
    """Map every stage over the shards, round by round; returns all futures, in that order."""
    shared = (unmapped(config), unmapped(run.run_id), works)
    submitted: list[PrefectFuture[StageReport]] = []
    if not works:
        return submitted
    before: Any = unmapped(None)
    for round_ in range(1, run.plan.rounds + 1):
        sampled = trajectories.map(*shared, unmapped(round_), before)
        before = messages.map(*shared, unmapped(round_), sampled)
        submitted += [*sampled, *before]
    concluded = answers.map(*shared, before)
    graded = own_verdicts.map(*shared, concluded)
    return [*submitted, *concluded, *graded]


def _conclude(config: RunConfig, run: Run) -> State[Any]:
    store = open_store(config.store)
    close(store, run)
    with Warehouse(store, [run.run_id]) as warehouse:
        (total,) = warehouse.read(Totals, run_id=run.run_id)
        rows = warehouse.read(ResultRow, run_id=run.run_id, rows=RESULT_ROWS)
        failed = [row.problem_id for row in warehouse.read(FailedProblem, run_id=run.run_id)]
    summary = f"run {run.run_id}: accuracy {accuracy_of(total)}"
    shown = (
        f"; the first {len(rows)} of {run.problems} problems" if run.problems > len(rows) else ""
    )
    results_artifact(run.run_id, rows, summary + shown)
    if failed:
        named = visible(", ".join(failed[:20]))
        named += f" and {len(failed) - 20} more" if failed[20:] else ""
        return Failed(
            name="CompletedWithFailures", message=f"{len(failed)} problems failed: {named}"
        )
    return Completed(message=summary)
