"""Published problem sets: which shape a row is of, and what problem it then states."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.grading.choose import choose_grader
from pacore.core.grading.programs.tests import from_gold
from pacore.core.grading.rules import grade_fast
from pacore.core.problem import Problem, Turn, set_digest
from pacore.problems.files import read_problem_set
from pacore.problems.issues import BadProblems
from pacore.problems.shapes.recognise import SHAPES, read_row, recognise, recognised
from tests.fixtures.problem_sets import ADD, ADD_HIDDEN, ALL_ROWS, ROWS, Row, packed
from tests.problems.test_parts import JSON_VALUES


def problem(row: Row) -> Problem:
    found = read_row(row, "set.jsonl", 3)
    assert isinstance(found, Problem), found
    return found


def issues(row: Row) -> list[str]:
    found = read_row(row, "set.jsonl", 3)
    assert isinstance(found, list), found
    return [str(issue).removeprefix("set.jsonl:3: ") for issue in found]


def changed(shape: str, number: int = 0, /, **fields: Any) -> Row:
    """An example with other fields; one of None is left out."""
    row = {**ROWS[shape][number], **fields}
    return {name: value for name, value in row.items() if value is not None}


def test_there_is_an_example_of_every_shape() -> None:
    assert {shape.name for shape in SHAPES} == set(ROWS)


@pytest.mark.parametrize(("shape", "row"), ALL_ROWS)
def test_a_row_is_known_by_its_fields_whatever_their_order(shape: str, row: Row) -> None:
    assert recognise(row, "set.jsonl", 1).shape == shape
    assert recognised(dict(reversed(row.items()))).name == shape
    assert problem(row) == problem(dict(reversed(row.items())))


# Identity: what was read before there were shapes states the same problem under the same digest.

BEFORE: dict[tuple[str, int], str] = {
    ("GSM8K", 0): "78a58498c7aa68c9",
    ("GSM8K", 1): "e7dec30b66988277",
    ("MATH", 0): "cc1a2200434cc888",
    ("MATH", 1): "667f904e8939b856",
    ("NeMo-Skills", 0): "bc8fb2a2e2901ada",
    ("contest", 0): "7aea7c530e3dbc23",
    ("PaCoRe-Train", 0): "a21e8c06bb8c6770",
    ("plain", 0): "e0f61ff6cd4d0676",
}


@pytest.mark.parametrize(("place", "digest"), BEFORE.items())
def test_rows_of_mathematics_state_the_problem_they_stated_as_plain_rows(
    place: tuple[str, int], digest: str
) -> None:
    assert problem(ROWS[place[0]][place[1]]).content_digest.startswith(digest)


def test_ids_and_digest_of_a_set_of_every_older_shape_are_what_they_were() -> None:
    rows = [row for name, row in ALL_ROWS if name not in ("verl", "prompt and label")]
    problems = [problem(row) for row in rows]
    assert len(problems) == 25
    assert set_digest(problems) == (
        "07e69db0a676689fa69d32fc6e8ccb10e17219ccbbd793aab75c004fd838cb22"
    )


def test_only_math_rows_with_a_unique_id_have_another_id_than_as_plain_rows() -> None:
    ids = {name: [problem(row).problem_id for row in ROWS[name]] for name, _ in BEFORE}
    assert ids == {
        "GSM8K": ["p-78a58498c7aa", "p-e7dec30b6698"],
        "MATH": ["test-prealgebra-17", "p-667f904e8939"],
        "NeMo-Skills": ["own-0"],
        "contest": ["p-7aea7c530e3d"],
        "PaCoRe-Train": ["p-a21e8c06bb8c", problem(ROWS["PaCoRe-Train"][1]).problem_id],
        "plain": ["sum"],
    }
    assert problem(ROWS["MATH"][0]).metadata["unique_id"] == "test/prealgebra/17.json"


# Mathematics.


@pytest.mark.parametrize(
    ("shape", "number", "gold", "grader"),
    [
        ("GSM8K", 0, "18", "math"),
        ("GSM8K", 1, "2,000", "math"),
        ("MATH", 0, "49", "math"),
        ("NeMo-Skills", 0, "10", "math"),
        ("contest", 0, "6", "math"),
        ("titled columns", 0, "27", "math"),
        ("titled columns", 1, "2", "math"),
        ("conversation", 0, "12", "math"),
    ],
)
def test_short_answers_are_gold_and_call_for_the_grader_of_mathematics(
    shape: str, number: int, gold: str, grader: str
) -> None:
    found = problem(ROWS[shape][number])
    assert (found.gold, choose_grader(found), found.grader) == (gold, grader, None)


def test_a_gold_answer_with_thousands_set_apart_is_that_number() -> None:
    gold = problem(ROWS["GSM8K"][1]).gold
    assert gold is not None
    verdicts = [grade_fast("math", gold, answer) for answer in ("2000", "2,000", "$2{,}000$", "2")]
    assert [verdict and verdict.verdict for verdict in verdicts] == ["correct"] * 3 + ["wrong"]


def test_titled_columns_are_found_whatever_their_case_and_spaces() -> None:
    found = problem(ROWS["titled columns"][1])
    assert found.statement == "Find $x$ with $x - 1 = 1$."
    assert found.problem_id == "own-algebra-001"
    assert found.metadata == {
        "Problem ID": "own algebra/001",
        "Category": "Algebra",
        "Subcategory": "Equations",
        "Source": "own",
    }
    assert problem({"QUESTION": "x?", "short_answer": "1"}).gold == "1"


@pytest.mark.parametrize(
    ("given", "readable"),
    [
        ("test/algebra/2584.json", "test-algebra-2584"),
        ("a\\b", "a-b"),
        ("../up", "up"),
        ("1..5", "1-5"),
        ("two words\n", "two-words"),
        ("/lead/", "lead"),
        ("v1.5", "v1.5"),
        ("Größe/1", "Größe-1"),
    ],
)
def test_a_name_that_no_id_may_be_becomes_a_readable_one(given: str, readable: str) -> None:
    found = problem(changed("MATH", unique_id=given))
    assert (found.problem_id, found.metadata["unique_id"]) == (readable, given)


# Programs.


def code(row: Row) -> tuple[str, dict[str, Any]]:
    """A code problem's statement, and its tests as data."""
    found = problem(row)
    assert found.grader == "code" and found.gold is not None
    assert from_gold(found.gold)
    tests: dict[str, Any] = json.loads(found.gold)
    return found.statement, tests


