"""The gold answer of a code problem: what it says, and what is wrong with one that says nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.choose import choose_grader, gold_answer
from pacore.core.grading.programs.results import NOT_RUN, CaseOutcome, ProgramReport
from pacore.core.grading.programs.tests import (
    AssertionTests,
    CodeTests,
    CustomChecker,
    as_gold,
    assertion_tests,
    check_tests,
    from_gold,
    function_tests,
    stdin_tests,
)
from pacore.core.grading.verdict import CORRECT, Verdict
from pacore.core.problem import Problem, Turn
from pacore.errors import BadInput
from tests.fixtures.nested_values import nested

GOLDS: dict[str, tuple[CodeTests, str]] = {
    "stdin": (
        stdin_tests([("1 2\n", "3\n")]),
        '{"kind":"stdin","tests":[{"input":"1 2\\n","output":"3\\n"}]}',
    ),
    "stdin with everything": (
        stdin_tests([("", "é")], "wcmp", time_limit_seconds=2, memory_limit_bytes=2**28),
        '{"checker":"tokens","kind":"stdin","memory_limit_bytes":268435456,'
        '"tests":[{"input":"","output":"é"}],"time_limit_seconds":2.0}',
    ),
    "a checker": (
        stdin_tests([("", "1")], "reals:1e-6"),
        '{"checker":"reals:1e-6","kind":"stdin","tests":[{"input":"","output":"1"}]}',
    ),
    "a checker of its own": (
        stdin_tests([("", "1")], CustomChecker(source="def check(*texts): return True")),
        '{"checker":{"source":"def check(*texts): return True"},"kind":"stdin",'
        '"tests":[{"input":"","output":"1"}]}',
    ),
    "function": (
        function_tests("add", [([1, {"a": [None, 2.5]}], "x")], tolerance=1e-6),
        '{"entry_point":"add","kind":"function","tests":[{"arguments":[1,{"a":[null,2.5]}],'
        '"result":"x"}],"tolerance":1e-06}',
    ),
    "assertions": (
        assertion_tests(["assert f(1) == 1"], setup="import math", prelude="x = 1"),
        '{"kind":"assertions","prelude":"x = 1","setup":"import math","tests":["assert f(1) == 1"]}',
    ),
}


@pytest.mark.parametrize("case", GOLDS)
def test_a_gold_answer_says_its_tests_in_one_way(case: str) -> None:
    tests, gold = GOLDS[case]
    assert as_gold(tests) == gold
    assert from_gold(gold) == tests
    assert from_gold(json.dumps(json.loads(gold), indent=1)) == tests


FAULTS: dict[str, str] = {
    "": "is not JSON: EOF while parsing a value at line 1 column 0",
    "[]": "must be an object: names, each with a value",
    "{}": "needs the name 'kind'",
    '{"kind": "stdin"}': "tests: is needed",
    '{"kind": "stdin", "tests": []}': "tests: must not be empty",
    '{"kind": "stdin", "tests": [{"input": "1"}]}': "tests.0.output: is needed",
    '{"kind": "stdin", "tests": [{"input": "1", "output": 3}]}': ("tests.0.output: must be text"),
    '{"kind": "stdin", "tests": [{"input": "", "output": ""}], "checker": "vibes"}': (
        "checker: unknown checker 'vibes'"
    ),
    '{"kind": "stdin", "tests": [{"input": "", "output": ""}], "limit": 3}': (
        "limit: is not a known name"
    ),
    '{"kind": "stdin", "tests": [{"input": "", "output": ""}], "time_limit_seconds": 0}': (
        "time_limit_seconds: must be greater than 0"
    ),
    '{"kind": "function", "entry_point": "a.b", "tests": [{"arguments": [], "result": 1}]}': (
        "entry_point: must be a name as programs have them: letters, digits and _, no digit first"
    ),
    '{"kind": "function", "entry_point": "f", "tests": [{"arguments": 1, "result": 1}]}': (
        "tests.0.arguments: must be a list"
    ),
    '{"kind": "assertions", "tests": [1]}': "tests.0: must be text",
}


@pytest.mark.parametrize("gold", FAULTS)
def test_a_gold_answer_that_says_no_tests_is_refused_by_field(gold: str) -> None:
    with pytest.raises(BadInput) as found:
        from_gold(gold)
    assert str(found.value) == FAULTS[gold] or str(found.value).startswith(FAULTS[gold])
    assert "\n" not in str(found.value)


def test_what_no_gold_answer_can_say_is_refused_when_it_is_made() -> None:
    with pytest.raises(BadInput, match="unknown checker"):
        stdin_tests([("", "")], "vibes")
    with pytest.raises(BadInput, match=r"^tests\.0\.output: "):
        stdin_tests([("", 3)])  # type: ignore[list-item]
    with pytest.raises(BadInput, match=r"^tests: are not JSON: "):
        as_gold(function_tests("f", [([], float("nan"))]))
    with pytest.raises(BadInput, match=r"^tests: are not JSON: .* surrogates"):
        as_gold(assertion_tests(["assert '\ud800'"]))


def test_a_check_becomes_one_test_for_each_of_its_assertions() -> None:
    check = """
