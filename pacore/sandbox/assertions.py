"""Tests written as assertions: they run in one sandbox, and what they call in the program's.

    assertions ── calls ──> program       (a pipe each way, from process to process)
    assertions <── answers ── program
    outside <── reports ── assertions

The tests of a program run one after another in one process that calls one other process, as
HumanEval's and MBPP's own runners have them; where one of the two ends, the tests that are left
begin anew with two others.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Literal, NamedTuple, Self

from pacore.core.grading.programs.results import Outcome
from pacore.core.grading.programs.tests import AssertionTests
from pacore.core.grading.verdict import CRASH
from pacore.sandbox.box import Job, Process, Room, Sandbox, Stop
from pacore.sandbox.inside.asserting import FAULTY, GONE, NOT_EQUAL, PASSED, TOO_LONG
from pacore.sandbox.inside.calling import head
from pacore.sandbox.inside.world import OUT_OF_MEMORY, UNLOADED
from pacore.sandbox.keeper import (
    SANDBOXES,
    Cancelled,
    Found,
    GraderFault,
    Limits,
    failure,
    one_line,
    twice,
    wall_seconds,
)
from pacore.sandbox.pipes import drive, sealed


class AssertionRunner:
    """Runs the tests of one program that are assertions."""

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

    def run(self, first: int, cpu_seconds: float) -> Found:
        """What came of the tests from the ``first`` on, counted from 0, until a process ended.

        Raises Cancelled, and GraderFault where a test cannot say anything of any program, or a
        sandbox breaks twice.
        """
        tests = self._tests.tests[first:]
        stated = [tests, self._tests.entry_point, self._tests.prelude, self._tests.setup]
        given = json.dumps([*stated, self._limits.output_bytes]).encode()
        room = Room(cpu_seconds, self._limits.memory_bytes, self._limits.output_bytes)

        def once(is_new: bool) -> _Exchange:
            with ExitStack() as stack:
                program, asserting = (
                    stack.enter_context(SANDBOXES.lent(self._limits.start_seconds, is_new=is_new))
                    for _ in range(2)
                )
                pair = stack.enter_context(
                    self._pair((program, asserting), room, given, len(tests))
                )
                exchange = _Exchange(*pair, len(tests), cpu_seconds)
                exchange.run(self._is_cancelled)
            return exchange

        exchange = twice(once)
        return Found(_outcomes(exchange, first, cpu_seconds), exchange.is_unloaded)

    @contextmanager
    def _pair(
        self, sandboxes: tuple[Sandbox, Sandbox], room: Room, given: bytes, laps: int
    ) -> Iterator[tuple[Process, Process]]:
        """A process of the program and one of its tests, with a pipe each way between them."""
        with ExitStack() as stack, ExitStack() as passed:

            def kept(descriptor: int) -> int:
                passed.callback(os.close, descriptor)
                return descriptor

            asked, ask = map(kept, os.pipe())
            answered, answer = map(kept, os.pipe())
            nothing, stated = kept(sealed("given", b"")), kept(sealed("tests", given))
            job = Job("calls", self._program, nothing, room, laps)
            program = Process(sandboxes[0], job, between=(answer, asked))
            stack.enter_context(closing(program))
            job = Job("assertions", stated, nothing, room, laps)
            tests = Process(sandboxes[1], job, between=(ask, answered))
            stack.enter_context(closing(tests))
            # Each sees that the other has ended once nobody else has its ends of their pipes.
            passed.close()
            yield program, tests


class _Report(NamedTuple):
    """What the tests say came of one."""

    found: int
    said: str


class _Exchange:
    """A process of the program and one of its tests, until the second has ended."""

    def __init__(self, program: Process, tests: Process, count: int, cpu_seconds: float) -> None:
        self.program = program
        self.tests = tests
        self.reports: list[_Report] = []
        self.count = count
        self._wall_seconds = wall_seconds(cpu_seconds)

    def run(self, is_cancelled: Callable[[], bool]) -> None:
        """Wait for reports until there are no more. Raises SandboxLost, and Cancelled."""
        self._is_cancelled = is_cancelled
        self._deadline = time.monotonic() + self._wall_seconds
        sources = [*self.program.sources, *self.tests.sources]
        self.stop: Literal["done"] | Stop = drive(sources, self._is_over, lambda: self._deadline)
        self._take_reports()
        self.has_program_ended = self.program.has_ended()

    @property
    def is_unloaded(self) -> bool:
        """Whether the program ended before it was called at all."""
        ended = self.program.ending if self.has_program_ended else None
        return ended is not None and ended.exit_code == UNLOADED

    def _is_over(self) -> bool:
        self._take_reports()
        has_program_ended = self.program.has_ended()
        # How a program ended may be known later than that it did.
        is_awaited = bool(self.reports) and self.reports[-1].found == GONE
        return self.tests.has_ended() and (has_program_ended or not is_awaited)

    def _take_reports(self) -> None:
        while line := self.tests.results.take_line():
            self.reports.append(_Report(*json.loads(line)))
            if len(self.reports) < self.count:
                if self._is_cancelled():
                    raise Cancelled
                self.program.lap()
                self.tests.lap()
                self._deadline = time.monotonic() + self._wall_seconds

    def seconds(self, number: int) -> float:
        """Seconds of CPU that the program took for a test."""
        laps = self.program.ending.laps if self.program.ending else ()
        return laps[number] if number < len(laps) else 0.0


def _outcomes(exchange: _Exchange, first: int, cpu_seconds: float) -> list[Outcome]:
    """One of each test that has come to its end; one at least."""
    outcomes: list[Outcome] = []
    for number, (found, said) in enumerate(exchange.reports):
        seconds = exchange.seconds(number)
        if found == FAULTY:
            raise GraderFault(CRASH, f"test {first + number + 1} is faulty: {said}")
        if found == PASSED:
            outcomes.append(Outcome("passed", 1.0, seconds))
        elif found == NOT_EQUAL:
            outcomes.append(Outcome("wrong_output", seconds=seconds, excerpt=one_line(said)))
        elif found == OUT_OF_MEMORY:
            outcomes.append(Outcome("memory", seconds=seconds))
        elif found == TOO_LONG:
            outcomes.append(Outcome("output_limit", seconds=seconds))
        elif found == GONE:
            outcomes += _broken(exchange, number, cpu_seconds, said)
        else:
            outcomes.append(Outcome("runtime_error", seconds=seconds, excerpt=one_line(said)))
    if len(exchange.reports) < exchange.count and not _is_last(exchange.reports):
        said = "the test ended its own process"
        outcomes += _broken(exchange, len(exchange.reports), cpu_seconds, said)
    return outcomes


def _is_last(reports: Sequence[_Report]) -> bool:
    return bool(reports) and reports[-1].found in (OUT_OF_MEMORY, TOO_LONG, GONE)


def _broken(exchange: _Exchange, number: int, cpu_seconds: float, said: str) -> list[Outcome]:
    """What came of a test in which one of the processes ended; none where that is not known.

    That is where the time of the tests before it was counted against it.
    """
    if exchange.stop != "done":
        return [Outcome(exchange.stop)]
    ended = [exchange.program] if exchange.has_program_ended else []
    for process in [*ended, exchange.tests]:
        ending = process.ending
        assert ending is not None
        if ending.signal == signal.SIGXCPU and len(ending.laps) <= number:
            return []
        if failed := failure(process.reply("done"), cpu_seconds):
            return [failed]
    seconds = exchange.seconds(number)
    return [Outcome("runtime_error", seconds=seconds, excerpt=said)]
