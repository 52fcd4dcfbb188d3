"""Killing a run at any moment loses nothing and pays for nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kills import kill_again_and_again


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_same_tables_and_no_second_bill(
    tmp_path: Path, prefect_api: str
) -> None:
    assert prefect_api
    outcome = kill_again_and_again(tmp_path, kills=5, problem_count=30)
    assert outcome.kills == 5
    assert outcome.tables_are_equal
    assert outcome.trajectories == 30 * 17
    assert 0 <= outcome.extra_requests <= outcome.most_extra_requests
