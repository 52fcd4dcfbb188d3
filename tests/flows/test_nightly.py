"""`pacore nightly` on a real Prefect server: each job's night, whatever becomes of the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.nightly import nightly
from pacore.store.backends.opening import open_store
from pacore.store.nights import read_nights
from pacore.store.run import list_runs
from tests.conftest import Pacore
from tests.fixtures.pipeline import journal_size, write_problems

pytestmark = pytest.mark.slow


def job(name: str, store: Path, problems: Path, *more: str) -> str:
    fields = [f"problems: {problems}", "engine: scripted", f"store: {store}", "widths: [2]", *more]
    return "\n".join([f"  - name: {name}", "    run:", *(f"      {field}" for field in fields)])


@pytest.fixture(autouse=True)
def _connected(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)


def test_a_night_does_all_jobs_resumes_and_exits_by_the_worst_of_them(
    tmp_path: Path, command: Pacore
) -> None:
    store, problems = tmp_path / "store", write_problems(tmp_path / "problems.jsonl", 10)
    file = tmp_path / "nightly.yaml"
    jobs = [
        job("broken", store, tmp_path / "absent.jsonl"),
        job("small", store, problems, "max_tokens_total: 100"),
        job("sums", store, problems, "replicates: 2"),
    ]
    file.write_text("\n".join(["jobs:", *jobs]))
    today = f"{datetime.now(UTC):%Y%m%d}"
    done = command("nightly", str(file), "--format", "json")
    assert done.returncode == 5, done.stderr
    nights = {night["job"]: night for night in json.loads(done.stdout)}
    assert {name: night["decision"] for name, night in nights.items()} == {
        "broken": "FAILED", "small": "INCOMPLETE", "sums": "NO BASELINE",
    }  # fmt: skip
    assert "absent.jsonl" in nights["broken"]["reasons"][0]
    first, second, *_ = done.stderr.splitlines()
    assert first.startswith("pacore: job broken cannot be done: ")
    assert second == "pacore: the other 2 of 3 jobs are done all the same"
    assert f"pacore: job sums: run sums-{today}, 3 of 3 jobs" in done.stderr
    assert nights["small"]["tokens"] > 0
    assert "of max_tokens_total 100" in nights["small"]["reasons"][0]
    assert nights["sums"]["run_id"] == f"sums-{today}"
    assert nights["sums"]["tokens"] > 0

    file.write_text("\n".join(["jobs:", job("sums", store, problems, "replicates: 2")]))
    again = command("nightly", str(file), "--format", "json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)[0]["tokens"] == nights["sums"]["tokens"], "nothing twice"
    (night,) = read_nights(open_store(str(store)), "sums")
    assert night.decision == "NO BASELINE"

    accepted = command(
        "nightly", "accept", "--store", str(store), "sums", night.run_id, "--by", "ada"
    )
    assert accepted.stdout == f"job sums: baseline {night.run_id}, accepted by ada\n"
    shown = command("nightly", "show", "--store", str(store), "sums")
    assert night.run_id in shown.stdout
    assert "ada" in shown.stdout
    latest = command("nightly", "accept", "--store", str(store), "sums", "--by", "bob")
    assert latest.stdout == f"job sums: baseline {night.run_id}, accepted by bob\n"
    file.write_text("\n".join(["jobs:", job("sums", store, problems, "replicates: 3")]))
    (changed,) = json.loads(command("nightly", str(file), "--format", "json").stdout)
    assert (changed["decision"], changed["reasons"]) == (
        "FAILED",
        [f"run {night.run_id} was begun with other settings: plan.replicates: 2 -> 3; change them back, or "
        "give job sums another name"],
    )  # fmt: skip
    failed = command("nightly", "accept", "--store", str(store), "sums", night.run_id)
    assert failed.stderr == f"pacore: note that {night.run_id} is FAILED\n"
    wrong = command("nightly", "accept", "--store", str(store), "sum", night.run_id)
    assert (wrong.returncode, wrong.stderr) == (
        2, "pacore: no job 'sum' in the ledger (did you mean sums?)\n",
    )  # fmt: skip


def test_a_job_with_arms_makes_a_run_of_each_and_is_decided_by_what_its_gate_lists(
    tmp_path: Path, command: Pacore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    store, problems = tmp_path / "store", write_problems(tmp_path / "problems.jsonl", 10)
    file = tmp_path / "nightly.yaml"
    fields = [f"problems: {problems}", "engine: scripted", f"store: {store}"]
    lines = ["jobs:", "  - name: arms", "    arms: [single, low]", "    gate: [low vs single, low]"]
    file.write_text("\n".join([*lines, "    run:", *(f"      {field}" for field in fields)]))
    done = command("nightly", str(file), "--format", "json")
    assert done.returncode == 0, done.stderr
    (night,) = json.loads(done.stdout)
    assert night["decision"] == "NO BASELINE"
    assert [arm["name"] for arm in night["arms"]] == ["single", "low"]
    assert all(0 <= arm["accuracy"] <= 1 for arm in night["arms"])
    backend = open_store(str(store))
    assert {arm["run_id"] for arm in night["arms"]} <= set(list_runs(backend))
    accepted = command("nightly", "accept", "--store", str(store), "arms", "--by", "ada")
    assert accepted.returncode == 0, accepted.stderr

    size = journal_size(str(store))
    again = command("nightly", str(file))
    assert again.returncode == 0, again.stderr
    assert journal_size(str(store)) == size, "nothing twice"
    assert max(map(len, again.stdout.splitlines())) <= 80
    assert "…" not in again.stdout
    assert all(arm["run_id"] in again.stdout for arm in night["arms"])
    shown = command("nightly", "show", "--store", str(store), "arms")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "ada" in shown.stdout


def test_a_judge_within_its_own_budget_grades_a_night_and_a_store_that_cannot_be_stops_no_other(
    tmp_path: Path, command: Pacore
) -> None:
    store, problems = tmp_path / "store", write_problems(tmp_path / "problems.jsonl", 6)
    nowhere = tmp_path / "file" / "store"
    nowhere.parent.write_text("a file, and no folder")
    file = tmp_path / "nightly.yaml"

    def decided(tokens: int) -> tuple[int, list[dict[str, Any]]]:
        judge = ["    grader: judge:k=1,n=2",
                 f"    judge: {{max_tokens_total: {tokens}, partial: true, concurrency: 1}}"]  # fmt: skip
        jobs = [job("nowhere", nowhere, problems), job("judged", store, problems), *judge]
        file.write_text("\n".join(["jobs:", *jobs]))
        done = command("nightly", str(file), "--format", "json")
        return done.returncode, json.loads(done.stdout)

    code, (lost, stopped) = decided(1)
    assert code == 5
    assert (lost["decision"], lost["tokens"]) == ("FAILED", None)
    assert stopped["decision"] == "INCOMPLETE"
    assert stopped["reasons"][0].startswith("judge: the budget is spent: ")
    code, (_, night) = decided(10**6)
    assert code == 1
    assert night["decision"] == "NO BASELINE"
    assert night["accuracy"] is not None
    assert night["tokens"] > stopped["tokens"] > 0
    assert night["runs"][0] == night["run_id"]
    assert night["runs"][1].startswith(f"{night['run_id']}.judge-")
    (kept,) = read_nights(open_store(str(store)), "judged")
    assert kept.tokens == night["tokens"]


def test_a_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path, command: Pacore) -> None:
    file = tmp_path / "nightly.yaml"
    file.write_text("jobs:\n  - name: a\n    run:\n      problems: x.jsonl\n      presett: low\n")
    done = command("nightly", str(file))
    assert done.returncode == 2
    assert done.stderr == (
        f"pacore: {file}:5: jobs.0.run.presett: is not a known name (did you mean preset?)\n"
    )
    assert command("nightly", str(tmp_path / "none.yaml")).returncode == 2
    file.write_text(
        "jobs:\n  - name: a\n    run: {problems: x.jsonl}\n    run: {problems: y.jsonl}\n"
    )
    twice = command("nightly", str(file))
    assert (twice.returncode, twice.stderr) == (
        2, f"pacore: {file}:4: run: is given in line 3 already\n",
    )  # fmt: skip
    file.write_text("jobs:\n  - name: a\n    run: {problems: x.jsonl, engine: scripted}\n")
    wrong = command("nightly", "run", str(file), "--date", "2999-01-01")
    assert (wrong.returncode, wrong.stderr.partition(";")[0]) == (
        2, "pacore: date 2999-01-01: is to come",
    )  # fmt: skip
    file.write_text(f"{file.read_text()}date: 2026-11-28\n")
    dated = command("nightly", str(file))
    assert (dated.returncode, dated.stderr) == (
        2, f"pacore: {file}: date: is of one night; give it as --date 2026-11-28\n",
    )  # fmt: skip
    empty = command("nightly", "show", "--store", str(tmp_path))
    assert empty.stdout.startswith("the ledger has no nights")


def test_settings_that_cannot_be_end_a_night_as_refused_in_one_line(prefect_api: str) -> None:
    job = {"name": "a", "run": {"problems": "x.jsonl", "presett": "low"}}
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        state = nightly({"jobs": [job]}, return_state=True)
    assert (state.name, state.message) == (
        "Refused", "jobs.0.run.presett: is not a known name (did you mean preset?)",
    )  # fmt: skip
