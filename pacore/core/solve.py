"""The algorithm: rounds of trajectories, compacted to messages, ending in one answer.

The pure decisions the pipeline takes stand here, and `solve`, the whole algorithm in memory over
the Engine protocol: the executable definition, and the oracle every flow is held against.
What pacore has beyond the paper is the plan's (`pacore.core.plan`): another round is another step.
Equation numbers are those of arXiv 2601.05593, section 2.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pacore.core.answer import Answer, answer_of, missing_answer
from pacore.core.engine import Engine, EngineFault, EngineInfo
from pacore.core.message import Message, message_set
from pacore.core.plan import Plan
from pacore.core.problem import Problem
from pacore.core.quorum import Retry, Standing, attempt_limit, attempt_recipe, outcome, passes
from pacore.core.recipe import Recipe
from pacore.core.round import Round, RoundPrompt, by_slot, overflow
from pacore.core.trajectory import Generation, Request, Slot, Trajectory

__all__ = ["Solved", "answer_of", "missing_answer", "solve"]


@dataclass
class Solved:
    """Everything one problem gave rise to, in the order of the tables."""

    trajectories: list[Trajectory] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


@dataclass
class _Tried:
    """One slot in the oracle: its attempts, the standing one last, and the recipe of the next."""

    place: Slot
    prompt: RoundPrompt
    retry: Retry | None = None
    retry_of: str | None = None
    attempts: list[Trajectory] = field(default_factory=list)

    @property
    def own(self) -> list[Trajectory]:
        """The attempts since the slot was last retried."""
        return [attempt for attempt in self.attempts if attempt.retry_of == self.retry_of]

    @property
    def tombstones(self) -> int:
        return sum(not attempt.generation.is_finished for attempt in self.own)

    def standing(self, attempts: int | None) -> Standing:
        last = self.attempts[-1]
        is_used_up = attempts is not None and self.tombstones >= attempts
        return Standing.of(
            last,
            self.prompt.compaction,
            refills=max(0, len(self.own) - self.tombstones - 1),
            is_lost=is_used_up and not last.generation.is_finished,
        )


@dataclass(frozen=True)
class _Oracle:
    """What `solve` is given, and how it fills the slots of one round."""

    plan: Plan
    recipe: Recipe
    engine: Engine
    info: EngineInfo
    attempts: int | None
    retries: Sequence[Retry]

    async def prompts(self, round_: Round) -> list[RoundPrompt]:
        """P(x, M_{r-1}), cut to the window as the plan says: every length is counted."""
        lengths: dict[str, int | None] = {}
        for prompt in round_.possible():
            counted = await self.engine.count_prompt_tokens(self.recipe, prompt.turns)
            lengths[prompt.digest] = counted

        def fits(prompt: RoundPrompt) -> bool:
            recipe = attempt_recipe(self.recipe, prompt.max_tokens)
            return self._overflow(lengths[prompt.digest], recipe) is None

        return round_.prompts(fits)

    def _overflow(self, prompt_tokens: int | None, recipe: Recipe) -> str | None:
        if prompt_tokens is None:
            return None
        return overflow(prompt_tokens, recipe.max_tokens, self.info.window_tokens)

    async def sample(
        self, prompts: Sequence[RoundPrompt]
    ) -> tuple[list[Trajectory], list[Standing]]:
        """ω_r^(i) ~ π(· | P(x, M_{r-1})), i = 1…K_r (eq. 1), and what stands in the end."""
        tried = [_Tried(place, prompt) for prompt, place in by_slot(prompts)]

        def standings() -> list[Standing]:
            return [one.standing(self.attempts) for one in tried]

        def ids() -> list[str]:
            return [one.attempts[-1].trajectory_id for one in tried]

        places = [one.place for one in tried]
        for now in passes(self.plan, places, self.retries, ids, standings):
            for slot in now.slots:
                if now.retry is not None:
                    tried[slot].retry = now.retry
                    tried[slot].retry_of = tried[slot].attempts[-1].trajectory_id
            await asyncio.gather(*(self._try(tried[slot]) for slot in now.slots))
        return [attempt for one in tried for attempt in one.attempts], standings()

    async def _try(self, one: _Tried) -> None:
        """Attempts at one slot until the model has its say or the failures are used up."""
        prompt = one.prompt
        max_tokens = attempt_limit(prompt.max_tokens, one.retry)
        recipe = attempt_recipe(self.recipe, max_tokens)
        for _ in range((self.attempts or 1) - one.tombstones * (self.attempts is not None)):
            request = prompt.request(recipe, one.place.draw, len(one.attempts))
            made = replace(
                Trajectory.of(one.place, request, await self._generation(request)),
                prompt_messages=prompt.prompt_messages,
                prompt_positions=prompt.positions,
                max_tokens=max_tokens,
                retry_of=one.retry_of,
            )
            one.attempts.append(made)
            if made.generation.is_finished:
                return

    async def _generation(self, request: Request) -> Generation:
        tokens = await self.engine.count_prompt_tokens(request.recipe, request.turns)
        too_long = self._overflow(tokens, request.recipe)
        if too_long is not None:
            return self.info.overflowed(tokens, too_long)
        try:
            return await self.engine.generate(request)
        except EngineFault as fault:
            return fault.as_generation()


async def solve(
    problem: Problem,
    plan: Plan,
    recipe: Recipe,
    engine: Engine,
    *,
    attempts: int | None = None,
    retries: Sequence[Retry] = (),
) -> Solved:
    """Run PaCoRe on one problem, all rounds and replicates, keeping everything in memory.

    ``attempts`` is how many failures of the engine a slot takes before it counts as lost; None
    tries once and leaves the set waiting, as one start of a run does.
    """
    oracle = _Oracle(plan, recipe, engine, await engine.describe(), attempts, retries)
    solved = Solved()
    for replicate in range(plan.replicates):
        messages: list[Message] = []
        for round_ in range(1, plan.rounds + 1):
            texts = [message.text for message in messages]
            given = Round(plan, recipe, problem, (round_, replicate), texts)
            trajectories, standings = await oracle.sample(await oracle.prompts(given))
            solved.trajectories += trajectories
            place = (round_, problem.problem_id, replicate)
            if not outcome(plan, round_, standings).goes_on:
                solved.answers.append(missing_answer(plan, place, standings))
                break
            candidates = [standing.candidate for standing in standings]
            policy = plan.step(round_).compaction.policy
            messages = message_set(place, candidates, plan.message_order, policy)
            solved.messages += messages
        else:
            solved.answers.append(answer_of(problem, messages[0], standings[0].finish_reason))
    return solved