def test_a_function_to_complete_is_shown_whole_and_checked_assertion_by_assertion() -> None:
    row = ROWS["HumanEval"][0]
    statement, tests = code(row)
    assert f"```python\n{row['prompt'].strip()}\n```" in statement
    assert (tests["kind"], tests["entry_point"]) == ("assertions", "add_one")
    assert tests["prelude"] == row["prompt"] and len(tests["tests"]) == 2
    found = problem(row)
    assert found.problem_id == "Own-0" and found.metadata["task_id"] == "Own/0"
    assert found.metadata["canonical_solution"] == row["canonical_solution"]


def test_a_described_function_is_shown_with_the_tests_that_count() -> None:
    first, second = ROWS["MBPP"]
    statement, tests = code(first)
    assert "assert double(2) == 4\nassert double(0) == 0" in statement
    assert "double(-1)" not in statement
    assert tests == {"kind": "assertions", "tests": first["test_list"]}
    _, tests = code(second)
    assert tests == {"kind": "assertions", "tests": second["test_list"], "setup": "import math"}
    assert problem(first).problem_id == "11"


def test_public_and_private_tests_of_standard_input_are_one() -> None:
    statement, tests = code(ROWS["LiveCodeBench"][0])
    assert "standard input" in statement and "```python block" in statement
    pairs = [(one["input"], one["output"]) for one in (*ADD, *ADD_HIDDEN)]
    assert [(one["input"], one["output"]) for one in tests["tests"]] == pairs
    found = problem(ROWS["LiveCodeBench"][0])
    assert found.problem_id == "own1_a"
    assert set(found.metadata) == {
        "question_title", "platform", "contest_id", "contest_date", "difficulty",
    }  # fmt: skip


def test_tests_of_a_function_have_an_argument_a_line_and_its_name_in_the_metadata() -> None:
    statement, tests = code(ROWS["LiveCodeBench"][1])
    assert statement.count("class Solution") == 1 and "standard input" not in statement
    assert (tests["kind"], tests["entry_point"]) == ("function", "scale")
    assert tests["tests"] == [{"arguments": [[1, 2], 2], "result": [2, 4]}] * 2


def test_tests_may_come_decoded_as_parquet_has_them() -> None:
    row = changed("LiveCodeBench", public_test_cases=ADD, private_test_cases=ADD_HIDDEN)
    assert problem(row) == problem(ROWS["LiveCodeBench"][0])


