"""What the jobs of a night are expected to take of the budget that they share, before the first begins."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from pacore.core.config.nightly import NightlyConfig, NightlyJob
from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import plan_sweep
from pacore.errors import PacoreError
from pacore.evaluation.expected_votes import expected_votes
from pacore.evaluation.nightly.jobs import DatedJob, fault_lines, job_faults, night_budget
from pacore.evaluation.sweep import expected_opinion, sweep_budget
from pacore.problems.files import read_problem_set
from pacore.runs.dispatch.budget import NOTHING, Allowance
from pacore.runs.planning.budget import SharedBudget, check_together, unfit
from pacore.runs.planning.together import NO_NEEDS, Needs, RunToMake, Together
from pacore.store.backends.opening import open_store
from pacore.store.run import list_runs


def checked_lines(config: NightlyConfig, jobs: Sequence[DatedJob]) -> list[str]:
    """What is found of a night before it begins, a line each: jobs that cannot be done, and what the others
    are expected to take of the budget that they share, and of their own.
    """
    faults = job_faults(jobs)
    lines = fault_lines(faults, len(jobs))
    shared = None if config.budget is None else night_budget(config.budget, jobs)
    try:
        return [*lines, *_expected_lines(jobs, faults, shared)]
    except PacoreError as fault:
        return [*lines, f"what the jobs are expected to take is not known: {fault}"]


def planned_runs(job: NightlyJob, run: RunConfig) -> list[RunToMake]:
    """The runs of a job in the order in which they are made, those of a judge's votes left out. Raises
    BadInput.
    """
    problems = read_problem_set(run.problems, run.limit, run.fields)
    made = plan_sweep(job.sweep(run), str(run.run_id)).configs if job.arms else [run]
    return [RunToMake(one, problems) for one in made]


def check_judged_fits(
    job: NightlyJob, run: RunConfig, shared_budgets: Sequence[SharedBudget]
) -> None:
    """Raise as `check_together` does where the run of a job and its judge's votes are expected not to fit
    into a budget that they share, or the votes into the judge's own, before the run is begun.
    """
    judges = _judges_budget(job, run)
    if not shared_budgets and judges is None:
        return
    runs = planned_runs(job, run)
    votes = _votes(job, run, runs)
    check_together(runs, shared_budgets, votes)
    if judges is not None and not judges.goes_on:
        fault = unfit(judges.allowance, votes)
        if fault is not None:
            raise fault


def _votes(job: NightlyJob, run: RunConfig, runs: Sequence[RunToMake]) -> Needs:
    """What the votes about the runs of a job are expected to take: its judge's, or its own model's."""
    first = runs[0]
    if job.arms:
        return expected_opinion(plan_sweep(job.sweep(run), str(run.run_id)), first.problems)
    if not job.has_judge:
        return NO_NEEDS
    return expected_votes(first, job.judge_run(run), job.grader, "gold")


class _Counted(NamedTuple):
    """What is left of a budget, what of a job counts in it, and whether that goes on where it is expected
    not to fit.
    """

    allowance: Allowance
    of_runs: bool
    of_votes: bool
    goes_on: bool

    def needs(self, made: Needs, votes: Needs) -> Needs:
        return (made if self.of_runs else NO_NEEDS) + (votes if self.of_votes else NO_NEEDS)


def _own_budgets(job: NightlyJob, run: RunConfig, runs: Sequence[RunToMake]) -> list[_Counted]:
    """The budgets of tokens or money that a job has for itself, that of its judge too."""
    found, own = list[_Counted](), None
    if job.arms:
        sweep = job.sweep(run)
        own = sweep_budget(sweep, plan_sweep(sweep, str(run.run_id)))
    elif (own := SharedBudget.of_runs("its own", run)) is not None:
        own.include(run)
    if own is not None:
        goes_on = own.is_partial or own.has_spent_on(runs)
        found.append(_Counted(own.allowance(), True, bool(job.arms), goes_on))
    if (judges := _judges_budget(job, run)) is not None:
        found.append(judges)
    return [one for one in found if any(one.allowance.limited())]


def _judges_budget(job: NightlyJob, run: RunConfig) -> _Counted | None:
    """The budget of a job's judge; None where it has none, or no judge. A run that has begun goes on."""
    if not job.has_judge:
        return None
    judges = SharedBudget.of_runs("the judge's", job.judge_run(run))
    if judges is None:
        return None
    has_begun = run.run_id in set(list_runs(open_store(run.store)))
    return _Counted(judges.allowance(), False, True, judges.is_partial or has_begun)


