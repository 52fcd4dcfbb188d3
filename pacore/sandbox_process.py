"""The grader process: a pool of workers with limits, and the lines it is spoken to in.

A worker that runs out of time is killed by the pool; one that outgrows its memory fails; one that
outlives everything that could kill it is ended by the kernel when its CPU seconds are used up.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import resource
import signal
import threading
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import IO

from pebble import ProcessFuture, ProcessPool

from pacore.grading import CRASH, TIMEOUT, grade_math

WORKER_MEMORY_BYTES = 3 * 2**30
TASKS_A_WORKER = 500

START_SECONDS = 120.0
KILL_SECONDS = 5.0
"""Allowance for ending one worker and starting the next, on a busy machine."""

READY = "ready"
BROKEN = "broken"
NAMED = "named"

Result = tuple[str, float | str | None]


def serve(workers: str) -> None:
    """Be the grader process: read requests until whoever started it is gone.

    A request is a line ``[timeout_seconds, [[gold, answer], …]]``, with null for gold where the answer
    is to be named; a reply, one for each pair and in any order, is a line ``[index, status, score]``,
    or ``[index, "named", name]`` with null for a name where there is none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, who ends this process
    requests, replies = _private_streams()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pacore.algebra", "pacore.sandbox_process"])
    pool = ProcessPool(
        max_workers=int(workers), max_tasks=TASKS_A_WORKER, initializer=_confine, context=context
    )
    pool.schedule(_work, (r"\frac{1}{2}", "0.5", START_SECONDS)).result()
    os.write(replies, f"{READY}\n".encode())
    for line in requests:
        timeout_seconds, pairs = json.loads(line)
        for index, (gold, answer) in enumerate(pairs):
            future = pool.schedule(_work, (gold, answer, timeout_seconds), timeout=timeout_seconds)
            future.add_done_callback(partial(_reply, replies, index))
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _private_streams() -> tuple[IO[str], int]:
    """Standard input and output, out of reach of workers and of whatever prints."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return os.fdopen(requests, encoding="ascii"), replies


def _reply(replies: int, index: int, done: ProcessFuture[Result]) -> None:
    fault = done.exception()
    if isinstance(fault, BrokenProcessPool):
        reply: tuple[int, str, float | str | None] = (index, BROKEN, None)
    elif fault is not None:
        reply = (index, *(TIMEOUT if isinstance(fault, FutureTimeoutError) else CRASH)[:2])
    else:
        reply = (index, *done.result())
    # One short write to a pipe is atomic, and two threads of the pool come here.
    os.write(replies, (json.dumps(reply) + "\n").encode())


def _confine() -> None:
    """Set up a worker: limits, the end of its parent, and the slow first use of the library."""
    # A worker deep in one big-integer operation never gets to a handler written in Python.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = WORKER_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, WORKER_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work(r"\sqrt{12}", r"2\sqrt{3}", START_SECONDS)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(gold: str | None, answer: str, timeout_seconds: float) -> Result:
    """Judge one pair, or name the value of an answer, in a worker."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = math.ceil(spent.ru_utime + spent.ru_stime + timeout_seconds + KILL_SECONDS)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, hard))

    # Imported here so that only workers load SymPy.
    from pacore.algebra import SymbolicAlgebra, UnreadableGold, value_key

    if gold is None:
        return NAMED, value_key(answer)
    try:
        verdict = grade_math(gold, answer, SymbolicAlgebra())
    except UnreadableGold:
        verdict = CRASH
    assert verdict is not None
    return verdict.verdict, verdict.score
