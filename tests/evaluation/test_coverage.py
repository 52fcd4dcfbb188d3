"""Published intervals hold the truth as often as they say, in made-up runs of which it is known."""

from __future__ import annotations

import pytest

from benchmarks.coverage import SETTINGS, Setting, coverage, vote_coverage

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[2], SETTINGS[5]], ids=lambda s: s.name)
def test_the_intervals_of_accuracy_hold_the_truth_95_times_in_100(setting: Setting) -> None:
    found = coverage(setting, 800)
    assert 0.93 <= found.population <= 0.97
    if setting.replicates > 1:
        assert found.these is not None
        assert 0.93 <= found.these <= 0.97
        assert found.naive < 0.75


def test_the_intervals_of_a_vote_hold_the_truth_about_as_often() -> None:
    found = vote_coverage(30, 16, 4, 150)
    assert found.population >= 0.90
    assert found.these >= 0.90
