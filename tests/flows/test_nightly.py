"""`pacore nightly` on a real Prefect server: each job's night, whatever becomes of the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.nightly import nightly
from pacore.store.backends.opening import open_store
from pacore.store.nights import read_nights
from tests.conftest import Pacore
from tests.fixtures.pipeline import write_problems

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
    wrong = command("nightly", "accept", "--store", str(store), "sum", night.run_id)
    assert (wrong.returncode, wrong.stderr) == (
        2, "pacore: no job 'sum' in the ledger (did you mean sums?)\n",
    )  # fmt: skip


def test_a_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path, command: Pacore) -> None:
    file = tmp_path / "nightly.yaml"
    file.write_text("jobs:\n  - name: a\n    run:\n      problems: x.jsonl\n      presett: low\n")
    done = command("nightly", str(file))
    assert done.returncode == 2
    assert done.stderr == (
        f"pacore: {file}:5: jobs.0.run.presett: is not a known name (did you mean preset?)\n"
    )
    assert command("nightly", str(tmp_path / "none.yaml")).returncode == 2


def test_settings_that_cannot_be_end_a_night_as_refused_in_one_line(prefect_api: str) -> None:
    job = {"name": "a", "run": {"problems": "x.jsonl", "presett": "low"}}
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        state = nightly({"jobs": [job]}, return_state=True)
    assert (state.name, state.message) == (
        "Refused", "jobs.0.run.presett: is not a known name (did you mean preset?)",
    )  # fmt: skip
