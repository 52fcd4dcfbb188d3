"""Runs programs against the tests of their problems, and compares their output outside the sandbox.

Several programs are graded at a time.
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

from pacore.core.grading.checkers import Checked, checker_named, shown_output
from pacore.core.grading.programs.results import NOT_RUN, CaseOutcome, ProgramReport, same_result
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
from pacore.sandbox.bubblewrap import find_interpreter
from pacore.sandbox.inside.calling import NO_RESULT, head
from pacore.sandbox.inside.script import EXIT_REQUESTED
from pacore.sandbox.inside.world import UNLOADED
from pacore.sandbox.process import ExitStatus, ProcessResult, require_sandbox
from pacore.sandbox.runner import (
    SANDBOXES,
    Cancelled,
    GraderFault,
    Limits,
    Runner,
    TestOutcomes,
    failure,
    one_line,
)

CHECKER_LIMITS = Limits(time_seconds=10.0, memory_bytes=2**30, output_bytes=2**20)
"""Limits of a problem's custom checker on one output."""

ACCEPTED, REFUSED = (0,), (1, 2)
"""Exit codes of testlib's checkers."""

REDUCED_TIME_FRACTION = 0.1
"""Least fraction of its time limit that a test has after the program timed out on others."""

REDUCED_TIME_SECONDS = 0.25
"""Least time limit of such a test."""

_MOST_DIGITS = 4000
"""Most digits of a result that is read as an int, which takes time quadratic in its length."""

_RunTests = Callable[[int, float], TestOutcomes]
"""Runs tests from an index on, with the given CPU seconds each; returns at least one outcome."""


