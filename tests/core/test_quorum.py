"""The quorum by itself: what goes on, what is tried again, and that nothing but content decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.message import Candidate, tail_text
from pacore.core.plan import Plan
from pacore.core.problem import Problem, Turn
from pacore.core.quorum import (
    Attempt,
    ChosenSlot,
    History,
    Retry,
    SlotOutcome,
    attempt_recipe,
    refills_due,
    shortfall,
)
from pacore.core.recipe import Recipe
from pacore.core.round import OpenSlot, Round, most_that_fit, open_slots, passes
from pacore.core.trajectory import FinishReason, Generation, normalise

RECIPE = Recipe("m")


PLAN = Plan(widths=(4, 3), min_messages=(3, 2), on_shortfall="refill", refills=2)


def said(refills: int = 0) -> SlotOutcome:
    return SlotOutcome(Candidate("a", "text", 4), "stop", "present", refills=refills)


def cut(refills: int = 0) -> SlotOutcome:
    return SlotOutcome(Candidate("a", None, 0), "length", "truncated", refills=refills)


def broken(reason: FinishReason = "timeout", is_lost: bool = False) -> SlotOutcome:
    return SlotOutcome(Candidate("a", None, 0), reason, "none", "it broke", is_lost=is_lost)


@pytest.mark.parametrize(
    ("outcomes", "due"),
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
    outcomes: list[SlotOutcome], due: list[int]
) -> None:
    assert refills_due(PLAN, 1, outcomes) == due


@given(st.lists(st.sampled_from([said(), cut(), cut(1), cut(2), broken()]), min_size=4, max_size=4))
def test_a_refill_is_made_only_where_it_can_still_make_up_the_quorum(
    outcomes: list[SlotOutcome],
) -> None:
    due = refills_due(PLAN, 1, outcomes)
    have = sum(outcome.candidate.text is not None for outcome in outcomes)
    if due:
        assert have + len(due) == PLAN.need(1)
        assert all(outcomes[slot].refills < PLAN.refills for slot in due)
    if any(outcome.is_waiting for outcome in outcomes):
        assert not due and shortfall(PLAN, 1, outcomes) is not None


def test_only_a_refilling_plan_refills_and_never_its_last_round() -> None:
    short = [said(), said(), cut(), cut()]
    assert refills_due(Plan(widths=(4,), min_messages=3), 1, short) == []
    assert refills_due(Plan(widths=(4,), min_messages=3, on_shortfall="proceed"), 1, short) == []
    assert refills_due(PLAN, 3, [cut()]) == []


@pytest.mark.parametrize(
    ("policy", "outcomes", "reason"),
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
    policy: str, outcomes: list[SlotOutcome], reason: str | None
) -> None:
    plan = Plan(widths=(4, 3), min_messages=(3, 2), on_shortfall=policy)  # type: ignore[arg-type]
    found = shortfall(plan, 1, outcomes)
    assert (found and found.reason) == (None if reason is None else f"round 1: {reason}")


def test_the_quorum_of_the_last_round_is_its_one_answer() -> None:
    assert [PLAN.need(round_) for round_ in (1, 2, 3)] == [3, 2, 1]
    assert [Plan(widths=(4, 2), min_messages=2).need(round_) for round_ in (1, 2, 3)] == [2, 2, 1]


def slots_of(width: int) -> list[OpenSlot]:
    problem = Problem("p", (Turn("user", "What is 6 * 7?"),))
    return open_slots(Round(Plan(widths=(width,)), RECIPE, problem, (1, 0)).prompts())


def begin_and_end(slot: OpenSlot, *reasons: FinishReason, retry: Retry | None = None) -> None:
    for number, reason in enumerate(reasons):
        slot.begin(RECIPE, None if number else retry)
        slot.history = slot.history.ended(reason)


def test_a_retry_takes_the_slots_it_chose_as_long_as_their_trajectory_is_the_same() -> None:
    slots = slots_of(3)
    for slot in slots:
        begin_and_end(slot, "length")
    ids = [slot.history.current.trajectory_id for slot in slots]
    chosen = frozenset([ChosenSlot(1, "p", 0, 0, ids[0]), ChosenSlot(1, "p", 0, 2, "another")])
    steps = passes(Plan(widths=(3,)), slots, [Retry(chosen, 9)], list)
    assert [(now.slots, now.retry and now.retry.max_tokens) for now in steps] == [
        ([0, 1, 2], None),
        ([0], 9),
    ]


def test_attempts_at_a_slot_count_on_and_keep_the_limit_of_its_last_retry() -> None:
    (slot,) = slots_of(1)
    begin_and_end(slot, "timeout", "length")
    begin_and_end(slot, "timeout", "length", retry=Retry(frozenset(), 9))
    begin_and_end(slot, "stop", retry=Retry(frozenset()))
    attempts = slot.history.attempts
    whole, cut = attempts[1].trajectory_id, attempts[3].trajectory_id
    assert [one.retry_of for one in attempts] == [None, None, whole, whole, cut]
    assert [one.max_tokens for one in attempts] == [None, None, 9, 9, None]
    limits = (None, None, 9, 9, None)
    expected = [
        slot.prompt.request(attempt_recipe(RECIPE, limit), 0, number)
        for number, limit in enumerate(limits)
    ]
    assert [(one.trajectory_id, one.seed) for one in attempts] == [
        (request.trajectory_id, request.seed) for request in expected
    ]


def test_a_slot_is_lost_once_this_run_saw_as_many_attempts_fail_as_it_may() -> None:
    history = History()
    assert not history.is_lost(1)
    for number in range(3):
        history = history.added(Attempt(f"{number}", number))
        assert not history.is_lost(1)
        history = history.ended("timeout", reused=number == 0)
    assert (history.tombstones, history.refills) == (2, 0)
    assert [history.is_lost(attempts) for attempts in (None, 1, 2, 3)] == [False, True, True, False]
    retried = history.added(Attempt("3", 3, "timeout", retry_of="2"))
    assert (retried.tombstones, retried.is_lost(2)) == (1, False)
    assert not history.added(Attempt("3", 3, "stop")).is_lost(1)


def test_refills_are_the_attempts_a_model_finished_after_the_first() -> None:
    history = History()
    counted = []
    for number, reason in enumerate(("timeout", "length", "stop", "timeout", "length")):
        history = history.added(Attempt(f"{number}", number)).ended(reason)  # type: ignore[arg-type]
        counted.append(history.refills)
    assert counted == [0, 0, 1, 1, 2]
    assert history.added(Attempt("5", 5, "length", retry_of="4")).refills == 0


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
