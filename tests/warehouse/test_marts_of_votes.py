"""Measures over pools of samples, against going through every subset there is."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from scipy import stats

from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.warehouse.views import Warehouse
from tests.fixtures.pooled import BROKEN, NOTHING, RIGHT, Sample, pooled_run, wrong

MOST = 12


PROBLEMS = 6


def made_up(source: random.Random, members: int) -> list[Sample]:
    """A pool as it may come: some right, some nothing, and wrong answers that agree more or less."""
    easy, agreeing = source.random(), source.choice([1, 2, 6])
    found = []
    for _ in range(members):
        chance = source.random()
        if chance < 0.15:
            found.append(NOTHING)
        elif chance < 0.15 + 0.85 * easy:
            found.append(RIGHT)
        else:
            found.append(wrong(f"w{source.randrange(agreeing)}"))
    return found


@pytest.fixture(scope="module")
def pools() -> dict[str, dict[str, list[Sample]]]:
    source = random.Random(7)
    return {
        f"of-{members}": {f"p{n}": made_up(source, members) for n in range(PROBLEMS)}
        for members in range(1, MOST + 1)
    }


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, pools: dict[str, dict[str, list[Sample]]]
) -> Backend:
    opened = open_store(str(tmp_path_factory.mktemp("pools") / "store"))
    for run_id, samples in pools.items():
        pooled_run(opened, run_id, samples)
    return opened


@pytest.fixture(scope="module")
def warehouse(store: Backend) -> Iterator[Warehouse]:
    with Warehouse(store) as opened:
        yield opened


def rows(warehouse: Warehouse, text: str) -> list[dict[str, Any]]:
    result = warehouse.query(text)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def voted(pool: Sequence[Sample], k: int) -> float:
    """maj@k: the expected score of the most frequent answer, over every subset of k."""
    total, subsets = 0.0, 0
    for subset in itertools.combinations(pool, k):
        votes: dict[str, list[float]] = {}
        for sample in subset:
            if sample.key is not None:
                votes.setdefault(sample.key, []).append(sample.score or 0.0)
        most = max(map(len, votes.values()), default=0)
        best = [fmean(scores) for scores in votes.values() if len(scores) == most]
        total += fmean(best) if best else 0.0
        subsets += 1
    return total / subsets


def any_right(pool: Sequence[Sample], k: int) -> float:
    return fmean(
        any(s.verdict == "correct" for s in subset) for subset in itertools.combinations(pool, k)
    )


def all_right(pool: Sequence[Sample], k: int) -> float:
    return fmean(
        all(s.verdict == "correct" for s in subset) for subset in itertools.combinations(pool, k)
    )


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["first_round", "answers"])
def test_pass_at_k_and_pass_power_k_equal_enumeration(
    warehouse: Warehouse, pools: dict[str, dict[str, list[Sample]]], pool: str
) -> None:
    found = rows(warehouse, f"FROM mart_pass_at_k WHERE pool = '{pool}'")
    assert {(row["run_id"], row["k"]) for row in found} == {
        (f"of-{n}", k) for n in range(1, MOST + 1) for k in {1, 2, 4, 8, n} if k <= n
    }
    for row in found:
        of_run = pools[row["run_id"]].values()
        expected = fmean(any_right(samples, row["k"]) for samples in of_run)
        assert row["pass_at_k"] == pytest.approx(expected, abs=1e-12)
        expected = fmean(all_right(samples, row["k"]) for samples in of_run)
        assert row["pass_power_k"] == pytest.approx(expected, abs=1e-12)
        assert row["problems"] == PROBLEMS


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["first_round", "answers"])
def test_majorities_equal_enumeration(
    warehouse: Warehouse, pools: dict[str, dict[str, list[Sample]]], pool: str
) -> None:
    found = rows(warehouse, f"FROM majorities WHERE pool = '{pool}'")
    assert len(found) > 200
    for row in found:
        samples = pools[row["run_id"]][row["problem_id"]]
        assert row["accuracy"] == pytest.approx(voted(samples, row["k"]), abs=1e-9), row
        assert row["method"] == "exact"
    marts = rows(warehouse, f"FROM mart_majority WHERE pool = '{pool}'")
    for row in marts:
        of_run = pools[row["run_id"]].values()
        expected = fmean(voted(samples, row["k"]) for samples in of_run)
        assert row["maj_at_k"] == pytest.approx(expected, abs=1e-9)
        assert row["tokens"] == pytest.approx(100 * row["k"])


def one_run(folder: Path, samples: dict[str, list[Sample]], **fields: Any) -> Backend:
    store = open_store(str(folder / "store"))
    pooled_run(store, "mine", samples, **fields)
    return store


def test_tied_answers_are_as_likely_and_who_has_no_answer_never_votes(tmp_path: Path) -> None:
    store = one_run(
        tmp_path,
        {
            "tie": [RIGHT, wrong("a"), NOTHING, NOTHING],
            "outvoted": [RIGHT, wrong("a"), wrong("a"), NOTHING],
            "silent": [NOTHING] * 4,
        },
    )
    with Warehouse(store) as warehouse:
        found = rows(
            warehouse, "FROM majorities WHERE pool = 'answers' AND k = 4 ORDER BY problem_id"
        )
    assert {row["problem_id"]: row["accuracy"] for row in found} == {
        "outvoted": 0.0, "silent": 0.0, "tie": 0.5,
    }  # fmt: skip


@pytest.mark.slow
def test_what_a_problem_has_too_few_of_is_null_and_not_less(tmp_path: Path) -> None:
    store = one_run(tmp_path, {"many": [RIGHT] * 4, "few": [RIGHT, wrong("a"), BROKEN, BROKEN]})
    with Warehouse(store) as warehouse:
        passed = {row["k"]: row for row in rows(warehouse, "FROM mart_pass_at_k")}
        voted_for = {row["k"]: row for row in rows(warehouse, "FROM mart_majority")}
    assert passed[2]["pass_at_k"] == pytest.approx(1.0)
    assert passed[4]["pass_at_k"] is None
    assert passed[4]["pass_power_k"] is None
    assert voted_for[2]["maj_at_k"] == pytest.approx(0.75)
    assert (voted_for[4]["maj_at_k"], voted_for[4]["method"]) == (None, None)
    assert passed[4]["members"] == 2


def test_a_class_of_partial_scores_is_worth_their_mean(tmp_path: Path) -> None:
    half = [wrong("a", 0.5), wrong("a", 0.25), NOTHING]
    with Warehouse(one_run(tmp_path, {"p": half})) as warehouse:
        (row,) = rows(warehouse, "FROM majorities WHERE pool = 'answers' AND k = 3")
    assert row["accuracy"] == pytest.approx(0.375)


@pytest.mark.slow
def test_large_pools_are_exact_too_and_the_largest_resampled_within_their_error(
    tmp_path: Path,
) -> None:
    source = random.Random(3)
    large = {
        f"p{n}": [
            RIGHT if source.random() < 0.4 else wrong(f"w{source.randrange(8)}") for _ in range(400)
        ]
        for n in range(3)
    }
    with Warehouse(one_run(tmp_path, large)) as warehouse:
        found = rows(warehouse, "FROM majorities WHERE pool = 'answers'")
    by_k = {(row["problem_id"], row["k"]): row for row in found}
    assert {row["k"]: row["method"] for row in found} == {
        **dict.fromkeys((1, 2, 4, 8, 16, 32, 64, 128, 256), "exact"),
        400: "resampled",
    }
    for name, samples in large.items():
        assert by_k[name, 1]["accuracy"] == pytest.approx(fmean(s.score or 0 for s in samples))
        assert by_k[name, 2]["accuracy"] == pytest.approx(by_k[name, 1]["accuracy"], abs=1e-9)
        assert by_k[name, 400]["accuracy"] == pytest.approx(voted(samples, 400), abs=1e-9)
        drawn = fmean(voted(source.sample(samples, 8), 8) for _ in range(2_000))
        assert by_k[name, 8]["accuracy"] == pytest.approx(drawn, abs=4 * 0.5 / math.sqrt(2_000))


@pytest.mark.slow
def test_a_run_that_only_graded_itself_has_answers_to_pass_and_no_votes(tmp_path: Path) -> None:
    from tests.fixtures.small_store import small_store

    with Warehouse(small_store(tmp_path / "store")) as warehouse:
        assert rows(warehouse, "FROM mart_majority") == []
        assert {row["pool"] for row in rows(warehouse, "FROM mart_pass_at_k")} == {"answers"}


def wilson(score: float, error: float, df: int) -> tuple[float, float]:
    """Wilson's interval at the effective sample size of a standard error."""
    t = float(stats.t.ppf(0.975, df))
    n = score * (1 - score) / error**2
    middle = (score + t * t / (2 * n)) / (1 + t * t / n)
    half = t / (1 + t * t / n) * math.sqrt(score * (1 - score) / n + t * t / (4 * n * n))
    return middle - half, middle + half


