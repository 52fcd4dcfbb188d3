"""Keeps a program's sandbox through its tests: made when needed, and anew after each that broke."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import NamedTuple, Self, TypeVar

from pacore.grading.code_results import Outcome
from pacore.grading.code_tests import CodeTests
from pacore.grading.score import CRASH, TIMEOUT, Verdict
from pacore.programs.inside.host import OUT_OF_MEMORY
from pacore.programs.sandbox import (
    Ending,
    Mode,
    Room,
    Sandbox,
    SandboxLost,
    SandboxSlow,
    Stop,
)
from pacore.visible import excerpt, visible

EXCERPT_CHARACTERS = 160

TIMES_OF_WAITING = 10
"""A test may last so many times its limit of CPU by the clock, on a machine that is busy."""
WAITING_SECONDS = 10.0
"""And so much longer. One that does nothing is ended much earlier, by its host."""


class Limits(NamedTuple):
    """What a program may use on one test, where its tests do not say: CPU, memory, output.

    ``timeouts``: on how many tests a program may run out of time before the others are not run.
    ``start_seconds``: how long a sandbox may take to be ready.
    """

    time_seconds: float = 6.0
    memory_bytes: int = 2**30
    output_bytes: int = 2**22
    timeouts: int = 3
    start_seconds: float = 60.0

    def of(self, tests: CodeTests) -> Limits:
        """These limits with those that the tests have themselves."""
        return self._replace(
            time_seconds=tests.time_limit_seconds or self.time_seconds,
            memory_bytes=tests.memory_limit_bytes or self.memory_bytes,
        )

    @property
    def room(self) -> Room:
        return Room(self.time_seconds, self.memory_bytes, self.output_bytes)


class GraderFault(Exception):
    """Nothing is known of a program, through no fault of its own: ``verdict`` says so, and why."""

    def __init__(self, verdict: Verdict, said: str) -> None:
        self.verdict = verdict._replace(detail=one_line(said))
        super().__init__(self.verdict.detail)


_Found = TypeVar("_Found")


class Reply(NamedTuple):
    """What came of one process: how it ended or was stopped, and what it put out."""

    ended: Ending | Stop
    output: bytes
    result: bytes
    last_words: str


class Keeper:
    """A program's sandbox while it is entered; a new one after one that was stopped or lost."""

    def __init__(self, mode: Mode, program: bytes, room: Room, start_seconds: float) -> None:
        self._make: Callable[[], Sandbox] = lambda: Sandbox(mode, program, room)
        self._start_seconds = start_seconds
        self.wall_seconds = TIMES_OF_WAITING * room.cpu_seconds + WAITING_SECONDS
        self._kept: Sandbox | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.drop()

    def drop(self) -> None:
        """End the sandbox, if there is one."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.__exit__(None, None, None)

    def ready(self) -> Sandbox:
        """The sandbox. Raises SandboxLost where none starts."""
        if self._kept is None:
            sandbox = self._make().__enter__()
            self._kept = sandbox
            sandbox.await_ready(self._start_seconds)
        return self._kept

    def run(self, given: bytes) -> Reply:
        """Let a process take one test. Raises GraderFault where the sandbox breaks twice."""

        def once() -> Reply:
            sandbox = self.ready()
            ended = sandbox.run(given, self.wall_seconds)
            reply = reply_of(sandbox, ended)
            if not isinstance(ended, Ending):
                self.drop()
            return reply

        return twice(once, self.drop)


def twice(attempt: Callable[[], _Found], give_up: Callable[[], None]) -> _Found:
    """Try again, after ``give_up``, what loses its sandbox: that need not be the program's fault."""
    try:
        return attempt()
    except SandboxLost:
        give_up()
    try:
        return attempt()
    except SandboxLost as fault:
        give_up()
        verdict = TIMEOUT if isinstance(fault, SandboxSlow) else CRASH
        raise GraderFault(verdict, f"the sandbox broke twice: {fault}") from fault


def reply_of(sandbox: Sandbox, ended: Ending | Stop) -> Reply:
    return Reply(
        ended, bytes(sandbox.output.kept), bytes(sandbox.results.kept), sandbox.last_words()
    )


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
