"""Keeps sandboxes from program to program: made when needed, and anew after each that broke."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple, Self, TypeVar

from pacore.core.grading.programs.results import Outcome
from pacore.core.grading.programs.tests import CodeTests
from pacore.core.grading.verdict import CRASH, TIMEOUT, Verdict
from pacore.sandbox.box import (
    Ending,
    Job,
    Mode,
    Process,
    Reply,
    Room,
    Sandbox,
    SandboxLost,
    SandboxSlow,
)
from pacore.sandbox.inside.world import OUT_OF_MEMORY
from pacore.sandbox.pipes import sealed
from pacore.text import excerpt, visible

EXCERPT_CHARACTERS = 160

TIMES_OF_WAITING = 10
"""A test may last so many times its limit of CPU by the clock, on a machine that is busy."""


WAITING_SECONDS = 10.0
"""And so much longer. One that does nothing is ended much earlier, by its host."""


class Limits(NamedTuple):
    """What a program may use on one test, where its tests do not say: CPU, memory, output.

    ``timeouts``: on how many tests a program may run out of time before the others have to be quick
    (`pacore.sandbox.programs.run_tests`). ``start_seconds``: how long a sandbox may take to be ready.
    """

    time_seconds: float = 6.0
    memory_bytes: int = 2**30
    output_bytes: int = 2**22
    timeouts: int = 1
    start_seconds: float = 60.0

    def of(self, tests: CodeTests) -> Limits:
        """These limits with those that the tests have themselves."""
        return self._replace(
            time_seconds=tests.time_limit_seconds or self.time_seconds,
            memory_bytes=tests.memory_limit_bytes or self.memory_bytes,
        )


class GraderFault(Exception):
    """Nothing is known of a program, through no fault of its own: ``verdict`` says so, and why."""

    def __init__(self, verdict: Verdict, said: str) -> None:
        self.verdict = verdict._replace(detail=one_line(said))
        super().__init__(self.verdict.detail)


class Cancelled(Exception):
    """Nobody wants to know any more what came of a program."""


class Found(NamedTuple):
    """What came of some tests; ``is_of_all`` where the same comes of all others too."""

    outcomes: list[Outcome]
    is_of_all: bool = False


class Sandboxes:
    """Sandboxes of this process, kept for the next program while anybody grades.

    Whoever grades enters it; the last one who leaves it ends them all. Threads may share it.
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
    def lent(self, start_seconds: float, *, is_new: bool = False) -> Iterator[Sandbox]:
        """A sandbox for one process. Raises SandboxLost where none starts in ``start_seconds``."""
        sandbox = None if is_new else self._take()
        is_well = False
        try:
            if sandbox is None:
                sandbox = Sandbox().__enter__()
                sandbox.await_ready(start_seconds)
            yield sandbox
            is_well = True
        finally:
            if sandbox is not None:
                self._give_back(sandbox, is_well)

    def _take(self) -> Sandbox | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, sandbox: Sandbox, is_well: bool) -> None:
        with self._lock:
            is_kept = is_well and self._users > 0
            if is_kept:
                self._idle.append(sandbox)
        if not is_kept:
            sandbox.__exit__(None, None, None)


SANDBOXES = Sandboxes()
"""The one set of this process."""


class Runner:
    """Runs processes of one program, each in whatever sandbox is free."""

    def __init__(self, mode: Mode, program: bytes, limits: Limits, output_bytes: int = 0) -> None:
        self._mode = mode
        self._file = sealed("program", program)
        self._limits = limits
        self._output_bytes = max(limits.output_bytes, output_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def run(self, given: bytes, cpu_seconds: float) -> Reply:
        """Let a process take one test. Raises GraderFault where the sandbox breaks twice."""
        room = Room(cpu_seconds, self._limits.memory_bytes, self._output_bytes)

        def once(is_new: bool) -> Reply:
            with SANDBOXES.lent(self._limits.start_seconds, is_new=is_new) as sandbox:
                file = sealed("given", given)
                try:
                    process = Process(sandbox, Job(self._mode, self._file, file, room))
                finally:
                    os.close(file)
                with closing(process):
                    return process.run(wall_seconds(cpu_seconds))

        return twice(once)


def wall_seconds(cpu_seconds: float) -> float:
    """How long by the clock a test may last that has so much CPU."""
    return TIMES_OF_WAITING * cpu_seconds + WAITING_SECONDS


_Found = TypeVar("_Found")


def twice(attempt: Callable[[bool], _Found]) -> _Found:
    """Try again, in a new sandbox, what loses its sandbox: that need not be the program's fault."""
    try:
        return attempt(False)
    except SandboxLost:
        pass
    try:
        return attempt(True)
    except SandboxLost as fault:
        verdict = TIMEOUT if isinstance(fault, SandboxSlow) else CRASH
        raise GraderFault(verdict, f"the sandbox broke twice: {fault}") from fault


def failure(reply: Reply, time_seconds: float) -> Outcome | None:
    """What a process came to that did not end well, None for one that did."""
    ended = reply.ended
    if not isinstance(ended, Ending):
        return Outcome(ended)
    if ended.signal == signal.SIGXCPU or ended.cpu_seconds > time_seconds:
        return Outcome("timeout", seconds=ended.cpu_seconds)
    if ended.exit_code == OUT_OF_MEMORY:
        return Outcome("memory", seconds=ended.cpu_seconds)
    if ended.signal:
        said = f"killed by {_name_of(ended.signal)}"
    elif ended.exit_code:
        said = one_line(reply.last_words) or f"exit code {ended.exit_code}"
    else:
        return None
    return Outcome("runtime_error", seconds=ended.cpu_seconds, excerpt=said)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals between the first and the last have no names
        return f"signal {number}"


def one_line(said: str) -> str:
    """A program's words as a line that can do nothing but be read."""
    return visible(excerpt(said, EXCERPT_CHARACTERS))
