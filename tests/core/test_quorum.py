"""The quorum by itself: what goes on, what is tried again, and that nothing but content decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.message import Candidate, tail_text
from pacore.core.plan import Plan
from pacore.core.quorum import (
    ChosenSlot,
    Retry,
    Standing,
    attempt_recipe,
    outcome,
    passes,
    refills_due,
)
from pacore.core.recipe import Recipe
from pacore.core.round import most_that_fit
from pacore.core.trajectory import FinishReason, Generation, Slot, normalise

PLAN = Plan(widths=(4, 3), min_messages=(3, 2), on_shortfall="refill", refills=2)


def said(refills: int = 0) -> Standing:
    return Standing(Candidate("a", "text", 4), "stop", "present", refills=refills)


def cut(refills: int = 0) -> Standing:
    return Standing(Candidate("a", None, 0), "length", "truncated", refills=refills)


def broken(reason: FinishReason = "timeout", is_lost: bool = False) -> Standing:
    return Standing(Candidate("a", None, 0), reason, "none", "it broke", is_lost=is_lost)


@pytest.mark.parametrize(
    ("standings", "due"),
    [
        ([said(), said(), said(), cut()], []),
        ([said(), said(), cut(), cut()], [2]),
        ([said(), cut(1), said(), cut()], [3]),
        ([said(), cut(), cut(1), cut()], [1, 3]),
        ([cut(2), said(), said(), cut(2)], []),
        ([cut(2), said(), cut(1), cut(2)], []),
        ([said(), said(), cut(), broken()], []),
        ([said(), said(), cut(), broken(is_lost=True)], [2]),
        ([said(), said(), broken(is_lost=True), broken(is_lost=True)], []),
        ([said(), said(), broken("context_overflow"), cut(1)], [3]),
        ([broken("context_overflow")] * 4, []),
    ],
)
def test_the_least_tried_slots_without_a_message_are_refilled_first(
    standings: list[Standing], due: list[int]
) -> None:
    assert refills_due(PLAN, 1, standings) == due


@given(st.lists(st.sampled_from([said(), cut(), cut(1), cut(2), broken()]), min_size=4, max_size=4))
def test_a_refill_is_made_only_where_it_can_still_make_up_the_quorum(
    standings: list[Standing],
) -> None:
    due = refills_due(PLAN, 1, standings)
    have = sum(standing.candidate.text is not None for standing in standings)
    if due:
        assert have + len(due) == PLAN.need(1)
        assert all(standings[slot].refills < PLAN.refills for slot in due)
    if any(standing.is_waiting for standing in standings):
        assert not due and not outcome(PLAN, 1, standings).goes_on


def test_only_a_refilling_plan_refills_and_never_its_last_round() -> None:
    short = [said(), said(), cut(), cut()]
    assert refills_due(Plan(widths=(4,), min_messages=3), 1, short) == []
    assert refills_due(Plan(widths=(4,), min_messages=3, on_shortfall="proceed"), 1, short) == []
    assert refills_due(PLAN, 3, [cut()]) == []


@pytest.mark.parametrize(
    ("policy", "standings", "reason"),
    [
        ("fail", [said(), said(), said(), cut()], None),
        ("fail", [said(), said(), cut(), cut()], "2 of 4 messages, 3 needed (2 truncated)"),
        ("proceed", [said(), cut(), cut(), cut()], None),
        ("proceed", [cut(), cut(), cut(), cut()], "0 of 4 messages, 3 needed (4 truncated)"),
        (
            "proceed",
            [said(), said(), said(), broken()],
            "3 of 4 messages, 3 needed (1 timeout): it broke",
        ),
        ("proceed", [said(), cut(), cut(), broken(is_lost=True)], None),
        (
            "refill",
            [said(), said(2), cut(2), cut(2)],
            "2 of 4 messages, 3 needed, 6 refills (2 truncated)",
        ),
    ],
)
def test_a_short_set_says_what_it_is_short_of(
    policy: str, standings: list[Standing], reason: str | None
) -> None:
    plan = Plan(widths=(4, 3), min_messages=(3, 2), on_shortfall=policy)  # type: ignore[arg-type]
    found = outcome(plan, 1, standings).reason
    assert found == (None if reason is None else f"round 1: {reason}")


def test_the_quorum_of_the_last_round_is_its_one_answer() -> None:
    assert [PLAN.need(round_) for round_ in (1, 2, 3)] == [3, 2, 1]
    assert [Plan(widths=(4, 2), min_messages=2).need(round_) for round_ in (1, 2, 3)] == [2, 2, 1]


def test_a_retry_takes_the_slots_it_named_as_long_as_the_same_trajectory_stands() -> None:
    places = [Slot(1, "p", 0, slot, slot) for slot in range(3)]
    chosen = frozenset(ChosenSlot(1, "p", 0, slot, f"old {slot}") for slot in (0, 2))
    ids = ["old 0", "x", "other"]
    steps = passes(Plan(widths=(3,)), places, [Retry(chosen, 9)], lambda: ids, list)
    assert [(now.slots, now.retry and now.retry.max_tokens) for now in steps] == [
        ([0, 1, 2], None),
        ([0], 9),
    ]


def test_an_attempt_without_a_limit_of_its_own_has_the_recipe_of_the_run() -> None:
    recipe = Recipe("m", max_tokens=5)
    assert attempt_recipe(recipe, None) is recipe
    assert attempt_recipe(recipe, 9) == Recipe("m", max_tokens=9)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_most_messages_that_fit_are_found(messages: int, room: int) -> None:
    expected = min(messages, room)
    assert most_that_fit(messages, lambda shown: shown <= room) == (expected or None)


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=80),
    st.none() | st.integers(1, 40),
    st.integers(1, 50),
)
def test_a_tail_is_the_end_of_what_was_written_and_no_longer_than_asked(
    written: str, tokens: int | None, tail_tokens: int
) -> None:
    made = Generation("length", None, written, completion_tokens=tokens)
    tail = tail_text(made, normalise(made), tail_tokens)
    characters_a_token = len(written) / tokens if tokens else 1
    if tail is None:
        return
    assert tail in written and written.rstrip().endswith(tail)
    assert len(tail) <= max(tail_tokens * characters_a_token, 0) or tail == written.strip()
    if tokens is not None and tail_tokens >= tokens:
        assert tail == written.strip()


@pytest.mark.parametrize(
    ("content", "reasoning", "tail"),
    [
        (None, "one two three", "three"),
        ("<think>one two three", None, "three"),
        ("one two three", None, "three"),
        ("one two three</think>", None, "three"),
        (None, "o\u0301ne two e\u0301ole\u0301", "ole\u0301"),
    ],
)
def test_a_tail_is_taken_wherever_the_server_put_the_thinking(
    content: str | None, reasoning: str | None, tail: str
) -> None:
    made = Generation("length", content, reasoning, completion_tokens=13)
    thought = normalise(made)
    assert thought.status == "truncated"
    length = len(reasoning or "one two three")
    assert tail_text(made, thought, 5 * 13 // length) == tail
