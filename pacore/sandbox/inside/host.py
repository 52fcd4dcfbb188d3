"""Process 1 of a sandbox: starts one process after another, and says how each ended.

    outside ── messages ──> host ── fork ──> one process: the program
    outside <── replies ─── host             (what it is given and puts out goes past the host)

The host is kept for many programs, so that none waits for a sandbox or an interpreter to start. It
has one process at a time, and nothing of it stays: a program cannot start a process, make a file or
write into one, its descriptors were made for it alone, and the host never reads what a program is
given, so that its memory, which the next process inherits, holds nothing of any program. A program
cannot stop, end or look into its host: process 1 takes signals from inside only where it has a
handler, and has none, and the calls that would are denied.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the part of signal written in C
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
from pacore.sandbox.inside.world import all_of, prepare

TYPE_CHECKING = False


if TYPE_CHECKING:  # slow to import, and every sandbox would wait for it
    from typing import Any

READY = "ready"


UNCONFINED = "unconfined"


KILL, LAP = "kill", "lap"

TICK_SECONDS = 0.25


SHORTEST_TICK_SECONDS = 0.002


IDLE_TICKS = {"script": 8, "function": 8, "calls": 40}
"""After how many ticks without any CPU a process is idle; tests may keep a called one waiting."""

RUNS = {
    "assertions": run_assertions,
    "calls": serve_calls,
    "function": run_function,
    "script": run_script,
}

_HIGH = 100  # above any descriptor that a program may open


_MESSAGE_BYTES = 4096


_MOST_DESCRIPTORS = 8


_PROCESSORS = os.cpu_count() or 1


def main() -> None:
    """Be the host; the only argument is the descriptor of a socket of whole messages, all JSON.

    A message with descriptors has the arguments of `start`. `LAP` gives the running process its
    time anew, and `KILL` ends it. Replies are `READY`, and for each process how it ended, or
    `UNCONFINED`. The end of messages is the end.
    """
    given = int(sys.argv[1])
    control = _socket.socket(fileno=fcntl.fcntl(given, fcntl.F_DUPFD_CLOEXEC, _HIGH))
    os.close(given)
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    os.close(os.pidfd_open(os.getpid()))  # where the kernel cannot, no sandbox gets ready
    prepare()
    gc.collect()
    # A collection in a process would write to all it shares with the host, and so copy it.
    gc.freeze()
    reply(control, READY)
    while message := receive(control):
        said, descriptors = message
        # Without descriptors it was for a process that has ended meanwhile.
        if descriptors:
            start(control, descriptors, *said)


def receive(control: _socket.socket) -> tuple[Any, list[int]] | None:
    """The next message and its descriptors; None at the end."""
    room = _socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS)
    said, sent, *_ = control.recvmsg(_MESSAGE_BYTES, room)
    descriptors = [number for _, _, packed in sent for (number,) in struct.iter_unpack("i", packed)]
    return (json.loads(said), descriptors) if said else None


def reply(control: _socket.socket, said: Any) -> None:
    control.send(json.dumps(said).encode())


def start(
    control: _socket.socket,
    descriptors: list[int],
    mode: str,
    memory_bytes: int,
    cpu_seconds: float,
    laps: int,
) -> None:
    """Run a process and reply how it ended.

    The first of ``descriptors`` holds its program, the others become its 0, 1, 2 and so on. It has
    ``cpu_seconds`` for each of at most ``laps`` laps.
    """
    confinement = Confinement(memory_bytes, math.ceil(cpu_seconds * laps) + 1)
    process = os.fork()
    if process == 0:
        leave = os._exit
        try:
            _run(mode, _separate(descriptors, control.fileno()), confinement, control)
        finally:
            # Whatever a program did to what runs it, this process is never a second host.
            leave(1)
    for descriptor in descriptors:
        os.close(descriptor)
    reply(control, Waiting(control, process, cpu_seconds, IDLE_TICKS.get(mode)).ending())


def _run(mode: str, program: bytes, confinement: Confinement, control: _socket.socket) -> None:
    try:
        confinement.take_effect()
    except (OSError, ValueError):
        reply(control, UNCONFINED)
        return
    control.close()
    try:
        RUNS[mode](program)
    except BaseException:  # of a program that does not even begin, or is at its end
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()


def _separate(descriptors: list[int], kept: int) -> bytes:
    """Give a new process its own descriptors, and none but these and ``kept``; its program."""
    # Out of the way first: each may be where another has to go.
    source, *others = (fcntl.fcntl(one, fcntl.F_DUPFD, 2 * _HIGH) for one in descriptors)
    for number, descriptor in enumerate(others):
        os.dup2(descriptor, number)
    program = all_of(source)
    os.closerange(len(others), kept)
    os.closerange(kept + 1, 65536)
    sys.stdin = sys.__stdin__ = os.fdopen(  # type: ignore[misc]  # a new process's own
        0, encoding="utf-8", errors="surrogateescape", closefd=False
    )
    return program


class Waiting:
    """Waits for a process, and ends one that has had its time.

    That is time of CPU, since on a busy machine a process waits for its turn; and one that has had
    its time by the clock, and now does nothing, is ended as well.
    """

    def __init__(
        self, control: _socket.socket, process: int, seconds: float, idle_ticks: int | None
    ) -> None:
        self._control = control
        self._process = process
        # Of all its threads, as the kernel numbers the clocks of processes.
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

    def ending(self) -> list[Any]:
        """Exit code, signal (`SIGXCPU` if it was out of time), and seconds of CPU of every lap."""
        handle = os.pidfd_open(self._process)
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        poller.register(self._control, select.POLLIN)
        while True:
            ready = [number for number, _ in poller.poll(self._wait_seconds() * 1000)]
            if handle in ready:
                break
            if ready:
                self._obey()
            self._look()
        os.close(handle)
        _, status, used = os.wait4(self._process, 0)
        self._laps.append(used.ru_utime + used.ru_stime - self._lap_began)
        if not os.WIFSIGNALED(status):
            return [os.WEXITSTATUS(status), 0, self._laps]
        number = _signal.SIGXCPU if self._is_out_of_time else os.WTERMSIG(status)
        return [0, int(number), self._laps]

    def _wait_seconds(self) -> float:
        """Until the next tick, or until it may have used up its time on all processors."""
        left = (self._lap_began + self._seconds - self._used) / _PROCESSORS
        return min(max(left, SHORTEST_TICK_SECONDS), max(self._next_tick - time.monotonic(), 0.0))

    def _obey(self) -> None:
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

    def _look(self) -> None:
        self._used = self._read_clock()
        if time.monotonic() >= self._next_tick:
            # Ticks, since a machine that stood still for a while has missed all of them but one.
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
