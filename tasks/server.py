"""A standing local Prefect server: found, or started once and left running.

The server Prefect starts for a single flow drops most task-run records, so pacore never relies on
it. This one keeps its database in pacore's state folder, or in the PostgreSQL that it is given, and
records in batches, which keeps up with thousands of task runs.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from pacore.engine.vllm.server import reason
from pacore.errors import BadInput, Refused, ServerUnavailable
from pacore.text import shown, without_secrets
from tasks.configured_server import answering, configured_server, still_answering
from tasks.standing import Place, Standing, folder_path, only_one

PREFERRED_PORT = 4200


START_SECONDS = 600.0


EVENTS_SECONDS = 10.0
"""After which events are sent beside what comes next: their server may have ended."""


SERVER = Place("server")


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


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Loopback is never reached through a proxy."""


SQLITE = "SQLite"
"""What is recorded of the database of a server that was given none."""

DATABASE_VARIABLES = (
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
)
"""Prefect's own names for the address of its database, which may hold a password."""

_POSTGRESQL = re.compile(r"postgres(?:ql)?(?:\+asyncpg)?://(?=.)")


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
        with answering(configured), own_events():
            yield configured.url
        return
    url = start(say)
    with temporary_settings({PREFECT_API_URL: url}), still_answering(url), own_events():
        yield url


@contextmanager
def own_events() -> Iterator[None]:
    """Send the events of flow runs in the context to its server: states of task runs are such events.

    Prefect sends all events of a process to the server that the first was for, though that may have ended.
    """
    send_events()
    try:
        yield
    finally:
        send_events()


def send_events() -> None:
    """Wait until Prefect has sent all events and logs of this process, as far as that takes seconds; what
    comes after them goes to the server that is then in use.
    """
    # In a notebook there is a running loop in this thread, for which Prefect would return a coroutine.
    with ThreadPoolExecutor(1, "events") as beside:
        beside.submit(EventsWorker.drain_all, timeout=EVENTS_SECONDS, at_exit=False).result()


def _is_healthy(url: str) -> bool:
    """Whether a Prefect server answers at an address of this machine."""
    try:
        with _DIRECT.open(f"{url}/health", timeout=5.0) as response:
            return bool(response.read(16).strip() == b"true")
    except (OSError, http.client.HTTPException):
        return False


class Serving(NamedTuple):
    """A server that answers: its API address, and in words where it came from."""

    url: str
    state: str

    @property
    def address(self) -> str:
        """Where a person looks at it; without a password."""
        return shown(self.url).removesuffix("/api")


@contextmanager
def serving(
    say: Callable[[str], None] = _say_nothing, database: str | None = None
) -> Iterator[Serving]:
    """As `connected`; a local server that has to start is one that `pacore down` stops, on ``database``.

    Raises Refused for a database where the server is not pacore's to start.
    """
    configured = configured_server()
    if configured is not None:
        if database is not None:
            raise Refused(
                f"--database: is for a server that pacore starts, and {configured.source} names one"
            )
        with answering(configured):
            yield Serving(configured.url, f"found: it is {configured.source}")
        return
    found = standing(say, database, by="up")
    how = "found running" if found.was_running else "started"
    with temporary_settings({PREFECT_API_URL: found.url}), still_answering(found.url):
        yield Serving(found.url, f"{how}; its records are in {found.database}")


def running() -> str | None:
    """The address of the standing local server, if it runs and answers."""
    record = SERVER.recorded()
    return record.url if record and record.is_running and _is_healthy(record.url) else None


class Found(NamedTuple):
    """A standing local server: its API address, where its records are, and whether it ran before."""

    url: str
    database: str
    was_running: bool


def start(say: Callable[[str], None] = _say_nothing) -> str:
    """Find the standing local server or start it; returns its API address. Raises as `standing` does."""
    return standing(say).url


