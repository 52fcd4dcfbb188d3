"""Runs a program against the tests of its problem, and compares what came out, outside its sandbox.

Verdicts on programs, several at a time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from functools import lru_cache
from threading import Event

from pacore.core.grading.checkers import Checked, checker_named, shown
from pacore.core.grading.programs.results import NOT_RUN, Outcome, ProgramReport, same_result
from pacore.core.grading.programs.tests import (
    CodeTests,
    CustomChecker,
    FunctionTests,
    StdinTests,
    from_gold,
)
from pacore.core.grading.verdict import CRASH, NO_ANSWER, Verdict
from pacore.errors import BadInput
from pacore.sandbox.assertions import AssertionRunner
from pacore.sandbox.box import Ending, Reply, require_sandbox
from pacore.sandbox.bubblewrap import find_interpreter
from pacore.sandbox.inside.calling import NO_RESULT, head
from pacore.sandbox.inside.script import LEFT
from pacore.sandbox.inside.world import UNLOADED
from pacore.sandbox.keeper import (
    SANDBOXES,
    Cancelled,
    Found,
    GraderFault,
    Limits,
    Runner,
    failure,
    one_line,
)

CHECKER_LIMITS = Limits(time_seconds=10.0, memory_bytes=2**30, output_bytes=2**20)
"""What a checker of the problem's own may use on one output."""

ACCEPTED, REFUSED = (0,), (1, 2)
"""Exit codes of testlib's checkers."""

QUICK_PART = 0.1
"""How much of its time each test has at least, once the program has run out of time on others."""

QUICK_SECONDS = 0.25

MOST_DIGITS = 4000
"""Of a result that is read as an int; reading one takes time with the square of its length."""

Run = Callable[[int, float], Found]
"""Runs tests from a number on, counted from 0, with so many seconds of CPU each; one at least."""


