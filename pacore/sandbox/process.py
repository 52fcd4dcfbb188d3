"""A sandbox, in which one process after another runs, and such a process with its pipes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from typing import Any, Literal, NamedTuple, Self

from pacore.sandbox.bubblewrap import (
    ENVIRONMENT,
    INSIDE,
    MODULES,
    NoSandbox,
    find_interpreter,
    prefix,
    sandbox_command,
)
from pacore.sandbox.inside.host import HOST_READY, KILL, LAP, UNCONFINED
from pacore.sandbox.pipes import PipeReader, PolledSource, poll_until, sealed

_CLOSE_SECONDS = 30.0
"""Longest time that a killed sandbox may take to end."""

_CHECK_SECONDS = 60.0
"""Longest time that the first sandbox may take, on a busy machine."""

Mode = Literal["script", "function", "calls", "assertions"]

Stop = Literal["timeout", "output_limit"]

_STARTER = ThreadPoolExecutor(1, "sandbox")
"""The thread that starts sandboxes: bubblewrap ends with the thread that started it."""


class ProcessLimits(NamedTuple):
    """Limits of a process in a sandbox: seconds of CPU, bytes of memory, bytes of output."""

    cpu_seconds: float
    memory_bytes: int
    output_bytes: int


class Job(NamedTuple):
    """The arguments of a process: descriptors of its program and its standard input, and limits.

    A process with several tests runs each in a lap of its own: it has ``limits.cpu_seconds`` for each
    of at most ``laps`` laps.
    """

    mode: Mode
    program: int
    stdin: int
    limits: ProcessLimits
    laps: int = 1


class ExitStatus(NamedTuple):
    """How a process ended: its exit code or the signal that killed it, and CPU seconds of each lap."""

    exit_code: int
    signal: int
    laps: tuple[float, ...]

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of the last lap."""
        return self.laps[-1]


class SandboxFailed(Exception):
    """A sandbox does not start, or has ended unexpectedly; ``str()`` is the last line it printed."""


class SandboxTimeout(SandboxFailed):
    """A sandbox did not become ready, or did not end a process, within the allowed time."""


class Sandbox:
    """Name spaces with a Python and nothing else, in which one process at a time runs.

    A context manager: the sandbox is started on entry, and killed on exit with all its processes.
    """

    def __enter__(self) -> Self:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, into = os.pipe()
        modules: dict[str, int] = {}
        try:
            for name in MODULES:
                modules[name] = sealed(name, _source(name))
            line = sandbox_command(find_interpreter(), modules, theirs.fileno())
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
        self._errors = PipeReader(out, sys.maxsize, tail=True)
        self.descriptor = self._control.fileno()
        self.is_open = True
        self.is_over_limit = False
        self._replies: list[Any] = []
        return self

    def __exit__(self, *exception: object) -> None:
        # Its group, too: a child of bubblewrap that still waits to be set up does not end with it.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # A process 1 that was about to start while bubblewrap was killed starts, and ends where it is told
        # that nothing will be asked of it.
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        # bubblewrap has ended; once the socket closes, so have process 1 and all processes inside.
        deadline = time.monotonic() + _CLOSE_SECONDS
        poll_until([self], lambda: not self.is_open, lambda: deadline)
        self._control.close()
        os.close(self._errors.descriptor)

    def await_ready(self, seconds: float) -> None:
        """Wait for process 1 to be ready. Raises SandboxFailed, or SandboxTimeout after ``seconds``."""
        deadline = time.monotonic() + seconds
        sources: list[PolledSource] = [self, self._errors]
        if (
            poll_until(sources, lambda: bool(self._replies) or not self.is_open, lambda: deadline)
            != "done"
        ):
            raise SandboxTimeout(f"it was not ready after {seconds:g} s")
        if self._reply() != HOST_READY:
            raise SandboxFailed(self._last_line())

    def start(self, job: Job, descriptors: Sequence[int]) -> None:
        """Start a process with ``descriptors`` as its 1, 2 and so on. Raises SandboxFailed."""
        arguments = [job.mode, job.limits.memory_bytes, job.limits.cpu_seconds, job.laps]
        descriptors = [job.program, job.stdin, *descriptors]
        try:
            socket.send_fds(self._control, [json.dumps(arguments).encode()], descriptors)
        except OSError as fault:
            raise SandboxFailed(self._last_line() or str(fault)) from fault

    def send(self, command: str) -> None:
        """Send a command about the running process to process 1. Raises SandboxFailed."""
        try:
            self._control.send(json.dumps(command).encode())
        except OSError as fault:
            raise SandboxFailed(self._last_line() or str(fault)) from fault

    def read_available(self) -> None:
        """Read all available replies."""
        while self.is_open:
            try:
                message = self._control.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            self.is_open = bool(message)
            if message:
                self._replies.append(json.loads(message))

    def exit_status(self) -> ExitStatus | None:
        """The exit status of the process, returned once; None while it runs. Raises SandboxFailed."""
        if not self._replies:
            if not self.is_open:
                raise SandboxFailed(self._last_line())
            return None
        reply = self._reply()
        if reply == UNCONFINED:
            raise NoSandbox(
                "the kernel does not accept system call filters (seccomp), or this user's limits of "
                "memory or time are below those of a program (ulimit -H -a)"
            )
        exit_code, signal, laps = reply
        return ExitStatus(exit_code, signal, tuple(laps))

    def _reply(self) -> Any:
        return self._replies.pop(0) if self._replies else None

    def _last_line(self) -> str:
        self._errors.read_available()
        return self._errors.last_line()


