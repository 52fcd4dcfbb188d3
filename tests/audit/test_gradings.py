"""Audits of graded runs: sound in every state a grading may be left in, and no fault unnamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pacore.audit.audit import Audit
from pacore.audit.gradings import PROGRAMS, check_grades
from pacore.core.grading.programs.tests import as_gold, stdin_tests
from pacore.evaluation.gradings import ungraded
from pacore.runs.retry import begin_retry
from pacore.sandbox.grade import answer_keys, grader_version
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_units, read_commit, write_snapshot
from pacore.store.gradings import read_gradings
from pacore.store.layout import OWN, Unit, commit_key, graded_key, grading_key, snapshots_prefix
from pacore.store.rows import StoredVerdict
from pacore.store.run import is_closed, open_run
from tests.fixtures.altered_rows import place
from tests.fixtures.audited import FAULTY, RUN, audited, copy_of, errors, finish, finished_night
from tests.fixtures.corruption import Row, edit_json, flip, rewrite, rows_of
from tests.fixtures.pipeline import scripted_config, write_problems
from tests.fixtures.regraded import grade, grade_units, opened, units_of

pytestmark = pytest.mark.slow

Seeded = tuple[str, str]
"""The file and the row an audit has to name."""


@pytest.fixture(scope="module")
def ungraded_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_night(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def night(ungraded_night: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with two finished gradings."""
    folder = tmp_path_factory.mktemp("graded") / "store"
    copy_of(ungraded_night, folder)
    grade(str(folder), RUN, "text")
    grade(str(folder), RUN, "auto")
    return folder


@pytest.fixture
def store(night: Path, tmp_path: Path) -> Backend:
    return copy_of(night, tmp_path / "store")


def said(store: Backend) -> list[str]:
    return [str(finding) for finding in audited(store)]


def test_nothing_is_wrong_with_several_gradings_and_every_verdict_was_looked_at(
    store: Backend,
) -> None:
    audit = Audit(store, RUN)
    assert [str(finding) for finding in audit.findings()] == []
    records = read_gradings(store, RUN)
    units = [unit for r in records for unit in units_of(store, RUN, r.grading.grading_id)]
    units += [unit for unit in current_units(store, RUN, "verdicts") if unit.grading == OWN]
    assert len(records) == 2
    assert audit.tally.verdicts == sum(len(rows_of(store, unit)) for unit in units)
    assert audit.tally.files == audit.tally.commits


@pytest.mark.parametrize("units", range(7))
def test_nothing_is_wrong_with_a_grading_that_was_killed(
    ungraded_night: Path, tmp_path: Path, units: int
) -> None:
    """With some of its six shard-rounds, or all of them, but not its end."""
    store = copy_of(ungraded_night, tmp_path / "store")
    grading = opened(store, RUN)
    assert grade_units(grading, units) == units
    assert said(store) == []
    write_snapshot(store, RUN)
    assert said(store) == []
    grade(str(tmp_path / "store"), RUN)
    assert said(store) == []
    assert read_gradings(store, RUN)[0].finished_at is not None


def retry(store: Backend, folder: Path) -> None:
    """Try one trajectory of the graded run again, to the end of all that follows from it."""
    problems = write_problems(folder / "problems.jsonl", 6)
    config = scripted_config(
        folder / "store", problems, model=FAULTY, widths=(4, 2), replicates=2,
        shard_size=3, run_id=RUN, attempts=4,
    )  # fmt: skip
    where = "round = 1 AND slot = 0 AND problem_id = 'sum-0000'"
    assert begin_retry(store, open_run(store, RUN), where, 60) is not None
    assert not is_closed(store, RUN)
    finish(config)


def test_nothing_is_wrong_once_trajectories_were_retried_and_while_they_are_graded_again(
    store: Backend, tmp_path: Path
) -> None:
    before = opened(store, RUN)
    assert not ungraded(before)
    retry(store, tmp_path)
    assert said(store) == [], "a grading that has not seen them yet"
    grading = opened(store, RUN)
    (work,) = ungraded(grading)
    assert grading.record == before.record
    assert work.revision > 0 and work.rounds == (1, 2, 3)
    grade_units(grading, 2)
    assert {finding.severity for finding in audited(store)} <= {"warning"}
    grade(str(tmp_path / "store"), RUN)
    assert said(store) == []


