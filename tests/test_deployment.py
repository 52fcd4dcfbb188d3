"""`prefect deploy --all`, a worker, and a run of the deployment: the same tables as the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Pacore
from tests.pipeline import tables, write_problems

pytestmark = pytest.mark.slow


def prefect(api: str, *arguments: str, timeout: float = 180.0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        env={**os.environ, "PREFECT_API_URL": api},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_deployed_run_writes_the_tables_the_command_line_writes(
    tmp_path: Path, prefect_api: str, pacore: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    prefect(prefect_api, "work-pool", "create", "local-process", "--type", "process", "--overwrite")
    prefect(prefect_api, "deploy", "--all")
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "local-process"],
        env={**os.environ, "PREFECT_API_URL": prefect_api},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        config = {
            "problems": str(problems),
            "engine": "scripted",
            "model": "scripted?words=20",
            "store": str(tmp_path / "deployed"),
            "widths": [3, 2],
            "run_id": "same",
        }
        said = prefect(
            prefect_api, "deployment", "run", "infer/local",
            "--param", f"config={json.dumps(config)}", "--watch",
        )  # fmt: skip
        assert "finished successfully" in said or "Completed" in said
    finally:
        worker.send_signal(signal.SIGINT)
        worker.wait(timeout=60)
    done = pacore(
        "run", "--problems", str(problems), "--engine", "scripted", "--model", "scripted?words=20",
        "--store", str(tmp_path / "typed"), "--widths", "3,2", "--run-id", "same",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    deployed = tables(str(tmp_path / "deployed"), "same")
    assert deployed == tables(str(tmp_path / "typed"), "same")
    assert len(deployed["answers"]) == 4


def test_the_deployments_form_asks_for_every_field_in_order() -> None:
    from flows.infer import infer

    form = infer.parameters.model_dump()["definitions"]["RunConfig"]
    properties = form["properties"]
    ordered = sorted(properties, key=lambda field: int(properties[field]["position"]))
    assert ordered[:3] == ["problems", "model", "preset"]
    assert form["required"] == ["problems"]
    assert all(properties[field]["description"] for field in properties)
