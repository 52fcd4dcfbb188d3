"""A person's own mapping of fields: what can be said with it, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pacore.cli.main import main
from pacore.core.config.mapping import check_mapping, parse_mapping
from pacore.core.config.run import RunConfig
from pacore.core.problem import Problem, Turn
from pacore.errors import BadInput
from pacore.problems.files import read_problem_set
from pacore.problems.issues import BadProblems
from pacore.problems.shapes.recognise import recognise
from pacore.runs.problems import begin
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run
from tests.fixtures.pipeline import scripted_config
from tests.fixtures.problem_sets import ROWS, Row
from tests.problems.test_parts import JSON_VALUES

MAPPED: Row = {
    "uid": 7,
    "Prompt": "What is 1 + 1?",
    "Final": {"value": "2", "unit": "apples"},
    "source": "own",
}


def problem(row: Row, fields: str) -> Problem:
    found = recognise(row, "set.jsonl", 1, parse_mapping(fields)).result
    assert isinstance(found, Problem), found
    return found


def issues(row: Row, fields: str) -> list[str]:
    found = recognise(row, "set.jsonl", 1, parse_mapping(fields)).result
    assert isinstance(found, list), found
    return [str(issue).removeprefix("set.jsonl:1: ") for issue in found]


def test_parts_are_taken_from_the_fields_they_are_mapped_to() -> None:
    found = problem(MAPPED, "problem=Prompt,answer=Final.value,id=uid,grader=text")
    assert found == Problem("7", (Turn("user", "What is 1 + 1?"),), "2", "text")
    assert found.metadata == {"Final": MAPPED["Final"], "source": "own"}


def test_parts_that_are_not_mapped_are_found_by_their_plain_names() -> None:
    row = {"Prompt": "x", "id": "a", "answer": "2", "grader": "text", "solution": "long"}
    found = problem(row, "problem=Prompt")
    assert (found.problem_id, found.gold, found.grader) == ("a", "2", "text")
    assert found.metadata == {"solution": "long"}


def test_a_part_mapped_to_nothing_is_none() -> None:
    row = {"Prompt": "x", "id": "a", "answer": "2", "grader": "text"}
    found = problem(row, "problem=Prompt,answer=,id=,grader=")
    assert (found.gold, found.grader) == (None, None)
    assert found.problem_id.startswith("p-")


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"a": {"b": {"c": "x"}}}, "a.b.c"),
        ({"a.b": {"c": "x"}}, "a.b.c"),
        ({"a": {"b.c": "x"}}, "a.b.c"),
        ({"a.b.c": "x", "a": {"b": {"c": "y"}}}, "a.b.c"),
        ({"a": {"b": {"d": "y"}}, "a.b": {"c": "x"}}, "a.b.c"),
        ({"a": [{"b": "y"}, {"b": "x"}]}, "a.1.b"),
        ({"a": [{"b": "y"}, {"b": "x"}]}, "a.-1.b"),
        ({"Problem, in full": "x"}, "Problem, in full"),
        ({"a=b": "x"}, "a=b"),
        ({"grader=": "x"}, "grader="),
    ],
)
def test_a_path_leads_into_objects_and_lists_and_names_may_have_dots_and_commas(
    row: Row, path: str
) -> None:
    assert problem(row, f"problem={path}").statement == "x"


@pytest.mark.parametrize("path", ["a.2.b", "a.-3.b", "a.b", "a.x.b", "b", "a.1.b.c", "a.1.", "."])
def test_a_path_that_leads_nowhere_is_missing(path: str) -> None:
    row = {"a": [{"b": "y"}, {"b": "x"}]}
    assert issues(row, f"problem={path}") == [f"{path}: missing; it is mapped to the problem"]


def test_a_mapped_problem_may_be_turns() -> None:
    row = {
        "prompt": [{"role": "user", "content": "What is 1 + 1?"}],
        "reward_model": {"style": "rule", "ground_truth": "2"},
    }
    found = problem(row, "problem=prompt,answer=reward_model.ground_truth")
    assert (found.statement, found.gold) == ("What is 1 + 1?", "2")


def test_mapped_options_make_a_multiple_choice() -> None:
    row = {"Stem": "Which is even?", "Answers": ["3", "8"], "Key": "B"}
    found = problem(row, "problem=Stem,options=Answers,answer=Key")
    known = {"question": "Which is even?", "options": ["3", "8"], "answer": "B"}
    assert found == recognise(known, "set.jsonl", 1).result
    text = {**row, "Answers": json.dumps(row["Answers"]), "Key": ""}
    unknown = problem(text, "problem=Stem,options=Answers,answer=Key")
    assert (unknown.turns, unknown.gold) == (found.turns, None)
    assert issues(row, "problem=Stem,options=Key,answer=Key") == [
        "Key: is text; must be a list of options, or an object of them"
    ]
    assert issues({**row, "Stem": []}, "problem=Stem,options=Answers") == [
        "Stem: is a list; a problem with options is text",
        "Stem: is empty",
    ]


def test_mapped_tests_make_a_program_to_be_run() -> None:
    row = {"task": "Double it.", "checks": ["assert double(2) == 4"]}
    found = problem(row, "problem=task,answer=checks,grader=code")
    assert found.gold == '{"kind":"assertions","tests":["assert double(2) == 4"]}'


def test_a_mapping_that_names_the_problem_wins_over_the_shape_of_the_row() -> None:
    row = ROWS["HumanEval"][0]
    found = problem(row, "problem=prompt,answer=canonical_solution")
    assert found.turns == (Turn("user", row["prompt"]),)
    assert (found.gold, found.grader) == (row["canonical_solution"], None)
    assert found.metadata["entry_point"] == "add_one"
    assert recognise(row, "f", 1, {"problem": "prompt"}).shape == "fields"


def test_a_mapping_of_id_and_grader_alone_keeps_what_the_shape_finds() -> None:
    row = ROWS["multiple choice"][1]
    found = problem(row, "id=subject,grader=text")
    known = recognise(row, "f", 1).result
    assert isinstance(known, Problem)
    assert (found.problem_id, found.grader) == ("x", "text")
    assert (found.turns, found.gold) == (known.turns, known.gold)
    assert recognise(row, "f", 1, {"id": "subject"}).shape == "multiple choice"


def test_faults_name_the_field_as_the_file_has_it() -> None:
    row = {"Prompt": 5, "Final": {"value": []}, "uid": {"a": "b"}}
    assert issues(row, "problem=Prompt,answer=Final.value,id=uid") == [
        "uid: is an object; must be text or a number",
        "Prompt: is a number; must be text or a list of turns",
        "Final.value: is a list; must be text or a number, or an object with 'answer'",
    ]


@pytest.mark.parametrize(
    ("row", "without", "gold"),
    [
        ({"problem": "x", "prompt": "y", "answer": "1"}, "prompt", "1"),
        ({"problem": "x", "image": "data:image/png;base64,AAAA", "answer": "1"}, "image", "1"),
        ({"problem": "x", "a": 1, "b": {"c": 2}, "answer": "1"}, "a, b", "1"),
        ({"problem": "x", "a, b": 1, "answer": "1"}, "a, b", "1"),
        ({"problem": "x", "answer": "1", "expected_answer": "2"}, "answer", "2"),
        ({"question": "x", "choices": ["y", "z"], "answer": "y"}, "choices", "y"),
    ],
)
def test_columns_that_are_left_out_are_as_if_they_were_not_there(
    row: Row, without: str, gold: str
) -> None:
    found = problem(row, f"without={without}")
    kept = {
        name: value for name, value in row.items() if name not in (without, *without.split(", "))
    }
    assert found == recognise(kept, "set.jsonl", 1).result
    assert (found.gold, found.statement) == (gold, "x")
    assert not set(found.metadata) & {without, *without.split(", ")}


def test_a_column_can_be_left_out_beside_other_parts() -> None:
    row = {"Prompt": "x", "Key": "1", "image": "data:image/png;base64,AAAA", "grader": "vibes"}
    found = problem(row, "problem=Prompt,without=image,grader,answer=Key")
    assert (found.statement, found.gold, found.grader, dict(found.metadata)) == ("x", "1", None, {})


# How it is said.


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ("Prompt", "'Prompt' is none of problem=…, answer=…, id=…, grader=…, options=…, without=…"),
        ("", "'' is none of problem=…, answer=…, id=…, grader=…, options=…, without=…"),
        ("question=Prompt", "'question=Prompt' is none of problem=…"),
        ("problem=a,problem=b", "problem is given twice"),
        ("problem=", "problem: names no field"),
        ("problem=a,options=", "options: names no field"),
        ("without=", "without: names no field"),
        ("answer=a", "answer: say which field is the problem, too"),
        ("grader=vibes", "grader: unknown grader 'vibes'; one of math, choice, text"),
        ({"statement": "a"}, "'statement' is no part of a problem; parts are problem, answer, id"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused_in_a_line(fields: Any, what: str) -> None:
    with pytest.raises(ValidationError) as caught:
        scripted_config(Path("s"), Path("p.jsonl"), fields=fields)
    (fault,) = caught.value.errors(include_url=False)
    assert fault["loc"] == ("fields",)
    assert fault["msg"].startswith(what) and "\n" not in fault["msg"]


def test_a_grader_may_have_options_with_commas_of_their_own() -> None:
    assert parse_mapping("problem=a,grader=numeric:rel=1e-4,abs=0,id=b") == {
        "problem": "a",
        "grader": "numeric:rel=1e-4,abs=0",
        "id": "b",
    }


def test_what_is_typed_and_what_a_configuration_file_has_are_the_same() -> None:
    typed = scripted_config(Path("s"), Path("p"), fields="problem=Prompt, answer=, grader=text")
    written = {"problem": "Prompt", "answer": None, "grader": "text"}
    assert typed == scripted_config(Path("s"), Path("p"), fields=written)
    assert typed.fields == {"problem": "Prompt", "answer": "", "grader": "text"}
    assert RunConfig.model_validate_json(typed.model_dump_json()) == typed


def test_columns_to_leave_out_may_be_a_list_in_a_configuration_file() -> None:
    typed = scripted_config(Path("s"), Path("p"), fields="without=image,audio")
    assert typed == scripted_config(Path("s"), Path("p"), fields={"without": ["image", "audio"]})
    assert typed.fields == {"without": "image,audio"}


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["problem", "answer", "id", "options", "grader", "without"]), st.text()
    ),
    st.dictionaries(st.sampled_from(["a", "a.b", "b"]), JSON_VALUES),
)
def test_any_mapping_of_any_row_gives_a_problem_or_printable_issues(
    mapping: dict[str, str], row: Row
) -> None:
    try:
        check_mapping(mapping)
    except ValueError as fault:
        assert "\n" not in str(fault)
        mapping = {}
    for paths in (mapping, dict.fromkeys(mapping, "a"), dict.fromkeys(mapping, "a.b.0")):
        found = recognise(row, "set.jsonl", 1, paths).result
        if not isinstance(found, Problem):
            assert found and all("\n" not in str(issue) for issue in found)


# Where problem sets are read.


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with ``mapped.jsonl``: two rows that only a mapping makes sense of."""
    rows = [MAPPED, {**MAPPED, "uid": 8, "Prompt": "What is 2 + 2?", "Final": {"value": "4"}}]
    (tmp_path / "mapped.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


FIELDS = "problem=Prompt,answer=Final.value,id=uid"


def test_a_path_that_no_row_has_is_said_once_with_what_the_rows_have(place: Path) -> None:
    url = str(place / "mapped.jsonl")
    with pytest.raises(BadInput) as caught:
        read_problem_set(url, None, {"problem": "Prompt", "answer": "Final.text"})
    assert str(caught.value) == (
        f"--fields answer=Final.text: no row of {url} has it (did you mean Final.unit or "
        "Final.value?); the first row has the fields uid, "
        "Prompt, Final.value, Final.unit, source"
    )


def test_a_column_to_leave_out_that_no_row_has_is_said_once(place: Path) -> None:
    url = str(place / "mapped.jsonl")
    with pytest.raises(BadInput) as caught:
        read_problem_set(url, None, parse_mapping("problem=Prompt,without=source,audio"))
    assert str(caught.value) == (
        f"--fields without=audio: no row of {url} has it; the first row has the fields uid, Prompt, "
        "Final.value, Final.unit, source"
    )


def test_a_path_that_some_rows_have_is_wanted_for_the_problem_and_optional_otherwise(
    place: Path,
) -> None:
    path = place / "mapped.jsonl"
    path.write_text(path.read_text() + '{"Prompt": "x"}\n')
    found = read_problem_set(str(path), None, parse_mapping(FIELDS))
    assert [(one.problem_id, one.gold) for one in found[:2]] == [("7", "2"), ("8", "4")]
    assert found[2].gold is None
    path.write_text(path.read_text() + '{"uid": 9}\n')
    with pytest.raises(BadProblems, match=":4: Prompt: missing; it is mapped to the problem"):
        read_problem_set(str(path), None, parse_mapping(FIELDS))


def test_a_file_in_which_nothing_is_known_is_refused_in_one_line_that_lists_its_fields(
    place: Path,
) -> None:
    url = str(place / "mapped.jsonl")
    with pytest.raises(BadInput) as caught:
        read_problem_set(url)
    assert str(caught.value) == (
        f"{url}: no row has a field that pacore knows for a problem; the first row has the fields "
        "uid, Prompt, Final.value, Final.unit, source; map them with --fields "
        "problem=NAME,answer=NAME"
    )
    (place / "mixed.jsonl").write_text(f"{json.dumps(MAPPED)}\n" + '{"problem": "x"}\n')
    with pytest.raises(BadProblems, match=":1: problem|question|prompt|messages|conversation: "):
        read_problem_set(str(place / "mixed.jsonl"))


def test_a_run_keeps_its_mapping_and_is_the_run_of_the_plain_set(place: Path) -> None:
    config = scripted_config(place / "store", place / "mapped.jsonl", fields=FIELDS)
    run = begin(config)
    rows = [
        {"id": uid, "problem": f"What is {n} + {n}?", "answer": str(2 * n)}
        for uid, n in ((7, 1), (8, 2))
    ]
    (place / "plain.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plain = begin(scripted_config(place / "other", place / "plain.jsonl"))
    assert run.identity == plain.identity
    store = open_store(config.store)
    record = json.loads(store.get(f"runs/{run.run_id}/run.json"))
    assert record["config"]["fields"] == parse_mapping(FIELDS)
    assert open_run(store, run.run_id).problem_set.startswith("problems/mapped@")


def test_every_command_that_reads_a_problem_set_takes_the_mapping(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--problems", str(place / "mapped.jsonl"), "--store", str(place / "store")]
    plan = ["plan", *given, "--engine", "scripted"]
    assert main([*plan, "--fields", FIELDS]) == 0
    config = place / "run.yaml"
    config.write_text("engine: scripted\nfields:\n  problem: Prompt\n  id: uid\n  answer:\n")
    assert main(["plan", *given, "--config", str(config)]) == 0
    assert main(["problems", given[1], "--fields", FIELDS]) == 0
    assert "first problem · 7" in capsys.readouterr().out
    for command in (plan, ["run", *given, "--engine", "scripted"], ["problems", given[1]]):
        assert main([*command, "--fields", "problem=prompt"]) == 2
        said = capsys.readouterr().err
        assert "--fields problem=prompt: no row of" in said and "uid, Prompt" in said
        assert main([*command, "--fields", "Prompt"]) == 2
        assert "--fields: 'Prompt' is none of problem=…" in capsys.readouterr().err
    assert not (place / "store").exists()


def test_an_import_reads_its_problem_set_with_the_mapping(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = place / "results.jsonl"
    rows = [
        {"request_id": str(uid), "round_responses": [[{"content": f"\\boxed{{{gold}}}"}]]}
        for uid, gold in ((7, 2), (8, 4))
    ]
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = ["import", str(results), "--model", "m", "--store", str(place / "s"), "--run-id", "r"]
    assert main([*line, "--fields", FIELDS]) == 2
    assert "--fields: says how to read --problems" in capsys.readouterr().err
    assert main([*line, "--problems", str(place / "mapped.jsonl"), "--fields", FIELDS]) == 0
    assert "100.0 % (2 of 2 answers scored)" in capsys.readouterr().out
