"""Rows of a problem set: what becomes a problem, and what is said of what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.problem import Placed, Problem, Turn, set_digest
from pacore.problems.issues import BadProblems, RowIssue, merge
from pacore.problems.shapes.plain import GOLD_FIELDS, STATEMENT_FIELDS
from pacore.problems.shapes.recognise import read_row
from tests.fixtures.nested_values import nested

UNICODE = st.text(st.characters(exclude_categories=()), max_size=8)


JSON_VALUES = nested(
    st.none() | st.booleans() | st.integers() | st.floats() | UNICODE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(UNICODE, inner, max_size=3),
)


TURN_VALUES = st.fixed_dictionaries(
    {},
    optional={"role": st.sampled_from(["user", "tool", "judge"]) | JSON_VALUES, "content": UNICODE},
)


FIELD_NAMES = st.sampled_from(["id", "grader", *STATEMENT_FIELDS, *GOLD_FIELDS])


JSON_ROWS = JSON_VALUES | st.dictionaries(
    FIELD_NAMES | UNICODE, JSON_VALUES | UNICODE | st.lists(TURN_VALUES, max_size=3), max_size=5
)


GOOD_ROWS = st.fixed_dictionaries(
    {"problem": st.sampled_from(["What is 1 + 1?", "What is 2 + 2?", "x²"])},
    optional={"answer": st.sampled_from(["2", 4, 1.5]), "source": st.integers(0, 3)},
)


def problem(row: dict[str, Any]) -> Problem:
    found = read_row(row, "set.jsonl", 7)
    assert isinstance(found, Problem), found
    return found


def issues(row: Any) -> list[str]:
    found = read_row(row, "set.jsonl", 7)
    assert isinstance(found, list), found
    assert all((issue.file, issue.line) == ("set.jsonl", 7) for issue in found)
    return [str(issue).removeprefix("set.jsonl:7: ") for issue in found]


@pytest.mark.parametrize("name", ["problem", "question", "prompt"])
def test_a_text_is_one_user_turn_exactly_as_written(name: str) -> None:
    text = "  What is 1 + 1?\n"
    assert problem({name: text}).turns == (Turn("user", text),)


@pytest.mark.parametrize("name", ["messages", "conversation", "prompt"])
def test_turns_are_kept_and_the_last_is_what_the_problem_states(name: str) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": ""},
        {"role": "tool", "content": "180", "name": "calculator"},
    ]
    found = problem({name: turns})
    assert found.turns == (Turn("system", "Be brief."), Turn("assistant", ""), Turn("tool", "180"))
    assert found.statement == "180"


@pytest.mark.parametrize(
    ("fields", "gold"),
    [
        ({}, None),
        ({"answer": "42"}, "42"),
        ({"answer": 42}, "42"),
        ({"answer": 42.0}, "42"),
        ({"answer": 0.25}, "0.25"),
        ({"answer": None, "ground_truth": "7"}, "7"),
        ({"expected_answer": "73"}, "73"),
        ({"ground_truth": {"answer": "7", "unit": "cm"}}, "7"),
        ({"solution": "So it is \\boxed{7}."}, "So it is \\boxed{7}."),
        ({"solution": "So it is \\boxed{7}.", "answer": "7"}, "7"),
        ({"answer": "She has 3 * 6 = 18.\n#### 18"}, "18"),
        ({"answer": "#### 18 is no final line\nof this"}, "#### 18 is no final line\nof this"),
        ({"answer": "#### 18"}, "18"),
        ({"answer": "So it is.\n####\n18\n"}, "18"),
    ],
)
def test_the_gold_answer_is_read_from_every_published_form(
    fields: dict[str, Any], gold: str | None
) -> None:
    assert problem({"problem": "x", **fields}).gold == gold


def test_fields_of_no_other_use_are_metadata_and_no_part_of_the_content() -> None:
    plain = problem({"problem": "x", "answer": "7"})
    rich = problem({"problem": "x", "answer": "7", "solution": "long", "level": 3, "empty": None})
    assert rich.metadata == {"solution": "long", "level": 3}
    assert rich == plain and rich.problem_id == plain.problem_id


def test_an_id_is_taken_as_it_is_or_made_from_the_content() -> None:
    assert problem({"id": "sum-1", "problem": "x"}).problem_id == "sum-1"
    assert problem({"id": 17, "problem": "x"}).problem_id == "17"
    made = problem({"problem": "x"}).problem_id
    assert made.startswith("p-") and len(made) == 14
    assert made == problem({"question": "x"}).problem_id
    assert made != problem({"problem": "x", "answer": "1"}).problem_id


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1], "is a list, not an object with fields"),
        ("text", "is text, not an object with fields"),
        (None, "is null, not an object with fields"),
        ({}, "problem|question|prompt|messages|conversation: missing; one of these is needed"),
        (
            {"problem": "x", "prompt": "y"},
            "problem and prompt: only one of them is allowed; --fields without=NAME leaves one out",
        ),
        (
            {"problem": 5, "messages": "y"},
            "problem and messages: none of them is text or a list of turns",
        ),
        ({"problem": ""}, "problem: is empty"),
        ({"problem": " \n"}, "problem: is empty"),
        ({"problem": 5}, "problem: is a number; must be text"),
        ({"prompt": True}, "prompt: is true or false; must be text or a list of turns"),
        ({"messages": "hello"}, "messages: is text; must be a list of turns"),
        ({"messages": []}, "messages: is empty"),
        (
            {"messages": ["hi"]},
            "messages[0]: is text; a turn is an object with role and content",
        ),
        (
            {"messages": [{"role": "judge", "content": "x"}]},
            "messages[0].role: unknown role 'judge'; one of system, user, assistant, tool",
        ),
        (
            {"messages": [{"content": "x"}]},
            "messages[0].role: unknown role null; one of system, user, assistant, tool",
        ),
        (
            {"messages": [{"role": "assistant", "content": "x"}]},
            "messages[0].role: the last turn is from assistant; it must be user or tool",
        ),
        ({"messages": [{"role": "user"}]}, "messages[0].content: is null; must be text"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages[0].content: is empty"),
        ({"problem": "x\x00"}, "problem: has a NUL byte"),
        ({"problem": "x\ud800"}, "problem: has a lone surrogate, which is not text"),
        ({"problem": "x", "answer": ""}, "answer: is empty"),
        ({"problem": "x", "answer": "\x00"}, "answer: has a NUL byte"),
        (
            {"problem": "x", "answer": float("nan")},
            "answer: is nan; must be text or a number, or an object with 'answer'",
        ),
        (
            {"problem": "x", "answer": ["1", "2"]},
            "answer: is a list; must be text or a number, or an object with 'answer'",
        ),
        (
            {"problem": "x", "answer": "#### "},
            "answer: '#### ' is a mark for an answer without an answer",
        ),
        (
            {"problem": "x", "ground_truth": {"value": 1}},
            "ground_truth.answer: is null; must be text or a number, or an object with 'answer'",
        ),
        (
            {"problem": "x", "grader": "vibes"},
            "grader: unknown grader 'vibes'; one of math, choice, text, numeric, code, judge",
        ),
        ({"problem": "x", "id": ""}, "id: is empty"),
        ({"problem": "x", "id": {"a": 1}}, "id: is an object; must be text or a number"),
        ({"problem": "x", "id": ["a", "b"]}, "id: is a list; must be text or a number"),
    ],
)
def test_a_bad_row_is_described_by_field_and_fault(row: Any, expected: str) -> None:
    assert issues(row) == [expected]


def test_an_escaped_backslash_before_u0000_is_not_a_nul() -> None:
    assert problem({"problem": "x", "note": "\\u0000"}).metadata == {"note": "\\u0000"}


def test_metadata_is_bounded_in_depth() -> None:
    nested = json.loads("[" * 900 + "]" * 900)
    kept = json.dumps(problem({"problem": "x", "note": nested}).metadata["note"])
    assert kept.count("[") == 32


def test_everything_wrong_with_a_row_is_said_at_once() -> None:
    row = {"id": [], "messages": [{"role": "x"}, {"role": "user", "content": 1}], "answer": []}
    assert [issue.partition(":")[0] for issue in issues(row)] == [
        "id",
        "messages[0].role",
        "messages[1].content",
        "answer",
    ]


@settings(deadline=None)
@given(JSON_ROWS)
def test_any_json_value_becomes_a_problem_or_printable_issues(row: Any) -> None:
    found = read_row(row, "set.jsonl", 1)
    if isinstance(found, Problem):
        assert found.turns and found.statement.strip() and len(found.content_digest) == 64
        assert json.dumps(dict(found.metadata), allow_nan=False)
    else:
        assert found
        for issue in found:
            assert "\n" not in str(issue) and str(issue).encode("utf-8")


@settings(deadline=None)
@given(
    st.lists(GOOD_ROWS, min_size=1, max_size=8).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(rows))
    )
)
def test_the_order_of_rows_changes_neither_the_problems_nor_the_digest(
    orders: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    merged = []
    for rows in orders:
        problems, faults = merge(
            [Placed(problem(row), "f", line) for line, row in enumerate(rows, 1)]
        )
        assert faults == []
        merged.append(problems)
    one, other = merged
    assert [(found, found.metadata) for found in one] == [
        (found, found.metadata) for found in other
    ]
    assert set_digest(one) == set_digest(other) == set_digest(one[::-1])
    assert [found.problem_id for found in one] == sorted({found.problem_id for found in one})


def test_the_set_digest_sees_ids_questions_and_gold_answers() -> None:
    rows = [
        {"id": "a", "problem": "x", "answer": "1"},
        {"id": "b", "problem": "x", "answer": "1"},
        {"id": "a", "problem": "y", "answer": "1"},
        {"id": "a", "problem": "x", "answer": "2"},
        {"id": "a", "problem": "x", "answer": "1", "grader": "text"},
    ]
    assert len({set_digest([problem(row)]) for row in rows}) == len(rows)


def test_one_id_with_two_contents_is_reported_with_both_places() -> None:
    rows = [
        Placed(problem({"id": name, "problem": text}), "f", line)
        for line, name, text in [(1, "a", "x"), (4, "a", "y"), (5, "b/c", "x"), (6, "b-c", "y")]
    ]
    _, faults = merge(rows)
    assert [str(fault) for fault in faults] == [
        "f:4: id: duplicate 'a': f:1 has the same id with other content; --fields id= makes ids from "
        "the content",
        "f:6: id: 'b-c' and 'b/c' (f:5) both get the id 'b-c'; --fields id= makes ids from the content",
    ]


def test_issues_of_a_kind_are_one_line_with_their_number_and_the_first_places() -> None:
    empty = [RowIssue("f", line, "id", "is empty") for line in range(1, 101)]
    roles = [
        RowIssue("f", 3, f"messages[{n}].role", f"unknown role 'r{n}'; one of") for n in (1, 2)
    ]
    found = BadProblems(
        [*empty, *roles, RowIssue("g", 8, "id", "is empty"), RowIssue("g", 9, "", "x")]
    )
    assert str(found).splitlines() == [
        "f:1: id: is empty (and 100 more: 2, 3, 4, 5, 6, …)",
        "f:3: messages[1].role: unknown role 'r1'; one of (and 1 more: 3)",
        "g:9: x",
    ]
    assert len(found.issues) == 104 and found.exit_code == 2


def test_issues_of_more_kinds_than_a_screen_has_room_for_are_counted() -> None:
    names = [f"{a}{b}" for a in "abcdefgh" for b in "xyz"]
    found = BadProblems([RowIssue("f", 1, name, "is empty") for name in names for _ in range(2)])
    lines = str(found).splitlines()
    assert len(lines) == 13
    assert lines[0] == "f:1: ax: is empty (and 1 more: 1)"
    assert lines[-1] == "… and 24 more of 12 other kinds"
