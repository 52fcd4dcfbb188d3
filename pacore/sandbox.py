r"""Computer algebra on other people's text, in processes that can be killed.

    this process ── JSON lines ── grader process ── pebble ── workers (math-verify)

The grader process is started on first need, has one pool of workers, and ends when this process
does, however it ends. It is a program of its own so that no worker ever imports the caller's main
module (Prefect's engine, a notebook, a script without a guard) or shares its signal handlers,
threads or memory, and so that any thread may call it.

A worker that runs out of time is killed by the pool; one that outgrows its memory fails; one that
outlives everything that could kill it is ended by the kernel when its CPU seconds are used up.
"""

from __future__ import annotations

import atexit
import json
import logging
import math
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from importlib.metadata import version
from typing import IO, Self

from pebble import ProcessFuture, ProcessPool

from pacore.child import Child
from pacore.errors import PacoreError
from pacore.grading import PARSE_ERROR, RULES_VERSION, TIMEOUT, Verdict, decide, prepared
from pacore.problem import GraderName

WORKERS = 2
WORKER_MEMORY_BYTES = 3 * 2**30
TASKS_A_WORKER = 500
PAIRS_AT_A_TIME = 64
"""Pairs sent in one exchange; between exchanges other threads have their turn."""

START_SECONDS = 120.0
KILL_SECONDS = 5.0
"""Allowance for ending one worker and starting the next, on a busy machine."""

_READY = "ready"
_BROKEN = "broken"


@cache
def grader_version(grader: GraderName) -> str:
    """Version of everything that decides a verdict: ``1`` or ``1+math-verify-0.9.0``."""
    if grader != "math":
        return RULES_VERSION
    return f"{RULES_VERSION}+math-verify-{version('math-verify')}"


def grade_answers(
    items: Sequence[tuple[GraderName, str, str | None]], timeout_seconds: float
) -> list[Verdict]:
    """Grade (grader, gold, answer) items; verdicts come in the order of the items.

    Exact rules decide first; equal items are decided once; what needs computer algebra shares one
    grader process, whichever thread calls. ``timeout_seconds`` bounds the grading of one answer.
    Raises PacoreError when the grader process cannot be started.
    """
    verdicts: dict[tuple[GraderName, str, str | None], Verdict] = {}
    undecided: dict[tuple[GraderName, str, str | None], tuple[str, str]] = {}
    for item in dict.fromkeys(items):
        _, gold, answer = item
        verdict = decide(*item)
        if verdict is not None:
            verdicts[item] = verdict
        elif answer is not None:
            undecided[item] = prepared(gold, answer)
    asked = SHARED_GRADER.grade_many(list(undecided.values()), timeout_seconds)
    verdicts.update(zip(undecided, asked, strict=True))
    return [verdicts[item] for item in items]


