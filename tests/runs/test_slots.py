"""The attempts at a slot, as the core counts them and as the SQL of the stages does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.plan import Plan
from pacore.core.problem import Problem, Turn
from pacore.core.quorum import Retry
from pacore.core.recipe import Recipe
from pacore.core.round import OpenSlot, Round, open_slots
from pacore.core.trajectory import FAILED, FINISH_REASONS, FinishReason
from pacore.store.parquet import write_rows
from pacore.store.schema import TRAJECTORIES
from pacore.warehouse.files import candidates
from tests.fixtures.small_store import generation, trajectory

RECIPE = Recipe("m")

PROBLEM = Problem("sum-1", (Turn("user", "What is 1 + 1?"),))

End = tuple[FinishReason, bool, bool]
"""How one attempt ended, whether another run generated it, and whether a retry asked for it."""

ends = st.tuples(st.sampled_from(FINISH_REASONS), st.booleans(), st.booleans())


def filled(slot: OpenSlot, attempts: list[End]) -> OpenSlot:
    for number, (reason, reused, is_retry) in enumerate(attempts):
        slot.begin(RECIPE, Retry(frozenset(), 9) if is_retry and number else None)
        slot.history = slot.history.ended(reason, reused)
    return slot


def write_slots(path: Path, slots: list[OpenSlot]) -> None:
    rows = []
    for slot in slots:
        for number, attempt in enumerate(slot.history.attempts):
            assert attempt.finish_reason is not None
            made = generation(attempt.finish_reason, None, None)
            place = (slot.place.problem_id, 1, slot.place.slot, number)
            row = trajectory(place, made, "demo")
            row = replace(
                row,
                trajectory_id=attempt.trajectory_id,
                reused=attempt.reused,
                retry_of=attempt.retry_of,
                max_tokens=attempt.max_tokens,
            )
            rows.append(TRAJECTORIES.row(row))
    write_rows(path, TRAJECTORIES, rows)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(ends, min_size=1, max_size=6), min_size=1, max_size=8))
def test_the_core_and_the_sql_count_the_same_of_every_slots_attempts(
    attempts: list[list[End]],
) -> None:
    prompts = Round(Plan((len(attempts),)), RECIPE, PROBLEM, (1, 0)).prompts()
    slots = [filled(*pair) for pair in zip(open_slots(prompts), attempts, strict=True)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trajectories.parquet"
        write_slots(path, slots)
        found = list(candidates(str(path)))
    histories = [slot.history for slot in slots]
    assert [(row.slot, row.attempt, row.trajectory_id) for row in found] == [
        (number, len(history.attempts) - 1, history.current.trajectory_id)
        for number, history in enumerate(histories)
    ]
    assert [(row.finish_reason, row.tombstones, row.refills) for row in found] == [
        (history.current.finish_reason, history.tombstones, history.refills)
        for history in histories
    ]
    for most in range(1, 5):
        lost = [row.finish_reason in FAILED and row.tombstones >= most for row in found]
        assert lost == [history.is_lost(most) for history in histories]
