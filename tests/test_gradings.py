"""Gradings: old verdicts stay beside new ones, and the last that came to its end counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacore.errors import StoreError
from pacore.gradings import (
    Grading,
    begin_grading,
    finish_grading,
    read_gradings,
    standing,
)
from pacore.layout import Unit, commit_key, grading_key, unit_of_commit
from pacore.store import Backend
from pacore.warehouse import Warehouse
from tests.graded import MATH, Judged, grade_rows, verdict_rows
from tests.small_store import Row, rows_of, small_store

LENIENT = Grading("auto", "math 2")
OPINION = Grading("judge", "judge 1", against="opinion", details={"votes": 3})


def all_right(row: Row, answer: str | None) -> Judged:  # noqa: ARG001 - any answer will do
    return ("correct", 1.0) if answer is not None else ("no_answer", 0.0)


@pytest.fixture
def store(tmp_path: Path) -> Backend:
    return small_store(tmp_path / "store")


def ask(store: Backend, text: str) -> list[tuple[object, ...]]:
    with Warehouse(store) as warehouse:
        return list(warehouse.query(text).rows)


SCORES = "SELECT problem_id, grading, verdict, score FROM scores ORDER BY problem_id"


def test_before_anything_is_graded_the_run_itself_says_what_its_answers_are_worth(
    store: Backend,
) -> None:
    assert ask(store, SCORES) == [
        ("sum-1", "run", "correct", 1.0),
        ("sum-2", "run", "wrong", 0.0),
        ("sum-3", "run", "no_answer", 0.0),
        ("sum-4", "run", "no_answer", 0.0),
    ]
    assert ask(store, "SELECT grading, sequence, stands FROM gradings") == [("run", 0, True)]


def test_a_grading_that_ended_stands_and_the_verdicts_before_it_stay(store: Backend) -> None:
    grade_rows(store, "demo", verdict_rows(rows_of(), MATH))
    grade_rows(store, "demo", verdict_rows(rows_of(), LENIENT, all_right), LENIENT)
    assert ask(store, SCORES) == [
        ("sum-1", LENIENT.grading_id, "correct", 1.0),
        ("sum-2", LENIENT.grading_id, "correct", 1.0),
        ("sum-3", "run", "no_answer", 0.0),
        ("sum-4", LENIENT.grading_id, "no_answer", 0.0),
    ]
    of_sum_2 = ask(
        store,
        "SELECT sequence, verdict FROM verdicts JOIN gradings USING (run_id, grading) "
        "WHERE problem_id = 'sum-2' AND round = 2 ORDER BY sequence",
    )
    assert of_sum_2 == [(0, "wrong"), (1, "wrong"), (2, "correct")]
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())


def test_every_slot_has_one_verdict_that_stands_on_the_trajectory_that_stands(
    store: Backend,
) -> None:
    grade_rows(store, "demo", verdict_rows(rows_of(), MATH))
    places = "run_id, round, problem_id, replicate, slot, trajectory_id"
    assert ask(store, f"SELECT {places} FROM standing_verdicts ORDER BY ALL") == ask(
        store, f"SELECT {places} FROM standing_trajectories ORDER BY ALL"
    )
    assert ask(
        store,
        "SELECT verdict, count(*) FROM standing_verdicts WHERE round = 1 GROUP BY ALL ORDER BY ALL",
    ) == [("correct", 7), ("no_answer", 4), ("wrong", 1)]


@pytest.mark.parametrize("is_finished", [False, True])
def test_what_goes_on_or_saw_no_gold_answer_never_counts(store: Backend, is_finished: bool) -> None:
    grading = OPINION if is_finished else MATH
    verdicts = verdict_rows(rows_of(), grading, all_right)
    grade_rows(store, "demo", verdicts, grading, is_finished=is_finished)
    assert {row[1] for row in ask(store, SCORES)} == {"run"}
    assert ask(store, "SELECT grading, stands FROM gradings ORDER BY sequence") == [
        ("run", True),
        (grading.grading_id, False),
    ]


def test_the_same_grading_begins_once_and_another_comes_after_it(store: Backend) -> None:
    first = begin_grading(store, "demo", MATH)
    assert begin_grading(store, "demo", Grading("auto", "math 1")) == first
    assert begin_grading(store, "demo", LENIENT).sequence == 2
    finish_grading(store, "demo", first, {"graded": 14})
    records = read_gradings(store, "demo")
    assert [record.sequence for record in records] == [1, 2]
    found = standing(records)
    assert found is not None
    assert found.grading == MATH
    assert standing(records[1:]) is None


def test_whatever_makes_a_grading_another_makes_its_id_another() -> None:
    ids = {
        grading.grading_id
        for grading in (
            MATH, LENIENT, OPINION, Grading("math", "math 1"), Grading("auto", "math 1", "opinion"),
            Grading("judge", "judge 1", "opinion", {"votes": 4}),
        )
    }  # fmt: skip
    assert len(ids) == 6
    assert Grading("auto", "math 1").grading_id == MATH.grading_id


def test_a_record_that_cannot_be_read_is_named(store: Backend) -> None:
    store.put_new(grading_key("demo", 1), b"{}")
    with pytest.raises(StoreError, match=r"gradings/000001\.json: is not a grading's record"):
        read_gradings(store, "demo")


@pytest.mark.parametrize("revision", [0, 3])
def test_the_key_of_a_verdicts_commit_names_its_unit(revision: int) -> None:
    unit = Unit("demo", "verdicts", 2, "s00007", revision, MATH.grading_id)
    assert unit_of_commit(commit_key(unit)) == unit
    assert unit_of_commit(commit_key(unit._replace(grading=""))) == unit._replace(grading="")
