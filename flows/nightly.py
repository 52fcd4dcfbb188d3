"""The flow `nightly`: each job's run, its evaluation, and whether it is as good as its baseline.

Jobs are done one after the other, and one that fails does not stop the others. What a night came to is in
the ledger of the job's store; only a person makes a night the baseline of later ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from flows.evaluate import evaluate, made_and_graded
from flows.infer import infer
from flows.sweep import sweep
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.nightly import NightlyConfig, NightlyJob
from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import plan_sweep
from pacore.core.validation import validated
from pacore.engine.vllm.reuse import reusing_servers
from pacore.errors import BadInput, BudgetSpent, DoesNotFit, PacoreError, StoreError
from pacore.evaluation.comparison import NO_GO
from pacore.evaluation.judging import begin_judging, finish_judging
from pacore.evaluation.night import (
    FAILED,
    INCOMPLETE,
    NightSweep,
    conclude_night,
)
from pacore.evaluation.nightly.cleaning import clean
from pacore.evaluation.nightly.expectation import check_judged_fits, checked_lines
from pacore.evaluation.nightly.jobs import (
    WHOSE,
    DatedJob,
    EarlyEnd,
    dated_jobs,
    job_fault,
    night_budget,
    note_night,
)
from pacore.evaluation.nightly.progress import NightProgress
from pacore.report.ledgers.nightly import (
    NightReport,
    cleaning_line,
    line_of,
    night_progress_sheet,
)
from pacore.report.sweep import SweepOutcome
from pacore.runs.dispatch.budget import Allowance
from pacore.runs.planning.budget import SharedBudget
from pacore.runs.work import Work
from pacore.store.backends.opening import open_store
from pacore.store.nights import Night
from pacore.store.run import open_run
from tasks.artifacts import NightArtifact, nights_artifact
from tasks.opened import CHECKED, SAYING, SHARED_BUDGETS, SHOWING, Showing, given, sharing
from tasks.schedule import meant_to_start
from tasks.settings import FLOW_SETTINGS
from tasks.waiting import DONE, as_outermost, ended_by, kept_current

STATES = {NO_GO: NO_GO, INCOMPLETE: "Incomplete", FAILED: "Failed"}
"""Names of the states of a night with such a decision."""


def _run_name() -> str:
    try:
        config = validated(NightlyConfig, flow_run.parameters["config"])
    except BadInput:
        return "nightly"
    of = "" if config.date is None else f"-of-{config.date}"
    return f"nightly-{'-'.join(job.name for job in config.jobs)}"[: 100 - len(of)] + of


@flow(name="nightly", flow_run_name=_run_name, **FLOW_SETTINGS)
def nightly(config: NightlyConfig) -> State[Any]:
    """Run every job of a night, compare it with its baseline, and add what it came to to the ledger.

    Ends Completed where no job is a NO-GO, incomplete or failed; as NO-GO, Incomplete or Failed naming the
    jobs otherwise; as Refused where the settings cannot be; or Cancelled.
    """
    try:
        with as_outermost():
            return _nightly(validated(NightlyConfig, config))
    except PacoreError as fault:
        return ended_by(fault)


def _nightly(config: NightlyConfig) -> State[Any]:
    jobs = dated_jobs(config, meant_to_start())
    found = CHECKED.get(None)
    for line in checked_lines(config, jobs) if found is None else found:
        get_run_logger().warning("%s", line)
    shared_budget = None if config.budget is None else night_budget(config.budget, jobs)
    progress = NightProgress(jobs, _shared(shared_budget))
    with (
        reusing_servers(),
        sharing(shared_budget),
        given(SHOWING, _also_in(progress, SHOWING.get())),
        kept_current(NightArtifact(progress, night_progress_sheet)),
    ):
        nights = _decided(jobs, progress)
    if isinstance(nights, State):
        return nights
    report = NightReport(nights, _spending(shared_budget))
    nights_artifact(report.sheet)
    if report.worst is not None:
        return Failed(name=STATES[report.worst], message=str(report), data=report)
    return Completed(message=str(report), data=report)


def _shared(shared_budget: SharedBudget | None) -> Allowance | None:
    """The budget of the night as it is found; None without one, or where what is spent cannot be read: each
    job says so then.
    """
    try:
        return None if shared_budget is None else shared_budget.allowance()
    except StoreError:
        return None


def _spending(shared_budget: SharedBudget | None) -> str:
    """What was spent of the budget of the night; empty without one."""
    try:
        return "" if shared_budget is None else shared_budget.shown()
    except StoreError as fault:
        return f"what was spent is not known: {fault}"


def _decided(jobs: Sequence[DatedJob], progress: NightProgress) -> list[Night] | State[Any]:
    """The nights of all jobs, one after the other; the state where one was cancelled."""
    nights: list[Night] = []
    for number, (job, run) in enumerate(jobs):
        _say(f"job {job.name}: run {run.run_id}, {number + 1} of {len(jobs)} jobs")
        progress.begin(number)
        ended = _made(job, run, progress)
        if isinstance(ended, State):
            return ended
        nights.append(ended)
        progress.decided(ended)
        _say(f"job {line_of(ended)}")
        _clean(job, run)
    return nights


def _also_in(progress: NightProgress, showing: Showing) -> Showing:
    """What shows a run's progress, and has that of the night know of the run."""

    @contextmanager
    def shown(work: Work) -> Iterator[None]:
        with progress.running(work), showing(work):
            yield

    return shown


