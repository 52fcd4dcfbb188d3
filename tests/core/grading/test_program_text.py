"""The program that a conclusion gives."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.extraction.extract import Extracted, extract
from pacore.core.grading.programs.program import Wanted, extract_program
from pacore.core.grading.programs.tests import (
    CodeTests,
    as_gold,
    assertion_tests,
    check_tests,
    function_tests,
    stdin_tests,
    wanted_of,
)
from pacore.sandbox.programs import run_tests
from pacore.sandbox.runner import SANDBOXES
from tests.conftest import ROOT

CODE = "n = int(input())\nif n:\n    print(n)"


def fenced(body: str, label: str = "python", fence: str = "```") -> str:
    return f"{fence}{label}\n{body}\n{fence}"


FOUND = {
    "a block between words": (f"So:\n\n{fenced(CODE)}\n\nThis is linear.", CODE),
    "the last of several": (f"{fenced('slow')}\nBetter:\n{fenced(CODE)}", CODE),
    "a label in capitals": (fenced(CODE, "Python"), CODE),
    "a label with a version": (fenced(CODE, "python3.11"), CODE),
    "a short label": (fenced(CODE, "py"), CODE),
    "a label with more after it": (fenced(CODE, 'python title="a.py"'), CODE),
    "a label in braces": (fenced(CODE, "{.python}"), CODE),
    "no label": (fenced(CODE, ""), CODE),
    "Python before an example of output": (f"{fenced(CODE)}\nIt prints\n{fenced('3', '')}", CODE),
    "no label before a shell line": (f"{fenced(CODE, '')}\n{fenced('python a.py', 'bash')}", CODE),
    "tildes": (fenced(CODE, "python", "~~~"), CODE),
    "a longer fence around a shorter one": (
        fenced(f"'''\n```\n'''\n{CODE}", "python", "````"),
        f"'''\n```\n'''\n{CODE}",
    ),
    "a block in a list": (
        "1. Read:\n\n   ```python\n   if 1:\n       print(1)\n\n   print(2)\n   ```",
        "if 1:\n    print(1)\n\nprint(2)",
    ),
    "a body alone": (fenced("    return a + b"), "    return a + b"),
    "a block left open before a whole one": (f"```python\nx = (\n\nAgain:\n{fenced(CODE)}", CODE),
    "a whole block before one left open": (f"{fenced(CODE)}\nOr faster:\n```python\nimport", CODE),
    "a block left open where the model ended": (f"So:\n```python\n{CODE}", CODE),
    "a blank block after a whole one": (f"{fenced(CODE)}\n{fenced(' ')}", CODE),
    "a carriage return a line": (fenced(CODE).replace("\n", "\r\n"), CODE),
    "what is no Python, if that is all": (fenced("for x in :"), "for x in :"),
    "an import without a fence": ("import sys\nprint(1)", "import sys\nprint(1)"),
    "an import from a module": ("from math import gcd\nprint(gcd(4, 6))", None),
    "a function without a fence": ("def f(x):\n    return x", None),
    "a decorator": ("@cache\ndef f(x): return x", None),
    "a class": ("class Solution:\n    pass", None),
    "a comment first": ("# Sum of two\nprint(1)", None),
    "an assignment": ("a, b = map(int, input().split())\nprint(a + b)", None),
    "a declaration": ("total: int = 0", None),
    "an addition": ("x[0] += 1", None),
    "a call": ("print(sum(map(int, input().split())))", None),
    "a loop": ("for _ in range(int(input())):\n    print(1)", None),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_program_is_found(case: str) -> None:
    text, expected = FOUND[case]
    assert extract_program(text) == (text if expected is None else expected)


NONE = {
    "nothing": "",
    "prose": "I do not know how to solve this.",
    "prose that begins like an import": "from the statement we see that n is even",
    "prose that begins like a loop": "for every n there is a solution",
    "prose that begins like a class": "class sizes are even",
    "prose with a number": "The answer is 7.",
    "prose with a call": "f(x) is even",
    "an equation": "x == 3",
    "blank blocks": f"{fenced('')}\n{fenced('  ')}",
    "a box": "\\boxed{print(1)}",
    "another language": fenced("int main() {}", "cpp"),
}


@pytest.mark.parametrize("case", NONE)
def test_where_there_is_no_program_none_is_found(case: str) -> None:
    assert extract_program(NONE[case]) is None


LABELLED: dict[str, dict[str, Any]] = {
    row["name"]: row
    for row in map(
        json.loads,
        (ROOT / "tests/labelled/conclusions_with_programs.jsonl").read_text().splitlines(),
    )
}
"""Conclusions with a program that doubles a number: ``found`` says whether it passes its tests.

