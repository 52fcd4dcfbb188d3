"""Process 1 of a sandbox: starts one process after another, and replies with the exit status of each.

    outside ── messages ──> host ── fork ──> one process: the program
    outside <── replies ─── host             (its input and output do not pass through the host)

The host runs many programs, so that none waits for the start of a sandbox or an interpreter. It has
one process at a time, and no process leaves a trace for the next: a program cannot start a process,
or create or write a file, its descriptors are its own, and the host never reads a program's input, so
that its memory, which the next process inherits, contains nothing of any program. A program cannot
stop, kill or inspect its host: the kernel delivers signals from inside to process 1 only where it has
a handler, which it has not, and the system calls for it are denied.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C part of signal, which imports faster
import _socket
import fcntl
import gc
import json
import math
import os
import select
import struct
import sys
import time

from pacore.sandbox.inside.asserting import run_assertions
from pacore.sandbox.inside.calling import run_function, serve_calls
from pacore.sandbox.inside.confinement import Confinement
from pacore.sandbox.inside.script import run_script
from pacore.sandbox.inside.world import TYPE_CHECKING, prepare_interpreter, read_all

if TYPE_CHECKING:
    from typing import Any

HOST_READY = "ready"

UNCONFINED = "unconfined"

KILL, LAP = "kill", "lap"

TICK_SECONDS = 0.25

SHORTEST_TICK_SECONDS = 0.002

IDLE_TICKS = {"script": 8, "function": 8, "calls": 40}
"""Ticks without CPU time after which a process is idle; a called process may wait for its tests."""

_RUNNERS = {
    "assertions": run_assertions,
    "calls": serve_calls,
    "function": run_function,
    "script": run_script,
}

_HIGH = 100  # above any descriptor that a program may open

_MESSAGE_BYTES = 4096

_MOST_DESCRIPTORS = 8

_PROCESSORS = os.cpu_count() or 1


def run_host() -> None:
    """Run the host. The only argument is the descriptor of a sequenced-packet socket for JSON messages.

    A message with descriptors has the arguments of `start_process`. `LAP` begins the next lap of the
    running process, with its full CPU time, and `KILL` kills it. Replies are `HOST_READY`, and for
    each process its exit status, or `UNCONFINED`. The host ends when the socket is closed.
    """
    given = int(sys.argv[1])
    control = _socket.socket(fileno=fcntl.fcntl(given, fcntl.F_DUPFD_CLOEXEC, _HIGH))
    os.close(given)
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    os.close(os.pidfd_open(os.getpid()))  # fails here on kernels without pidfd_open
    prepare_interpreter()
    gc.collect()
    # A garbage collection in a process would write to, and so copy, all memory shared with the host.
    gc.freeze()
    send_reply(control, HOST_READY)
    while message := receive(control):
        arguments, descriptors = message
        # A message without descriptors is for a process that has ended meanwhile.
        if descriptors:
            start_process(control, descriptors, *arguments)


def receive(control: _socket.socket) -> tuple[Any, list[int]] | None:
    """The next message and its descriptors; None at the end."""
    room = _socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS)
    message, sent, *_ = control.recvmsg(_MESSAGE_BYTES, room)
    descriptors = [number for _, _, packed in sent for (number,) in struct.iter_unpack("i", packed)]
    return (json.loads(message), descriptors) if message else None


def send_reply(control: _socket.socket, message: Any) -> None:
    control.send(json.dumps(message).encode())


def start_process(
    control: _socket.socket,
    descriptors: list[int],
    mode: str,
    memory_bytes: int,
    cpu_seconds: float,
    laps: int,
) -> None:
    """Run a process and reply with its exit status.

    The first of ``descriptors`` is the file of its program, the others become its 0, 1, 2 and so on.
    It has ``cpu_seconds`` for each of at most ``laps`` laps.
    """
    confinement = Confinement(memory_bytes, math.ceil(cpu_seconds * laps) + 1)
    process = os.fork()
    if process == 0:
        leave = os._exit
        try:
            _run(mode, _separate(descriptors, control.fileno()), confinement, control)
        finally:
            # Even if a program modified os, this process must not continue as a second host.
            leave(1)
    for descriptor in descriptors:
        os.close(descriptor)
    watcher = Watcher(control, process, cpu_seconds, IDLE_TICKS.get(mode))
    send_reply(control, watcher.exit_status())


def _run(mode: str, program: bytes, confinement: Confinement, control: _socket.socket) -> None:
    try:
        confinement.take_effect()
    except (OSError, ValueError):
        send_reply(control, UNCONFINED)
        return
    control.close()
    try:
        _RUNNERS[mode](program)
    except BaseException:  # of a program that cannot be loaded, or while it ends
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()


def _separate(descriptors: list[int], kept: int) -> bytes:
    """Give a new process its own descriptors and close all others but ``kept``; return its program."""
    # First moved to high numbers: each may have the number that another needs.
    source, *others = (fcntl.fcntl(one, fcntl.F_DUPFD, 2 * _HIGH) for one in descriptors)
    for number, descriptor in enumerate(others):
        os.dup2(descriptor, number)
    program = read_all(source)
    os.closerange(len(others), kept)
    os.closerange(kept + 1, 65536)
    sys.stdin = sys.__stdin__ = os.fdopen(  # type: ignore[misc]  # a new process's own
        0, encoding="utf-8", errors="surrogateescape", closefd=False
    )
    return program


class Watcher:
    """Waits for a process, and kills it when it exceeds its time.

    The time is CPU time, which does not depend on the load of the machine. A process that uses no
    CPU is killed when the same wall-clock time has passed.
    """

    def __init__(
        self, control: _socket.socket, process: int, seconds: float, idle_ticks: int | None
    ) -> None:
        self._control = control
        self._process = process
        # The kernel's id of the CPU clock of a process with all its threads.
        self._clock = ~process << 3 | 2
        self._seconds = seconds
        self._most_ticks = idle_ticks
        self._laps: list[float] = []
        self._lap_began = self._used = self._used_at_tick = 0.0
        self._is_out_of_time = False
        self._begin_lap()

    def _begin_lap(self) -> None:
        self._until = time.monotonic() + self._seconds
        self._next_tick = time.monotonic() + TICK_SECONDS
        self._ticks = 0

    def exit_status(self) -> list[Any]:
        """Exit code, signal (`SIGXCPU` after a timeout), and CPU seconds of every lap."""
        handle = os.pidfd_open(self._process)
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        poller.register(self._control, select.POLLIN)
        while True:
            ready = [number for number, _ in poller.poll(self._wait_seconds() * 1000)]
            if handle in ready:
                break
            if ready:
                self._read_command()
            self._check_time()
        os.close(handle)
        _, status, used = os.wait4(self._process, 0)
        self._laps.append(used.ru_utime + used.ru_stime - self._lap_began)
        if not os.WIFSIGNALED(status):
            return [os.WEXITSTATUS(status), 0, self._laps]
        number = _signal.SIGXCPU if self._is_out_of_time else os.WTERMSIG(status)
        return [0, int(number), self._laps]

    def _wait_seconds(self) -> float:
        """Seconds to the next tick, or to the earliest time at which the CPU limit can be reached."""
        left = (self._lap_began + self._seconds - self._used) / _PROCESSORS
        return min(max(left, SHORTEST_TICK_SECONDS), max(self._next_tick - time.monotonic(), 0.0))

    def _read_command(self) -> None:
        message = receive(self._control)
        if message is None:
            os._exit(0)
        if message[0] == KILL:
            os.kill(self._process, _signal.SIGKILL)
        elif message[0] == LAP:
            self._used = self._read_clock()
            self._laps.append(self._used - self._lap_began)
            self._lap_began = self._used
            self._begin_lap()

    def _check_time(self) -> None:
        self._used = self._read_clock()
        if time.monotonic() >= self._next_tick:
            # Counted ticks, not elapsed time: a suspended machine counts one tick for the suspension.
            self._ticks = 0 if self._used > self._used_at_tick else self._ticks + 1
            self._next_tick = time.monotonic() + TICK_SECONDS
            self._used_at_tick = self._used
        is_used_up = self._used - self._lap_began >= self._seconds
        is_idle = self._most_ticks is not None and self._ticks >= self._most_ticks
        if is_used_up or (is_idle and time.monotonic() >= self._until):
            self._is_out_of_time = True
            os.kill(self._process, _signal.SIGKILL)

    def _read_clock(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # it has just ended
            return self._used
