"""The jobs of a night but for the decision on them: as of a date, checked before the first of them begins,
and noted in the ledger where their runs did not come to their end.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from pacore.core.config.nightly import NightBudget, NightlyConfig, NightlyJob
from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import plan_sweep
from pacore.engine.opening import resolve_recipe
from pacore.errors import BadInput, PacoreError, StoreError
from pacore.evaluation.sweep import begin_sweep, include_sweep
from pacore.runs.dispatch.budget import SpendingLimits
from pacore.runs.planning.budget import SharedBudget
from pacore.runs.planning.forecast import check_sources
from pacore.runs.planning.together import price_of
from pacore.runs.start import OtherSettings, start_run
from pacore.runs.unpublished import Published, unpublished
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_units
from pacore.store.layout import run_key
from pacore.store.nights import Night, add_night
from pacore.store.run import list_runs, open_run

SPENT_SECONDS = 60.0
"""How long it may take to find what the runs of a night have spent."""

WHOSE = "the night's"
"""How the budget that the jobs share is named in texts."""

DatedJob = tuple[NightlyJob, RunConfig]
"""A job with the settings of its run as of the night."""


def dated_jobs(config: NightlyConfig, meant_to_start: datetime) -> list[DatedJob]:
    """The jobs of a night, with its date in the settings of their runs: the one that is given, else that of
    the time at which the night was meant to start. Raises BadInput for a date that is to come.
    """
    night = meant_to_start
    if config.night is not None:
        night, today = config.night, datetime.now(UTC).date()
        if night.date() > today:
            raise BadInput(f"date {night:%Y-%m-%d}: is to come; today is {today:%Y-%m-%d} (UTC)")
    prices = None if config.budget is None else config.budget.prices
    return [(job, job.dated(prices).at(night)) for job in config.jobs]


def night_budget(budget: NightBudget, jobs: Sequence[DatedJob]) -> SharedBudget:
    """The budget that all runs of a night share, those of its judges too."""
    limits = SpendingLimits(budget.max_tokens_total, budget.max_cost, budget.max_hours)
    shared = SharedBudget(WHOSE, limits, budget.prices, budget.partial)
    for job, run in jobs:
        if job.arms:
            include_sweep(shared, plan_sweep(job.sweep(run), str(run.run_id)))
        else:
            shared.include(run, has_judge=job.has_judge)
    return shared


def job_faults(jobs: Iterable[DatedJob]) -> dict[str, PacoreError]:
    """Why jobs cannot be done as things are, by their names: the first thing that is wrong with each."""
    return {job.name: fault for job, run in jobs if (fault := job_fault(job, run)) is not None}


def job_fault(job: NightlyJob, run: RunConfig) -> PacoreError | None:
    """Why a job cannot be done as things are: its problem set, prices, model, server, store or name.

    Nothing is written or generated, and no vLLM server is started.
    """
    try:
        _check(job, run)
    except OtherSettings as other:
        return BadInput(
            f"run {run.run_id} was begun with other settings: {'; '.join(other.differing)}; change them "
            f"back, or give job {job.name} another name"
        )
    except PacoreError as fault:
        return fault
    return None


def _check(job: NightlyJob, run: RunConfig) -> None:
    problems = check_sources(run)
    price_of(run)
    if job.has_judge:
        judge = job.judge_run(run)
        check_sources(judge)
        price_of(judge)
        code = next((one.problem_id for one in problems if one.grader == "code"), None)
        if code is not None:
            raise BadInput(f"grader {job.grader}: problem {code} is graded by running programs")
    store = open_store(run.store)
    if job.arms:
        begin_sweep(job.sweep(run), problems)
    elif store.exists(run_key(str(run.run_id))):
        start_run(store, run, resolve_recipe(run), problems)


def fault_lines(faults: Mapping[str, PacoreError], jobs: int) -> list[str]:
    """What is wrong with the jobs of a night, a line each, before the first begins."""
    lines = [f"job {name} cannot be done: {fault}" for name, fault in faults.items()]
    if 0 < len(faults) < jobs:
        lines.append(f"the other {jobs - len(faults)} of {jobs} jobs are done all the same")
    return lines


class EarlyEnd(NamedTuple):
    """What a night is that did not come to its end, as `Night` has it, and why in a line."""

    decision: str
    reason: str
    stopped_by: str | None = None


def note_night(
    store: Backend,
    job: NightlyJob,
    run: RunConfig,
    end: EarlyEnd,
    runs: tuple[str, ...] = (),
) -> Night:
    """Add a night to the ledger whose runs did not come to their end; ``run`` are its dated settings, and
    ``runs`` all its runs where it is a run and a judge's votes.
    """
    run_id = str(run.run_id)
    if job.arms:
        planned = plan_sweep(job.sweep(run), run_id)
        runs = tuple(str(one.run_id) for one in planned.configs)
    own = runs or (run_id,)
    tokens = spent_tokens(store, own)
    if end.stopped_by is not None and not set(own) & set(list_runs(store)):
        # Its runs were expected not to fit, and so none was begun.
        tokens = 0
    night = Night(
        job.name,
        run_id,
        datetime.now(UTC),
        end.decision,
        (end.reason,),
        tokens=tokens,
        runs=runs,
        stopped_by=end.stopped_by,
    )
    if night.did_not_run:
        night = replace(night, reasons=(f"the job did not run: {end.reason}",))
    add_night(store, night)
    return night


def spent_tokens(store: Backend, runs: Sequence[str]) -> int | None:
    """Tokens that some runs have generated so far, failed tries not among them; None where none of the runs
    was begun, and where that cannot be told: nothing is estimated.
    """
    known = set(list_runs(store))
    begun = [name for name in runs if name in known]
    deadline, spent = time.monotonic() + SPENT_SECONDS, 0
    for name in begun:
        run = open_run(store, name)
        published = Published.of(store, current_units(store, name))
        try:
            found = unpublished(store, run, published.commits, deadline)
        except StoreError:
            return None
        if found.is_estimate:
            return None
        spent += published.total("completion_tokens") + found.completion_tokens
    return spent if begun else None
