"""What `pacore problems` says of a problem set before anything is run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pacore.cli.main import command_of, main
from pacore.core.problem import set_digest
from pacore.errors import BadInput
from pacore.problems.files import read_problem_set
from pacore.problems.issues import BadProblems
from pacore.problems.shapes.recognise import SHAPES
from pacore.report.problem import problem_set_sheet
from pacore.report.rendering.terminal import to_text
from pacore.text import CONTROLS
from tests.conftest import ROOT
from tests.fixtures.problem_sets import ALL_ROWS, ROWS, Row
from tests.report.test_run import HOSTILE

GOLDEN = ROOT / "tests" / "golden" / "problems"


WIDTH = 100


STEERING = re.compile(f"(?!\n)[{CONTROLS}]")


def write(name: str, rows: list[Row]) -> str:
    url = f"memory://own/{name}.jsonl"
    with fsspec.open(url, "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    return url


def said(name: str, rows: list[Row], fields: str | None = None) -> str:
    return to_text(problem_set_sheet(write(name, rows), fields), WIDTH) + "\n"


SUMS: list[Row] = [
    {"id": f"sum-{n}", "problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(1, 8)
]


WORTH_A_NOTE: list[Row] = [
    *SUMS,
    {**SUMS[0], "note": "the same again"},
    {"id": "again", "problem": SUMS[1]["problem"], "answer": "4"},
    {"id": "otherwise", "problem": SUMS[2]["problem"], "answer": "7"},
    {"id": "pictured", "problem": "What is shown? ![](x.png)", "answer": "a cat"},
    {"id": "drawn", "problem": "What is drawn?", "image": "cat.png", "answer": "a cat"},
    {"id": "choice", "problem": "Which?", "options": "['x' 'y']", "answer": "B"},
    {"id": "proof", "problem": "Prove it."},
    {"id": "essay", "problem": "Tell it.", "answer": "It was a long day. " * 20},
    {"id": "long", "problem": "x" * 100_001, "answer": "1"},
    {"id": "program", "problem": "Add.", "answer": json.dumps({"inputs": ["1"], "outputs": ["1"]})},
]


REPORTS: dict[str, tuple[list[Row], str | None]] = {
    "shapes": ([row for _, row in ALL_ROWS], None),
    "notes": (WORTH_A_NOTE, None),
    "turns": (ROWS["ShareGPT"], None),
    "code": (ROWS["LiveCodeBench"], None),
    "mapped": (
        [{"Prompt": "What is 1 + 1?", "Final": {"value": "2"}, "uid": 7}],
        "problem=Prompt,answer=Final.value,id=uid,grader=math",
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_names_shapes_graders_digest_and_the_first_problem(name: str) -> None:
    assert said(name, *REPORTS[name]) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_the_digest_is_that_of_the_set_a_run_freezes() -> None:
    url = write("sums", SUMS)
    assert f"digest    {set_digest(read_problem_set(url))}\n" in to_text(problem_set_sheet(url))
    first = set_digest(read_problem_set(url, 2))
    assert f"digest    {first}\n" in to_text(problem_set_sheet(url, limit=2))


def test_bad_rows_are_all_named_as_a_run_names_them() -> None:
    bad: list[Any] = [*SUMS, {"id": [], "problem": ""}, 7]
    url = write("bad", bad)
    with pytest.raises(BadProblems) as caught:
        to_text(problem_set_sheet(url))
    with pytest.raises(BadProblems) as of_run:
        read_problem_set(url)
    assert caught.value.issues == of_run.value.issues
    assert len(caught.value.issues) == 3


def test_the_command_ends_with_2_for_bad_rows_and_says_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"problem": "What is 1 + 1?", "answer": "2"}\n{"problem": ""}\n')
    assert main(["problems", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and f"{path}:2: problem: is empty" in shown.err
    assert main(["problems", str(path), "--limit", "1"]) == 0
    shown = capsys.readouterr()
    assert "What is 1 + 1?" in shown.out and shown.err == ""
    assert main(["problems", str(tmp_path / "none.jsonl")]) == 2


def test_the_help_names_every_shape_in_the_order_in_which_they_are_tried() -> None:
    told = command_of("problems").help
    assert told is not None
    named = [told.index(shape.name) for shape in SHAPES]
    assert named == sorted(named)


def test_what_a_file_says_can_do_nothing_but_be_read() -> None:
    turns = [{"role": "system", "content": HOSTILE}, {"role": "user", "content": HOSTILE}]
    row = {"messages": turns, "answer": HOSTILE, f"field {HOSTILE}": 1}
    shown = said("hostile", [row])
    assert not STEERING.search(shown) and "markup" in shown
    with pytest.raises(BadInput) as caught:
        said("hostile", [{f"field {HOSTILE}": 1}])
    assert not STEERING.search(str(caught.value))
