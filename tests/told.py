"""Graded runs of several rounds made by hand: what every trajectory says, saw, and is judged to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pacore.core.grading.verdict import VerdictName
from pacore.core.identity import trajectory_key
from pacore.core.message import Message
from pacore.core.problem import Problem, Turn
from pacore.core.trajectory import FinishReason, Generation, Slot, Trajectory, normalise
from pacore.store.backends.protocol import Backend
from pacore.store.gradings import Grading
from pacore.store.layout import Unit
from tests.graded import grade_rows
from tests.small_store import WHEN, Row, Rows, as_row, begin_run, publish_rows

GRADING = Grading("auto", "by hand")
SCORES: Mapping[VerdictName, float | None] = {
    "correct": 1.0, "wrong": 0.0, "no_answer": 0.0, "timeout": None, "crash": None,
}  # fmt: skip


class Told(NamedTuple):
    """One trajectory: the class of its answer, the verdict, what it says, and what it was shown.

    ``positions`` and ``shown`` are `Trajectory.prompt_positions` and ``prompt_messages``; ``draw``
    makes two places one trajectory.
    """

    key: str | None
    verdict: VerdictName
    text: str = ""
    thought: str = ""
    positions: tuple[int, ...] | None = None
    shown: int | None = None
    finish_reason: FinishReason = "stop"
    draw: int | None = None


Rounds = Sequence[Sequence[Told]]


def right(text: str = "", **fields: Any) -> Told:
    return Told("right", "correct", text, **fields)


def wrong(key: str = "w", text: str = "", **fields: Any) -> Told:
    return Told(key, "wrong", text, **fields)


def silent(**fields: Any) -> Told:
    """One that was cut: it has no message, and scores 0."""
    return Told(None, "no_answer", finish_reason="length", **fields)


def told_run(
    store: Backend, run_id: str, told: Mapping[str, Sequence[Rounds]], *, is_graded: bool = True
) -> None:
    """A run in which replicate j of each problem goes as its j-th rounds say, slot by slot.

    Each trajectory that says something is a message, in the order of the slots.
    """
    problems = [Problem(name, (Turn("user", f"What is {name}?"),), "gold") for name in sorted(told)]
    widths = [
        max(len(rounds[number]) for passes in told.values() for rounds in passes)
        for number in range(max(len(rounds) for passes in told.values() for rounds in passes) - 1)
    ]
    replicates = max(len(passes) for passes in told.values())
    begin_run(
        store, problems, run_id, widths=tuple(widths), replicates=replicates,
        shard_size=len(problems),
    )  # fmt: skip
    rows: Rows = {}
    verdicts: Rows = {}
    for name, passes in told.items():
        for replicate, rounds in enumerate(passes):
            for round_, slots in enumerate(rounds, 1):
                position = 0
                for slot, one in enumerate(slots):
                    made = _trajectory(run_id, Slot(round_, name, replicate, slot, 0), one)
                    for table in ("trajectories", "trajectory_texts"):
                        unit = Unit(run_id, table, round_, "s00000")
                        rows.setdefault(unit, []).append(as_row(table, made))
                    unit = Unit(run_id, "verdicts", round_, "s00000", 0, GRADING.grading_id)
                    verdicts.setdefault(unit, []).append(_verdict(made, one))
                    if made.thought.conclusion is not None:
                        position += 1
                        message = Message(
                            round_, name, replicate, position, made.trajectory_id,
                            made.thought.conclusion, "conclusion/1",
                        )  # fmt: skip
                        unit = Unit(run_id, "messages", round_, "s00000")
                        rows.setdefault(unit, []).append(as_row("messages", message))
    publish_rows(store, rows)
    if is_graded:
        grade_rows(store, run_id, verdicts, GRADING)


def _trajectory(run_id: str, place: Slot, one: Told) -> Trajectory:
    if one.draw is None:
        named = f"{place.problem_id} {place.round} {place.replicate} {place.slot}"
    else:
        named = f"{place.problem_id} {place.round} drawn {one.draw}"
    trajectory_id, seed = trajectory_key("recipe", named, 0)
    said = one.text or f"It is {one.key}."
    made = Generation(
        one.finish_reason,
        said if one.finish_reason == "stop" else None,
        reasoning=one.thought or None,
        prompt_tokens=10,
        completion_tokens=10,
        usage_source="server",
        engine="scripted",
    )
    return Trajectory(
        place=place,
        trajectory_id=trajectory_id,
        attempt=0,
        seed=seed,
        prompt_digest=named,
        generation=made,
        thought=normalise(made),
        text_run_id=run_id,
        generated_at=WHEN,
        prompt_messages=one.shown,
        prompt_positions=one.positions,
    )


def _verdict(made: Trajectory, one: Told) -> Row:
    return {
        "problem_id": made.place.problem_id,
        "replicate": made.place.replicate,
        "slot": made.place.slot,
        "trajectory_id": made.trajectory_id,
        "grading": GRADING.grading_id,
        "grader": "text",
        "grader_version": GRADING.grader_version,
        "verdict": one.verdict,
        "score": SCORES[one.verdict],
        "answer": one.key,
        "method": None if one.key is None else "final_line",
        "answer_key": one.key,
        "detail": None,
    }
