"""The flow `evaluate` on a real Prefect server: nothing is reported while checks fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.evaluate import evaluate
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.fields import Declared
from pacore.core.config.run import declarations
from pacore.errors import ChecksFailed
from pacore.report.evaluation import refusal
from pacore.store.backends.opening import open_store
from pacore.store.commits import committed_units, read_commits
from pacore.store.gradings import read_gradings
from pacore.store.layout import OWN
from tasks.server import wait_for_records
from tests.conftest import ROOT, Pacore, pacore_command
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.processes import descendants, left_after
from tests.fixtures.small_store import rows_of, select, small_store
from tests.flows.test_takeover import FlowRun, ask, flow_runs, task_states, wait_for

SHARDS = 30


@pytest.fixture
def _connected(prefect_api: str) -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield


def finished(folder: Path, run_id: str, problems: int = 4) -> EvaluateConfig:
    """A finished run of one problem a shard, to be evaluated."""
    path = write_problems(folder / f"{run_id}.jsonl", problems)
    config = scripted_config(
        folder / "store", path, model="scripted?words=12&truncate=0.2", widths=(3,), shard_size=1,
        run_id=run_id,
    )  # fmt: skip
    run_stages(config)
    return EvaluateConfig(runs=(run_id,), store=config.store)


def artifacts(api: str, flow_run_id: object) -> dict[str, Any]:
    found = ask(api, "artifacts/filter", {"flow_runs": {"id": {"any_": [str(flow_run_id)]}}})
    return {artifact["key"]: artifact for artifact in found}


@pytest.mark.slow
@pytest.mark.usefixtures("_connected")
def test_runs_are_graded_checked_and_reported_and_the_records_say_so(
    tmp_path: Path, prefect_api: str
) -> None:
    finished(tmp_path, "evaluated", 4)
    config = finished(tmp_path, "beside-it", 3).model_copy(
        update={"runs": ("evaluated", "beside-it")}
    )
    state = evaluate(config, return_state=True)
    assert state.name == "Completed", state.message
    assert "run evaluated: accuracy" in str(state.message)
    store = open_store(config.store)
    assert all(read_gradings(store, run_id)[0].finished_at for run_id in config.runs)

    flow_run_id = state.state_details.flow_run_id
    assert flow_run_id is not None
    assert wait_for_records(flow_run_id, 4 + 3 + 1, patience_seconds=300)
    chosen = {"flow_runs": {"id": {"any_": [str(flow_run_id)]}}}
    (flow_run,) = ask(prefect_api, "flow_runs/filter", chosen)
    assert flow_run["name"] == "evaluate-2-runs"
    assert {"run:evaluated", "run:beside-it"} <= set(flow_run["tags"])
    tasks = ask(prefect_api, "task_runs/filter", {**chosen, "limit": 200})
    assert {task["name"] for task in tasks} == {
        *(f"verdicts evaluated s{n}" for n in range(4)),
        *(f"verdicts beside-it s{n}" for n in range(3)),
        "checks",
    }
    assert {task["state_name"] for task in tasks} == {"Completed"}
    made = artifacts(prefect_api, flow_run_id)
    assert made["progress-evaluated"]["data"] == 100.0
    rounds = json.loads(made["verdicts-beside-it"]["data"])
    assert [(row["round"], row["trajectories"]) for row in rounds] == [(1, 9), (2, 3)]
    report = made["evaluation-evaluated"]["data"]
    assert report.startswith("## run evaluated · ") and "\n| effective TTC | " in report
    assert "\n### accuracy by grading\n\n| grading | grader | version |" in report
    assert "| auto | math " in report and "```" not in report
    assert len(json.loads(made["results-evaluated"]["data"])) == 4
    units = [unit for unit in committed_units(store, "evaluated") if unit.grading not in ("", OWN)]
    assert len(units) == 2 * 4

    again = evaluate(config, return_state=True)
    assert again.name == "Completed"
    assert again.state_details.flow_run_id is not None
    assert wait_for_records(again.state_details.flow_run_id, 1, patience_seconds=300)
    assert len(read_commits(store, units)) == len(units)


def broken(folder: Path) -> EvaluateConfig:
    """A run in which one seed has 54 bits."""
    rows = rows_of()
    select(rows, "trajectories", problem_id="sum-1")[0]["seed"] = 2**53
    small_store(folder / "store", rows)
    return EvaluateConfig(runs=("demo",), store=str(folder / "store"))


@pytest.mark.slow
@pytest.mark.usefixtures("_connected")
def test_while_a_check_returns_rows_nothing_is_reported(tmp_path: Path, prefect_api: str) -> None:
    state = evaluate(broken(tmp_path), return_state=True)
    assert state.is_failed()
    assert state.name == "ChecksFailed"
    message = str(state.message)
    assert message.startswith("nothing is reported, for checks fail: seeds\n  seeds: 1 row\n")
    assert "problem_id sum-1" in message and "seed 9007199254740992" in message
    assert set(artifacts(prefect_api, state.state_details.flow_run_id)) == {"progress-demo"}
    assert isinstance(state.result(raise_on_failure=False), ChecksFailed)


@pytest.mark.slow
def test_the_command_ends_with_1_and_names_the_checks_or_prints_the_report(
    tmp_path: Path, prefect_api: str, pacore: Pacore, command: Pacore
) -> None:
    assert prefect_api
    config = broken(tmp_path)
    done = pacore("evaluate", "demo", "--store", config.store)
    assert done.returncode == 1
    assert "pacore: nothing is reported, for checks fail: seeds\n  seeds: 1 row\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    (tmp_path / "sound").mkdir()
    sound = finished(tmp_path / "sound", "mine")
    prices = str(tmp_path / "prices.csv")
    Path(prices).write_text(
        "model,prompt_per_million,completion_per_million\nscripted?words=12&truncate=0.2,1,2\n"
    )
    done = command(
        "evaluate", "mine", "--store", sound.store, "--grader", "text", "--prices", prices
    )
    assert done.returncode == 0, done.stderr
    for part in ("· text · ", "current", "95 %", "effective TTC", "USD"):
        assert part in done.stdout, done.stdout
    flows = len(flow_runs(prefect_api, "mine"))
    again = command("evaluate", "mine", "--store", sound.store, "--prices", prices)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert len(flow_runs(prefect_api, "mine")) == flows, (
        "nothing was left to grade, and a flow run began"
    )
    refused = command("evaluate", "nobody", "--store", sound.store)
    assert refused.returncode == 2
    assert refused.stderr.startswith("pacore: no run 'nobody' in ")
    assert refused.stderr.endswith("; its runs: mine\n")
    unpriced = command("evaluate", "mine", "--store", sound.store, "--prices", f"{prices}.not")
    assert unpriced.returncode == 2
    assert "prices.csv.not" in unpriced.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("_connected")
def test_an_evaluation_that_was_killed_goes_on_and_says_of_it_that_it_crashed(
    tmp_path: Path, prefect_api: str
) -> None:
    config = finished(tmp_path, "murdered", SHARDS)
    command = ["evaluate", "murdered", "--store", config.store, "--workers", "1"]
    process = subprocess.Popen(
        pacore_command(command), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    store = open_store(config.store)

    def verdicts() -> int:
        units = committed_units(store, "murdered")
        return sum(unit.grading not in ("", OWN) for unit in units)

    wait_for(lambda: verdicts() > 0 or process.poll() is not None)
    children = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not left_after(children, 60.0)
    assert verdicts() < 2 * SHARDS
    zombie = only(flow_runs(prefect_api, "murdered"))
    assert zombie["state_name"] == "Running", "nobody was there to say otherwise"
    state = evaluate(config, return_state=True)
    assert state.name == "Completed"
    assert verdicts() == 2 * SHARDS
    first, second = flow_runs(prefect_api, "murdered")
    assert (first["id"], first["state_name"]) == (zombie["id"], "Crashed")
    assert second["id"] in first["state"]["message"]
    assert "RUNNING" not in task_states(prefect_api, first)


def only(found: list[FlowRun]) -> FlowRun:
    (one,) = found
    return one


@pytest.mark.slow
@pytest.mark.usefixtures("_connected")
def test_a_task_that_fails_is_no_end_of_a_grading(tmp_path: Path) -> None:
    config = finished(tmp_path, "damaged")
    store = open_store(config.store)
    unit = next(u for u in committed_units(store, "damaged") if u.table == "trajectories")
    (commit,) = read_commits(store, [unit])
    Path(store.uri(commit.path)).unlink()
    state = evaluate(config, return_state=True)
    assert state.name == "PartialFailure"
    assert commit.path in str(state.message)
    assert read_gradings(store, "damaged")[0].finished_at is None


def test_every_field_of_an_evaluation_is_declared() -> None:
    declared = declarations(EvaluateConfig)
    assert [name for name, kind in declared.items() if kind is Declared.GRADING] == ["grader"]


def test_a_run_is_evaluated_once_however_often_it_is_named() -> None:
    assert EvaluateConfig(runs=("b", "a", "b")).runs == ("b", "a")


def test_a_store_whose_address_holds_a_key_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="store") as refused:
        EvaluateConfig(runs=("a",), store="s3://key:verysecretvalue@bucket/prefix")
    assert "verysecretvalue" not in str(refused.value)


def test_a_refusal_names_every_check_with_its_first_rows() -> None:
    rows = [{"run_id": "r", "problem_id": f"p\x1b{number}"} for number in range(100)]
    said = str(refusal({"seeds": rows, "conclusions": rows[:1]}))
    assert said.splitlines() == [
        "nothing is reported, for checks fail: conclusions, seeds",
        "  conclusions: 1 row",
        "    run_id r, problem_id p\x1b0",
        "  seeds: 100 or more rows",
        *(f"    run_id r, problem_id p\x1b{number}" for number in range(3)),
    ]
