"""`prefect deploy --all`, a worker, and a run of the deployment: the same tables as the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.evaluate import evaluate
from flows.infer import infer
from flows.sweep import sweep
from pacore.store.backends.opening import open_store
from pacore.store.gradings import read_gradings
from tests.conftest import Pacore
from tests.fixtures.deployed import deployed, prefect, scheduled, worker
from tests.fixtures.pipeline import journal_size, tables, write_problems

pytestmark = pytest.mark.slow


def test_a_deployed_run_writes_the_tables_the_command_line_writes(
    tmp_path: Path, prefect_api: str, command: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    deployed(prefect_api)
    config = {
        "problems": str(problems),
        "engine": "scripted",
        "model": "scripted?words=20",
        "store": str(tmp_path / "deployed"),
        "widths": [3, 2],
        "run_id": "same",
    }
    with worker(prefect_api, tmp_path):
        said = prefect(
            prefect_api, "deployment", "run", "infer/local",
            "--param", f"config={json.dumps(config)}", "--watch",
        )  # fmt: skip
        assert "finished successfully" in said or "Completed" in said
        asked = {"runs": ["same"], "store": config["store"]}
        said = prefect(
            prefect_api, "deployment", "run", "evaluate/local-evaluation",
            "--param", f"config={json.dumps(asked)}", "--watch",
        )  # fmt: skip
        assert "finished successfully" in said or "Completed" in said
    (record,) = read_gradings(open_store(str(tmp_path / "deployed")), "same")
    assert record.finished_at is not None
    done = command(
        "run", "--problems", str(problems), "--engine", "scripted", "--model", "scripted?words=20",
        "--store", str(tmp_path / "typed"), "--widths", "3,2", "--run-id", "same",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = tables(str(tmp_path / "deployed"), "same")
    assert written == tables(str(tmp_path / "typed"), "same")
    assert len(written["answers"]) == 4


def test_a_schedule_makes_a_new_run_each_time_named_after_its_deployment_and_time(
    tmp_path: Path, prefect_api: str
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    config: dict[str, object] = {
        "problems": str(problems), "engine": "scripted", "widths": [2], "store": str(tmp_path / "store"),
    }  # fmt: skip
    runs = tmp_path / "store" / "runs"
    deadline = time.monotonic() + 600
    with worker(prefect_api, tmp_path), scheduled(prefect_api, config, 10):
        while len(list(runs.glob("*/final.json"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    times = [
        datetime.strptime(run.parent.name, "local-%Y%m%d-%H%M%S") for run in runs.glob("*/run.json")
    ]
    assert all((late - early).seconds % 10 == 0 for early, late in pairwise(sorted(times)))
    # Their settings are the same, so what the first one generated is reused.
    assert journal_size(str(config["store"])) == 2 * 3


def refused(flow: Callable[..., Any], config: object) -> str:
    """The message of a flow run of these settings, which ends as Refused."""
    state = flow(config, return_state=True)
    assert state.name == "Refused", state
    return str(state.message)


def test_settings_that_are_wrong_end_a_flow_in_one_line_and_no_traceback(
    tmp_path: Path, prefect_api: str, caplog: pytest.LogCaptureFixture
) -> None:
    missing = str(tmp_path / "none.jsonl")
    with temporary_settings({PREFECT_API_URL: prefect_api}), caplog.at_level("INFO"):
        assert refused(infer, {"how": {"preset": "hihg"}, "what": {"problems": "p.jsonl"}}) == (
            "preset: must be one of single, low, medium, high (did you mean high?)"
        )
        assert refused(infer, {"problems": "p.jsonl", "temprature": 1, "engine": "scripted"}) == (
            "temprature: is not a known name (did you mean temperature?)"
        )
        assert refused(infer, {"problems": missing, "engine": "scripted"}).startswith(
            f"{missing}: no such file"
        )
        assert refused(evaluate, {"what": {"runs": []}}) == "runs: is needed"
        assert refused(sweep, {"run": {"problems": "p.jsonl"}, "arms": ["low"]}) == (
            "run.endpoints: engine http needs at least one, or take another engine"
        )
    assert caplog.records
    assert "Traceback" not in caplog.text
