r"""Computer algebra on other people's text, in processes that can be killed.

    this process ── JSON lines ── grader process ── pebble ── workers (pacore.algebra)

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
from functools import cache
from importlib.metadata import version
from typing import Any, Self

from pacore.core.grading.rules import RULES_VERSION, grade_fast, plain_key, short
from pacore.core.grading.spec import parse_spec
from pacore.core.grading.verdict import Verdict, crash
from pacore.errors import PacoreError
from pacore.processes import Child
from pacore.programs import code_grader_version, grade_programs
from pacore.sandbox_process import BROKEN, KILL_SECONDS, MOST_CALLS, NAMED, READY, START_SECONDS

WORKERS = 2
PAIRS_AT_A_TIME = 64
"""Pairs sent in one exchange; between exchanges other threads have their turn."""


@cache
def grader_version(spec: str) -> str:
    """Version of everything that decides a verdict: ``4`` or ``4+mpmath-1.3.0+sympy-1.14.0``."""
    name = parse_spec(spec).name
    if name == "code":
        return code_grader_version()
    if name != "math":
        return RULES_VERSION
    return "+".join([RULES_VERSION, *(f"{name}-{version(name)}" for name in ("mpmath", "sympy"))])


def grade_answers(
    items: Sequence[tuple[str, str, str | None]], timeout_seconds: float
) -> list[Verdict]:
    """Grade (spec, gold, answer) items; verdicts come in the order of the items.

    Exact rules decide first; equal items are decided once; what needs computer algebra shares one
    grader process, whichever thread calls; programs run in sandboxes (`pacore.programs`).
    ``timeout_seconds`` bounds the grading of one answer. Raises PacoreError when the grader process
    cannot be started, or programs cannot be confined, and BadInput for a judge, who is a model and
    no part of this.
    """
    verdicts: dict[tuple[str, str, str | None], Verdict] = {}
    undecided: dict[tuple[str, str, str | None], tuple[str, str]] = {}
    programs = [item for item in dict.fromkeys(items) if parse_spec(item[0]).name == "code"]
    graded = grade_programs([(gold, answer) for _, gold, answer in programs], timeout_seconds)
    verdicts.update(zip(programs, graded, strict=True))
    for item in dict.fromkeys(items):
        if item in verdicts:
            continue
        _, gold, answer = item
        verdict = grade_fast(*item)
        if verdict is not None:
            verdicts[item] = verdict
        elif answer is not None:
            undecided[item] = (gold, answer)
    asked = SHARED_GRADER.grade_many(list(undecided.values()), timeout_seconds)
    verdicts.update(zip(undecided, asked, strict=True))
    return [verdicts[item] for item in items]


def answer_keys(items: Sequence[tuple[str, str]], timeout_seconds: float) -> list[str]:
    """Keys of (spec, answer) items, in order: answers with equal keys are the same answer.

    Where rules see no plain number in an answer to ``math``, computer algebra names its value; where it
    cannot within ``timeout_seconds``, the key is the answer's text.
    """
    keys: dict[tuple[str, str], str] = {}
    open_: dict[tuple[str, str], str] = {}
    for item in dict.fromkeys(items):
        keys[item], is_all = plain_key(parse_spec(item[0]), item[1])
        if not is_all:
            open_[item] = item[1]
    named = SHARED_GRADER.name_many(list(open_.values()), timeout_seconds)
    keys |= {item: short(name) for item, name in zip(open_, named, strict=True) if name is not None}
    return [keys[item] for item in items]


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
        process = Child("pacore.sandbox_process", "serve", self._arguments, pure)
        try:
            with process.killed_after(START_SECONDS):
                greeting = process.receive()
            if greeting != READY:
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
