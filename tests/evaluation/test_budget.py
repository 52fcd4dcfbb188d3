"""`pacore budget`: which arm of a stored sweep to run for what an answer may cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pacore.errors import BadInput, Refused, StoreError
from pacore.evaluation.replay.pools import expected_longest
from pacore.evaluation.statistics.paired import best_shares
from pacore.evaluation.strategies.budget import arm_for
from pacore.report.rendering.terminal import to_text
from pacore.report.sweep import budget_sheet
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.layout import sweep_key
from tests.conftest import Pacore

PROBLEMS = [f"p{number}" for number in range(10)]


def arm(name: str, accuracy: float | None, tokens: float, **costs: float | None) -> dict[str, Any]:
    return {
        "name": name, "accuracy": accuracy, "low": 0.1, "high": 0.9, "effective_tokens": tokens,
        "money": None, **costs,
    }  # fmt: skip


def solved(right: int) -> dict[str, float]:
    return {name: float(number < right) for number, name in enumerate(PROBLEMS)}


@pytest.fixture
def store(tmp_path: Path) -> Backend:
    found = open_store(str(tmp_path / "store"))
    arms = [
        arm("single", 0.4, 100, path_seconds=1.0),
        arm("low", 0.6, 500, path_seconds=2.5),
        arm("sc-4", 0.5, 400, path_seconds=1.5),
        arm("high", 0.8, 4000, path_seconds=3.0),
        arm("unscored", None, 50, path_seconds=0.5),
    ]
    scores = {"single": solved(4), "low": solved(6), "sc-4": solved(5), "high": solved(8)}
    found.put(sweep_key("mine", "arms.json"), json.dumps({"arms": arms, "currency": None}).encode())
    found.put(sweep_key("mine", "scores.json"), json.dumps(scores).encode())
    return found


@pytest.mark.parametrize(
    ("budget", "chosen"),
    [
        ({"effective_tokens": 10_000}, "high"),
        ({"effective_tokens": 500}, "low"),
        ({"effective_tokens": 499}, "sc-4"),
        ({"effective_tokens": 10_000, "path_seconds": 2.0}, "sc-4"),
        ({"effective_tokens": 60}, None),
        ({"path_seconds": 0.1}, None),
    ],
)
def test_the_best_arm_that_every_limit_pays_for_is_chosen(
    store: Backend, budget: dict[Any, float], chosen: str | None
) -> None:
    found = arm_for(store, "mine", budget)
    assert found.chosen == chosen
    paid = {one.name for one in found.arms if one.is_affordable}
    for one in found.arms:
        fits = all((one.costs[name] or 0) <= limit for name, limit in budget.items())
        assert (one.name in paid) == (fits and one.name != "unscored")


def test_the_choice_says_how_far_it_is_ahead_and_how_sure_that_is(store: Backend) -> None:
    found = arm_for(store, "mine", {"effective_tokens": 500})
    arms = {one.name: one for one in found.arms}
    pair = arms["single"].pair
    assert pair is not None and pair.low is not None
    assert pair.difference == pytest.approx(0.2)
    assert arms["low"].pair is None and arms["high"].pair is None
    shares = [one.best_share for one in found.arms if one.best_share is not None]
    assert sum(shares) == pytest.approx(1)
    assert arms["low"].best_share == max(shares)
    shown = to_text(budget_sheet(found), 80)
    assert "run low: accuracy 60.0 %" in shown
    assert "…" not in shown


def test_arms_that_chance_does_not_tell_from_the_best_are_named(store: Backend) -> None:
    problems = [f"q{number}" for number in range(200)]
    rights = {"single": 20, "low": 160, "sc-4": 158, "high": 160}
    scores = {
        name: {problem: float(number < right) for number, problem in enumerate(problems)}
        for name, right in rights.items()
    }
    store.put(sweep_key("mine", "scores.json"), json.dumps(scores).encode())
    shown = to_text(budget_sheet(arm_for(store, "mine", {"effective_tokens": 500})), 80)
    assert "not worse beyond chance (95 %): sc-4" in shown


def test_of_arms_that_are_always_equal_each_is_as_likely_the_best() -> None:
    assert best_shares([[1.0, 0.0], [1.0, 0.0]]) == [0.5, 0.5]
    assert best_shares([[1.0, 1.0], [0.0, 0.0]]) == [1.0, 0.0]


def test_a_budget_that_nothing_is_known_for_is_refused(store: Backend) -> None:
    with pytest.raises(BadInput, match="a budget is a number above 0"):
        arm_for(store, "mine", {})
    with pytest.raises(BadInput, match="a budget is a number above 0"):
        arm_for(store, "mine", {"effective_tokens": -1})
    with pytest.raises(Refused, match="no arm has a price; run the sweep again with --prices"):
        arm_for(store, "mine", {"money": 1.0})
    with pytest.raises(Refused, match="no sweep 'mime' in"):
        arm_for(store, "mime", {"effective_tokens": 1})
    store.delete(sweep_key("mine", "scores.json"))
    with pytest.raises(Refused, match=r"scores\.json is not there; the same sweep again"):
        arm_for(store, "mine", {"effective_tokens": 1})
    store.put(sweep_key("mine", "arms.json"), b"{")
    with pytest.raises(StoreError, match="is not JSON"):
        arm_for(store, "mine", {"effective_tokens": 1})


def test_a_budget_is_a_command(store: Backend, command: Pacore) -> None:
    done = command("budget", "mine", "--tokens", "500", "--format", "json", "--store", store.url)
    assert json.loads(done.stdout)["chosen"] == "low", done.stderr
    none = command("budget", "mine", "--tokens", "1", "--store", store.url)
    assert "no arm is paid for" in none.stdout


def test_the_longest_of_some_is_expected_over_all_ways_to_take_them() -> None:
    assert expected_longest([1.0, 2.0, 3.0], 1) == pytest.approx(2)
    assert expected_longest([1.0, 2.0, 3.0], 2) == pytest.approx((2 + 3 + 3) / 3)
    assert expected_longest([1.0, 2.0, 3.0], 3) == pytest.approx(3)
    assert expected_longest([1.0, 2.0], 3) is None
    assert expected_longest([1.0, None], 1) is None
