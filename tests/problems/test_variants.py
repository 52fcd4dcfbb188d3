"""Published variants of known sets, by the columns they have, and turns by who speaks in them."""

from __future__ import annotations

import pytest

from pacore.core.problem import Problem, Turn
from pacore.problems.shapes.recognise import read_row, recognise
from tests.fixtures.problem_sets import Row


def problem(row: Row) -> Problem:
    found = read_row(row, "set.jsonl", 3)
    assert isinstance(found, Problem), found
    return found


def issues(row: Row) -> list[str]:
    found = read_row(row, "set.jsonl", 3)
    assert isinstance(found, list), found
    return [str(issue).removeprefix("set.jsonl:3: ") for issue in found]


USER = {"role": "user", "content": "Q?"}


REPLY = {"role": "assistant", "content": "R"}


ABCD = {"A": "a", "B": "b", "C": "c", "D": "d"}

PLAIN, TITLED, CHOICE = "plain", "titled columns", "multiple choice"

VARIANTS: dict[str, tuple[Row, str, str | None]] = {
    "verl GSM8K": (
        {
            "data_source": "openai/gsm8k",
            "prompt": [USER],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": "72"},
            "extra_info": {"answer": "long", "index": 0, "question": "Q?", "split": "train"},
        },
        "verl",
        "72",
    ),
    "verl, a list of one": (
        {"prompt": [USER], "reward_model": {"style": "rule", "ground_truth": ["72"]}},
        "verl",
        "72",
    ),
    "verl, a number": ({"prompt": [USER], "reward_model": {"ground_truth": 72.0}}, "verl", "72"),
    "Skywork-OR1": (
        {"prompt": [USER], "reward_model": {"ground_truth": '["\\\\frac{1}{2}"]', "style": "rule"}},
        "verl",
        "\\frac{1}{2}",
    ),
    "verl, a prompt of text": (
        {"prompt": "Q?", "reward_model": {"ground_truth": "7"}},
        "verl",
        "7",
    ),
    "verl without gold": (
        {"prompt": [USER], "reward_model": {"style": "model"}},
        "conversation",
        None,
    ),
    "DAPO processed": (
        {
            "prompt": "Q?",
            "solution": "34",
            "data_source": "math_dapo",
            "source_prompt": [USER],
            "reward_model": {"ground_truth": "34", "style": "rule-lighteval/MATH_v2"},
        },
        PLAIN,
        "34",
    ),
    "slime": ({"prompt": [USER], "label": "34"}, "prompt and label", "34"),
    "slime, text": ({"text": "Q?", "label": "34"}, TITLED, "34"),
    "OpenRLHF": ({"input": "Q?", "label": "34"}, TITLED, "34"),
    "OpenRLHF, turns": ({"input": [USER], "label": "34"}, TITLED, "34"),
    "OpenRLHF, context": ({"context_messages": [USER], "label": "34"}, TITLED, "34"),
    "OpenRLHF, answer": ({"prompt": "Q?", "answer": "34"}, PLAIN, "34"),
    "TRL GRPO": (
        {"prompt": [USER], "solution": "It is $\\boxed{5}$."},
        "conversation",
        "It is $\\boxed{5}$.",
    ),
    "TRL KTO": ({"prompt": "Q?", "completion": "R", "label": True}, PLAIN, None),
    "TRL DPO": ({"prompt": "Q?", "chosen": "R", "rejected": "S"}, PLAIN, None),
    "DeepScaleR": (
        {"problem": "Q?", "answer": "\\frac{2}{3}", "solution": "long"},
        PLAIN,
        "\\frac{2}{3}",
    ),
    "OpenR1-Math": (
        {
            "problem": "Q?",
            "solution": "S",
            "answer": "5",
            "problem_type": "Algebra",
            "question_type": "MCQ",
            "uuid": "bb29a9a6",
            "is_reasoning_complete": [True],
            "generations": ["R"],
            "messages": [{"role": "user", "content": "Reason step by step. Q?"}, REPLY],
        },
        "contest",
        "5",
    ),
    "NuminaMath-CoT": (
        {"source": "x", "problem": "Q?", "solution": "\\boxed{5}", "messages": [USER, REPLY]},
        "conversation",
        "\\boxed{5}",
    ),
    "NuminaMath-1.5": (
        {"problem": "Q?", "solution": "S", "answer": "5", "problem_type": "x"},
        "contest",
        "5",
    ),
    "Big-Math": (
        {"problem": "Q?", "answer": "5", "domain": ["x"], "llama8b_solve_rate": 0.5},
        PLAIN,
        "5",
    ),
    "DeepMath": ({"question": "Q?", "final_answer": "5", "difficulty": 4.5}, PLAIN, "5"),
    "OlympiadBench": (
        {"id": 1606, "question": "Q?", "solution": ["S"], "final_answer": ["2"], "context": None},
        PLAIN,
        "2",
    ),
    "LIMO": ({"question": "Q?", "solution": "S", "answer": "5"}, PLAIN, "5"),
    "AIME, capitals": (
        {"ID": "2024-II-4", "Problem": "Q?", "Solution": "S", "Answer": 33},
        TITLED,
        "33",
    ),
    "AIME, year": (
        {"id": 60, "problem": "Q?", "answer": "204", "url": "x", "year": "2024"},
        PLAIN,
        "204",
    ),
    "AIME, number": (
        {"ID": "1983-1", "Problem Number": 1, "Question": "Q?", "Answer": "60", "Part": None},
        TITLED,
        "60",
    ),
    "AIME, floats": ({"id": 0.0, "problem": "Q?", "answer": 70.0}, PLAIN, "70"),
    "BIG-Bench": ({"input": "Q?", "target": "(A)"}, TITLED, "(A)"),
    "SVAMP": (
        {"ID": "c-1", "Body": "B.", "Question": "Q?", "Answer": 145.0},
        TITLED,
        "145",
    ),
    "GPQA as text": ({"question": "Q?\nA) x\nB) y", "answer": "B"}, PLAIN, "B"),
    "GPQA, boxed": (
        {"problem": "Q?\nA. x", "solution": "\\boxed{A}", "domain": "x"},
        PLAIN,
        "\\boxed{A}",
    ),
    "MMLU": (
        {"question": "Q?", "subject": "s", "choices": list("abcd"), "answer": 1},
        CHOICE,
        "B",
    ),
    "MMLU, floats": (
        {"question": "Q?", "choices": list("abcd"), "answer": 1.0},
        CHOICE,
        "B",
    ),
    "MMLU-Redux": (
        {"question": "Q?", "choices": list("abcd"), "answer": 1, "correct_answer": None},
        CHOICE,
        "B",
    ),
    "MMMLU": ({"Unnamed: 0": 0, "Question": "Q?", **ABCD, "Answer": "B"}, CHOICE, "B"),
    "MMLU, input": ({"input": "Q?", **ABCD, "target": "B"}, CHOICE, "B"),
    "MMLU-Pro": (
        {
            "question_id": 70,
            "question": "Q?",
            "options": list("abcdefghij"),
            "answer": "I",
            "answer_index": 8,
        },
        CHOICE,
        "I",
    ),
    "SuperGPQA": (
        {"uuid": "u", "question": "Q?", "options": ["a", "b"], "answer": "b", "answer_letter": "B"},
        CHOICE,
        "B",
    ),
    "options that are true or false": (
        {"question": "Q?", "options": [True, False], "answer": False},
        CHOICE,
        "B",
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_rows_of_published_variants_have_their_gold_answer(name: str) -> None:
    row, shape, gold = VARIANTS[name]
    found = recognise(row, "set.jsonl", 1)
    assert isinstance(found.result, Problem), found
    assert (found.shape, found.result.gold) == (shape, gold)
    assert found.result.statement.startswith("Q?")


def test_one_statement_in_several_fields_is_one_and_two_statements_are_refused() -> None:
    same = {"problem": "Q?", "prompt": [USER], "messages": [USER, REPLY], "answer": "1"}
    assert problem(same).turns == (Turn("user", "Q?"),)
    for other in ([{"role": "user", "content": "R?"}], [{"role": "system", "content": "S"}, USER]):
        assert issues({"problem": "Q?", "prompt": other}) == [
            "problem and prompt: only one of them is allowed; --fields without=NAME leaves one out"
        ]


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ("developer", "system"), ("System", "system"), ("human", "user"), ("USER", "user"),
        ("gpt", "assistant"), ("model", "assistant"), ("bot", "assistant"), ("ai", "assistant"),
        ("ipython", "tool"), ("function", "tool"), ("observation", "tool"), (" tool ", "tool"),
    ],
)  # fmt: skip
def test_a_role_is_known_by_what_files_call_it(said: str, role: str) -> None:
    for turn in ({"role": said, "content": "x"}, {"from": said, "value": "x"}):
        found = problem({"messages": [turn, USER]})
        assert found.turns[0] == Turn(role, "x")  # type: ignore[arg-type]  # one of the roles


def test_a_call_of_a_tool_without_text_is_named_as_one() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    answered = {"role": "ipython", "content": "5"}
    assert issues({"messages": [USER, call, answered]}) == [
        "messages[1]: has tool calls and no text; pacore sends text only"
    ]
