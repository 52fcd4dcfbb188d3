r"""Computer algebra on untrusted text, in processes that can be killed.

    this process ── JSON lines ── grader process ── pebble ── workers (pacore.sandbox.algebra.algebra)

The grader process is started by the first grading, has one pool of workers, and ends with this
process, also when this process is killed. It is a separate program so that no worker imports the
caller's main module (Prefect's engine, a notebook, a script without a guard) or shares its signal
handlers, threads or memory, and so that any thread may call it.
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
    KEY_REPLY,
    KILL_SECONDS,
    MOST_CALLS,
    START_TIMEOUT_SECONDS,
    WORKERS_READY,
)

MATH_WORKERS = 2

PAIRS_AT_A_TIME = 64
"""Pairs sent in one exchange; other threads may send theirs between two exchanges."""

_Item = tuple[str | None, str]
"""Gold and answer; without a gold answer, the key of the answer is computed."""

DIED_TWICE = crash("the process that grades mathematics died twice while grading it")


class MathGrader:
    """Decides by computer algebra whether two texts are mathematically equal.

    The process is started by the first pair, and again after `close`. Thread-safe. A grading that
    makes more than ``most_calls`` function calls is a ``timeout``.
    """

    def __init__(self, workers: int = MATH_WORKERS, most_calls: int = MOST_CALLS) -> None:
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
        return [key if status == KEY_REPLY else None for status, key, _ in replies]

    def _process_all(self, items: Sequence[_Item], timeout_seconds: float) -> list[Any]:
        replies: list[Any] = []
        for start in range(0, len(items), PAIRS_AT_A_TIME):
            part = list(items[start : start + PAIRS_AT_A_TIME])
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
                START_TIMEOUT_SECONDS + len(items) * (timeout_seconds + KILL_SECONDS)
            ):
                process.send(json.dumps([timeout_seconds, items]))
                while len(found) < len(items) and (line := process.receive()) is not None:
                    index, *reply = json.loads(line)
                    if reply[0] == BROKEN:
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
        process = Child("pacore.sandbox.mathematics_worker", "serve_grading", self._arguments, pure)
        try:
            with process.killed_after(START_TIMEOUT_SECONDS):
                greeting = process.receive()
            if greeting != WORKERS_READY:
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