METADATA = {}

def helper(x):
    return x

def check(candidate):
    first = candidate(1)
    assert first == 1, "one"
    assert True
    if first:
        assert candidate(2) == 2
    second = helper(3)
    assert second == candidate(3)
"""
    tests = check_tests("f", check, prelude="def f(x): pass").tests
    bodies = [test.partition("check(candidate):\n")[2] for test in tests]
    assert bodies == [
        "    first = candidate(1)\n    assert first == 1, 'one'\n\ncheck(f)",
        "    first = candidate(1)\n    if first:\n        assert candidate(2) == 2\n\ncheck(f)",
        "    first = candidate(1)\n    second = helper(3)\n    assert second == candidate(3)\n\ncheck(f)",
    ]
    assert all(test.startswith("METADATA = {}\n\ndef helper(x):") for test in tests)


def test_a_check_that_asserts_only_within_a_function_of_its_own_is_one_test() -> None:
    check = "def check(f):\n    def same(x):\n        assert f(x) == x\n    same(1)\n    same(2)"
    assert check_tests("f", check).tests == (f"{check}\n\ncheck(f)",)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("def check(f", "check: is not Python: '(' was never closed"),
        ("def test(f): assert f(1)", "check: has no function check(candidate) with an assertion"),
        ("def check(f): f(1)", "check: has no function check(candidate) with an assertion"),
        ("-" * 100_000 + "1", "check: is not Python: "),
    ],
)
def test_a_check_that_checks_nothing_is_refused(check: str, message: str) -> None:
    with pytest.raises(BadInput) as found:
        check_tests("f", check)
    assert str(found.value).startswith(message)


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


JSON: st.SearchStrategy[Any] = nested(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_every_input_and_output_comes_back(pairs: list[tuple[str, str]]) -> None:
    tests = stdin_tests(pairs)
    assert from_gold(as_gold(tests)) == tests
    assert [(test.input, test.output) for test in tests.tests] == pairs


@given(st.lists(st.tuples(st.lists(JSON, max_size=3), JSON), min_size=1, max_size=3))
def test_every_argument_and_result_comes_back(pairs: list[tuple[list[Any], Any]]) -> None:
    gold = as_gold(function_tests("f", pairs))
    assert as_gold(from_gold(gold)) == gold
    assert [[test["arguments"], test["result"]] for test in json.loads(gold)["tests"]] == [
        list(pair) for pair in pairs
    ]


def test_a_gold_answer_of_a_code_problem_is_taken_whole() -> None:
    gold = as_gold(stdin_tests([("\\boxed{1}", " 2 ")]))
    problem = Problem("p", (Turn("user", "Add."),), gold, "code")
    assert gold_answer(problem) == gold
    assert choose_grader(problem) == "code"


def test_a_report_becomes_a_verdict_with_the_pass_rate() -> None:
    passed, failed = CaseOutcome("passed", 1.0), CaseOutcome("timeout")
    assert ProgramReport((passed, passed)).verdict() == CORRECT
    assert ProgramReport((passed, failed, NOT_RUN)).verdict() == Verdict(
        "wrong", 1 / 3, "1 of 3 tests; test 2: timeout"
    )
    partly = CaseOutcome("wrong_output", 0.5, excerpt="the checker returned 0.5")
    assert ProgramReport((partly, passed)).verdict() == Verdict(
        "wrong", 0.75, "1 of 2 tests; test 1: wrong output: the checker returned 0.5"
    )


def test_a_wrong_program_never_scores_one() -> None:
    almost = CaseOutcome("wrong_output", 1.0 - 1e-16)
    assert ProgramReport((almost,) * 3).score < 1.0
    assert ProgramReport((almost._replace(points=1.0),)).score < 1.0


def test_tests_made_by_name_are_those_a_gold_answer_says() -> None:
    assert isinstance(from_gold('{"kind":"assertions","tests":["assert f()"]}'), AssertionTests)
