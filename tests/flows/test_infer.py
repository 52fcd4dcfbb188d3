"""The flow `infer` on a real Prefect server: same tables as the oracle, honest states and records."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from flows.evaluate import evaluate
from flows.infer import infer
from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.run import RunConfig
from pacore.errors import BadInput, Refused
from pacore.report.run import ProblemsFailed, RunResults
from pacore.runs.problems import begin, open_work
from pacore.runs.work import Work
from tasks.opened import SHOWING, WORK, given
from tasks.server import wait_for_records
from tests.fixtures.deployed import asked
from tests.fixtures.pipeline import oracle_tables, scripted_config, tables, write_problems
from tests.fixtures.started import Started
from tests.fixtures.strategies import STRATEGIES, UNTHINKING

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _connected(prefect_api: str) -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield


def ask(api: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{api}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def named(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"run_id": begin(config).run_id})


@pytest.mark.parametrize("replicates", [1, 3])
@pytest.mark.parametrize("widths", [(), (4,), (1, 1, 1), (8, 3)], ids=str)
def test_the_tables_a_flow_writes_equal_the_oracles(
    tmp_path: Path, widths: tuple[int, ...], replicates: int
) -> None:
    config = scripted_config(
        tmp_path / "store",
        write_problems(tmp_path / "problems.jsonl"),
        model="scripted?words=12&truncate=0.2",
        widths=widths,
        replicates=replicates,
        shard_size=2,
        run_id="flow",
    )
    state = infer(config, return_state=True)
    found, expected = tables(config.store, "flow"), oracle_tables(config)
    assert {name: found[name] for name in expected} == expected
    failed = [row for row in found["answers"] if row[7] == "failed"]
    assert state.name == ("CompletedWithFailures" if failed else "Completed")


def test_a_flow_over_condensing_and_distilling_rounds_equals_the_oracle_and_shows_every_task(
    tmp_path: Path,
) -> None:
    config = scripted_config(
        tmp_path / "store", write_problems(tmp_path / "problems.jsonl"), model=UNTHINKING,
        widths=(4, 3), shard_size=2, run_id="strategy", replicates=2,
        **STRATEGIES["a workspace of summaries"],
    )  # fmt: skip
    state = infer(config, return_state=True)
    found, expected = tables(config.store, "strategy"), oracle_tables(config)
    assert {name: found[name] for name in expected} == expected
    flow_run_id = state.state_details.flow_run_id
    assert flow_run_id is not None
    assert wait_for_records(flow_run_id, 1 + 3 * (2 * 7 + 2), patience_seconds=300)


def test_the_records_of_a_run_are_complete_and_named_for_a_person(
    tmp_path: Path, prefect_api: str
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 6)
    config = scripted_config(
        tmp_path / "store", problems, widths=(2, 2), shard_size=2, run_id="named-run"
    )
    state = infer(config, return_state=True)
    flow_run_id = state.state_details.flow_run_id
    assert flow_run_id is not None
    expected = 1 + 3 * (2 * 3 + 2)
    assert wait_for_records(flow_run_id, expected, patience_seconds=300)
    chosen = {"flow_runs": {"id": {"any_": [str(flow_run_id)]}}}
    (flow_run,) = ask(prefect_api, "flow_runs/filter", chosen)
    assert flow_run["name"] == "infer-named-run"
    assert flow_run["state_type"] == "COMPLETED"
    task_runs = ask(prefect_api, "task_runs/filter", {**chosen, "limit": 200})
    assert len(task_runs) == expected
    assert {run["state_name"] for run in task_runs} == {"Completed"}
    names = {run["name"] for run in task_runs}
    assert {
        "problems",
        "trajectories r1 s0",
        "messages r3 s2",
        "answers s1",
        "verdicts s0",
    } <= names
    artifacts = ask(prefect_api, "artifacts/filter", chosen)
    by_key = {artifact["key"]: artifact for artifact in artifacts}
    assert by_key["progress-named-run"]["data"] == 100.0
    rows = json.loads(by_key["results-named-run"]["data"])
    assert {row["problem"] for row in rows} == {f"sum-{n:04d}" for n in range(6)}
    summary = by_key["summary-named-run"]["data"]
    assert "range for new problems of this kind, 95 %" in summary
    assert "pacore show --store" in summary
    for page in (by_key["rounds-named-run"]["data"], summary):
        counted = re.findall(
            r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| \d+ \| (\d+) ", page, re.M
        )
        assert [int(one[0]) for one in counted] == [1, 2, 3]
        for _, planned, reused, generated, failed, left in counted:
            assert int(planned) == int(reused) + int(generated) + int(failed) > 0
            assert left == "0"
    said = lines_logged(prefect_api, str(flow_run_id), "verdicts of shard")
    assert len(said) == expected - 1
    assert all(line.startswith("run named-run, ") for line in said)
    assert any(
        line.startswith("run named-run, trajectories of shard s00002, round 1: ") for line in said
    )


def lines_logged(api: str, flow_run_id: str, last: str) -> list[str]:
    """What the stages of a flow run have logged, once the three lines that contain ``last`` are there."""
    chosen = {"logs": {"flow_run_id": {"any_": [flow_run_id]}}, "limit": 200}
    deadline = time.monotonic() + 120
    while True:
        lines = [str(log["message"]) for log in ask(api, "logs/filter", chosen)]
        said = [line for line in lines if " of shard " in line]
        if sum(last in line for line in said) == 3 or time.monotonic() > deadline:
            return said
        time.sleep(0.2)


def test_a_run_with_failed_problems_never_shows_as_completed(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = scripted_config(tmp_path / "store", problems, model="scripted?fault=1")
    state = infer(named(config), return_state=True)
    assert state.is_failed()
    assert state.name == "CompletedWithFailures"
    assert state.message == "3 problems failed: sum-0000, sum-0001, sum-0002"
    with pytest.raises(ProblemsFailed, match="3 problems failed: sum-0000, sum-0001, sum-0002"):
        state.result()


def test_a_run_whose_tasks_failed_never_shows_as_completed(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = scripted_config(tmp_path / "store", problems, shard_size=1, run_id="broken")
    infer(config, return_state=True)
    journal = sorted((tmp_path / "store" / "journal").rglob("*.zst"))
    journal[0].write_bytes(b"not a journal entry")
    again = config.model_copy(update={"run_id": "broken-again"})
    state = infer(again, return_state=True)
    assert state.is_failed()
    assert state.name == "PartialFailure"
    assert "is not a journal entry" in str(state.message)


def results_kept(storage: Path) -> list[dict[str, Any]]:
    """The results that Prefect has put below its storage, all of them JSON."""
    records = [json.loads(path.read_text()) for path in storage.rglob("*") if path.is_file()]
    return [json.loads(one["result"]) if "result" in one else one for one in records]


def test_the_exceptions_of_failed_tasks_and_flows_are_kept_as_json_and_never_pickled(
    tmp_path: Path,
) -> None:
    """Prefect writes what a task or flow ends with below its storage, whatever it is told."""
    storage = tmp_path / "storage"
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = scripted_config(tmp_path / "store", problems, shard_size=1, run_id="broken")
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: storage}):
        assert infer(config, return_state=True).is_completed()
        assert not results_kept(storage), "what succeeds is not kept at all"
        entry = sorted((tmp_path / "store" / "journal").rglob("*.zst"))[0]
        entry.write_bytes(b"not a journal entry")
        again = config.model_copy(update={"run_id": "broken-again"})
        assert infer(again, return_state=True).name == "PartialFailure"
        with pytest.raises(BadInput):
            infer(config.model_copy(update={"problems": "nowhere.jsonl", "run_id": "nothing"}))
        with pytest.raises(Refused):
            evaluate(EvaluateConfig(runs=("no-such-run",), store=config.store))
    said = {one["__exc_type__"] for one in results_kept(storage)}
    assert said == {"pacore.errors.StoreError"}, "and what is refused is in the state alone"


def test_an_endpoint_that_does_not_answer_fails_the_run_and_writes_no_tombstones(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = RunConfig(
        problems=str(problems),
        store=str(tmp_path / "store"),
        model="any",
        endpoints=("http://127.0.0.1:9/v1",),
        run_id="nobody",
    )
    state = infer(config, return_state=True)
    assert state.name == "PartialFailure"
    assert "127.0.0.1:9" in str(state.message)
    assert not (tmp_path / "store" / "journal").exists()


def test_a_flow_takes_the_work_that_a_command_has_opened_and_reads_no_problem_set_again(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = scripted_config(tmp_path / "store", problems, widths=(2,), run_id="opened")
    with open_work(config) as work, given(WORK, work):
        problems.unlink()
        state = infer(config, return_state=True)
    assert state.name == "Completed"
    assert work.progress.settled == work.progress.planned == 9
    found = state.result()
    assert isinstance(found, RunResults)
    assert [row.problem for row in found.results] == ["sum-0000", "sum-0002", "sum-0001"], (
        "as in their file"
    )
    with pytest.raises(BadInput, match="no such file"):
        infer(config)


def test_each_run_that_a_flow_opens_is_shown_while_it_is_open(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = scripted_config(tmp_path / "store", problems, widths=(2,), run_id="shown")
    seen: list[tuple[str, int]] = []

    @contextmanager
    def noted(work: Work) -> Iterator[None]:
        seen.append((work.run.run_id, work.progress.settled))
        yield
        seen.append((work.run.run_id, work.progress.settled))

    with given(SHOWING, noted):
        infer(config)
    assert seen == [("shown", 0), ("shown", 9)]


@pytest.mark.slow
def test_a_run_of_a_terminal_that_is_cancelled_in_prefect_ends_as_by_ctrl_c(
    tmp_path: Path, prefect_api: str
) -> None:
    run = Started(tmp_path, "--engine", "scripted", "--model", "scripted?latency_ms=1000")
    deadline = time.monotonic() + 200
    while not run.has_journalled(2):
        assert time.monotonic() < deadline, run.said
        time.sleep(0.1)
    chosen = {
        "flow_runs": {"tags": {"all_": ["run:mine"]}, "state": {"type": {"any_": ["RUNNING"]}}}
    }
    # A run of another test by this name that was killed is shown as running, too.
    (found,) = (
        one
        for one in asked(f"{prefect_api}/flow_runs/filter", chosen)
        if one["labels"].get("pacore.pid") == run.process.pid
    )
    asked(f"{prefect_api}/flow_runs/{found['id']}/set_state", {"state": {"type": "CANCELLING"}})
    assert run.ended() == 130, run.said
    assert not run.has_journalled(180)
    assert asked(f"{prefect_api}/flow_runs/{found['id']}")["state_type"] == "CANCELLED"
