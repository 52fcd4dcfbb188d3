"""One test written as assertions: it runs in one sandbox, and what it calls in the program's.

    assertions ── calls ──> outside ── calls ──> program
    assertions <── answers ── outside <── answers ── program

Both sides are read line by line and counted, and neither has a descriptor of the other.
"""

from __future__ import annotations

import time

from pacore.grading.code_results import Outcome
from pacore.grading.score import CRASH
from pacore.programs.inside.asserting import FAULTY, NOT_EQUAL
from pacore.programs.keeper import GraderFault, Keeper, failure, one_line, reply_of, twice
from pacore.programs.pipes import drive
from pacore.programs.sandbox import Ending, Sandbox

END_OF_CALLS = b"\n"


def run_assertion(
    test: str, number: int, program: Keeper, assertions: Keeper, time_seconds: float
) -> Outcome:
    """What one test came to; ``number`` counts from 0.

    Raises GraderFault where the test cannot say anything of any program, or a sandbox breaks twice.
    """

    def drop() -> None:
        program.drop()
        assertions.drop()

    def once() -> _Exchange:
        exchange = _Exchange(program.ready(), assertions.ready())
        exchange.run(test.encode(), program.wall_seconds)
        # What one of the two left unread would be read by the next test.
        if not exchange.is_clean:
            drop()
        return exchange

    exchange = twice(once, drop)
    called, asserted = exchange.called, exchange.asserted
    if isinstance(called.ended, Ending) and (failed := failure(called, time_seconds)):
        return failed
    if not isinstance(asserted.ended, Ending):
        return Outcome(asserted.ended)
    if asserted.ended[:2] == (FAULTY, 0):
        raise GraderFault(CRASH, f"test {number + 1} is faulty: {asserted.last_words}")
    seconds = called.ended.cpu_seconds if isinstance(called.ended, Ending) else 0.0
    if asserted.ended[:2] == (NOT_EQUAL, 0):
        return Outcome("wrong_output", seconds=seconds, excerpt=one_line(asserted.last_words))
    if failed := failure(asserted, time_seconds):
        return failed._replace(seconds=seconds)
    return Outcome("passed", 1.0, seconds)


class _Exchange:
    """One test and the process of the program that it calls, both begun and waited for."""

    def __init__(self, program: Sandbox, assertions: Sandbox) -> None:
        self._program = program
        self._assertions = assertions
        self._is_dismissed = False
        self._is_early = False

    def run(self, test: bytes, seconds: float) -> None:
        """Carry lines to and fro until both have ended. Raises SandboxLost."""
        self._program.begin(b"")
        self._assertions.begin(test)
        both = (self._program, self._assertions)
        inflows = [flow for sandbox in both for flow in sandbox.inflows]
        outflows = [flow for sandbox in both for flow in sandbox.outflows]
        stop = drive(inflows, outflows, self._has_ended, time.monotonic() + seconds)
        self._is_stopped = stop != "done"
        for_want = stop if stop != "done" else "timeout"
        self.called = reply_of(self._program, self._program.ending or for_want)
        self.asserted = reply_of(self._assertions, self._assertions.ending or for_want)

    @property
    def is_clean(self) -> bool:
        """Whether both ended by themselves, in their turn, and no line is left on its way."""
        endings = [self._program.ending, self._assertions.ending]
        is_by_themselves = all(ending and ending.signal == 0 for ending in endings)
        return is_by_themselves and not self._is_stopped and not self._is_early

    def _has_ended(self) -> bool:
        program, assertions = self._program, self._assertions
        while call := assertions.results.take_line():
            program.calls.add(call)
        while answer := program.results.take_line():
            assertions.calls.add(answer)
        is_program_over, is_test_over = program.has_ended(), assertions.has_ended()
        if is_program_over and not self._is_dismissed and not self._is_early:
            self._is_early = True
            assertions.calls.add(END_OF_CALLS)
        if is_test_over and not is_program_over and not self._is_dismissed:
            self._is_dismissed = True
            program.calls.add(END_OF_CALLS)
        return is_program_over and is_test_over
