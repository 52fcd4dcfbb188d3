"""How a replicate goes from round to round, whatever fills its slots."""

from __future__ import annotations

from pacore.core.answer import Ended, final_answer
from pacore.core.message import Candidate
from pacore.core.plan import Plan
from pacore.core.problem import Problem, Turn
from pacore.core.quorum import Shortfall, SlotOutcome
from pacore.core.recipe import Recipe
from pacore.core.round import Round
from pacore.core.solve import rounds_of

PLAN = Plan((3, 2), min_messages=2)
PROBLEM = Problem("six-by-seven", (Turn("user", "What is 6 * 7?"),), "42")


def said(*texts: str | None) -> list[SlotOutcome]:
    """What slots came to, in which a model gave these texts, or was cut."""
    return [
        SlotOutcome(Candidate(f"{slot}", text, len(text or "")), "stop", "present")
        if text is not None
        else SlotOutcome(Candidate(f"{slot}", None, 0), "length", "truncated")
        for slot, text in enumerate(texts)
    ]


def walked(*rounds: list[SlotOutcome]) -> tuple[list[Round], Round | Ended]:
    """The rounds a replicate was in, and where it is once they have these outcomes."""
    walk = rounds_of(PLAN, Recipe("m"), PROBLEM, 0)
    reached = next(walk)
    seen = []
    for outcomes in rounds:
        assert isinstance(reached, Round)
        seen.append(reached)
        reached = walk.send(outcomes)
    return seen, reached


def test_each_round_is_over_the_messages_of_the_one_before() -> None:
    seen, reached = walked(said("a", None, "c"), said("d", "e"), said("It is \\boxed{42}."))
    assert [round_.place for round_ in seen] == [(1, 0), (2, 0), (3, 0)]
    assert [list(round_.messages) for round_ in seen] == [[], ["a", "c"], ["d", "e"]]
    assert isinstance(reached, Ended) and reached.round == 3
    assert [message.round for message in reached.messages] == [1, 1, 2, 2, 3]
    answer = final_answer(PLAN, PROBLEM, 0, reached)
    assert (answer.status, answer.answer, answer.failed_round) == ("answered", "42", None)


def test_a_round_that_is_short_ends_the_replicate_and_fails_it() -> None:
    seen, reached = walked(said("a", "b", "c"), said("d", None))
    assert isinstance(reached, Ended) and reached.round == 2
    assert isinstance(seen[1].conclude(reached.outcomes), Shortfall)
    assert [message.text for message in reached.messages] == ["a", "b", "c"]
    answer = final_answer(PLAN, PROBLEM, 0, reached)
    assert (answer.status, answer.failed_round, answer.trajectory_id) == ("failed", 2, None)
    assert answer.reason == "round 2: 1 of 2 messages, 2 needed (1 truncated)"


def test_a_last_trajectory_without_a_conclusion_is_no_answer() -> None:
    _, reached = walked(said("a", "b", "c"), said("d", "e"), said(None))
    assert isinstance(reached, Ended)
    answer = final_answer(PLAN, PROBLEM, 0, reached)
    assert (answer.status, answer.trajectory_id, answer.failed_round) == ("no_answer", "0", None)
    assert answer.reason == "round 3: 0 of 1 messages (1 truncated)"
