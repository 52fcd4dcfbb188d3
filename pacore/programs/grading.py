"""Verdicts on programs, several at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Event

from pacore.core.grading.programs.tests import CodeTests, from_gold
from pacore.core.grading.verdict import CRASH, NO_ANSWER, Verdict
from pacore.errors import BadInput
from pacore.programs.bubblewrap import find_interpreter
from pacore.programs.keeper import SANDBOXES, GraderFault, Limits, one_line
from pacore.programs.sandbox import require_sandbox
from pacore.programs.testing import run_tests

CODE_VERSION = "2"
"""Counts on when a change in how programs are found, run or compared can change a verdict."""

WORKERS = 2 * len(os.sched_getaffinity(0))
"""Programs that run at once: twice as many as processors, since some wait, for tests or for nothing."""
_THREADS = ThreadPoolExecutor(WORKERS, "program")
"""Shared, so that no more programs run at once however many threads ask for verdicts."""


def code_grader_version() -> str:
    """Version of all that decides: ``1+python-3.11.2``. Raises NoSandbox without a Python."""
    return f"{CODE_VERSION}+python-{find_interpreter().version}"


def grade_programs(
    items: Sequence[tuple[str, str | None]], timeout_seconds: float = 0.0
) -> list[Verdict]:
    """Verdicts on (gold, program) pairs, in order; equal pairs are graded once.

    ``timeout_seconds`` is how long the grader may take over a program besides what its tests are
    allowed: for starting a sandbox, and never less than `Limits.start_seconds`. Raises NoSandbox
    where programs cannot be confined: then none was run.
    """
    limits = Limits()
    limits = limits._replace(start_seconds=max(timeout_seconds, limits.start_seconds))
    different = list(dict.fromkeys(items))
    if any(program is not None for _, program in different):
        require_sandbox()
    cancelled = Event()
    with SANDBOXES:
        grading = {
            one: _THREADS.submit(_grade, *one, limits, cancelled.is_set) for one in different
        }
        try:
            return [grading[item].result() for item in items]
        finally:
            # Where this ends early, programs may go on for minutes, and so would this process.
            cancelled.set()
            for future in grading.values():
                future.cancel()


def _grade(
    gold: str, program: str | None, limits: Limits, is_cancelled: Callable[[], bool]
) -> Verdict:
    if program is None or not program.strip():
        return NO_ANSWER
    try:
        tests = _from_gold(gold)
    except BadInput as fault:
        return CRASH._replace(detail=one_line(f"gold answer: {fault}"))
    try:
        return run_tests(program, tests, limits, is_cancelled).verdict()
    except GraderFault as fault:
        return fault.verdict


@lru_cache(maxsize=WORKERS)
def _from_gold(gold: str) -> CodeTests:
    """The tests, which may be megabytes, of a problem that many programs are for."""
    return from_gold(gold)