def _say(line: str) -> None:
    """Say a line in the flow run's log, and to whoever called the flow."""
    get_run_logger().info("%s", line)
    if (say := SAYING.get(None)) is not None:
        say(line)


def _clean(job: NightlyJob, run: RunConfig) -> None:
    """Remove the runs of old nights. What keeps it from that is said, and is no fault of the night."""
    try:
        if gone := clean(open_store(run.store), job):
            get_run_logger().info(cleaning_line(job.name, gone))
    except PacoreError as fault:
        get_run_logger().warning("job %s: old nights were not removed: %s", job.name, fault)


def _made(job: NightlyJob, run: RunConfig, progress: NightProgress) -> Night | State[Any]:
    """One job's night; the state where it was cancelled, which ends the others too."""
    try:
        return _night_of(job, run, progress)
    except PacoreError as fault:
        return _failed(job, run, str(fault))


def _failed(job: NightlyJob, run: RunConfig, why: str) -> Night:
    """The night of a job that failed, in the ledger as far as that can be written."""
    try:
        return note_night(open_store(run.store), job, run, EarlyEnd(FAILED, why))
    except PacoreError as fault:
        reasons = (why, f"the night is not in the ledger: {fault}")
        return Night(job.name, str(run.run_id), datetime.now(UTC), FAILED, reasons)


def _night_of(job: NightlyJob, run: RunConfig, progress: NightProgress) -> Night | State[Any]:
    if (fault := job_fault(job, run)) is not None:
        raise fault
    store, run_id = open_store(run.store), str(run.run_id)
    swept: NightSweep | None = None
    judge: str | None = None
    if job.arms:
        state, swept = _swept(job, run)
    elif job.has_judge:
        state, judge = _judged(job, run)
    else:
        state = made_and_graded(run, job.grader)
    if state.name in DONE:
        progress.graded()
        evaluated = state.result(raise_on_failure=False)
        measured = evaluated[0].found if isinstance(evaluated, list) else None
        return conclude_night(store, job, run_id, swept, judge, measured)
    if state.name == "Cancelled":
        return Cancelled(message=state.message)
    runs = (run_id, judge) if judge else ()
    return note_night(store, job, run, _early_end(state, is_of_judge=judge is not None), runs)


def _early_end(state: State[Any], *, is_of_judge: bool) -> EarlyEnd:
    """What a job comes to by the state of a run, or of an evaluation, that did not come to its end. The
    reason has the state's name where the decision does not say as much.
    """
    fault = state.result(raise_on_failure=False)
    of = "judge: " if is_of_judge else ""
    if isinstance(fault, BudgetSpent | DoesNotFit):
        is_shared = isinstance(fault, BudgetSpent) and fault.whose == WHOSE
        return EarlyEnd(INCOMPLETE, f"{of}{state.message}", "night" if is_shared else "job")
    named = "" if state.name == STATES[FAILED] else f"{state.name}: "
    return EarlyEnd(FAILED, f"{of}{named}{state.message}")


def _judged(job: NightlyJob, run: RunConfig) -> tuple[State[Any], str | None]:
    """The end of a run that a judge grades, and the run of the judge's votes once that is begun."""
    try:
        check_judged_fits(job, run, SHARED_BUDGETS.get())
    except PacoreError as fault:
        return ended_by(fault), None
    state: State[Any] = infer(run, return_state=True)
    if state.name not in DONE:
        return state, None
    store, run_id = open_store(run.store), str(run.run_id)
    made = open_run(store, run_id)
    judging = begin_judging(store, made, job.grader, "gold", job.judge_changes)
    judge = str(judging.config.run_id)
    state = infer(judging.config, return_state=True)
    if state.name not in DONE:
        return state, judge
    finish_judging(store, judging)
    state = evaluate(EvaluateConfig(runs=(run_id,), store=run.store), return_state=True)
    return state, judge


def _swept(job: NightlyJob, run: RunConfig) -> tuple[State[Any], NightSweep | None]:
    """The end of the sweep over a job's arms, and the sweep where it came to its end."""
    config = job.sweep(run)
    state: State[Any] = sweep(config, return_state=True)
    if state.name not in DONE:
        return state, None
    outcome = state.result(raise_on_failure=False)
    assert isinstance(outcome, SweepOutcome)
    return state, NightSweep(plan_sweep(config, str(run.run_id)), outcome.result, outcome.runs)
