"""A sandbox, which has one process after another, and a process in one: its pipes and its ending."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Literal, NamedTuple, Self

from pacore.sandbox.bubblewrap import (
    ENVIRONMENT,
    INSIDE,
    MODULES,
    NoSandbox,
    command,
    find_interpreter,
    prefix,
)
from pacore.sandbox.inside.host import KILL, LAP, READY, UNCONFINED
from pacore.sandbox.pipes import Inflow, Source, drive, sealed

CLOSE_SECONDS = 30.0
"""How long a killed sandbox may take to be gone."""


PROOF_SECONDS = 60.0
"""How long the first sandbox may take, on a machine that is busy with something else."""

Mode = Literal["script", "function", "calls", "assertions"]


Stop = Literal["timeout", "output_limit"]

_STARTER = ThreadPoolExecutor(1, "sandbox")
"""bubblewrap ends with the thread that starts it, so that one starts it that outlives all others."""


class Room(NamedTuple):
    """What a process in a sandbox may use: seconds of CPU, bytes of memory, bytes of output."""

    cpu_seconds: float
    memory_bytes: int
    output_bytes: int


class Job(NamedTuple):
    """What a process is started with: files with its program and its standard input, and a room.

    It has the room's seconds of CPU for each of at most ``laps`` laps.
    """

    mode: Mode
    program: int
    given: int
    room: Room
    laps: int = 1


class Ending(NamedTuple):
    """How a process ended: its exit code, or the signal it died of, and seconds of CPU by lap."""

    exit_code: int
    signal: int
    laps: tuple[float, ...]

    @property
    def cpu_seconds(self) -> float:
        """Of its last lap."""
        return self.laps[-1]


class SandboxLost(Exception):
    """A sandbox does not start, or is gone though nobody ended it; ``str()`` is its last line."""


class SandboxSlow(SandboxLost):
    """A sandbox is not ready, or does not end a process, after the time it has for that."""


class Sandbox:
    """Name spaces with a Python and nothing else, in which one process at a time runs.

    They are made by entering it and gone when it is left, with everything inside.
    """

    def __enter__(self) -> Self:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, into = os.pipe()
        modules: dict[str, int] = {}
        try:
            for name in MODULES:
                modules[name] = sealed(name, _source(name))
            line = command(find_interpreter(), modules, theirs.fileno())
            passed = (theirs.fileno(), *modules.values())
            self._process = _STARTER.submit(_started, line, into, passed).result()
        except BaseException:
            self._control.close()
            os.close(out)
            raise
        finally:
            theirs.close()
            for descriptor in (into, *modules.values()):
                os.close(descriptor)
        self._control.setblocking(False)
        self._errors = Inflow(out, sys.maxsize, tail=True)
        self.descriptor = self._control.fileno()
        self.is_open = True
        self.is_overfull = False
        self._replies: list[Any] = []
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        # bubblewrap is gone; the end of replies says that its process 1 is, and so all inside.
        deadline = time.monotonic() + CLOSE_SECONDS
        drive([self], lambda: not self.is_open, lambda: deadline)
        self._control.close()
        os.close(self._errors.descriptor)

    def await_ready(self, seconds: float) -> None:
        """Wait for process 1. Raises SandboxLost, or SandboxSlow once ``seconds`` have passed."""
        deadline = time.monotonic() + seconds
        sources: list[Source] = [self, self._errors]
        if (
            drive(sources, lambda: bool(self._replies) or not self.is_open, lambda: deadline)
            != "done"
        ):
            raise SandboxSlow(f"it was not ready after {seconds:g} s")
        if self._reply() != READY:
            raise SandboxLost(self._last_words())

    def start(self, job: Job, descriptors: Sequence[int]) -> None:
        """Start a process with ``descriptors`` as its 1, 2 and so on. Raises SandboxLost."""
        said = [job.mode, job.room.memory_bytes, job.room.cpu_seconds, job.laps]
        descriptors = [job.program, job.given, *descriptors]
        try:
            socket.send_fds(self._control, [json.dumps(said).encode()], descriptors)
        except OSError as fault:
            raise SandboxLost(self._last_words() or str(fault)) from fault

    def say(self, word: str) -> None:
        """Tell process 1 something of the process that runs. Raises SandboxLost."""
        try:
            self._control.send(json.dumps(word).encode())
        except OSError as fault:
            raise SandboxLost(self._last_words() or str(fault)) from fault

    def move(self) -> None:
        """Take the replies that there are."""
        while self.is_open:
            try:
                said = self._control.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            self.is_open = bool(said)
            if said:
                self._replies.append(json.loads(said))

    def ending(self) -> Ending | None:
        """How the process ended, once, None while it has not. Raises SandboxLost."""
        if not self._replies:
            if not self.is_open:
                raise SandboxLost(self._last_words())
            return None
        said = self._reply()
        if said == UNCONFINED:
            raise NoSandbox(
                "the kernel takes no system call filter (seccomp), or this user may have less "
                "memory or time than a program (ulimit -H -a)"
            )
        exit_code, signal, laps = said
        return Ending(exit_code, signal, tuple(laps))

    def _reply(self) -> Any:
        return self._replies.pop(0) if self._replies else None

    def _last_words(self) -> str:
        self._errors.move()
        return self._errors.last_words()


class Reply(NamedTuple):
    """What came of one process: how it ended or was stopped, and what it put out."""

    ended: Ending | Stop
    output: bytes
    result: bytes
    last_words: str

    @property
    def exit_code(self) -> int | None:
        """0 for a process that died of a signal, None for one that was stopped."""
        return self.ended.exit_code if isinstance(self.ended, Ending) else None

    @property
    def cpu_seconds(self) -> float:
        """Of its last lap; 0.0 of one that was stopped."""
        return self.ended.cpu_seconds if isinstance(self.ended, Ending) else 0.0


class Process:
    """One process in a sandbox, with pipes of its own; the sandbox has no other until it is closed."""

    def __init__(self, sandbox: Sandbox, job: Job, between: Sequence[int] = ()) -> None:
        """Start it. ``between`` become its descriptors from 3 on; after them comes the one that takes
        its results. Raises SandboxLost."""
        self.sandbox = sandbox
        self.ending: Ending | None = None
        pipes = [os.pipe() for _ in range(3)]
        into = [end for _, end in pipes]
        self._ends = [end for end, _ in pipes]
        most_bytes = job.room.output_bytes
        self.output = Inflow(self._ends[0], most_bytes)
        self.errors = Inflow(self._ends[1], most_bytes, tail=True)
        self.results = Inflow(self._ends[2], most_bytes)
        try:
            sandbox.start(job, [into[0], into[1], *between, into[2]])
        except BaseException:
            self._close()
            raise
        finally:
            for end in into:
                os.close(end)

    @property
    def sources(self) -> list[Source]:
        return [self.sandbox, self.output, self.errors, self.results]

    def has_ended(self) -> bool:
        """Whether it has; ``ending`` says how. Raises SandboxLost."""
        if self.ending is None:
            self.ending = self.sandbox.ending()
        return self.ending is not None

    def lap(self) -> None:
        """Give it its time, and room for its output, anew."""
        if self.ending is None:
            self.output.clear()
            self.errors.clear()
            self.sandbox.say(LAP)

    def run(self, seconds: float) -> Reply:
        """Wait for its end, for so long at most."""
        deadline = time.monotonic() + seconds
        return self.reply(drive(self.sources, self.has_ended, lambda: deadline))

    def reply(self, stop: Literal["done"] | Stop) -> Reply:
        """What came of it; ``stop`` is what the waiting ended with."""
        ended = self.ending if stop == "done" else stop
        assert ended is not None
        words = self.errors.last_words()
        return Reply(ended, bytes(self.output.kept), bytes(self.results.kept), words)

    def close(self) -> None:
        """End it, if it has not ended. Raises SandboxLost where that cannot be."""
        try:
            if self.ending is None:
                self.sandbox.say(KILL)
                deadline = time.monotonic() + CLOSE_SECONDS
                if drive([self.sandbox], self.has_ended, lambda: deadline) != "done":
                    raise SandboxSlow(f"a process did not end within {CLOSE_SECONDS:g} s")
        finally:
            self._close()

    def _close(self) -> None:
        while self._ends:
            os.close(self._ends.pop())


def _started(line: list[str], into: int, passed: tuple[int, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        # A pipe each, as what runs inside finds; nothing is printed but what goes wrong.
        stdout=into,
        stderr=into,
        pass_fds=passed,
        env=ENVIRONMENT,
        cwd="/",
        # Ctrl-C is for pacore, which ends its sandboxes itself.
        start_new_session=True,
    )


def require_sandbox() -> None:
    """Raise NoSandbox, which says what to do, unless this machine can confine a program."""
    _prove(tuple(prefix()))


@cache
def _prove(_: tuple[str, ...]) -> None:
    """Run one harmless program; once for every way of starting a sandbox."""
    room = Room(10.0, 2**28, 2**16)
    program, given = sealed("program", b"print('fine')"), sealed("given", b"")
    try:
        with Sandbox() as sandbox:
            sandbox.await_ready(PROOF_SECONDS)
            process = Process(sandbox, Job("script", program, given, room))
            try:
                reply = process.run(PROOF_SECONDS)
            finally:
                process.close()
        if isinstance(reply.ended, Ending) and (reply.ended[:2], reply.output) == (
            (0, 0),
            b"fine\n",
        ):
            return
        said = f"a harmless program does not run: {reply.last_words or reply.ended}"
    except SandboxLost as fault:
        said = f"bubblewrap does not start: {fault}"
        if str(fault).startswith("bwrap: "):
            said += "; users need to be allowed user namespaces"
    finally:
        os.close(program)
        os.close(given)
    raise NoSandbox(said)


@cache
def _source(name: str) -> bytes:
    return (INSIDE / name).read_bytes()
