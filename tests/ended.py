"""Runs that end as they are told, trajectory by trajectory, through the algorithm's own definition."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pacore.core.engine import Cause, EngineFault, EngineInfo, Refusal
from pacore.core.grading.verdict import Score, VerdictName
from pacore.core.problem import Problem, Turn
from pacore.core.recipe import Recipe
from pacore.core.solve import Solved, solve
from pacore.core.trajectory import UNFINISHED, FinishReason, Generation, Request
from pacore.store.backends.protocol import Backend
from pacore.store.commits import write_snapshot
from pacore.store.layout import Unit
from pacore.store.run import Run, close_run
from tests.small_store import WHEN, Rows, as_row, begin_run, publish_rows

GOLD = "right"
OUTAGE = "404: Not Found"

Fate = str
"""What a trajectory comes to: a finish reason of the engine's, ``context_overflow``, ``cut``, ``empty``,
``mute`` (a text in which nothing reads as an answer), or else the answer it gives.
"""

Place = tuple[str, int, int, int]
"""Problem id, 1-based round (the second stands for all later ones), replicate and slot."""


@dataclass(frozen=True)
class FatedEngine:
    """An engine that does as it is told; what it is not told ends right."""

    fates: Mapping[Place, Fate]
    widths: Sequence[int]
    slots: int = 8

    async def describe(self) -> EngineInfo:
        return EngineInfo("fated")

    async def count_prompt_tokens(self, recipe: Recipe, turns: Sequence[Turn]) -> int | None:  # noqa: ARG002 - nobody counts
        return None

    async def cause_of(self, request: Request, refusal: Refusal) -> Cause:  # noqa: ARG002 - the protocol's
        return Cause(refusal.message)

    async def generated_tokens(self) -> int | None:
        return None

    async def close(self) -> None:
        """Nothing is held."""

    async def generate(self, request: Request) -> Generation:
        text = request.turns[-1].content
        name = text.partition("What is ")[2].partition("?")[0]
        round_ = 2 if "Reference 1:" in text else 1
        width = (*self.widths, 1)[round_ - 1]
        place = (name, round_, request.draw // width, request.draw % width)
        fate = self.fates.get(place, GOLD)
        if fate in UNFINISHED:
            raise EngineFault(fate, OUTAGE, transient=False)
        return _generation(fate)


def _generation(fate: Fate) -> Generation:
    if fate == "context_overflow":
        return Generation("context_overflow", error="too long", engine="fated")
    finish: FinishReason = "length" if fate == "cut" else "stop"
    said = {"cut": None, "empty": "", "mute": "\\boxed{}"}.get(fate, f"\\boxed{{{fate}}}")
    return Generation(
        finish, said, "Let me see.", 10, 20, usage_source="server", engine="fated"
    )  # fmt: skip


def ended_run(
    store: Backend,
    run_id: str,
    problems: Sequence[str],
    fates: Mapping[Place, Fate],
    *,
    pending: Sequence[str] = (),
    **fields: Any,
) -> list[Solved]:
    """A run over problems in which every trajectory ends as ``fates`` says, of two rounds at most.

    Every slot that the engine fails counts as lost at once. Of ``pending`` problems nothing is stored, and
    the run is still open.
    """
    asked = [Problem(name, (Turn("user", f"What is {name}?"),), GOLD, "text") for name in problems]
    run = begin_run(store, asked, run_id, **{"shard_size": len(asked), **fields})
    engine = FatedEngine(fates, run.plan.widths)

    async def all_of_them() -> list[Solved]:
        return [await solve(one, run.plan, run.recipe, engine, attempts=1) for one in asked]

    solved = asyncio.run(all_of_them())
    kept = [one for one, made in zip(solved, asked, strict=True) if made.problem_id not in pending]
    publish_rows(store, _rows(run, kept))
    write_snapshot(store, run_id)
    if not pending:
        close_run(store, run, {"failed": 0})
    return kept


def _rows(run: Run, solved: Sequence[Solved]) -> Rows:
    last = run.plan.rounds
    rows: Rows = {
        Unit(run.run_id, table, round_, "s00000"): []
        for table in ("trajectories", "trajectory_texts", "messages")
        for round_ in range(1, last + 1)
    }
    rows |= {Unit(run.run_id, table, last, "s00000"): [] for table in ("answers", "scores")}
    for one in solved:
        for trajectory in one.trajectories:
            made = replace(trajectory, text_run_id=run.run_id, generated_at=WHEN)
            unit = Unit(run.run_id, "trajectories", made.place.round, "s00000")
            rows[unit].append(as_row("trajectories", made))
            if made.generation.is_finished:
                rows[unit._replace(table="trajectory_texts")].append(
                    as_row("trajectory_texts", made)
                )
        for message in one.messages:
            unit = Unit(run.run_id, "messages", message.round, "s00000")
            rows[unit].append(as_row("messages", message))
        for answer in one.answers:
            rows[Unit(run.run_id, "answers", last, "s00000")].append(as_row("answers", answer))
            is_right = answer.answer == GOLD
            verdict: VerdictName = "correct" if is_right else "wrong"
            verdict = "no_answer" if answer.answer is None else verdict
            score = Score(
                answer.problem_id, answer.replicate, answer.trajectory_id, "text", "1",
                verdict, float(is_right), GOLD, answer.answer,
            )  # fmt: skip
            rows[Unit(run.run_id, "scores", last, "s00000")].append(as_row("scores", score))
    return rows