class MathGrader:
    """Asks computer algebra whether pairs of texts are the same mathematics.

    The process starts with the first pair, and again after `close`. Threads may share an instance.
    """

    def __init__(self, workers: int = WORKERS) -> None:
        self._workers = workers
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
        """Id of the grader process, None while there is none."""
        return None if self._process is None else self._process.pid

    def grade_many(self, pairs: Sequence[tuple[str, str]], timeout_seconds: float) -> list[Verdict]:
        """Verdicts on (gold, answer) pairs, in order; both texts as they would stand in a box.

        A gold answer that computer algebra cannot read, and a pair on which a worker dies, is a
        ``parse_error``. Raises PacoreError when the grader process cannot be started.
        """
        verdicts: list[Verdict] = []
        for start in range(0, len(pairs), PAIRS_AT_A_TIME):
            verdicts += self._grade(list(pairs[start : start + PAIRS_AT_A_TIME]), timeout_seconds)
        return verdicts

    def _grade(self, pairs: list[tuple[str, str]], timeout_seconds: float) -> list[Verdict]:
        with self._lock:
            found = self._ask(pairs, timeout_seconds)
            if not found and len(pairs) == 1:
                # A process may be killed for no fault of the pair; one that dies again may not.
                found = self._ask(pairs, timeout_seconds) or {0: PARSE_ERROR}
        lost = [index for index in range(len(pairs)) if index not in found]
        # The grader process itself died. Halving what it left open finds the pair it died on.
        middle = (len(lost) + 1) // 2
        for part in (lost[:middle], lost[middle:]):
            if part:
                again = self._grade([pairs[index] for index in part], timeout_seconds)
                found.update(zip(part, again, strict=True))
        return [found[index] for index in range(len(pairs))]

    def _ask(self, pairs: list[tuple[str, str]], timeout_seconds: float) -> dict[int, Verdict]:
        """One exchange with the grader process; pairs it died on are missing from the result."""
        process = self._running()
        found: dict[int, Verdict] = {}
        try:
            with process.killed_after(
                START_SECONDS + len(pairs) * (timeout_seconds + KILL_SECONDS)
            ):
                process.send(json.dumps([timeout_seconds, pairs]))
                while len(found) < len(pairs) and (line := process.receive()) is not None:
                    index, status, score = json.loads(line)
                    if status == _BROKEN:
                        break
                    found[index] = Verdict(status, score)
        finally:
            if len(found) < len(pairs):
                # Interrupted or broken: answers still on their way must not meet the next question.
                self._end()
        return found

    def _running(self) -> Child:
        """The grader process, started if there is none."""
        if self._process is not None and self._process.is_alive:
            return self._process
        self._end()
        # With gmpy2, which SymPy takes wherever it finds it, a big number aborts or never ends.
        pure = {"SYMPY_GROUND_TYPES": "python"}
        process = Child("pacore.sandbox", "serve", [str(self._workers)], pure)
        try:
            with process.killed_after(START_SECONDS):
                greeting = process.receive()
            if greeting != _READY:
                said = process.last_words() or "it said nothing"
                raise PacoreError(f"the process that grades mathematics does not start: {said}")
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
"""The one grader of this process; it has no process of its own until one is needed."""
atexit.register(SHARED_GRADER.close)


def serve(workers: str) -> None:
    """Be the grader process: read requests until whoever started it is gone.

    A request is a line ``[timeout_seconds, [[gold, answer], …]]``; a reply, one for each pair and
    in any order, is a line ``[index, status, score]``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, who ends this process
    requests, replies = _private_streams()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["math_verify", "pacore.sandbox"])
    pool = ProcessPool(
        max_workers=int(workers), max_tasks=TASKS_A_WORKER, initializer=_confine, context=context
    )
    pool.schedule(_judge, (r"\frac{1}{2}", "0.5", START_SECONDS)).result()
    os.write(replies, f"{_READY}\n".encode())
    for line in requests:
        timeout_seconds, pairs = json.loads(line)
        for index, (gold, answer) in enumerate(pairs):
            future = pool.schedule(_judge, (gold, answer, timeout_seconds), timeout=timeout_seconds)
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


def _reply(replies: int, index: int, done: ProcessFuture[Verdict]) -> None:
    fault = done.exception()
    if isinstance(fault, BrokenProcessPool):
        reply: tuple[int, str, float | None] = (index, _BROKEN, None)
    elif fault is not None:
        reply = (index, *(TIMEOUT if isinstance(fault, FutureTimeoutError) else PARSE_ERROR))
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
    _judge(r"\sqrt{12}", r"2\sqrt{3}", START_SECONDS)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _judge(gold: str, answer: str, timeout_seconds: float) -> Verdict:
    """Compare one pair, in a worker; boxed, as in bare text the library guesses where math is."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = math.ceil(spent.ru_utime + spent.ru_stime + timeout_seconds + KILL_SECONDS)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, hard))

    # Imported here so that only workers load SymPy.
    from math_verify import parse, verify

    read_gold = parse(f"\\boxed{{{gold}}}", parsing_timeout=None, raise_on_error=True)
    if all(isinstance(reading, str) for reading in read_gold):
        return PARSE_ERROR
    read_answer = parse(f"\\boxed{{{answer}}}", parsing_timeout=None, raise_on_error=True)
    same = verify(
        read_gold,
        read_answer,
        allow_set_relation_comp=True,
        timeout_seconds=None,
        raise_on_error=True,
    )
    return Verdict("ok", float(same))
