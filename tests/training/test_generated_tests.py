"""Tests that programs make: the same for the same problem, checked against right and wrong solutions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacore.core.grading.programs.tests import as_gold, from_gold
from pacore.core.problem import Problem
from pacore.core.validation import validated
from pacore.errors import BadInput
from pacore.problems.files import read_problem_set
from pacore.sandbox.grade import grade_answers
from pacore.sandbox.runner import SANDBOXES
from pacore.training.generated_tests import (
    MADE_FIELD,
    CodeProblem,
    CountedTests,
    GeneratedTests,
    generated_tests,
    with_tests,
)
from tests.conftest import Pacore
from tests.fixtures.code_problems import GENERATOR, VALIDATOR, candidate, write_candidates

pytestmark = pytest.mark.slow

HANGS = "while True: pass\n"


@pytest.fixture(scope="module", autouse=True)
def _sandboxes_stay_open() -> Iterator[None]:
    with SANDBOXES:
        yield


def made(what: str = "sum", wanted: int = 8, **fields: Any) -> GeneratedTests:
    return with_tests("here", validated(CodeProblem, candidate(what, **fields)), wanted)


def gold_of(found: GeneratedTests) -> str:
    assert found.row is not None
    return json.dumps(found.row["answer"])


@pytest.mark.parametrize("is_function", [False, True])
def test_right_solutions_pass_the_tests_and_wrong_ones_do_not(is_function: bool) -> None:
    found = made("range", is_function=is_function)
    assert (found.refused, found.passing, found.tests) == (None, (), 8)
    row = candidate("range", is_function=is_function)
    gold = gold_of(found)
    verdicts = grade_answers(
        [("code", gold, one) for one in (*row["solutions"], *row["wrong"])], 5.0
    )
    assert [one.verdict for one in verdicts] == ["correct"] + ["wrong"] * len(row["wrong"])


def test_the_same_problem_has_the_same_tests_and_another_problem_others() -> None:
    first, again, longer = made(wanted=4), made(wanted=4), made(wanted=6)
    assert first == again
    assert first.row != made(problem="Write a program that prints their sum.", wanted=4).row
    assert len(from_gold(gold_of(longer)).tests) == 6


def test_inputs_are_different_and_such_as_the_validator_takes() -> None:
    few = GENERATOR + "print(number % 3)\n"
    found = made(generator=few, wanted=4)
    assert (found.tests, found.tried) == (3, 16)
    assert found.unused == {"the same as another": 13}
    even = "assert int(input()) % 2 == 0\n"
    found = made(generator=few, validator=even, wanted=3)
    assert found.tests == 2
    assert found.unused == {"the same as another": 6, "refused by the validator": 4}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"solutions": ["print(1)", "print(2)"]}, "right solution 2: 0 of 8 tests; test 1: wrong"),
        ({"solutions": ["raise ValueError('no')"]}, "right solution 1: test 1: runtime error: ValueErr"),
        ({"solutions": [HANGS], "time_limit_seconds": 0.2}, "right solution 1: test 1: timeout"),
        ({"solutions": ["import os; print(os.urandom(8))"]}, "right solution 1: 0 of 8 tests"),
        ({"generator": "import os; print(os.urandom(8))"}, "the generator gives another input"),
        ({"generator": HANGS, "time_limit_seconds": 0.2}, "no input: 5 generator: timeout"),
        ({"generator": "print('x' * 10**7)"}, "no input: 5 generator: output limit"),
        ({"generator": "x = [0] * 10**10"}, "no input: 5 generator: memory"),
        ({"generator": "import os; os.kill(os.getppid(), 9); os.abort()"}, "no input: 5 generator: "),
        ({"generator": "import sys; sys.exit(3)"}, "no input: 5 generator: runtime error: exit code 3"),
        ({"generator": "import sys; sys.stdout.buffer.write(b'\\xff')"}, "no input: 5 generator: wrong"),
        ({"generator": "this is no Python"}, "no input: 5 generator: runtime error: SyntaxError"),
        ({"validator": "assert False"}, "no input: 32 refused by the validator; the last: Asserti"),
        ({"validator": HANGS, "time_limit_seconds": 0.2}, "no input: 5 validator: timeout"),
        ({"checker": "nonsense"}, "tests: checker: unknown checker 'nonsense'"),
        ({"entry_point": "sum_of"}, "no input: 5 generator: what it prints is no JSON list"),
    ],
)  # fmt: skip
def test_what_makes_no_tests_is_refused_with_the_reason_and_in_bounded_time(
    fields: dict[str, Any], said: str
) -> None:
    began = time.monotonic()
    found = made(**fields)
    assert found.refused is not None and found.refused.startswith(said), found.refused
    assert (found.row, found.tests) == (None, 0)
    assert time.monotonic() - began < 60


def test_a_wrong_solution_that_passes_all_tests_is_counted_and_named() -> None:
    row = candidate("sum")
    found = made(wrong=[row["wrong"][0], row["solutions"][0], "print(input().split()[0])"])
    assert found.passing == (2,)
    assert found.row is not None and found.row[MADE_FIELD]["passing_wrong"] == 1
    alike = made(generator="print(7)", wrong=["print(input())"], wanted=4)
    assert (alike.tests, alike.idle, alike.passing) == (1, 1, (1,))
    refused = made(generator="pass", validator=None, solutions=["1 / 0"], wanted=2)
    some = [found, alike, made(wrong=[], wanted=2), made(wanted=4), refused]
    assert tuple(CountedTests.of(some)) == (1, 2, 1, 1)


def test_limits_and_the_checker_of_a_problem_are_those_of_its_tests() -> None:
    found = made(checker="tokens", time_limit_seconds=2, memory_limit_bytes=2**28)
    tests = from_gold(gold_of(found))
    assert (tests.time_limit_seconds, tests.memory_limit_bytes) == (2, 2**28)
    assert getattr(tests, "checker", None) == "tokens"


def test_a_row_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    row = candidate("sum")
    del row["generator"]
    file = write_candidates(tmp_path / "candidates.jsonl", candidate("sum"), row)
    with pytest.raises(BadInput, match=r"candidates.jsonl:2: generator: is needed"):
        list(generated_tests(str(file), 2))


def test_the_command_writes_a_problem_set_of_the_problems_with_tests(
    tmp_path: Path, command: Pacore
) -> None:
    broken = candidate("product", id="broken", solutions=["print('no number')", "print(1)"])
    weak = candidate("last", id="weak", wrong=candidate("last")["solutions"], source="mine")
    rows = [candidate("sum"), candidate("maximum", is_function=True), weak, broken]
    file = write_candidates(tmp_path / "candidates.jsonl", *rows)
    out = tmp_path / "problems.jsonl"
    done = command("training", "tests", str(file), "--output", str(out), "--tests", "5")
    assert done.returncode == 0, done.stderr
    assert "separate  2 problems" in done.stdout
    assert "weak      1: a wrong solution passes all tests" in done.stdout
    assert "right solution 2: 0 of 5 tests" in " ".join(done.stdout.split())
    found = {one.problem_id: one for one in read_problem_set(str(out))}
    assert list(found) == ["maximum-function", "sum-program", "weak"]
    assert found["weak"].metadata["source"] == "mine"
    for problem in found.values():
        _is_checkable(problem)
    again = command("training", "tests", str(file), "--output", str(out))
    assert (again.returncode, again.stdout) == (2, "")
    assert "is there already" in again.stderr


def _is_checkable(problem: Problem) -> None:
    assert problem.grader == "code" and problem.gold is not None
    assert as_gold(from_gold(problem.gold)) == problem.gold
    assert VALIDATOR not in json.dumps(dict(problem.metadata)), "programs stay behind"
