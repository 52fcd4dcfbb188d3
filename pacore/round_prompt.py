"""P(x, M) of one round: its turns, the draws its slots take of it, and what of M it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pacore.plan import Plan
from pacore.problem import Problem, Turn
from pacore.prompt import prompt_digest, turns_for, with_system
from pacore.recipe import Recipe
from pacore.trajectory import Request, Slot
from pacore.window import most_that_fit


@dataclass(frozen=True, slots=True)
class RoundPrompt:
    """P(x, M) for one problem and replicate in one round, and the draws its slots take of it.

    ``prompt_messages`` is how many of M it shows where the window does not hold all, else None.
    """

    round: int
    problem_id: str
    replicate: int
    turns: tuple[Turn, ...]
    digest: str
    draws: tuple[int, ...]
    prompt_messages: int | None = None

    def slots(self) -> list[Slot]:
        return [
            Slot(self.round, self.problem_id, self.replicate, slot, draw)
            for slot, draw in enumerate(self.draws)
        ]

    def request(self, recipe: Recipe, draw: int, attempt: int = 0) -> Request:
        return Request.of(recipe, self.turns, self.digest, draw, attempt)


def round_prompt(
    plan: Plan,
    recipe: Recipe,
    problem: Problem,
    place: tuple[int, int],
    messages: Sequence[str] = (),
) -> RoundPrompt:
    """Render P(x, M_{r-1}) for ``place`` = (round, replicate) and take its draws (eq. 1)."""
    round_, replicate = place
    turns = with_system(turns_for(problem.turns, messages), recipe.system)
    digest = prompt_digest(turns)
    draws = plan.draws(recipe.digest, digest, round_, replicate)
    return RoundPrompt(round_, problem.problem_id, replicate, turns, digest, tuple(draws))


def messages_shown(messages: Sequence[str], prompt_messages: int | None) -> Sequence[str]:
    """The messages of M that a prompt shows: its first ``prompt_messages`` positions, None for all."""
    return messages[:prompt_messages]


def fitted_prompt(
    plan: Plan,
    recipe: Recipe,
    problem: Problem,
    place: tuple[int, int],
    messages: Sequence[str],
    fits: Callable[[RoundPrompt], bool],
) -> RoundPrompt:
    """P(x, M), or under ``fewer_messages`` over as many of M's first positions as the window holds.

    Where not even one message fits the prompt shows all of them, and its trajectories become rows
    with ``context_overflow``, as they do under the other policy.
    """
    whole = round_prompt(plan, recipe, problem, place, messages)
    if plan.overflow != "fewer_messages" or not messages or fits(whole):
        return whole

    def shorter(shown: int) -> RoundPrompt:
        prompt = round_prompt(plan, recipe, problem, place, messages_shown(messages, shown))
        return replace(prompt, prompt_messages=shown)

    most = most_that_fit(len(messages) - 1, lambda shown: fits(shorter(shown)))
    return whole if most is None else shorter(most)
