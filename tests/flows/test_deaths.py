"""Each process that has a part in a run from the Prefect UI is killed, and the run goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pacore.store.backends.opening import open_store
from pacore.store.nights import read_nights
from tasks.server import start
from tests.fixtures.deaths import kill_server, mortal, tidied, wait_until
from tests.fixtures.deployed import asked, deployed, worker
from tests.fixtures.pipeline import journal_size, write_problems

pytestmark = pytest.mark.slow


def test_a_run_is_retried_after_its_process_was_killed_and_outlives_the_server(
    tmp_path: Path, each_api: str
) -> None:
    deployed(each_api)
    limits = f"{each_api}/v2/concurrency_limits"
    asked(f"{limits}/increment", slot_of(each_api, NIGHTLY))
    lease = asked(f"{limits}/increment-with-lease", slot_of(each_api, TIDY))
    with worker(each_api, tmp_path), mortal(each_api, tmp_path) as run:
        run.wait_for(3)
        os.kill(run.pid, signal.SIGKILL)
        crashed = run.wait_for_state("Crashed")
        assert "-9" in crashed["state"]["message"]
        run.retry()
        run.wait_for(3)
        try:
            assert kill_server() == each_api
            run.wait_for(4)
        finally:
            assert start() == each_api, "what waits for it finds it where it was"
        assert run.wait_for_state("Completed")["run_count"] == 2, "nothing was started again"
        run.assert_whole(kills=1)
    assert limit_of(each_api, TIDY)["active_slots"] == 1
    asked(f"{limits}/decrement-with-lease", {"lease_id": lease["lease_id"]})
    assert limit_of(each_api, TIDY)["active_slots"] == 0, "the server has its leases in files"
    assert limit_of(each_api, NIGHTLY)["active_slots"] == 1
    assert tidied(each_api)["slots"] == 1
    assert limit_of(each_api, NIGHTLY)["active_slots"] == 0


NIGHTLY, TIDY = "nightly/local-nightly", "tidy/hourly"


def limit_of(api: str, deployment: str) -> dict[str, Any]:
    found: dict[str, Any] = asked(f"{api}/deployments/name/{deployment}")[
        "global_concurrency_limit"
    ]
    return found


def slot_of(api: str, deployment: str) -> dict[str, Any]:
    """What is asked for to take a slot of a deployment."""
    return {"names": [limit_of(api, deployment)["name"]], "slots": 1, "mode": "concurrency"}


def night(folder: Path) -> dict[str, Any]:
    problems = write_problems(folder / "problems.jsonl", 6)
    run = {
        "what": {"problems": str(problems)},
        "how": {"model": "scripted?words=20&latency_ms=400", "widths": [2]},
        "where": {"engine": "scripted", "store": str(folder / "store")},
        "limits": {"concurrency": 2},
    }
    return {"jobs": [{"name": "twice", "run": run}]}


def test_a_second_night_waits_for_the_first_and_generates_nothing(
    tmp_path: Path, prefect_api: str
) -> None:
    deployed(prefect_api)
    deployment = asked(f"{prefect_api}/deployments/name/nightly/local-nightly")["id"]
    place = f"{prefect_api}/deployments/{deployment}/create_flow_run"
    asking = {"parameters": {"config": night(tmp_path)}, "state": {"type": "SCHEDULED"}}
    store = tmp_path / "store"

    def state(flow_run: dict[str, Any]) -> str:
        name: str = asked(f"{prefect_api}/flow_runs/{flow_run['id']}")["state_name"]
        return name

    with worker(prefect_api, tmp_path):
        first = asked(place, asking)
        wait_until((store / "journal").exists)
        second = asked(place, asking)
        wait_until(lambda: state(second) == "AwaitingConcurrencySlot")
        wait_until(lambda: state(first) == "Completed")
        generated = journal_size(str(store))
        now = {"state": {"type": "SCHEDULED", "name": "Scheduled"}}
        asked(f"{prefect_api}/flow_runs/{second['id']}/set_state", now)
        wait_until(lambda: state(second) == "Completed")
    assert journal_size(str(store)) == generated == 6 * 3
    (done,) = read_nights(open_store(str(store)), "twice")
    assert done.decision == "NO BASELINE"
