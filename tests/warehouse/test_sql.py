"""The SQL itself: its dialect, and every invariant seen to fire."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pacore.store.backends.protocol import Backend
from pacore.store.gradings import begin_grading
from pacore.store.layout import OWN, Unit
from pacore.warehouse.relations import SQL_FOLDER, check_names, sql
from pacore.warehouse.views import Warehouse
from tests.fixtures.graded import MATH, graded_rows, graded_store
from tests.fixtures.small_store import Rows, rows_of, select, small_store

FILES = sorted(
    path.relative_to(SQL_FOLDER).with_suffix("").as_posix() for path in SQL_FOLDER.rglob("*.sql")
)


BANNED = {
    "the ~ operator means something else in DuckDB 2": r"~",
    "an arrow is a lambda no longer": r"->",
    "a division whose divisor may be 0": r"/(?!\s*nullif\()",
    "reading every file's footer, unless some are older": (
        r"union_by_name(?!\s*=\s*getvariable\(''\))"
    ),
    "what depends on the clock": r"\b(now|today|current_\w+)\b",
}


def code(text: str) -> str:
    """SQL without its comments and texts."""
    return re.sub(r"'[^']*'", "''", re.sub(r"--[^\n]*", "", text))


MAY = {("staging/stg_problems", "reading every file's footer, unless some are older")}
"""A store has one file of problems for each set, not thousands, and any of them may be older."""


@pytest.mark.parametrize("name", FILES)
def test_sql_keeps_to_what_means_the_same_everywhere(name: str) -> None:
    for why, pattern in BANNED.items():
        if (name, why) in MAY:
            continue
        assert not re.search(pattern, code(sql(name)), re.IGNORECASE), why


@pytest.mark.parametrize("name", FILES)
def test_every_file_says_first_what_a_row_of_it_is(name: str) -> None:
    first = sql(name).splitlines()[0]
    has_rows = not name.startswith(("checks/", "macros"))
    assert first.startswith("-- Grain: " if has_rows else "-- ")


Break = Callable[[Rows], None]


def change(table: str, column: str, value: Any, **wanted: Any) -> Break:
    def broken(rows: Rows) -> None:
        select(rows, table, **wanted)[0][column] = value

    return broken


def double(table: str, **wanted: Any) -> Break:
    def broken(rows: Rows) -> None:
        row = select(rows, table, **wanted)[0]
        for members in rows.values():
            if any(member is row for member in members):
                members.append(dict(row))

    return broken


def drop(table: str, **wanted: Any) -> Break:
    def broken(rows: Rows) -> None:
        row = select(rows, table, **wanted)[0]
        for members in rows.values():
            members[:] = [member for member in members if member is not row]

    return broken


NO_SUCH = "0" * 32


BREAKS: dict[str, tuple[str, Break]] = {
    "an attempt twice": ("duplicate_attempts", double("trajectories", problem_id="sum-1")),
    "a trajectory in two slots": (
        "duplicate_trajectories",
        lambda rows: select(rows, "trajectories", problem_id="sum-1", round=1, slot=1)[0].update(
            trajectory_id=select(rows, "trajectories", problem_id="sum-1", round=1, slot=0)[0][
                "trajectory_id"
            ]
        ),
    ),
    "an aborted trajectory that no rule has decided on": (
        "aborted_by_a_rule",
        change("trajectories", "finish_reason", "aborted", problem_id="sum-1", round=1),
    ),
    "a message of nothing": (
        "messages_of_conclusions",
        change("messages", "trajectory_id", NO_SUCH, problem_id="sum-4"),
    ),
    "a message of a trajectory cut short": (
        "messages_of_conclusions",
        lambda rows: select(rows, "messages", problem_id="sum-2", round=1)[0].update(
            trajectory_id=select(rows, "trajectories", problem_id="sum-2", round=1, slot=1)[0][
                "trajectory_id"
            ]
        ),
    ),
    "a message of another round": (
        "messages_of_conclusions",
        lambda rows: select(rows, "messages", problem_id="sum-1", round=2)[0].update(
            trajectory_id=select(rows, "trajectories", problem_id="sum-1", round=1)[0][
                "trajectory_id"
            ]
        ),
    ),
    "a gap in a message set": (
        "message_positions",
        change("messages", "position", 4, problem_id="sum-1", round=1, position=3),
    ),
    "a position twice": (
        "message_positions",
        change("messages", "position", 1, problem_id="sum-1", round=1, position=2),
    ),
    "positions from 0": (
        "message_positions",
        change("messages", "position", 0, problem_id="sum-1", round=2),
    ),
    "an answer missing": ("one_answer_each", drop("answers", problem_id="sum-3")),
    "an answer twice": ("one_answer_each", double("answers", problem_id="sum-4")),
    "an answer to no problem": (
        "one_answer_each",
        lambda rows: rows[Unit("demo", "answers", 2, "s00001")].append(
            {**select(rows, "answers", problem_id="sum-3")[0], "problem_id": "sum-9"}
        ),
    ),
    "an answer of a replicate too many": (
        "one_answer_each",
        change("answers", "replicate", 1, problem_id="sum-3"),
    ),
    "an answer from an earlier round": (
        "answers_from_last_round",
        lambda rows: select(rows, "answers", problem_id="sum-1")[0].update(
            trajectory_id=select(rows, "trajectories", problem_id="sum-1", round=1)[0][
                "trajectory_id"
            ]
        ),
    ),
    "an answer from nowhere": (
        "answers_from_last_round",
        change("answers", "trajectory_id", None, problem_id="sum-1"),
    ),
    "a seed of 54 bits": ("seeds", change("trajectories", "seed", 2**53, problem_id="sum-1")),
    "a negative seed": ("seeds", change("trajectories", "seed", -1, problem_id="sum-1")),
    "text for no tokens": (
        "token_counts",
        change("trajectories", "completion_tokens", 0, problem_id="sum-2", finish_reason="length"),
    ),
    "a text that is gone": ("texts_exist", drop("trajectory_texts", problem_id="sum-2", round=1)),
    "a text under another run": (
        "texts_exist",
        change("trajectories", "text_run_id", "elsewhere", problem_id="sum-1"),
    ),
    "a score that is missing": ("scores_given", change("verdicts", "score", None, verdict="wrong")),
    "a score above 1": ("scores_given", change("verdicts", "score", 1.5, verdict="wrong")),
    "a score of another answer": (
        "scores_of_answers",
        change("verdicts", "answer", "7", problem_id="sum-2"),
    ),
    "a round after no messages": (
        "rounds_follow",
        change("messages", "problem_id", "sum-3", problem_id="sum-4", round=1, position=1),
    ),
    "a score twice": ("duplicate_scores", double("verdicts", problem_id="sum-1")),
    "a conclusion that is not there": (
        "conclusions",
        change("trajectories", "conclusion", None, problem_id="sum-1", conclusion_status="present"),
    ),
    "a conclusion that should not be there": (
        "conclusions",
        change("trajectories", "conclusion", "42", conclusion_status="truncated"),
    ),
}


def on_a_tombstone(rows: Rows) -> None:
    """A verdict on a trajectory that the engine never finished."""
    lost = select(rows, "trajectories", problem_id="sum-3", slot=1)[0]
    row = dict(select(rows, "verdicts", problem_id="sum-4", round=1, slot=1)[0])
    row.update(problem_id="sum-3", trajectory_id=lost["trajectory_id"])
    rows[Unit("demo", "verdicts", 1, "s00001", 0, MATH.grading_id)].append(row)


GRADED_BREAKS: dict[str, tuple[str, Break]] = {
    "a verdict missing": ("verdicts_complete", drop("verdicts", problem_id="sum-2", slot=2)),
    "a verdict twice in a finished grading": (
        "verdicts_complete",
        double("verdicts", problem_id="sum-1", round=2),
    ),
    "a verdict on a tombstone": ("verdicts_complete", on_a_tombstone),
    "a slot judged twice": ("duplicate_verdicts", double("verdicts", problem_id="sum-1", slot=2)),
    "a verdict on nothing": (
        "verdicts_of_trajectories",
        change("verdicts", "trajectory_id", NO_SUCH, problem_id="sum-4", round=1),
    ),
    "a verdict on what was replaced": (
        "verdicts_of_trajectories",
        lambda rows: select(rows, "verdicts", problem_id="sum-2", round=1, slot=2)[0].update(
            trajectory_id=select(rows, "trajectories", problem_id="sum-2", slot=2, attempt=0)[0][
                "trajectory_id"
            ]
        ),
    ),
    "a verdict on another slot": (
        "verdicts_of_trajectories",
        change("verdicts", "slot", 1, problem_id="sum-4", round=1, slot=2),
    ),
    "a correct answer scored 0": (
        "verdicts_given",
        change("verdicts", "score", 0.0, problem_id="sum-1", round=2),
    ),
    "a wrong answer scored 1": (
        "verdicts_given",
        change("verdicts", "score", 1.0, verdict="wrong"),
    ),
    "a verdict scored 2": ("verdicts_given", change("verdicts", "score", 2.0, verdict="wrong")),
    "a verdict without its score": (
        "verdicts_given",
        change("verdicts", "score", None, verdict="wrong"),
    ),
    "a timeout with a score": (
        "verdicts_given",
        change("verdicts", "verdict", "timeout", verdict="wrong"),
    ),
    "no answer with half a score": (
        "verdicts_given",
        change("verdicts", "score", 0.5, verdict="no_answer"),
    ),
    "a missing answer that is wrong": (
        "verdicts_given",
        change("verdicts", "verdict", "wrong", verdict="no_answer"),
    ),
    "a verdict of no kind": (
        "verdicts_given",
        change("verdicts", "verdict", "ok", verdict="wrong"),
    ),
    "an answer without its class": (
        "verdicts_given",
        change("verdicts", "answer_key", None, problem_id="sum-1", round=2),
    ),
    "a class of no answer": (
        "verdicts_given",
        change("verdicts", "answer_key", "0", verdict="no_answer"),
    ),
    "an answer found no way": (
        "verdicts_given",
        change("verdicts", "method", None, problem_id="sum-1", round=2),
    ),
    "an answer that is right here and wrong there": (
        "verdicts_agree",
        lambda rows: select(rows, "verdicts", problem_id="sum-4", round=1, slot=1)[0].update(
            verdict="wrong", score=0.0
        ),
    ),
    "an answer that the run found wrong": (
        "verdicts_agree",
        lambda rows: select(rows, "verdicts", grading=OWN, problem_id="sum-1")[0].update(
            grader_version=MATH.grader_version, verdict="wrong", score=0.0
        ),
    ),
}


def runs_found(store: Backend, check: str) -> set[str]:
    """The runs that rows of a check name."""
    with Warehouse(store) as warehouse:
        found = warehouse.stream(f"checks/{check}")
        place = found.columns.index("run_id")
        return {row[place] for row in found.rows}


@pytest.mark.slow
@pytest.mark.parametrize("fault", GRADED_BREAKS)
def test_a_broken_invariant_of_gradings_is_found_by_its_check(tmp_path: Path, fault: str) -> None:
    check, make = GRADED_BREAKS[fault]
    rows = graded_rows()
    make(rows)
    assert runs_found(graded_store(tmp_path / "store", rows), check) == {"demo"}


@pytest.mark.slow
@pytest.mark.parametrize("fault", BREAKS)
def test_a_broken_invariant_is_found_by_its_check(tmp_path: Path, fault: str) -> None:
    check, make = BREAKS[fault]
    rows = rows_of()
    make(rows)
    assert runs_found(small_store(tmp_path / "store", rows), check) == {"demo"}


@pytest.mark.slow
def test_every_check_is_broken_by_some_test_and_none_fires_on_a_sound_store(tmp_path: Path) -> None:
    breaks = [*BREAKS.values(), *GRADED_BREAKS.values()]
    assert {check for check, _ in breaks} == set(check_names())
    for store in (small_store(tmp_path / "store"), graded_store(tmp_path / "graded")):
        with Warehouse(store) as warehouse:
            found = warehouse.run_checks()
        assert set(found) == set(check_names())
        assert not any(found.values()), found


def test_a_grading_that_goes_on_may_lack_verdicts_and_one_that_broke_off_may_disagree(
    tmp_path: Path,
) -> None:
    rows = graded_rows()
    drop("verdicts", problem_id="sum-2", slot=2)(rows)
    select(rows, "verdicts", problem_id="sum-4", round=1, slot=1)[0].update(
        verdict="timeout", score=None
    )
    store = small_store(tmp_path / "store", rows)
    begin_grading(store, "demo", MATH)
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())


def test_what_is_still_to_come_breaks_no_invariant(tmp_path: Path) -> None:
    begun = {unit: rows for unit, rows in rows_of().items() if unit.round == 1}
    with Warehouse(small_store(tmp_path / "store", begun, is_closed=False)) as warehouse:
        assert not any(warehouse.run_checks().values())


def test_a_grading_that_broke_off_may_leave_no_score_and_tombstones_no_text(tmp_path: Path) -> None:
    rows = rows_of()
    for verdict, problem_id in (("timeout", "sum-1"), ("crash", "sum-2")):
        select(rows, "verdicts", problem_id=problem_id)[0].update(score=None, verdict=verdict)
    assert not [
        row for unit, rows in rows.items() if unit.table == "trajectory_texts"
        for row in rows if row["problem_id"] == "sum-3"
    ]  # fmt: skip
    with Warehouse(small_store(tmp_path / "store", rows)) as warehouse:
        assert not any(warehouse.run_checks().values())
