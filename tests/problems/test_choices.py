"""Multiple choice: how options are written out, and which of them a file says is right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.choose import choose_grader
from pacore.core.grading.rules import grade_fast
from pacore.core.problem import Problem
from pacore.problems.shapes.choices import INSTRUCTION, LETTERS
from pacore.problems.shapes.recognise import read_row
from tests.fixtures.problem_sets import ROWS, Row


def problem(row: Row) -> Problem:
    found = read_row(row, "set.jsonl", 1)
    assert isinstance(found, Problem), found
    return found


def issues(row: Row) -> list[str]:
    found = read_row(row, "set.jsonl", 1)
    assert isinstance(found, list), found
    return [str(issue).removeprefix("set.jsonl:1: ") for issue in found]


def asked(options: Any, **answers: Any) -> Row:
    return {"question": "Which?", "options": options, **answers}


def test_a_statement_is_the_question_the_options_with_letters_and_an_instruction() -> None:
    found = problem(ROWS["multiple choice"][1])
    assert found.statement == (
        "Which is even?\n\nA. 3\nB. 5\nC. 8\nD. 9\n\n"
        "Give the letter of the right option in \\boxed{}."
    )
    assert (found.gold, found.grader, choose_grader(found)) == ("C", "choice", "choice")
    assert found.metadata == {"subject": "x"}


@pytest.mark.parametrize(("number", "gold"), list(enumerate("BCJAA")))
def test_the_right_option_is_found_in_every_published_form(number: int, gold: str) -> None:
    assert problem(ROWS["multiple choice"][number]).gold == gold


@pytest.mark.parametrize(
    "options",
    [
        ["x", "y", "z"],
        {"A": "x", "B": "y", "C": "z"},
        {"C": "z", "B": "y", "A": "x", "D": None},
        {"label": ["A", "B", "C"], "text": ["x", "y", "z"]},
        [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}, {"label": "C", "text": "z"}],
        [{"key": "a", "value": "x"}, {"key": "b", "value": "y"}, {"key": "c", "value": "z"}],
        ["A) x", "B) y", "C) z"],
        ["(A) x", "(B) y", "(C) z"],
        [" x\n", "y", "z"],
        '["x", "y", "z"]',
        '{"A": "x", "B": "y", "C": "z"}',
    ],
)
def test_options_are_the_same_however_they_are_written(options: Any) -> None:
    assert problem(asked(options, answer="B")) == problem(asked(["x", "y", "z"], answer="y"))


def test_what_only_looks_like_a_label_stays_part_of_an_option() -> None:
    assert "A. A) x\nB. y" in problem(asked(["A) x", "y"])).statement


@pytest.mark.parametrize(
    ("options", "answers", "gold"),
    [
        (["x", "y"], {}, None),
        (["x", "y"], {"answerKey": ""}, None),
        (["x", "y"], {"answer": 1}, "B"),
        (["x", "y"], {"answer": 1.0}, "B"),
        (["x", "y"], {"answer": "b"}, "B"),
        (["x", "y"], {"answer": "(B)"}, "B"),
        (["x", "y"], {"answer": "B."}, "B"),
        (["x", "y"], {"answer": " y "}, "B"),
        (["A) x", "B) y"], {"answer": "B) y"}, "B"),
        (["(A) x", "(B) y"], {"answer": "(B) y"}, "B"),
        (["x", "y"], {"label": 1}, "B"),
        (["x", "y"], {"label": "easy", "answer": "x"}, "A"),
        (["x", "y"], {"answer": "y", "answer_letter": "B", "answer_index": 1}, "B"),
        # Texts that are numbers do not stand in the way of a place, nor of each other.
        (["3", "1", "0"], {"answer": 1}, "B"),
        (["3", "1", "0"], {"answer_index": 0}, "A"),
        ([3, 1, 0], {"answer_index": 0}, "A"),
        ([4, 8, 15], {"answer": 15}, "C"),
        (["4", "8", "15"], {"answer": "15"}, "C"),
        # A letter is a label before it is a text.
        (["B", "A"], {"answer": "A"}, "A"),
        ({"label": ["1", "2"], "text": ["2", "1"]}, {"answerKey": "1"}, "A"),
    ],
)
def test_the_right_option_may_be_named_by_letter_text_or_place(
    options: Any, answers: dict[str, Any], gold: str | None
) -> None:
    assert problem(asked(options, **answers)).gold == gold


@pytest.mark.parametrize(
    ("options", "answers", "expected"),
    [
        (["x"], {}, "options: has 1 options; from 2 to 10, A to J"),
        (list("abcdefghijk"), {}, "options: has 11 options; from 2 to 10, A to J"),
        (["x", ""], {}, "options.'B': is empty"),
        (["x", None], {}, "options.'B': is null; must be text"),
        (["x", ["y", "z"]], {}, "options.'B': is a list; must be text"),
        (["x", float("nan")], {}, "options.'B': is a number; must be text"),
        (["x", "\ud800"], {}, "options.'B': has a lone surrogate, which is not text"),
        ({"label": ["A"], "text": ["x", "y"]}, {}, "options.'None': is null"),
        (["x", "y"], {"answer": 2}, "answer: 2 names none of the options"),
        (["x", "y"], {"answer": -1}, "answer: -1 names none of the options"),
        (["x", "y"], {"answer": "C"}, "answer: 'C' names none of the options"),
        (["x", "y"], {"answer": "A) y"}, "answer: 'A) y' names none of the options"),
        (["x", "y"], {"answer": ["A", "B"]}, "answer: a list names none of the options"),
        (["x", "y"], {"answer": True}, "answer: True names none of the options"),
        (["x", "x"], {"answer": "x"}, "answer: 'x' may mean options A and B"),
        ([3, 1, 0], {"answer": 1}, None),
        ([3, 1, 0], {"answer": 0}, "answer: 0 may mean options A and C"),
        (["3", "1", "0"], {"answer": "0"}, "answer: '0' may mean options A and C"),
        (
            ["x", "y"],
            {"answer": "x", "answer_index": 1},
            "answer_index and answer: name different options",
        ),
    ],
)
def test_options_that_cannot_be_used_and_answers_that_are_unclear_are_refused(
    options: Any, answers: dict[str, Any], expected: str | None
) -> None:
    row = asked(options, **answers)
    if expected is None:
        assert problem(row).gold == "B"
    else:
        (issue,) = issues(row)
        assert issue.startswith(expected)


def test_every_letter_can_be_gold_and_is_told_from_the_others_by_the_grader() -> None:
    options = [f"option {number}" for number in range(len(LETTERS))]
    for place, letter in enumerate(LETTERS):
        gold = problem(asked(options, answer_index=place)).gold
        assert gold == letter
        verdicts = [grade_fast("choice", gold, f"({other})") for other in LETTERS]
        assert [v is not None and v.verdict == "correct" for v in verdicts] == [
            other == letter for other in LETTERS
        ]


# GPQA: the file has the right answer first.

WORDS = st.text("abcdefgh", min_size=1, max_size=6)


def gpqa(question: str, right: str, wrong: list[str]) -> Row:
    named = {f"Incorrect Answer {number}": text for number, text in enumerate(wrong, 1)}
    return {"Question": question, "Correct Answer": right, **named}


def test_the_order_of_options_with_one_named_right_is_drawn_from_what_they_say() -> None:
    letters = [
        problem(gpqa(f"Question {number}?", "right", ["one", "two", "three"])).gold
        for number in range(200)
    ]
    assert all(30 <= letters.count(letter) <= 70 for letter in "ABCD")


@given(WORDS, st.lists(WORDS, min_size=4, max_size=4, unique=True))
def test_which_option_is_right_and_in_which_order_the_file_has_them_changes_no_statement(
    question: str, options: list[str]
) -> None:
    found = [
        problem(gpqa(question, right, [text for text in reversed(options) if text != right]))
        for right in options
    ]
    assert len({one.statement for one in found}) == 1
    assert sorted(one.gold or "" for one in found) == list("ABCD")
    for one, right in zip(found, options, strict=True):
        assert f"\n{one.gold}. {right}\n" in one.statement


def test_white_space_around_what_gpqa_says_is_not_part_of_it() -> None:
    found = problem(ROWS["GPQA"][0])
    assert f"\n{found.gold}. the neutron\n" in found.statement
    assert found.statement.startswith("Which particle has no charge?\n\nA. ")
    assert found.statement.endswith(INSTRUCTION)
    assert (found.problem_id, found.metadata) == ("recOwn1", {"Subdomain": "Physics"})


def test_a_wrong_answer_that_is_the_right_one_or_is_missing_is_refused() -> None:
    assert issues(gpqa("x?", "one", ["one ", "two", "three"])) == [
        "Incorrect Answer 1: is the same as the correct answer"
    ]
    assert issues({**gpqa("x?", "one", ["two", "three"]), "Incorrect Answer 3": " "}) == [
        "Incorrect Answer 3: is text; must be text"
    ]
