"""The jobs of a night: checked before the first begins, made for a day that was missed, and noted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pacore.core.config.nightly import NightlyConfig
from pacore.errors import BadInput, BudgetSpent
from pacore.evaluation.nightly.jobs import (
    EarlyEnd,
    dated_jobs,
    fault_lines,
    job_fault,
    job_faults,
    note_night,
    spent_tokens,
)
from pacore.report.ledgers.nightly import ledger_sheet, nights_sheet
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.store.nights import read_nights
from tests.fixtures.pipeline import finish, run_stages, write_problems
from tests.fixtures.pipeline import spent_tokens as spent_by_budget

TODAY = datetime.now(UTC)


def night_of(folder: Path, *jobs: dict[str, object], date: str | None = None) -> NightlyConfig:
    """A night of jobs over the sums of ``problems.jsonl``, where they say nothing else."""
    problems = write_problems(folder / "problems.jsonl", 10)
    given = {"problems": str(problems), "engine": "scripted", "model": "scripted?words=20",
             "widths": (2,), "shard_size": 2, "store": str(folder / "store")}  # fmt: skip
    return NightlyConfig.model_validate(
        {
            "jobs": [
                {"name": f"job-{place}", "run": {**given, **job}} for place, job in enumerate(jobs)
            ],
            "date": date,
        }
    )


def test_every_job_that_cannot_be_done_is_named_in_a_line_before_anything_is_written(
    tmp_path: Path,
) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("model,currency,prompt_per_million,completion_per_million\nother,EUR,1,1\n")
    config = night_of(
        tmp_path,
        {"problems": str(tmp_path / "absent.jsonl")},
        {},
        {"fields": {"problem": "question"}},
        {"engine": "http", "endpoints": ["http://127.0.0.1:9/v1"], "model": "m"},
        {"prices": str(prices)},
    )
    jobs = dated_jobs(config, TODAY)
    faults = job_faults(jobs)
    said = fault_lines(faults, len(jobs))
    assert [line.split(":")[0] for line in said] == [
        *(f"job job-{place} cannot be done" for place in (0, 2, 3, 4)),
        "the other 1 of 5 jobs are done all the same",
    ]
    for line, reason in zip(
        said, ("absent.jsonl: no such file", "no row of", "no connection", "no prices of model"),
        strict=False,
    ):  # fmt: skip
        assert reason in line
        assert "\n" not in line
    assert not (tmp_path / "store").exists()


def test_a_file_without_mistakes_has_nothing_to_say(tmp_path: Path) -> None:
    jobs = dated_jobs(night_of(tmp_path, {}, {}), TODAY)
    assert job_faults(jobs) == {}
    assert fault_lines({}, 2) == []


def test_a_night_whose_name_was_begun_with_other_settings_is_found_before_it_begins(
    tmp_path: Path,
) -> None:
    ((_, run),) = dated_jobs(night_of(tmp_path, {}), TODAY)
    run_stages(run)
    ((job, again),) = dated_jobs(night_of(tmp_path, {}), TODAY)
    assert job_fault(job, again) is None
    ((job, other),) = dated_jobs(night_of(tmp_path, {"replicates": 3}), TODAY)
    assert str(job_fault(job, other)) == (
        f"run {run.run_id} was begun with other settings: plan.replicates: 1 -> 3; change them back, or "
        "give job job-0 another name"
    )


def test_a_missed_night_is_named_and_sampled_as_it_would_have_been(tmp_path: Path) -> None:
    then = TODAY - timedelta(days=3)
    ((_, missed),) = dated_jobs(night_of(tmp_path, {}, date=f"{then:%Y-%m-%d}"), TODAY)
    ((_, made_then),) = dated_jobs(night_of(tmp_path, {}), then)
    assert missed == made_then
    assert missed.run_id == f"job-0-{then:%Y%m%d}"
    assert missed.seed_root == f"{then:%Y%m%d}"


def test_a_night_that_is_to_come_is_refused(tmp_path: Path) -> None:
    coming = TODAY + timedelta(days=2)
    with pytest.raises(BadInput, match=f"^date {coming:%Y-%m-%d}: is to come; today is 20"):
        dated_jobs(night_of(tmp_path, {}, date=f"{coming:%Y-%m-%d}"), TODAY)


@pytest.mark.parametrize("date", ["2026-02-30", "yesterday", "20261128", "2026-11-28\n"])
def test_what_is_no_date_is_refused(tmp_path: Path, date: str) -> None:
    with pytest.raises(ValueError, match="is no date such as 2026-11-28"):
        night_of(tmp_path, {}, date=date)


def test_a_night_that_its_budget_stopped_has_the_tokens_that_it_spent(tmp_path: Path) -> None:
    config = night_of(tmp_path, {"max_tokens_total": 600, "partial": True, "concurrency": 2})
    ((job, run),) = dated_jobs(config, TODAY)
    with pytest.raises(BudgetSpent) as stopped:
        finish(run)
    store = open_store(run.store)
    note_night(store, job, run, EarlyEnd("INCOMPLETE", str(stopped.value)))
    (night,) = read_nights(store, "job-0")
    assert night.tokens == spent_by_budget(run)
    assert night.tokens
    assert f"new tokens  {night.tokens:,}" in to_text(nights_sheet([night]))
    shown = to_text(ledger_sheet("job-0", [night], []), 80)
    assert f"{night.tokens:,}" in shown
    assert f"{night.ended_at:%Y-%m-%d %H:%M}" in shown
    assert "no baseline" in shown


def test_a_night_of_which_no_run_was_begun_has_no_count_of_tokens(tmp_path: Path) -> None:
    assert spent_tokens(open_store(str(tmp_path)), ["absent-20261130"]) is None
