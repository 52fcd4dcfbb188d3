"""Computer algebra on untrusted text, in processes that can be killed.

    this process ── JSON lines ── grader process ── pebble ── workers (pacore.sandbox.algebra.algebra)

The grader process is started by the first grading, has one pool of workers, and ends with this
process, also when this process is killed. It is a separate program so that no worker imports the
caller's main module (Prefect's engine, a notebook, a script without a guard) or shares its signal
handlers, threads or memory, and so that any thread may call it.

A grading makes a limited number of function calls. A worker that exceeds its time is killed by the
pool, one that exceeds its memory raises MemoryError, and one whose pool has died is killed by the
kernel when it has used its CPU seconds.
"""

from __future__ import annotations

import atexit
import json
import math
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Self

from pacore.core.grading.mathematics.grader import grade_math
from pacore.core.grading.verdict import TIMEOUT, Verdict, crash
from pacore.errors import PacoreError
from pacore.processes import Child

if TYPE_CHECKING:
    from pebble import ProcessFuture

MATH_WORKERS = 2

_PAIRS_AT_A_TIME = 64
"""Pairs sent in one exchange; other threads may send theirs between two exchanges."""

WORKER_MEMORY_BYTES = 3 * 2**30

_TASKS_A_WORKER = 500

_START_TIMEOUT_SECONDS = 120.0

_KILL_SECONDS = 5.0
"""Allowance for ending one worker and starting the next, on a busy machine."""

_WORKERS_READY = "ready"

_MOST_CALLS = 1_000_000
"""Function calls in one grading: ten times what the most expensive answer in the tests needs."""

_MOST_DETAIL = 200
"""Characters of a detail, so that a reply is one short write."""

_BROKEN = "broken"

_KEY_REPLY = "key"

_Result = tuple[str, float | str | None, str | None]
"""A verdict's status, score and detail; or `_KEY_REPLY`, the key or None, and None."""

_Item = tuple[str | None, str]
"""Gold and answer; without a gold answer, the key of the answer is computed."""

DIED_TWICE = crash("the process that grades mathematics died twice while grading it")


class MathGrader:
    """Decides by computer algebra whether two texts are mathematically equal.

    The process is started by the first pair, and again after `close`. Thread-safe. A grading that
    makes more than ``most_calls`` function calls is a ``timeout``.
    """

    def __init__(self, workers: int = MATH_WORKERS, most_calls: int = _MOST_CALLS) -> None:
        self._arguments = [str(workers), str(most_calls)]
        self._lock = threading.Lock()
        self._process: Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the grader process and its workers."""
        with self._lock:
            self._end()

    @property
    def process_id(self) -> int | None:
        """Id of the grader process; None while there is none."""
        return None if self._process is None else self._process.pid

    def grade_many(self, pairs: Sequence[tuple[str, str]], timeout_seconds: float) -> list[Verdict]:
        """Verdicts on (gold, answer) pairs, in order; both texts are LaTeX as in a box.

        A pair on which a worker dies is a ``crash``. Raises PacoreError when the grader process
        cannot be started.
        """
        return [Verdict(*reply) for reply in self._process_all(pairs, timeout_seconds)]

    def key_many(self, answers: Sequence[str], timeout_seconds: float) -> list[str | None]:
        """A key for the value of each answer, equal for equal values; None where none is found."""
        items = [(None, answer) for answer in answers]
        replies = self._process_all(items, timeout_seconds)
        return [key if status == _KEY_REPLY else None for status, key, _ in replies]

    def _process_all(self, items: Sequence[_Item], timeout_seconds: float) -> list[Any]:
        replies: list[Any] = []
        for start in range(0, len(items), _PAIRS_AT_A_TIME):
            part = list(items[start : start + _PAIRS_AT_A_TIME])
            replies += self._process_part(part, timeout_seconds)
        return replies

    def _process_part(self, items: list[_Item], timeout_seconds: float) -> list[Any]:
        with self._lock:
            found = self._exchange(items, timeout_seconds)
            if not found and len(items) == 1:
                # The process may have been killed by something other than the pair: try once more.
                found = self._exchange(items, timeout_seconds) or {0: DIED_TWICE}
        lost = [index for index in range(len(items)) if index not in found]
        # The grader process itself died. Bisecting the rest finds the pair on which it died.
        middle = (len(lost) + 1) // 2
        for part in (lost[:middle], lost[middle:]):
            if part:
                again = self._process_part([items[index] for index in part], timeout_seconds)
                found.update(zip(part, again, strict=True))
        return [found[index] for index in range(len(items))]

    def _exchange(self, items: list[_Item], timeout_seconds: float) -> dict[int, Any]:
        """Replies of the grader process by index; those of items on which it died are missing."""
        process = self._running()
        found: dict[int, Any] = {}
        try:
            with process.killed_after(
                _START_TIMEOUT_SECONDS + len(items) * (timeout_seconds + _KILL_SECONDS)
            ):
                process.send(json.dumps([timeout_seconds, items]))
                while len(found) < len(items) and (line := process.receive()) is not None:
                    index, *reply = json.loads(line)
                    if reply[0] == _BROKEN:
                        break
                    found[index] = tuple(reply)
        finally:
            if len(found) < len(items):
                # Interrupted or broken: late replies must not be read as those of the next items.
                self._end()
        return found

    def _running(self) -> Child:
        """The grader process; starts one if there is none."""
        if self._process is not None and self._process.is_alive:
            return self._process
        self._end()
        # gmpy2, which SymPy uses where it is installed, aborts or never ends on very large numbers.
        pure = {"SYMPY_GROUND_TYPES": "python"}
        process = Child("pacore.sandbox.mathematics", "serve_grading", self._arguments, pure)
        try:
            with process.killed_after(_START_TIMEOUT_SECONDS):
                greeting = process.receive()
            if greeting != _WORKERS_READY:
                reason = process.last_error_line() or "it printed no error"
                raise PacoreError(f"the process that grades mathematics does not start: {reason}")
            self._process = process
        finally:
            if self._process is None:
                process.close()
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()


SHARED_GRADER = MathGrader()
"""The grader shared by all threads; its process is started by the first grading."""

atexit.register(SHARED_GRADER.close)


def serve_grading(workers: str, most_calls: str) -> None:
    """Run the grader process: read requests from standard input until its end.

    ``most_calls`` limits the function calls of one grading.

    A request is a line ``[timeout_seconds, [[gold, answer], …]]``, with null for gold where the key of
    the answer is requested; a reply, one for each pair and in any order, is a line
    ``[index, status, score, detail]``, or ``[index, "key", key, null]`` with null for a key where
    none was found.
    """
    # Imported here: the process that starts this one has no use for pebble.
    from pebble import ProcessPool

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, who ends this process
    requests, replies = _private_streams()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "pacore.sandbox.algebra.value_keys",
            "pacore.sandbox.algebra.calculus",
            "pacore.sandbox.mathematics",
        ]
    )
    pool = ProcessPool(
        max_workers=int(workers), max_tasks=_TASKS_A_WORKER, initializer=_confine, context=context
    )
    pool.schedule(_work, (r"\frac{1}{2}", "0.5", _START_TIMEOUT_SECONDS, _MOST_CALLS)).result()
    os.write(replies, f"{_WORKERS_READY}\n".encode())
    for line in requests:
        timeout_seconds, pairs = json.loads(line)
        for index, (gold, answer) in enumerate(pairs):
            arguments = (gold, answer, timeout_seconds, int(most_calls))
            future = pool.schedule(_work, arguments, timeout=timeout_seconds)
            future.add_done_callback(partial(_reply, replies, index, timeout_seconds))
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _private_streams() -> tuple[IO[str], int]:
    """Duplicates of standard input and output, which are replaced so that no worker uses them."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return os.fdopen(requests, encoding="ascii"), replies


