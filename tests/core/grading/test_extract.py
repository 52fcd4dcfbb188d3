"""What counts as the answer of a conclusion: boxes, tags, and which of several statements decides."""

from __future__ import annotations

# ruff: noqa: E501, RUF001 - tables of many short texts, some in other scripts
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.answer import answer_of
from pacore.core.grading.extraction.boxes import choice_letter, find_boxes
from pacore.core.grading.extraction.clauses import (
    DENIED,
    NO_STATEMENT,
    SEVERAL_ANSWERS,
    UNSURE,
    WITHDRAWN,
)
from pacore.core.grading.extraction.extract import (
    EMPTY_BOX,
    NO_PROGRAM,
    OPEN_BOX,
    TAIL_CHARACTERS,
    Extracted,
    NoAnswer,
    extract,
    find_answer,
)
from pacore.core.message import Message
from pacore.core.problem import Problem, Turn

GRADERS = ("math", "choice", "text", "numeric", "numeric:rel=0.01")

BOXED = {
    "a plain box": (r"So \boxed{7}.", "7"),
    "the last of several": (r"\boxed{5}, no: \boxed{7}", "7"),
    "nested braces": (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
    "escaped braces": (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    "one escaped brace": (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
    "an fbox": (r"\boxed{5} \fbox{7}", "7"),
    "a framebox": (r"\framebox{7}", "7"),
    "a space before the brace": (r"\boxed {7}", "7"),
    "two backslashes": (r"\\boxed{7}", "7"),
    "a backslash that JSON took for a backspace": ("$\x08oxed{7}$", "7"),
    "a backslash that is missing": ("$boxed{7}$", "7"),
    "a line break and a box": (r"x \\\boxed{7}", "7"),
    "a box in a box": (r"\boxed{\boxed{7}}", "7"),
    "several lines": ("\\boxed{\n7\n}", "7"),
    "stray braces around": (r"} { \boxed{7} } {", "7"),
    "text after it": (r"\boxed{7} and that is the answer: 8", "7"),
    "an unclosed box after it": (r"\boxed{7} or rather \boxed{8", "7"),
    "an unclosed box before it": (r"\boxed{8 or \boxed{7}", "7"),
    "no braces": (r"\boxed 7", "7"),
    "no braces and no space": (r"\boxed7.", "7"),
    "no braces, several digits": (r"$\boxed 1,234$", "1,234"),
    "no braces, a sign": (r"\boxed -7", "-7"),
    "no braces, a letter": (r"so $\boxed x$", "x"),
    "no braces, a command with arguments": (r"\boxed\frac{1}{2}", r"\frac{1}{2}"),
    "an empty box after it": (r"$\boxed{31}$. (The result stands in \boxed{}, as asked.)", "31"),
    "a box with dots after it": (r"\boxed{31}, in the form \boxed{...}", "31"),
    "a box that speaks of the box after it": (r"\boxed{31} as \boxed{\text{answer}}", "31"),
    "your answer here": (r"\boxed{31}. The format is \boxed{\text{your answer here}}", "31"),
    "an example after it": (r"\boxed{31}, not a sentence such as $\boxed{12}$", "31"),
    "a denied box after it": (r"\boxed{31}. \boxed{30} is wrong.", "31"),
    "a box after it that would be wrong": (r"\boxed{31}; $\boxed{30}$ would be wrong.", "31"),
    "a box after it that cannot be right": (r"\boxed{31}, for \boxed{30} can't be right.", "31"),
    "a box after it that does not fit": (r"\boxed{31}, since \boxed{30} doesn't fit.", "31"),
    "a sentence after it about something else": (r"\boxed{31}. Cannot be simplified.", "31"),
    "boxes in one list": (r"$x=\boxed{3}$ and $x=\boxed{5}$", "3, 5"),
    "boxes with commas between": (r"\boxed{1}, \boxed{2}, \boxed{3}", "1, 2, 3"),
    "the same box twice": (r"\boxed{7}, \boxed{7}", "7"),
    "one number in two forms": (r"\boxed{1\frac{1}{2}}$, or $\boxed{\frac{3}{2}}", r"\frac{3}{2}"),
}

NO_ANSWERS = {
    "nothing": ("", NO_STATEMENT),
    "a refusal": ("I'm sorry, I can't solve this.", NO_STATEMENT),
    "only work": ("We need to multiply 3 by 4.", NO_STATEMENT),
    "several": ("Either 3 or 4.", SEVERAL_ANSWERS),
    "alternatives": ("The answer is 3 or 4.", SEVERAL_ANSWERS),
    "denied": ("The answer is not 3.", DENIED),
    "hedged": ("The answer might be 3.", UNSURE),
    "withdrawn": ("The answer is 3. Wait, that's wrong.", WITHDRAWN),
    "an open box": (r"The answer is 3: \boxed{\frac{1}{2}", OPEN_BOX),
    "an empty box": (r"Here: \boxed{}", EMPTY_BOX),
    "a box for the answer": (r"Put it into \boxed{\text{answer}}", EMPTY_BOX),
    "boxes to choose from": (r"\boxed{3} or \boxed{4}", SEVERAL_ANSWERS),
}

LATER = {
    "a later statement": ("The answer is 15. I forgot two: the answer is 17.", "17", "stated"),
    "a correction": ("Answer: 24\n\nCorrection: it should be 26.", "26", "stated"),
    "a second thought": ("The answer is 12. Wait, no: 13.", "13", "stated"),
    "a final answer after a box": (r"First \boxed{4}." + "\n\nFinal answer: 11", "11", "stated"),
    "a box after a statement": (r"The answer is 4. Again: \boxed{11}", "11", "boxed"),
    "a tag after a box": (r"\boxed{4}" + "\n<answer>11</answer>", "11", "tagged"),
    "a box in a tag": (r"<answer>$\boxed{11}$</answer>", "11", "boxed"),
    "a sentence in a tag": ("<answer>The answer is 70.</answer>", "70", "stated"),
    "no value in the last sentence": (r"\boxed{4}. The answer is in the box.", "4", "boxed"),
    "a check of the answer after a box": (
        r"\boxed{44}" + "\n\nWe may check our answer: 17 * 44 = 748, so our answer is correct.",
        "44",
        "boxed",
    ),
    "a check after it": ("The answer is 12.\n\nCheck: 12 / 4 = 3.", "12", "stated"),
    "a denial of another after it": ("The answer is 12. It is not 13.", "12", "stated"),
    "another problem after it": (
        "The answer is 4.\n\nQ: And 5 + 5?\nA: The answer is 10.",
        "4",
        "stated",
    ),
    "a copied reference after it": (
        "The answer is 4.\n\nReference 1:\nThe answer is 5.",
        "4",
        "stated",
    ),
    "hashes that count on": ("#### 100\n#### 101", None, SEVERAL_ANSWERS),
    "a list of answers": ("1. The answer is 3.\n2. The answer is 4.", None, SEVERAL_ANSWERS),
    "hashes that repeat": ("#### 100\n#### 100", "100", "tagged"),
}

TAGGED = {
    "an element": "<answer>70</answer>",
    "an element in capitals": "<ANSWER> 70 </ANSWER>",
    "another element": "<final_answer>\n70\n</final_answer>",
    "an element cut at its stop string": "So it is <answer>70",
    "mathematics in an element": "<answer>$70$</answer>",
    "a model's own tokens": "<|begin_of_box|>70<|end_of_box|>",
    "hashes": "He pays 7 * 10.\n#### 70",
    "JSON": '{"answer": "70"}',
    "a number in JSON": '{"reasoning": "7 * 10", "final_answer": 70, "sure": true}',
    "Python": "{'answer': '70'}",
    "JSON in a fence": '```json\n{\n  "answer": "70"\n}\n```',
    "LaTeX in JSON that is not escaped": '{"answer": "\\(70\\)"}',
}


@pytest.mark.parametrize("case", BOXED)
@pytest.mark.parametrize("grader", ["math", "text"])
def test_the_last_box_that_holds_an_answer_is_the_answer(case: str, grader: str) -> None:
    text, answer = BOXED[case]
    assert extract(text, grader) == Extracted(answer, "boxed")


@pytest.mark.parametrize("case", TAGGED)
@pytest.mark.parametrize("grader", ["math", "numeric"])
def test_what_stands_between_tags_for_answers_is_the_answer(case: str, grader: str) -> None:
    assert extract(TAGGED[case], grader) == Extracted("70", "tagged")


@pytest.mark.parametrize("case", LATER)
def test_the_last_statement_decides(case: str) -> None:
    text, answer, how = LATER[case]
    expected = NoAnswer(how) if answer is None else Extracted(answer, how)  # type: ignore[arg-type]
    assert find_answer(text, "math") == expected


@pytest.mark.parametrize("case", NO_ANSWERS)
def test_where_there_is_no_answer_a_reason_is_given(case: str) -> None:
    text, reason = NO_ANSWERS[case]
    assert find_answer(text, "math") == NoAnswer(reason)


def test_thousands_separators_stay_in_an_answer_after_hashes() -> None:
    assert extract("#### 70,000", "math") == Extracted("70,000", "tagged")


def test_the_remark_after_an_answer_is_no_part_of_it() -> None:
    text = "The final answer is $70$. I hope it is correct."
    assert extract(text, "math") == Extracted("70", "stated")


def test_a_conclusion_without_a_program_says_so() -> None:
    assert find_answer("I would use a loop.", "code") == NoAnswer(NO_PROGRAM)


@pytest.mark.parametrize("grader", GRADERS)
@pytest.mark.parametrize(
    "box", [r"\boxed{}", r"\boxed{ }", r"\boxed{$$}", r"\fbox{}", r"\boxed{?}"]
)
def test_a_blank_box_alone_is_no_answer(box: str, grader: str) -> None:
    assert find_answer(f"The answer is {box}.", grader) == NoAnswer(EMPTY_BOX)


@pytest.mark.parametrize("grader", GRADERS)
def test_a_blank_box_hides_no_statement_beside_it(grader: str) -> None:
    answer = "B" if grader == "choice" else "70"
    assert extract(f"#### {answer}\nThe answer is \\boxed{{}}.", grader) == Extracted(
        answer, "tagged"
    )


@pytest.mark.parametrize("grader", GRADERS)
def test_an_answer_cut_inside_its_only_box_is_no_answer(grader: str) -> None:
    assert extract(r"The answer is (A): \boxed{\frac{1}{2}", grader) is None


@pytest.mark.parametrize("grader", GRADERS)
@pytest.mark.parametrize(
    "text", ["", " \n\t\n", "**\n$$\n`", "The answer is:", "#### \n", "<answer></answer>"]
)
def test_a_text_that_says_nothing_has_no_answer(text: str, grader: str) -> None:
    assert extract(text, grader) is None


def test_a_boxed_value_without_a_letter_is_a_wrong_choice_only_if_no_letter_is_stated() -> None:
    assert extract(r"I get \boxed{12}", "choice") == Extracted("12", "boxed")
    assert extract(r"The answer is (C), \boxed{12}", "choice") == Extracted("C", "stated")


@pytest.mark.parametrize(
    "text", ["A and C", "(A), (C)", "A, C", "AC", "E=mc^2", "\\alpha", "12", ""]
)
def test_a_box_with_several_letters_or_none_names_no_choice(text: str) -> None:
    assert choice_letter(text) is None


@pytest.mark.parametrize(
    "text",
    [
        r"\neg C",
        r"\cancel{C}",
        r"\overline{C}",
        r"\not C",
        r"\ne C",
        r"\sout{C}",
        "~~C~~",
        r"\frac C",
    ],
)
def test_a_letter_that_a_command_denies_or_changes_names_no_choice(text: str) -> None:
    assert choice_letter(text) is None


@pytest.mark.parametrize(
    "text",
    [
        r"\textcolor{red}{C}", r"\color{blue}C", r"\fcolorbox{red}{white}{C}", r"(\text{C})", r"\textbf{(C)}~12", "`C`",
        r"\left(C\right)", r"\Large\mathbf{C}", r"\quad C \\", r"\(\boldsymbol{\text{C}}\)",
    ],
)  # fmt: skip
def test_presentation_changes_no_choice(text: str) -> None:
    assert choice_letter(text) == "C"


def test_only_the_end_of_an_enormous_conclusion_is_read() -> None:
    filler = "x" * TAIL_CHARACTERS
    assert extract(r"\boxed{7}" + filler, "choice") is None
    assert extract(filler + r"\boxed{7}", "math") == Extracted("7", "boxed")
    assert extract(filler + "\nThe answer is 7.", "math") == Extracted("7", "stated")


@given(st.text(), st.sampled_from(GRADERS))
def test_extraction_never_raises(text: str, grader: str) -> None:
    found = extract(text, grader)
    assert found is None or found.text


PIECES = [
    "\\boxed{", "\\boxed", "{", "}", "\\", "$", "**", "(B)", "answer is ", "=", "\n", "7", " ", "#### ", "\\(", "\\)",
    "<answer>", "</answer>", '{"answer": "', '"', "not ", "or ", " and ", ".", "答案", "是", "So ", "12", "3/4", "x", "?",
    "\ue000", "\ue001", "－", "Ref", "Reference 1:", "wait, ", "e.g. ",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES)).map("".join), st.sampled_from(GRADERS))
def test_extraction_never_raises_on_broken_markup(text: str, grader: str) -> None:
    found = extract(text, grader)
    assert found is None or found.text


@given(st.integers(), st.text(alphabet="ab {}\n$."))
def test_a_boxed_integer_is_extracted_as_it_stands(number: int, before: str) -> None:
    assert extract(rf"{before} \boxed{{{number}}}", "math") == Extracted(str(number), "boxed")


@given(
    st.integers(),
    st.sampled_from(["The answer is {}.", "答案：{}", "#### {}", "<answer>{}</answer>"]),
)
def test_a_stated_integer_is_extracted_as_it_stands(number: int, statement: str) -> None:
    found = extract(statement.format(number), "math")
    assert found is not None
    assert found.text == str(number)


@given(st.text(alphabet="ab{}\\ "))
def test_a_found_box_is_balanced(text: str) -> None:
    found = find_boxes(rf"\boxed{{{text}}}")
    if found.last is not None:
        bare = found.last.replace("\\\\", "").replace("\\{", "").replace("\\}", "")
        assert bare.count("{") == bare.count("}")


HOSTILE = [
    "\\boxed{", "\\boxed ", "\\boxed{}", "\\boxed 1", "{", "}", "\\", "$", "*", "(", "(A", "**A", "**A. ",
    "**A.x", "=", " ", "\n", "answer", "answer ", "answer is ", "answer a a a a a ", "x = ", "the answer 3 or ",
    "x", "\\(", "\\[", "\\text{", "answer is 3. ", "answer\n", "3, ", "3 and ", "<answer>", '{"answer": {', "#### 3\n",
    "不是", "So it is 3. ", "The answer is not 3. ", "1/", "\ue000", "A) ", "a. ",
]  # fmt: skip


def _cpu_seconds(run: Callable[[], object]) -> float:
    # CPU seconds of this process: what else the machine does must not count.
    start = time.process_time()
    run()
    return time.process_time() - start


def _base_seconds(run: Callable[[], object]) -> float:
    return max(min(_cpu_seconds(run) for _ in range(2)), 0.01)


def _takes_less_than(seconds: float, run: Callable[[], object]) -> bool:
    """Whether it takes less in the better of two runs."""
    return any(_cpu_seconds(run) < seconds for _ in range(2))


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("grader", ["math", "choice"])
def test_extraction_takes_time_in_proportion_to_the_text(unit: str, grader: str) -> None:
    small = (unit * 10_000)[:10_000]
    large = (unit * 80_000)[:80_000]
    base = _base_seconds(lambda: extract(small, grader))
    # Eight times the text: linear time is 8 times as long, quadratic 64 times.
    assert _takes_less_than(32 * base, lambda: extract(large, grader))


@pytest.mark.parametrize("unit", ["\\boxed{", "{", "a"])
def test_fifty_megabytes_cost_no_more_than_the_tail_that_is_read(unit: str) -> None:
    whole = (unit * 50_000_000)[:50_000_000]
    tail = whole[-TAIL_CHARACTERS:]
    base = _base_seconds(lambda: extract(tail, "math"))
    assert _takes_less_than(4 * base, lambda: extract(whole, "math"))


@pytest.mark.parametrize(
    ("text", "answer", "method", "reason"),
    [
        ("So 6 * 7 = 42.", "42", "final_line", None),
        ("The answer is 41 or 42.", None, None, SEVERAL_ANSWERS),
        (r"The answer is \boxed{4", None, None, OPEN_BOX),
    ],
)
def test_the_row_of_an_answer_says_how_it_was_found_or_why_not(
    text: str, answer: str | None, method: str | None, reason: str | None
) -> None:
    problem = Problem("p", (Turn("user", "What is 6 * 7?"),), "42", "math", {})
    row = answer_of(problem, Message(2, "p", 0, 1, "id", text, ""), "stop")
    assert (row.answer, row.method, row.reason) == (answer, method, reason)
    assert row.status == ("no_answer" if answer is None else "answered")
