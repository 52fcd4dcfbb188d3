"""Comparisons, equivalence and the bootstrap, against closed forms, enumeration and simulation."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pacore.statistics import Pool, equivalence, majority_of, mean_of, paired, two_level

scores = st.lists(st.floats(0, 1), min_size=2, max_size=12)
pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12)


@given(pairs)
def test_the_interval_of_a_difference_is_students_over_problems(
    given: list[tuple[float, float]],
) -> None:
    a, b = (list(column) for column in zip(*given, strict=True))
    found = paired(a, b)
    differences = [y - x for x, y in given]
    assert found.difference == pytest.approx(math.fsum(differences) / len(differences), abs=1e-12)
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    assert found.high is not None
    assert found.low is not None
    assert found.high - found.difference == pytest.approx(half, abs=1e-9)
    assert found.difference - found.low == pytest.approx(half, abs=1e-9)
    assert found.better + found.worse + found.equal == found.problems


def enumerated(differences: list[float]) -> float:
    """The share of all sign patterns whose mean is as far from 0 as the one there is."""
    told = [d for d in differences if d]
    observed = abs(sum(told))
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, told, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(told))
    ]
    return sum(total >= observed - 1e-9 for total in sums) / len(sums)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=9).filter(any))
def test_the_permutation_test_counts_every_pattern_of_signs(differences: list[int]) -> None:
    a = [0.0] * len(differences)
    found = paired(a, [d / 8 for d in differences])
    assert found.is_exact
    assert found.permutation_p == pytest.approx(enumerated([d / 8 for d in differences]))


def test_beyond_what_can_be_counted_patterns_are_drawn_the_same_each_time() -> None:
    source = random.Random(4)
    a = [source.random() for _ in range(60)]
    b = [x + source.gauss(0.05, 0.2) for x in a]
    found, again = paired(a, b), paired(a, b)
    assert not found.is_exact
    assert found == again
    t_test = stats.ttest_rel(b, a).pvalue
    assert found.permutation_p == pytest.approx(float(t_test), abs=0.02)


def test_mcnemar_counts_problems_that_changed_sides() -> None:
    a = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]
    b = [1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    found = paired(a, b)
    assert (found.gained, found.lost) == (5, 1)
    assert found.mcnemar_p == pytest.approx(2 * (1 + 6) / 2**6)
    assert paired([0.0, 1.0], [0.0, 1.0]).mcnemar_p == 1.0


def test_without_any_difference_there_is_no_permutation_to_count() -> None:
    found = paired([0.2, 0.4], [0.2, 0.4])
    assert (found.permutation_p, found.difference, found.low) == (None, 0.0, 0.0)
    assert paired([0.5], [0.7]).low is None


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    source = np.random.default_rng(8)
    problems, spread = 12, 0.3
    error = spread / math.sqrt(problems)
    true = error * float(stats.t.ppf(0.975, problems - 1) + stats.t.ppf(0.8, problems - 1))
    told, hits = [], 0
    for _ in range(600):
        found = paired([0.0] * problems, source.normal(true, spread, problems).tolist())
        assert found.low is not None
        assert found.detectable is not None
        told.append(found.detectable)
        hits += found.low > 0
    assert hits / 600 == pytest.approx(0.8, abs=0.05)
    assert sum(told) / 600 == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize(("a", "b"), [([], []), ([0.1], [0.1, 0.2])])
def test_what_cannot_be_compared_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="over the problems that both have"):
        paired(a, b)


def test_equivalence_holds_exactly_where_the_interval_lies_within_the_margin() -> None:
    source = np.random.default_rng(2)
    verdicts = set()
    for shift in np.linspace(-0.1, 0.1, 21):
        a = source.random(30)
        b = a + shift + source.normal(0, 0.05, 30)
        found = equivalence(a.tolist(), b.tolist(), 0.05)
        assert found is not None
        assert found.is_equivalent == (found.low > -0.05 and found.high < 0.05)
        verdicts.add(found.is_equivalent)
    assert verdicts == {True, False}


def test_equal_runs_are_equivalent_and_one_problem_shows_nothing() -> None:
    same = equivalence([0.1, 0.7], [0.1, 0.7], 0.01)
    assert same is not None
    assert same.is_equivalent
    far = equivalence([0.1, 0.2], [0.3, 0.4], 0.05)
    assert far is not None
    assert not far.is_equivalent
    assert equivalence([0.5], [0.5], 0.1) is None
    with pytest.raises(ValueError, match="above 0"):
        equivalence([0.1, 0.2], [0.1, 0.2], 0.0)


def brute_majority(pool: Pool, k: int) -> float:
    """maj@k by going through every subset."""
    worth = {}
    for name in set(pool.classes) - {None}:
        own = [s for s, of in zip(pool.scores, pool.classes, strict=True) if of == name]
        worth[name] = sum(own) / len(own)
    total, count = 0.0, 0
    for subset in itertools.combinations(pool.classes, k):
        votes = {name: subset.count(name) for name in set(subset) - {None}}
        best = [name for name in votes if votes[name] == max(votes.values())]
        total += sum(worth[name] for name in best) / len(best) if best else 0.0
        count += 1
    return total / count


POOLS = [
    Pool((1, 1, 0, 0, 0, 0), ("r", "r", "w", "v", "u", None)),
    Pool((1, 1, 1, 1, 0, 0), ("r", "r", "r", "r", "w", "w")),
    Pool((0, 0, 0, 0, 0, 0), (None, None, "w", "w", "v", "u")),
    Pool((1, 0, 0, 0, 0, 1), ("r", "w", "w", "w", "v", "r")),
]


@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_mean_of_resampled_votes_is_that_of_votes_on_resampled_pools(k: int) -> None:
    """All multisets of a small pool, each with its chance, against what is drawn."""
    pool = Pool((1, 0, 0), ("r", "w", None))
    k = min(k, 3)
    expected = 0.0
    for drawn in itertools.product(range(3), repeat=3):
        again = Pool([pool.scores[i] for i in drawn], [pool.classes[i] for i in drawn])
        expected += brute_majority(again, k) / 27
    found = majority_of(k)(pool, np.random.default_rng(5), 20_000)
    assert float(found.estimates.mean()) == pytest.approx(expected, abs=0.01)


def test_the_bootstrap_of_a_mean_has_the_variance_theory_gives_it() -> None:
    source = np.random.default_rng(6)
    pools = [
        Pool((source.random(20) < p).astype(float).tolist(), ("a",) * 20) for p in source.random(25)
    ]
    means = np.array([np.mean(pool.scores) for pool in pools])
    found = two_level(pools, mean_of, means.tolist(), "theory", 4_000)
    within = np.mean([np.var(pool.scores, ddof=1) / 20 for pool in pools])
    assert found.these_high is not None
    assert found.these_low is not None
    these = (found.these_high - found.these_low) / (2 * float(stats.t.ppf(0.975, 25 * 19)))
    assert these == pytest.approx(math.sqrt(within / 25), rel=0.08)
    assert found.high is not None
    assert found.low is not None
    both = (found.high - found.low) / (2 * float(stats.t.ppf(0.975, 24)))
    assert both == pytest.approx(math.sqrt(means.var(ddof=1) / 25), rel=0.08)


def test_the_same_name_draws_the_same_and_another_name_others() -> None:
    first, again, other = (
        two_level(POOLS, majority_of(3), [0.5] * len(POOLS), name) for name in ("one", "one", "two")
    )
    assert first == again
    assert first != other


def test_what_has_no_spread_to_show_shows_none() -> None:
    single = [Pool((1.0,), ("r",)), Pool((0.0,), ("w",)), Pool((0.0,), ("w",))]
    found = two_level(single, mean_of, [1.0, 0.0, 0.0], "single")
    assert found.low is not None
    assert found.these_low is None
    assert two_level(POOLS[:1], mean_of, [0.5], "one").low is None
    nobody = [Pool((0.0, 0.0), (None, None))] * 2
    silent = two_level(nobody, majority_of(2), [0.0, 0.0], "nobody")
    assert (silent.value, silent.low) == (0.0, 0.0)
    assert silent.high is not None
    assert silent.high > 0.9
    with pytest.raises(ValueError, match="one problem at least"):
        two_level([], mean_of, [], "none")


@given(scores)
def test_an_interval_lies_within_what_a_score_can_be(values: list[float]) -> None:
    pools = [Pool((value, 1 - value), ("a", "b")) for value in values]
    for estimator in (mean_of, majority_of(2)):
        found = two_level(pools, estimator, [0.5] * len(pools), "bounds", 50)
        assert found.low is not None
        assert found.high is not None
        assert found.low >= 0
        assert found.high <= 1
