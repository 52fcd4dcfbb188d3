"""The flows as a person deploys them: `prefect deploy --all`, and a process worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

POOL = "local-process"


def prefect(api: str, *arguments: str, timeout: float = 180.0) -> str:
    """What the command ``prefect`` prints; it has to succeed."""
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


@cache
def deployed(api: str) -> str:
    """Deploy everything in prefect.yaml, once a server; returns the id of ``infer/local``."""
    prefect(api, "work-pool", "create", POOL, "--type", "process", "--overwrite")
    prefect(api, "deploy", "--all")
    with urllib.request.urlopen(f"{api}/deployments/name/infer/local", timeout=10) as response:
        found: str = json.load(response)["id"]
    return found


@contextmanager
def worker(api: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the pool, in a folder that is not the repository's."""
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL],
        env={**os.environ, "PREFECT_API_URL": api},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
