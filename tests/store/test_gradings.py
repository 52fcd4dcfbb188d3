"""Gradings: old verdicts stay beside new ones, and the last that came to its end counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_among, write_snapshot
from pacore.store.gradings import (
    Grading,
    begin_grading,
    current_grading,
    finish_grading,
    lacking,
    read_gradings,
)
from pacore.store.layout import (
    Unit,
    commit_key,
    data_key,
    grading_key,
    unit_of_commit,
    unit_of_data,
)
from pacore.warehouse.views import Warehouse
from tests.fixtures.graded import MATH, Judged, grade_rows, verdict_rows
from tests.fixtures.small_store import Row, problem, publish_rows, rows_of, small_store

LENIENT = Grading("auto", "math 2")


BY_MATH = Grading("math", "math 1")
"""Grades every problem by this grader, whichever the problem names."""


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
        ("sum-4", "run", "no_answer", 0.0),
    ]
    assert ask(store, "SELECT grading, sequence, stands FROM gradings") == [("run", 0, True)]


def test_a_grading_that_ended_stands_and_the_verdicts_before_it_stay(store: Backend) -> None:
    grade_rows(store, "demo", verdict_rows(rows_of(), MATH))
    grade_rows(store, "demo", verdict_rows(rows_of(), LENIENT, all_right), LENIENT)
    assert ask(store, SCORES) == [
        ("sum-1", LENIENT.grading_id, "correct", 1.0),
        ("sum-2", LENIENT.grading_id, "correct", 1.0),
        ("sum-4", LENIENT.grading_id, "no_answer", 0.0),
    ]
    of_sum_2 = ask(
        store,
        "SELECT sequence, verdict FROM all_verdicts JOIN gradings USING (run_id, grading) "
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
    assert ask(store, f"SELECT {places} FROM verdicts ORDER BY ALL") == ask(
        store,
        f"SELECT {places} FROM trajectories WHERE finish_reason <> 'timeout' ORDER BY ALL",
    )
    assert ask(
        store,
        "SELECT verdict, count(*) FROM verdicts WHERE round = 1 GROUP BY ALL ORDER BY ALL",
    ) == [("correct", 7), ("no_answer", 1), ("wrong", 1)]


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
    assert begin_grading(store, "demo", OPINION).sequence == 3
    assert begin_grading(store, "demo", LENIENT).sequence == 2, "no opinion takes its place"
    finish_grading(store, "demo", first, {"graded": 14})
    records = read_gradings(store, "demo")
    assert [record.sequence for record in records] == [1, 2, 3]
    found = current_grading(records)
    assert found is not None
    assert found.grading == MATH
    assert current_grading(records[1:]) is None


@pytest.mark.slow
def test_the_grading_that_is_asked_for_last_stands_with_the_verdicts_it_had(
    store: Backend,
) -> None:
    grade_rows(store, "demo", verdict_rows(rows_of(), MATH))
    grade_rows(store, "demo", verdict_rows(rows_of(), LENIENT, all_right), LENIENT)
    again = begin_grading(store, "demo", MATH)
    assert again.sequence == 3
    gradings = "SELECT grading, sequence, stands FROM gradings ORDER BY sequence"
    begun = [("run", 0, False), (LENIENT.grading_id, 2, True), (MATH.grading_id, 3, False)]
    assert ask(store, gradings) == begun, "until it is finished the one before counts"
    finish_grading(store, "demo", again, {})
    assert ask(store, gradings) == [
        ("run", 0, False),
        (LENIENT.grading_id, 2, False),
        (MATH.grading_id, 3, True),
    ]
    assert ("sum-2", MATH.grading_id, "wrong", 0.0) in ask(store, SCORES)
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())


@pytest.mark.slow
def test_an_answer_that_the_run_did_not_grade_has_the_score_a_later_grading_gives_it(
    tmp_path: Path,
) -> None:
    """As one that is for a judge, who is asked when the run is over."""
    rows = rows_of()
    for unit in rows:
        if unit.table == "verdicts":
            rows[unit] = [row for row in rows[unit] if row["problem_id"] != "sum-1"]
    problems = [problem(number) for number in range(1, 5)]
    problems[0] = replace(problems[0], grader="judge")
    store = small_store(tmp_path / "other", rows, problems=problems)
    assert [row[0] for row in ask(store, SCORES)] == ["sum-2", "sum-4"]
    grade_rows(store, "demo", verdict_rows(rows_of(), BY_MATH), BY_MATH)
    asked = "SELECT grading, score, gold, answer FROM scores WHERE problem_id = 'sum-1'"
    assert ask(store, asked) == [(BY_MATH.grading_id, 1.0, "2", "2")]
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())


def replaced(store: Backend, grading: Grading | None = None) -> None:
    """Publish shard s00000 as a retry would: round 1 of it anew, and everything after it."""
    rows = rows_of()
    for unit, members in rows.items():
        if unit.shard == "s00000":
            again = {unit._replace(revision=1): [dict(row) for row in members]}
            publish_rows(store, again)
            if grading is not None:
                publish_rows(store, verdict_rows(again, grading))
    write_snapshot(store, "demo")


@pytest.mark.slow
def test_a_grading_goes_on_once_a_retry_has_replaced_what_it_judged(store: Backend) -> None:
    grade_rows(store, "demo", verdict_rows(rows_of(), MATH))
    replaced(store)
    assert ask(store, "SELECT grading, finished_at IS NULL, stands FROM gradings") == [
        ("run", False, True),
        (MATH.grading_id, True, False),
    ]
    assert {row[1] for row in ask(store, SCORES)} == {"run"}
    shown = (
        "SELECT DISTINCT problem_id FROM all_verdicts WHERE grading <> 'run' ORDER BY problem_id"
    )
    assert ask(store, shown) == [("sum-4",)], "what stood on the replaced ones is gone with them"
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())


def test_a_grading_stands_again_once_what_came_is_graded_too(store: Backend) -> None:
    grade_rows(store, "demo", verdict_rows(rows_of(), MATH))
    replaced(store, MATH)
    assert ask(store, "SELECT grading, stands FROM gradings WHERE stands") == [
        (MATH.grading_id, True)
    ]
    assert ask(store, "SELECT count(*) FROM verdicts") == [(12,)]
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())


UNITS = st.builds(
    Unit,
    st.just("demo"),
    st.sampled_from(["trajectories", "messages", "trajectory_texts"]),
    st.integers(1, 2),
    st.sampled_from(["s00000", "s00001"]),
    st.integers(0, 3),
    st.just(""),
    st.just(0),
)


GRADED = st.builds(
    Unit,
    st.just("demo"),
    st.just("verdicts"),
    st.integers(1, 2),
    st.sampled_from(["s00000", "s00001"]),
    st.integers(0, 3),
    st.sampled_from(["0123abcd", "89abcdef"]),
    st.just(0),
)


@given(st.sets(UNITS), st.sets(GRADED))
def test_verdicts_stand_exactly_where_what_they_judge_does(
    own: set[Unit], graded: set[Unit]
) -> None:
    found = current_among(own | graded)
    assert found == sorted(set(found))
    assert [unit for unit in found if not unit.grading] == current_among(own)
    judged = {
        (unit.round, unit.shard, unit.revision) for unit in found if unit.table == "trajectories"
    }
    assert {unit for unit in found if unit.grading} == {
        unit for unit in graded if (unit.round, unit.shard, unit.revision) in judged
    }
    for grading_id in ("0123abcd", "89abcdef"):
        missing = set(lacking(found, grading_id))
        assert not missing & graded
        assert {unit for unit in current_among(own | graded | missing) if unit.grading} >= missing
        assert not lacking(current_among(own | graded | missing), grading_id)


@given(GRADED | UNITS, st.integers(0, 12))
def test_the_key_of_a_data_file_names_its_unit(published: Unit, repair: int) -> None:
    unit = published._replace(repair=repair)
    assert unit_of_data(data_key(unit, 1, "ab" * 32)) == unit
    assert unit_of_data(commit_key(unit)) is None


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
    with pytest.raises(StoreError, match=r"gradings/000001\.json: cannot be used: v: is needed"):
        read_gradings(store, "demo")


@pytest.mark.parametrize("revision", [0, 3])
def test_the_key_of_a_verdicts_commit_names_its_unit(revision: int) -> None:
    unit = Unit("demo", "verdicts", 2, "s00007", revision, MATH.grading_id)
    assert unit_of_commit(commit_key(unit)) == unit
    assert unit_of_commit(commit_key(unit._replace(grading=""))) == unit._replace(grading="")
