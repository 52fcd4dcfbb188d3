"""Waiting for the tasks of a flow: progress meanwhile, and afterwards what went wrong or stopped them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import Pause, TerminationSignal
from prefect.futures import PrefectFuture
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Failed

from pacore.errors import BudgetSpent, Exit, Interrupted, PacoreError
from tasks.artifacts import ProgressArtifact, UpdatedArtifact
from tasks.opened import OUTERMOST, Outermost, given
from tasks.settings import RECORD_FAULTS

PROGRESS_SECONDS = 2.0

LAST_UPDATE_SECONDS = 30.0
"""How long a flow waits at its end for the last update of its artifact."""

INCOMPLETE = "Incomplete: budget"
"""The state of a flow whose budget was spent before it was complete."""

DONE = ("Completed", "CompletedWithFailures")
"""Names of the states of a flow that came to its end."""

REFUSED = "Refused"
"""Name of the state of a flow that was asked for what cannot be done; nothing was written."""

Futures = Sequence[PrefectFuture[Any]]


def finish(
    futures: Futures, artifact: ProgressArtifact, stop: Callable[[], None], interrupted: str
) -> State[Any] | None:
    """Wait for all tasks of a flow, showing progress; the state to end in where not all completed.

    On an interruption ``stop`` ends the work of the tasks, and ``interrupted`` is the message of the
    state; so it is where a person cancels the flow run in Prefect, or suspends it. Raises
    TerminationSignal, which Prefect has for SIGTERM, and Pause, once every task has ended.
    """
    try:
        # Prefect is asked for it, which takes as long as that takes.
        asked = _Asked(stop)
        _wait_for_all(futures, artifact, asked)
    except (KeyboardInterrupt, TerminationSignal) as signal:
        stop()
        _settle(futures)
        if isinstance(signal, TerminationSignal):
            raise
        return Cancelled(message=interrupted)
    faults = _settle(futures)
    if asked.state is not None and asked.state.is_paused():
        raise Pause(state=asked.state)
    if asked.state is not None:
        return Cancelled(message=interrupted)
    return _partial_failure(faults, len(futures)) if faults else None


def ended_by(fault: PacoreError) -> State[Any]:
    """The state of a flow or task that cannot do what it was asked for: its message is the reason.

    To raise it would have Prefect log a traceback, in which the reason is the last of fifty lines.
    """
    name = REFUSED if fault.exit_code == Exit.REFUSED else None
    if isinstance(fault, BudgetSpent):
        name = INCOMPLETE
    return Failed(name=name, message=str(fault), data=fault)


def stopped_by(part: State[Any]) -> State[Any]:
    """The end of a flow one of whose runs, or whose evaluation, could not go on: as that ended.

    A state that belongs to another flow run would only be counted as one that failed.
    """
    if part.name == "Cancelled":
        return Cancelled(message=part.message)
    return Failed(name=part.name, message=part.message, data=part.result(raise_on_failure=False))


@contextmanager
def as_outermost() -> Iterator[None]:
    """Have the flows that this one calls know of which flow run they are parts: each would ask Prefect for
    it four times, by clients of its own, every one of which reads all certificates of the machine.
    """
    with given(OUTERMOST, _outermost()):
        yield


def _outermost() -> Outermost:
    """The flow run that this one is, or is a part of; Prefect is asked only by a part that was not told."""
    if (told := OUTERMOST.get(None)) is not None:
        return told
    context = FlowRunContext.get()
    own = None if context is None else context.flow_run
    if own is None or own.parent_task_run_id is not None:
        return Outermost(UUID(flow_run.get_root_flow_run_id()), bool(deployment.id))
    return Outermost(own.id, own.deployment_id is not None)


class _Asked:
    """What a person has asked of this flow run in Prefect, which tells nobody: it has to be looked for.

    A worker ends a flow run that is to be cancelled, and leaves alone one that is suspended: without this
    it would go on, and once more beside itself when it is resumed. A flow run that a terminal started has
    no worker, and cannot be suspended.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.state: State[Any] | None = None
        self._stop = stop
        whole = _outermost()
        self._ends = StateType.PAUSED if whole.is_deployed else StateType.CANCELLING
        # A sweep is suspended as a whole, and the flow of one of its runs is where that is looked for.
        self._flow_runs = {UUID(flow_run.get_id()), whole.flow_run_id}

    def look(self, client: SyncPrefectClient) -> None:
        """Stop the work if that is what was asked."""
        if self.state is not None:
            return
        with suppress(*RECORD_FAULTS):
            for found in map(client.read_flow_run, self._flow_runs):
                if found.state is not None and found.state.type is self._ends:
                    self.state = found.state
                    self._stop()


def _wait_for_all(futures: Futures, artifact: ProgressArtifact, asked: _Asked) -> None:
    """Wait for all, showing progress meanwhile.

    This thread does nothing but wait: where a signal interrupts a request to Prefect, its client keeps a
    lock that every task then waits for.
    """
    left = len(futures)
    lock, all_done = threading.Lock(), threading.Event()

    def one_done(_: PrefectFuture[Any]) -> None:
        nonlocal left
        with lock:
            left -= 1
            if not left:
                all_done.set()

    with kept_current(artifact, asked.look):
        for future in futures:
            future.add_done_callback(one_done)
        if futures:
            all_done.wait()


@contextmanager
def kept_current(
    artifact: UpdatedArtifact, look: Callable[[SyncPrefectClient], object] = lambda _: None
) -> Iterator[None]:
    """Keep an artifact up to date while the context lasts, in a thread of its own, and once at its end;
    and ``look`` for what is asked of the flow run.
    """
    ended = threading.Event()

    def update() -> None:
        with get_client(sync_client=True) as client:
            while not ended.wait(PROGRESS_SECONDS):
                look(client)
                artifact.update(client)
            artifact.update(client, is_last=True)

    # Prefect finds the flow run that an artifact belongs to in the context.
    updating = threading.Thread(
        target=copy_context().run, args=(update,), name="artifact", daemon=True
    )
    updating.start()
    try:
        yield
    finally:
        ended.set()
        updating.join(LAST_UPDATE_SECONDS)


def _settle(futures: Futures) -> list[BaseException]:
    """Wait for every task to end; returns what went wrong, causes before consequences."""
    faults: list[BaseException] = []
    consequences: list[BaseException] = []
    for future in futures:
        future.wait()
        state = future.state
        if state.is_completed():
            continue
        if state.name == "NotReady":
            consequences.append(PacoreError(f"not started: {state.message}"))
            continue
        fault = state.result(raise_on_failure=False)
        cause = fault if isinstance(fault, BaseException) else PacoreError(str(state.message))
        (consequences if isinstance(cause, Interrupted) else faults).append(cause)
    return [*faults, *consequences]


def _partial_failure(faults: Sequence[BaseException], tasks: int) -> State[Any]:
    """The state of a flow some of whose tasks did not complete, with the first fault that says why.

    ``faults`` as `_settle` returns them: causes before consequences.
    """
    first = faults[0]
    said = str(first) if isinstance(first, PacoreError) else f"{type(first).__name__}: {first}"
    if isinstance(first, BudgetSpent):
        return Failed(name=INCOMPLETE, message=said, data=first)
    message = f"{len(faults)} of {tasks} tasks did not complete; first: {said}"
    return Failed(name="PartialFailure", message=message, data=first)
