"""Comparisons, equivalence and the bootstrap, against closed forms, enumeration and simulation."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pacore.evaluation.statistics.bootstrap import (
    Pool,
    majority_of,
    mean_of,
    pass_at,
    pass_of,
    pass_power,
    resampled_votes,
    two_level,
)
from pacore.evaluation.statistics.intervals import wilson
from pacore.evaluation.statistics.paired import equivalence, paired

scores = st.lists(st.floats(0, 1), min_size=2, max_size=12)


pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12)


def t_interval(differences: list[float], confidence: float = 0.95) -> tuple[float, float]:
    mean = math.fsum(differences) / len(differences)
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    half = float(stats.t.ppf((1 + confidence) / 2, len(differences) - 1)) * error
    return mean - half, mean + half


@pytest.mark.slow
def test_of_many_problems_the_interval_of_a_difference_is_students() -> None:
    source = np.random.default_rng(3)
    a = source.random(400)
    b = np.clip(a + source.normal(0.02, 0.1, 400), 0, 1)
    found = paired(a.tolist(), b.tolist())
    assert (found.low, found.high) == pytest.approx(t_interval((b - a).tolist()), abs=0.0005)
    assert found.at_worst == pytest.approx(t_interval((b - a).tolist(), 0.9)[0], abs=0.0005)


def test_where_no_problem_differs_the_interval_is_that_of_so_many_ties() -> None:
    """Wilson's of 0 in n: how often problems may differ of which none of n did."""
    found = paired([0.5] * 100, [0.5] * 100)
    t = float(stats.t.ppf(0.975, 99))
    assert found.difference == 0.0
    assert found.high == pytest.approx(t * t / (99 + t * t), abs=1e-9)
    assert found.high is not None
    assert found.low == -found.high
    assert found.permutation_p is None


@given(pairs)
def test_the_interval_of_a_difference_lies_within_bounds_and_holds_it(
    given: list[tuple[float, float]],
) -> None:
    a, b = (list(column) for column in zip(*given, strict=True))
    found = paired(a, b)
    differences = [y - x for x, y in given]
    assert found.difference == pytest.approx(math.fsum(differences) / len(differences), abs=1e-12)
    assert found.first == pytest.approx(found.second - found.difference, abs=1e-12)
    assert found.low is not None and found.high is not None and found.at_worst is not None
    assert -1 <= found.low <= found.at_worst <= found.difference + 1e-12
    assert found.difference <= found.high + 1e-12 <= 1 + 2e-12
    assert found.better + found.worse + found.equal == found.problems == found.independent
    assert found.detectable is not None and 0 < found.detectable <= 1


@pytest.mark.slow
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_problems_changes_nothing_and_that_of_runs_the_sign(
    given: list[tuple[float, float]], source: random.Random
) -> None:
    shuffled = source.sample(given, len(given))
    found = paired(*zip(*given, strict=True))
    again = paired(*zip(*shuffled, strict=True))
    turned = paired(*(column for column in reversed(list(zip(*given, strict=True)))))
    for one, other in ((found.low, again.low), (found.high, again.high)):
        assert one == pytest.approx(other, abs=1e-9)
    assert (turned.low, turned.high) == pytest.approx((-(found.high or 0), -(found.low or 0)))


@pytest.mark.slow
@given(pairs, st.floats(0.01, 0.9))
def test_equivalence_and_its_interval_agree(
    given: list[tuple[float, float]], margin: float
) -> None:
    a, b = (list(column) for column in zip(*given, strict=True))
    found = equivalence(a, b, margin)
    assert found is not None
    assert 0 < found.p <= 1
    is_within = found.low > -margin and found.high < margin
    assert found.is_equivalent == is_within or found.p == pytest.approx(0.05, abs=1e-6)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8),
    st.integers(1, 200),
)
def test_shared_answers_are_exact_zeros_and_no_evidence_of_how_differences_vary(
    own: list[tuple[float, float]], shared: int
) -> None:
    a, b = ([*column, *[0.5] * shared] for column in zip(*own, strict=True))
    marks = [False] * len(own) + [True] * shared
    found = paired(a, b, marks)
    unaware = paired(a, b)
    assert (found.problems, found.independent) == (len(a), len(own))
    assert found.difference == unaware.difference
    assert found.permutation_p == unaware.permutation_p
    for aware, bold in ((found.low, unaware.low), (found.high, unaware.high)):
        assert aware is not None and bold is not None
        assert abs(aware - found.difference) >= abs(bold - found.difference) - 1e-12
    tested, boldly = equivalence(a, b, 0.1, marks), equivalence(a, b, 0.1)
    assert tested is not None and boldly is not None
    assert tested.p > 0
    if boldly.p < 0.5:
        assert tested.p >= boldly.p - 1e-12


