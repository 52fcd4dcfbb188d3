"""The algorithm: rounds of trajectories, compacted to messages, ending in one answer.

The pure decisions the pipeline takes stand here, and `solve`, the whole algorithm in memory over
the Engine protocol: the executable definition, and the oracle every flow is held against.
Equation numbers are those of arXiv 2601.05593, section 2.1.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pacore.answer import Answer, extract
from pacore.engine.protocol import Engine, EngineFault
from pacore.grading import choose_grader
from pacore.message import Candidate, Message, compacted_text, message_set
from pacore.plan import Plan
from pacore.problem import Problem, Turn
from pacore.prompt import prompt_digest, turns_for, with_system
from pacore.recipe import Recipe
from pacore.trajectory import (
    UNFINISHED,
    ConclusionStatus,
    FinishReason,
    Generation,
    Request,
    Slot,
    Trajectory,
)


@dataclass(frozen=True, slots=True)
class RoundPrompt:
    """P(x, M) for one problem and replicate in one round, and the draws its slots take of it."""

    round: int
    problem_id: str
    replicate: int
    turns: tuple[Turn, ...]
    digest: str
    draws: tuple[int, ...]

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


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in one slot after a round: its last attempt.

    ``is_lost`` says that an unfinished slot has used up its attempts and counts as it is.
    """

    candidate: Candidate
    finish_reason: FinishReason
    conclusion_status: ConclusionStatus
    error: str | None = None
    is_lost: bool = False

    @staticmethod
    def of(trajectory: Trajectory, text: str | None) -> Standing:
        candidate = Candidate(trajectory.trajectory_id, text, trajectory.content_characters)
        return Standing(
            candidate,
            trajectory.generation.finish_reason,
            trajectory.thought.status,
            trajectory.generation.error,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a message set may go on. ``waiting`` counts slots a resume would try again.

    ``reason`` is None exactly when it may: one line saying what the round is short of.
    """

    waiting: int
    reason: str | None

    @property
    def goes_on(self) -> bool:
        return self.reason is None


def outcome(plan: Plan, round_: int, standings: Sequence[Standing]) -> Outcome:
    """Judge one message set.

    A slot the engine failed to fill says nothing of the model, so the set waits for it rather than
    go on smaller. Trajectories without a conclusion are the model's own and make the set smaller,
    down to ``min_messages``.
    """
    waiting = [s for s in standings if s.finish_reason in UNFINISHED and not s.is_lost]
    have = sum(1 for standing in standings if standing.candidate.text is not None)
    need = min(plan.min_messages, plan.width(round_))
    if not waiting and have >= need:
        return Outcome(0, None)
    causes = Counter(
        s.finish_reason if s.conclusion_status == "none" else s.conclusion_status
        for s in standings
        if s.candidate.text is None
    )
    listed = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
    error = next((s.error for s in [*waiting, *standings] if s.error), None)
    reason = f"round {round_}: {have} of {plan.width(round_)} messages ({listed})"
    return Outcome(len(waiting), f"{reason}: {error}" if error else reason)


def answer_of(problem: Problem, message: Message, finish_reason: FinishReason) -> Answer:
    """y = m_R^(1) (eq. 3), and what it answers."""
    found = extract(message.text, choose_grader(problem))
    return Answer(
        problem_id=problem.problem_id,
        replicate=message.replicate,
        answer=found.text if found else None,
        method=found.method if found else None,
        trajectory_id=message.trajectory_id,
        finish_reason=finish_reason,
        status="answered" if found else "no_answer",
        reason=None if found else "nothing in the message reads as an answer",
        failed_round=None,
    )


def missing_answer(
    plan: Plan, place: tuple[int, str, int], standings: Sequence[Standing]
) -> Answer:
    """The answer row of a replicate that ended without one at ``place`` (round, problem, replicate).

    A last trajectory the model finished without a conclusion is ``no_answer``; anything else left
    the problem unsolved and is ``failed``.
    """
    round_, problem_id, replicate = place
    is_final = round_ == plan.rounds
    final = standings[0] if is_final and standings else None
    had_its_say = final is not None and final.finish_reason not in UNFINISHED
    return Answer(
        problem_id=problem_id,
        replicate=replicate,
        answer=None,
        method=None,
        trajectory_id=final.candidate.trajectory_id if final else None,
        finish_reason=final.finish_reason if final else None,
        status="no_answer" if had_its_say else "failed",
        reason=outcome(plan, round_, standings).reason,
        failed_round=None if had_its_say else round_,
    )


@dataclass
class Solved:
    """Everything one problem gave rise to, in the order of the tables."""

    trajectories: list[Trajectory] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


async def _sample(engine: Engine, prompt: RoundPrompt, recipe: Recipe) -> list[Trajectory]:
    """ω_r^(i) ~ π(· | P(x, M_{r-1})), i = 1…K_r (eq. 1), one try each."""

    async def one(slot: Slot) -> Trajectory:
        request = prompt.request(recipe, slot.draw)
        generation: Generation
        try:
            generation = await engine.generate(request)
        except EngineFault as fault:
            generation = fault.as_generation()
        return Trajectory.of(slot, request, generation)

    return list(await asyncio.gather(*(one(slot) for slot in prompt.slots())))


async def solve(problem: Problem, plan: Plan, recipe: Recipe, engine: Engine) -> Solved:
    """Run PaCoRe on one problem, all rounds and replicates, keeping everything in memory."""
    solved = Solved()
    for replicate in range(plan.replicates):
        messages: list[Message] = []
        for round_ in range(1, plan.rounds + 1):
            texts = [message.text for message in messages]
            prompt = round_prompt(plan, recipe, problem, (round_, replicate), texts)
            trajectories = await _sample(engine, prompt, recipe)
            solved.trajectories += trajectories
            policy = plan.compaction_in(round_)
            standings = [
                Standing.of(trajectory, compacted_text(trajectory, policy))
                for trajectory in trajectories
            ]
            place = (round_, problem.problem_id, replicate)
            if not outcome(plan, round_, standings).goes_on:
                solved.answers.append(missing_answer(plan, place, standings))
                break
            candidates = [standing.candidate for standing in standings]
            messages = message_set(place, candidates, plan.message_order, policy)
            solved.messages += messages
        else:
            final = trajectories[0].generation.finish_reason
            solved.answers.append(answer_of(problem, messages[0], final))
    return solved
