"""Gold answers that are none: refused where that is certain, and named before a run where it may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.cli.main import main
from pacore.errors import BadInput
from pacore.problems.files import read_problem_set
from pacore.problems.golds import is_empty_mark, marked_gold
from pacore.problems.issues import BadProblems
from pacore.problems.survey import survey_problems
from tests.conftest import Pacore

GSM8K = [
    {"question": f"What is {n} + {n}?", "answer": f"It is {n} + {n} = {2 * n}.\n#### {2 * n}"}
    for n in range(1, 9)
]


def write(folder: Path, rows: list[dict[str, Any]], name: str = "set.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def among(folder: Path, gold: Any, others: list[Any] | None = None) -> str:
    """A set of problems named r0, r1, …, of which r3 has ``gold``."""
    golds = others or [str(n) for n in range(10, 22)]
    golds = [*golds[:3], gold, *golds[3:]]
    return write(
        folder,
        [
            {"id": f"r{n}", "problem": f"Question {n}?", "answer": one}
            for n, one in enumerate(golds)
        ],
    )


MARKS = [
    "####",
    "#### ",
    "######",
    "#### \n",
    "\\boxed{}",
    "\\boxed{ }",
    "\\fbox{}",
    "$\\boxed{}$",
    "\\boxed{\\text{}}",
    "\\text{}",
    "$$",
    "$ $",
    "\\[ \\]",
    "\\(\\)",
    "****",
    "**Answer:**",
    "**Final Answer**",
    "Answer:",
    "answer：",  # noqa: RUF001 - a full-width colon
    "The answer is",
    "The final answer is:",
    "Therefore, the answer is",
    "<answer></answer>",
    "<answer>\n</answer>",
    "#### \\boxed{}",
    "The answer is $\\boxed{}$",
    "\u200b",
    "&nbsp;",
    "Ans:",
    "Solution:",
]


@pytest.mark.parametrize("mark", MARKS)
def test_a_gold_answer_that_only_marks_its_place_is_refused_with_its_line(
    tmp_path: Path, mark: str
) -> None:
    url = among(tmp_path, mark)
    with pytest.raises(BadProblems) as caught:
        read_problem_set(url)
    (issue,) = caught.value.issues
    assert (issue.line, issue.field) == (4, "answer")
    assert issue.what.endswith("is a mark for an answer without an answer")


@pytest.mark.parametrize(
    "gold",
    ["#", "$", "*", "-", "?", "0", "()", "{}", "\\{\\}", "[]", "] ) }", "<", "Answer", "the answer",
     "answer 5", "\\boxed{0}", "\\emptyset", "#### 5", "C#", "__init__", "None", "A", ":"],
)  # fmt: skip
def test_what_could_be_an_answer_is_none_of_these_marks(gold: str) -> None:
    assert not is_empty_mark(gold)


@given(st.text("#$\\{} \n*answeri:", max_size=30))
def test_marks_and_spaces_never_make_an_answer_of_nothing(text: str) -> None:
    if is_empty_mark(text):
        assert not any(character.isdigit() for character in text)
        assert is_empty_mark(f" {text}\n")


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("It is 5.\n#### 5", "5"),
        ("It is 5.\r\n#### 5\r\n", "5"),
        ("####5", "5"),
        ("#### 5", "5"),
        ("It is 5. #### 5", "5"),
        ("It is 5.\n####\n5\n", "5"),
        ("#### 4 is wrong\n#### 5", "5"),
        ("It is 5.\n#### ", ""),
        ("It is 5.\n####", ""),
        ("#### 18 is no final line\nof this", None),
        ("It is 5", None),
        ("a####5", None),
        ("", None),
    ],
)
def test_what_follows_the_last_mark_of_gsm8k_is_the_gold_answer(
    text: str, gold: str | None
) -> None:
    assert marked_gold(text) == gold


PLACEHOLDERS = [
    "N/A", "n/a", "NA", "None", "none", "null", "NaN", "nil", "TODO", "TBD", "?", "??", "-", "--", "—",
    "…", "...", "unknown", "Undefined", "not found", "notfound", "Not available", "proof", "see solution",
    "No answer", "Answer", "#N/A", "\\boxed{N/A}", " None ", "See  above", "[answer]", "placeholder",
    "***", "{}", "[]", '""', "~", "<br>", "<p></p>", "$\\boxed{}$.", "\\quad", "\\frac{}{}",
    "\\text{undefined}", "x =", "Antwort:", "答案：", "The total is:",  # noqa: RUF001 - a full-width colon
]  # fmt: skip


@pytest.mark.parametrize("gold", PLACEHOLDERS)
def test_a_placeholder_is_named_once_and_read(tmp_path: Path, gold: str) -> None:
    (caution,) = survey_problems(among(tmp_path, gold)).cautions
    assert caution.startswith("gold answer that may be a placeholder: 1 (r3: ")


BOXED = "read as plain with a boxed answer"


WORDS = "read as plain with an answer in words"


LONGER = "gold answer far longer than the others (median 2 characters)"


LONG = "So we compute 1 + 1 = 2 and multiply by four, which gives eight. Therefore the result is 8."


@pytest.mark.parametrize(
    ("gold", "caution"),
    [
        ("The sum is 2", f"{WORDS}, where 12 of 13 are read as plain: 1 (r3: The sum is 2)"),
        ("The answer is 7", f"{WORDS}, where 12 of 13 are read as plain: 1 (r3: The answer is 7)"),
        ("A whole number", "graded by text, where 12 of 13 are graded by math: 1 (r3: A whole number)"),
        ("B", "graded by choice, where 12 of 13 are graded by math: 1 (r3: B)"),
        (True, "graded by text, where 12 of 13 are graded by math: 1 (r3: True)"),
        ("\\boxed{5}", f"{BOXED}, where 12 of 13 are read as plain: 1 (r3: \\boxed{{5}})"),
        (LONG, f"{LONGER}, perhaps a whole solution: 1 (r3: So we compute 1 + 1 = 2…)"),
        ("9" * 80, f"{LONGER}: 1 (r3: {'9' * 23}…)"),
        (None, "no gold answer, and so no score, where the others have one: 1 (r3)"),
    ],
)  # fmt: skip
def test_a_gold_answer_of_another_kind_than_the_others_is_named(
    tmp_path: Path, gold: Any, caution: str
) -> None:
    assert caution in survey_problems(among(tmp_path, gold)).cautions


@pytest.mark.parametrize(
    "gold", ["7", "-3", "x^2", "5 apples", "$\\frac{1}{2}$", 0.5, ["7"], "1,000"]
)
def test_a_gold_answer_of_the_same_kind_is_not(tmp_path: Path, gold: Any) -> None:
    assert survey_problems(among(tmp_path, gold)).cautions == []


def test_answers_of_punctuation_are_left_alone_where_most_are(tmp_path: Path) -> None:
    url = among(tmp_path, "] )", ["] }", "] )", ")", "} ]", "]"])
    assert survey_problems(url).cautions == []


@pytest.mark.parametrize("gold", ["\\infty", "∞", "\\emptyset", "\\pi", "≤"])
def test_symbols_of_mathematics_say_something(tmp_path: Path, gold: str) -> None:
    assert not any("placeholder" in one for one in survey_problems(among(tmp_path, gold)).cautions)


@pytest.mark.parametrize(
    "golds",
    [
        ["5", "6", "7", "B", "C", "D"],
        ["red", "blue", "the green one", "a big house"],
        ["5"],
        ["5", "hello there"],
        ["So it is five, as was to be shown here. It is \\boxed{5}"] * 3,
    ],
)
def test_a_set_that_has_no_kind_of_most_of_its_rows_is_left_alone(
    tmp_path: Path, golds: list[str]
) -> None:
    rows = [{"id": f"r{n}", "problem": f"Q{n}?", "answer": one} for n, one in enumerate(golds)]
    assert survey_problems(write(tmp_path, rows)).cautions == []


def test_a_row_that_names_its_grader_may_differ_from_the_others(tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "problem": f"Q{n}?", "answer": str(n)} for n in range(9)]
    named = {"id": "x", "problem": "Who?", "answer": "Ada", "grader": "text"}
    assert survey_problems(write(tmp_path, [*rows, named])).cautions == []


def test_rows_of_gsm8k_without_its_mark_are_named_with_place_and_gold(tmp_path: Path) -> None:
    rows = [*GSM8K, {"question": "What is the sum?", "answer": "The sum is 2"}]
    (caution,) = survey_problems(write(tmp_path, rows)).cautions
    assert caution.startswith(
        "read as plain with an answer in words, where 8 of 9 are read as GSM8K: 1 (p-"
    )
    assert caution.endswith(" in set.jsonl:9: The sum is 2)")
    rows = [*GSM8K, {"question": "What is 1 + 1?", "answer": "#### "}]
    with pytest.raises(
        BadInput, match=r":9: answer: '#### ' is a mark for an answer without an answer$"
    ):
        read_problem_set(write(tmp_path, rows))


OPTIONS = ["\n(A) x\n(B) y\n(C) z", "\nA. x\nB. y\nC. z", "\nA) x\nB) y\nC) z", " A. x B. y C. z"]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("form", ["{}", "({})", "\\boxed{{{}}}"])
def test_a_letter_that_is_none_of_the_options_is_named(
    tmp_path: Path, options: str, form: str
) -> None:
    rows = [
        {"id": letter, "question": f"Which is {letter}?{options}", "answer": form.format(letter)}
        for letter in "ABCDE"
    ]
    (caution,) = survey_problems(write(tmp_path, rows)).cautions
    assert caution.startswith("gold letter that none of the problem's options has: 2 (D: ")


def test_a_letter_that_is_none_of_the_listed_options_is_refused(tmp_path: Path) -> None:
    row = {"question": "Which?", "choices": ["x", "y"], "answer": "E"}
    with pytest.raises(BadProblems, match="answer: 'E' names none of the options"):
        read_problem_set(write(tmp_path, [row]))


@pytest.mark.parametrize(
    ("one", "other", "is_conflict"),
    [
        (("What is 1 + 1?", "2"), ("What is 1 + 1?", "3"), True),
        (("What is 1 + 1?", "2"), (" what  is 1 + 1? ", "3"), True),
        (("What is 1 + 1?", "2"), ("What is 1 + 1?", "2.0"), False),
        (("Name it.", "The Cat"), ("Name it.", "the cat."), False),
        (("Name it.", "cat"), ("Name it.", "dog"), True),
        (("What is 1 + 1?", "2"), ("What is 2 + 1?", "3"), False),
    ],
)
def test_one_question_with_two_gold_answers_is_named(
    tmp_path: Path, one: tuple[str, str], other: tuple[str, str], is_conflict: bool
) -> None:
    rows = [{"id": f"r{n}", "problem": q, "answer": a} for n, (q, a) in enumerate((one, other))]
    said = f"asked more than once, with different gold answers: 1 (r0: {one[1]} ≠ r1: {other[1]})"
    assert survey_problems(write(tmp_path, rows)).cautions == [said] * is_conflict


@pytest.mark.parametrize(
    ("row", "caution"),
    [
        (
            {"question": "How many?", "Body": "Ann has 3 nuts.", "answer": "3"},
            "has a context or system prompt",
        ),
        (
            {"question": "Is it?", "passage": "It is.", "answer": "yes"},
            "has a context or system prompt",
        ),
        ({"question": "It is. Is it?", "context": "It is.", "answer": "yes"}, None),
        ({"question": "Is it?", "context": "", "answer": "yes"}, None),
        ({"question": "Is it?", "context": {"title": "x"}, "answer": "yes"}, "has a context or"),
        ({"problem": "Is it?", "system": "Be brief.", "answer": "yes"}, "has a context or"),
        (
            {"prompt": '[{"role": "user", "content": "x"}]', "answer": "1"},
            "is a list of turns as text",
        ),
        (
            {"question": "Which?", "opa": "x", "opb": "y", "cop": 1, "answer": "x"},
            "has options in other fields",
        ),
        (
            {"question": "Which?", "option1": "x", "option2": "y", "answer": "1"},
            "has options in other fields",
        ),
        (
            {"problem": "x", "image": "x.png", "answer": "1"},
            "seems to have an image, which is not sent",
        ),
    ],
)
def test_what_a_problem_needs_and_is_not_sent_is_named(
    tmp_path: Path, row: dict[str, Any], caution: str | None
) -> None:
    found = survey_problems(write(tmp_path, [row])).cautions
    assert len(found) == (caution is not None)
    assert all(one.startswith(str(caution)) for one in found)


def test_a_set_without_gold_answers_names_the_fields_that_may_hold_them(tmp_path: Path) -> None:
    rows = [{"problem": "x", "Target": "1"}, {"problem": "y", "Target": "2"}]
    (note,) = survey_problems(write(tmp_path, rows)).notes
    assert note == (
        "no gold answer, and so no score: 2; if it is in Target, use --fields problem=NAME,answer=NAME"
    )


def test_plan_says_the_cautions_and_a_bad_set_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = among(tmp_path, "The sum is 2\x1b[2J")
    given_ = ["--engine", "scripted", "--store", str(tmp_path / "s")]
    assert main(["plan", "--problems", url, *given_]) == 0
    said = capsys.readouterr().err
    assert "pacore: caution: graded by text, where 12 of 13 are graded by math: 1 (r3: " in said
    assert "\x1b" not in said
    assert main(["run", "--problems", among(tmp_path, "#### "), *given_]) == 2
    assert ":4: answer: '#### ' is a mark for an answer" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_a_run_says_the_cautions_before_it_starts_and_not_once_it_is_complete(
    tmp_path: Path, prefect_api: str, command: Pacore
) -> None:
    assert prefect_api
    url = among(tmp_path, "N/A", ["1", "2", "3", "4"])
    line = ("run", "--problems", url, "--engine", "scripted", "--store", str(tmp_path / "s"))
    done = command(*line, "--widths", "2", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    caution = "pacore: caution: gold answer that may be a placeholder: 1 (r3: N/A)"
    assert caution in done.stderr
    assert done.stderr.index(caution) < done.stderr.index(
        "finding a Prefect server, or starting one"
    )
    again = command(*line, "--widths", "2", "--run-id", "r")
    assert again.returncode == 0 and "caution" not in again.stderr
