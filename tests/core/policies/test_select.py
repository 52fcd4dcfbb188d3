"""Which messages of a set are shown where not all are: by a rule, or by a trained scorer."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.plan import Plan, SelectPolicy
from pacore.core.policies.select import (
    FEATURES,
    features,
    message_keys,
    parse_scorer,
    ranked,
    scorer_text,
    selected,
)
from pacore.core.problem import Problem, Turn
from pacore.core.recipe import Recipe
from pacore.core.round import Round

PROBLEM = Problem("p", (Turn("user", "What is 20 + 22?"),), "42")

POLICIES = [one for one in get_args(SelectPolicy) if one != "own"]

TEXTS = (
    r"It is \boxed{42}.",
    r"I find \boxed{41}, after long thought.",
    "I do not know.",
    r"Surely \boxed{42.0} it is.",
    r"\boxed{40}",
    r"So \boxed{41}",
    r"Two ways give \boxed{42}",
)


def order(policy: SelectPolicy, scorer: str | None = None) -> list[int]:
    return ranked(policy, PROBLEM, TEXTS, scorer, "named")


def test_the_shortest_and_the_longest_come_first() -> None:
    assert order("shortest")[:2] == [4, 5]
    assert order("longest")[:2] == [1, 3]


def test_a_majority_is_of_answers_that_are_equal_however_they_are_written() -> None:
    assert order("majority") == [0, 3, 6, 1, 5, 4, 2]


def test_a_spread_takes_one_of_each_answer_before_it_takes_a_second() -> None:
    assert order("spread") == [0, 1, 4, 3, 5, 6, 2]


def test_a_trained_scorer_ranks_by_the_weights_of_what_messages_are() -> None:
    assert order("trained", "agreement:1.0")[:3] == [0, 3, 6]
    assert order("trained", "unanswered:1.0")[0] == 2
    assert order("trained", "rank:-1.0") == order("shortest")
    assert order("trained", "length:1.0") == order("longest")
    assert order("trained", "agreement:1.0,first:-2.0,unanswered:-9.0")[:2] == [3, 6]


def test_features_are_of_a_message_in_its_set() -> None:
    found = features(TEXTS, message_keys(PROBLEM, TEXTS))
    values = [dict(zip(FEATURES, one, strict=True)) for one in found]
    assert [one["agreement"] for one in values] == pytest.approx(
        [2 / 6, 1 / 6, 0, 2 / 6, 0, 1 / 6, 2 / 6]
    )
    assert [one["first"] for one in values] == [1, 1, 0, 0, 1, 0, 0]
    assert [one["unanswered"] for one in values] == [0, 0, 1, 0, 0, 0, 0]
    assert min(one["rank"] for one in values) == 0 and max(one["rank"] for one in values) == 1


@pytest.mark.parametrize(
    "text", ["", "nonsense:1", "first", "first:x", "first:nan", "first:1,first:2"]
)
def test_what_is_no_scorer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="first|nonsense|weight"):
        parse_scorer(text)


WEIGHTS = st.dictionaries(
    st.sampled_from(FEATURES), st.floats(-10, 10).map(lambda one: one + 0.0), min_size=1
)


@given(WEIGHTS)
def test_a_scorer_has_one_spelling(weights: dict[str, float]) -> None:
    text = scorer_text(weights)
    assert scorer_text(parse_scorer(text)) == text and parse_scorer(text) == weights


MESSAGES = st.lists(
    st.sampled_from([*TEXTS, "", r"\boxed{7}", r"\boxed{\frac{1}{2}}"]), min_size=1, max_size=9
)


@given(MESSAGES, st.sampled_from(POLICIES), st.integers(1, 9), WEIGHTS)
def test_a_larger_selection_has_all_of_a_smaller_one_and_both_stand_in_order(
    texts: list[str], policy: SelectPolicy, count: int, weights: dict[str, float]
) -> None:
    scorer = scorer_text(weights)
    small = selected(policy, count, PROBLEM, texts, scorer, "named")
    large = selected(policy, count + 1, PROBLEM, texts, scorer, "named")
    assert small == tuple(sorted(small)) and len(small) == min(count, len(texts))
    assert set(small) <= set(large) <= set(range(1, len(texts) + 1))
    assert small == selected(policy, count, PROBLEM, texts, scorer, "named")


@pytest.mark.parametrize("policy", POLICIES)
def test_all_slots_of_a_round_see_one_selection(policy: SelectPolicy) -> None:
    plan = Plan((7, 3), subset=2, select=policy, scorer="first:1.0")
    (prompt,) = Round(plan, Recipe("m"), PROBLEM, (2, 0), TEXTS).prompts()
    assert prompt.positions is not None and len(prompt.positions) == 2
    assert prompt.view.slots == (0, 1, 2)
    (whole,) = Round(replace(plan, subset=7), Recipe("m"), PROBLEM, (2, 0), TEXTS).prompts()
    assert whole.positions is None


def test_selections_of_two_rounds_take_draws_of_their_own() -> None:
    plan = Plan((3, 3), subset=1, select="shortest")
    texts = [r"\boxed{1}", "longer", "longest of all"]
    prompts = [
        Round(plan, Recipe("m"), PROBLEM, (round_, 0), texts).prompts()[0] for round_ in (2, 3)
    ]
    assert prompts[0].digest == prompts[1].digest
    assert not set(prompts[0].draws) & set(prompts[1].draws)
