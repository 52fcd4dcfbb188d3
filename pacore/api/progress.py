"""Progress on stderr while something works, and flows run with it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from pacore.errors import PacoreError
from pacore.interruption import raise_if_interrupted
from pacore.report.rendering.terminal import live_bar
from pacore.runs.dispatch.progress import FIRST_SECONDS, FIRST_WAIT_SECONDS, Pace, Progress
from pacore.text import visible

if TYPE_CHECKING:  # what makes runs is imported where runs are made
    from pacore.runs.work import Work

WHOLE = ("Completed", "CompletedWithFailures")
"""Names of the states of a flow that came to its end."""

LOOK_SECONDS = 1.0
"""Between two looks at whether there is a line of progress to say."""


def tell(notice: str) -> None:
    """Show a notice. A live bar makes room for what is written to `sys.stderr`, which it replaces."""
    sys.stderr.write(f"pacore: {notice}\n")
    sys.stderr.flush()


@contextmanager
def live_progress(progress: Progress) -> Iterator[None]:
    """Show a run's progress on stderr for as long as the context lasts."""
    named = _named(progress)
    with live_bar(
        lambda: progress.settled / max(progress.planned, 1), lambda: f"{named}{progress.line()}"
    ):
        yield


@contextmanager
def progress_shown(progress: Progress) -> Iterator[None]:
    """Show progress: a live bar on a terminal, a line now and then elsewhere; each names the run."""
    if sys.stderr.isatty():
        with live_progress(progress):
            yield
        return
    named = _named(progress)
    with spoken(progress, named):
        yield
    sys.stderr.write(f"{named}{progress.line()}\n")
    sys.stderr.flush()


@contextmanager
def run_shown(work: Work) -> Iterator[None]:
    """Show the notices and the progress of one of several runs that a flow makes; nothing of a run that
    has nothing left to do.
    """
    if not work.left:
        yield
        return
    for notice in work.progress.notices:
        tell(notice)
    work.progress.listener = tell
    with progress_shown(work.progress):
        yield


def _named(progress: Progress) -> str:
    """What lines of progress begin with; empty of work that is on no single run."""
    return f"run {progress.run}: " if progress.run else ""


class Spoken(Protocol):
    """What can be said of some work: a line, and what a further line would show."""

    @property
    def stage(self) -> object: ...

    def line(self) -> str: ...


@contextmanager
def spoken(work: Spoken, name: str = "", first_seconds: float = FIRST_SECONDS) -> Iterator[None]:
    """Say lines of progress on stderr while the context lasts, each after ``name``, at a pace that
    slows down.
    """
    ended = threading.Event()
    pace = Pace(time.monotonic(), first_seconds)

    def speak() -> None:
        while not ended.wait(LOOK_SECONDS):
            if pace.is_due(work.stage, time.monotonic()):
                sys.stderr.write(f"{name}{work.line()}\n")
                sys.stderr.flush()

    speaker = threading.Thread(target=speak, name="progress", daemon=True)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()


class Wait:
    """Something that takes its time: what is done now, and for how many seconds."""

    def __init__(self, doing: str) -> None:
        self.do(doing)

    def do(self, doing: str) -> None:
        """Set what is done from now on."""
        self._doing, self._since = visible(doing), time.monotonic()

    @property
    def stage(self) -> object:
        return self._doing

    def line(self) -> str:
        return f"pacore: {self._doing}, {time.monotonic() - self._since:.0f} s so far"


@contextmanager
def waiting(doing: str = "starting") -> Iterator[Callable[[str], None]]:
    """Say on stderr what is done while the context lasts, and for how long, once that takes seconds.

    Yields a function to call with what is done from then on.
    """
    wait = Wait(doing)
    with spoken(wait, first_seconds=FIRST_WAIT_SECONDS):
        yield wait.do


def run_flow(
    flow: Callable[..., Any],
    config: object,
    name: str,
    progress: Progress | None = None,
    tasks: int | None = None,
) -> Any:
    """Run a flow against the configured or the local Prefect server, and show how it proceeds.

    ``name`` is what the flow works on, in the words of the notices. With ``tasks``, the number of its
    task runs, this waits until the server has recorded them all.

    Returns the state the flow ended in: Completed, CompletedWithFailures or Cancelled. Raises what
    it ended with where it did not complete: its PacoreError, or one that names the flow run's page.
    """
    tell(f"{name}: finding a Prefect server, or starting one")
    if progress is not None:
        progress.listener = tell
        progress.wait_for("a Prefect server", "flow")
    with nullcontext() if progress is None else progress_shown(progress), ExitStack() as stack:
        with waiting("waiting for a Prefect server") if progress is None else nullcontext():
            # Prefect takes a second to import, which commands that run no flow need not wait for.
            from tasks.server import connected, wait_for_records

            api = stack.enter_context(connected(lambda notice: tell(f"{name}: {notice}")))
        if progress is not None:
            progress.wait_for(None, "flow")
        address = api.removesuffix("/api")
        tell(f"{name}: watch it at {address}")
        raise_if_interrupted()
        state = flow(config, return_state=True)
        flow_run_id, is_whole = state.state_details.flow_run_id, state.name in WHOLE
        if is_whole and tasks and flow_run_id and not wait_for_records(flow_run_id, tasks):
            tell(f"{name}: the Prefect server is still recording its tasks")
    if is_whole or state.name == "Cancelled":
        return state
    fault = state.result(raise_on_failure=False)
    if isinstance(fault, PacoreError):
        raise fault
    raise PacoreError(f"{name} stopped: {state.message}; see {address}")