def unit(store: Backend, round_: int = 1, sequence: int = -1) -> Unit:
    """The first unit of a grading in a round; of the last grading, if none is named."""
    grading = read_gradings(store, RUN)[sequence].grading
    return next(u for u in units_of(store, RUN, grading.grading_id) if u.round == round_)


def change(alter: Callable[[list[Row]], str], round_: int = 1) -> Callable[[Backend], Seeded]:
    def seed(store: Backend) -> Seeded:
        named: list[str] = []
        file = rewrite(store, unit(store, round_), lambda rows: named.append(alter(rows)))
        return file, f"verdicts round {round_} {named[0]}"

    return seed


def answered(rows: list[Row]) -> Row:
    return next(row for row in rows if row["verdict"] == "correct")


def slot(row: Row) -> str:
    return f"{place(row)} slot {row['slot']}"


def set_value(**values: Any) -> Callable[[list[Row]], str]:
    def alter(rows: list[Row]) -> str:
        row = answered(rows)
        row.update(values)
        return slot(row)

    return alter


def lose(rows: list[Row]) -> str:
    row = answered(rows)
    rows.remove(row)
    return slot(row)


def double(rows: list[Row]) -> str:
    row = answered(rows)
    rows.insert(rows.index(row), dict(row))
    return slot(row)


def stranger(rows: list[Row]) -> str:
    rows[-1]["problem_id"] = "sum-9999"
    return place(rows[-1])


