"""What people start runs with from the Prefect UI: the work pool, the deployments of prefect.yaml, and a
worker on this machine.

Each is found where it is there already, and made where it is not. So is the automation by which the server
calls a webhook about a night that needs someone: a night is reported too whose process was killed, or that
ended while no terminal was open. The webhook's address is in a block, where the server keeps it encrypted.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import yaml
from prefect.automations import Automation
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkerStatus
from prefect.events.actions import CallWebhook
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from pacore.engine.vllm.server import reason
from pacore.errors import BadInput, Refused, ServerUnavailable
from pacore.processes import end_followers
from pacore.text import shown
from tasks.server import DATABASE_VARIABLES
from tasks.standing import STOP_SECONDS, Place, folder_path, only_one

ROOT = Path(__file__).parent.parent
"""The repository: what is deployed is its folder, where flow runs start."""

DEPLOY_SECONDS = 300.0

WORKER_SECONDS = 120.0
"""How long a worker has to say to the server that it is there."""

REPORT_SECONDS = 2.0
"""How long a worker has to report that its flow runs have ended."""

WORKER = Place("worker")

VERSION_VARIABLE = "PACORE_DEPLOYED"
"""Where prefect.yaml finds the version that its deployments get."""


class Deployed(NamedTuple):
    """The deployments by name (``infer/local``) and their work pools, and whether each had to be made."""

    names: Sequence[str]
    pools: Sequence[str]
    has_made_pool: bool
    has_deployed: bool


class Worker(NamedTuple):
    """The worker of this machine: its process, and whether it had to be started."""

    pid: int
    has_started: bool


def deploy(url: str, say: Callable[[str], None]) -> Deployed:
    """Make the work pools of prefect.yaml and deploy all of it, where that is not done.

    A deployment whose version is that of the files here is left as it is. Raises Refused where the
    repository has no prefect.yaml, ServerUnavailable where it cannot be deployed.
    """
    wanted = _wanted()
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        pools = sorted(set(wanted.values()))
        made = [pool for pool in pools if _make_pool(client, pool)]
        version = _version()
        is_there = all(_deployed_version(client, name) == version for name in wanted)
    if not is_there:
        say("deploying the flows of prefect.yaml, some seconds")
        _deploy_all(url, version)
    return Deployed(list(wanted), pools, bool(made), not is_there)


def _wanted() -> dict[str, str]:
    """The deployments of prefect.yaml by their names in Prefect, each with its work pool."""
    file = ROOT / "prefect.yaml"
    try:
        listed = yaml.safe_load(file.read_text())["deployments"]
    except FileNotFoundError:
        raise Refused(
            f"there is no {file}: deployments need the repository, and pacore installed from it"
        ) from None
    return {f"{_flow_of(one)}/{one['name']}": one["work_pool"]["name"] for one in listed}


def _flow_of(deployment: Mapping[str, Any]) -> str:
    """The name of a deployment's flow: its function's, with dashes."""
    function: str = deployment["entrypoint"].rpartition(":")[2]
    return function.replace("_", "-")


def _version() -> str:
    """Names what a deployment is made of: this folder, its prefect.yaml, and what its forms follow from."""
    digest = hashlib.sha256(str(ROOT).encode())
    folders = (ROOT / "flows", ROOT / "pacore" / "core" / "config")
    for file in [
        ROOT / "prefect.yaml",
        *(found for one in folders for found in sorted(one.glob("*.py"))),
    ]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return f"pacore-{digest.hexdigest()[:12]}"


def _make_pool(client: SyncPrefectClient, name: str) -> bool:
    """Whether the pool had to be made."""
    try:
        client.create_work_pool(WorkPoolCreate(name=name, type="process"))
    except ObjectAlreadyExists:
        return False
    return True


def _deployed_version(client: SyncPrefectClient, name: str) -> str | None:
    try:
        return client.read_deployment_by_name(name).version
    except ObjectNotFound:
        return None


def _deploy_all(url: str, version: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env={**_environment(url), VERSION_VARIABLE: version},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEPLOY_SECONDS,
        check=False,
    )
    if done.returncode:
        log = folder_path() / "deploy.log"
        log.write_text(done.stdout + done.stderr)
        raise ServerUnavailable(f"prefect deploy --all failed: {reason(log)} (its log: {log})")


def start_worker(url: str, pool: str, say: Callable[[str], None]) -> Worker:
    """Find the worker of this machine, or start it, in the environment of this process.

    One that works for another server is ended first. Raises ServerUnavailable where it does not come up.
    """
    with only_one():
        found = WORKER.recorded()
        if found and found.is_running and found.url == url and found.notes.get("pool") == pool:
            assert found.process is not None
            return Worker(found.process.pid, has_started=False)
        WORKER.end()
        say(f"starting a worker; its log is {WORKER.log}")
        name = f"pacore {socket.gethostname()} {os.urandom(3).hex()}"
        process = WORKER.launch(
            [
                *(sys.executable, "-m", "prefect", "worker", "start"),
                *("--pool", pool, "--type", "process", "--name", name),
            ],
            _environment(url),
            ROOT,
            (url, {"pool": pool, "name": name}),
        )
        _wait_until_online(url, (pool, name), lambda: process.poll() is not None)
        return Worker(process.pid, has_started=True)


def stop_worker() -> int | None:
    """End the worker that `start_worker` started; returns the id its process had, None without one.

    Flow runs under way in it are interrupted and set to Crashed; what they have finished is kept.
    """
    if WORKER.recorded() is None:
        return None
    with only_one():
        found = WORKER.recorded()
        if found is not None and found.process is not None and found.is_running:
            # A worker that is ended kills what it runs and tells nobody; one whose flow run ends by
            # itself reports that.
            has_ended_runs = end_followers(found.process, STOP_SECONDS)
            time.sleep(REPORT_SECONDS if has_ended_runs else 0)
        ended = WORKER.end()
    return ended.process.pid if ended and ended.process else None


def _environment(url: str) -> dict[str, str]:
    """Everything of this process's, keys of endpoints included, but for the server's database: that is
    none of a flow's business.
    """
    environment = {**os.environ, "PREFECT_API_URL": url}
    for name in DATABASE_VARIABLES:
        environment.pop(name, None)
    # A person waits for a run that they have just asked for.
    environment.setdefault("PREFECT_WORKER_QUERY_SECONDS", "2")
    return environment


def _wait_until_online(url: str, worker: tuple[str, str], has_ended: Callable[[], bool]) -> None:
    pool, name = worker
    deadline = time.monotonic() + WORKER_SECONDS
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            there = client.read_workers_for_work_pool(pool)
            if any(one.name == name and one.status == WorkerStatus.ONLINE for one in there):
                return
            if has_ended():
                raise ServerUnavailable(
                    f"the worker ended at its start: {reason(WORKER.log)} (its log: {WORKER.log})"
                )
            time.sleep(0.25)
    raise ServerUnavailable(
        f"the worker does not reach {shown(url)} within {WORKER_SECONDS:g} s (its log: {WORKER.log})"
    )


AUTOMATION = "pacore: a night that needs someone"

WEBHOOK_BLOCK = "pacore-nights"

STATES = ("NO-GO", "Incomplete", "Failed", "Crashed", "Refused", "TimedOut")
"""Names of the states of a night's flow run that somebody has to look at."""