@pytest.mark.parametrize(
    ("ground_truth", "kind"),
    [
        ({"inputs": ["1 2"], "outputs": ["3"]}, "stdin"),
        ({"inputs": [["1", "2"]], "outputs": [["3"]]}, "stdin"),
        ({"inputs": ["1\n2"], "outputs": ["3"], "fn_name": "add"}, "function"),
        ([{"input": "1", "output": "1"}], "stdin"),
        (["assert add(1, 2) == 3"], "assertions"),
        ({"kind": "stdin", "tests": [{"input": "1", "output": "1"}]}, "stdin"),
    ],
)
@pytest.mark.parametrize("encode", [json.dumps, lambda value: value])
def test_a_ground_truth_that_holds_tests_is_graded_by_running_them(
    ground_truth: Any, kind: str, encode: Any
) -> None:
    _, tests = code(changed("PaCoRe-Train", 1, ground_truth=encode(ground_truth)))
    assert tests["kind"] == kind
    row = {"problem": "x", "answer": encode(ground_truth), "grader": "code"}
    assert code(row)[1] == tests


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (changed("HumanEval", test="def check(candidate:"), "test: check: is not Python: "),
        (changed("HumanEval", test="assert True"), "test: check: has no function check(candidate)"),
        (changed("HumanEval", entry_point="no name"), "test: entry_point: "),
        (changed("MBPP", test_list=["assert f()", 1]), "test_list: tests.1: "),
        (changed("MBPP", test_setup_code=7), "test_list: test_setup_code: is a number; must be"),
        (
            changed("LiveCodeBench", public_test_cases="[]", private_test_cases=""),
            "public_test_cases|private_test_cases: tests: ",
        ),
        (
            changed("LiveCodeBench", public_test_cases=[{"input": "1"}]),
            "public_test_cases|private_test_cases: test 1 of 2 has no text as input and output",
        ),
        (
            changed("LiveCodeBench", private_test_cases="e30="),
            "private_test_cases: is base64 of something that is not zlib data",
        ),
        (
            changed("LiveCodeBench", private_test_cases="{}!"),
            "private_test_cases: is neither JSON nor base64",
        ),
        (
            changed("LiveCodeBench", private_test_cases=packed("{}")),
            "private_test_cases: is an object; must be a list of test cases",
        ),
        (
            changed("LiveCodeBench", 1, metadata="{}"),
            "public_test_cases|private_test_cases: the tests are of a function, and metadata has no",
        ),
        (
            changed("LiveCodeBench", 1, private_test_cases=json.dumps(ADD)),
            "public_test_cases|private_test_cases: some tests are of a function and some of standard",
        ),
        (
            changed("LiveCodeBench", private_test_cases='[{"input": "\\ud800", "output": ""}]'),
            "public_test_cases: ",
        ),
        (
            {"problem": "x", "answer": "12", "grader": "code"},
            "answer: has no tests of a program, which are pacore's own, {inputs, outputs}, a list of",
        ),
        (
            {"problem": "x", "answer": {"inputs": ["1"], "outputs": []}, "grader": "code"},
            "answer: inputs: there are 1, and 0 outputs",
        ),
        (
            {
                "problem": "x",
                "answer": {"inputs": [[1]], "outputs": [[1]], "fn_name": "f"},
                "grader": "code",
            },
            "answer: inputs: arguments of a function as lists are ambiguous; write kind: function",
        ),
        (
            {
                "problem": "x",
                "answer": {"inputs": ["x"], "outputs": ["1"], "fn_name": "f"},
                "grader": "code",
            },
            "answer: tests.0: an argument or the result is not JSON: Expecting value",
        ),
    ],
)
def test_tests_that_cannot_be_used_are_named_by_field_and_place(row: Row, expected: str) -> None:
    (issue,) = issues(row)
    assert issue.startswith(expected), issue


# Conversations.


def test_responses_of_a_training_row_are_no_metadata() -> None:
    found = problem(changed("PaCoRe-Train", source="own"))
    assert found.metadata == {"source": "own"}
    assert found.gold == "17" and choose_grader(found) == "math"


def test_what_a_judge_is_asked_is_the_gold_answer() -> None:
    found = problem(ROWS["MultiChallenge"][0])
    assert [turn.role for turn in found.turns] == ["user", "assistant", "user"]
    assert found.grader == "judge"
    assert found.gold == (
        "Is the dessert free of nuts?\nThe response passes if the answer to this question is YES."
    )
    text = json.dumps(ROWS["MultiChallenge"][0]["CONVERSATION"])
    assert problem(changed("MultiChallenge", CONVERSATION=text)) == found
    assert issues(changed("MultiChallenge", CONVERSATION="Hello.")) == [
        "CONVERSATION: is text that is not JSON; must be a list of turns"
    ]