def flip_a_byte(store: Backend) -> Seeded:
    path = read_commit(store, unit(store)).path
    flip(store, path, len(store.get(path)) // 2)
    return path, ""


def drop_a_commit(store: Backend) -> Seeded:
    key = commit_key(unit(store))
    Path(store.uri(key)).unlink()
    return key, ""


def garble_a_commit(store: Backend) -> Seeded:
    key = commit_key(unit(store))
    store.put(key, b"{")
    return key, ""


def miscount_in_a_commit(store: Backend) -> Seeded:
    key = commit_key(unit(store))
    edit_json(store, key, lambda record: record["counts"].update(correct=77))
    return key, "verdicts round 1"


def another_input(store: Backend) -> Seeded:
    key = commit_key(unit(store))
    judged = commit_key(unit(store, 2)._replace(table="trajectories", grading=""))
    edit_json(store, key, lambda record: record.update(inputs=[judged]))
    return key, ""


def change_the_grader(store: Backend) -> Seeded:
    """Then the record is of another grading, and the verdicts of none."""
    key = grading_key(RUN, 2)
    verdicts = commit_key(unit(store))
    edit_json(store, key, lambda record: record.update(grader_version="math 3"))
    return verdicts, ""


def drop_a_record(store: Backend) -> Seeded:
    Path(store.uri(grading_key(RUN, 2))).unlink()
    return graded_key(RUN, 2), ""


def garble_a_record(store: Backend) -> Seeded:
    store.put(grading_key(RUN, 1), b'{"v": 1}')
    return grading_key(RUN, 1), ""


def unknown_grader(store: Backend) -> Seeded:
    edit_json(store, grading_key(RUN, 1), lambda record: record.update(grader="oracle"))
    return grading_key(RUN, 1), ""


def miscount_at_the_end(store: Backend) -> Seeded:
    edit_json(store, graded_key(RUN, 2), lambda record: record["counts"].update(wrong=77))
    return graded_key(RUN, 2), ""


def garble_the_end(store: Backend) -> Seeded:
    store.put(graded_key(RUN, 2), b'{"v": 1, "finished_at": "2026-01-01T00:00:00+00:00"}')
    return graded_key(RUN, 2), ""


def unlist_verdicts(store: Backend) -> Seeded:
    last = sorted(store.list(snapshots_prefix(RUN)))[-1]
    edit_json(store, last, lambda record: record["tables"]["verdicts"].pop())
    return last, ""


CORRUPTIONS: dict[str, Callable[[Backend], Seeded]] = {
    "a byte of a file is flipped": flip_a_byte,
    "a verdict is turned round": change(set_value(verdict="wrong", score=0.0)),
    "a score is changed": change(set_value(score=0.5)),
    "an answer is changed": change(set_value(answer="4711")),
    "an answer was found another way": change(set_value(method="final_line")),
    "an answer is put in another class": change(set_value(answer_key="4711")),
    "a verdict is on another trajectory": change(set_value(trajectory_id="0" * 32)),
    "a verdict is by another grader": change(set_value(grader="choice"), 2),
    "a verdict is by another version": change(set_value(grader_version="0"), 3),
    "a verdict names another grading": change(set_value(grading="0123abcd")),
    "a verdict is lost": change(lose),
    "a verdict stands twice": change(double),
    "a verdict is on no problem": change(stranger),
    "a commit is gone": drop_a_commit,
    "a commit is garbled": garble_a_commit,
    "a commit counts something else": miscount_in_a_commit,
    "a commit was made from another round": another_input,
    "the record of a grading says something else": change_the_grader,
    "the record of a grading is gone": drop_a_record,
    "the record of a grading is garbled": garble_a_record,
    "the record of a grading names no grader": unknown_grader,
    "the end of a grading is miscounted": miscount_at_the_end,
    "the end of a grading is garbled": garble_the_end,
    "the snapshot leaves out verdicts": unlist_verdicts,
}


@pytest.mark.parametrize("seed", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_every_seeded_corruption_of_a_grading_is_named_with_its_file_and_row(
    store: Backend, seed: Callable[[Backend], Seeded]
) -> None:
    file, row = seed(store)
    found = errors(store)
    naming = [f for f in found if f.where.file == file and f.where.row.startswith(row)]
    assert naming, "\n".join([f"nothing names {file}: {row}", *map(str, found)])
    assert all("\n" not in str(finding) for finding in found)


def graded_row(number: int, **values: Any) -> StoredVerdict:
    """A row of ``verdicts`` by the grader for programs, of a program that passes its test."""
    answer = f"print(input())  # {number}"
    (answer_key,) = answer_keys([("code", answer)], 5.0)
    row = StoredVerdict(
        file="f",
        problem_id="echo",
        replicate=0,
        slot=number,
        trajectory_id=f"{number:032x}",
        grading="run",
        grader="code",
        grader_version=grader_version("code"),
        verdict="correct",
        score=1.0,
        answer=answer,
        method="program",
        answer_key=answer_key,
        detail=None,
        gold_answer=None,
    )
    return replace(row, **values)


ECHO = as_gold(stdin_tests([("1\n", "1\n")]))


def test_a_verdict_that_broke_off_or_is_of_another_version_says_nothing_of_this_one() -> None:
    rows = [
        graded_row(0, grader="text", grader_version="of another time", answer="Rome"),
        graded_row(1, verdict="timeout", score=None),
        graded_row(2, grader="judge", grader_version="judge 1", verdict="wrong", score=0.0),
        graded_row(3, grader="oracle", verdict="wrong", score=0.0),
    ]
    assert list(check_grades([(row, ECHO) for row in rows], 1)) == []


def test_a_few_programs_of_a_shard_are_run_again_and_a_slow_machine_is_no_fault() -> None:
    wrong = {"verdict": "wrong", "score": 0.0}
    rows = [graded_row(number, **wrong) for number in range(PROGRAMS + 3)]
    found = list(check_grades([(row, ECHO) for row in reversed(rows)], 1))
    assert {finding.where.slot for finding in found} == set(range(PROGRAMS))
    assert {finding.severity for finding in found} == {"error"}
    slow = graded_row(0, **wrong, detail="0 of 1 tests; test 1: timeout: 2.0 s")
    (finding,) = check_grades([(slow, ECHO)], 1)
    assert finding.severity == "warning"
    assert list(check_grades([(graded_row(0), ECHO)], 1)) == []