def run_tests(
    program: str,
    tests: CodeTests,
    limits: Limits | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> ProgramReport:
    """Run a program against every test, in order.

    Limits that the tests have replace ``limits``. After the program has timed out on
    `Limits.timeouts` tests, the limit of the others is twice the time of the slowest passed test,
    but at least `REDUCED_TIME_FRACTION` of their own limit; the first test that exceeds it, and all
    after it, count as not run. ``is_cancelled`` is called before each test.

    Raises Cancelled when ``is_cancelled`` returns True, NoSandbox where programs cannot be confined,
    and GraderFault where the program cannot be graded: its sandbox failed twice, or its tests or
    their checker are faulty.
    """
    require_sandbox()
    limits = (limits or Limits()).of(tests)
    source = program.encode("utf-8", "surrogatepass")
    count = len(tests.tests)
    outcomes: list[CaseOutcome] = []
    with SANDBOXES, _runner(source, tests, limits, is_cancelled) as run:
        while len(outcomes) < count:
            if is_cancelled():
                raise Cancelled
            seconds = _seconds(outcomes, limits)
            found = run(len(outcomes), seconds)
            outcomes += found.outcomes
            if found.is_for_all:
                outcomes += found.outcomes[-1:] * (count - len(outcomes))
            elif outcomes[-1].outcome == "timeout" and seconds < limits.time_seconds:
                outcomes[-1:] = [NOT_RUN] * (count - len(outcomes) + 1)
    return ProgramReport(tuple(outcomes))


def _seconds(outcomes: Sequence[CaseOutcome], limits: Limits) -> float:
    """CPU limit of the next test, in seconds."""
    whole = limits.time_seconds
    if sum(one.outcome == "timeout" for one in outcomes) < limits.timeouts:
        return whole
    slowest = max((one.seconds for one in outcomes if one.outcome == "passed"), default=0.0)
    return min(whole, max(2 * slowest, REDUCED_TIME_FRACTION * whole, REDUCED_TIME_SECONDS))


@contextmanager
def _runner(
    source: bytes, tests: CodeTests, limits: Limits, is_cancelled: Callable[[], bool]
) -> Iterator[_RunTests]:
    with ExitStack() as stack:
        if isinstance(tests, StdinTests):
            yield _stdin_runner(stack, source, tests, limits)
        elif isinstance(tests, FunctionTests):
            yield _function_runner(stack, source, tests, limits)
        else:
            runner = AssertionRunner(source, tests, limits, is_cancelled)
            yield stack.enter_context(runner).run


def _stdin_runner(stack: ExitStack, source: bytes, tests: StdinTests, limits: Limits) -> _RunTests:
    # The output limit is never below the size of the expected output.
    most = max(2 * len(test.output.encode()) for test in tests.tests)
    runner = stack.enter_context(Runner("script", source, limits, most))
    check = _checker(stack, tests.checker, limits)

    def outcome(number: int, result: ProcessResult, cpu_seconds: float) -> CaseOutcome:
        has_exited = result.exit_code == EXIT_REQUESTED
        if not has_exited and (failed := failure(result, cpu_seconds)):
            return failed
        test = tests.tests[number]
        found = result.output.decode("utf-8", "surrogateescape")
        points, message = check(test.input, test.output, found)
        if points is None:
            raise GraderFault(CRASH, f"test {number + 1}: {message}")
        if has_exited and points < 1.0:
            code = result.return_value.decode(errors="replace")
            reason = result.last_line or f"exit code {code}"
            return CaseOutcome("runtime_error", points, result.cpu_seconds, one_line(reason))
        return _checked(points, result, message)

    def run(number: int, cpu_seconds: float) -> TestOutcomes:
        result = runner.run(tests.tests[number].input.encode(), cpu_seconds)
        return TestOutcomes([outcome(number, result, cpu_seconds)], result.exit_code == UNLOADED)

    return run


def _function_runner(
    stack: ExitStack, source: bytes, tests: FunctionTests, limits: Limits
) -> _RunTests:
    most = max(2 * len(json.dumps(test.result)) for test in tests.tests)
    given = head(tests.entry_point, tests.prelude) + source
    runner = stack.enter_context(Runner("function", given, limits, most))

    def outcome(number: int, result: ProcessResult, cpu_seconds: float) -> CaseOutcome:
        if result.exit_code == NO_RESULT:
            return _checked(0.0, result, result.last_line)
        if failed := failure(result, cpu_seconds):
            return failed
        if not result.return_value:
            return CaseOutcome("runtime_error", excerpt="ended without a result")
        expected = tests.tests[number].result
        try:
            found = json.loads(result.return_value, parse_int=_integer)
            is_same = same_result(expected, found, tests.tolerance)
        except (ValueError, RecursionError):
            # The program itself wrote to the descriptor of its result.
            return _checked(0.0, result, "the result cannot be read")
        returned = result.return_value.decode(errors="replace")
        message = f"expected {shown_output(json.dumps(expected))}, found {shown_output(returned)}"
        return _checked(float(is_same), result, message)

    def run(number: int, cpu_seconds: float) -> TestOutcomes:
        arguments = json.dumps(tests.tests[number].arguments).encode()
        result = runner.run(arguments, cpu_seconds)
        return TestOutcomes([outcome(number, result, cpu_seconds)], result.exit_code == UNLOADED)

    return run


def _integer(digits: str) -> int | Decimal:
    """An integer of any length, in time linear in its length."""
    return int(digits) if len(digits) <= _MOST_DIGITS else Decimal(digits)


def _checked(points: float, result: ProcessResult, message: str) -> CaseOutcome:
    if points == 1.0:
        return CaseOutcome("passed", 1.0, result.cpu_seconds)
    return CaseOutcome("wrong_output", points, result.cpu_seconds, one_line(message))


def _checker(
    stack: ExitStack, checker: str | CustomChecker, limits: Limits
) -> Callable[[str, str, str], Checked]:
    """The checker: a function of the input, the expected output and the program's output."""
    if isinstance(checker, str):
        compare = checker_named(checker)
        assert compare is not None, "tests with an unknown checker cannot be made"
        return lambda _, expected, found: compare(expected, found)
    program = head("check", "") + checker.source.encode()
    own_limits = CHECKER_LIMITS._replace(start_seconds=limits.start_seconds)
    runner = stack.enter_context(Runner("function", program, own_limits))

    def check(read: str, expected: str, found: str) -> Checked:
        arguments = json.dumps([read, found, expected]).encode()
        return _points(runner.run(arguments, own_limits.time_seconds))

    return check


def _points(result: ProcessResult) -> Checked:
    """The points and message of a custom checker; no points where the checker fails."""
    if isinstance(result.ended, ExitStatus) and result.ended.signal == 0:
        if result.return_value:
            try:
                points = json.loads(result.return_value)
            except (ValueError, RecursionError):
                points = None
            if isinstance(points, bool | int | float) and 0 <= points <= 1:
                return Checked(float(points), f"the checker returned {points}")
        elif result.exit_code in ACCEPTED:
            return Checked(1.0)
        elif result.exit_code in REFUSED:
            return Checked(0.0, result.last_line)
    why = result.ended if result.exit_code is None else f"exit code {result.exit_code}"
    return Checked(None, f"the checker failed: {result.last_line or why}")


CODE_VERSION = "2"
"""Incremented with every change in how programs are extracted, run or compared that can change a
verdict."""

PROGRAM_WORKERS = 2 * len(os.sched_getaffinity(0))
"""Programs that run at once: two per processor, since some of them wait without using CPU."""

_THREADS = ThreadPoolExecutor(PROGRAM_WORKERS, "program")
"""Shared, so that this limit holds for all threads that grade programs."""


def code_grader_version() -> str:
    """Version of all code that can change a verdict, such as ``1+python-3.11.2``.

    Raises NoSandbox where no Python is installed.
    """
    return f"{CODE_VERSION}+python-{find_interpreter().version}"


def grade_programs(
    items: Sequence[tuple[str, str | None]], timeout_seconds: float = 0.0
) -> list[Verdict]:
    """Verdicts on (gold, program) pairs, in order; equal pairs are graded once.

    ``timeout_seconds`` bounds the time for a program besides that of its tests, which is the start
    of a sandbox; at least `Limits.start_seconds`. Raises NoSandbox where programs cannot be confined,
    before any of them runs.
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
            # After an exception, programs would otherwise run on, for minutes.
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


@lru_cache(maxsize=PROGRAM_WORKERS)
def _from_gold(gold: str) -> CodeTests:
    """The tests in a gold answer; cached, since they may be megabytes and many programs share them."""
    return from_gold(gold)
