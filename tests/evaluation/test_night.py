"""A night of a job: compared with what a person accepted, decided, and kept in the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacore.core.config.nightly import NightlyConfig, NightlyJob
from pacore.core.config.run import RunConfig
from pacore.errors import Refused, StoreError
from pacore.evaluation.night import accept_runs, conclude_night, note_night
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.nights import Night, list_jobs, read_acceptances, read_nights
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems

PROBLEMS = 40

GOOD, WORSE = "scripted?words=5", "scripted?words=5&truncate=0.5"


class Job:
    """A job over some sums whose nights are run without Prefect."""

    def __init__(self, folder: Path, **job: object) -> None:
        self.folder = folder
        self.problems = write_problems(folder / "problems.jsonl", PROBLEMS)
        run = {"problems": str(self.problems), "engine": "scripted", "model": GOOD}
        self.job = NightlyJob.model_validate({"name": "sums", "run": run, **job})
        self.store: Backend = open_store(str(folder / "store"))

    def run(self, day: int, model: str = GOOD, **fields: object) -> RunConfig:
        name = f"sums-202612{day:02}"
        given = {"widths": (2,), "replicates": 4, "run_id": name, "seed_root": name, **fields}
        config = scripted_config(self.folder / "store", self.problems, model=model, **given)
        run_stages(config)
        return config

    def night(self, day: int, model: str = GOOD, **fields: object) -> Night:
        run = self.run(day, model, **fields)
        return conclude_night(self.store, self.job, str(run.run_id))

    def accept(self, *days: int) -> None:
        runs = [f"sums-202612{day:02}" for day in days]
        accept_runs(self.store, "sums", runs, "ada", "looked at it")


def test_a_night_without_a_baseline_says_how_to_accept_one_and_is_no_baseline_by_itself(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path)
    for day in (1, 2):
        night = job.night(day)
        assert (night.decision, night.baseline, night.measures) == ("NO BASELINE", (), ())
        assert night.reasons[0].endswith(f"nightly accept sums sums-202612{day:02} makes it one")
        assert night.accuracy is not None
        assert night.tokens


def test_nights_of_the_same_model_are_a_go_and_a_worse_model_is_a_no_go_that_says_why(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path)
    job.night(1)
    job.accept(1)
    for day in (2, 3):
        night = job.night(day)
        assert (night.decision, night.reasons) == ("GO", ())
        assert night.baseline == ("sums-20261201",)
        assert night.changed == ()
        assert night.detectable is not None
    bad = job.night(4, WORSE)
    assert bad.decision == "NO-GO"
    assert "points below the baseline, which is not chance (p = " in bad.reasons[0]
    assert bad.changed == tuple(
        f"{what}: {GOOD!r} -> {WORSE!r}" for what in ("recipe.model", "server.served_model")
    )
    assert [one.decision for one in read_nights(job.store, "sums")] == [
        "NO BASELINE", "GO", "GO", "NO-GO",
    ]  # fmt: skip
    job.accept(4)
    assert job.night(5, WORSE).decision == "GO"
    assert [one.runs for one in read_acceptances(job.store, "sums")] == [
        ("sums-20261201",),
        ("sums-20261204",),
    ]


def test_a_night_whose_evidence_is_lacking_is_no_go_and_says_what_is(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.night(1)
    job.accept(1)
    cut = job.night(2, f"{GOOD}&fault=0.2", attempts=1)
    assert cut.decision == "NO-GO"
    assert cut.reasons[0].startswith("not complete: ")


def test_a_drop_that_may_be_chance_is_a_no_go_only_where_the_job_says_so(tmp_path: Path) -> None:
    strict = Job(tmp_path, max_drop=0.0001)
    strict.run(1)
    strict.accept(1)
    decisions = [strict.night(day) for day in range(2, 6)]
    dropped = [night for night in decisions if night.measures[0].value < night.measures[0].baseline]
    assert dropped
    for night in decisions:
        assert (night.decision == "NO-GO") == (night in dropped)
    assert "0.01 are allowed" in dropped[0].reasons[0]


def test_changed_problems_are_left_out_of_the_comparison_and_named(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run(1)
    job.accept(1)
    text = job.problems.read_text().replace("What is 1 + 3?", "What is 1 + 5?")
    job.problems.write_text(text)
    night = job.night(2)
    assert {test.problems for test in night.measures} == {PROBLEMS - 1}
    assert any(change.startswith("problem_set: ") for change in night.changed)


def test_a_night_that_is_run_again_counts_once_by_its_last_record(tmp_path: Path) -> None:
    job = Job(tmp_path)
    note_night(job.store, job.job, "sums-20261201", "FAILED", "PartialFailure: no server")
    assert read_nights(job.store, "sums")[0].decision == "FAILED"
    job.night(1)
    (night,) = read_nights(job.store, "sums")
    assert (night.run_id, night.decision) == ("sums-20261201", "NO BASELINE")
    assert list_jobs(job.store) == ["sums"]


def test_only_runs_at_their_end_and_of_one_problem_set_become_a_baseline(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run(1)
    with pytest.raises(Refused, match="no run 'sums-20261209'"):
        job.accept(9)
    job.run(2, limit=5)
    with pytest.raises(Refused, match="different problem sets"):
        job.accept(1, 2)
    job.run(3)
    job.accept(1, 3)
    assert read_acceptances(job.store, "sums")[0].runs == ("sums-20261201", "sums-20261203")


def test_the_ledger_is_a_table_and_a_mart(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.night(1)
    job.accept(1)
    night = job.night(2)
    with Warehouse(job.store) as warehouse:
        rows = list(
            warehouse.query(
                "SELECT run_id, measure, nights, is_alarm FROM nights ORDER BY ALL"
            ).rows
        )
        assert rows == [
            ("sums-20261201", None, None, None),
            ("sums-20261202", "accuracy", 1, False),
            ("sums-20261202", "answered", 1, False),
        ]  # fmt: skip
        found = list(
            warehouse.query(
                "SELECT decision, accuracy, difference, p, alarms FROM mart_nights"
            ).rows
        )
    first, second = found
    assert first[0] == "NO BASELINE"
    test = night.measures[0]
    assert second[:1] + second[2:] == ("GO", pytest.approx(test.value - test.baseline), test.p, 0)


def test_a_warehouse_over_some_runs_reads_the_nights_of_these_alone(tmp_path: Path) -> None:
    job = Job(tmp_path)
    for day in (1, 2):
        job.night(day)
    (damaged,) = (tmp_path / "store").glob("nightly/sums/nights/sums-20261201/*.json")
    damaged.write_text("{")
    with Warehouse(job.store, ["sums-20261202"]) as warehouse:
        assert list(warehouse.query("SELECT run_id FROM nights").rows) == [("sums-20261202",)]
    with pytest.raises(StoreError, match="sums-20261201"):
        read_nights(job.store)


def test_a_job_names_its_run_after_itself_and_the_date_and_samples_anew(tmp_path: Path) -> None:
    job = Job(tmp_path).job
    assert (job.dated().run_id, job.dated().seed_root) == ("sums-{date}", "{date}")
    again = NightlyJob.model_validate(job.model_dump())
    assert again == job
    kept = NightlyJob.model_validate(
        {"name": "sums", "run": {**job.run.model_dump(exclude_unset=True), "seed_root": "mine"}}
    )
    assert kept.run.seed_root == "mine"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "Sums"}, "name"),
        ({"run": {"problems": "p.jsonl", "run_id": "mine"}}, "is made of the job's name"),
        ({"grader": "mth"}, "grader"),
        ({"max_drop": 2.0}, "max_drop"),
    ],
)
def test_a_job_that_cannot_be_is_refused_with_its_field(
    change: dict[str, object], why: str
) -> None:
    run = {"problems": "p.jsonl", "engine": "scripted"}
    with pytest.raises(ValueError, match=why):
        NightlyConfig.model_validate({"jobs": [{"name": "sums", "run": run, **change}]})


def test_two_jobs_of_one_name_are_refused() -> None:
    job = {"name": "sums", "run": {"problems": "p.jsonl", "engine": "scripted"}}
    with pytest.raises(ValueError, match="two jobs are named sums"):
        NightlyConfig.model_validate({"jobs": [job, job]})
