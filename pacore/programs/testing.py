"""Runs a program against the tests of its problem, and compares what came out, outside its sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack

from pydantic import JsonValue

from pacore.grading.checkers import Checked, checker_named, shown
from pacore.grading.code_results import NOT_RUN, Outcome, ProgramReport, same_result
from pacore.grading.code_tests import (
    AssertionTests,
    CodeTests,
    CustomChecker,
    FunctionTests,
    StdinTests,
)
from pacore.grading.score import CRASH
from pacore.programs.assertions import run_assertion
from pacore.programs.inside.calling import NO_RESULT, head
from pacore.programs.keeper import GraderFault, Keeper, Limits, failure, one_line
from pacore.programs.sandbox import Ending, Room, require_sandbox

CHECKER_ROOM = Room(cpu_seconds=10.0, memory_bytes=2**30, output_bytes=2**20)
"""What a checker of the problem's own may use on one output."""

ACCEPTED, REFUSED = (0,), (1, 2)
"""Exit codes of testlib's checkers."""

Run = Callable[[int], Outcome]
"""Runs the test of a number, counted from 0."""


class Cancelled(Exception):
    """Nobody wants to know any more what came of a program."""


def run_tests(
    program: str,
    tests: CodeTests,
    limits: Limits | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> ProgramReport:
    """Run a program against every test, in order, each in a process of its own.

    Limits that the tests have stand before ``limits``. Once the program has run out of time on
    `Limits.timeouts` tests, the others are not run. ``is_cancelled`` is asked before each test;
    Cancelled is raised once it is.

    Raises NoSandbox where programs cannot be confined, and GraderFault where nothing can be said of
    this one: its sandbox broke, or its tests or their checker are faulty.
    """
    require_sandbox()
    limits = (limits or Limits()).of(tests)
    source = program.encode("utf-8", "surrogatepass")
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        run = _runner(stack, source, tests, limits)
        for number in range(len(tests.tests)):
            if is_cancelled():
                raise Cancelled
            is_slow = sum(one.outcome == "timeout" for one in outcomes) >= limits.timeouts
            outcomes.append(NOT_RUN if is_slow else run(number))
    return ProgramReport(tuple(outcomes))


def _runner(stack: ExitStack, source: bytes, tests: CodeTests, limits: Limits) -> Run:
    if isinstance(tests, StdinTests):
        return _stdin_runner(stack, source, tests, limits)
    if isinstance(tests, FunctionTests):
        return _function_runner(stack, source, tests, limits)
    return _assertion_runner(stack, source, tests, limits)


def _stdin_runner(stack: ExitStack, source: bytes, tests: StdinTests, limits: Limits) -> Run:
    # A program is not stopped for printing as much as it should.
    most = max(2 * len(test.output.encode()) for test in tests.tests)
    room = limits.room._replace(output_bytes=max(limits.output_bytes, most))
    keeper = stack.enter_context(Keeper("script", source, room, limits.start_seconds))
    check = _checker(stack, tests.checker, limits)

    def run(number: int) -> Outcome:
        test = tests.tests[number]
        reply = keeper.run(test.input.encode())
        if failed := failure(reply, limits.time_seconds):
            return failed
        found = reply.output.decode("utf-8", "surrogateescape")
        points, message = check(test.input, test.output, found)
        if points is None:
            raise GraderFault(CRASH, f"test {number + 1}: {message}")
        return _checked(points, reply.ended, message)

    return run


def _function_runner(stack: ExitStack, source: bytes, tests: FunctionTests, limits: Limits) -> Run:
    most = max(2 * len(json.dumps(test.result)) for test in tests.tests)
    room = limits.room._replace(output_bytes=max(limits.output_bytes, most))
    given = head(tests.entry_point, tests.prelude) + source
    keeper = stack.enter_context(Keeper("function", given, room, limits.start_seconds))

    def run(number: int) -> Outcome:
        test = tests.tests[number]
        reply = keeper.run(json.dumps(test.arguments).encode())
        if isinstance(reply.ended, Ending) and reply.ended[:2] == (NO_RESULT, 0):
            return _checked(0.0, reply.ended, reply.last_words)
        if failed := failure(reply, limits.time_seconds):
            return failed
        if not reply.result:
            return Outcome("runtime_error", excerpt="ended without a result")
        try:
            found: JsonValue = json.loads(reply.result)
            is_same = same_result(test.result, found, tests.tolerance)
            said = f"expected {shown(json.dumps(test.result))}, found {shown(json.dumps(found))}"
        except (ValueError, RecursionError):
            # The program wrote something of its own where its result belongs.
            return _checked(0.0, reply.ended, "the result cannot be read")
        return _checked(float(is_same), reply.ended, said)

    return run


def _assertion_runner(
    stack: ExitStack, source: bytes, tests: AssertionTests, limits: Limits
) -> Run:
    given = head(tests.entry_point or "", tests.prelude) + source
    program = Keeper("calls", given, limits.room, limits.start_seconds)
    stated = json.dumps([tests.entry_point, tests.prelude, tests.setup]).encode()
    assertions = Keeper("assertions", stated, limits.room, limits.start_seconds)
    stack.enter_context(program)
    stack.enter_context(assertions)
    return lambda number: run_assertion(
        tests.tests[number], number, program, assertions, limits.time_seconds
    )


def _checked(points: float, ended: object, said: str) -> Outcome:
    seconds = ended.cpu_seconds if isinstance(ended, Ending) else 0.0
    if points == 1.0:
        return Outcome("passed", 1.0, seconds)
    return Outcome("wrong_output", points, seconds, one_line(said))


def _checker(
    stack: ExitStack, checker: str | CustomChecker, limits: Limits
) -> Callable[[str, str, str], Checked]:
    """What takes the input, the expected output and the program's."""
    if isinstance(checker, str):
        compare = checker_named(checker)
        assert compare is not None, "tests with an unknown checker cannot be made"
        return lambda _, expected, found: compare(expected, found)
    given = head("check", "") + checker.source.encode()
    keeper = stack.enter_context(Keeper("function", given, CHECKER_ROOM, limits.start_seconds))

    def check(read: str, expected: str, found: str) -> Checked:
        reply = keeper.run(json.dumps([read, found, expected]).encode())
        return _points(reply.ended, reply.result, reply.last_words)

    return check


def _points(ended: object, result: bytes, last_words: str) -> Checked:
    """What a checker of the problem's own says of an output."""
    if isinstance(ended, Ending) and ended.signal == 0:
        if result:
            try:
                said = json.loads(result)
            except (ValueError, RecursionError):
                said = None
            if isinstance(said, bool | int | float) and 0 <= said <= 1:
                return Checked(float(said), f"the checker gives {said}")
        elif ended.exit_code in ACCEPTED:
            return Checked(1.0)
        elif ended.exit_code in REFUSED:
            return Checked(0.0, last_words)
    why = last_words or (f"exit code {ended.exit_code}" if isinstance(ended, Ending) else ended)
    return Checked(None, f"the checker fails: {why}")
