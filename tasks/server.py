"""A standing local Prefect server: found, or started once and left running.

The server Prefect starts for a single flow drops most task-run records, so pacore never relies on
it. This one keeps its database in pacore's state folder and records in batches, which keeps up
with thousands of task runs.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.settings import PREFECT_API_URL, temporary_settings

from pacore.engine.vllm.server import reason
from pacore.errors import ServerUnavailable
from pacore.home import state_folder, state_path, usable
from pacore.processes import ProcessMark, end_group, has_ended, is_running_here, mark_of
from pacore.text import without_secrets
from tasks.configured_server import answering, configured_server, still_answering

PREFERRED_PORT = 4200


START_SECONDS = 600.0


STOP_SECONDS = 30.0
"""How long the server has to end after SIGTERM, and again after SIGKILL."""

RECORD = "server.json"


COMMAND = ("-m", "prefect", "server", "start")


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

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Loopback is never reached through a proxy."""


@dataclass(frozen=True, slots=True)
class _Record:
    """The standing server as ``server.json`` has it: its address, and its process where known."""

    url: str
    process: ProcessMark | None

    @property
    def is_running(self) -> bool:
        """Whether its process runs on this machine. Another one that has its id now does not count."""
        return self.process is not None and is_running_here(self.process)


def _say_nothing(_: str) -> None:
    pass


@contextmanager
def connected(say: Callable[[str], None] = _say_nothing) -> Iterator[str]:
    """Use the server in ``PREFECT_API_URL`` (or the Prefect profile), else a standing local one.

    Yields the API's address. ``say`` is called with a line where a local one has to start first.
    Raises ServerUnavailable when no server answers, and when it is gone later; HomeUnusable where a
    local one would have nowhere to keep its database.
    """
    configured = configured_server()
    if configured is not None:
        with answering(configured):
            yield configured.url
        return
    url = start(say)
    with temporary_settings({PREFECT_API_URL: url}), still_answering(url):
        yield url


def _folder() -> Path:
    return state_path() / "prefect"


@contextmanager
def _only_one() -> Iterator[Path]:
    """Hold the lock of the server's folder: two commands at once start one server."""
    folder = state_folder("prefect")
    with usable(folder):
        lock = (folder / "lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _is_healthy(url: str) -> bool:
    """Whether a Prefect server answers at an address of this machine."""
    try:
        with _DIRECT.open(f"{url}/health", timeout=5.0) as response:
            return bool(response.read(16).strip() == b"true")
    except (OSError, http.client.HTTPException):
        return False


def _recorded(folder: Path) -> _Record | None:
    try:
        record = json.loads((folder / RECORD).read_text())
        url = str(record["url"])
        if "process" in record:
            return _Record(url, ProcessMark(**record["process"]))
        return _Record(url, _server_of_old_record(int(record["pid"]), url))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (ValueError, KeyError, TypeError):
        return None


def _server_of_old_record(pid: int, url: str) -> ProcessMark | None:
    """The process of a record that has its id alone, if what runs under it now is that server."""
    port = str(urlsplit(url).port)
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    is_server = {*COMMAND, port} <= set(arguments)
    return mark_of(pid) if is_server else None


def running() -> str | None:
    """The address of the standing local server, if it runs and answers."""
    record = _recorded(_folder())
    return record.url if record and record.is_running and _is_healthy(record.url) else None


def start(say: Callable[[str], None] = _say_nothing) -> str:
    """Find the standing local server or start it; returns its API address.

    ``say`` is called with a line where it has to start first, which takes seconds, with its log.

    Raises ServerUnavailable where it does not come up, HomeUnusable where it has no place to be.
    """
    with _only_one() as folder:
        log = folder / "server.log"
        record = _recorded(folder)
        if record and record.is_running:
            assert record.process is not None
            pid = record.process.pid
            _wait_until_healthy(record.url, lambda: not record.is_running, log, f"process {pid}")
            return record.url
        say(f"starting a local Prefect server, usually 10 to 40 s, once; its log is {log}")
        port = _free_port()
        url = f"http://127.0.0.1:{port}/api"
        with usable(folder):
            process = _launch(folder, log, port, url)
        _started.append(process)
        _wait_until_healthy(url, lambda: process.poll() is not None, log, f"process {process.pid}")
        return url


def _launch(folder: Path, log: Path, port: int, url: str) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, and record it at once: it outlives this process."""
    environment = {
        **without_secrets(os.environ),
        **SERVER_SETTINGS,
        "PREFECT_HOME": str(folder),
        "PREFECT_UI_API_URL": url,
    }
    environment.pop("PREFECT_API_URL", None)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *COMMAND, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    mark = mark_of(process.pid)
    known = {"pid": process.pid} if mark is None else {"process": asdict(mark)}
    (folder / RECORD).write_text(json.dumps({"url": url, **known}))
    return process


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
    raise ServerUnavailable("no free port for a local Prefect server")


def _wait_until_healthy(url: str, has_ended: Callable[[], bool], log: Path, named: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _is_healthy(url):
            return
        if has_ended():
            raise ServerUnavailable(
                f"the local Prefect server ended at its start: {reason(log)} (its log: {log})"
            )
        time.sleep(0.25)
    raise ServerUnavailable(
        f"the local Prefect server ({named}) does not answer at {url} after {START_SECONDS:g} s; "
        f"pacore server stop ends it (its log: {log})"
    )


def stop() -> str | None:
    """End the standing local server; returns the address it had, None if none was running here.

    Only the process that was recorded is ever signalled, not one that has its id now. Raises
    ServerUnavailable where it does not end.
    """
    if _recorded(_folder()) is None:
        return None
    with _only_one() as folder:
        record = _recorded(folder)
        if record is None or record.process is None or not record.is_running:
            _forget(folder, record)
            return None
        is_gone = end_group(record.process, STOP_SECONDS)
        for process in _started:
            if process.pid == record.process.pid and is_gone:
                process.wait()
        if not is_gone:
            raise ServerUnavailable(
                f"the local Prefect server does not end: process {record.process.pid} takes no signal"
            )
        (folder / RECORD).unlink()
        return record.url


def _forget(folder: Path, record: _Record | None) -> None:
    """Remove the record of a server that is known to have ended; one of another machine stays."""
    if record is None or record.process is None or has_ended(record.process, is_one_machine=True):
        (folder / RECORD).unlink(missing_ok=True)


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
