"""The budget that the runs of a night share: what each leaves for the next, whoever spent it."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.nightly import NightlyConfig
from pacore.core.config.run import RunConfig
from pacore.core.plan import Plan
from pacore.core.validation import validated
from pacore.errors import BadInput, BudgetSpent
from pacore.evaluation.judging import begin_judging
from pacore.evaluation.nightly.jobs import (
    EarlyEnd,
    dated_jobs,
    job_faults,
    night_budget,
    note_night,
)
from pacore.evaluation.nightly.progress import RUNNING, NightProgress
from pacore.report.ledgers.nightly import NightReport, night_progress_sheet
from pacore.report.rendering.terminal import to_text
from pacore.runs.dispatch.in_work import STALLED_SECONDS, SetPlace
from pacore.runs.dispatch.progress import Progress
from pacore.runs.loop import finish_shards
from pacore.runs.planning.budget import SharedBudget
from pacore.runs.problems import close, open_work
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run
from tests.evaluation.test_nightly_jobs import TODAY, night_of
from tests.fixtures.pipeline import run_stages, spent_tokens

PRICES = (
    "model,currency,prompt_per_million,completion_per_million\nscripted?words=20,EUR,0,1000000\n"
)


def bounded(folder: Path, *jobs: dict[str, object], **budget: object) -> NightlyConfig:
    """A night of jobs that sample each for itself, within a budget."""
    folder.mkdir(exist_ok=True)
    own = [{"seed_root": f"job-{place}", **job} for place, job in enumerate(jobs)]
    night = night_of(folder, *own)
    return validated(NightlyConfig, {"jobs": night.jobs, "budget": budget})


def opened(config: NightlyConfig) -> tuple[SharedBudget, list[RunConfig]]:
    jobs = dated_jobs(config, TODAY)
    assert config.budget is not None
    return night_budget(config.budget, jobs), [run for _, run in jobs]


def finish(
    run: RunConfig, shared_budget: SharedBudget, progress: NightProgress | None = None
) -> None:
    with (
        open_work(run, [shared_budget]) as work,
        progress.running(work) if progress else nullcontext(),
    ):
        assert progress is None or progress.current.state == "running"
        finish_shards(work)
        close(work.store, work.run)


def test_what_earlier_jobs_spent_is_not_there_for_later_ones_and_nothing_is_needed_to_end(
    tmp_path: Path,
) -> None:
    _, (alone,) = opened(bounded(tmp_path / "alone", {}, max_hours=1))
    run_stages(alone)
    limit = int(1.5 * spent_tokens(alone))
    config = bounded(tmp_path, {}, {}, max_tokens_total=limit, partial=True)
    shared_budget, (first, second) = opened(config)
    finish(first, shared_budget)
    with pytest.raises(BudgetSpent, match=rf" of the night's max_tokens_total {limit:,}$") as spent:
        finish(second, shared_budget)
    assert spent.value.whose == "the night's"
    total = spent_tokens(first) + spent_tokens(second)
    assert shared_budget.allowance().spent.tokens == total
    again, _ = opened(config)
    assert again.allowance().spent.tokens == total, "of an open run the journal is read"
    assert shared_budget.shown() == f"{total:,.10g} of the night's max_tokens_total {limit:,}"
    tight, _ = opened(bounded(tmp_path, {}, {}, max_tokens_total=1))
    finish(first, tight)
    with pytest.raises(BudgetSpent, match="is spent"):
        finish(second, tight)
    finish(second, opened(bounded(tmp_path, {}, {}, max_tokens_total=2 * limit))[0])
    assert spent_tokens(second) < limit


def test_votes_of_a_judge_count_and_runs_of_others_do_not(tmp_path: Path) -> None:
    config = bounded(tmp_path, {}, {}, max_tokens_total=10**6)
    judged, other = config.jobs
    job = judged.model_copy(update={"grader": "judge:k=1,n=1"})
    config = config.model_copy(update={"jobs": (job, other)})
    shared_budget, (run, _) = opened(config)
    finish(run, shared_budget)
    run_stages(run.model_copy(update={"run_id": "of-a-person", "seed_root": "x"}))
    before = shared_budget.allowance().spent.tokens
    assert before == spent_tokens(run)
    store = open_store(run.store)
    judge = begin_judging(store, open_run(store, str(run.run_id)), job.grader, "gold", {}).config
    finish(judge, shared_budget)
    assert shared_budget.allowance().spent.tokens == before + spent_tokens(judge) > before


def test_money_and_hours_are_shared_too(tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text(PRICES)
    given: dict[str, Any] = {"max_cost": 300.0, "prices": str(prices), "partial": True}
    shared_budget, (first, second) = opened(bounded(tmp_path, {}, {}, **given))
    assert first.prices == str(prices)
    with pytest.raises(BudgetSpent, match=r" of the night's max_cost 300$"):
        finish(first, shared_budget)
    with pytest.raises(BudgetSpent, match=r" of the night's max_cost 300$"):
        finish(second, shared_budget)
    prices.write_text("model,prompt_per_million,completion_per_million\nanother,1,1\n")
    faults = job_faults(dated_jobs(bounded(tmp_path, {}, **given), TODAY))
    assert "has no prices of model 'scripted?words=20'" in str(faults["job-0"])

    late, (run,) = opened(bounded(tmp_path / "late", {}, max_hours=2))
    late.began = time.monotonic() - 7201
    with pytest.raises(BudgetSpent, match="^the time is over: the night's max_hours 2$"):
        finish(run, late)


def test_a_budget_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="max_cost: needs prices"):
        bounded(tmp_path, {}, max_cost=1.0)
    with pytest.raises(BadInput, match=r"prices a\.csv are those of all jobs, and job job-0 has b"):
        bounded(tmp_path, {"prices": "b.csv"}, max_cost=1.0, prices="a.csv")
    with pytest.raises(BadInput, match="budget.max_tokens_total"):
        bounded(tmp_path, {}, max_tokens_total=0)


def test_the_report_of_a_night_says_which_jobs_its_budget_stopped_and_which_did_not_run(
    tmp_path: Path,
) -> None:
    config = bounded(tmp_path, {}, {}, {}, max_tokens_total=100, partial=True)
    jobs, (shared_budget, _) = dated_jobs(config, TODAY), opened(config)
    progress = NightProgress(jobs, shared_budget.allowance())
    nights = []
    for number, (job, run) in enumerate(jobs[:2]):
        progress.begin(number)
        with pytest.raises(BudgetSpent) as spent:
            finish(run, shared_budget, progress)
        end = EarlyEnd("INCOMPLETE", str(spent.value), "night")
        nights.append(note_night(open_store(run.store), job, run, end))
        progress.decided(nights[-1])
    first, second = nights
    assert (first.did_not_run, second.did_not_run) == (False, True)
    report = NightReport(nights, shared_budget.shown())
    assert report.code == 5
    said = f"incomplete: budget: {shared_budget.shown()}; stopped: job-0; did not run: job-1"
    assert str(report).startswith(f"{said}; job-0 INCOMPLETE: ")
    assert said in " ".join(to_text(report.sheet).split())
    assert progress.states == ("INCOMPLETE", "INCOMPLETE", "waiting")
    assert progress.done == pytest.approx(2 / 3)
    shown = to_text(night_progress_sheet(progress))
    assert f"spent {shared_budget.shown()}" in shown
    assert "waiting" in shown
    assert "/30" in shown


def test_the_page_of_a_night_has_the_line_of_the_run_that_is_made_and_names_what_is_stalled(
    tmp_path: Path,
) -> None:
    jobs = dated_jobs(bounded(tmp_path, {}, {}, max_tokens_total=100), TODAY)
    progress = NightProgress(jobs)
    now = [0.0]
    run = Progress.of("job-1-20261201", Plan(widths=(2,)), 20, lambda: now[0])
    progress.begin(1)
    assert "trajectories," not in to_text(night_progress_sheet(progress), 400)
    progress.current.run, progress.current.state = run, RUNNING
    run.spending = lambda: "7 of max_tokens_total 50"
    for number in range(12):
        place = SetPlace(0, 1, f"p-{number}", 0)
        run.in_work.begin(place, [f"{number}"])
        run.in_work.send(place)
    shown = to_text(night_progress_sheet(progress), 400)
    line = "run job-1-20261201: 0/60 trajectories, 0 reused, spent 7 of max_tokens_total 50"
    assert line in shown.splitlines()
    assert "stalled" not in shown
    run.in_work.took(1.0)
    now[0] = STALLED_SECONDS + 1
    said, stalled, *_ = to_text(night_progress_sheet(progress), 400).splitlines()
    assert said.startswith("run job-1-20261201: 0/60 ")
    assert stalled.startswith("12 stalled: p-0 in round 1, p-1 in round 1, ")
    assert stalled.endswith(" and 2 more")
    progress.graded()
    assert line not in to_text(night_progress_sheet(progress), 400)