def _reply(replies: int, index: int, timeout_seconds: float, done: ProcessFuture[_Result]) -> None:
    fault = done.exception()
    if isinstance(fault, BrokenProcessPool):
        reply: tuple[int, *_Result] = (index, _BROKEN, None, None)
    elif isinstance(fault, FutureTimeoutError):
        reply = (index, *TIMEOUT._replace(detail=f"no verdict within {timeout_seconds:g} s"))
    elif fault is not None:
        why = " ".join(f"the grader failed: {type(fault).__name__} {fault}".split())
        reply = (index, *crash(why[:_MOST_DETAIL]))
    else:
        reply = (index, *done.result())
    # One short write to a pipe is atomic; two threads of the pool call this.
    os.write(replies, (json.dumps(reply) + "\n").encode())


def _confine() -> None:
    """Set up a worker: its limits, its end with its parent, and the slow first use of SymPy."""
    # A handler written in Python does not run during one long big-integer operation.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = WORKER_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, WORKER_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work(r"\sqrt{12}", r"2\sqrt{3}", _START_TIMEOUT_SECONDS, _MOST_CALLS)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(gold: str | None, answer: str, timeout_seconds: float, most_calls: int) -> _Result:
    """Grade one pair, or compute the key of an answer, in a worker."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = math.ceil(spent.ru_utime + spent.ru_stime + timeout_seconds + _KILL_SECONDS)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, hard))

    # Imported here so that only workers load mpmath and SymPy.
    from pacore.sandbox.algebra.algebra import SymbolicAlgebra
    from pacore.sandbox.algebra.value_keys import value_key

    try:
        with limited_calls(most_calls):
            if gold is None:
                return _KEY_REPLY, value_key(answer), None
            verdict = grade_math(gold, answer, SymbolicAlgebra())
    except TooManyCalls:
        if gold is None:
            return _KEY_REPLY, None, None
        return TIMEOUT._replace(detail=f"no verdict within {most_calls:,} calls of functions")
    assert verdict is not None
    return verdict


class TooManyCalls(BaseException):
    """The limit of calls is exceeded. A BaseException, since SymPy catches Exception in places."""


@contextmanager
def limited_calls(most: int) -> Iterator[None]:
    """Raise TooManyCalls in the context after ``most`` calls of Python or C functions in this thread.

    It uses the thread's profiler, which makes the context up to three times as slow. Python ignores
    exceptions raised while it closes a generator or runs a finalizer, and a call of a C function is not
    interrupted: such a context runs to its end before it raises, so a caller needs a time limit as well.
    """
    left = most

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal left
        left -= event.endswith("call")
        if left < 0:
            raise TooManyCalls

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
    # Python removes a profiler that raises, so an exception that was ignored is not raised again.
    if left < 0:
        raise TooManyCalls