def test_a_chat_ends_with_the_last_turn_that_needs_a_reply() -> None:
    found = problem(ROWS["ShareGPT"][0])
    assert found.turns == (
        Turn("system", "Be brief."),
        Turn("user", "Hello."),
        Turn("assistant", "Hello!"),
        Turn("user", "What is 5 + 5?"),
    )
    assert found.metadata == {"reply": [{"from": "gpt", "value": "10"}]}
    assert found.problem_id == "own-chat" and found.gold is None


def test_text_parts_of_a_content_are_one_text() -> None:
    found = problem(ROWS["conversation"][0])
    assert found.turns == (
        Turn("system", "Be brief."),
        Turn("user", "What is 6 + 6?\nAnswer with a number."),
    )


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}},
            "messages[0].content[0]: is of type 'image_url'; pacore sends text only",
        ),
        (
            {"type": "text"},
            "messages[0].content[0]: is null; a part is text or an object with text",
        ),
        ({"type": ["text"]}, "messages[0].content[0]: is of type a list; pacore sends text only"),
        (7, "messages[0].content[0]: is a number; a part is text or an object with text"),
    ],
)
def test_a_part_that_is_no_text_is_refused(part: Any, expected: str) -> None:
    assert issues({"messages": [{"role": "user", "content": [part]}]}) == [expected]


def test_turns_of_unknown_speakers_are_named_as_the_file_has_them() -> None:
    (issue,) = issues({"conversations": [{"from": "narrator", "value": "x"}]})
    assert issue.startswith("conversations[0].from: unknown role 'narrator'; one of human, user,")
    assert issues({"conversations": [{"from": "human", "value": None}]}) == [
        "conversations[0].value: is null; must be text"
    ]
    assert issues({"conversations": [{"from": "gpt", "value": "x"}]}) == [
        "conversations[0].from: the last turn is from assistant; it must be user or tool"
    ]


@pytest.mark.parametrize(
    "picture", [b"\x89PNG", {"bytes": b"\x89PNG", "path": None}, "data:image/png;base64,iVBORw0="]
)
def test_a_problem_that_comes_with_a_picture_is_refused(picture: Any) -> None:
    row = changed("contest", image=picture)
    assert issues(row) == [
        "image: is an image; pacore sends text only, and without it this is another problem"
    ]


# Precedence and near misses.


@pytest.mark.parametrize(
    ("row", "shape", "gold"),
    [
        # No #### at its end: the answer is the gold answer as it stands.
        (changed("GSM8K", answer="It is 18."), "plain", "It is 18."),
        (changed("GSM8K", answer="#### 18 nuts\nare many"), "plain", "#### 18 nuts\nare many"),
        # A worked answer in a question with options is none of them.
        (changed("MATH", solution="No box.", answer=None), "plain", "No box."),
        (changed("MATH", subject=None, level=None), "plain", "49"),
        # Options make a question of MATH a choice; an empty list of them does not.
        (changed("MATH", options=["48", "49"]), "multiple choice", "B"),
        (changed("MATH", options=[]), "MATH", "49"),
        (changed("NeMo-Skills", options="A) 10\nB) 11"), "NeMo-Skills", "10"),
        (changed("multiple choice", 3, B=None, C=None), "plain", "A"),
        (changed("multiple choice", 3, B=None), "plain", "A"),
        # Without its tests, a function to complete is a prompt.
        (changed("HumanEval", test=None), "plain", None),
        (changed("HumanEval", entry_point=" "), "plain", None),
        (changed("MBPP", 1, test_list=[]), "plain", None),
        # A statement in plain words wins over columns that merely look alike, and over a chat.
        ({"problem": "x", "Problem": "y", "answer": "1", "Answer": "2"}, "plain", "1"),
        ({"problem": "x", "conversations": [{"from": "human", "value": "y"}]}, "plain", None),
        (changed("PaCoRe-Train", responses="17"), "conversation", "17"),
        (changed("GPQA", Question=None, question="Which?"), "plain", None),
    ],
)
def test_a_row_that_is_almost_of_a_shape_is_read_as_what_it_is(
    row: Row, shape: str, gold: str | None
) -> None:
    found = recognise(row, "set.jsonl", 1)
    assert isinstance(found.result, Problem), found
    assert (found.shape, found.result.gold) == (shape, gold)


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        ({**ROWS["HumanEval"][0], **ROWS["MBPP"][0]}, "HumanEval"),
        ({**ROWS["GSM8K"][0], **ROWS["MATH"][0], "problem": None}, "plain"),
        ({**ROWS["multiple choice"][1], "answer": "5 + 3\n#### 8"}, "multiple choice"),
        ({**ROWS["contest"][0], "expected_answer": "6"}, "NeMo-Skills"),
        ({**ROWS["GPQA"][0], "options": ["x", "y"], "answer": "A"}, "GPQA"),
    ],
)
def test_a_row_that_two_shapes_could_claim_is_of_the_first(row: Row, shape: str) -> None:
    assert recognised(row).name == shape


