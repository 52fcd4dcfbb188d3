"""Names of problems as files have them: usable ids, and the original name found everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.cli.main import main
from pacore.core.problem import (
    MAX_ID_CHARACTERS,
    Problem,
    is_usable,
    original_name,
    possible_ids,
    problem_id_of,
)
from pacore.problems.files import read_problem_set
from pacore.problems.issues import BadProblems
from pacore.problems.shapes.recognise import read_row
from tests.fixtures.pipeline import run_stages, scripted_config

NAMES: dict[Any, str] = {
    "HumanEval/3": "HumanEval-3",
    "test/algebra/7.json": "test-algebra-7",
    "a\\b": "a-b",
    "a/../b": "a---b",
    "a..b": "a-b",
    "a\nb": "a-b",
    "a\tb/c d": "a-b-c-d",
    "a\u2028b": "a-b",
    "a\x00b": "a-b",
    "a\x85b": "a-b",
    "a\ud800b": "a-b",
    "/lead/and/trail/": "lead-and-trail",
    "https://example.org/wiki/2024_AIME?n=3": "https:-example.org-wiki-2024_AIME?n=3",
    "数学/第一题": "数学-第一题",
    "../..": "id-cd3d4b9fc0b2",
    "x" * 300: "x" * 243 + "-e2c3cd4ba2c2",
    # What was an id before stays the id it was.
    "two words": "two words",
    "v1.5": "v1.5",
    "algebra.json": "algebra.json",
    " padded ": " padded ",
    "a:b|c*d?": "a:b|c*d?",
    7: "7",
    7.25: "7.25",
}


@pytest.mark.parametrize(("name", "expected"), [*NAMES.items(), (7.0, "7"), (True, "True")])
def test_a_name_becomes_a_usable_id_and_stays_in_the_data(name: Any, expected: str) -> None:
    found = read_row({"id": name, "problem": "x"}, "f", 1)
    assert isinstance(found, Problem)
    if expected.startswith("id-") or len(expected) == MAX_ID_CHARACTERS:
        assert found.problem_id[:-12] == expected[:-12]
    else:
        assert found.problem_id == expected
    assert is_usable(found.problem_id)
    is_renamed = str(name) != found.problem_id and isinstance(name, str)
    assert ("id" in found.metadata) is is_renamed
    if is_renamed and found.metadata["id"] == name:
        assert original_name(found.problem_id, found.metadata) == name


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=300))
def test_any_name_but_a_blank_one_has_a_usable_id_of_its_own(name: str) -> None:
    problem_id = problem_id_of(name)
    if name.strip():
        assert is_usable(problem_id)
        assert problem_id_of(problem_id) == problem_id
        assert problem_id in possible_ids(name)
    if is_usable(name):
        assert problem_id == name


def test_names_that_become_the_same_id_are_told_apart_by_what_the_file_calls_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "set.jsonl"
    rows = [
        {"id": "a/b", "problem": "x"},
        {"id": "a-b", "problem": "y"},
        {"id": "a b", "problem": "z"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadProblems) as caught:
        read_problem_set(str(path))
    assert str(caught.value) == (
        f"{path}:2: id: 'a-b' and 'a/b' ({path}:1) both get the id 'a-b'; --fields id= makes ids from the "
        "content"
    )
    path.write_text('{"id": "a/b", "problem": "x"}\n{"id": "a-b", "problem": "x"}\n')
    assert [one.problem_id for one in read_problem_set(str(path))] == ["a-b"]


PROGRAM = {
    "prompt": "def one():\n",
    "test": "def check(candidate):\n    assert candidate() == 1\n",
    "entry_point": "one",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a set of three problems whose names no id may be, each of another shape."""
    rows: list[dict[str, Any]] = [
        {"task_id": "HumanEval/3", **PROGRAM},
        {"id": "plain/1 of 2", "problem": "What is 1 + 1?", "answer": "2"},
        {"problem": "x", "solution": "\\boxed{1}", "level": 1, "unique_id": "test/algebra/7.json"},
    ]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


ORIGINALS = {
    "HumanEval/3": "HumanEval-3",
    "plain/1 of 2": "plain-1-of-2",
    "test/algebra/7.json": "test-algebra-7",
}


@pytest.mark.slow
def test_show_and_explain_take_the_name_or_the_id(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_stages(scripted_config(place / "s", place / "set.jsonl", widths=(2,), run_id="r"))
    for name, problem_id in ORIGINALS.items():
        for typed in (name, problem_id):
            assert main(["show", "r", typed, "--store", str(place / "s")]) == 0
            assert f"problem {problem_id} ({name}) · run r" in capsys.readouterr().out
            assert main(["explain", "r", typed, "--store", str(place / "s")]) == 0
            assert problem_id in capsys.readouterr().out
    assert main(["show", "r", "HumanEval/4", "--store", str(place / "s")]) == 2
    assert "no problem 'HumanEval/4' (did you mean HumanEval-3" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["original", "id"])
def test_a_results_file_matches_by_name_or_id(
    place: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    names = list(ORIGINALS) if form == "original" else list(ORIGINALS.values())
    rows = [{"request_id": n, "round_responses": [[{"content": "\\boxed{2}"}]]} for n in names]
    (place / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--problems", str(place / "set.jsonl"), "--model", "m", "--store", str(place / "s")]
    assert main(["import", str(place / "results.jsonl"), *given, "--run-id", "r"]) == 0
    assert "3 of 3" in capsys.readouterr().out.replace("(3 of 3", "3 of 3")


@pytest.mark.parametrize("suffix", ["", "-0", "/0", "_1"])
def test_a_batch_s_custom_id_matches_by_name(
    place: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    def line(name: str) -> dict[str, Any]:
        choice = {"index": 0, "finish_reason": "stop", "message": {"content": "\\boxed{2}"}}
        response = {"status_code": 200, "body": {"model": "m", "choices": [choice]}}
        return {"custom_id": f"{name}{suffix}", "response": response}

    (place / "out.jsonl").write_text("".join(json.dumps(line(name)) + "\n" for name in ORIGINALS))
    given = ["--problems", str(place / "set.jsonl"), "--model", "m", "--store", str(place / "s")]
    code = main(["import", str(place / "out.jsonl"), *given, "--run-id", "r"])
    assert code == 0, capsys.readouterr().err


def test_numbers_name_problems_as_their_ids_have_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": 3.0, "problem": "What is 1 + 1?", "answer": 2.0}]
    (tmp_path / "set.jsonl").write_text(json.dumps(rows[0]))
    result = {"request_id": 3.0, "round_responses": [[{"content": "\\boxed{2}"}]]}
    (tmp_path / "results.jsonl").write_text(json.dumps(result))
    given = [
        "--problems",
        str(tmp_path / "set.jsonl"),
        "--model",
        "m",
        "--store",
        str(tmp_path / "s"),
    ]
    assert main(["import", str(tmp_path / "results.jsonl"), *given, "--run-id", "r"]) == 0
    assert main(["show", "r", "3", "--store", str(tmp_path / "s")]) == 0
    assert "What is 1 + 1?" in capsys.readouterr().out
