"""How what a run holds follows from what it was made of: one function for each step.

Everything an audit or an explanation derives again is derived here, by the core's own functions,
so that a new policy of the plan has one place to be taught to both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pacore.journal import Entry
from pacore.plan import Plan
from pacore.problem import Problem
from pacore.quorum import Standing, attempt_recipe, outcome
from pacore.recipe import Recipe
from pacore.round_prompt import RoundPrompt, messages_shown, round_prompt
from pacore.run import Run
from pacore.trajectory import Generation, Slot, Thought, Trajectory, normalise

Row = Mapping[str, Any]


def recipe_of_attempt(run: Run, row: Row) -> Recipe:
    """The recipe one attempt was sampled by: the run's, or a retry's with another limit."""
    return attempt_recipe(run.recipe, row.get("max_tokens"))


def messages_seen(texts: Sequence[str], row: Row) -> Sequence[str]:
    """The messages that stood in an attempt's prompt: all, or the first where some were dropped."""
    return messages_shown(texts, row.get("prompt_messages"))


def prompt_of(
    run: Run, problem: Problem, place: tuple[int, int], texts: Sequence[str], row: Row
) -> RoundPrompt:
    """P(x, M) as one attempt at ``place`` = (round, replicate) saw it.

    ``texts`` are the messages of the round before, by position.
    """
    seen = messages_seen(texts, row)
    return round_prompt(run.plan, run.recipe, problem, place, seen)


def trajectory_of(round_: int, row: Row, entry: Entry | None) -> Trajectory:
    """A row as the trajectory it says it is; what rows do not hold comes from the journal."""
    made = entry.generation if entry else Generation(row["finish_reason"], error=row.get("error"))
    made = replace(made, finish_reason=row["finish_reason"])
    reasoning = normalise(made).reasoning
    closed, status = row.get("thinking_closed"), row["conclusion_status"]
    return Trajectory(
        place=Slot(round_, row["problem_id"], row["replicate"], row["slot"], row["draw"]),
        trajectory_id=row["trajectory_id"],
        attempt=row["attempt"],
        seed=row["seed"],
        prompt_digest=row["prompt_digest"],
        generation=made,
        thought=Thought(reasoning, row["conclusion"], closed, status),
    )


def needs_journal(plan: Plan, round_: int) -> bool:
    """Whether messages of a round hold more of a trajectory than its row does."""
    compaction = plan.compaction_in(round_)
    return compaction.policy != "conclusion" or compaction.tail_tokens is not None


def standing_of(plan: Plan, round_: int, row: Row, entry: Entry | None) -> Standing:
    """What stands in a slot, and the message compaction makes of it."""
    found = Standing.of(trajectory_of(round_, row, entry), plan.compaction_in(round_))
    characters = row["content_characters"]
    return replace(found, candidate=replace(found.candidate, content_characters=characters))


def may_go_on(plan: Plan, round_: int, standings: Sequence[Standing]) -> tuple[bool, bool]:
    """Whether a message set has to go on, and whether it may.

    They differ where a slot is without a generation: how many attempts make it lost is a matter of
    operation and stands in no table.
    """
    lost = [replace(standing, is_lost=True) for standing in standings]
    return outcome(plan, round_, standings).goes_on, outcome(plan, round_, lost).goes_on
