"""A function of this package run in a process of its own, with limits of time and memory.

DuckDB can interrupt a query, and limits its memory, between the steps of its plan only: a single
function over one value may run for minutes and use all memory. A process can always be ended.
"""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn, Self

import pacore.errors
from pacore.errors import BadInput, Interrupted, LimitReached, PacoreError
from pacore.processes import command

_TIMEOUT_SECONDS = 300.0

LEAST_MEMORY_BYTES = 256 * 1024 * 1024

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]i?B)", re.IGNORECASE)

_UNITS = "KMGT"

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

_FAILED = "failed.json"

_OUT_OF_MEMORY = 96

_FRAMES = ("pandas", "polars")
"""What Arrow and DuckDB import where it is installed, and no SQL needs: half a second, and memory."""

_STACK_BYTES, _ARENA_BYTES = 8 * 1024 * 1024, 64 * 1024 * 1024
"""What a thread's stack and its allocator reserve, and hardly use."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The longest a process may run, and the memory it may take beyond what its start takes."""

    seconds: float
    memory_bytes: int

    @classmethod
    def of(cls, timeout: str | None, memory: str | None) -> Self:
        """Bounds as they are typed: seconds, and a size such as ``4GB`` or ``512MiB``.

        Without them five minutes, and half of the memory of the machine or its container. Raises
        BadInput.
        """
        return cls(_seconds(timeout), _bytes(memory))


def _seconds(timeout: str | None) -> float:
    if timeout is None:
        return _TIMEOUT_SECONDS
    try:
        seconds = float(timeout)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise BadInput(f"--timeout {timeout}: is no number of seconds above 0")
    return seconds


def _bytes(memory: str | None) -> int:
    if memory is None:
        return max(LEAST_MEMORY_BYTES, _machine_bytes() // 2)
    found = _SIZE.fullmatch(memory.strip())
    if found is None:
        raise BadInput(f"--memory {memory}: is no size such as 4GB or 512MB")
    base = 1024 if len(found["unit"]) == 3 else 1000
    size = int(float(found["number"]) * base ** (1 + _UNITS.index(found["unit"][0].upper())))
    if not LEAST_MEMORY_BYTES <= size < 2**60:
        raise BadInput(f"--memory {memory}: no query runs in less than 256MiB")
    return size


def _machine_bytes() -> int:
    """The memory of the machine, or of the container this runs in where that is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(machine, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):
        return machine


def run_bounded(
    place: str, arguments: Sequence[str], bounds: Bounds, *, is_captured: bool = False
) -> str:
    """Call ``module:function`` with text arguments and the memory it may plan with, as a last one.

    What it prints goes where ours does, or is returned where ``is_captured``. Raises the PacoreError
    that it raises; LimitReached where it takes longer or more memory; Interrupted after a Ctrl-C,
    which ends it, or a second one, which kills it.
    """
    started = time.monotonic()
    module, function = place.split(":")
    with tempfile.TemporaryDirectory(prefix="pacore-bounded-") as folder:
        process = subprocess.Popen(
            command(
                "pacore.bounded", "serve", [module, function, str(bounds.memory_bytes), *arguments]
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if is_captured else None,
            env={**os.environ, "TMPDIR": folder},
            # This process passes a Ctrl-C on itself.
            start_new_session=True,
        )
        printed: list[bytes] = []
        reader = threading.Thread(
            target=lambda: printed.append(process.stdout.read() if process.stdout else b"")
        )
        reader.start()
        try:
            is_late = _wait(process, started + bounds.seconds)
        finally:
            process.kill()
            reader.join()
            process.__exit__(None, None, None)
        _explain(process.returncode, Path(folder) / _FAILED, bounds, is_late)
    return printed[0].decode()


def _wait(process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Wait for the end of a process; whether it was late. Raises Interrupted at a second Ctrl-C."""
    is_interrupted = False
    while True:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
            return False
        except subprocess.TimeoutExpired:
            return True
        except KeyboardInterrupt:
            if is_interrupted:
                raise Interrupted("interrupted") from None
            is_interrupted = True
            process.send_signal(signal.SIGINT)


def _explain(code: int, failed: Path, bounds: Bounds, is_late: bool) -> None:
    """Raise what a process ended with, if it is not success."""
    memory = f"{bounds.memory_bytes / 1e9:,.1f} GB of memory (--memory)"
    if is_late:
        raise LimitReached(f"the SQL was ended after {bounds.seconds:g} seconds (--timeout)")
    if code == -signal.SIGINT:
        raise Interrupted("interrupted")
    if code == _OUT_OF_MEMORY:
        raise LimitReached(f"the SQL needs more than {memory}")
    if failed.exists():
        kind, text = json.loads(failed.read_bytes())
        raise getattr(pacore.errors, kind)(text)
    if code < 0:
        ended = signal.Signals(-code).name
        raise LimitReached(f"the SQL was ended by {ended}; it may need more than {memory}")
    if code:
        raise PacoreError(f"the SQL's process ended with exit code {code}")


def serve(module: str, function: str, memory_bytes: str, *arguments: str) -> NoReturn:
    """The main function of the process: call the function within its memory, and report how it ended."""
    # Nothing has to be saved, and DuckDB waits for ever after an exception out of a handler.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What libraries print when they are ended helps nobody.
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.meta_path.insert(0, _WithoutFrames())
    # What is imported stays until the end, as in the process of the command.
    gc.set_threshold(50_000, 20, 50)
    code = 0
    try:
        called = getattr(import_module(module), function)
        _limit(int(memory_bytes))
        called(*arguments, int(memory_bytes))
        sys.stdout.flush()
    except (MemoryError, LimitReached):
        code = _OUT_OF_MEMORY
    except PacoreError as fault:
        code = fault.exit_code
        said = json.dumps([type(fault).__name__, str(fault)])
        Path(tempfile.gettempdir(), _FAILED).write_text(said)
    except BrokenPipeError:
        pass  # the reader of a pipe (head, less) has ended
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    # Nothing of this process is needed any more, and its libraries may take long to end.
    os._exit(code)


class _WithoutFrames:
    """A finder of modules to which libraries of data frames are not installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raises ModuleNotFoundError for these, and leaves any other module to the next finder."""
        del path, target
        if name in _FRAMES:
            raise ModuleNotFoundError(f"{name} is not imported here", name=name)


def _end_with_parent() -> None:
    """End when standard input ends, as it does however the parent ends."""
    sys.stdin.buffer.read()
    shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _limit(memory_bytes: int) -> None:
    """From now on use no more memory than this, and write no core file."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    data, size = (int(status[name].split()[0]) * 1024 for name in ("VmData", "VmSize"))
    # DuckDB has as many threads as there are processors, and some that read ahead.
    threads = (os.cpu_count() or 1) + 16
    stacks, arenas = threads * _STACK_BYTES, threads * _ARENA_BYTES
    for kind, limit in (
        (resource.RLIMIT_DATA, data + stacks + memory_bytes),
        (resource.RLIMIT_AS, size + stacks + arenas + memory_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(kind)
        if most == resource.RLIM_INFINITY or limit < most:
            resource.setrlimit(kind, (limit, limit))
