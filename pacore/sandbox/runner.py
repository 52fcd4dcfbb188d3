"""Runs programs in sandboxes, which are reused from program to program and replaced when one fails."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple, Self, TypeVar

from pacore.core.grading.programs.results import CaseOutcome
from pacore.core.grading.programs.tests import CodeTests
from pacore.core.grading.verdict import CRASH, TIMEOUT, Verdict
from pacore.sandbox.inside.world import OUT_OF_MEMORY
from pacore.sandbox.pipes import sealed
from pacore.sandbox.process import (
    ExitStatus,
    Job,
    Mode,
    Process,
    ProcessLimits,
    ProcessResult,
    Sandbox,
    SandboxFailed,
    SandboxTimeout,
)
from pacore.text import excerpt, visible

_EXCERPT_CHARACTERS = 160

WALL_TIME_FACTOR = 10
"""Wall-clock limit of a test as a multiple of its CPU limit, for busy machines."""

WALL_TIME_EXTRA_SECONDS = 10.0
"""Added to that limit. A process that uses no CPU is ended much earlier, by its host."""


class Limits(NamedTuple):
    """Limits of a program on one test, where the tests have none: CPU seconds, memory, output.

    ``timeouts``: the number of tests on which a program may time out before the limit of the others
    is reduced (`pacore.sandbox.programs.run_tests`). ``start_seconds``: longest start of a sandbox.
    """

    time_seconds: float = 6.0
    memory_bytes: int = 2**30
    output_bytes: int = 2**22
    timeouts: int = 1
    start_seconds: float = 60.0

    def of(self, tests: CodeTests) -> Limits:
        """These limits, replaced by those that the tests have."""
        return self._replace(
            time_seconds=tests.time_limit_seconds or self.time_seconds,
            memory_bytes=tests.memory_limit_bytes or self.memory_bytes,
        )


class GraderFault(Exception):
    """A program cannot be graded for a reason outside of it; ``verdict`` has the reason."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        self.verdict = verdict._replace(detail=one_line(reason))
        super().__init__(self.verdict.detail)


class Cancelled(Exception):
    """The grading of a program was cancelled."""


class TestOutcomes(NamedTuple):
    """The outcomes of some tests; ``is_for_all``: the last is that of all remaining tests too."""

    outcomes: list[CaseOutcome]
    is_for_all: bool = False


class Sandboxes:
    """The idle sandboxes of this process, kept for the next program while any thread grades.

    A context manager that each grading enters; when the last one exits, all sandboxes are ended.
    Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._idle: list[Sandbox] = []

    def __enter__(self) -> Self:
        with self._lock:
            self._users += 1
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._users -= 1
            ended = [] if self._users else self._idle
            if ended:
                self._idle = []
        for sandbox in ended:
            sandbox.__exit__(None, None, None)

    @contextmanager
    def acquire(self, start_seconds: float, *, is_new: bool = False) -> Iterator[Sandbox]:
        """A sandbox for one process, a new one if ``is_new`` or none is idle.

        Raises SandboxFailed where none starts within ``start_seconds``.
        """
        sandbox = None if is_new else self._take()
        is_usable = False
        try:
            if sandbox is None:
                sandbox = Sandbox().__enter__()
                sandbox.await_ready(start_seconds)
            yield sandbox
            is_usable = True
        finally:
            if sandbox is not None:
                self._release(sandbox, is_usable)

    def _take(self) -> Sandbox | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _release(self, sandbox: Sandbox, is_usable: bool) -> None:
        with self._lock:
            is_kept = is_usable and self._users > 0
            if is_kept:
                self._idle.append(sandbox)
        if not is_kept:
            sandbox.__exit__(None, None, None)


SANDBOXES = Sandboxes()
"""The sandboxes of this process."""


class Runner:
    """Runs processes of one program, each in any idle sandbox."""

    def __init__(self, mode: Mode, program: bytes, limits: Limits, output_bytes: int = 0) -> None:
        self._mode = mode
        self._file = sealed("program", program)
        self._limits = limits
        self._output_bytes = max(limits.output_bytes, output_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def run(self, stdin: bytes, cpu_seconds: float) -> ProcessResult:
        """Run one test in a process with the standard input ``stdin``.

        Raises GraderFault where the sandbox fails twice.
        """
        limits = ProcessLimits(cpu_seconds, self._limits.memory_bytes, self._output_bytes)

        def once(is_new: bool) -> ProcessResult:
            with SANDBOXES.acquire(self._limits.start_seconds, is_new=is_new) as sandbox:
                file = sealed("stdin", stdin)
                try:
                    process = Process(sandbox, Job(self._mode, self._file, file, limits))
                finally:
                    os.close(file)
                with closing(process):
                    return process.run(wall_seconds(cpu_seconds))

        return with_one_retry(once)


def wall_seconds(cpu_seconds: float) -> float:
    """Wall-clock limit of a test with a limit of ``cpu_seconds``."""
    return WALL_TIME_FACTOR * cpu_seconds + WALL_TIME_EXTRA_SECONDS


_Result = TypeVar("_Result")


def with_one_retry(attempt: Callable[[bool], _Result]) -> _Result:
    """The result of ``attempt(False)``, or of ``attempt(True)``, in a new sandbox, where its sandbox
    fails, since the program need not be the cause.

    Raises GraderFault where the second sandbox fails too.
    """
    try:
        return attempt(False)
    except SandboxFailed:
        pass
    try:
        return attempt(True)
    except SandboxFailed as fault:
        verdict = TIMEOUT if isinstance(fault, SandboxTimeout) else CRASH
        raise GraderFault(verdict, f"the sandbox failed twice: {fault}") from fault


def failure(result: ProcessResult, time_seconds: float) -> CaseOutcome | None:
    """The outcome of a process that failed; None for one that ended with exit code 0."""
    ended = result.ended
    if not isinstance(ended, ExitStatus):
        return CaseOutcome(ended)
    if ended.signal == signal.SIGXCPU or ended.cpu_seconds > time_seconds:
        return CaseOutcome("timeout", seconds=ended.cpu_seconds)
    if ended.exit_code == OUT_OF_MEMORY:
        return CaseOutcome("memory", seconds=ended.cpu_seconds)
    if ended.signal:
        reason = f"killed by {_signal_name(ended.signal)}"
    elif ended.exit_code:
        reason = one_line(result.last_line) or f"exit code {ended.exit_code}"
    else:
        return None
    return CaseOutcome("runtime_error", seconds=ended.cpu_seconds, excerpt=reason)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals between the first and the last have no names
        return f"signal {number}"


def one_line(text: str) -> str:
    """A program's output as one short line of visible characters."""
    return visible(excerpt(text, _EXCERPT_CHARACTERS))