class ProcessResult(NamedTuple):
    """The result of one process: its exit status or why it was stopped, and its output."""

    ended: ExitStatus | Stop
    output: bytes
    return_value: bytes
    last_line: str

    @property
    def exit_code(self) -> int | None:
        """The exit code: 0 for a process killed by a signal, None for one that was stopped."""
        return self.ended.exit_code if isinstance(self.ended, ExitStatus) else None

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of the last lap; 0.0 for a process that was stopped."""
        return self.ended.cpu_seconds if isinstance(self.ended, ExitStatus) else 0.0


class Process:
    """One process in a sandbox, with pipes of its own; no other may run there until `close`."""

    def __init__(self, sandbox: Sandbox, job: Job, between: Sequence[int] = ()) -> None:
        """Start the process. ``between`` become its descriptors from 3 on, followed by the descriptor
        to which it writes its result. Raises SandboxFailed.
        """
        self.sandbox = sandbox
        self.exit_status: ExitStatus | None = None
        pipes = [os.pipe() for _ in range(3)]
        into = [end for _, end in pipes]
        self._ends = [end for end, _ in pipes]
        most_bytes = job.limits.output_bytes
        self.output = PipeReader(self._ends[0], most_bytes)
        self.errors = PipeReader(self._ends[1], most_bytes, tail=True)
        self.results = PipeReader(self._ends[2], most_bytes)
        try:
            sandbox.start(job, [into[0], into[1], *between, into[2]])
        except BaseException:
            self._close()
            raise
        finally:
            for end in into:
                os.close(end)

    @property
    def sources(self) -> list[PolledSource]:
        return [self.sandbox, self.output, self.errors, self.results]

    def has_ended(self) -> bool:
        """Whether the process has ended; sets ``exit_status``. Raises SandboxFailed."""
        if self.exit_status is None:
            self.exit_status = self.sandbox.exit_status()
        return self.exit_status is not None

    def begin_lap(self) -> None:
        """Begin the next lap: reset the CPU time and the output of the process."""
        if self.exit_status is None:
            self.output.clear()
            self.errors.clear()
            self.sandbox.send(LAP)

    def run(self, seconds: float) -> ProcessResult:
        """Wait for the end of the process, ``seconds`` at most."""
        deadline = time.monotonic() + seconds
        return self.result(poll_until(self.sources, self.has_ended, lambda: deadline))

    def result(self, stop: Literal["done"] | Stop) -> ProcessResult:
        """The result of the process; ``stop`` is the return value of `poll_until`."""
        ended = self.exit_status if stop == "done" else stop
        assert ended is not None
        line = self.errors.last_line()
        return ProcessResult(ended, bytes(self.output.kept), bytes(self.results.kept), line)

    def close(self) -> None:
        """End the process if it runs. Raises SandboxFailed where it does not end."""
        try:
            if self.exit_status is None:
                self.sandbox.send(KILL)
                deadline = time.monotonic() + _CLOSE_SECONDS
                if poll_until([self.sandbox], self.has_ended, lambda: deadline) != "done":
                    raise SandboxTimeout(f"a process did not end within {_CLOSE_SECONDS:g} s")
        finally:
            self._close()

    def _close(self) -> None:
        while self._ends:
            os.close(self._ends.pop())


def _started(line: list[str], into: int, passed: tuple[int, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        # Pipes, which processes inside inherit as their streams; bubblewrap prints errors only.
        stdout=into,
        stderr=into,
        pass_fds=passed,
        env=ENVIRONMENT,
        cwd="/",
        # Ctrl-C must not reach a sandbox: pacore ends its sandboxes itself.
        start_new_session=True,
    )


def require_sandbox() -> None:
    """Raise NoSandbox, whose message says what to do, unless this machine can confine a program."""
    _run_trivial_program(tuple(prefix()))


@cache
def _run_trivial_program(_: tuple[str, ...]) -> None:
    """Run a trivial program in a sandbox; once for each command line of a sandbox."""
    limits = ProcessLimits(10.0, 2**28, 2**16)
    program, empty = sealed("program", b"print('fine')"), sealed("stdin", b"")
    try:
        with Sandbox() as sandbox:
            sandbox.await_ready(_CHECK_SECONDS)
            with closing(Process(sandbox, Job("script", program, empty, limits))) as process:
                result = process.run(_CHECK_SECONDS)
        is_zero = isinstance(result.ended, ExitStatus) and result.ended[:2] == (0, 0)
        if is_zero and result.output == b"fine\n":
            return
        why = f"a trivial program does not run: {result.last_line or result.ended}"
    except SandboxFailed as fault:
        why = f"bubblewrap does not start: {fault}"
        if str(fault).startswith("bwrap: "):
            why += "; allow users to create user namespaces"
    finally:
        os.close(program)
        os.close(empty)
    raise NoSandbox(why)


@cache
def _source(name: str) -> bytes:
    return (INSIDE / name).read_bytes()
