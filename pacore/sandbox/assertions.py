"""Runs tests written as assertions in one sandbox; the functions they call run in the program's.

    assertions ── calls ──> program       (a pipe each way, from process to process)
    assertions <── answers ── program
    outside <── reports ── assertions

The tests of a program run one after another in one process, which calls one process of the program,
as in HumanEval's and MBPP's own runners. When one of the two ends, the remaining tests run with two
new processes.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Literal, NamedTuple, Self

from pacore.core.grading.programs.results import CaseOutcome
from pacore.core.grading.programs.tests import AssertionTests
from pacore.core.grading.verdict import CRASH
from pacore.sandbox.inside.asserting import (
    FAULTY,
    FINAL,
    NOT_EQUAL,
    PASSED,
    PROGRAM_ENDED,
    TOO_LONG,
)
from pacore.sandbox.inside.calling import head
from pacore.sandbox.inside.world import OUT_OF_MEMORY, UNLOADED
from pacore.sandbox.pipes import poll_until, sealed
from pacore.sandbox.process import Job, Process, ProcessLimits, Sandbox, Stop
from pacore.sandbox.runner import (
    SANDBOXES,
    Cancelled,
    GraderFault,
    Limits,
    TestOutcomes,
    failure,
    one_line,
    wall_seconds,
    with_one_retry,
)


class AssertionRunner:
    """Runs the assertions of one problem against one program."""

    def __init__(
        self,
        source: bytes,
        tests: AssertionTests,
        limits: Limits,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._tests = tests
        self._limits = limits
        self._is_cancelled = is_cancelled
        self._program = sealed("program", head("", tests.prelude) + source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._program)

    def run(self, first: int, cpu_seconds: float) -> TestOutcomes:
        """The outcomes of the tests from the index ``first`` on, up to one in which a process ended.

        Raises Cancelled, and GraderFault where a test is faulty or a sandbox fails twice.
        """
        tests = self._tests.tests[first:]
        parts = [tests, self._tests.entry_point, self._tests.prelude, self._tests.setup]
        arguments = json.dumps([*parts, self._limits.output_bytes]).encode()
        limits = ProcessLimits(cpu_seconds, self._limits.memory_bytes, self._limits.output_bytes)

        def once(is_new: bool) -> _Exchange:
            with ExitStack() as stack:
                start_seconds = self._limits.start_seconds
                program, asserting = (
                    stack.enter_context(SANDBOXES.acquire(start_seconds, is_new=is_new))
                    for _ in range(2)
                )
                pair = stack.enter_context(
                    self._pair((program, asserting), limits, arguments, len(tests))
                )
                exchange = _Exchange(*pair, len(tests), cpu_seconds)
                exchange.run(self._is_cancelled)
            return exchange

        exchange = with_one_retry(once)
        return TestOutcomes(_outcomes(exchange, first, cpu_seconds), exchange.is_unloaded)

    @contextmanager
    def _pair(
        self,
        sandboxes: tuple[Sandbox, Sandbox],
        limits: ProcessLimits,
        arguments: bytes,
        laps: int,
    ) -> Iterator[tuple[Process, Process]]:
        """A process of the program and one of its tests, with a pipe each way between them."""
        with ExitStack() as stack, ExitStack() as passed:

            def closed_later(descriptor: int) -> int:
                passed.callback(os.close, descriptor)
                return descriptor

            calls_out, calls_in = map(closed_later, os.pipe())
            answers_out, answers_in = map(closed_later, os.pipe())
            empty = closed_later(sealed("stdin", b""))
            tests_file = closed_later(sealed("tests", arguments))
            job = Job("calls", self._program, empty, limits, laps)
            program = Process(sandboxes[0], job, between=(answers_in, calls_out))
            stack.enter_context(closing(program))
            job = Job("assertions", tests_file, empty, limits, laps)
            tests = Process(sandboxes[1], job, between=(calls_in, answers_out))
            stack.enter_context(closing(tests))
            # A process notices the end of the other only if no other process has its pipes open.
            passed.close()
            yield program, tests


class _Report(NamedTuple):
    """The report of one test: its code in `pacore.sandbox.inside.asserting`, and a message."""

    code: int
    message: str


class _Exchange:
    """A process of the program and one of its tests, up to the end of the latter."""

    def __init__(self, program: Process, tests: Process, count: int, cpu_seconds: float) -> None:
        self.program = program
        self.tests = tests
        self.reports: list[_Report] = []
        self.count = count
        self._wall_seconds = wall_seconds(cpu_seconds)

    def run(self, is_cancelled: Callable[[], bool]) -> None:
        """Read reports until the end of the tests. Raises SandboxFailed, and Cancelled."""
        self._is_cancelled = is_cancelled
        self._deadline = time.monotonic() + self._wall_seconds
        sources = [*self.program.sources, *self.tests.sources]
        self.stop: Literal["done"] | Stop = poll_until(
            sources, self._is_over, lambda: self._deadline
        )
        self._take_reports()
        self.has_program_ended = self.program.has_ended()

    @property
    def is_unloaded(self) -> bool:
        """Whether the program ended before the first call."""
        ended = self.program.exit_status if self.has_program_ended else None
        return ended is not None and ended.exit_code == UNLOADED

    def _is_over(self) -> bool:
        self._take_reports()
        has_program_ended = self.program.has_ended()
        # The exit status of the program may come later than the report that it ended.
        is_awaited = bool(self.reports) and self.reports[-1].code == PROGRAM_ENDED
        return self.tests.has_ended() and (has_program_ended or not is_awaited)

    def _take_reports(self) -> None:
        while line := self.tests.results.take_line():
            self.reports.append(_Report(*json.loads(line)))
            if len(self.reports) < self.count:
                if self._is_cancelled():
                    raise Cancelled
                self.program.begin_lap()
                self.tests.begin_lap()
                self._deadline = time.monotonic() + self._wall_seconds

    def seconds(self, number: int) -> float:
        """CPU seconds of the program in the test with index ``number``."""
        laps = self.program.exit_status.laps if self.program.exit_status else ()
        return laps[number] if number < len(laps) else 0.0


def _outcomes(exchange: _Exchange, first: int, cpu_seconds: float) -> list[CaseOutcome]:
    """The outcomes of the finished tests; at least one."""
    outcomes: list[CaseOutcome] = []
    for number, (code, message) in enumerate(exchange.reports):
        seconds = exchange.seconds(number)
        if code == FAULTY:
            raise GraderFault(CRASH, f"test {first + number + 1} is faulty: {message}")
        if code == PASSED:
            outcomes.append(CaseOutcome("passed", 1.0, seconds))
        elif code == NOT_EQUAL:
            outcomes.append(CaseOutcome("wrong_output", seconds=seconds, excerpt=one_line(message)))
        elif code == OUT_OF_MEMORY:
            outcomes.append(CaseOutcome("memory", seconds=seconds))
        elif code == TOO_LONG:
            outcomes.append(CaseOutcome("output_limit", seconds=seconds))
        elif code == PROGRAM_ENDED:
            outcomes += _interrupted(exchange, number, cpu_seconds, message)
        else:
            outcomes.append(
                CaseOutcome("runtime_error", seconds=seconds, excerpt=one_line(message))
            )
    if len(exchange.reports) < exchange.count and not _is_final(exchange.reports):
        message = "the test ended its own process"
        outcomes += _interrupted(exchange, len(exchange.reports), cpu_seconds, message)
    return outcomes


def _is_final(reports: Sequence[_Report]) -> bool:
    return bool(reports) and reports[-1].code in FINAL


def _interrupted(
    exchange: _Exchange, number: int, cpu_seconds: float, message: str
) -> list[CaseOutcome]:
    """The outcome of a test in which one of the processes ended.

    None where the process exceeded the CPU limit with the time of earlier tests included; the test
    then runs again.
    """
    if exchange.stop != "done":
        return [CaseOutcome(exchange.stop)]
    ended = [exchange.program] if exchange.has_program_ended else []
    for process in [*ended, exchange.tests]:
        status = process.exit_status
        assert status is not None
        if status.signal == signal.SIGXCPU and len(status.laps) <= number:
            return []
        if failed := failure(process.result("done"), cpu_seconds):
            return [failed]
    seconds = exchange.seconds(number)
    return [CaseOutcome("runtime_error", seconds=seconds, excerpt=message)]
