"""One sandbox: its processes, its pipes, and how the tests in it end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import cache
from typing import Literal, NamedTuple, Self

from pacore.programs.bubblewrap import (
    ENVIRONMENT,
    INSIDE,
    MODULES,
    NoSandbox,
    command,
    find_interpreter,
    prefix,
)
from pacore.programs.inside.host import READY, UNCONFINED, framed
from pacore.programs.pipes import Inflow, Outflow, drive

CLOSE_SECONDS = 30.0
"""How long a killed sandbox may take to be gone."""
PROOF_SECONDS = 60.0
"""How long the first sandbox may take, on a machine that is busy with something else."""

Mode = Literal["script", "function", "calls", "assertions"]
Stop = Literal["timeout", "output_limit"]


class Room(NamedTuple):
    """What a process in a sandbox may use: seconds of CPU, bytes of memory, bytes of output."""

    cpu_seconds: float
    memory_bytes: int
    output_bytes: int


class Ending(NamedTuple):
    """How a process ended: its exit code, or the signal it died of, and its seconds of CPU."""

    exit_code: int
    signal: int
    cpu_seconds: float


class SandboxLost(Exception):
    """A sandbox does not start, or is gone though nobody ended it; ``str()`` is its last line."""


class SandboxSlow(SandboxLost):
    """A sandbox is not ready after the time it has for that."""


class Sandbox:
    """A sandbox with one program, in which one process at a time takes one test.

    It is started by entering it and gone when it is left, with everything that ran inside. The
    thread that enters it must outlive it: bubblewrap ends with that thread.
    """

    def __init__(self, mode: Mode, program: bytes, room: Room) -> None:
        self._mode: Mode = mode
        self._program = program
        self._room = room
        self.ending: Ending | None = None

    def __enter__(self) -> Self:
        ours: list[int] = []
        theirs: list[int] = []
        try:
            self._start(ours, theirs)
        except BaseException:
            _close(ours)
            raise
        finally:
            _close(theirs)
        self._descriptors = ours
        self.blobs.add(framed(self._program))
        return self

    def _start(self, ours: list[int], theirs: list[int]) -> None:
        """Make the pipes, adding their ends to the two lists, and start bubblewrap on them."""

        def inward(most_bytes: int, *, tail: bool = False) -> tuple[int, Inflow]:
            out, into = os.pipe()
            ours.append(out)
            theirs.append(into)
            return into, Inflow(out, most_bytes, tail=tail)

        def outward() -> tuple[int, Outflow]:
            out, into = os.pipe()
            ours.append(into)
            theirs.append(out)
            return out, Outflow(into)

        room = self._room
        blobs, self.blobs = outward()
        lines, self.lines = inward(sys.maxsize)
        results, self.results = inward(room.output_bytes)
        calls, self.calls = outward()
        output, self.output = inward(room.output_bytes)
        errors, self.errors = inward(room.output_bytes, tail=True)
        modules = {}
        for name in MODULES:
            modules[name] = os.memfd_create(name)
            theirs.append(modules[name])
            os.write(modules[name], _source(name))
            os.lseek(modules[name], 0, os.SEEK_SET)
        pipes = (blobs, lines, results, calls)
        arguments = [self._mode, str(room.memory_bytes), str(room.cpu_seconds), *map(str, pipes)]
        self._process = subprocess.Popen(
            command(find_interpreter(), modules, arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=(*pipes, *modules.values()),
            env=ENVIRONMENT,
            cwd="/",
            # Ctrl-C is for pacore, which ends its sandboxes itself.
            start_new_session=True,
        )

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        # bubblewrap is gone; the end of this pipe says that its process 1 is, and so all inside.
        drive([self.lines], [], lambda: not self.lines.is_open, time.monotonic() + CLOSE_SECONDS)
        _close(self._descriptors)

    @property
    def inflows(self) -> list[Inflow]:
        return [self.lines, self.results, self.output, self.errors]

    @property
    def outflows(self) -> list[Outflow]:
        return [self.blobs, self.calls]

    def await_ready(self, seconds: float) -> None:
        """Wait for process 1. Raises SandboxLost, or SandboxSlow once ``seconds`` have passed."""
        said: list[bytes] = []

        def has_spoken() -> bool:
            said.extend(filter(None, [self.lines.take_line()]))
            return bool(said) or not self.lines.is_open

        deadline = time.monotonic() + seconds
        if drive(self.inflows, self.outflows, has_spoken, deadline) != "done":
            raise SandboxSlow(f"it was not ready after {seconds:g} s")
        if said != [READY]:
            raise SandboxLost(self.last_words())

    def begin(self, given: bytes) -> None:
        """Let a process take the test that ``given`` is."""
        self.ending = None
        for flow in (self.output, self.errors, self.results):
            flow.clear()
        self.blobs.add(framed(given))

    def has_ended(self) -> bool:
        """Whether the process of the test has; ``ending`` says how. Raises SandboxLost."""
        if self.ending is None and (line := self.lines.take_line()):
            if line == UNCONFINED:
                raise NoSandbox(
                    "the kernel takes no system call filter (seccomp), or this user may have less "
                    "memory or time than a program (ulimit -H -a)"
                )
            exit_code, signal, cpu_seconds = line.split()
            self.ending = Ending(int(exit_code), int(signal), float(cpu_seconds))
        if self.ending is None and not self.lines.is_open:
            raise SandboxLost(self.last_words())
        return self.ending is not None

    def run(self, given: bytes, seconds: float) -> Ending | Stop:
        """Let a process take a test, for so long at most. After a Stop the sandbox is of no more use."""
        self.begin(given)
        deadline = time.monotonic() + seconds
        stop = drive(self.inflows, self.outflows, self.has_ended, deadline)
        if stop != "done":
            return stop
        assert self.ending is not None
        return self.ending

    def last_words(self) -> str:
        """The last line on standard error; empty without one."""
        lines = self.errors.kept.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def require_sandbox() -> None:
    """Raise NoSandbox, which says what to do, unless this machine can confine a program."""
    _prove(tuple(prefix()))


@cache
def _prove(_: tuple[str, ...]) -> None:
    """Run one harmless program; once for every way of starting a sandbox."""
    try:
        with Sandbox("script", b"print('fine')", Room(10.0, 2**28, 2**16)) as sandbox:
            sandbox.await_ready(PROOF_SECONDS)
            ending = sandbox.run(b"", PROOF_SECONDS)
            if (
                isinstance(ending, Ending)
                and ending[:2] == (0, 0)
                and sandbox.output.kept == b"fine\n"
            ):
                return
            said = f"a harmless program does not run: {sandbox.last_words() or ending}"
    except SandboxLost as fault:
        said = f"bubblewrap does not start: {fault}"
        if str(fault).startswith("bwrap: "):
            said += "; users need to be allowed user namespaces"
    raise NoSandbox(said)


@cache
def _source(name: str) -> bytes:
    return (INSIDE / name).read_bytes()


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())
