"""Waiting for the tasks of a flow: progress meanwhile, and afterwards what went wrong or stopped them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Failed

from pacore.errors import BudgetSpent, Exit, Interrupted, PacoreError
from tasks.artifacts import ProgressArtifact

PROGRESS_SECONDS = 2.0

LAST_UPDATE_SECONDS = 30.0
"""How long a flow waits at its end for the last update of its artifact."""

INCOMPLETE = "Incomplete: budget"
"""The state of a flow whose budget was spent before it was complete."""

REFUSED = "Refused"
"""Name of the state of a flow that was asked for what cannot be done; nothing was written."""

Futures = Sequence[PrefectFuture[Any]]


def finish(
    futures: Futures, artifact: ProgressArtifact, stop: Callable[[], None], interrupted: str
) -> State[Any] | None:
    """Wait for all tasks of a flow, showing progress; the state to end in where not all completed.

    On an interruption ``stop`` ends the work of the tasks, and ``interrupted`` is the message of the
    state. Raises TerminationSignal, which Prefect has for SIGTERM, once every task has ended.
    """
    try:
        _wait_for_all(futures, artifact)
    except (KeyboardInterrupt, TerminationSignal) as signal:
        stop()
        _settle(futures)
        if isinstance(signal, TerminationSignal):
            raise
        return Cancelled(message=interrupted)
    faults = _settle(futures)
    return _partial_failure(faults, len(futures)) if faults else None


def ended_by(fault: PacoreError) -> State[Any]:
    """The state of a flow or task that cannot do what it was asked for: its message is the reason.

    To raise it would have Prefect log a traceback, in which the reason is the last of fifty lines.
    """
    name = REFUSED if fault.exit_code == Exit.REFUSED else None
    if isinstance(fault, BudgetSpent):
        name = INCOMPLETE
    return Failed(name=name, message=str(fault), data=fault)


def _wait_for_all(futures: Futures, artifact: ProgressArtifact) -> None:
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

    with _updated(artifact):
        for future in futures:
            future.add_done_callback(one_done)
        if futures:
            all_done.wait()


@contextmanager
def _updated(artifact: ProgressArtifact) -> Iterator[None]:
    """Keep an artifact up to date while the context lasts, in a thread of its own, and once at its end."""
    ended = threading.Event()

    def update() -> None:
        while not ended.wait(PROGRESS_SECONDS):
            artifact.update()
        artifact.update()

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
