"""`pacore up` and `pacore down`: what they start, find, start again and leave alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.run import RunConfig
from pacore.errors import BadInput
from pacore.processes import is_running_here
from tasks.deployment import WORKER
from tasks.server import SERVER, database_url, running
from tests.conftest import Pacore, pacore_command
from tests.fixtures.deaths import kill_server, kill_worker, mortal, tidied
from tests.fixtures.deployed import asked
from tests.fixtures.pipeline import write_problems
from tests.fixtures.postgresql import PASSWORD, postgresql

DEPLOYMENTS = (
    "infer/local, evaluate/local-evaluation, nightly/local-nightly, sweep/local-sweep, "
    "training-data/local-training, values/local-values, tidy/hourly"
)


@contextmanager
def home(folder: Path, monkeypatch: pytest.MonkeyPatch, command: Pacore) -> Iterator[None]:
    """A state folder of its own, in which nothing is left running."""
    monkeypatch.setenv("PACORE_HOME", str(folder))
    try:
        yield
    finally:
        command("down")
        command("server", "stop")


def lines_of(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What `pacore up` says, by what it says it of."""
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: " ".join(line.split()[1:]) for line in done.stdout.splitlines()}


@pytest.mark.slow
def test_all_of_it_is_found_again_and_ended_on_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Pacore
) -> None:
    with postgresql() as database, home(tmp_path / "home", monkeypatch, command):
        first = command("up", "--database", database)
        said = lines_of(first)
        place = database.rpartition("@")[2]
        assert said["server"].startswith("http://127.0.0.1:")
        assert said["server"].endswith(f", started; its records are in postgresql://{place}")
        assert said["work"] == "pool local-process, made"
        assert said["deployments"] == f"{DEPLOYMENTS}: deployed"
        assert said["worker"].endswith(", started")

        again = lines_of(command("up", "--database", database))
        assert again["server"] == said["server"].replace("started", "found running")
        assert again["work"] == "pool local-process, found"
        assert again["deployments"] == f"{DEPLOYMENTS}: found as they are in prefect.yaml"
        assert again["worker"] == said["worker"].replace("started", "found running")

        worker, server = WORKER.recorded(), SERVER.recorded()
        assert worker is not None
        assert worker.process is not None
        assert server is not None
        assert server.process is not None
        os.kill(worker.process.pid, signal.SIGKILL)
        assert lines_of(command("up"))["worker"].endswith(", started")

        other = command("up", "--database", "postgresql://elsewhere/db")
        assert other.returncode == 2
        assert f"keeps its records in postgresql://{place}" in other.stderr
        assert_hidden(PASSWORD, tmp_path / "home", first.stdout + first.stderr)
        assert_form_is_in_order_and_runs(server.url, tmp_path)
        assert_outlives_all(server.url, database, tmp_path / "mortal", command)
        server = SERVER.recorded()
        assert server is not None
        assert server.process is not None

        done = command("down")
        assert done.returncode == 0
        assert "ended the worker" in done.stdout
        assert not is_running_here(server.process)
        assert WORKER.recorded() is None
        assert command("down").stdout == "nothing that pacore up started is running\n"


def assert_outlives_all(api: str, database: str, folder: Path, command: Pacore) -> None:
    """A run whose worker and process are killed is retried, and goes on while the server is killed."""
    with mortal(api, folder) as run:
        run.wait_for(3)
        working = run.pid
        kill_worker()
        os.kill(working, signal.SIGKILL)
        lines_of(command("up"))
        assert run.seen()["state_name"] == "Running", "nobody was there to say otherwise"
        assert tidied(api)["flow run"] >= 1
        run.retry()
        run.wait_for(3)
        kill_server()
        run.wait_for(3)
        back = lines_of(command("up", "--database", database))
        assert back["server"].startswith(api.removesuffix("/api"))
        run.wait_for_state("Completed")
        run.assert_whole(kills=1)


def assert_form_is_in_order_and_runs(api: str, folder: Path) -> None:
    """PostgreSQL keeps a schema's keys in an order of its own."""
    deployment = asked(f"{api}/deployments/name/infer/local")
    form = deployment["parameter_openapi_schema"]["definitions"]["RunConfig"]
    wanted = RunConfig.model_json_schema()["properties"]
    assert in_order(form) == list(wanted)
    for group, card in form["properties"].items():
        assert in_order(card) == list(wanted[group]["properties"])
    config = {
        "what": {"problems": str(write_problems(folder / "problems.jsonl", 2)), "run_id": "asked"},
        "how": {"model": "scripted", "widths": [2]},
        "where": {"engine": "scripted", "store": str(folder / "store")},
    }
    body = {"parameters": {"config": config}, "state": {"type": "SCHEDULED"}}
    made = asked(f"{api}/deployments/{deployment['id']}/create_flow_run", body)
    deadline = time.monotonic() + 600
    while (found := asked(f"{api}/flow_runs/{made['id']}"))["state_type"] != "COMPLETED":
        assert found["state_type"] in ("SCHEDULED", "PENDING", "RUNNING"), found["state"]
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert found["name"] == "infer-asked"


def in_order(schema: dict[str, Any]) -> list[str]:
    properties = schema["properties"]
    return sorted(properties, key=lambda name: int(properties[name]["position"]))


def assert_hidden(secret: str, folder: Path, printed: str) -> None:
    """That it is in no output, file and command line."""
    assert secret not in printed
    listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True)
    assert secret not in listed.stdout
    for path in folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_server_that_was_there_before_stays(prefect_api: str, command: Pacore) -> None:
    assert "found running" in lines_of(command("up", "--server-only"))["server"]
    assert WORKER.recorded() is None
    lines_of(command("up"))
    worker = WORKER.recorded()
    done = command("down")
    assert worker is not None
    assert worker.process is not None
    assert done.stdout == f"ended the worker, process {worker.process.pid}\n"
    assert running() == prefect_api


@pytest.mark.slow
def test_a_database_is_not_for_a_server_that_a_variable_names(tmp_path: Path) -> None:
    done = subprocess.run(
        pacore_command(["up", "--database", "postgresql://me:hidden@host/db"]),
        env={**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.endswith("that pacore starts, and PREFECT_API_URL names one\n")
    assert "hidden" not in done.stderr


@pytest.mark.parametrize(
    "typed",
    ["postgres://u:p@host/db", "postgresql://u:p@host:5/db", "postgresql+asyncpg://u:p@host/db"],
)
def test_a_database_is_taken_in_every_usual_spelling(typed: str) -> None:
    assert database_url(typed) == "postgresql+asyncpg://" + typed.partition("://")[2]


@pytest.mark.parametrize(
    "typed", ["host/db", "mysql://u:hidden@h/d", "postgresql://", "postgresql://u:hidden@h:x/d"]
)
def test_what_is_no_database_is_refused_without_being_shown(typed: str) -> None:
    with pytest.raises(BadInput, match="^--database: must have the form postgresql://") as refused:
        database_url(typed)
    assert "hidden" not in str(refused.value)
