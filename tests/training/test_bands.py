"""Bands: strict bounds, incomplete pools are unobserved, and the stated error rates hold in simulation."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pacore.core.config.training import Policy, TrainingConfig
from pacore.evaluation.statistics.intervals import PoolCount, rate_interval
from pacore.training.bands import Band, BandJudge, Rate, looks_of
from tests.fixtures.simulated_bands import DISTRIBUTIONS, decided_by, problems_of_rates

MATH, CODE = Fraction(9, 24), Fraction(15, 24)


@pytest.mark.parametrize(
    ("right", "reason"),
    [(0, "never right"), (1, None), (8, None), (9, "too often right"), (24, "too often right")],
)
def test_both_bounds_of_mathematics_are_strict(right: int, reason: str | None) -> None:
    assert Band(MATH).reason(Rate(right, 24, 24)) == reason


@pytest.mark.parametrize(("right", "is_kept"), [(0, False), (1, True), (14, True), (15, False)])
def test_both_bounds_of_programs_are_strict(right: int, is_kept: bool) -> None:
    assert (Band(CODE).reason(Rate(right, 24, 24)) is None) == is_kept


def test_bounds_are_shares_that_hold_for_pools_of_any_size() -> None:
    for pool in (8, 16, 24, 48, 512):
        kept = [n for n in range(pool + 1) if Band(MATH).reason(Rate(n, pool, pool)) is None]
        assert kept == [n for n in range(1, pool + 1) if 24 * n < 9 * pool]


def test_a_pool_that_is_not_whole_is_unobserved_and_not_wrong() -> None:
    band = Band(MATH)
    assert band.reason(Rate(0, 23, 24)) == "unobserved"
    assert band.reason(Rate(5, 23, 24)) == "unobserved"
    assert band.reason(Rate(0, 0, 24)) == "unobserved"
    lenient = Band(MATH, observed=Fraction(1, 2))
    assert lenient.reason(Rate(3, 12, 24)) is None, "by its rate among those observed"
    assert lenient.reason(Rate(3, 11, 24)) == "unobserved"


def test_stage_2_says_always_right_where_nothing_is_to_be_learned() -> None:
    band = Band(Fraction(1))
    found = [band.reason(Rate(right, 4, 4)) for right in range(5)]
    assert found == ["never right", None, None, None, "always right"]


def test_the_policy_decides_where_the_interval_has_the_bound_inside() -> None:
    at_bound, below = Rate(8, 24, 24), Rate(3, 24, 24)
    for policy, reason in (("keep", None), ("drop", "undecided"), ("sample", "undecided")):
        band = Band(MATH, policy=policy)  # type: ignore[arg-type]
        assert band.straddles(at_bound) and not band.straddles(below)
        assert band.reason(at_bound) == reason
        assert band.reason(below) is None


rates = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
policies: st.SearchStrategy[Policy] = st.sampled_from(["keep", "drop", "sample"])


@given(rate=rates, upper=st.fractions(0, 1), policy=policies, confidence=st.floats(0.6, 0.999))
def test_what_is_kept_is_strictly_inside_under_every_policy(
    rate: tuple[int, int], upper: Fraction, policy: Policy, confidence: float
) -> None:
    band = Band(upper, confidence=confidence, policy=policy)
    right, observed = rate
    if band.reason(Rate(right, observed, observed)) is None:
        assert 0 < Fraction(right, observed) < upper


@given(rate=rates, confidence=st.floats(0.6, 0.999))
def test_the_interval_is_clopper_and_pearsons_and_has_the_rate_inside(
    rate: tuple[int, int], confidence: float
) -> None:
    right, observed = rate
    low, high = rate_interval(right, observed, confidence)
    assert 0 <= low <= right / observed <= high <= 1
    known = stats.binomtest(right, observed).proportion_ci(confidence, "exact")
    assert (low, high) == pytest.approx((known.low, known.high))


@given(rate=rates)
def test_draws_that_hang_together_tell_less(rate: tuple[int, int]) -> None:
    right, observed = rate
    band = Band(Fraction(1))
    low, high = band.interval(Rate(4 * right, 4 * observed, 4 * observed, 4))
    assert (low, high) == band.interval(Rate(right, observed, observed))


@given(
    counts=st.dictionaries(rates, st.integers(1, 50), min_size=1, max_size=8),
    upper=st.fractions(0, 1),
)
def test_the_chance_of_turning_is_one_and_there_for_every_observed_problem(
    counts: dict[tuple[int, int], int], upper: Fraction
) -> None:
    judge = BandJudge(
        Band(upper), {Rate(right, n, n): number for (right, n), number in counts.items()}
    )
    for right, observed in counts:
        judged = judge.of(Rate(right, observed, observed))
        assert judged.turning is not None
        assert 0 <= judged.turning <= 1


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("policy", ["keep", "drop"])
def test_the_share_that_another_pool_turns_is_as_estimated(
    distribution: str, policy: Policy
) -> None:
    rng = np.random.default_rng(5)
    estimated, turned = [], []
    for _ in range(6):
        true = problems_of_rates(distribution, 1500, rng)
        band = Band(MATH, policy=policy)
        first, second = (
            [Rate(int(right), 24, 24) for right in rng.binomial(24, true)] for _ in range(2)
        )
        judge = BandJudge(band, Counter(first))
        estimated += [judge.of(rate).turning for rate in first]
        sides = [
            (band.reason(a) is None, band.reason(b) is None)
            for a, b in zip(first, second, strict=True)
        ]
        turned += [one != other for one, other in sides]
    assert np.mean(estimated) == pytest.approx(np.mean(turned), abs=0.02)  # type: ignore[arg-type]


@pytest.mark.parametrize("true", [9 / 24, 10 / 24, 0.5])
@pytest.mark.parametrize("policy", ["drop", "sample"])
def test_of_problems_at_or_above_the_bound_no_more_are_kept_than_stated(
    true: float, policy: Policy
) -> None:
    kept = decided_by(policy, MATH, np.full(20_000, true), np.random.default_rng(3)).kept
    assert kept.mean() <= 0.025 + 3 * np.sqrt(0.025 / 20_000)


@pytest.mark.parametrize("true", [0.05, 0.2, 8.9 / 24])
def test_of_problems_below_the_bound_no_more_are_too_often_right_than_stated(true: float) -> None:
    found = decided_by("sample", MATH, np.full(20_000, true), np.random.default_rng(4))
    assert found.too_often.mean() <= 0.025 + 3 * np.sqrt(0.025 / 20_000)


def test_sampling_further_decides_most_problems_that_straddle() -> None:
    true = problems_of_rates("uniform", 4000, np.random.default_rng(6))
    before = decided_by("drop", MATH, true, np.random.default_rng(7)).undecided.mean()
    after = decided_by("sample", MATH, true, np.random.default_rng(7)).undecided.mean()
    assert after < before / 2


def test_looks_double_the_pool_up_to_the_most_draws() -> None:
    fields = {
        "name": "a", "sources": [{"kind": "arithmetic", "name": "a", "count": 1}],
        "run": {"engine": "scripted"}, "pool": 24,
    }  # fmt: skip
    for bands, looks in (
        ({}, [24]), ({"policy": "sample"}, [24, 48, 96, 192]),
        ({"policy": "sample", "most_draws": 60}, [24, 48, 60]),
    ):  # fmt: skip
        config = TrainingConfig.model_validate({**fields, "bands": bands})
        assert looks_of(config) == looks


def test_pools_of_other_sizes_have_their_own_chances() -> None:
    judge = BandJudge(Band(MATH), {Rate(4, 12, 12): 5, Rate(8, 24, 24): 5})
    assert judge.of(Rate(4, 12, 12)).turning != judge.of(Rate(8, 24, 24)).turning
    assert PoolCount(4, 12) != PoolCount(8, 24)