def standing(
    say: Callable[[str], None] = _say_nothing, database: str | None = None, by: str = ""
) -> Found:
    """Find the standing local server or start it.

    ``say`` is called with a line where it has to start first, which takes seconds, with its log. A server
    that is started keeps its records in ``database``, as `database_url` has it, and is recorded as begun
    ``by`` a command.

    Raises ServerUnavailable where it does not come up, HomeUnusable where it has no place to be, Refused
    where one runs on another database, or the last one had a PostgreSQL and none is named.
    """
    with only_one():
        log = SERVER.log
        record = SERVER.recorded()
        if record and record.is_running:
            assert record.process is not None
            kept_in = record.notes.get("database", SQLITE)
            if database is not None and _named(database) != kept_in:
                raise Refused(
                    f"--database: the Prefect server that runs here keeps its records in {kept_in}, not in "
                    f"{_named(database)}; pacore server stop ends it"
                )
            pid = record.process.pid
            _wait_until_healthy(record.url, lambda: not record.is_running, f"process {pid}")
            return Found(record.url, kept_in, was_running=True)
        environment = _environment(database)
        kept_in = _named(next(filter(None, map(environment.get, DATABASE_VARIABLES)), None))
        if record is not None and kept_in == SQLITE != record.notes.get("database", SQLITE):
            raise Refused(
                f"the Prefect server that ran here kept its records in {record.notes['database']}; "
                "pacore up --database starts it there again, and pacore server stop forgets it"
            )
        say(f"starting a local Prefect server, usually 10 to 40 s, once; its log is {log}")
        # What runs goes on once the server is back where it was.
        with _reserved_port(record) as port:
            url = f"http://127.0.0.1:{port}/api"
            environment["PREFECT_UI_API_URL"] = url
            process = SERVER.launch(
                [sys.executable, *COMMAND, "--host", "127.0.0.1", "--port", str(port)],
                environment,
                folder_path(),
                (url, {"database": kept_in, "by": by}),
            )
            _wait_until_healthy(url, lambda: process.poll() is not None, f"process {process.pid}")
        return Found(url, kept_in, was_running=False)


def database_url(typed: str) -> str:
    """The address of a PostgreSQL database as Prefect's server takes it. Raises BadInput, without it."""
    scheme = _POSTGRESQL.match(typed)
    try:
        is_one = scheme is not None and (urlsplit(typed).port or 1) > 0
    except ValueError:
        is_one = False
    if scheme is None or not is_one:
        raise BadInput("--database: must have the form postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return "postgresql+asyncpg://" + typed[scheme.end() :]


def _named(database: str | None) -> str:
    """A database without its user, password and options: what may be recorded and shown of it."""
    if database is None:
        return SQLITE
    parts = urlsplit(database)
    kind = parts.scheme.partition("+")[0]
    if kind == "sqlite":
        return f"{SQLITE} at {parts.path}"
    port = f":{parts.port}" if parts.port not in (None, 5432) else ""
    return f"{kind}://{parts.hostname or ''}{port}{parts.path}"


def _environment(database: str | None) -> dict[str, str]:
    """The server's variables. A password is in them alone: never in its command line, which anybody on
    the machine can list.
    """
    environment = {
        **without_secrets(os.environ),
        **SERVER_SETTINGS,
        "PREFECT_HOME": str(folder_path()),
    }
    environment.pop("PREFECT_API_URL", None)
    if database is not None:
        for name in DATABASE_VARIABLES:
            environment.pop(name, None)
        environment[DATABASE_VARIABLES[0]] = database
    return environment


@contextmanager
def _reserved_port(before: Standing | None) -> Iterator[int]:
    """A free port for a server that is to start: that of the server before, the usual one, or any.

    No other pacore of this machine takes it meanwhile. A server listens seconds after it was started. Of
    two that were given one port the second ends, and whoever started it would take the first for its own.
    So the UDP port of the same number, which no server listens on, is held until the server is there; it
    is free again when its holder ends.
    """
    last = None if before is None else urlsplit(before.url).port
    for port in (last or PREFERRED_PORT, PREFERRED_PORT, 0, 0, 0):
        with socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as held:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                found: int = probe.getsockname()[1]
                held.bind(("127.0.0.1", found))
            except OSError:
                continue
            probe.close()
            yield found
            return
    raise ServerUnavailable("no free port for a local Prefect server")


def _wait_until_healthy(url: str, has_ended: Callable[[], bool], named: str) -> None:
    log = SERVER.log
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


def stop(by: str | None = None) -> str | None:
    """End the standing local server; returns the address it had, None if none was running here.

    With ``by`` only one that was begun by that command. Raises ServerUnavailable where it does not end.
    """
    if (record := SERVER.recorded()) is None or by not in (None, record.notes.get("by")):
        return None
    with only_one():
        ended = SERVER.end()
    return None if ended is None else ended.url


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
