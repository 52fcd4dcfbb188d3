"""The nightly gate: few false alarms, losses of the stated size found, and no alarm of a night alone."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.nights import Simulated
from pacore.evaluation.statistics.nightly import (
    MOST_OLD,
    OLD,
    WINDOW,
    detectable,
    night_tests,
    old_of,
    pooled,
)


def night(**accuracy: float) -> dict[str, dict[str, float]]:
    return {"accuracy": accuracy, "answered": dict.fromkeys(accuracy, 1.0)}


SHARES = st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1), min_size=2, max_size=30)


# The mean of three nights of 13 such shares is not exactly each of them.
ROUNDED = {f"p{number}": (number * 0.0761 + 0.0995) % 1 for number in range(13)}


@given(SHARES)
@example(ROUNDED)
def test_a_night_that_equals_its_baseline_never_alarms(accuracy: dict[str, float]) -> None:
    tests = night_tests(night(**accuracy), [night(**accuracy)] * 3)
    assert [test.is_alarm for test in tests] == [False] * 4
    assert {test.p for test in tests} == {1.0}


@given(SHARES, SHARES)
def test_a_night_that_is_nowhere_worse_never_alarms(
    before: dict[str, float], gain: dict[str, float]
) -> None:
    after = {name: min(1.0, value + gain.get(name, 0.0)) for name, value in before.items()}
    assert not any(test.is_alarm for test in night_tests(night(**before), [night(**after)]))


def test_a_clear_loss_alarms_on_its_first_night_and_says_by_how_much() -> None:
    before = {f"p{number}": 1.0 for number in range(40)}
    after = {name: 0.5 if number % 2 else 1.0 for number, name in enumerate(before)}
    (test, _) = night_tests(night(**before), [night(**after)])
    assert test.is_alarm
    assert (test.measure, test.nights, test.problems) == ("accuracy", 1, 40)
    assert test.difference == pytest.approx(-0.25)
    assert test.low < -0.25 < test.high < 0


def test_of_few_problems_every_pattern_of_signs_is_counted() -> None:
    before = {f"p{number}": 1.0 for number in range(4)}
    (test, _) = night_tests(night(**before), [night(**dict.fromkeys(before, 0.0))])
    assert test.p == 1 / 16


def test_problems_that_only_one_of_both_has_are_left_out_and_with_one_there_is_no_test() -> None:
    tests = night_tests(night(a=1.0, b=1.0, c=0.0), [night(a=1.0, b=0.0, d=0.0)])
    assert {test.problems for test in tests} == {2}
    assert night_tests(night(a=1.0, b=1.0), [night(a=1.0, d=1.0)]) == []


def test_nights_are_pooled_problem_by_problem() -> None:
    assert pooled([night(a=1.0, b=0.0), night(a=0.0, b=0.0, c=1.0)])["accuracy"] == {
        "a": 0.5,
        "b": 0.0,
    }


def test_old_nights_are_those_long_before_tonight_that_went_well() -> None:
    earlier = list(range(100))
    old = old_of(earlier, lambda night: night % 2 == 0)
    assert old == [number for number in range(101 - OLD) if number % 2 == 0][-MOST_OLD:]
    assert old_of(earlier[: OLD - 1], lambda _: True) == []


def test_a_baseline_that_was_lucky_does_not_alarm_for_ever() -> None:
    lucky = night(**{f"p{number}": 1.0 for number in range(40)})
    chosen = random.Random(0)
    usual = [
        night(**{f"p{number}": chosen.choice((0.5, 0.75, 1.0)) for number in range(40)})
        for _ in range(20 + WINDOW)
    ]
    assert any(test.is_alarm for test in night_tests(lucky, usual[-WINDOW:]))
    assert not any(test.is_alarm for test in night_tests(lucky, usual[-WINDOW:], usual[:20]))


def test_where_nothing_varies_no_loss_can_be_stated() -> None:
    assert detectable(night(a=1.0, b=1.0), night(a=1.0, b=1.0), "accuracy", pools=1) is None
    assert detectable(night(a=1.0), night(a=0.0), "accuracy", pools=1) is None


@pytest.mark.slow
@pytest.mark.parametrize("problems", [30, 100])
def test_a_year_of_nights_of_one_model_alarms_on_few_nights_and_losses_are_found(
    problems: int,
) -> None:
    models = [Simulated(problems, 4, seed) for seed in range(60)]
    rates = [statistics.fmean(model.alarms([0.0] * 365)) for model in models[:5]]
    assert max(rates) <= 0.05
    found = [any(model.alarms([model.stated] * WINDOW)) for model in models]
    assert statistics.fmean(found) >= 0.75, "80 %, less three standard errors of 60 models"


@pytest.mark.slow
def test_a_drift_of_one_point_a_night_is_found_within_ten_nights() -> None:
    models = [Simulated(200, 4, seed) for seed in range(30)]
    drift = [night / 100 for night in range(1, 11)]
    assert statistics.fmean(any(model.alarms(drift)) for model in models) >= 0.95
