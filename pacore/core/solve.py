"""The algorithm: rounds of trajectories, compacted to messages, ending in one answer.

`rounds_of` is how one replicate goes from round to round, wherever its trajectories come from.
`solve` is the whole algorithm in memory over the Engine protocol: the executable definition, which
the tests compare every flow with. What pacore has beyond the paper is the plan's
(`pacore.core.plan`): another round is another step. Equation numbers are those of arXiv 2601.05593,
section 2.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

from pacore.core.answer import Answer, Ended, final_answer
from pacore.core.engine import Engine, EngineFault, EngineInfo
from pacore.core.message import Message
from pacore.core.plan import Plan
from pacore.core.policies.stops import (
    AFTER_DECISION,
    Arriving,
    keys_by_place,
    plain_keys,
    voted_answer,
    votes_of_messages,
)
from pacore.core.problem import Problem
from pacore.core.quorum import Retry, SlotOutcome, attempt_recipe, mark_answer
from pacore.core.recipe import Recipe
from pacore.core.round import (
    OpenSlot,
    Round,
    RoundPrompt,
    open_slots,
    outcomes_of,
    overflow,
    passes,
)
from pacore.core.stopping import Arrival, Stopping
from pacore.core.trajectory import FinishReason, Generation, Request, Trajectory


def rounds_of(
    plan: Plan, recipe: Recipe, problem: Problem, replicate: int
) -> Generator[Round | Ended, Sequence[SlotOutcome], None]:
    """One replicate of a problem, round by round, each over the messages of the one before.

    Yields a round and is sent what each of its slots came to, in slot order. The last thing it
    yields is where the replicate ended: after the last round, or in one that is short.
    """
    messages: list[Message] = []
    texts: list[str] = []
    for number in range(1, plan.rounds + 1):
        round_ = Round(plan, recipe, problem, (number, replicate), texts)
        outcomes = yield round_
        concluded = round_.conclude(outcomes)
        if not isinstance(concluded, list):
            break
        messages += concluded
        texts = [message.text for message in concluded]
    yield Ended(number, outcomes, messages)


@dataclass
class Solved:
    """Everything one problem gave rise to, in the order of the tables."""

    trajectories: list[Trajectory] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True)
class _Sampling:
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
        self, round_: Round, prompts: Sequence[RoundPrompt]
    ) -> tuple[list[Trajectory], list[SlotOutcome]]:
        """ω_r^(i) ~ π(· | P(x, M_{r-1})), i = 1…K_r (eq. 1), and what each slot came to."""
        slots = open_slots(prompts)
        made: list[list[Trajectory]] = [[] for _ in slots]
        ends_with = None
        taken = passes(self.plan, slots, self.retries, lambda: outcomes_of(slots))
        if (rule := self.plan.step(slots[0].place.round).stopping) is not None:
            next(taken)
            made, ends_with = await self._decide(round_, rule, slots)
        for now in taken:
            tries = [self._try(slots[slot], now.retry) for slot in now.slots]
            for slot, new in zip(now.slots, await asyncio.gather(*tries), strict=True):
                made[slot] += new
        outcomes = mark_answer(outcomes_of(slots), ends_with)
        return [trajectory for one in made for trajectory in one], outcomes

    async def _decide(
        self, round_: Round, rule: Stopping, slots: Sequence[OpenSlot]
    ) -> tuple[list[list[Trajectory]], str | None]:
        """The first pass over a set under a rule that stops early: one slot after the other, in their
        order, which is the order of arrival here, until the set is decided. A slot whose attempts all
        failed arrives without a message; one that waits to be tried again does not, and neither does any
        after it. With the trajectory whose message has the answer, where no round follows.
        """
        problem = round_.problem
        shown = votes_of_messages(rule, problem, round_.messages)
        arriving = Arriving(rule, len(slots), keys_by_place(shown, plain_keys))
        arriving.begin()
        made: list[list[Trajectory]] = [[] for _ in slots]
        number = 0
        while number < arriving.begun and not (arriving.decision and arriving.decision.is_stopped):
            slot = slots[number]
            made[number] = await self._try(slot, None)
            assert slot.outcome is not None
            if not slot.outcome.is_waiting:
                arriving.see(_arrival(problem, rule, slot, made[number][-1]))
            number += 1
        is_stopped = arriving.decision is not None and arriving.decision.is_stopped
        for slot, attempts in zip(slots, made, strict=True):
            if not attempts or (
                is_stopped and slot.outcome is not None and slot.outcome.is_waiting
            ):
                attempts.append(self._unsent(slot, "aborted" if is_stopped else "cancelled"))
        ending = arriving.ending
        return made, None if ending is None else made[ending.slot][-1].trajectory_id

    def _unsent(self, slot: OpenSlot, finish_reason: FinishReason) -> Trajectory:
        """The attempt at a slot that nothing is sent for."""
        request = slot.begin(self.recipe)
        slot.history = slot.history.ended(finish_reason)
        generation = Generation(finish_reason, error=AFTER_DECISION, tries=0)
        trajectory = replace(
            Trajectory.of(slot.place, request, generation),
            prompt_messages=slot.prompt.prompt_messages,
            prompt_positions=slot.prompt.positions,
            max_tokens=slot.history.current.max_tokens,
        )
        slot.outcome = SlotOutcome.of(trajectory, slot.prompt.compaction)
        return trajectory

    async def _try(self, slot: OpenSlot, retry: Retry | None) -> list[Trajectory]:
        """Attempts at one slot until the model finishes one or the failures are used up."""
        made: list[Trajectory] = []
        prompt = slot.prompt
        while True:
            request = slot.begin(self.recipe, None if made else retry)
            generation = await self._generation(request)
            slot.history = slot.history.ended(generation.finish_reason)
            trajectory = replace(
                Trajectory.of(slot.place, request, generation),
                prompt_messages=prompt.prompt_messages,
                prompt_positions=prompt.positions,
                max_tokens=slot.history.current.max_tokens,
                retry_of=slot.history.current.retry_of,
            )
            made.append(trajectory)
            is_lost = slot.history.is_lost(self.attempts)
            slot.outcome = SlotOutcome.of(
                trajectory, prompt.compaction, slot.history.refills, is_lost
            )
            if generation.is_finished or is_lost or self.attempts is None:
                return made

    async def _generation(self, request: Request) -> Generation:
        tokens = await self.engine.count_prompt_tokens(request.recipe, request.turns)
        too_long = self._overflow(tokens, request.recipe)
        if too_long is not None:
            return self.info.overflowed(tokens, too_long)
        try:
            return await self.engine.generate(request)
        except EngineFault as fault:
            return fault.as_generation()


def _arrival(problem: Problem, rule: Stopping, slot: OpenSlot, trajectory: Trajectory) -> Arrival:
    """A slot as a rule sees it; answers are compared by exact rules, without computer algebra."""
    finish_reason = trajectory.generation.finish_reason
    answer = voted_answer(rule, problem, finish_reason, trajectory.thought.conclusion)
    (key,) = keys_by_place([answer], plain_keys)
    assert slot.outcome is not None
    has_message = slot.outcome.candidate.text is not None
    return Arrival(slot.place.slot, key, has_message, trajectory.generation.completion_tokens or 0)


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
    sampling = _Sampling(plan, recipe, engine, await engine.describe(), attempts, retries)
    solved = Solved()
    for replicate in range(plan.replicates):
        rounds = rounds_of(plan, recipe, problem, replicate)
        reached = next(rounds)
        while isinstance(reached, Round):
            prompts = await sampling.prompts(reached)
            trajectories, outcomes = await sampling.sample(reached, prompts)
            solved.trajectories += trajectories
            reached = rounds.send(outcomes)
        solved.messages += reached.messages
        solved.answers.append(final_answer(plan, problem, replicate, reached))
    return solved
