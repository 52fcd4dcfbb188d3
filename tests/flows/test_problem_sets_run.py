"""Sets of every shape through the pipeline: read, run, graded, and their tests run on programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pacore.audit.audit import Audit
from pacore.core.grading.choose import choose_grader
from pacore.core.problem import Problem
from pacore.problems.files import read_problem_set
from pacore.problems.shapes.recognise import read_row
from pacore.report.audit import AuditReport
from pacore.sandbox.programs import grade_programs
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.pipeline import run_stages, scripted_config, tables
from tests.fixtures.problem_sets import ALL_ROWS, ROWS, Row

pytestmark = pytest.mark.slow


def write(folder: Path, name: str, rows: list[Row]) -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


SOLUTIONS: dict[tuple[str, int], tuple[str, str]] = {
    ("HumanEval", 0): ("def add_one(x):\n    return x + 1", "def add_one(x):\n    return 2"),
    ("MBPP", 0): ("def double(x):\n    return 2 * x", "def double(x):\n    return 4"),
    ("MBPP", 1): ("def root(x):\n    return x ** 0.5", "def root(x):\n    return x"),
    ("LiveCodeBench", 0): (
        "print(sum(map(int, input().split())))",
        "input()\nprint(3)",
    ),
    ("LiveCodeBench", 1): (
        "class Solution:\n    def scale(self, xs, k):\n        return [k * x for x in xs]",
        "class Solution:\n    def scale(self, xs, k):\n        return xs",
    ),
    ("PaCoRe-Train", 1): ("print(sum(map(int, input().split())))", "print(4)"),
    ("verl", 1): ("a, b = map(int, input().split())\nprint(a * b)", "print(5)"),
}
"""For each example with tests a program that passes all of them, and one that does not."""


def test_there_is_a_solution_to_every_example_with_tests() -> None:
    with_tests = set()
    for name, rows in ROWS.items():
        for number, row in enumerate(rows):
            found = read_row(row, "set.jsonl", 1)
            if isinstance(found, Problem) and found.grader == "code":
                with_tests.add((name, number))
    assert with_tests == set(SOLUTIONS)


def test_the_tests_of_every_published_form_tell_a_solution_from_a_near_miss() -> None:
    items = []
    for (name, number), programs in SOLUTIONS.items():
        found = read_row(ROWS[name][number], "set.jsonl", 1)
        assert isinstance(found, Problem) and found.gold is not None
        items += [(found.gold, program) for program in programs]
    verdicts = grade_programs(items)
    assert [verdict.verdict for verdict in verdicts] == ["correct", "wrong"] * len(SOLUTIONS), (
        verdicts
    )


@pytest.mark.parametrize("name", ROWS)
def test_a_set_of_every_shape_runs_to_answers_that_an_audit_finds_sound(
    tmp_path: Path, name: str
) -> None:
    path = write(tmp_path, name, ROWS[name])
    run = run_stages(scripted_config(tmp_path / "store", path, widths=(2,), run_id="r"))
    problems = read_problem_set(str(path))
    rows = tables(str(tmp_path / "store"), "r")
    assert [row[1] for row in rows["answers"]] == [one.problem_id for one in problems]
    # A judge is a model, and not asked while the run is made.
    graders = {one.problem_id: choose_grader(one) for one in problems if one.gold is not None}
    scored = {row[1]: row[5] for row in rows["verdicts"]}
    assert scored == {key: grader for key, grader in graders.items() if grader != "judge"}
    store = open_store(str(tmp_path / "store"))
    found = AuditReport(Audit(store, run.run_id), run.run_id, 10)
    assert list(found.text()) and found.counts["error"] == 0


def test_a_file_with_a_row_of_every_shape_is_listed_run_and_shown(
    tmp_path: Path, prefect_api: str, pacore: Pacore, command: Pacore
) -> None:
    assert prefect_api
    path = write(tmp_path, "all", [row for _, row in ALL_ROWS])
    given = ["--problems", str(path), "--store", str(tmp_path / "s"), "--engine", "scripted"]
    listed = pacore("problems", str(path))
    assert listed.returncode == 0 and f"problems  {len(ALL_ROWS)}\n" in listed.stdout
    done = command("run", *given, "--widths", "2", "--run-id", "all")
    assert done.returncode == 0, done.stderr
    with Warehouse(open_store(str(tmp_path / "s"))) as warehouse:
        answers = warehouse.query("SELECT count(*), count(DISTINCT problem_id) FROM answers").rows
        assert list(answers) == [(len(ALL_ROWS), len(ALL_ROWS))]
    shown = command("show", "all", "own1_a", "--store", str(tmp_path / "s"))
    assert shown.returncode == 0 and "Read two numbers" in shown.stdout
