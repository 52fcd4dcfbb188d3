"""A standing local Prefect server: found, or started once and left running.

The server Prefect starts for a single flow drops most task-run records, so pacore never relies on
it. This one keeps its database in pacore's state folder and records in batches, which keeps up
with thousands of task runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.settings import PREFECT_API_URL, temporary_settings

from pacore.errors import EngineUnavailable
from pacore.home import state_folder
from pacore.secrecy import without_secrets

PREFERRED_PORT = 4200
START_SECONDS = 240.0
SERVER_SETTINGS = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "DO_NOT_TRACK": "1",
}


_started: list[subprocess.Popen[bytes]] = []
"""Servers this process started: they outlive it, and are kept from being waited for at its end."""


@contextmanager
def connected() -> Iterator[str]:
    """Use the server in ``PREFECT_API_URL`` (or the Prefect profile), else a standing local one.

    Yields the API's address. Raises EngineUnavailable when no server comes up.
    """
    configured = PREFECT_API_URL.value()
    url = str(configured) if configured else start()
    with temporary_settings({PREFECT_API_URL: url}):
        yield url


def _folder() -> Path:
    folder = state_folder() / "prefect"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _only_one() -> Iterator[Path]:
    """Hold the lock of the server's folder: two commands at once start one server."""
    folder = _folder()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5.0) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _recorded(folder: Path) -> dict[str, str] | None:
    try:
        record: dict[str, str] = json.loads((folder / "server.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return record


def running() -> str | None:
    """The address of the standing local server, if it answers."""
    record = _recorded(_folder())
    return record["url"] if record and _is_healthy(record["url"]) else None


def start() -> str:
    """Find the standing local server or start it; returns its API address."""
    with _only_one() as folder:
        record = _recorded(folder)
        if record and _is_healthy(record["url"]):
            return record["url"]
        port = _free_port()
        url = f"http://127.0.0.1:{port}/api"
        log = folder / "server.log"
        environment = {
            **without_secrets(os.environ),
            **SERVER_SETTINGS,
            "PREFECT_HOME": str(folder),
            "PREFECT_UI_API_URL": url,
        }
        environment.pop("PREFECT_API_URL", None)
        command = [sys.executable, "-m", "prefect", "server", "start"]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        _started.append(process)
        (folder / "server.json").write_text(json.dumps({"pid": str(process.pid), "url": url}))
        _wait_until_healthy(url, process, log)
        return url


def _free_port() -> int:
    for port in (PREFERRED_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise EngineUnavailable("no free port for a local Prefect server")


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _is_healthy(url):
            return
        if process.poll() is not None:
            raise EngineUnavailable(f"the local Prefect server ended at its start; see {log}")
        time.sleep(0.25)
    process.terminate()
    raise EngineUnavailable(f"the local Prefect server did not come up; see {log}")


def stop() -> str | None:
    """End the standing local server; returns the address it had, None if none was running."""
    with _only_one() as folder:
        record = _recorded(folder)
        if record is None:
            return None
        (folder / "server.json").unlink()
        if not _is_healthy(record["url"]):
            return None
        os.kill(int(record["pid"]), signal.SIGTERM)
        while _is_healthy(record["url"]):
            time.sleep(0.2)
        for process in _started:
            if process.pid == int(record["pid"]):
                process.wait()
        return record["url"]


def wait_for_records(flow_run_id: UUID, task_runs: int, patience_seconds: float = 60.0) -> bool:
    """Wait until the server has recorded every task run of a flow run as ended.

    Task-run states travel as events and arrive after the flow has ended; leaving before they do
    would leave them incomplete. Returns whether they are all there.
    """
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    deadline = time.monotonic() + patience_seconds
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            ended = 0
            for offset in range(0, task_runs, 200):
                page = client.read_task_runs(flow_run_filter=chosen, limit=200, offset=offset)
                ended += sum(1 for run in page if run.state and _has_ended(run.state.name))
            if ended >= task_runs:
                return True
            time.sleep(0.25)
    return False


def _has_ended(name: str | None) -> bool:
    return name not in (None, "Pending", "Running", "Scheduled")