``by`` is the kind of these; ``is_known`` whether who looks for the program knows them.
"""

PROMPT = 'def double(n: int) -> int:\n    """Double a number."""\n'


DOUBLING: dict[str, CodeTests] = {
    "stdin": stdin_tests([("3\n", "6\n"), ("5\n", "10\n")]),
    "function": function_tests("double", [([3], 6), ([5], 10)]),
    "check": check_tests(
        "double", "def check(candidate):\n    assert candidate(3) == 6", prelude=PROMPT
    ),
}


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[None]:
    """Kept, so that a case costs no sandbox of its own."""
    with SANDBOXES:
        yield


@pytest.mark.usefixtures("sandboxes")
@pytest.mark.parametrize("case", LABELLED)
def test_what_is_found_is_the_program(case: str) -> None:
    row = LABELLED[case]
    tests = DOUBLING[row["by"]]
    wanted = wanted_of("code", as_gold(tests)) if row.get("is_known", True) else None
    program = extract_program(row["text"], wanted, is_cut=row.get("is_cut", False))
    if program is None:
        assert row["found"] == "none"
    else:
        is_right = run_tests(program, tests).passed == len(tests.tests)
        assert row["found"] == ("right" if is_right else "wrong")


def test_a_block_that_was_cut_is_no_program() -> None:
    text = f"So:\n```python\n{CODE}\n"
    assert extract_program(text) == CODE + "\n"
    assert extract_program(text, is_cut=True) is None
    assert extract_program(f"{fenced('print(1)')}\n{text}", is_cut=True) == "print(1)"
    assert extract_program(CODE, is_cut=True) is None


@pytest.mark.parametrize(
    ("tests", "names", "may_continue"),
    [
        (DOUBLING["stdin"], set(), False),
        (DOUBLING["function"], {"double"}, False),
        (DOUBLING["check"], {"double"}, True),
        (assertion_tests(["assert f(g(1)) == 1", "assert set(f(2)) == {2}"]), {"f"}, False),
        (assertion_tests(["x = T(1)\nassert h(x)"], setup="def h(x): return x"), {"T"}, False),
        (assertion_tests(["assert f(1)", "assert g(1)"]), {"f", "g"}, False),
        (assertion_tests(["assert ("]), set(), False),
    ],
)
def test_tests_say_what_they_run(tests: CodeTests, names: set[str], may_continue: bool) -> None:
    assert wanted_of("code", as_gold(tests)) == Wanted(frozenset(names), may_continue)


def test_what_is_no_tests_says_nothing() -> None:
    assert wanted_of("code", "7") is None
    assert wanted_of("code", None) is None
    assert wanted_of("math", as_gold(DOUBLING["stdin"])) is None


def test_an_answer_to_a_code_problem_is_its_program() -> None:
    text = f"It is \\boxed{{7}}.\n{fenced(CODE)}"
    assert extract(text, "code") == Extracted(CODE, "program")
    assert extract("It is \\boxed{7}.", "code") is None
    two = fenced("def f(x):\n    return x") + "\n" + fenced("def g(x):\n    return f(f(x))")
    found = extract(two, "code", Wanted(frozenset({"f"})))
    assert found == Extracted("def f(x):\n    return x", "program")


@given(st.text(st.sampled_from("`~ \tpyx=\n\r(){}"), max_size=80))
def test_any_text_gives_a_program_or_none(text: str) -> None:
    program = extract_program(text)
    assert program is None or program.strip()


PIECES = [
    "```python\n", "```\n", "~~~\n", "````", "> ", "1. ", "    ", "def f(x):\n", "return x\n", "'''",
    '"""', "'\\d'", "\\N{a}", "1or 2\n", "print(f(1))\n", "import os\n", "class A:\n", "<code>", "</code>",
    "<pre>", "&lt;", "(", ")", "[", "#", "\\\n", "\x00", "\ud800", "\u2028", "Words here.\n", "\n\n", "@",
    "assert x\n", "n = int(input())\n", "x = 1\n", "lambda: ", "f'{x!r:>{y}}'", "match x:\n", "\t",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.booleans(), st.booleans())
def test_no_text_raises_or_warns(text: str, is_cut: bool, is_function: bool) -> None:
    wanted = Wanted(frozenset({"f"}), may_continue=True) if is_function else Wanted()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program = extract_program(text, wanted, is_cut=is_cut)
    assert program is None or program.strip()


@given(st.text(st.characters(exclude_characters="`~\r\n", codec="utf-8")))
def test_a_line_in_a_block_is_found_as_it_is(line: str) -> None:
    assert extract_program(f"See:\n{fenced(line)}\nDone.") == (line if line.strip() else None)


@pytest.mark.parametrize(
    "text",
    ["```" * 300_000, "```python\n" * 100_000, "`\n" * 400_000, "x" * 2_000_000, "x" + "[" * 900_000,
     "a," * 400_000 + "= 1", "x." * 400_000 + "=", "f(" * 400_000, "a b" * 300_000, " " * 900_000 + "x",
     "=\n" * 500_000, "```\nx = 1\n```\n" * 80_000, "```python\n'''\n```\n" * 60_000, "<code>\n" * 100_000,
     "> " * 400_000, "(\n" * 400_000, '"\\' * 400_000, "'''\\" * 200_000, "@a\n" * 300_000,
     "if a:\n" * 150_000, "1or " * 200_000, "\\N{" * 200_000, "return a\n\n" * 50_000,
     "```py\n" + "-" * 190_000 + "1\n```", "```py\nx" + ".x" * 90_000 + "\n```"],
)  # fmt: skip
def test_a_long_text_takes_time_linear_in_its_length(text: str) -> None:
    # Of this process alone, and far more than it takes: the square of these lengths takes hours.
    start = time.process_time()
    extract_program(text)
    assert time.process_time() - start < 20.0
