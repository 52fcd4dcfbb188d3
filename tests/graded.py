"""Gradings of the hand-made runs: verdicts on every trajectory, as `pacore grade` would publish them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pacore.core.grading.extraction.extract import extract
from pacore.core.grading.verdict import VerdictName
from pacore.core.trajectory import UNFINISHED
from pacore.store.backends.protocol import Backend
from pacore.store.commits import publish, write_snapshot
from pacore.store.gradings import Grading, GradingRecord, begin_grading, finish_grading
from pacore.store.run import open_run
from pacore.store.schema import TABLES
from tests.small_store import Row, Rows, rows_of, small_store

Judged = tuple[VerdictName, float | None]
Judge = Callable[[Row, str | None], Judged]
"""The verdict on a row of trajectories, by the answer that was read from it."""

MATH = Grading("auto", "math 1")


def by_gold(row: Row, answer: str | None) -> Judged:
    """Right where the answer is twice the number of the problem ``sum-N``."""
    if answer is None:
        return "no_answer", 0.0
    is_right = answer == str(2 * int(row["problem_id"].partition("-")[2]))
    return ("correct", 1.0) if is_right else ("wrong", 0.0)


def verdict_rows(rows: Rows, grading: Grading, judge: Judge = by_gold) -> Rows:
    """A verdict on what stands in every slot of ``rows``, by the unit it belongs in.

    None is on a tombstone: a trajectory that the engine never finished is no answer.
    """
    found: Rows = {}
    for unit, members in rows.items():
        if unit.table != "trajectories":
            continue
        standing = {(row["problem_id"], row["replicate"], row["slot"]): row for row in members}
        place = unit._replace(table="verdicts", grading=grading.grading_id)
        found[place] = [
            _verdict(row, grading, judge)
            for row in standing.values()
            if row["finish_reason"] not in UNFINISHED
        ]
    return found


def _verdict(row: Row, grading: Grading, judge: Judge) -> Row:
    read = extract(row["conclusion"], "math") if row["conclusion"] is not None else None
    answer = read.text if read else None
    verdict, score = judge(row, answer)
    values: dict[str, Any] = {
        **{name: row[name] for name in ("problem_id", "replicate", "slot", "trajectory_id")},
        "grading": grading.grading_id,
        "grader": "math",
        "grader_version": grading.grader_version,
        "verdict": verdict,
        "score": score,
        "answer": answer,
        "method": read.method if read else None,
        "answer_key": answer,
        "detail": None,
    }
    return values


def graded_rows(grading: Grading = MATH, judge: Judge = by_gold) -> Rows:
    """The rows of the hand-made run, with a grading's verdicts on them."""
    return {**rows_of(), **verdict_rows(rows_of(), grading, judge)}


def graded_store(folder: Path, rows: Rows | None = None, grading: Grading = MATH) -> Backend:
    """The run ``demo`` with a finished grading, of its own rows or those given."""
    store = small_store(folder, graded_rows() if rows is None else rows)
    finish_grading(store, "demo", begin_grading(store, "demo", grading), {})
    return store


def grade_rows(
    store: Backend,
    run_id: str,
    verdicts: Rows,
    grading: Grading = MATH,
    *,
    is_finished: bool = True,
) -> GradingRecord:
    """Publish a grading's verdicts, and its end."""
    assert open_run(store, run_id)
    record = begin_grading(store, run_id, grading)
    names = TABLES["verdicts"].schema.names
    for unit, members in verdicts.items():
        publish(store, unit, [tuple(row[name] for name in names) for row in members])
    if is_finished:
        write_snapshot(store, run_id)
        finish_grading(store, run_id, record, {})
    return record
