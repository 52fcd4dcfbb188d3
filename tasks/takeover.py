"""Flow runs whose process was killed: nobody was left to say so, and they said Running for ever.

A flow run bears the process that works on it, in labels. Who takes the same run up later on the same
machine says of the others what became of them. Prefect's records alone depend on it, never a table.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled, Crashed

from pacore.processes import ProcessMark, has_ended, is_running_here, this_process
from tasks.settings import RECORD_FAULTS

PAGE = 200


GRACE_SECONDS = 5.0
"""How long a run waits at its end for the task runs of a dead one to be set."""

BEGUN = [StateType.RUNNING, StateType.CANCELLING]
"""What a flow run says once its process is known. Before, as Pending, there is none to look for."""


@contextmanager
def _records() -> Iterator[SyncPrefectClient]:
    """Prefect's records, whose refusals are a warning: no run fails for what is said about it."""
    try:
        with get_client(sync_client=True) as client:
            yield client
    except RECORD_FAULTS as fault:
        get_run_logger().warning(
            "Prefect's records of killed flow runs stay as they are: %s", fault
        )


def run_tag(run_id: str) -> str:
    """The tag that all flow runs of a run have in common."""
    return f"run:{run_id}"


def mark(store_url: str, run_id: str | None) -> None:
    """Write on this flow run which run and store it works on, and in which process."""
    own, process = UUID(flow_run.get_id()), this_process()
    with _records() as client:
        found = client.read_flow_run(own)
        labels: dict[str, str | int] = {"pacore.store": store_url}
        if process is not None:
            labels |= {
                "pacore.host": process.host,
                "pacore.boot": process.boot,
                "pacore.pid_namespace": process.namespace,
                "pacore.pid": process.pid,
                "pacore.started_ticks": process.started_ticks,
                "pacore.start": found.run_count,
            }
        client.update_flow_run_labels(own, dict(labels))
        if run_id is not None and run_tag(run_id) not in found.tags:
            client.update_flow_run(own, tags=[*found.tags, run_tag(run_id)])


@contextmanager
def taking_over(store_url: str, run_id: str) -> Iterator[None]:
    """Set the run's other flow runs to Crashed whose process was on this machine and is gone.

    One that was to be cancelled is Cancelled instead, the only end Prefect lets it have. What their
    task runs say follows meanwhile, one by one, for Prefect takes its time over each.
    """
    dead = _crash_flow_runs(store_url, run_id)
    if not dead:
        yield
        return
    is_over = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="killed") as beside:

        def crash() -> Future[None]:
            return beside.submit(contextvars.copy_context().run, _crash_task_runs, dead, is_over)

        crashing = [crash()]
        try:
            yield
        finally:
            # What the dead one said of its tasks last may have been recorded since.
            crashing.append(crash())
            wait(crashing, GRACE_SECONDS)
            is_over.set()


def is_gone(other: FlowRun) -> bool | None:
    """Whether the process of a flow run has ended; None where this machine cannot know."""
    process = _process_of(other)
    if process is None:
        return None
    host = urlsplit(str(PREFECT_API_URL.value() or "")).hostname
    if has_ended(process, is_one_machine=host in ("127.0.0.1", "localhost", "::1")):
        return True
    return False if is_running_here(process) else None


def _crash_flow_runs(store_url: str, run_id: str) -> dict[UUID, str]:
    """The flow runs that were given an end, each with what was said of it."""
    own = UUID(flow_run.get_id())
    dead: dict[UUID, str] = {}
    with _records() as client:
        for other in _begun(client, run_id):
            process = _process_of(other)
            if other.id == own or process is None or other.labels["pacore.store"] != store_url:
                continue
            if not is_gone(other):
                get_run_logger().warning(
                    "run %s: flow run %s, process %d on %s, works on it too; what either has "
                    "finished, both have",
                    *(run_id, other.id, process.pid, process.host),
                )
                continue
            message = (
                f"process {process.pid} on {process.host} was killed or died while it worked on run "
                f"{run_id}; flow run {own} goes on with it, and what was finished is kept"
            )
            is_cancelling = other.state_type is StateType.CANCELLING
            end: State[Any] = (Cancelled if is_cancelling else Crashed)(message=message)
            answer = client.set_flow_run_state(other.id, end)
            if answer.status is SetStateStatus.ACCEPT:
                get_run_logger().warning("flow run %s: %s", other.id, message)
                dead[other.id] = message
    return dead


def _crash_task_runs(dead: dict[UUID, str], is_over: threading.Event) -> None:
    """Set to Crashed what was at work in dead flow runs; what was Pending had not begun."""
    with _records() as client:
        for flow_run_id, message in dead.items():
            if is_over.is_set():
                return
            running = client.read_task_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
                task_run_filter=TaskRunFilter(
                    state=TaskRunFilterState(
                        type=TaskRunFilterStateType(any_=[StateType.RUNNING]), name=None
                    )
                ),
                limit=PAGE,
            )
            for task_run in running:
                if is_over.is_set():
                    return
                client.set_task_run_state(task_run.id, Crashed(message=message), force=True)


def _begun(client: SyncPrefectClient, run_id: str) -> list[FlowRun]:
    """The runs of this very flow that say they are at work on a run.

    Another flow does not go on with what this one does.
    """
    same_flow = FlowFilter(name=FlowFilterName(any_=[str(flow_run.get_flow_name())]))
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_filter=same_flow,
            flow_run_filter=FlowRunFilter(
                tags=FlowRunFilterTags(all_=[run_tag(run_id)]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=BEGUN)),
            ),
            limit=PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < PAGE:
            return found


def _process_of(other: FlowRun) -> ProcessMark | None:
    """The process that works on a flow run; None where it is not known.

    A flow run that was started again is in other hands than its labels say until it is marked anew.
    """
    labels = other.labels
    if labels.get("pacore.start") != other.run_count:
        return None
    return ProcessMark(
        host=str(labels["pacore.host"]),
        boot=str(labels["pacore.boot"]),
        namespace=str(labels["pacore.pid_namespace"]),
        pid=int(labels["pacore.pid"]),
        started_ticks=int(labels["pacore.started_ticks"]),
    )
