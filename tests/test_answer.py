"""What counts as the answer of a conclusion."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.answer import TAIL_CHARACTERS, Extracted, choice_letter, extract, find_boxes

GRADERS = ("math", "choice", "text", "numeric", "numeric:rel=0.01")

BOXED = {
    "a plain box": (r"So \boxed{7}.", "7"),
    "the last of several": (r"\boxed{5}, no: \boxed{7}", "7"),
    "nested braces": (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
    "escaped braces": (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    "one escaped brace": (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
    "an fbox": (r"\boxed{5} \fbox{7}", "7"),
    "a space before the brace": (r"\boxed {7}", "7"),
    "two backslashes": (r"\\boxed{7}", "7"),
    "a line break and a box": (r"x \\\boxed{7}", "7"),
    "a box in a box": (r"\boxed{\boxed{7}}", "7"),
    "several lines": ("\\boxed{\n7\n}", "7"),
    "stray braces around": (r"} { \boxed{7} } {", "7"),
    "text after it": (r"\boxed{7} and that is the answer: 8", "7"),
    "an unclosed box after it": (r"\boxed{7} or rather \boxed{8", "7"),
    "an unclosed box before it": (r"\boxed{8 or \boxed{7}", "7"),
}

FINAL_LINE = {
    "the whole line": ("Thinking.\n\n42\n", "42"),
    "after the words": ("The answer is 42.", "42"),
    "after a colon": ("Thinking.\nAnswer: 42", "42"),
    "bold words": ("**Final Answer:** 42", "42"),
    "bold all over": ("**The answer is: 42.**", "42"),
    "in dollars": ("The answer is $42$.", "42"),
    "after the last equals sign": ("So x = 6 * 7 = 42.", "42"),
    "both": ("The answer is $x = 42$.", "42"),
    "not after an inequality": ("$x >= 42$", "x >= 42"),
    "display mathematics": ("So\n$$\nx = 42\n$$\n", "42"),
    "display mathematics in brackets": ("So\n\\[ x = 42 \\].", "42"),
    "a leading decimal point stays": ("The answer is .5.", ".5"),
}

CHOICES = {
    "boxed": (r"\boxed{C}", "C", "boxed"),
    "boxed in parentheses": (r"\boxed{(C)}", "C", "boxed"),
    "boxed with its value": (r"\boxed{\textbf{(C)}\ 12}", "C", "boxed"),
    "boxed in small": (r"\boxed{c}", "C", "boxed"),
    "boxed as text": (r"\boxed{\text{Option C}}", "C", "boxed"),
    "boxed full width": ("\\boxed{\uff08\uff23\uff09}", "C", "boxed"),
    "stated in parentheses": ("The answer is (C), for (A) is absurd.", "C", "choice"),
    "stated in bold": ("(A) fails. The correct option is **C**.", "C", "choice"),
    "stated after a colon": ("**Answer: C**", "C", "choice"),
    "stated with words between": ("The answer to the question is C because of (B)", "C", "choice"),
    "stated last": ("The answer is B? No, the answer is C.", "C", "choice"),
    "bold": ("(A) is wrong, so **C**", "C", "choice"),
    "bold with text": ("So it is **C. Paris**, not (A).", "C", "choice"),
    "first on the final line": ("We choose (A) at first.\nC. Paris", "C", "choice"),
    "alone on the final line": ("Neither (A) nor (B).\nC", "C", "choice"),
    "parentheses": ("(A) is wrong, (C) is right", "C", "choice"),
    "beside a box without a letter": (r"The answer is (C), \boxed{12}", "C", "choice"),
}


@pytest.mark.parametrize("case", BOXED)
@pytest.mark.parametrize("grader", ["math", "text"])
def test_the_last_balanced_box_is_the_answer(case: str, grader: str) -> None:
    text, answer = BOXED[case]
    assert extract(text, grader) == Extracted(answer, "boxed")


@pytest.mark.parametrize("case", FINAL_LINE)
def test_without_a_box_the_final_line_gives_the_answer(case: str) -> None:
    text, answer = FINAL_LINE[case]
    assert extract(text, "math") == Extracted(answer, "final_line")


def test_an_equals_sign_is_kept_in_an_answer_that_is_text() -> None:
    assert extract("The answer is E = mc^2.", "text") == Extracted("E = mc^2", "final_line")


@pytest.mark.parametrize("case", CHOICES)
def test_a_choice_is_found_where_it_is_made(case: str) -> None:
    text, letter, method = CHOICES[case]
    assert extract(text, "choice") == Extracted(letter, method)  # type: ignore[arg-type]


@pytest.mark.parametrize("grader", GRADERS)
@pytest.mark.parametrize("box", [r"\boxed{}", r"\boxed{ }", r"\boxed{$$}", r"\fbox{}"])
def test_an_empty_box_is_no_answer_and_nothing_stands_in_for_it(box: str, grader: str) -> None:
    assert extract(rf"\boxed{{A}} The answer is {box}. But 7" + "\n(B)", grader) is None


@pytest.mark.parametrize("grader", GRADERS)
def test_an_answer_cut_inside_its_only_box_is_no_answer(grader: str) -> None:
    assert extract(r"The answer is (A): \boxed{\frac{1}{2}", grader) is None


@pytest.mark.parametrize("grader", GRADERS)
@pytest.mark.parametrize("text", ["", " \n\t\n", "**\n$$\n`", "The answer is:"])
def test_a_text_that_says_nothing_has_no_answer(text: str, grader: str) -> None:
    assert extract(text, grader) is None


def test_an_equation_without_a_right_side_is_no_answer_in_mathematics() -> None:
    assert extract("So 42.\nx =", "math") is None


def test_a_choice_without_any_letter_is_no_answer_and_a_boxed_value_is_a_wrong_one() -> None:
    assert extract("None of them seems right to me.", "choice") is None
    assert extract(r"I get \boxed{12}", "choice") == Extracted("12", "boxed")


@pytest.mark.parametrize(
    "text", ["The answer is A lot of work", "I think so", "Answer: I am not sure", "A dog barks"]
)
def test_english_words_of_one_letter_are_no_choices(text: str) -> None:
    assert extract(text, "choice") is None


@pytest.mark.parametrize(
    "text", ["A and C", "(A), (C)", "A, C", "AC", "E=mc^2", "\\alpha", "12", ""]
)
def test_a_box_with_several_letters_or_none_names_no_choice(text: str) -> None:
    assert choice_letter(text) is None


def test_only_the_end_of_an_enormous_conclusion_is_read() -> None:
    filler = "x" * TAIL_CHARACTERS
    assert extract(r"\boxed{7}" + filler, "choice") is None
    assert extract(filler + r"\boxed{7}", "math") == Extracted("7", "boxed")


@given(st.text(), st.sampled_from(GRADERS))
def test_extraction_never_raises(text: str, grader: str) -> None:
    found = extract(text, grader)
    assert found is None or found.text


PIECES = [
    "\\boxed{",
    "\\boxed",
    "{",
    "}",
    "\\",
    "$",
    "**",
    "(B)",
    "answer is ",
    "=",
    "\n",
    "7",
    " ",
]


@given(st.lists(st.sampled_from(PIECES)).map("".join), st.sampled_from(GRADERS))
def test_extraction_never_raises_on_broken_markup(text: str, grader: str) -> None:
    found = extract(text, grader)
    assert found is None or found.text


@given(st.integers(), st.text(alphabet="ab {}\n$."))
def test_a_boxed_integer_is_extracted_as_it_stands(number: int, before: str) -> None:
    assert extract(rf"{before} \boxed{{{number}}}", "math") == Extracted(str(number), "boxed")


@given(st.text(alphabet="ab{}\\ "))
def test_a_found_box_is_balanced(text: str) -> None:
    found = find_boxes(rf"\boxed{{{text}}}")
    assert found.begun
    if found.last is not None:
        bare = found.last.replace("\\\\", "").replace("\\{", "").replace("\\}", "")
        assert bare.count("{") == bare.count("}")


HOSTILE = [
    "\\boxed{", "\\boxed ", "\\boxed{}", "{", "}", "\\", "$", "*", "(", "(A", "**A", "**A. ",
    "**A.x", "=", " ", "\n", "answer", "answer ", "answer is ", "answer a a a a a ",
    "x", "\\(", "\\text{",
]  # fmt: skip


def _cpu_seconds(run: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        # CPU seconds of this process: what else the machine does must not count.
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("grader", ["math", "choice"])
def test_extraction_takes_time_in_proportion_to_the_text(unit: str, grader: str) -> None:
    small = (unit * 50_000)[:50_000]
    large = (unit * 400_000)[:400_000]
    base = max(_cpu_seconds(lambda: extract(small, grader)), 0.001)
    # Eight times the text: linear time is 8 times as long, quadratic 64 times.
    assert _cpu_seconds(lambda: extract(large, grader)) < 32 * base


@pytest.mark.parametrize("unit", ["\\boxed{", "{", "a"])
def test_fifty_megabytes_cost_no_more_than_the_tail_that_is_read(unit: str) -> None:
    whole = (unit * 50_000_000)[:50_000_000]
    tail = whole[-TAIL_CHARACTERS:]
    base = max(_cpu_seconds(lambda: extract(tail, "math")), 0.01)
    assert _cpu_seconds(lambda: extract(whole, "math")) < 4 * base