def test_the_two_intervals_answer_two_questions(
    warehouse: Warehouse, pools: dict[str, dict[str, list[Sample]]]
) -> None:
    for row in rows(warehouse, "FROM mart_accuracy"):
        of_run = [[s.score or 0.0 for s in samples] for samples in pools[row["run_id"]].values()]
        replicates = row["replicates"]
        means = [fmean(scores) for scores in of_run]
        assert row["accuracy"] == pytest.approx(fmean(means))
        low, high = wilson(fmean(means), stdev(means) / math.sqrt(PROBLEMS), PROBLEMS - 1)
        assert (row["population_low"], row["population_high"]) == pytest.approx((low, high))
        if replicates == 1:
            assert (row["these_low"], row["these_high"]) == (None, None)
            continue
        within = math.sqrt(fmean(stdev(s) ** 2 / replicates for s in of_run) / PROBLEMS)
        low, high = wilson(fmean(means), within, PROBLEMS * (replicates - 1))
        assert (row["these_low"], row["these_high"]) == pytest.approx((low, high), rel=1e-4)


@pytest.mark.parametrize(("sample", "low", "high"), [(RIGHT, 0.55, 1.0), (NOTHING, 0.0, 0.45)])
def test_where_all_is_right_or_wrong_the_interval_still_says_how_little_was_seen(
    tmp_path: Path, sample: Sample, low: float, high: float
) -> None:
    store = one_run(tmp_path, {f"p{n}": [sample, sample] for n in range(8)})
    with Warehouse(store) as warehouse:
        (row,) = rows(warehouse, "FROM mart_accuracy")
    assert low < row["population_low"] + 1e-9
    assert row["population_high"] < high + 1e-9
    assert row["population_high"] - row["population_low"] > 0.3
    assert row["these_low"] is None


