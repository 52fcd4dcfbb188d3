"""Who sees which messages: one prompt for all under the paper's policy, and as many as there are views."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.plan import Plan
from pacore.core.problem import Problem, Turn
from pacore.core.prompt import prompt_digest, turns_for
from pacore.core.quorum import ChosenSlot, Retry, attempt_limit
from pacore.core.recipe import Recipe
from pacore.core.round import Round, RoundPrompt, by_slot
from pacore.core.trajectory import Slot

RECIPE = Recipe(model="m")


PROBLEM = Problem("six-by-seven", (Turn("user", "What is 6 * 7?"),), "42")


TEXTS = tuple(f"It is {number}." for number in range(12))

GOLDEN_SUBSETS = [
    (4, 7, 10, 11),
    (1, 4, 7, 10),
    (1, 2, 5, 6),
    (1, 2, 4, 5),
    (1, 5, 8, 11),
    (2, 7, 8, 10),
]

widths = st.integers(1, 12)


message_sets = st.lists(st.text("ab", max_size=3), min_size=1, max_size=12).map(tuple)


def a_round(
    plan: Plan, texts: tuple[str, ...] = TEXTS, round_: int = 2, replicate: int = 0
) -> Round:
    return Round(plan, RECIPE, PROBLEM, (round_, replicate), texts)


def seen(prompts: list[RoundPrompt], texts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """What each slot sees, in the order of the slots."""
    return [tuple(prompt.shown(texts)) for prompt, _ in by_slot(prompts)]


@settings(deadline=None)
@given(width=widths, texts=message_sets, replicate=st.integers(0, 3))
def test_under_the_papers_policy_a_round_is_one_prompt_over_all_of_m(
    width: int, texts: tuple[str, ...], replicate: int
) -> None:
    (prompt,) = a_round(Plan((4, width)), texts, replicate=replicate).prompts()
    assert prompt.turns == turns_for(PROBLEM.turns, texts)
    assert prompt.digest == prompt_digest(prompt.turns)
    assert prompt.draws == tuple(range(replicate * width, (replicate + 1) * width))
    assert (prompt.positions, prompt.prompt_messages, prompt.max_tokens) == (None, None, None)
    assert prompt.shown(texts) == texts


@settings(deadline=None)
@given(width=widths, subset=st.integers(1, 14), texts=message_sets, replicate=st.integers(0, 2))
def test_each_slot_sees_as_many_as_a_subset_has_in_the_order_of_m(
    width: int, subset: int, texts: tuple[str, ...], replicate: int
) -> None:
    plan = Plan((4, width), subset=subset)
    prompts = a_round(plan, texts, replicate=replicate).prompts()
    for prompt in prompts:
        places = prompt.positions or tuple(range(1, len(texts) + 1))
        assert len(places) == min(subset, len(texts))
        assert list(places) == sorted(set(places)) and set(places) <= set(range(1, len(texts) + 1))
        assert list(prompt.shown(texts)) == [texts[place - 1] for place in places]
        assert prompt.turns == turns_for(PROBLEM.turns, list(prompt.shown(texts)))
        assert (prompt.positions is None) is (subset >= len(texts))
    slots = [place for _, place in by_slot(prompts)]
    assert [place.slot for place in slots] == list(range(width))
    assert [place.draw for place in slots] == [replicate * width + slot for slot in range(width)]
    assert len({prompt.view for prompt in prompts}) == len(prompts)


def test_subsets_of_a_fixed_set_are_these_for_good() -> None:
    views = a_round(Plan((12, 6), subset=4)).views()
    assert [view.positions for view in views] == GOLDEN_SUBSETS
    assert [view.slots for view in views] == [(slot,) for slot in range(6)]


def test_a_subset_follows_from_m_the_problem_the_recipe_and_the_draw_and_nothing_else() -> None:
    plan = Plan((12, 6), subset=4)
    usual = a_round(plan).views()
    assert a_round(Plan((9, 6, 2), subset=4, replicates=5)).views() == usual
    others = [
        a_round(plan, TEXTS[::-1]),
        a_round(plan, replicate=1),
        Round(plan, Recipe(model="m", seed_root="other"), PROBLEM, (2, 0), TEXTS),
        Round(plan, RECIPE, Problem("p", (Turn("user", "And 7 * 6?"),)), (2, 0), TEXTS),
    ]
    assert all(other.views() != usual for other in others)


@settings(deadline=None)
@given(st.integers(1, 11))
def test_a_smaller_subset_is_part_of_a_larger_one(subset: int) -> None:
    few, many = (a_round(Plan((12, 8), subset=k)).prompts() for k in (subset, subset + 1))
    for fewer, more in zip(seen(few, TEXTS), seen(many, TEXTS), strict=True):
        assert set(fewer) < set(more)


def test_over_many_slots_every_message_is_seen_about_as_often_as_any_other() -> None:
    counted: Counter[str] = Counter()
    for replicate in range(60):
        prompts = a_round(Plan((12, 10), subset=3), replicate=replicate).prompts()
        counted.update(text for texts in seen(prompts, TEXTS) for text in texts)
    # 600 slots see 3 of 12 each: 150 times a message, with a standard deviation of 10.6.
    assert set(counted) == set(TEXTS)
    assert all(100 < times < 200 for times in counted.values())


def test_slots_that_happen_to_see_the_same_share_a_prompt_and_differ_in_their_draws() -> None:
    prompts = a_round(Plan((2, 8), subset=1), TEXTS[:2]).prompts()
    assert len(prompts) == 2
    assert sorted(slot for prompt in prompts for slot in prompt.view.slots) == list(range(8))
    ids = {p.request(RECIPE, draw).trajectory_id for p in prompts for draw in p.draws}
    assert len(ids) == 8


@settings(deadline=None)
@given(texts=message_sets, replicate=st.integers(0, 2), random=st.randoms(use_true_random=False))
def test_what_condenses_a_message_depends_on_no_other_message(
    texts: tuple[str, ...], replicate: int, random: Random
) -> None:
    """Neither on its place nor on how many stand beside it, and equal ones are told apart."""
    plan = Plan((12,), compaction="summary", summary_tokens=9)

    def ids(*some: str) -> Counter[tuple[str, str]]:
        prompts = a_round(plan, some, replicate=replicate).prompts()
        assert seen(prompts, some) == [(text,) for text in some]
        assert [prompt.max_tokens for prompt in prompts] == [9] * len(some)
        return Counter(
            (prompt.shown(some)[0], prompt.request(RECIPE, draw).trajectory_id)
            for prompt in prompts
            for draw in prompt.draws
        )

    shuffled = list(texts)
    random.shuffle(shuffled)
    whole = ids(*texts)
    assert set(whole.values()) == {1}
    assert ids(*shuffled) == whole
    assert ids(*texts[:-1]) < whole
    assert {text for text, _ in whole} == set(texts)


def test_replicates_condense_equal_messages_apart() -> None:
    plan = Plan((3,), compaction="summary", summary_tokens=9)
    draws = [
        [p.draws for p in a_round(plan, ("a", "a", "b"), replicate=r).prompts()] for r in (0, 1)
    ]
    assert draws == [[(0,), (1,), (0,)], [(3,), (4,), (3,)]]


@pytest.mark.parametrize("fields", [{"compaction": "answer"}, {"workspace_tokens": 9}], ids=str)
def test_rounds_with_the_very_same_prompt_draw_apart_where_that_is_likely(
    fields: dict[str, Any],
) -> None:
    """Else the last trajectory would be one of the round before, and not a sample given its messages."""
    plan = Plan((3, 3, 3), **fields)
    same = [one for one in range(2, plan.rounds + 1) if plan.step(one).kind == "sample"]
    prompts = [
        prompt
        for round_ in same
        for replicate in range(3)
        for prompt in a_round(plan, ("\\boxed{42}",) * 3, round_, replicate).prompts()
    ]
    assert len({prompt.digest for prompt in prompts}) == 1
    draws = [draw for prompt in prompts for draw in prompt.draws]
    assert len(set(draws)) == len(draws) == 3 * (3 + 3 + 1)
    assert max(draws) < 2**31


def test_a_workspace_is_distilled_from_all_and_is_all_that_follows() -> None:
    plan = Plan((12, 3), workspace_tokens=9)
    (distilling,) = a_round(plan).prompts()
    assert (distilling.shown(TEXTS), distilling.max_tokens) == (TEXTS, 9)
    (synthesis,) = a_round(plan, ("the workspace",), round_=3).prompts()
    assert synthesis.turns == turns_for(PROBLEM.turns, ["the workspace"])
    assert len(distilling.draws) == 1 and len(synthesis.draws) == 3


@pytest.mark.parametrize(
    ("fields", "configuration", "needs"),
    [
        ({}, "[4, 2, 1]", [3, 2, 1]),
        ({"compaction": "answer", "subset": 2}, "[4, 2, 1]", [3, 2, 1]),
        ({"compaction": "summary"}, "[4, 4c, 2, 2c, 1]", [3, 3, 2, 2, 1]),
        ({"workspace_tokens": 9}, "[4, 1d, 2, 1d, 1]", [3, 1, 2, 1, 1]),
        (
            {"compaction": "summary", "workspace_tokens": 9},
            "[4, 4c, 1d, 2, 2c, 1d, 1]",
            [3, 3, 1, 2, 2, 1, 1],
        ),
    ],
)
def test_a_plan_expands_to_its_steps(
    fields: dict[str, object], configuration: str, needs: list[int]
) -> None:
    plan = Plan((4, 2), min_messages=(3, 2), **fields)  # type: ignore[arg-type]  # any mix of them
    assert plan.configuration == configuration
    assert [plan.need(round_ + 1) for round_ in range(plan.rounds)] == needs
    assert plan.trajectories_a_problem == sum(step.width for step in plan.steps)
    assert plan.step(plan.rounds).compaction.policy == "conclusion"


def test_each_view_is_cut_to_the_window_by_itself() -> None:
    texts = ("a", "b" * 500, "c", "d" * 500)
    plan = Plan((4, 8), subset=2, overflow="fewer_messages")

    def fits(prompt: RoundPrompt) -> bool:
        return len(prompt.turns[-1].content) < 900

    round_ = a_round(plan, texts)
    prompts = round_.prompts(fits)
    for prompt in prompts:
        both_long = prompt.view.positions == (2, 4)
        assert prompt.prompt_messages == (1 if both_long else None)
        assert prompt.positions == ((2,) if both_long else prompt.view.positions)
    possible = {prompt.digest for prompt in round_.possible()}
    assert {prompt.digest for prompt in prompts} <= possible
    assert any(prompt.prompt_messages for prompt in prompts)


@pytest.mark.parametrize(
    ("bound", "asked", "limit"),
    [(None, None, None), (None, 99, 99), (9, None, 9), (9, 99, 9), (9, 5, 5)],
)
def test_a_retry_never_lifts_the_bound_of_a_step(
    bound: int | None, asked: int | None, limit: int | None
) -> None:
    assert attempt_limit(bound, Retry(frozenset(), asked)) == limit
    assert attempt_limit(bound, None) == bound


def test_a_retry_finds_what_it_chose_though_the_slots_of_a_condensing_round_moved() -> None:
    retry = Retry(frozenset([ChosenSlot(2, "p", 0, 3, "the one")]))
    assert retry.names(Slot(2, "p", 0, 4, 0), "the one")
    assert not retry.names(Slot(2, "p", 0, 3, 0), "another")
    assert not retry.names(Slot(4, "p", 0, 3, 0), "the one")