def run_tests(
    program: str,
    tests: CodeTests,
    limits: Limits | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> ProgramReport:
    """Run a program against every test, in order.

    Limits that the tests have stand before ``limits``. Once the program has run out of time on
    `Limits.timeouts` tests, each other has twice the time of the slowest it passed, and no less
    than `QUICK_PART` of its limit; where that does not do, it and those after it are not run.
    ``is_cancelled`` is called before each test; Cancelled is raised once it says so.

    Raises NoSandbox where programs cannot be confined, and GraderFault where nothing can be said of
    this one: its sandbox broke, or its tests or their checker are faulty.
    """
    require_sandbox()
    limits = (limits or Limits()).of(tests)
    source = program.encode("utf-8", "surrogatepass")
    count = len(tests.tests)
    outcomes: list[Outcome] = []
    with SANDBOXES, _runner(source, tests, limits, is_cancelled) as run:
        while len(outcomes) < count:
            if is_cancelled():
                raise Cancelled
            seconds = _seconds(outcomes, limits)
            found = run(len(outcomes), seconds)
            outcomes += found.outcomes
            if found.is_of_all:
                outcomes += found.outcomes[-1:] * (count - len(outcomes))
            elif outcomes[-1].outcome == "timeout" and seconds < limits.time_seconds:
                outcomes[-1:] = [NOT_RUN] * (count - len(outcomes) + 1)
    return ProgramReport(tuple(outcomes))


def _seconds(outcomes: Sequence[Outcome], limits: Limits) -> float:
    """Seconds of CPU that the next test has."""
    whole = limits.time_seconds
    if sum(one.outcome == "timeout" for one in outcomes) < limits.timeouts:
        return whole
    slowest = max((one.seconds for one in outcomes if one.outcome == "passed"), default=0.0)
    return min(whole, max(2 * slowest, QUICK_PART * whole, QUICK_SECONDS))


@contextmanager
def _runner(
    source: bytes, tests: CodeTests, limits: Limits, is_cancelled: Callable[[], bool]
) -> Iterator[Run]:
    with ExitStack() as stack:
        if isinstance(tests, StdinTests):
            yield _stdin_runner(stack, source, tests, limits)
        elif isinstance(tests, FunctionTests):
            yield _function_runner(stack, source, tests, limits)
        else:
            runner = AssertionRunner(source, tests, limits, is_cancelled)
            yield stack.enter_context(runner).run


def _stdin_runner(stack: ExitStack, source: bytes, tests: StdinTests, limits: Limits) -> Run:
    # A program is not stopped for printing as much as it should.
    most = max(2 * len(test.output.encode()) for test in tests.tests)
    runner = stack.enter_context(Runner("script", source, limits, most))
    check = _checker(stack, tests.checker, limits)

    def outcome(number: int, reply: Reply, cpu_seconds: float) -> Outcome:
        has_left = reply.exit_code == LEFT
        if not has_left and (failed := failure(reply, cpu_seconds)):
            return failed
        test = tests.tests[number]
        found = reply.output.decode("utf-8", "surrogateescape")
        points, message = check(test.input, test.output, found)
        if points is None:
            raise GraderFault(CRASH, f"test {number + 1}: {message}")
        if has_left and points < 1.0:
            said = reply.last_words or f"exit code {reply.result.decode(errors='replace')}"
            return Outcome("runtime_error", points, reply.cpu_seconds, one_line(said))
        return _checked(points, reply, message)

    def run(number: int, cpu_seconds: float) -> Found:
        reply = runner.run(tests.tests[number].input.encode(), cpu_seconds)
        return Found([outcome(number, reply, cpu_seconds)], reply.exit_code == UNLOADED)

    return run


def _function_runner(stack: ExitStack, source: bytes, tests: FunctionTests, limits: Limits) -> Run:
    most = max(2 * len(json.dumps(test.result)) for test in tests.tests)
    given = head(tests.entry_point, tests.prelude) + source
    runner = stack.enter_context(Runner("function", given, limits, most))

    def outcome(number: int, reply: Reply, cpu_seconds: float) -> Outcome:
        if reply.exit_code == NO_RESULT:
            return _checked(0.0, reply, reply.last_words)
        if failed := failure(reply, cpu_seconds):
            return failed
        if not reply.result:
            return Outcome("runtime_error", excerpt="ended without a result")
        expected = tests.tests[number].result
        try:
            found = json.loads(reply.result, parse_int=_integer)
            is_same = same_result(expected, found, tests.tolerance)
        except (ValueError, RecursionError):
            # The program wrote something of its own where its result belongs.
            return _checked(0.0, reply, "the result cannot be read")
        given = reply.result.decode(errors="replace")
        return _checked(
            float(is_same), reply, f"expected {shown(json.dumps(expected))}, found {shown(given)}"
        )

    def run(number: int, cpu_seconds: float) -> Found:
        arguments = json.dumps(tests.tests[number].arguments).encode()
        reply = runner.run(arguments, cpu_seconds)
        return Found([outcome(number, reply, cpu_seconds)], reply.exit_code == UNLOADED)

    return run


def _integer(digits: str) -> int | Decimal:
    """An integer of any length, in time that is linear in it."""
    return int(digits) if len(digits) <= MOST_DIGITS else Decimal(digits)


def _checked(points: float, reply: Reply, said: str) -> Outcome:
    if points == 1.0:
        return Outcome("passed", 1.0, reply.cpu_seconds)
    return Outcome("wrong_output", points, reply.cpu_seconds, one_line(said))


def _checker(
    stack: ExitStack, checker: str | CustomChecker, limits: Limits
) -> Callable[[str, str, str], Checked]:
    """What takes the input, the expected output and the program's."""
    if isinstance(checker, str):
        compare = checker_named(checker)
        assert compare is not None, "tests with an unknown checker cannot be made"
        return lambda _, expected, found: compare(expected, found)
    given = head("check", "") + checker.source.encode()
    room = CHECKER_LIMITS._replace(start_seconds=limits.start_seconds)
    runner = stack.enter_context(Runner("function", given, room))

    def check(read: str, expected: str, found: str) -> Checked:
        reply = runner.run(json.dumps([read, found, expected]).encode(), room.time_seconds)
        return _points(reply)

    return check


def _points(reply: Reply) -> Checked:
    """What a checker of the problem's own says of an output."""
    if isinstance(reply.ended, Ending) and reply.ended.signal == 0:
        if reply.result:
            try:
                said = json.loads(reply.result)
            except (ValueError, RecursionError):
                said = None
            if isinstance(said, bool | int | float) and 0 <= said <= 1:
                return Checked(float(said), f"the checker gives {said}")
        elif reply.exit_code in ACCEPTED:
            return Checked(1.0)
        elif reply.exit_code in REFUSED:
            return Checked(0.0, reply.last_words)
    why = reply.ended if reply.exit_code is None else f"exit code {reply.exit_code}"
    return Checked(None, f"the checker fails: {reply.last_words or why}")


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