# Properties.

EXAMPLES = st.sampled_from([row for _, row in ALL_ROWS])


NAMES = st.sampled_from(sorted({name for _, row in ALL_ROWS for name in row}))


VALUES = st.sampled_from([value for _, row in ALL_ROWS for value in row.values()])


DAMAGE = st.dictionaries(NAMES, st.none() | JSON_VALUES | VALUES, min_size=1, max_size=3)


@settings(deadline=None, max_examples=400)
@given(EXAMPLES, DAMAGE)
def test_any_damage_to_a_row_leaves_a_problem_or_printable_issues(row: Row, damage: Row) -> None:
    found = read_row({**row, **damage}, "set.jsonl", 1)
    if isinstance(found, Problem):
        assert found.turns and found.statement.strip() and len(found.content_digest) == 64
        assert json.dumps(dict(found.metadata), allow_nan=False)
        if found.grader == "code" and found.gold is not None:
            assert from_gold(found.gold)
        if found.grader == "choice" and found.gold is not None and "options" not in damage:
            assert found.gold.strip()
    else:
        assert found
        for issue in found:
            assert "\n" not in str(issue) and str(issue).encode("utf-8")


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(NAMES, JSON_VALUES | VALUES, max_size=6))
def test_any_row_of_known_names_is_of_one_shape_and_never_fails(row: Mapping[str, Any]) -> None:
    found = recognise(row, "set.jsonl", 1)
    assert found.shape == recognised(row).name
    assert found == recognise(dict(row), "other.csv", 1) or isinstance(found.result, list)


def test_neither_the_order_of_rows_nor_the_name_of_the_file_makes_another_set(
    tmp_path: Path,
) -> None:
    rows = [row for _, row in ALL_ROWS]
    sets = []
    for seed in range(3):
        Random(seed).shuffle(rows)
        path = tmp_path / f"math500-{seed}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        sets.append(read_problem_set(str(path)))
    assert len(sets[0]) == len(ALL_ROWS)
    assert sets[0] == sets[1] == sets[2]
    assert len({set_digest(problems) for problems in sets}) == 1


# Files: what a format can hold of a shape is the same problem in every format.


def parquet_of(row: Row) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row]), file)
    return file.getvalue()


def csv_of(row: Row) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue().encode()


def fits_csv(row: Row) -> bool:
    return not any(isinstance(value, list | dict) for value in row.values())


@pytest.mark.parametrize(("shape", "row"), ALL_ROWS)
def test_a_parquet_file_and_a_csv_file_state_what_a_line_of_json_states(
    tmp_path: Path, shape: str, row: Row
) -> None:
    path = tmp_path / "set.parquet"
    path.write_bytes(parquet_of(row))
    assert read_problem_set(str(path)) == [problem(row)], shape
    if fits_csv(row):
        path = tmp_path / "set.csv"
        path.write_bytes(csv_of(row))
        assert read_problem_set(str(path)) == [problem(row)], shape


def test_most_shapes_can_be_csv() -> None:
    assert {name for name, row in ALL_ROWS if fits_csv(row)} == {
        "GSM8K", "MATH", "NeMo-Skills", "titled columns", "multiple choice", "GPQA", "HumanEval",
        "LiveCodeBench", "plain",
    }  # fmt: skip


def test_dates_as_parquet_has_them_are_metadata_as_text(tmp_path: Path) -> None:
    row = changed("LiveCodeBench", contest_date=datetime(2031, 1, 2, 3, 4))
    path = tmp_path / "set.parquet"
    path.write_bytes(parquet_of(row))
    (found,) = read_problem_set(str(path))
    assert found.metadata["contest_date"] == "2031-01-02T03:04:00"


def test_pictures_as_parquet_has_them_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    path.write_bytes(parquet_of(changed("contest", image={"bytes": b"\x89PNG", "path": "x.png"})))
    with pytest.raises(BadProblems, match="set.parquet:1: image: is an image; pacore sends text"):
        read_problem_set(str(path))
