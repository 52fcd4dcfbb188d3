"""Grading end to end, from a conclusion to its verdict, and what hostile answers cannot do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pacore.core.grading.choose import choose_grader, gold_answer
from pacore.core.grading.extraction.extract import extract
from pacore.core.grading.programs.tests import as_gold, stdin_tests
from pacore.core.grading.verdict import CORRECT, NO_ANSWER, WRONG, Verdict
from pacore.core.problem import Problem, Turn
from pacore.sandbox.grade import grade_answers, grader_version
from pacore.sandbox.mathematics import SHARED_GRADER, MathGrader
from pacore.sandbox.programs import code_grader_version

TIMEOUT_SECONDS = 2.0


MARGIN_SECONDS = 60.0

RIGHT = {
    "01 a root in another form": (r"\sqrt{12}", r"\boxed{2\sqrt3}", True),
    "03 a line in another form": ("y=2x+1", r"\boxed{2x - y + 1 = 0}", True),
    "05 a unit in the answer": ("32", r"\boxed{32 \text{ cm}^2}", True),
    "07 a unit in the gold": ("32 cm²", r"\boxed{32}", True),
    "09 braced separators": ("1234567", r"\boxed{1{,}234{,}567}", True),
    "11 a percent sign too many": ("10", r"\boxed{10\%}", True),
    "13 another label": (r"\text{Box B}", r"\boxed{\text{Box A}}", False),
    "15 a choice with its value": ("C", r"\boxed{\textbf{(C)}\ 12}", True),
    "17 another order of a pair": ("(1,2)", r"\boxed{(2,1)}", False),
    "19 another end of an interval": ("[0,1)", r"\boxed{(0,1)}", False),
    "21 intervals as an inequality": (r"(-\infty,-2)\cup(2,\infty)", r"\boxed{|x|>2}", True),
    "23 both signs": (r"\pm 2", r"\boxed{2,-2}", True),
    "25 an equation for a number": ("7", r"\boxed{x^2+1=7}", False),
    "27 another word": ("abc", r"\boxed{cab}", False),
    "29 scientific notation": ("1e3", r"\boxed{1000}", True),
    "31 rounded away": (r"\frac{1}{10000000}", r"\boxed{0.0}", False),
    "33 thirty digits and one more": ("1" * 30, rf"\boxed{{{'1' * 29}2}}", False),
    "35 an approximation as gold": ("3.14", r"\boxed{\pi}", False),
    "37 an empty box": ("7", r"The answer is \boxed{}. But 7", False),
    "39 a cut box": ("7", r"\boxed{7", False),
    "41 a final period": ("5", r"\boxed{5.}", True),
    "43 a root sign without a box": (r"2\sqrt{3}", "2√3", True),
    "45 a number in words": ("2", r"\boxed{\text{two}}", True),
    "49 two answers": ("12", r"\boxed{12 \text{ or } 13}", False),
    "degrees in a function": (r"\sin 30^\circ", r"\boxed{\sin 30}", False),
    "a set in another order": (r"\{1,2,3\}", r"\boxed{\{3,2,1\}}", True),
    "a sum in another order": ("x²+1", r"\boxed{1+x^2}", True),
    "an interval of a variable": (r"x \in [1,2]", r"\boxed{[1,2]}", True),
    "another variable": ("x=3", r"\boxed{y=3}", False),
    "a matrix": (
        r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        r"\boxed{\begin{bmatrix}1&2\\3&4\end{bmatrix}}",
        True,
    ),
    "six good digits": ("1/17", r"\boxed{0.0588235}", True),
    "three good digits": ("2/3", r"\boxed{0.667}", False),
    "a plain square root": (r"2\sqrt{3}", r"\boxed{2*sqrt(3)}", True),
    "an angle": (r"120^\circ", r"\boxed{\angle ABC=120^\circ}", True),
    "a coordinate pair": ("(2,3)", r"\boxed{(x,y)=(2,3)}", True),
    "a number in prose": (r"\frac{1}{2}", "Halves.\n\nSo the answer is $x = 0.5$.", True),
    "a date": ("2018", r"\boxed{2024-05-01}", False),
    "prose": ("7", r"\boxed{\text{I do not know}}", False),
    "a worked solution as gold": (r"So it is $\boxed{\frac{1}{2}}$.", r"\boxed{\sin(\pi/6)}", True),
}

KNOWN_WRONG = {
    "47 a word for the empty set": (r"\text{no solution}", r"\boxed{\emptyset}", True),
    "a sum of unknowns that was asked for": ("73", r"\boxed{m+n=73}", True),
    "an unfinished calculation": ("2026", r"\boxed{2025+1}", False),
}
"""What the graders get wrong, with the right verdict. The first two refuse right answers."""

CASES = RIGHT | KNOWN_WRONG


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    items = []
    for gold, conclusion, _ in CASES.values():
        problem = Problem("p", (Turn("user", "What?"),), gold)
        grader = choose_grader(problem)
        found = extract(conclusion, grader)
        items.append((grader, gold_answer(problem) or "", found.text if found else None))
    return dict(zip(CASES, grade_answers(items, 10.0), strict=True))


@pytest.fixture(scope="module")
def grader() -> Iterator[MathGrader]:
    with MathGrader() as one:
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("case", RIGHT)
def test_answers_are_graded_right(case: str, verdicts: dict[str, Verdict]) -> None:
    assert verdicts[case].score == float(RIGHT[case][2])


@pytest.mark.parametrize("case", KNOWN_WRONG)
def test_answers_known_to_be_graded_wrong_still_are(
    case: str, verdicts: dict[str, Verdict]
) -> None:
    assert verdicts[case] == (WRONG if KNOWN_WRONG[case][2] else CORRECT)


GOLDS = [
    r"\frac{3}{4}", r"2\sqrt{3}-1", r"(-\infty, 0) \cup [1, \infty)", r"x^2 - 3x + 2", r"\{1, 2\}",
    r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "(3, -4)", r"\frac{\pi}{6}", "e^{2}", "3+4i", r"\pm 5",
    r"y = -\frac{2}{3}x + 1", r"\log_2 3", r"\binom{10}{3}", r"-2 < x \le 5", r"f(x) = 2x",
]  # fmt: skip


@pytest.mark.slow
def test_every_gold_answer_matches_itself_in_computer_algebra(grader: MathGrader) -> None:
    pairs = [(gold, gold + r"\,") for gold in GOLDS]
    assert grader.grade_many(pairs, 10.0) == [CORRECT] * len(pairs)


def test_verdicts_come_in_the_order_of_the_items_whatever_decides_them() -> None:
    items = [
        ("math", r"\sqrt{8}", r"2\sqrt{2}"),
        ("math", "7", "8"),
        ("choice", "C", "(C)"),
        ("math", r"\sqrt{8}", r"2\sqrt{3}"),
        ("text", "Paris", None),
        ("math", r"\frac{", "x+1"),
        ("math", r"\sqrt{8}", r"2\sqrt{2}"),
    ]
    expected = [CORRECT, WRONG, CORRECT, WRONG, NO_ANSWER, WRONG, CORRECT]
    assert grade_answers(items, 10.0) == expected
    assert grade_answers([], 10.0) == []


def test_programs_are_graded_beside_other_answers() -> None:
    gold = as_gold(stdin_tests([("1 2", "3"), ("2 2", "4")]))
    items = [
        ("math", "7", "7"),
        ("code", gold, "print(sum(map(int, input().split())))"),
        ("code", gold, "print(3)"),
        ("math", "7", "8"),
        ("code", gold, None),
    ]
    right, correct, wrong, other, missing = grade_answers(items, 10.0)
    assert (right, correct, other, missing) == (CORRECT, CORRECT, WRONG, NO_ANSWER)
    assert wrong[:2] == ("wrong", 0.5)
    assert grader_version("code") == code_grader_version()


def test_what_rules_decide_starts_no_process() -> None:
    SHARED_GRADER.close()
    assert grade_answers([("math", "7", "8"), ("math", "7", "x^2+1=7")], 10.0) == [WRONG, WRONG]
    assert SHARED_GRADER.process_id is None


def test_the_version_names_the_rules_and_the_libraries() -> None:
    version = r"-\d+\.\d+(\.\d+)?"
    assert re.fullmatch(rf"4\+mpmath{version}\+sympy{version}", grader_version("math"))
    assert grader_version("choice") == grader_version("text") == "4"


STRANGE = [
    "\x00",
    "\ud800",
    "a\nb",
    "\u2028",
    "\\",
    "}",
    "{",
    "%",
    "\\boxed{",
    "😀",
    "$",
    "import os",
]


@pytest.mark.parametrize("answer", STRANGE)
def test_strange_text_is_wrong_and_nothing_worse(answer: str, grader: MathGrader) -> None:
    assert grader.grade_many([("7", answer), ("x+1", "1+x")], 10.0) == [WRONG, CORRECT]


HARD = r"\int_0^\infty e^{-x^2}\sin(x^3)\ln(x)\,dx"
"""What computer algebra would work on for minutes."""

HOSTILE = {
    "a tower": r"10^{10^{10}}",
    "a taller tower": r"9^{9^{9^{9}}}",
    "a factorial of a factorial": "(20!)!",
    "a factorial of a million": "1000000!",
    "a product of a million": r"\prod_{n=1}^{10^6}(n^2+1)",
    "a sum of a hundred million": r"\sum_{n=1}^{10^8}\frac{1}{n^2+\sin n}",
    "a great binomial": r"\binom{10^9}{5\cdot10^8}",
    "a great power of a sum": "(x+1)^{10^{12}} - (x+1)^{10^{12}} + 7x",
    "nested roots": r"\sqrt{2+" * 15 + "2" + "}" * 15,
    "powers of powers": "2" + "^{2" * 18 + "}" * 18,
    "a hard integral": HARD,
}


HOSTILE_AND_LONG = {
    "openings without end": "\\[" * 50_000,
    "a set of three thousand": r"\{" + ",".join(map(str, range(3_000))) + r"\}",
    "deep braces": "{" * 2_000 + "5" + "}" * 2_000,
    "a sum of thousands": "1" + "+1" * 20_000,
    "a million digits": "9" * 1_000_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_answer_costs_its_timeout_and_the_pool_goes_on(
    case: str, grader: MathGrader
) -> None:
    start = time.monotonic()
    verdict, after = grader.grade_many([("7", HOSTILE[case]), ("x+1", "1+x")], TIMEOUT_SECONDS)
    assert time.monotonic() - start < TIMEOUT_SECONDS + MARGIN_SECONDS
    assert after == CORRECT
    assert verdict == WRONG or (verdict.verdict in ("timeout", "crash") and verdict.detail)
    assert grader.grade_many([(r"\sqrt{8}", r"2\sqrt{2}")], TIMEOUT_SECONDS) == [CORRECT]


def test_the_caps_keep_long_answers_from_computer_algebra() -> None:
    SHARED_GRADER.close()
    items = [("math", "7", answer) for answer in HOSTILE_AND_LONG.values()]
    assert grade_answers(items, 0.001) == [WRONG] * len(items)
    assert SHARED_GRADER.process_id is None


@pytest.mark.slow
def test_equal_answers_are_graded_once() -> None:
    start = time.monotonic()
    verdicts = grade_answers([("math", "7", HARD)] * 40, 0.1)
    assert verdicts == [Verdict("timeout", None, "no verdict within 0.1 s")] * 40
    assert time.monotonic() - start < MARGIN_SECONDS


@pytest.mark.slow
def test_a_calculation_of_too_many_steps_is_a_timeout_that_says_so(grader: MathGrader) -> None:
    (verdict,) = grader.grade_many([("7", HARD)], 120.0)
    assert verdict == Verdict("timeout", None, "no verdict within 1,000,000 calls of functions")
    assert grader.key_many([HARD], 120.0) == [None]


def test_threads_share_one_grader_process() -> None:
    def grade(number: int) -> tuple[list[Verdict], int | None]:
        items = [
            ("math", rf"\sqrt{{{number}}}", rf"\frac{{{number}}}{{\sqrt{{{number}}}}}"),
            ("math", rf"\sqrt{{{number}}}", rf"\sqrt{{{number}}}+10^{{-90}}"),
        ]
        return grade_answers(items, 10.0), SHARED_GRADER.process_id

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(grade, range(2, 14)))
    assert [verdicts for verdicts, _ in results] == [[CORRECT, WRONG]] * 12
    # Roots that are whole numbers are decided without a process.
    assert len({process_id for _, process_id in results} - {None}) == 1