PAYLOAD = """{% set state = flow_run.state %}{
  "text": {{ ["pacore", flow_run.name, state.name, state.message] | join(" · ") | tojson }},
  "flow_run": {{ flow_run.name | tojson }},
  "state": {{ state.name | tojson }},
  "message": {{ state.message | tojson }},
  "look": "pacore nightly show"
}"""
"""The message: ``text`` is what chat servers show; the others are for programs."""


def set_webhook(api: str, webhook_url: str) -> bool:
    """Have the server of ``api`` send a message to a webhook about each night that needs someone.

    Returns whether the automation had to be made; an address replaces the one before. Raises BadInput for
    an address that is none.
    """
    parts = urlsplit(webhook_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("--notify: is no URL such as https://hooks.example.org/services/…")
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        block = Webhook(url=SecretStr(webhook_url)).save(WEBHOOK_BLOCK, overwrite=True)
        assert isinstance(block, UUID), "outside an event loop saving waits"
        is_there = bool(client.read_automations_by_name(AUTOMATION))
        if not is_there:
            _automation(block).create()
    return not is_there


def _automation(block: UUID) -> Automation:
    return Automation(
        name=AUTOMATION,
        description="Made by `pacore up --notify`.",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{state}" for state in STATES},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": "nightly"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[CallWebhook(block_document_id=block, payload=PAYLOAD)],
    )
