r"""Computer algebra on other people's text, in processes that can be killed.

    this process ── JSON lines ── grader process ── pebble ── workers (pacore.sandbox.algebra.algebra)

The grader process is started on first need, has one pool of workers, and ends when this process
does, however it ends. It is a program of its own so that no worker ever imports the caller's main
module (Prefect's engine, a notebook, a script without a guard) or shares its signal handlers,
threads or memory, and so that any thread may call it.
"""

from __future__ import annotations

import atexit
import json
import threading
from collections.abc import Sequence
from typing import Any, Self

from pacore.core.grading.verdict import Verdict, crash
from pacore.errors import PacoreError
from pacore.processes import Child
from pacore.sandbox.mathematics_worker import (
    BROKEN,
    KILL_SECONDS,
    MOST_CALLS,
    NAMED,
    READY,
    START_SECONDS,
)

WORKERS = 2


PAIRS_AT_A_TIME = 64
"""Pairs sent in one exchange; between exchanges other threads have their turn."""


Asked = tuple[str | None, str]

DIED = crash("the process that grades mathematics died of it twice")


class MathGrader:
    """Has computer algebra decide whether pairs of texts are the same mathematics.

    The process starts with the first pair, and again after `close`. Threads may share an instance. A
    grading that calls more than ``most_calls`` functions is a ``timeout``.
    """

    def __init__(self, workers: int = WORKERS, most_calls: int = MOST_CALLS) -> None:
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
        """Id of the grader process, None while there is none."""
        return None if self._process is None else self._process.pid

    def grade_many(self, pairs: Sequence[tuple[str, str]], timeout_seconds: float) -> list[Verdict]:
        """Verdicts on (gold, answer) pairs, in order; both texts as they would stand in a box.

        A pair on which a worker dies is a ``crash``. Raises PacoreError when the grader process
        cannot be started.
        """
        return [Verdict(*reply) for reply in self._ask_all(pairs, timeout_seconds)]

    def name_many(self, answers: Sequence[str], timeout_seconds: float) -> list[str | None]:
        """A name for what each answer is, equal where it is the same; None where there is none."""
        asked = [(None, answer) for answer in answers]
        replies = self._ask_all(asked, timeout_seconds)
        return [name if status == NAMED else None for status, name, _ in replies]

    def _ask_all(self, asked: Sequence[Asked], timeout_seconds: float) -> list[Any]:
        replies: list[Any] = []
        for start in range(0, len(asked), PAIRS_AT_A_TIME):
            replies += self._work(list(asked[start : start + PAIRS_AT_A_TIME]), timeout_seconds)
        return replies

    def _work(self, asked: list[Asked], timeout_seconds: float) -> list[Any]:
        with self._lock:
            found = self._ask(asked, timeout_seconds)
            if not found and len(asked) == 1:
                # A process may be killed for no fault of the pair; one that dies again may not.
                found = self._ask(asked, timeout_seconds) or {0: DIED}
        lost = [index for index in range(len(asked)) if index not in found]
        # The grader process itself died. Halving what it left open finds the pair it died on.
        middle = (len(lost) + 1) // 2
        for part in (lost[:middle], lost[middle:]):
            if part:
                again = self._work([asked[index] for index in part], timeout_seconds)
                found.update(zip(part, again, strict=True))
        return [found[index] for index in range(len(asked))]

    def _ask(self, asked: list[Asked], timeout_seconds: float) -> dict[int, Any]:
        """One exchange with the grader process; pairs it died on are missing from the result."""
        process = self._running()
        found: dict[int, Any] = {}
        try:
            with process.killed_after(
                START_SECONDS + len(asked) * (timeout_seconds + KILL_SECONDS)
            ):
                process.send(json.dumps([timeout_seconds, asked]))
                while len(found) < len(asked) and (line := process.receive()) is not None:
                    index, *reply = json.loads(line)
                    if reply[0] == BROKEN:
                        break
                    found[index] = tuple(reply)
        finally:
            if len(found) < len(asked):
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
        process = Child("pacore.sandbox.mathematics_worker", "serve", self._arguments, pure)
        try:
            with process.killed_after(START_SECONDS):
                greeting = process.receive()
            if greeting != READY:
                said = process.last_error_line() or "it said nothing"
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