def test_runs_that_share_all_have_nothing_to_be_compared_and_one_problem_has_no_interval() -> None:
    with pytest.raises(ValueError, match="same trajectories"):
        paired([0.5, 1.0], [0.5, 1.0], [True, True])
    with pytest.raises(ValueError, match="same trajectories"):
        equivalence([0.5, 1.0], [0.5, 1.0], 0.1, [True, True])
    alone = paired([0.5, 1.0, 0.0], [0.5, 1.0, 1.0], [True, True, False])
    assert (alone.low, alone.at_worst, alone.detectable) == (None, None, None)
    assert alone.difference == pytest.approx(1 / 3)
    assert equivalence([0.5, 1.0], [0.5, 1.0], 0.5, [True, False]) is None


def enumerated(differences: list[float]) -> float:
    """The share of all sign patterns whose mean is as far from 0 as the one there is."""
    told = [d for d in differences if d]
    observed = abs(sum(told))
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, told, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(told))
    ]
    return sum(total >= observed - 1e-9 for total in sums) / len(sums)


@pytest.mark.slow
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=9).filter(any))
def test_the_permutation_test_counts_every_pattern_of_signs(differences: list[int]) -> None:
    a = [0.0] * len(differences)
    found = paired(a, [d / 8 for d in differences])
    assert found.is_exact
    assert found.permutation_p == pytest.approx(enumerated([d / 8 for d in differences]))


@pytest.mark.slow
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
    assert (found.permutation_p, found.difference) == (None, 0.0)
    assert paired([0.5], [0.7]).low is None


@pytest.mark.slow
def test_means_of_the_same_scores_that_rounding_tells_apart_are_no_differences() -> None:
    scores = [[number * 0.0761 % 1, number * 0.0317 % 1, 0.1] for number in range(30)]
    first = [(a + b + c) / 3 for a, b, c in scores]
    second = [(c + b + a) / 3 for a, b, c in scores]
    assert first != second
    assert paired(first, second) == replace(
        paired(first, first), second=paired(second, second).first
    )


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    source = np.random.default_rng(8)
    problems, true, runs = 30, 0.326, 300
    said, hits = [], 0
    for _ in range(runs):
        chances = source.random(problems) * (1 - true)
        first, second = (source.binomial(1, chances + rise).tolist() for rise in (0, true))
        found = paired(first, second)
        assert found.low is not None and found.detectable is not None
        said.append(found.detectable)
        hits += found.low > 0
    assert hits / runs == pytest.approx(0.8, abs=0.06)
    assert sum(said) / runs == pytest.approx(true, rel=0.05)


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


def test_equal_runs_are_equivalent_where_problems_are_many_and_one_shows_nothing() -> None:
    few, many = (equivalence([0.7] * count, [0.7] * count, 0.02) for count in (20, 400))
    assert few is not None
    assert not few.is_equivalent
    assert many is not None
    assert many.is_equivalent
    # Of 400 problems that are not to differ in 2 of 100 cases none did.
    assert many.p == pytest.approx(0.98**400, abs=0.01)
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
    found = resampled_votes(pool, k, np.random.default_rng(5), 20_000)
    assert float(found.scores.mean()) == pytest.approx(expected, abs=0.01)


def test_the_intervals_of_a_mean_have_the_variances_theory_gives_them() -> None:
    source = np.random.default_rng(6)
    pools = [
        Pool((source.random(20) < p).astype(float).tolist(), ("a",) * 20) for p in source.random(25)
    ]
    means = [float(np.mean(pool.scores)) for pool in pools]
    found = two_level(pools, mean_of, means, "theory")
    within = float(np.mean([np.var(pool.scores, ddof=1) / 20 for pool in pools])) / 25
    between = float(np.var(means, ddof=1)) / 25
    value = float(np.mean(means))
    these = wilson(value, within, float(stats.t.ppf(0.975, 25 * 19)), 25 * 19 + 1)
    population = wilson(value, between, float(stats.t.ppf(0.975, 24)), 25)
    assert (found.these_low, found.these_high) == pytest.approx(these)
    assert (found.low, found.high) == pytest.approx(population)


