"""A night of a job: compared with what a person accepted, decided, and kept in the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.nightly import NightlyConfig, NightlyJob
from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import plan_sweep
from pacore.engine.watch import FirstFacts
from pacore.errors import Refused, StoreError
from pacore.evaluation.night import NightSweep, accept_runs, conclude_night, decided
from pacore.evaluation.nightly.jobs import EarlyEnd, note_night
from pacore.report.ledgers.nightly import nights_sheet
from pacore.report.rendering.markup import to_markdown
from pacore.report.rendering.terminal import to_text
from pacore.report.sweep import conclude_sweep
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.layout import engine_key
from pacore.store.nights import (
    Night,
    add_night,
    keep_scores,
    list_jobs,
    read_acceptances,
    read_nights,
    read_scores,
)
from pacore.store.schema import NightScore
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.regraded import grade

pytestmark = pytest.mark.slow

PROBLEMS = 40

GOOD, WORSE = "scripted?words=5", "scripted?words=5&truncate=0.5"


class Job:
    """A job over some sums whose nights are run without Prefect."""

    def __init__(self, folder: Path, **job: object) -> None:
        folder.mkdir(exist_ok=True)
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

    def settings(self, day: int) -> RunConfig:
        """The dated settings of a night's run."""
        return self.job.run.model_copy(
            update={"run_id": f"sums-202612{day:02}", "seed_root": "mine", "store": self.store.url}
        )

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
        f"model ({what}): {GOOD!r} -> {WORSE!r}" for what in ("recipe.model", "server.served_model")
    )
    assert [one.decision for one in read_nights(job.store, "sums")] == [
        "NO BASELINE", "GO", "GO", "NO-GO",
    ]  # fmt: skip
    job.accept(4)
    again = job.night(4, WORSE)
    assert (again.decision, again.baseline) == ("NO-GO", ("sums-20261201",))
    after = job.night(5, WORSE)
    assert after.decision == "GO"
    assert {test.nights for test in after.measures} == {1}
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
    assert first_fact(cut).startswith("evidence INCOMPLETE · observed · powered: a difference of ")


def test_the_report_of_a_night_begins_with_what_its_evidence_is_worth(tmp_path: Path) -> None:
    job = Job(tmp_path)
    night = job.night(1)
    assert first_fact(night).startswith("evidence complete · observed · powered: a difference of ")
    assert night.evidence is not None
    said = f"a difference of {100 * (night.evidence.detectable or 0):.0f} points"
    assert first_fact(night).endswith(said)
    failed = replace(night, decision="FAILED", evidence=None)
    assert first_fact(failed) == "evidence INCOMPLETE · NOT OBSERVED · NOT POWERED"
    before_there_was_any = replace(night, evidence=None)
    assert first_fact(before_there_was_any).startswith("decision ")


def first_fact(night: Night) -> str:
    """The first line under the heading of a night's job."""
    lines = to_text(nights_sheet([night])).splitlines()
    return " ".join(lines[lines.index("job sums") + 1].split())


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
    worse = strict.night(6, WORSE)
    assert ["chance" in reason for reason in worse.reasons][:2] == [True, False]
    assert "0.01 are allowed" in worse.reasons[1]


