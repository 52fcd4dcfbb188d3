"""Process 1 of a sandbox: starts one process a test, waits for it, and says how it ended.

    outside ── blobs ──> host ── fork ──> program
    outside <── lines ── host             (input, output, errors and results go past the host)

A program cannot stop, end or look into its host: signals from inside do not reach process 1, and
the calls that would are denied to it. It is alone with the host, since it cannot start a process.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the part of signal written in C
import atexit
import fcntl
import math
import os
import struct
import sys
import time
from types import CodeType, ModuleType

from pacore.programs.inside.confinement import Confinement

TYPE_CHECKING = False
if TYPE_CHECKING:  # slow to import, as signal is, too, and every sandbox would wait for it
    from collections.abc import Callable
    from typing import Any, NoReturn

READY = b"ready\n"
UNCONFINED = b"unconfined\n"

OUT_OF_MEMORY = 86
"""Exit code of a process whose program ran out of memory. Claiming it falsely gains nothing."""

RESULTS, CALLS = 3, 4
"""Descriptors of a process that is spoken to while it runs: what it says, and what it is told."""

TICK_SECONDS = 0.25
IDLE_TICKS = {"script": 8, "function": 8, "calls": 40}
"""After how many ticks without any CPU a process is idle; tests may keep a called one waiting."""

USUAL = (
    "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "fractions",
    "functools", "heapq", "itertools", "json", "operator", "random", "re", "statistics", "string",
    "threading", "typing",
)  # fmt: skip
"""Modules imported once, before the fork, for a program that has their names somewhere."""

_HIGH = 100  # above any descriptor that a program may open
_LENGTH = struct.Struct(">Q")


def framed(blob: bytes) -> bytes:
    """A blob as the host reads it: its length in 8 bytes, and itself."""
    return _LENGTH.pack(len(blob)) + blob


def main() -> None:
    """Be the host: ``mode memory_bytes cpu_seconds blobs lines results calls`` are the arguments.

    The first blob is the program, each after it the input of one test; the end of blobs is the end.
    Replies are `READY` and then a line ``exit_code signal cpu_seconds`` for every test.
    """
    mode, memory_bytes, cpu_seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    blobs, lines, results, calls = (
        fcntl.fcntl(int(number), fcntl.F_DUPFD_CLOEXEC, _HIGH) for number in sys.argv[4:8]
    )
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    confinement = Confinement(memory_bytes, math.ceil(cpu_seconds))
    run = _runner(mode)
    program = _read_blob(blobs) or b""
    for name in USUAL:
        if name.encode() in program:
            __import__(name)
    os.write(lines, READY)
    while (given := _read_blob(blobs)) is not None:
        sealed = _sealed(given)
        process = os.fork()
        if process == 0:
            _separate(sealed, results, calls, lines)
            try:
                confinement.take_effect()
            except (OSError, ValueError):
                os.write(lines, UNCONFINED)
                os._exit(1)
            os.close(lines)
            _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
            run(program)
        os.close(sealed)
        code, number, used_seconds = Waiting(process, cpu_seconds, IDLE_TICKS.get(mode)).ending()
        os.write(lines, f"{code} {number} {used_seconds:.6f}\n".encode())


class Waiting:
    """Waits for a process, and ends one that has had its time by the clock and does nothing.

    Time by the clock alone would not do: on a busy machine a process waits for its turn, but then
    its time of CPU goes on, if slowly.
    """

    def __init__(self, process: int, seconds: float, idle_ticks: int | None) -> None:
        self._process = process
        # Of all its threads, as the kernel numbers the clocks of processes.
        self._clock = ~process << 3 | 2
        self._until = time.monotonic() + seconds
        self._most_ticks = idle_ticks
        self._ticks = 0
        self._used = 0.0
        self._is_ended = False

    def ending(self) -> tuple[int, int, float]:
        """Exit code, signal (`SIGXCPU` if it was idle) and seconds of CPU."""
        if self._most_ticks:
            _signal.signal(_signal.SIGALRM, self._look)
            _signal.setitimer(_signal.ITIMER_REAL, TICK_SECONDS, TICK_SECONDS)
        _, status, used = os.wait4(self._process, 0)
        _signal.setitimer(_signal.ITIMER_REAL, 0.0)
        seconds = used.ru_utime + used.ru_stime
        if not os.WIFSIGNALED(status):
            return os.WEXITSTATUS(status), 0, seconds
        return 0, _signal.SIGXCPU if self._is_ended else os.WTERMSIG(status), seconds

    def _look(self, *_: object) -> None:
        try:
            used = time.clock_gettime(self._clock)
        except OSError:  # it has just ended
            return
        self._ticks = 0 if used > self._used else self._ticks + 1
        self._used = used
        # Ticks, since a machine that stood still for a while has missed all of them but one.
        if self._most_ticks and self._ticks >= self._most_ticks and time.monotonic() >= self._until:
            self._is_ended = True
            os.kill(self._process, _signal.SIGKILL)


def _runner(mode: str) -> Callable[[bytes], NoReturn]:
    """What a process does with its program; imported before the fork, and only if needed."""
    if mode == "script":
        return run_script
    if mode == "assertions":
        from pacore.programs.inside.asserting import run_assertions

        return run_assertions
    from pacore.programs.inside.calling import run_function, serve_calls

    return run_function if mode == "function" else serve_calls


def run_script(program: bytes) -> NoReturn:
    """Be the main program: read standard input, print, and end as Python does."""
    sys.argv[:] = ["program.py"]
    namespace = main_module("__main__")
    code = 0
    try:
        exec(compiled(program), namespace)
    except SystemExit as ending:
        code = _exit_code(ending.code)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BaseException:  # whatever a program raises is its end
        sys.excepthook(*sys.exc_info())
        code = 1
    _end(code)


def _exit_code(given: object) -> int:
    if given is None or isinstance(given, int):
        return (given or 0) & 0xFF
    print(given, file=sys.stderr)
    return 1


def _end(code: int) -> NoReturn:
    """End as Python does, but for taking its memory apart, which takes longer than most programs."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        try:
            stream.flush()  # type: ignore[union-attr]  # None counts as anything, too
        except BaseException:  # a program may have closed it, or put anything in its place
            continue
    os._exit(code)


def main_module(name: str) -> dict[str, Any]:
    """The namespace of a new module of that name; classes find themselves in it."""
    module = sys.modules[name] = ModuleType(name)
    return module.__dict__


def compiled(program: bytes, file: str = "program.py") -> CodeType:
    """The code of a program. Raises what `compile` raises."""
    return compile(program, file, "exec", dont_inherit=True)


def _read_blob(blobs: int) -> bytes | None:
    """The next blob, None at the end."""
    head = _read(blobs, _LENGTH.size)
    return _read(blobs, _LENGTH.unpack(head)[0]) if head else None


def _read(blobs: int, count: int) -> bytes:
    pieces = []
    while count and (piece := os.read(blobs, min(count, 1 << 20))):
        pieces.append(piece)
        count -= len(piece)
    return b"" if count else b"".join(pieces)


def _sealed(given: bytes) -> int:
    """A file in memory that holds the input of one test and can no longer be written."""
    file = os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(given)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)
    fcntl.fcntl(
        file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK
    )
    return file


def _separate(sealed: int, results: int, calls: int, lines: int) -> None:
    """Give a new process its own descriptors 0, `RESULTS` and `CALLS`, and none but these."""
    os.dup2(sealed, 0)
    os.dup2(results, RESULTS)
    os.dup2(calls, CALLS)
    os.closerange(CALLS + 1, lines)
    os.closerange(lines + 1, 65536)
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape", closefd=False)
