"""The grader process: a pool of workers with limits, and its protocol of JSON lines.

A grading makes a limited number of function calls. A worker that exceeds its time is killed by the
pool, one that exceeds its memory raises MemoryError, and one whose pool has died is killed by the
kernel when it has used its CPU seconds.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import signal
import threading
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import IO, TYPE_CHECKING

from pacore.core.grading.mathematics.grader import grade_math
from pacore.core.grading.verdict import TIMEOUT, crash
from pacore.sandbox.algebra.call_limit import TooManyCalls, limited_calls

if TYPE_CHECKING:
    from pebble import ProcessFuture

WORKER_MEMORY_BYTES = 3 * 2**30

TASKS_A_WORKER = 500

START_TIMEOUT_SECONDS = 120.0

KILL_SECONDS = 5.0
"""Allowance for ending one worker and starting the next, on a busy machine."""

WORKERS_READY = "ready"

MOST_CALLS = 1_000_000
"""Function calls in one grading: ten times what the most expensive answer in the tests needs."""

MOST_DETAIL = 200
"""Characters of a detail, so that a reply is one short write."""

BROKEN = "broken"

KEY_REPLY = "key"

Result = tuple[str, float | str | None, str | None]
"""A verdict's status, score and detail; or `KEY_REPLY`, the key or None, and None."""


def serve_grading(workers: str, most_calls: str) -> None:
    """Run the grader process: read requests from standard input until its end.

    ``most_calls`` limits the function calls of one grading.

    A request is a line ``[timeout_seconds, [[gold, answer], …]]``, with null for gold where the key of
    the answer is requested; a reply, one for each pair and in any order, is a line
    ``[index, status, score, detail]``, or ``[index, "key", key, null]`` with null for a key where
    none was found.
    """
    # Whoever starts this process imports this module too, and has no use for pebble.
    from pebble import ProcessPool

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, who ends this process
    requests, replies = _private_streams()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "pacore.sandbox.algebra.value_keys",
            "pacore.sandbox.algebra.calculus",
            "pacore.sandbox.mathematics_worker",
        ]
    )
    pool = ProcessPool(
        max_workers=int(workers), max_tasks=TASKS_A_WORKER, initializer=_confine, context=context
    )
    pool.schedule(_work, (r"\frac{1}{2}", "0.5", START_TIMEOUT_SECONDS, MOST_CALLS)).result()
    os.write(replies, f"{WORKERS_READY}\n".encode())
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


def _reply(replies: int, index: int, timeout_seconds: float, done: ProcessFuture[Result]) -> None:
    fault = done.exception()
    if isinstance(fault, BrokenProcessPool):
        reply: tuple[int, *Result] = (index, BROKEN, None, None)
    elif isinstance(fault, FutureTimeoutError):
        reply = (index, *TIMEOUT._replace(detail=f"no verdict within {timeout_seconds:g} s"))
    elif fault is not None:
        why = " ".join(f"the grader failed: {type(fault).__name__} {fault}".split())
        reply = (index, *crash(why[:MOST_DETAIL]))
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
    _work(r"\sqrt{12}", r"2\sqrt{3}", START_TIMEOUT_SECONDS, MOST_CALLS)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(gold: str | None, answer: str, timeout_seconds: float, most_calls: int) -> Result:
    """Grade one pair, or compute the key of an answer, in a worker."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = math.ceil(spent.ru_utime + spent.ru_stime + timeout_seconds + KILL_SECONDS)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, hard))

    # Imported here so that only workers load mpmath and SymPy.
    from pacore.sandbox.algebra.algebra import SymbolicAlgebra
    from pacore.sandbox.algebra.value_keys import value_key

    try:
        with limited_calls(most_calls):
            if gold is None:
                return KEY_REPLY, value_key(answer), None
            verdict = grade_math(gold, answer, SymbolicAlgebra())
    except TooManyCalls:
        if gold is None:
            return KEY_REPLY, None, None
        return TIMEOUT._replace(detail=f"no verdict within {most_calls:,} calls of functions")
    assert verdict is not None
    return verdict
