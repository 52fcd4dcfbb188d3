"""Tests for code problems, made by programs that come with each problem.

A *generator* reads one line ``SEED NUMBER TESTS`` and prints the input of a test. A *validator* reads an
input and ends with exit code 0 where it is one that the problem allows. The first right solution gives the
expected outputs, and all right ones have to pass: where one does not, the tests are refused. Wrong
solutions show what tests are worth: one that passes all of them is counted.

All of these run in the sandbox. Seeds follow from the content of a problem, so the same problem has the
same tests; a generator that gives another input for the same line is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from pydantic import ConfigDict, Field, JsonValue

from pacore.core.grading.programs.tests import (
    CodeTests,
    CustomChecker,
    Identifier,
    as_gold,
    function_tests,
    stdin_tests,
)
from pacore.core.identity import digest
from pacore.core.validation import PlainModel, validated
from pacore.errors import BadInput
from pacore.problems.files import problem_files, rows_in
from pacore.problems.formats.rows import RowFault
from pacore.sandbox.outputs import ProgramOutput, ProgramRunner
from pacore.sandbox.process import require_sandbox
from pacore.sandbox.programs import PROGRAM_WORKERS, run_tests
from pacore.sandbox.runner import SANDBOXES, GraderFault, Limits
from pacore.store.backends.sources import open_source
from pacore.text import visible

FAMILY = "generated-tests/1"
"""Counts on with every change of the inputs that follow from a problem."""

TESTS = 20

TRIES = 4
"""Runs of a generator for each wanted test, since inputs repeat and validators refuse some."""

MOST_FAILED = 5
"""Runs of a generator in a row that give no input, after which it is not run again."""

INPUT_BYTES = 2**18
"""Longest input of a test, so that all tests of a problem are some megabytes at most."""

MADE_FIELD = "generated_tests"
"""The field of a problem with what its tests were checked against."""

REPEATED, NOT_VALID = "the same as another", "refused by the validator"


class CodeProblem(PlainModel):
    """A code problem, the programs that make its tests, and solutions that are right and wrong.

    All other fields of its row stay with the problem.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    id: str | int | None = None
    problem: str = Field(min_length=1)
    generator: str = Field(min_length=1)
    validator: str | None = None
    solutions: tuple[str, ...] = Field(min_length=1)
    wrong: tuple[str, ...] = ()
    entry_point: Identifier | None = None
    checker: str | CustomChecker = "decimals"
    time_limit_seconds: float | None = Field(None, gt=0, le=60)
    memory_limit_bytes: int | None = Field(None, ge=2**20, le=2**33)

    @property
    def limits(self) -> Limits:
        """Of each program on each test."""
        limits = Limits()._replace(output_bytes=INPUT_BYTES)
        return limits._replace(
            time_seconds=self.time_limit_seconds or limits.time_seconds,
            memory_bytes=self.memory_limit_bytes or limits.memory_bytes,
        )

    @property
    def seed(self) -> int:
        """53 bits of the digest of what tests follow from."""
        made_by = [FAMILY, self.problem, self.generator, self.validator, self.entry_point]
        return int(digest(made_by)[:16], 16) >> 11

    def row(self, tests: CodeTests, made: Mapping[str, JsonValue]) -> dict[str, Any]:
        """The problem with its tests, as a row of a problem set."""
        named = {} if self.id is None else {"id": self.id}
        others = {
            name: value for name, value in (self.model_extra or {}).items() if value is not None
        }
        gold = {"answer": json.loads(as_gold(tests)), "grader": "code"}
        return {**named, "problem": self.problem, **gold, **others, MADE_FIELD: dict(made)}


@dataclass(frozen=True, slots=True)
class GeneratedTests:
    """What came of the tests of one problem, which stands at ``place``.

    ``refused`` says why there are none. ``tests`` there are, of ``tried`` inputs; ``unused`` says why
    others are none. ``idle`` tests fail no wrong solution; ``passing`` are the numbers, from 1, of the
    wrong solutions that pass all tests. ``row`` is the problem with its tests.
    """

    place: str
    tests: int
    tried: int
    solutions: int
    wrong: int
    unused: Mapping[str, int]
    refused: str | None = None
    idle: int = 0
    passing: tuple[int, ...] = ()
    row: Mapping[str, Any] | None = None


def generated_tests(url: str, tests: int = TESTS) -> Iterator[GeneratedTests]:
    """What comes of the tests of each problem of some files, in their order; several problems at a time.

    Raises BadInput for a file or a row that is wrong, NoSandbox where programs cannot be confined.
    """
    require_sandbox()
    found = _problems(url)
    with SANDBOXES, ThreadPoolExecutor(PROGRAM_WORKERS, "tests") as threads:
        while some := list(islice(found, 4 * PROGRAM_WORKERS)):
            yield from threads.map(lambda one: with_tests(one[0], one[1], tests), some)


def _problems(url: str) -> Iterator[tuple[str, CodeProblem]]:
    for name in problem_files(url):
        with open_source(name) as file:
            for row in rows_in(file, name):
                if isinstance(row, RowFault):
                    raise BadInput(f"{name}:{row.line}: {row.what}")
                place = f"{name}:{row.line}"
                problem = validated(CodeProblem, row.value, f"{place}: ")
                yield str(place if problem.id is None else problem.id), problem


class _Refused(Exception):
    """The tests of a problem are none."""


