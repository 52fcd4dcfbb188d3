"""Verdicts are those of the public runners of LiveCodeBench, HumanEval and MBPP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from pacore.core.grading.programs.results import ProgramReport
from pacore.core.grading.programs.tests import CodeTests, assertion_tests, check_tests, stdin_tests
from pacore.problems.program_tests import called_tests
from pacore.sandbox.programs import run_tests
from pacore.sandbox.runner import SANDBOXES
from tests.conftest import ROOT
from tests.fixtures.public_runners import (
    humaneval,
    json_lines,
    livecodebench_function,
    livecodebench_stdin,
    mbpp,
)

SECONDS = 1.0
"""Limit of CPU time, which does not depend on what else the machine does."""

SUM = [("3\n1 2 3\n", "6\n"), ("1\n-5\n", "-5"), ("4\n10 20 30 40", "100\n")]


HALVES = [("5\n", "2.5\n0.50\n"), ("2", "1.0\n1"), (f"{10**17 + 1}", f"{10**17 // 2}.5\n2E-17")]


WORDS = [("2\nabc\nxyz\n", "YES abc\nYES xyz\n"), ("1\nq\n", "NO q\n")]


PAIRS = [
    (json_lines([2, 7, 11, 15], 9), "[0, 1]"),
    (json_lines([3, 3], 6), "[0, 1]"),
    (json_lines([1, 5, 2], 7), "[1, 2]"),
]


COMMON = [
    "assert set(common([3, 4, 5], [5, 7, 4])) == {4, 5}",
    "assert common([], [1]) == ()",
    "assert isinstance(common([1], [1]), tuple) and math.prod(common([2, 3], [3, 2])) == 6",
]


PROMPT = '''from typing import List, Tuple
import math


def span(numbers: List[float]) -> Tuple[float, float]:
    """ Return the smallest and the largest of the numbers, and (0, 0) without any.
    >>> span([3.0, 1.0, 2.0])
    (1.0, 3.0)
    """
'''


CHECK = """

METADATA = {'author': 'nobody', 'dataset': 'none'}


def check(candidate):
    assert candidate([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert candidate([]) == (0, 0), "empty"
    low, high = candidate([-1.5, 4])
    assert math.isclose(high - low, 5.5)
    for value in range(3):
        assert candidate([value]) == (value, value)
    assert True
"""


class Problem(NamedTuple):
    """A problem's tests as pacore has them, and the public rule for a program."""

    tests: CodeTests
    public: Callable[[str], bool]


PROBLEMS: Mapping[str, Problem] = {
    "sum": Problem(
        stdin_tests(SUM, time_limit_seconds=SECONDS), lambda one: livecodebench_stdin(one, SUM)
    ),
    "halves": Problem(stdin_tests(HALVES), lambda one: livecodebench_stdin(one, HALVES)),
    "words": Problem(stdin_tests(WORDS), lambda one: livecodebench_stdin(one, WORDS)),
    "pairs": Problem(
        called_tests("twoSum", PAIRS).model_copy(update={"time_limit_seconds": SECONDS}),
        lambda one: livecodebench_function(one, "twoSum", PAIRS),
    ),
    "span": Problem(
        check_tests("span", CHECK, prelude=PROMPT, time_limit_seconds=SECONDS),
        lambda one: humaneval(PROMPT, one, CHECK, "span"),
    ),
    "common": Problem(
        assertion_tests(COMMON, setup="import math", time_limit_seconds=SECONDS),
        lambda one: mbpp(one, "import math", COMMON),
    ),
}

ROWS = (ROOT / "tests/labelled/public_programs.jsonl").read_text().splitlines()


PROGRAMS: dict[str, dict[str, Any]] = {
    f"{row['of']}, {'right' if row['is_right'] else 'wrong'}: {row['name']}": row
    for row in map(json.loads, ROWS)
}
"""Programs of our own; each name says what is peculiar about one."""

ENDLESS = ("never ends", "sleeps")


@pytest.fixture(scope="module", autouse=True)
def sandboxes() -> Iterator[None]:
    """Kept, so that a program costs no sandbox of its own."""
    with SANDBOXES:
        yield


def test_there_are_enough_of_either() -> None:
    assert len(PROGRAMS) == len(ROWS)
    assert sum(row["is_right"] for row in PROGRAMS.values()) >= 60
    assert sum(not row["is_right"] for row in PROGRAMS.values()) >= 60


def report_of(name: str) -> ProgramReport:
    return run_tests(PROGRAMS[name]["program"], PROBLEMS[PROGRAMS[name]["of"]].tests)


@pytest.fixture(scope="module")
def of_the_endless() -> Mapping[str, ProgramReport]:
    """The reports of programs that take all their time, which they take side by side."""
    endless = [name for name, row in PROGRAMS.items() if row["name"] in ENDLESS]
    with ThreadPoolExecutor(len(endless)) as threads:
        return dict(zip(endless, threads.map(report_of, endless), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_passes_if_it_is_right(
    name: str, of_the_endless: Mapping[str, ProgramReport]
) -> None:
    row = PROGRAMS[name]
    report = of_the_endless[name] if name in of_the_endless else report_of(name)
    assert (report.verdict().verdict == "correct") is row["is_right"], report


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in PROGRAMS if PROGRAMS[name]["name"] not in ENDLESS]
)
def test_the_public_rule_says_the_same(name: str) -> None:
    row = PROGRAMS[name]
    assert PROBLEMS[row["of"]].public(row["program"]) is row["is_right"]
