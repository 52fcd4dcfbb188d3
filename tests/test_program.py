"""The program that a conclusion gives."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.answer import Extracted, extract
from pacore.program import extract_program

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
    "another language, if that is all": (fenced("int main() {}", "cpp"), "int main() {}"),
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
    "a blank block after a whole one": (f"{fenced(CODE)}\n{fenced(' ')}", CODE),
    "a carriage return a line": (fenced(CODE).replace("\n", "\r\n"), CODE),
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
    "one block left open": f"So:\n```python\n{CODE}\n",
    "blank blocks": f"{fenced('')}\n{fenced('  ')}",
    "a box": "\\boxed{print(1)}",
    "two blocks left open": "```python\nx = 1\n```python\ny = 2",
}


@pytest.mark.parametrize("case", NONE)
def test_where_there_is_no_program_none_is_found(case: str) -> None:
    assert extract_program(NONE[case]) is None


def test_an_answer_to_a_code_problem_is_its_program() -> None:
    text = f"It is \\boxed{{7}}.\n{fenced(CODE)}"
    assert extract(text, "code") == Extracted(CODE, "program")
    assert extract("It is \\boxed{7}.", "code") is None


@given(st.text(st.sampled_from("`~ \tpyx=\n\r(){}"), max_size=80))
def test_any_text_gives_a_program_or_none(text: str) -> None:
    program = extract_program(text)
    assert program is None or program.strip()


@given(st.text(st.characters(exclude_characters="`~\r\n", codec="utf-8")))
def test_a_line_in_a_block_is_found_as_it_is(line: str) -> None:
    assert extract_program(f"See:\n{fenced(line)}\nDone.") == (line if line.strip() else None)


@pytest.mark.parametrize(
    "text",
    ["```" * 300_000, "```python\n" * 100_000, "`\n" * 400_000, "x" * 2_000_000, "x" + "[" * 900_000,
     "a," * 400_000 + "= 1", "x." * 400_000 + "=", "f(" * 400_000, "a b" * 300_000, " " * 900_000 + "x"],
)  # fmt: skip
def test_a_long_text_takes_time_linear_in_its_length(text: str) -> None:
    start = time.monotonic()
    extract_program(text)
    assert time.monotonic() - start < 10.0