def with_tests(place: str, problem: CodeProblem, wanted: int) -> GeneratedTests:
    """Make and check the tests of a problem; see the head of this module."""
    counted, unused = _Tried(wanted), Counter[str]()
    why: str | None = None
    try:
        inputs = _inputs(problem, counted, unused)
        made = _answered(problem, inputs)
        _check_right(problem, made)
        failed = [_failed_tests(one, made, problem.limits) for one in problem.wrong]
    except _Refused as refused:
        why = str(refused)
    except GraderFault as fault:
        why = f"a program cannot be run: {fault}"
    except BadInput as fault:
        why = f"tests: {fault}"
    numbers = (len(problem.solutions), len(problem.wrong), dict(unused))
    if why is not None:
        return GeneratedTests(place, 0, counted.tried, *numbers, refused=visible(why))
    idle = len(inputs) - len(set().union(*failed))
    passing = tuple(number for number, tests in enumerate(failed, 1) if not tests)
    checked: dict[str, JsonValue] = {
        "seed": problem.seed, "right": len(problem.solutions), "wrong": len(problem.wrong),
        "passing_wrong": len(passing),
    }  # fmt: skip
    return GeneratedTests(
        place, len(inputs), counted.tried, *numbers, None, idle, passing, problem.row(made, checked)
    )


@dataclass
class _Tried:
    wanted: int
    tried: int = 0


def _inputs(problem: CodeProblem, counted: _Tried, unused: Counter[str]) -> list[str]:
    """Different inputs that the validator takes. Raises _Refused where there is none."""
    found: dict[str, None] = {}
    failed = 0
    last = ""
    with (
        ProgramRunner(problem.generator, problem.limits) as generator,
        _validator(problem) as valid,
    ):
        while len(found) < counted.wanted and counted.tried < TRIES * counted.wanted:
            line = f"{problem.seed} {counted.tried} {counted.wanted}\n"
            made = generator.run(line)
            if counted.tried == 0 and generator.run(line).text != made.text:
                raise _Refused("the generator gives another input for the same seed")
            counted.tried += 1
            why = _unfit(problem, made)
            if why is None and made.text in found:
                why = REPEATED
            elif why is None and valid is not None and (said := valid.run(str(made.text)).failed):
                last = f"; the last: {said.excerpt}"
                why = NOT_VALID if said.outcome == "runtime_error" else f"validator: {said.outcome}"
            if why is None:
                found[str(made.text)] = None
                failed = 0
                continue
            unused[why] += 1
            failed = 0 if why in (REPEATED, NOT_VALID) else failed + 1
            if failed == MOST_FAILED:
                break
    if not found:
        reasons = ", ".join(f"{number} {reason}" for reason, number in unused.most_common(2))
        raise _Refused(f"no input: {reasons}{last}")
    return list(found)


def _unfit(problem: CodeProblem, made: ProgramOutput) -> str | None:
    """Why what a generator gave is no input; None where it is one."""
    if made.text is None:
        return f"generator: {made.why}"
    if problem.entry_point is None:
        return None
    try:
        is_list = isinstance(json.loads(made.text), list)
    except (ValueError, RecursionError):
        is_list = False
    return None if is_list else "generator: what it prints is no JSON list of arguments"


def _validator(problem: CodeProblem) -> AbstractContextManager[ProgramRunner | None]:
    if problem.validator is None:
        return nullcontext()
    return ProgramRunner(problem.validator, problem.limits)


def _answered(problem: CodeProblem, inputs: Sequence[str]) -> CodeTests:
    """The inputs with what the first right solution gives for them. Raises _Refused where it fails."""
    answers = []
    with ProgramRunner(problem.solutions[0], problem.limits, problem.entry_point) as solution:
        for number, given in enumerate(inputs, 1):
            found: ProgramOutput = solution.run(given)
            if found.text is None:
                raise _Refused(f"right solution 1: test {number}: {found.why}")
            answers.append(found.text)
    limits = (problem.time_limit_seconds, problem.memory_limit_bytes)
    if problem.entry_point is None:
        return stdin_tests(
            zip(inputs, answers, strict=True), problem.checker,
            time_limit_seconds=limits[0], memory_limit_bytes=limits[1],
        )  # fmt: skip
    pairs = [
        (json.loads(one), json.loads(other)) for one, other in zip(inputs, answers, strict=True)
    ]
    return function_tests(
        problem.entry_point, pairs, time_limit_seconds=limits[0], memory_limit_bytes=limits[1]
    )


def _check_right(problem: CodeProblem, made: CodeTests) -> None:
    """Run every right solution on the tests, the first again. Raises _Refused for one that fails."""
    for number, source in enumerate(problem.solutions, 1):
        verdict = run_tests(source, made, problem.limits).verdict()
        if verdict.verdict != "correct":
            raise _Refused(f"right solution {number}: {verdict.detail}")


def _failed_tests(source: str, made: CodeTests, limits: Limits) -> set[int]:
    """The places of the tests that a wrong solution does not pass."""
    outcomes = run_tests(source, made, limits).outcomes
    return {place for place, one in enumerate(outcomes) if one.outcome != "passed"}


class CountedTests(NamedTuple):
    """Problems by what came of their tests: ``separate`` tell wrong solutions from right ones, ``weak`` let
    a wrong one pass, ``unproven`` have no wrong solution to fail; others are ``refused``.
    """

    separate: int
    weak: int
    unproven: int
    refused: int

    @classmethod
    def of(cls, found: Sequence[GeneratedTests]) -> CountedTests:
        made = [one for one in found if one.refused is None]
        weak = sum(bool(one.passing) for one in made)
        unproven = sum(one.wrong == 0 for one in made)
        return cls(len(made) - weak - unproven, weak, unproven, len(found) - len(made))