def test_changed_problems_are_left_out_of_the_comparison_and_named(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run(1)
    job.accept(1)
    text = job.problems.read_text().replace("What is 1 + 3?", "What is 1 + 5?")
    job.problems.write_text(text)
    night = job.night(2)
    assert {test.problems for test in night.measures} == {PROBLEMS - 1}
    assert night.changed == ("problem set: 1 changed, 0 new, 0 gone",)


def test_a_night_that_is_run_again_counts_once_by_its_last_record(tmp_path: Path) -> None:
    job = Job(tmp_path)
    end = EarlyEnd("FAILED", "PartialFailure: no server")
    note_night(job.store, job.job, job.settings(1), end)
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


ONE_CHANGE: dict[str, tuple[dict[str, Any], str]] = {
    "the model": ({"revision": "r2"}, "model (recipe.revision): None -> 'r2'"),
    "the prompt": ({"system": "Think."}, "prompt (recipe.system): None -> 'Think.'"),
    "the sampling": ({"temperature": 0.7}, "sampling (recipe.temperature): 1.0 -> 0.7"),
    "the rounds": ({"widths": (3,)}, "plan (plan.widths): [2] -> [3]"),
    "the problems": ({"limit": 39}, "problem set: 0 changed, 0 new, 1 gone"),
}


def test_what_changed_since_the_baseline_is_named_with_its_cause(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run(1)
    job.accept(1)
    assert job.night(2).changed == ()
    for day, (fields, said) in enumerate(ONE_CHANGE.values(), 3):
        night = job.night(day, **fields)
        assert night.changed == (said,)
        assert said in " ".join(to_text(nights_sheet([night])).split())


def test_another_version_of_the_server_of_the_grader_and_of_the_weights_is_named(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path)
    job.run(1)
    job.accept(1)
    job.run(2)
    facts = FirstFacts(job.store, "sums-20261202").read()
    job.store.delete(engine_key("sums-20261202"))
    told = {**facts, "version": "0.9.1", "fingerprint": "fp_2"}
    FirstFacts(job.store, "sums-20261202").record(told)
    night = conclude_night(job.store, job.job, "sums-20261202")
    assert "model (server.fingerprint): None -> 'fp_2'" in night.changed
    assert any(
        change.startswith("server (server.version): ") and change.endswith("-> '0.9.1'")
        for change in night.changed
    )
    kept = read_scores(job.store, "sums", "sums-20261201")
    assert kept is not None
    keep_scores(
        job.store, "sums", "sums-20261201", [replace(row, graders=("math 0",)) for row in kept]
    )
    regraded = conclude_night(job.store, job.job, "sums-20261202")
    assert any(change.startswith("grader: math 0 -> math ") for change in regraded.changed)


def test_a_problem_that_turns_without_a_cause_is_flaky_and_with_one_is_not(tmp_path: Path) -> None:
    job = Job(tmp_path)
    for day in range(1, 6):
        job.run(day)
    job.accept(1)

    def scores(right: bool) -> list[NightScore]:
        made = _kept(job, 1)
        return [replace(row, accuracy=float(right)) if not n else row for n, row in enumerate(made)]

    nights = [_decided(job, day, scores(right=day % 2 == 0)) for day in range(2, 6)]
    flaky = _kept(job, 1)[0].problem_id
    assert nights[0].flaky == nights[1].flaky == ()
    assert nights[-1].flaky == (flaky,)
    shown = " ".join(to_text(nights_sheet(nights[-1:])).split())
    assert f"1 problems turn between right and wrong without a cause: {flaky}" in shown
    assert flaky in to_markdown(nights_sheet(nights[-1:]))
    with Warehouse(job.store) as warehouse:
        found = list(warehouse.query("SELECT run_id, flaky_problems FROM mart_nights").rows)
    assert found[-1] == ("sums-20261205", 1)
    caused = Job(tmp_path / "caused")
    for day in range(1, 6):
        caused.run(day, temperature=0.5 if day % 2 else 1.0)
    caused.accept(1)
    made = [
        _decided(caused, day, [
            replace(row, accuracy=float(day % 2 == 0)) if not n else row
            for n, row in enumerate(_kept(caused, 1))
        ])
        for day in range(2, 6)
    ]  # fmt: skip
    assert made[-1].flaky == ()


def _kept(job: Job, day: int) -> list[NightScore]:
    found = read_scores(job.store, "sums", f"sums-202612{day:02}")
    assert found is not None
    return found


def _decided(job: Job, day: int, scores: list[NightScore]) -> Night:
    """A night of given scores, in the ledger."""
    name = f"sums-202612{day:02}"
    keep_scores(job.store, "sums", name, scores)
    night = decided(job.store, job.job, name, scores)
    add_night(job.store, night)
    return night


ARMS = {"arms": ["single", "low=2", "sc:2"], "gate": ["low", "low vs single"]}


def swept(job: Job, day: int, model: str = GOOD) -> Night:
    """A night of a job with arms, its runs made without Prefect."""
    name = f"sums-202612{day:02}"
    fields = {"model": model, "replicates": 4, "run_id": name, "seed_root": name}
    run = scripted_config(job.folder / "store", job.problems, **fields)
    config = job.job.sweep(run)
    planned = plan_sweep(config, name)
    for one in planned.configs:
        run_stages(one)
        grade(str(job.folder / "store"), str(one.run_id))
    outcome = conclude_sweep(config, planned)
    return conclude_night(
        job.store, job.job, name, NightSweep(planned, outcome.result, outcome.runs)
    )


@pytest.mark.slow
def test_the_arms_of_a_job_are_runs_and_the_gate_looks_at_those_it_names(tmp_path: Path) -> None:
    job = Job(tmp_path, **ARMS)
    first = swept(job, 1)
    assert [arm.name for arm in first.arms] == ["single", "low", "sc-2"]
    assert first.runs == ("sums-20261201.pool", "sums-20261201.low")
    assert first.accuracy == first.arms[1].accuracy
    job.accept(1)
    same = swept(job, 2)
    assert (same.decision, same.changed) == ("GO", ())
    assert [(test.arm, test.measure) for test in same.measures] == [
        ("low", "accuracy"), ("low", "answered"), ("low vs single", "accuracy"),
    ]  # fmt: skip
    worse = swept(job, 3, WORSE)
    assert worse.decision == "NO-GO"
    assert worse.reasons[0].startswith("accuracy of low tonight is ")
    assert {change.split(" (")[0] for change in worse.changed} == {"model"}
    shown = to_text(nights_sheet([worse]))
    assert "\narm     run                 accuracy" in shown
    assert "\nlow     sums-20261203.low " in shown
    with Warehouse(job.store) as warehouse:
        rows = list(warehouse.query("SELECT run_id, arm, alarms > 0 FROM mart_nights").rows)
    assert ("sums-20261202", "low", False) in rows
    assert ("sums-20261203", "low", True) in rows
    with Warehouse(job.store, ["sums-20261203.low"]) as warehouse:
        (names,) = zip(*warehouse.query("SELECT DISTINCT run_id FROM nights").rows, strict=True)
    assert names == ("sums-20261203",)


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
        ({"gate": ["low"]}, "gate: is about arms, and the job has none"),
        ({"arms": ["low"], "gate": ["lw"]}, r"gate: 'lw' is no name of an arm \(did you mean low"),
        ({"arms": ["low"], "gate": ["low vs low"]}, "gate: 'low vs low' is the same arm twice"),
        ({"arms": ["lwo"]}, "arms: 'lwo'"),
        ({"arms": ["low"], "grader": "math"}, "arms are graded by auto"),
        ({"judge": {"model": "m"}}, "judge: is for a grader that is a judge, and grader is auto"),
        ({"grader": "judge", "judge": {"modell": "m"}}, r"judge: modell: .*did you mean model"),
        ({"grader": "judge", "judge": {"store": "s"}}, "judge: store: is set by what is judged"),
        ({"grader": "judge", "judge": {"max_tokens_total": 0}}, "judge: max_tokens_total: must be"),
        ({"grader": "judge", "arms": ["low"]}, "arms are graded by auto"),
        ({"keep_no_go_nights": 9}, "without keep_nights or keep_days every night is kept"),
    ],
)
def test_a_job_that_cannot_be_is_refused_with_its_field(
    change: dict[str, object], why: str
) -> None:
    run = {"problems": "p.jsonl", "engine": "scripted"}
    with pytest.raises(ValueError, match=why):
        NightlyConfig.model_validate({"jobs": [{"name": "sums", "run": run, **change}]})


def test_a_judge_has_a_budget_of_its_own_and_the_same_votes_each_night() -> None:
    run = {"problems": "p.jsonl", "engine": "scripted", "max_tokens_total": 7, "replicates": 3}
    judge = {"model": "scripted?words=5", "max_tokens_problem": 9}
    job = NightlyJob.model_validate({"name": "sums", "run": run, "grader": "judge", "judge": judge})
    votes = job.judge_run(job.run)
    assert (votes.model, votes.engine) == ("scripted?words=5", "scripted")
    assert (votes.max_tokens_total, votes.max_tokens_problem) == (None, 9)
    assert (votes.replicates, votes.seed_root) == (1, "judge")


def test_two_jobs_of_one_name_are_refused() -> None:
    job = {"name": "sums", "run": {"problems": "p.jsonl", "engine": "scripted"}}
    with pytest.raises(ValueError, match="two jobs are named sums"):
        NightlyConfig.model_validate({"jobs": [job, job]})
