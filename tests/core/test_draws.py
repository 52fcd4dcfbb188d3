"""Draws, pools, ids and seeds: the numbers themselves, some of them fixed for good."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.identity import SEED_BITS, canonical_json, digest, trajectory_key
from pacore.core.plan import Plan
from pacore.core.problem import Turn
from pacore.core.prompt import prompt_digest
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request
from tests.fixtures.nested_values import nested

words = st.text(st.characters(codec="utf-8"), max_size=12)


json_values = nested(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-2, 2) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
)


@settings(deadline=None)
@given(recipe=words, prompt=words, draw=st.integers(0, 2**40), attempt=st.integers(0, 100))
def test_a_seed_stays_exact_in_readers_that_know_only_doubles(
    recipe: str, prompt: str, draw: int, attempt: int
) -> None:
    key = trajectory_key(digest(recipe), digest(prompt), draw, attempt)
    assert 0 <= key.seed < 2**SEED_BITS == 2**53
    assert int(float(key.seed)) == key.seed == json.loads(json.dumps(key.seed))
    assert len(key.trajectory_id) == 32 and int(key.trajectory_id, 16) >= 0


@settings(deadline=None)
@given(st.sets(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=2, max_size=30))
def test_draw_and_attempt_are_told_apart(pairs: set[tuple[int, int]]) -> None:
    keys = {trajectory_key("a" * 64, "b" * 64, draw, attempt) for draw, attempt in pairs}
    assert len({key.trajectory_id for key in keys}) == len({key.seed for key in keys}) == len(pairs)


@settings(deadline=None)
@given(pool=st.integers(1, 600), replicate=st.integers(0, 80), prompt=words, data=st.data())
def test_a_pool_gives_distinct_draws_of_its_first_p_nested_as_k_grows(
    pool: int, replicate: int, prompt: str, data: st.DataObject
) -> None:
    few, many = sorted(data.draw(st.lists(st.integers(1, pool), min_size=2, max_size=2)))
    drawn = [
        Plan(widths=(width,), pool=pool).draws("0" * 64, digest(prompt), 1, replicate)
        for width in (few, many)
    ]
    assert drawn[0] == drawn[1][:few]
    assert len(set(drawn[1])) == many and set(drawn[1]) <= set(range(pool))


def test_a_pool_serves_only_the_round_whose_prompt_replicates_share() -> None:
    plan = Plan(widths=(4, 2), replicates=3, pool=512)
    assert plan.draws("0" * 64, "1" * 64, 2, 1) == [2, 3]
    assert plan.draws("0" * 64, "1" * 64, 3, 2) == [2]
    assert Plan(widths=(4,), replicates=3).draws("0" * 64, "1" * 64, 1, 2) == [8, 9, 10, 11]


GOLDEN_RECIPE = Recipe(
    model="example/model",
    revision="abc123",
    chat_template_options={"enable_thinking": True},
    top_k=20,
    max_tokens=131_072,
)


GOLDEN_TURNS = (Turn("user", "What is 6 * 7? — 六七"),)


@pytest.mark.parametrize(
    ("draw", "attempt", "trajectory_id", "seed"),
    [
        (0, 0, "96995f5a784ea7ca98af7f71074586f9", 6318838358378216),
        (3, 0, "688a52b047fe368c779eadb1cc4b27c7", 1318120351139411),
        (3, 1, "cf75c05a982b281f9e8399f3f0f0adf6", 6933664159706621),
    ],
)
def test_ids_and_seeds_are_what_they_were_when_the_first_store_was_written(
    draw: int, attempt: int, trajectory_id: str, seed: int
) -> None:
    request = Request.of(GOLDEN_RECIPE, GOLDEN_TURNS, prompt_digest(GOLDEN_TURNS), draw, attempt)
    assert (request.trajectory_id, request.seed) == (trajectory_id, seed)


def test_pools_are_what_they_were_when_the_first_store_was_written() -> None:
    plan = Plan(widths=(8,), replicates=2, pool=512)
    prompt = prompt_digest(GOLDEN_TURNS)
    drawn = [plan.draws(GOLDEN_RECIPE.digest, prompt, 1, replicate) for replicate in range(2)]
    assert drawn == [
        [224, 408, 239, 136, 510, 488, 213, 189],
        [249, 218, 87, 125, 14, 128, 280, 232],
    ]


@settings(deadline=None)
@given(st.dictionaries(words, json_values, max_size=4), st.randoms(use_true_random=False))
def test_canonical_json_does_not_depend_on_the_order_of_keys(
    value: dict[str, Any], random: Random
) -> None:
    names = list(value)
    random.shuffle(names)
    encoded = canonical_json(value)
    assert canonical_json({name: value[name] for name in names}) == encoded
    assert json.loads(encoded) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", b"bytes", {1, 2}])
def test_what_is_not_json_has_no_canonical_form(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical_json([value])
