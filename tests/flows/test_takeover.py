"""A flow run whose process was killed does not say Running for ever; one that lives is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.infer import infer
from pacore.core.config.run import RunConfig
from pacore.processes import has_ended, this_process
from tests.conftest import ROOT, Pacore, pacore_command
from tests.fixtures.deployed import deployed, sent, worker
from tests.fixtures.pipeline import scripted_config, write_problems
from tests.fixtures.processes import descendants, left_after

MODEL = "scripted?words=20&latency_ms=500"


PROBLEMS = 8
"""Twelve seconds of work one request at a time; one second all at a time, under the same identity."""

FlowRun = dict[str, Any]


def ask(api: str, path: str, body: dict[str, Any]) -> Any:
    """What the server answers to a POST."""
    return sent("POST", f"{api}/{path}", body)


def flow_runs(api: str, run_id: str) -> list[FlowRun]:
    """All flow runs of a run, the oldest first."""
    chosen = {"flow_runs": {"tags": {"all_": [f"run:{run_id}"]}}, "sort": "START_TIME_ASC"}
    found: list[FlowRun] = ask(api, "flow_runs/filter", chosen)
    return found


def task_states(api: str, flow_run: FlowRun) -> set[str]:
    chosen = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}, "limit": 200}
    return {task["state_type"] for task in ask(api, "task_runs/filter", chosen)}


def wait_for(met: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_at_work(api: str, flow_run: FlowRun) -> bool:
    return flow_run["state_type"] == "RUNNING" and "RUNNING" in task_states(api, flow_run)


def arguments(config: RunConfig) -> list[str]:
    return [
        "run", "--problems", config.problems, "--engine", "scripted", "--model", config.model,
        "--store", config.store, "--widths", "2", "--shard-size", "1",
        "--run-id", str(config.run_id),
    ]  # fmt: skip


@contextmanager
def started(api: str, config: RunConfig) -> Iterator[subprocess.Popen[bytes]]:
    """``pacore run`` at its slowest, in the middle of its first round."""
    assert config.run_id is not None
    known = len(flow_runs(api, config.run_id))
    process = subprocess.Popen(
        pacore_command([*arguments(config), "--concurrency", "1"]),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        run_id = config.run_id
        wait_for(lambda: any(is_at_work(api, run) for run in flow_runs(api, run_id)[known:]))
        yield process
    finally:
        process.kill()
        process.wait()


def config_of(tmp_path: Path, run_id: str) -> RunConfig:
    problems = write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    return scripted_config(
        tmp_path / "store", problems, model=MODEL, widths=(2,), shard_size=1, run_id=run_id
    )


def killed(api: str, config: RunConfig) -> FlowRun:
    """The flow run of a ``pacore run`` that was killed."""
    with started(api, config) as process:
        process.kill()
        process.wait()
    (flow_run,) = flow_runs(api, str(config.run_id))
    assert flow_run["state_name"] == "Running", "nobody was there to say otherwise"
    return flow_run


def run_here(api: str, config: RunConfig) -> None:
    with temporary_settings({PREFECT_API_URL: api}):
        assert infer(config, return_state=True).is_completed()


@pytest.mark.slow
def test_whoever_takes_a_killed_run_up_says_of_it_that_it_crashed(
    tmp_path: Path, each_api: str, command: Pacore
) -> None:
    config = config_of(tmp_path, "killed")
    zombie = killed(each_api, config)
    done = command(*arguments(config))
    assert done.returncode == 0, done.stderr
    first, second = flow_runs(each_api, "killed")
    assert first["id"] == zombie["id"]
    assert first["state_name"] == "Crashed"
    gone = f"process {zombie['labels']['pacore.pid']} on {zombie['labels']['pacore.host']}"
    assert f"{gone} was killed or died" in first["state"]["message"]
    assert second["id"] in first["state"]["message"]
    assert "CRASHED" in task_states(each_api, first)
    assert "RUNNING" not in task_states(each_api, first)
    assert second["state_name"] == "Completed"


@pytest.mark.slow
def test_a_run_that_somebody_else_works_on_is_left_alone(tmp_path: Path, prefect_api: str) -> None:
    config = config_of(tmp_path, "shared")
    with started(prefect_api, config) as process:
        run_here(prefect_api, config)
        first, second = flow_runs(prefect_api, "shared")
        assert first["state_name"] in ("Running", "Completed")
        assert second["state_name"] == "Completed"
        assert process.wait(timeout=120) == 0
    assert flow_runs(prefect_api, "shared")[0]["state_name"] == "Completed"


@pytest.mark.slow
def test_a_killed_flow_run_of_another_store_or_another_host_is_left_alone(
    tmp_path: Path, prefect_api: str
) -> None:
    config = config_of(tmp_path, "far")
    zombie = killed(prefect_api, config)
    run_here(prefect_api, config.model_copy(update={"store": str(tmp_path / "another")}))
    assert flow_runs(prefect_api, "far")[0]["state_name"] == "Running"
    host = zombie["labels"]["pacore.host"]
    label(prefect_api, zombie, "pacore.host", "another-host")
    run_here(prefect_api, config)
    assert flow_runs(prefect_api, "far")[0]["state_name"] == "Running"
    label(prefect_api, zombie, "pacore.host", host)
    run_here(prefect_api, config)
    assert flow_runs(prefect_api, "far")[0]["state_name"] == "Crashed"


@pytest.mark.slow
def test_a_killed_flow_run_that_somebody_wanted_to_cancel_is_cancelled(
    tmp_path: Path, prefect_api: str
) -> None:
    config = config_of(tmp_path, "unwanted")
    zombie = killed(prefect_api, config)
    wanted = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    ask(prefect_api, f"flow_runs/{zombie['id']}/set_state", wanted)
    run_here(prefect_api, config)
    first = flow_runs(prefect_api, "unwanted")[0]
    assert first["state_name"] == "Cancelled"
    assert "was killed or died" in first["state"]["message"]


def label(api: str, flow_run: FlowRun, name: str, value: str) -> None:
    sent("PATCH", f"{api}/flow_runs/{flow_run['id']}/labels", {name: value})


@pytest.mark.slow
def test_a_deployed_run_whose_worker_was_killed_with_it_is_set_to_crashed(
    tmp_path: Path, each_api: str
) -> None:
    config = config_of(tmp_path, "deployed-and-killed")
    run_id = str(config.run_id)
    parameters = {"config": config.model_dump(mode="json") | {"concurrency": 1}}
    deployment = deployed(each_api)
    with worker(each_api, tmp_path) as process:
        ask(each_api, f"deployments/{deployment}/create_flow_run", {"parameters": parameters})
        wait_for(lambda: any(is_at_work(each_api, run) for run in flow_runs(each_api, run_id)))
        # The worker first: it would say itself that its child is gone.
        for pid in (process.pid, *descendants(process.pid)):
            os.kill(pid, signal.SIGKILL)
        process.wait()
    (zombie,) = flow_runs(each_api, run_id)
    assert zombie["state_name"] == "Running"
    assert set(zombie["tags"]) == {"pacore", f"run:{run_id}"}
    run_here(each_api, config)
    first, second = flow_runs(each_api, run_id)
    assert (first["state_name"], second["state_name"]) == ("Crashed", "Completed")


def test_a_process_has_ended_once_it_is_killed_even_before_its_parent_reaps_it() -> None:
    script = (
        "import dataclasses, json, time; from pacore.processes import this_process; "
        "print(json.dumps(dataclasses.asdict(this_process())), flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout is not None
    told = json.loads(child.stdout.readline())
    here = this_process()
    assert here is not None
    mark = replace(here, **told)
    assert mark.pid == child.pid
    assert not has_ended(mark, is_one_machine=True)
    child.kill()
    assert not left_after([child.pid], 10.0)
    assert has_ended(mark, is_one_machine=False), "a zombie"
    child.wait()
    assert has_ended(mark, is_one_machine=False)
    child.stdout.close()


def test_a_mark_says_for_certain_only_what_this_machine_can_know() -> None:
    here = this_process()
    assert here is not None
    assert not has_ended(here, is_one_machine=True)
    reused = replace(here, started_ticks=here.started_ticks - 1)
    assert has_ended(reused, is_one_machine=False), "the process id was given again"
    assert not has_ended(replace(reused, host="another"), is_one_machine=True)
    assert not has_ended(replace(reused, namespace="pid:[1]"), is_one_machine=True)
    rebooted = replace(here, boot="another")
    assert not has_ended(rebooted, is_one_machine=False)
    assert has_ended(rebooted, is_one_machine=True)
