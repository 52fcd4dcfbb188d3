"""A small hand-made store: two rounds over four problems, each ending in its own way.

``sum-1`` is right, ``sum-2`` is wrong after a truncated and a retried trajectory, ``sum-3`` fails
in round 1, ``sum-4`` has an empty last trajectory. Tests change rows before they are published.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pacore.core.answer import Answer
from pacore.core.config.run import RunConfig
from pacore.core.grading.verdict import Score, VerdictName
from pacore.core.identity import trajectory_key
from pacore.core.message import Message
from pacore.core.problem import Problem, Turn
from pacore.core.trajectory import FinishReason, Generation, Slot, Thought, Trajectory, normalise
from pacore.runs.start import start_run
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import publish, write_snapshot
from pacore.store.layout import Unit
from pacore.store.rows import ROW_OF
from pacore.store.run import Run, close_run
from pacore.store.schema import TABLES

WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
TABLE_NAMES = ("trajectories", "trajectory_texts", "messages", "answers", "scores")

Row = dict[str, Any]
Rows = dict[Unit, list[Row]]


def problem(number: int, statement: str | None = None, gold: str | None = None) -> Problem:
    text = statement or f"What is {number} + {number}? Give the final answer in \\boxed{{}}."
    return Problem(f"sum-{number}", (Turn("user", text),), gold or str(2 * number))


def begin_run(store: Backend, problems: list[Problem], run_id: str = "demo", **fields: Any) -> Run:
    given = {"problems": "sums.jsonl", "widths": (3,), "shard_size": 2, **fields}
    config = RunConfig(engine="scripted", run_id=run_id, **given)
    return start_run(store, config, config.recipe, problems)


def identity(problem_id: str, round_: int, slot: int, attempt: int = 0) -> tuple[str, int]:
    """A trajectory id and seed, the same for every run that samples this place."""
    return trajectory_key("recipe", f"{problem_id} in round {round_}", slot, attempt)


def generation(finish_reason: FinishReason, content: str | None, tokens: int | None) -> Generation:
    finished = tokens is not None
    return Generation(
        finish_reason=finish_reason,
        content=content,
        reasoning="Let me add these." if finished else None,
        prompt_tokens=20 if finished else None,
        completion_tokens=tokens,
        usage_source="server" if finished else "unknown",
        error=None if finished else "503 from the endpoint: no healthy upstream",
        engine="scripted",
        wasted_tokens=0 if finished else 7,
        latency_seconds=0.5,
    )


def trajectory(
    place: tuple[str, int, int, int], made: Generation, run_id: str, thought: Thought | None = None
) -> Trajectory:
    """``place`` is (problem id, round, slot, attempt)."""
    problem_id, round_, slot, attempt = place
    trajectory_id, seed = identity(problem_id, round_, slot, attempt)
    return Trajectory(
        place=Slot(round_, problem_id, 0, slot, slot),
        trajectory_id=trajectory_id,
        attempt=attempt,
        seed=seed,
        prompt_digest=f"digest of {problem_id} in round {round_}",
        generation=made,
        thought=thought or normalise(made),
        text_run_id=run_id,
        generated_at=WHEN,
    )


def _stop(answer: str, tokens: int) -> Generation:
    return generation("stop", f"The sum is \\boxed{{{answer}}}.", tokens)


def trajectories(run_id: str) -> list[Trajectory]:
    made: list[tuple[tuple[str, int, int, int], Generation]] = [
        *((("sum-1", 1, slot, 0), _stop("2", 10 + slot)) for slot in range(3)),
        (("sum-1", 2, 0, 0), _stop("2", 40)),
        (("sum-2", 1, 0, 0), _stop("4", 21)),
        (("sum-2", 1, 1, 0), generation("length", None, 64)),
        (("sum-2", 1, 2, 0), generation("engine_error", None, None)),
        (("sum-2", 1, 2, 1), _stop("5", 23)),
        (("sum-2", 2, 0, 0), _stop("5", 50)),
        *((("sum-3", 1, slot, 0), generation("timeout", None, None)) for slot in range(3)),
        *((("sum-4", 1, slot, 0), _stop("8", 30)) for slot in range(3)),
        (("sum-4", 2, 0, 0), generation("stop", "", 12)),
    ]
    return [trajectory(place, one, run_id) for place, one in made]


def messages() -> list[Message]:
    placed = [
        ("sum-1", 1, [(2, "2"), (0, "2"), (1, "2")]),
        ("sum-1", 2, [(0, "2")]),
        ("sum-2", 1, [(0, "4"), (2, "5")]),
        ("sum-2", 2, [(0, "5")]),
        ("sum-4", 1, [(0, "8"), (1, "8"), (2, "8")]),
    ]
    found = []
    for problem_id, round_, order in placed:
        for position, (slot, answer) in enumerate(order, 1):
            attempt = int((problem_id, round_, slot) == ("sum-2", 1, 2))
            trajectory_id, _ = identity(problem_id, round_, slot, attempt)
            text = f"The sum is \\boxed{{{answer}}}."
            found.append(
                Message(round_, problem_id, 0, position, trajectory_id, text, "conclusion/1")
            )
    return found


def answers() -> list[Answer]:
    return [
        *(
            Answer(
                problem_id, 0, answer, "boxed", identity(problem_id, 2, 0)[0], "stop", "answered",
                None, None,
            )
            for problem_id, answer in (("sum-1", "2"), ("sum-2", "5"))
        ),
        Answer(
            "sum-3", 0, None, None, None, None, "failed",
            "round 1: 0 of 3 messages (3 timeout): 503 from the endpoint: no healthy upstream", 1,
        ),
        Answer(
            "sum-4", 0, None, None, identity("sum-4", 2, 0)[0], "stop", "no_answer",
            "round 2: 0 of 1 messages (1 empty)", None,
        ),
    ]  # fmt: skip


def scores() -> list[Score]:
    verdicts: dict[str, tuple[VerdictName, float]] = {
        "sum-1": ("correct", 1.0),
        "sum-2": ("wrong", 0.0),
        "sum-3": ("no_answer", 0.0),
    }
    return [
        Score(
            answer.problem_id, answer.replicate, answer.trajectory_id, "math", "1",
            *verdicts.get(answer.problem_id, ("no_answer", 0.0)), gold, answer.answer,
        )
        for answer, gold in zip(answers(), ("2", "4", "6", "8"), strict=True)
    ]  # fmt: skip


def as_row(table: str, item: Any) -> Row:
    return dict(zip(TABLES[table].schema.names, ROW_OF[table](item), strict=True))


def rows_of(run_id: str = "demo") -> Rows:
    """Every row of the run by the unit it is published in."""
    made = trajectories(run_id)
    finished = [one for one in made if one.generation.is_finished]
    placed: list[tuple[str, int, Any]] = [
        *(("trajectories", one.place.round, one) for one in made),
        *(("trajectory_texts", one.place.round, one) for one in finished),
        *(("messages", message.round, message) for message in messages()),
        *(("answers", 2, answer) for answer in answers()),
        *(("scores", 2, score) for score in scores()),
    ]
    found: Rows = {}
    for table, round_, item in placed:
        row = as_row(table, item)
        shard = "s00000" if row["problem_id"] in ("sum-1", "sum-2") else "s00001"
        found.setdefault(Unit(run_id, table, round_, shard), []).append(row)
    return found


def select(rows: Rows, table: str, **wanted: Any) -> list[Row]:
    """The rows of a table with the given values, to look at or to change."""
    found = [
        row
        for unit, members in rows.items()
        if unit.table == table and wanted.get("round", unit.round) == unit.round
        for row in members
        if all(row[name] == value for name, value in wanted.items() if name != "round")
    ]
    assert found, f"{table} has no row with {json.dumps(wanted)}"
    return found


def publish_rows(store: Backend, rows: Rows) -> None:
    for unit, members in rows.items():
        names = TABLES[unit.table].schema.names
        counts = _counts(unit, members)
        publish(store, unit, [tuple(row[name] for name in names) for row in members], counts=counts)


def _counts(unit: Unit, members: list[Row]) -> dict[str, int]:
    if unit.table == "trajectories":
        slots: Mapping[tuple[str, int], Row] = {(r["problem_id"], r["slot"]): r for r in members}
        lost = [row for row in slots.values() if row["completion_tokens"] is None]
        tokens = [row["completion_tokens"] or 0 for row in members if not row["reused"]]
        return {
            "slots": len(slots),
            "reused": sum(row["reused"] for row in members),
            "unfinished": len(lost),
            "completion_tokens": sum(tokens),
        }
    if unit.table == "answers":
        return {"failed": sum(row["status"] == "failed" for row in members)}
    return {}


def small_store(folder: Path | str, rows: Rows | None = None, *, is_closed: bool = True) -> Backend:
    """The run ``demo``, with its own rows or those given."""
    store = open_store(str(folder))
    run = begin_run(store, [problem(number) for number in range(1, 5)])
    publish_rows(store, rows if rows is not None else rows_of())
    if is_closed:
        write_snapshot(store, run.run_id)
        close_run(store, run, {"failed": 1})
    return store
