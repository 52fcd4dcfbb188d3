"""Messages: what is kept of a trajectory, and in which order the next prompt shows it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.message import Candidate, compacted, message_set, order
from pacore.core.plan import Compaction, CompactionPolicy, MessageOrder
from pacore.core.problem import Turn
from pacore.core.prompt import prompt_digest
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request, Slot, Trajectory

TURNS = (Turn("user", "What is 6 * 7?"),)


PLACE = (1, "six-by-seven", 0)

candidate_sets = st.dictionaries(
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.tuples(st.none() | st.text("ab \n", max_size=5), st.integers(0, 9)),
    max_size=8,
).map(lambda found: [Candidate(name, text, length) for name, (text, length) in found.items()])


def candidates_by_length(count: int) -> list[Candidate]:
    """Candidates whose length rank is their number, with ids that sort the other way round."""
    return [Candidate(f"{999 - rank:032d}", f"rank {rank}", 100 + rank) for rank in range(count)]


def trajectory(generation: Generation) -> Trajectory:
    request = Request.of(Recipe(model="m"), TURNS, prompt_digest(TURNS), draw=0)
    return Trajectory.of(Slot(1, "six-by-seven", 0, 0, 0), request, generation)


def text_of(generation: Generation, policy: CompactionPolicy) -> str | None:
    return compacted(trajectory(generation), Compaction(policy)).text


def ranks(count: int) -> list[int]:
    placed = order(candidates_by_length(count), "reference")
    return [candidate.content_characters - 100 for candidate in placed]


@settings(deadline=None)
@given(candidate_sets, st.randoms(use_true_random=False))
def test_content_order_depends_on_ids_alone(candidates: list[Candidate], random: Random) -> None:
    ids = [candidate.trajectory_id for candidate in order(candidates, "content")]
    shuffled = [
        Candidate(candidate.trajectory_id, candidate.text, -candidate.content_characters)
        for candidate in candidates
    ]
    random.shuffle(shuffled)
    assert ids == sorted(ids)
    assert [candidate.trajectory_id for candidate in order(shuffled, "content")] == ids


def test_reference_order_of_four_puts_the_longest_third_and_the_shortest_last() -> None:
    assert ranks(4) == [2, 1, 3, 0]


@pytest.mark.parametrize(("width", "longest", "shortest"), [(4, 3, 4), (16, 12, 15), (32, 28, 31)])
def test_reference_order_ties_a_label_to_a_length_rank(
    width: int, longest: int, shortest: int
) -> None:
    placed = ranks(width)
    assert placed.index(width - 1) + 1 == longest
    assert placed.index(0) + 1 == shortest
    assert sorted(placed) == list(range(width))


@settings(deadline=None)
@given(candidate_sets, st.randoms(use_true_random=False))
def test_reference_order_does_not_depend_on_arrival(
    candidates: list[Candidate], random: Random
) -> None:
    arrived = list(candidates)
    random.shuffle(arrived)
    assert order(arrived, "reference") == order(candidates, "reference")


@settings(deadline=None)
@given(candidate_sets, st.sampled_from(["content", "reference"]))
def test_positions_are_one_based_and_without_gaps_though_some_have_no_message(
    candidates: list[Candidate], policy: MessageOrder
) -> None:
    messages = message_set(PLACE, candidates, policy, "conclusion")
    texts = {candidate.trajectory_id: candidate.text for candidate in candidates}
    assert [message.position for message in messages] == list(range(1, len(messages) + 1))
    assert {message.trajectory_id: message.text for message in messages} == {
        name: text for name, text in texts.items() if text is not None
    }


def test_a_message_says_where_it_belongs_and_who_compacted_it() -> None:
    (message,) = message_set(PLACE, [Candidate("a" * 32, "42", 2)], "content", "verbatim")
    assert (message.round, message.problem_id, message.replicate) == PLACE
    assert message.sort_key == ("six-by-seven", 0, 1)
    assert message.compactor == "verbatim/1"


def test_the_conclusion_policy_drops_the_reasoning() -> None:
    thinking = Generation("stop", content="<think>6 * 7 is 42</think>\n\nThe answer is 42.\n")
    assert text_of(thinking, "conclusion") == "The answer is 42."


@pytest.mark.parametrize(
    "generation",
    [
        Generation("stop", content="<think>6 * 7 is 42</think>The answer is 42."),
        Generation("stop", content="The answer is 42.", reasoning="\n6 * 7 is 42\n"),
    ],
)
def test_the_verbatim_policy_keeps_reasoning_and_conclusion(generation: Generation) -> None:
    expected = "6 * 7 is 42\n\nThe answer is 42."
    assert text_of(generation, "verbatim") == expected


def test_without_reasoning_both_policies_keep_the_same_text() -> None:
    plain = Generation("stop", content="The answer is 42.")
    assert text_of(plain, "verbatim") == text_of(plain, "conclusion")


@pytest.mark.parametrize("policy", ["conclusion", "verbatim"])
@pytest.mark.parametrize(
    "generation",
    [
        Generation("length", content="<think>6 * 7 is"),
        Generation("length", content="The answer"),
        Generation("stop", content="<think>6 * 7 is 42</think>  \n"),
        Generation("stop", content=None, reasoning="6 * 7 is 42"),
        Generation("context_overflow"),
        Generation("timeout", content="The answer is 42."),
    ],
)
def test_a_trajectory_without_a_conclusion_has_no_message(
    generation: Generation, policy: CompactionPolicy
) -> None:
    candidate = compacted(trajectory(generation), Compaction(policy))
    assert candidate.text is None
    assert message_set(PLACE, [candidate], "content", "conclusion") == []