def _expected_lines(
    jobs: Sequence[DatedJob], faults: Collection[str], shared: SharedBudget | None
) -> Iterator[str]:
    """Jobs are taken in their order; one that is expected not to fit leaves what it would take to the later
    ones, and what it would generate is not there for them.
    """
    found = None if shared is None else shared.allowance()
    if shared is None or found is None or not any(found.limited()):
        shared = found = None
    left, together, whole = found, Together(), Together()
    lines, uncounted, total = list[str](), list[tuple[str, Needs]](), NOTHING
    for job, run in jobs if shared is not None or any(map(_has_budget, jobs)) else ():
        if job.name in faults:
            continue
        runs = planned_runs(job, run)
        own, votes = _own_budgets(job, run, runs), _votes(job, run, runs)
        total += (whole.needs(runs) + votes).amount
        tried = together.copy()
        made = tried.needs(runs)
        budgets = list(own)
        if shared is not None and left is not None:
            goes_on = shared.is_partial or run.partial or shared.has_spent_on(runs)
            budgets.append(_Counted(left, True, True, goes_on))
        if budgets:
            is_counted = any(one.of_votes for one in budgets)
            uncounted.append((job.name, made + (votes if is_counted else NO_NEEDS)))
        said, is_refused = _fit(budgets, made, votes)
        lines += [f"job {job.name}: {short}" for short in said]
        if not is_refused:
            together = tried
            left = left and replace(left, spent=left.spent + (made + votes).amount)
    for part in () if found is None else found.limited():
        if needed := part.of(total):
            yield (
                f"the jobs are expected to take about {needed:,.4g}, and {max(part.left, 0):,.10g} of "
                f"{part.title} {part.limit:,.10g} is left"
            )
    yield from _uncounted(uncounted)
    yield from lines


def _has_budget(dated: DatedJob) -> bool:
    job, run = dated
    own = [run, job.judge_run(run)] if job.has_judge else [run]
    return any(one.max_tokens_total is not None or one.max_cost is not None for one in own)


def _fit(budgets: Sequence[_Counted], made: Needs, votes: Needs) -> tuple[list[str], bool]:
    """What becomes of a job that is expected not to fit into some budgets, and whether it is not run then.
    Nothing of one that may fit.
    """
    said = []
    for one in budgets:
        short = _short(one.allowance, one.needs(made, votes), goes_on=one.goes_on)
        if short is not None:
            said.append(short)
            if not one.goes_on:
                return said, True
    return said, False


def _short(allowance: Allowance, needs: Needs, *, goes_on: bool) -> str | None:
    """What becomes of a job that is expected not to fit into what is left; None where it may fit."""
    strict = replace(allowance, is_partial=False, is_of_runs=False)
    if needs.is_nothing or unfit(strict, needs) is None:
        return None
    part = next(one for one in strict.limited() if one.of(needs.amount) > one.left)
    left = max(part.left, 0)
    when = f"about {left:,.4g} is left by then"
    if allowance.is_of_runs:
        when = f"{left:,.10g} of {part.title} {part.limit:,.10g} is left"
    what = (
        "is expected to be stopped"
        if goes_on
        else "is expected not to fit, and will not be run then"
    )
    return f"{what}: {needs.said(part)}, and {when}"


def _uncounted(found: Sequence[tuple[str, Needs]]) -> Iterator[str]:
    """Of which jobs nothing that is stored tells how long trajectories, or votes, are."""
    if jobs := [name for name, needs in found if needs.unknown]:
        yield f"nothing stored tells how long trajectories of {', '.join(jobs)} are: not counted"
    if jobs := [name for name, needs in found if needs.unknown_votes]:
        most = sum(needs.unknown_votes for _, needs in found)
        yield (
            f"nothing stored tells how long votes about answers of {', '.join(jobs)} are: not counted, at "
            f"most {most:,} votes"
        )