@given(st.integers(2, 9), st.integers(0, 9), st.integers(1, 9))
def test_pass_at_k_and_pass_power_k_and_their_variances_equal_enumeration(
    members: int, correct: int, k: int
) -> None:
    correct, k = min(correct, members), min(k, members)
    pool = Pool([1.0] * correct + [0.0] * (members - correct), ["a"] * members)
    subsets = list(itertools.combinations(pool.scores, k))
    random_ = np.random.default_rng(0)
    for chance, is_met in ((pass_at, any), (pass_power, all)):
        expected = sum(is_met(subset) for subset in subsets) / len(subsets)
        assert chance(members, correct, k) == pytest.approx(expected, abs=1e-12)
        # The variance over all pools that can be drawn from this one, each with its chance.
        p = correct / members
        weights = [
            math.comb(members, count) * p**count * (1 - p) ** (members - count)
            for count in range(members + 1)
        ]
        chances = [chance(members, count, k) for count in range(members + 1)]
        mean = math.fsum(w * c for w, c in zip(weights, chances, strict=True))
        variance = math.fsum(w * (c - mean) ** 2 for w, c in zip(weights, chances, strict=True))
        found = pass_of(k, chance)(pool, lambda: random_, 0)
        assert found == pytest.approx(variance * members / (members - 1), abs=1e-12)


def test_the_same_name_draws_the_same_and_another_name_others() -> None:
    first, again, other = (
        two_level(POOLS, majority_of(3), [0.5] * len(POOLS), name) for name in ("one", "one", "two")
    )
    assert first == again
    assert first != other
    turned = [Pool(pool.scores[::-1], pool.classes[::-1]) for pool in reversed(POOLS)]
    assert two_level(turned, majority_of(3), [0.5] * len(POOLS), "one") == first


@given(st.permutations(range(6)), st.permutations("rwvu"))
def test_pools_are_equal_that_differ_in_order_and_names_alone(
    order: Sequence[int], names: Sequence[str]
) -> None:
    renamed = dict(zip("rwvu", names, strict=True))
    for pool in POOLS:
        classes = [None if name is None else renamed.get(name, name) for name in pool.classes]
        again = Pool([pool.scores[i] for i in order], [classes[i] for i in order])
        assert again == pool
        assert brute_majority(again, 3) == pytest.approx(brute_majority(pool, 3))
    assert len(set(POOLS)) == len(POOLS)


def test_problems_with_pools_that_are_alike_cost_one_of_them_and_weigh_as_many() -> None:
    """The variance of 400 problems of two kinds, from the exact one of each kind."""
    kinds = [
        Pool((1, 0, 0), ("r", "w", None)),
        Pool((1, 1, 0), ("r", "r", "w")),
    ]
    exact = []
    for pool in kinds:
        votes = [
            brute_majority(
                Pool([pool.scores[i] for i in drawn], [pool.classes[i] for i in drawn]), 2
            )
            for drawn in itertools.product(range(3), repeat=3)
        ]
        exact.append(float(np.var(votes)) * 3 / 2)
    asked: list[int] = []

    def counted(pool: Pool, random_: Callable[[], np.random.Generator], resamples: int) -> float:
        asked.append(resamples)
        return majority_of(2)(pool, random_, resamples)

    pools = [kinds[0]] * 300 + [kinds[1]] * 100
    found = two_level(pools, counted, [0.5] * 400, "alike", 40_000)
    own = (300 * exact[0] + 100 * exact[1]) / 400**2
    expected = wilson(0.5, own, float(stats.t.ppf(0.975, 800)), 801)
    assert asked == [30_000, 10_000]
    assert (found.these_low, found.these_high) == pytest.approx(expected, abs=0.001)


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


@pytest.mark.slow
@given(scores)
def test_an_interval_lies_within_what_a_score_can_be(values: list[float]) -> None:
    pools = [Pool((value, 1 - value), ("a", "b")) for value in values]
    for variance in (mean_of, majority_of(2), pass_of(2, pass_at), pass_of(2, pass_power)):
        found = two_level(pools, variance, values, "bounds", 500)
        assert found.low is not None and found.high is not None
        assert 0 <= found.low <= found.value + 1e-12
        assert found.value <= found.high + 1e-12 <= 1 + 2e-12
        if found.these_low is not None and found.these_high is not None:
            assert 0 <= found.these_low <= found.value + 1e-12
            assert found.value <= found.these_high + 1e-12 <= 1 + 2e-12
