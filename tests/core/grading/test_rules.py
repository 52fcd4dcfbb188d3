# ruff: noqa: RUF001 - characters that look like others are what is graded here
"""What exact rules decide without computer algebra."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.choose import choose_grader, gold_answer
from pacore.core.grading.rules import grade_fast
from pacore.core.grading.verdict import CORRECT, NO_ANSWER, WRONG, Verdict
from pacore.core.problem import Problem, Turn

GRADERS = ("math", "choice", "text", "numeric")


def problem(gold: str | None, grader: str | None = None) -> Problem:
    return Problem("p", (Turn("user", "What?"),), gold, grader)


@pytest.mark.parametrize(
    ("gold", "grader"),
    [
        ("C", "choice"), ("(J)", "choice"), (r"\text{(C)}", "choice"), ("$B$", "choice"),
        ("K", "math"), ("x", "math"), ("c", "math"),
        ("42", "math"), ("-1,234", "math"), ("2.5", "math"), ("1/2", "math"), ("10%", "math"),
        ("1e3", "math"), (r"\frac{1}{2}", "math"), ("x^2 + 1", "math"), ("y=2x+1", "math"),
        ("(1, 2)", "math"), ("[0,1)", "math"), ("2sin(3)", "math"), ("32 cm²", "math"),
        ("5 m/s", "math"), (r"32 \text{ cm}^2", "math"), (r"\sqrt{2} \text{ meters}", "math"),
        ("√2", "math"), ("A, B, C", "math"),
        ("abc", "text"), ("Paris", "text"), ("no", "text"), (r"\text{no solution}", "text"),
        (r"\text{Box B}", "text"), ("17 March 1999", "text"), ("well-known", "text"), ("?", "text"),
    ],
)  # fmt: skip
def test_the_gold_answer_calls_for_its_grader(gold: str, grader: str) -> None:
    assert choose_grader(problem(gold)) == grader


@pytest.mark.parametrize("grader", GRADERS)
def test_the_grader_a_problem_names_is_taken(grader: str) -> None:
    assert choose_grader(problem("C", grader)) == grader


def test_a_problem_without_a_gold_answer_has_a_grader_and_no_gold() -> None:
    assert choose_grader(problem(None)) == "text"
    assert gold_answer(problem(None)) is None


def test_the_gold_answer_of_a_worked_solution_is_its_last_box() -> None:
    solution = r"First \boxed{3}, then we get $\boxed{\frac{1}{2}}$ as wanted."
    assert gold_answer(problem(solution)) == r"\frac{1}{2}"
    assert choose_grader(problem(solution)) == "math"
    assert choose_grader(problem(r"It must be \boxed{C}.")) == "choice"


SAME = [
    ("7", "7"), ("7", " 7 "), ("7", "07"), ("7", "7."), ("7", "+7"), ("-7", "−7"), ("0", "-0"),
    ("7", "$7$"), ("7", r"\text{7}"), ("7", "７"), ("7", "7.0"), ("5", r"\$5.00"),
    ("1234567", "1,234,567"), ("1234567", r"1{,}234{,}567"), ("1234567", r"1\,234\,567"),
    ("1234567", "1 234 567"), ("1000", "1e3"), ("1000", r"1 \times 10^{3}"), ("1000", "1×10³"),
    ("1000", r"1\times10^3"),
    ("32", r"32 \text{ cm}^2"), ("32 cm²", "32"), ("32", "32 square units"),
    ("5 cm", "5 centimeters"),
    (r"5 \text{ m}", "5 meters"), ("45", r"45^\circ"), ("45°", r"45^{\circ}"), ("45", "45 degrees"),
    ("10", r"10\%"), ("10%", "10 percent"), ("10%", "0.1"), ("10", r"10\text{%}"),
    ("1/2", "0.5"), (r"\frac{1}{2}", "1/2"), (r"\dfrac12", r"\frac{2}{4}"),
    ("½", ".5"), ("2½", r"2\frac12"),
    (r"2\sqrt{3}", "2√3"), (r"\frac{\pi}{2}", r"\dfrac{π}{2}"), ("x^{2}", "x²"), ("x+1", "x + 1"),
    (r"\left( 1, 2 \right)", "(1,2)"), ("5", "x = 5"), ("x=5", "5"), ("5", r"\theta = 5"),
    ("7", "f(2) = 7"), ("120", r"\angle ABC = 120^\circ"), ("no solution", r"\text{No solution.}"),
]  # fmt: skip

DIFFERENT = [
    ("7", "8"), ("7", "-7"), ("32 cm", "32 m"), ("32 cm^2", "32 cm^3"), ("7", "70"),
    ("32 cm", r"32 \text{ m}"),
    ("10%", "11"), ("5", "5 m"), ("(x,2)", "(2,x)"), ("7", "1e9999999999"), ("abc", "cab"), ("x", "y"),
    ("x", "X"),
    ("123456789012345678901234567890", "123456789012345678901234567891"),
    ("9999999999999", "10000000000000"), ("no", "yes"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_another_notation_of_the_same_is_right_without_computer_algebra(
    gold: str, answer: str
) -> None:
    assert grade_fast("math", gold, answer) == CORRECT


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_another_value_is_wrong_without_computer_algebra(gold: str, answer: str) -> None:
    assert grade_fast("math", gold, answer) == WRONG


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\sqrt{12}", r"2\sqrt{3}"), ("x+1", "1+x"), (r"\sin 30^\circ", r"\sin 30"),
        ("45^\\circ", r"45 \text{ rad}"), ("y=x+1", "y-x=1"), ("7", r"1 \times 10^{999999}"),
    ],
)  # fmt: skip
def test_what_needs_computer_algebra_is_left_to_it(gold: str, answer: str) -> None:
    assert grade_fast("math", gold, answer) is None


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("7", "x^2+1=7"), ("x^2+1=7", "7"), ("3", "3a^2-b^2=3"), ("73", "m+n=73"),
        ("0", "T(p,q,r)=0 if p=q otherwise 0"),
    ],
)  # fmt: skip
def test_an_equation_of_more_than_a_lone_symbol_is_no_number(gold: str, answer: str) -> None:
    assert grade_fast("math", gold, answer) == WRONG


@pytest.mark.parametrize("answer", ["0", "0.0", "0.0000002", "1"])
def test_numbers_that_only_round_to_the_same_are_different(answer: str) -> None:
    assert grade_fast("math", r"\frac{1}{10000000}", answer) == WRONG


@pytest.mark.parametrize(
    "hostile",
    ["1+" * 10_000 + "1", "\\[" * 50_000, "{" * 2_000, "1 " * 50_000, "x" * 1_001],
)
def test_an_answer_beyond_the_caps_is_wrong_and_a_gold_beyond_them_is_a_crash(
    hostile: str,
) -> None:
    assert grade_fast("math", "7", hostile) == WRONG
    verdict = grade_fast("math", hostile, "7 + x")
    assert verdict is not None and verdict[:2] == ("crash", None)
    assert "characters, and no more than 1,000 are read" in str(verdict.detail)


def test_what_is_nested_too_deep_is_text() -> None:
    deep = "(1+" * 45 + "5" + ")" * 45
    assert grade_fast("math", "7", deep) == WRONG
    assert grade_fast("math", deep, f"${deep}$") == CORRECT
    assert grade_fast("math", "(1+" * 15 + "5" + ")" * 15, "20") == CORRECT


def test_integers_longer_than_python_reads_are_compared_digit_by_digit() -> None:
    number = "1" + "0" * 9_999
    assert grade_fast("math", number, "0" + number) == CORRECT
    assert grade_fast("math", number, number[:-1] + "1") == WRONG


def test_an_enormous_exponent_is_never_written_out() -> None:
    assert grade_fast("math", "7", "1e9999999999") == WRONG
    assert grade_fast("math", "7", r"1 \times 10^{999999}") is None
    assert grade_fast("math", "1e9999", "1e9998") == WRONG


@pytest.mark.parametrize("answer", [None, "", "  \n"])
@pytest.mark.parametrize("grader", GRADERS)
def test_no_answer_scores_nothing_and_says_so(answer: str | None, grader: str) -> None:
    assert grade_fast(grader, "7", answer) == NO_ANSWER == Verdict("no_answer", 0.0)


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("C", "C", CORRECT), ("(C)", "c", CORRECT), ("C", r"\textbf{(C)}\ 12", CORRECT),
        ("C", "B", WRONG), ("C", "12", WRONG), ("C", "A and C", WRONG), ("12", "12", CORRECT),
        ("12", "C", Verdict("crash", None, "the gold answer is no letter from A to J: '12'")),
    ],
)  # fmt: skip
def test_choices_compare_by_letter(gold: str, answer: str, verdict: Verdict) -> None:
    assert grade_fast("choice", gold, answer) == verdict


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("Paris", " paris. ", CORRECT), ("New  York", "new york", CORRECT),
        ("Straße", "STRASSE", CORRECT),
        (r"\text{Box B}", r"\text{Box A}", WRONG), (r"\text{odd}", "$\\text{Odd}$", CORRECT),
        ("ﬁne", "fine", CORRECT), ("abc", "cab", WRONG), ("1", "1.0", WRONG),
    ],
)  # fmt: skip
def test_texts_compare_exactly_but_for_case_spaces_and_compatibility_forms(
    gold: str, answer: str, verdict: Verdict
) -> None:
    assert grade_fast("text", gold, answer) == verdict


@given(st.integers(), st.integers())
def test_integers_are_graded_alike_from_both_sides(one: int, other: int) -> None:
    expected = CORRECT if one == other else WRONG
    assert grade_fast("math", str(one), str(other)) == expected
    assert grade_fast("math", str(other), str(one)) == expected
    assert grade_fast("math", f"{one:,}", f"${one}$.") == CORRECT


@given(st.fractions(), st.fractions())
def test_fractions_are_never_taken_for_others(one: object, other: object) -> None:
    verdict = grade_fast("math", str(one), str(other))
    assert verdict == CORRECT if one == other else verdict in (WRONG, None)


@given(st.sampled_from(GRADERS), st.text(), st.text(min_size=1))
def test_rules_never_raise_and_every_answer_equals_itself(
    grader: str, gold: str, answer: str
) -> None:
    verdict = grade_fast(grader, gold, answer)
    assert verdict in (CORRECT, WRONG, NO_ANSWER, None) or (
        verdict is not None and verdict.verdict == "crash" and verdict.detail
    )
    if grader != "numeric":  # where a gold answer that is no number is a crash
        assert grade_fast(grader, answer, answer) in (CORRECT, NO_ANSWER, WRONG)


MATH_PIECES = [
    "1", "2", "0", ",", ".", "-", "+", "=", "/", "%", "\\frac", "{", "}", "(", ")", "\\text{",
    " cm", "^", "\\circ", "x", "e", "\\times 10^", "\\left", "\\sqrt", "√", "½", "²",
    "$", " ", "!", "|",
]  # fmt: skip


@given(*[st.lists(st.sampled_from(MATH_PIECES)).map("".join)] * 2)
def test_rules_never_raise_on_broken_mathematics(gold: str, answer: str) -> None:
    verdict = grade_fast("math", gold, answer)
    assert verdict in (CORRECT, WRONG, NO_ANSWER, None)
    if answer.strip():
        assert grade_fast("math", answer, answer) == CORRECT