def test_replicates_of_a_shared_pool_claim_no_independence(tmp_path: Path) -> None:
    mixed = {f"p{n}": [RIGHT, wrong("a"), RIGHT] for n in range(4)}
    with Warehouse(one_run(tmp_path, mixed, pool=3)) as warehouse:
        (row,) = rows(warehouse, "FROM mart_accuracy")
    assert row["these_low"] is None
    assert row["population_low"] is not None


def test_the_table_of_students_t_is_students_t(warehouse: Warehouse) -> None:
    found = rows(warehouse, "FROM student_t")
    assert [row["df"] for row in found] == list(range(1, 121))
    for row in found:
        assert row["quantile"] == pytest.approx(float(stats.t.ppf(0.975, row["df"])), abs=1e-6)


def test_a_grading_that_broke_off_is_no_wrong_answer_and_shows_as_a_rate(tmp_path: Path) -> None:
    store = one_run(tmp_path, {"p": [RIGHT, BROKEN], "q": [RIGHT, RIGHT]})
    with Warehouse(store) as warehouse:
        (row,) = rows(warehouse, "FROM mart_accuracy")
    assert (row["accuracy"], row["scored"]) == (1.0, 3)
    assert (row["timeout_rate"], row["crash_rate"], row["ungraded_rate"]) == (0.25, 0.0, 0.25)
