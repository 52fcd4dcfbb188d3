# ruff: noqa: RUF001 - characters that look like others are what is graded here
"""What the grader ``math`` takes for right: only what it understood whole, and only what is proven."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacore.core.grading.choose import choose_grader
from pacore.core.grading.mathematics.forms import read_form
from pacore.core.grading.mathematics.grader import grade_math
from pacore.core.grading.notation.vocabulary import ANNOUNCING, noun
from pacore.core.grading.rules import grade_fast
from pacore.core.grading.verdict import CORRECT, WRONG
from pacore.core.problem import Problem, Turn
from pacore.sandbox.algebra.algebra import SymbolicAlgebra
from pacore.sandbox.mathematics import TooManyCalls, limited_calls

ALGEBRA = SymbolicAlgebra()


def is_right(gold: str, answer: str) -> bool:
    verdict = grade_math(gold, answer, ALGEBRA)
    assert verdict in (CORRECT, WRONG)
    return verdict == CORRECT


NOT_UNDERSTOOD = [
    ("70", r"\neq 70"), ("70", "> 70"), ("70", r"70 \text{ not}"), ("70", "不是 70"),
    ("4", "Therefore x = 3 or x = 4"), ("70", "about 70"), ("70", "70 or more"), ("70", "not 70"),
    ("70", "at least 70"), ("3", "between 3 and 4"), ("70", r"\text{nicht } 70"), ("70", "~70"),
    ("70", r"\approx 70"), ("70", r"\sim 70"), ("70", "x = ~70"), ("70", "70?"), ("70", "70 or so"),
    ("70", r"\cancel{70}"), ("70", "7̶0̶"), ("70", "~~70~~"), ("70", r"\phantom{70}"), ("70", "70+"),
    ("70", "70 (wrong)"), ("70", r"70 \ldots"), ("70", "70."*2), ("70", "–70–"), ("70", "x is not 70"),
    ("70", "70 unless x = 0"), ("70", r"70 \to \infty"), ("70", "70 | 71"), ("70", "1) 70"),
    ("70", r"\boxed{70} \boxed{1}"), ("70", r"70 \quad 71"), ("70", "70\n71"), ("70", "70 = 71"),
    ("70", "x(x+1) = 70"), ("70", "|x| = 70"), ("70", "-x = 70"), ("70", "x > 70"), ("70", "70 (?)"),
    ("70", r"70^{*}"), ("70", "70 million"), ("70", "70k"), ("70", "70m"), ("70", "70 dozen"),
    ("70", "70‰"), ("5", "5m"), ("12 cm", "12 m"), ("£5", "$5"), ("€5", "5 cents"), ("7", "7_{8}"),
    ("(1,2)", "1 or 2"), (r"x<-2 \text{ or } x>2", r"x<-2 \text{ and } x>2"), ("ab^2", "a^2b^2"),
    ("(3,2)", "(y,x) = (3,2)"), ("4:30 p.m.", "4:30 a.m."), ("4:30 p.m.", "5:30 p.m."),

    (r"\frac13", r"\frac{1}{3} \approx 0.433"), (r"\frac13", r"0.4 \approx \frac13"),
    ("4", r"4 \approx 5"),
    (r"\sqrt2", r"\sqrt{2} \approx 2"), ("4", r"4 \approx"), ("70", r"70 \approx 70.0 \approx 71.0"),
    ("90", "1 hour 30 minutes"), ("8", "5 and 3"), ("3 hours", "1 hour 120 minutes"),
    ("7", "4 dollars and 3 dollars"),
    ("70", "70个以上"), ("70 m", "70 千米"), ("70", "70万"), ("5", "5 minus"), ("5", "negative 5"),
    ("70", "70或71"),
    ("1203", "1203 base 4"), ("x", "x^{-}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\[2]2\end{pmatrix}"),
]  # fmt: skip
"""Each holds the gold answer, and says something else."""


@pytest.mark.parametrize(("gold", "answer"), NOT_UNDERSTOOD)
def test_an_answer_that_says_more_than_the_gold_answer_is_wrong(gold: str, answer: str) -> None:
    assert not is_right(gold, answer)


UNDERSTOOD = [
    ("1", r"\color{red}{1}"), (r"\text{December } 7", "December 7"), ("12,345.67", "12345.67"),
    ("12345.67", "12 345,67"), ("£5", "5"), ("€5", "5 euros"), ("5 or 7", "7 or 5"), ("–5", "-5"),
    ("70", "٧٠"), ("70", "७०"), ("70", "７０"), ("4:30 p.m.", "4:30 PM"), ("4:30 p.m.", "16:30"),
    ("1", "0.9(9)"), (r"\frac{29}{30}", "0.9(6)"), (r"\frac23", r"0.\overline{6}"),
    (r"1203_{\text{four}}", "1203_4"), ("5000000", "5 million"), ("60", "5 dozen"), ("5 m", "5 meters"),
    ("1 m", "100 cm"), ("0.5", "50%"), ("0.005", "5‰"), ("70", "the answer is 70"), ("70", "x is 70"),
    ("70", r"\therefore x = 70"), ("70", "70 is the answer"), ("70", "= 70"), ("70", "35 + 35 = 70"),
    ("70", r"\textcolor{blue}{\mathbf{70}}"), ("70", r"\left.70\right."), ("70", r"\hspace{1mm}70\,"),
    ("(1,2)", r"\bigl(1,\,2\bigr)"), ("70", r"\text{$70$}"), ("70", "**70**"), ("70", r"{\bf 70}"),
    ("108", "one hundred eight"), ("70", "70 students"), ("70", r"70 \text{ cm}"), ("7", "70/10"),
    ("1234567", "1'234'567"), ("1234567", "1.234.567"), (r"x \in \mathbb{R}", "all real numbers"),
    ("x>3", r"\{x : x > 3\}"), ("(0,1)", "]0,1["), ("300000", "3 x 10^5"), ("xy+1", "1+yx"),
    ("[0,4)", "x >= 0 and x < 4"), ("6x+4y \\le 8", "3x+2y \\leq 4"), ("7", "7 = x"),
    (r"\begin{pmatrix}1&0\\2&5\end{pmatrix}", r"\left[\begin{matrix}1 & 0 \\ 2 & 5\end{matrix}\right]"),
    ("x = 2, y = 3", "(2, 3)"), ("(2, 3)", "y = 3, x = 2"),

    # a value with a decimal for it
    (r"\frac13", r"\frac{1}{3} \approx 0.333"), (r"\sqrt2", r"x = \sqrt{2} ≈ 1.414"),
    ("1.41", r"\sqrt2 \approx 1.41"),
    (r"-\frac13", r"-\frac13 \approx -0.33"), (r"2\pi", r"2\pi \approx 6.28\text{ cm}"),
    # one value in several units
    ("1.5 hours", "1 hour 30 minutes"), ("5 feet 3 inches", "63 inches"),
    ("$5.25", "5 dollars and 25 cents"),
    # signs, units and joints in other words and scripts
    ("-5", "minus 5"), ("-5", "negative five"), ("-5", "{-}5"), (r"\frac12", r"\nicefrac{1}{2}"),
    ("70 kg", "70 кг"),
    ("70", "70 元"), ("70", "70个"), ("70", "70円"), ("5 or 7", "5 oder 7"), ("5 or 7", "5或7"),
    ("1,2,3", "1, 2 und 3"),
    (r"\infty", "Infinity"), ("1203_4", "1203 base 4"), ("1203_4", r"1203\text{ (base 4)}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\[4pt]3&4\end{pmatrix}"),
]  # fmt: skip
"""Each says the gold answer in other signs."""


@pytest.mark.parametrize(("gold", "answer"), UNDERSTOOD)
def test_an_answer_that_says_the_gold_answer_is_right(gold: str, answer: str) -> None:
    assert is_right(gold, answer)


NOT_EQUAL = [
    ("2^{1000000}-1", "2^{1000000}"), ("10^{40}", "10^{40}+1"), ("1", r"\frac{10^{50}}{10^{50}+1}"),
    ("262537412640768744", r"e^{\pi\sqrt{163}}"), (r"\sqrt{2}", r"\sqrt{2}+10^{-80}"),
    ("10^{10^{10}}", "10^{10^{10}}+1"), (r"\pi", r"\frac{22}{7}"), (r"\sqrt{x^2}", "x"), ("|x|", "x"),
    ("2", r"2 + e^{-500}"), ("12345.67", "12345.672"),
    ("1/3", "0.333"),
    (r"\ln x^2", r"2 \ln x"), ("|x-3|+|x-5|", "|2x-8|"), ("(x+1)^{1000}", "(x+1)^{999}"),
    ("9^{9^{9^{9}}}", "9^{9^{9^{9}}}+1"), ("0", "10^{-10^{6}}"), (r"\sqrt{5}-\sqrt{3}", r"\sqrt{2}"),
    ("7", r"\frac{7}{0}"), (r"\sqrt[3]{2}+\sqrt[3]{3}", "2.702170"), ("x^{10}", "x^{10} + 10^{-30}x"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer"), NOT_EQUAL)
def test_what_differs_in_the_least_is_another_value(gold: str, answer: str) -> None:
    assert not is_right(gold, answer)
    assert not is_right(answer, gold)


def test_a_decimal_rounds_what_takes_more_digits_to_compute_than_to_write() -> None:
    assert is_right(r"\sqrt{2}", "1.41421356") and is_right("1.41421356", r"\sqrt{2}")
    assert is_right("12345.67 + 10^{-40}", "12345.67")
    assert not is_right("12345.67", "12345.67 + 10^{-40}")


EQUAL = [
    ("2^{1000000}", "4^{500000}"), ("10^{10^{10}}", r"100^{5 \cdot 10^9}"), (r"\sqrt{12}", r"2\sqrt{3}"),
    (r"\sqrt{5+2\sqrt{6}}", r"\sqrt{2}+\sqrt{3}"), (r"\sqrt[3]{2+\sqrt5}+\sqrt[3]{2-\sqrt5}", "1"),
    (r"\cos 20^\circ \cos 40^\circ \cos 80^\circ", r"\frac18"),
    (r"\cos\frac{2\pi}{5}", r"\frac{\sqrt5-1}{4}"),
    (r"\arctan 2 + \arctan 3", r"\frac{3\pi}{4}"), (r"\ln(2+\sqrt3)", r"-\ln(2-\sqrt3)"),
    ("e^{i\\pi}", "-1"),
    (r"\log_4 8", r"\frac32"), (r"\log 8", r"3 \log 2"), (r"\sin(\arctan\frac34)", r"\frac35"),
    (r"\sin 2x", r"2 \sin x \cos x"), (r"\cosh^2 x - \sinh^2 x", "1"), ("2^{n+1}", r"2 \cdot 2^n"),
    (r"\frac{n!}{(n-1)!}", "n"), (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"), (r"x\sqrt{x}", r"\sqrt{x^3}"),
    ("(x+y)^{10^{9}}", "(y+x)^{10^{9}}"), (r"\sqrt{x^2}", "|x|"), ("(1+i)^{10}", "32i"),
    ("1/17", "0.0588235"),
    ("1.41421356", r"\sqrt{2}"), (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
    (r"\int_0^1 x^2 dx", r"\frac13"),
    ("y=2x+1", "2x-y+1=0"), (r"\frac{x^2-1}{x-1}", "x+1"), (r"\tan\frac{\pi}{8}", r"\sqrt2-1"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_what_is_proven_to_be_equal_is_right(gold: str, answer: str) -> None:
    assert is_right(gold, answer)


def test_a_gold_answer_that_is_no_mathematics_is_compared_as_text() -> None:
    assert grade_fast("math", r"\frac{", "x+1") == WRONG
    assert grade_fast("math", r"\text{half past } 4", "Half past 4") == CORRECT
    assert grade_fast("math", "> 70", r"\gt 70") == CORRECT


@pytest.mark.parametrize("gold", ["£5", "€5", "5 or 7", "–5", "4:30 p.m.", r"1203_{\text{four}}"])
def test_such_gold_answers_call_for_the_grader_math(gold: str) -> None:
    assert choose_grader(Problem("p", (Turn("user", "?"),), gold)) == "math"


@pytest.mark.parametrize(("gold", "answer"), [("70", "> 70"), ("70", "70 not"), ("70", "about 70")])
def test_the_grader_numeric_understands_no_less(gold: str, answer: str) -> None:
    assert grade_fast("numeric", gold, answer) == WRONG
    assert grade_fast("numeric", gold, gold) == CORRECT


def test_a_gold_answer_that_is_no_number_says_so() -> None:
    verdict = grade_fast("numeric", "about 70", "70")
    assert verdict is not None
    assert verdict[:2] == ("crash", None)
    assert verdict.detail == "the gold answer is no number: 'about 70'"


LETTERS = st.characters(categories=("L", "M", "Sc", "So", "Pd"))


WORDS = st.text(LETTERS, min_size=4, max_size=9).filter(
    lambda word: word.lower() not in ANNOUNCING and noun(word.lower()) is None
)


@given(WORDS, st.sampled_from(["70", r"\frac{3}{7}", "(2, 5)", "x+1", "[0,4)", "12 cm"]))
@example("percent", "70")
def test_no_word_before_an_answer_is_passed_over(word: str, gold: str) -> None:
    assert grade_fast("math", gold, f"{word} {gold}") == WRONG
    assert grade_fast("math", gold, rf"\text{{{word}}} {gold}") == WRONG


@given(st.integers(-(10**60), 10**60), st.integers(1, 10**30), st.sampled_from([1, -1]))
def test_a_fraction_is_no_other_however_near(over: int, under: int, step: int) -> None:
    gold = rf"\frac{{{over}}}{{{under}}}"
    assert grade_fast("math", gold, f"{2 * over}/{2 * under}") == CORRECT
    assert (
        grade_fast("math", gold, rf"\frac{{{over * 10**40 + step}}}{{{under * 10**40}}}") == WRONG
    )


NESTED = [
    "|" * 301, "-" * 900 + "7", "2*" * 450 + "2", "x " * 450, "2^" * 400 + "2", r"\sqrt" * 150 + "2",
    r"\sin " * 180 + "x", r"\frac1" * 150 + "2", r"x \in " * 150 + "1", "x=" * 300 + "1", "±" * 900,
    r"\text{" * 100 + "a" + "}" * 100, r"\begin{matrix}" * 60, "x_" * 300, "(" * 900, "|x|" * 100,
]  # fmt: skip
"""Parts within parts, most of them without a bracket that could be counted."""


@pytest.mark.parametrize("answer", NESTED)
def test_nesting_without_end_is_wrong_and_nothing_worse(answer: str) -> None:
    assert not is_right("7", answer)
    assert grade_fast("math", answer, answer + r"\,") == CORRECT
    assert grade_fast("numeric", "7", answer) == WRONG


def count_for_ever() -> None:
    while True:
        abs(-7)


def test_a_calculation_without_end_is_stopped_by_the_calls_it_makes() -> None:
    with pytest.raises(TooManyCalls), limited_calls(10_000):
        count_for_ever()
    with limited_calls(100_000):
        assert is_right(r"\sqrt{12}", r"2\sqrt{3}")


class CountsAtItsEnd:
    def __del__(self) -> None:
        for _ in range(20_000):
            abs(-7)


# Python reports an exception in a finalizer as unraisable, which pytest makes a warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_limit_that_is_exceeded_in_a_finalizer_is_exceeded() -> None:
    made: list[str] = []
    with pytest.raises(TooManyCalls), limited_calls(10_000):
        made.append(str(CountsAtItsEnd()))
    assert len(made) == 1


def test_functions_within_each_other_do_not_double_the_work() -> None:
    nested = r"\sin(\cos(" * 15 + "1" + "))" * 15
    with limited_calls(3_000_000):
        assert not is_right(r"\sqrt{2}", nested)


PIECES = [
    "1", "2", "0.5", "x", "y", "\\pi", "+", "-", "\\cdot", "/", "^2", "^{3}", "(", ")", "\\sqrt{",
    "\\frac{",
    "}{", "}", "|", "\\sin", "\\ln", "!", "=", "<", ",", "\\text{ cm}", "\\text{", "\\pm", "e", "i", "[",
    "]",
]  # fmt: skip


@given(*[st.lists(st.sampled_from(PIECES), max_size=10).map("".join)] * 2)
def test_reading_and_comparing_never_fail(gold: str, answer: str) -> None:
    assert read_form(gold).kind
    grade_math(gold, answer, ALGEBRA)
    if answer.strip():
        assert is_right(answer, answer + " ")
