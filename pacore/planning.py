"""What a run would do, before it spends anything: read-only, and exact as far as the store knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from pacore.engine.protocol import EngineInfo
from pacore.journal import Journal
from pacore.message import compacted_text, message_set
from pacore.plan import Plan
from pacore.problem import Problem
from pacore.recipe import Recipe
from pacore.rounds import RoundPrompt, Standing, outcome, round_prompt
from pacore.trajectory import Request, Slot, Trajectory
from pacore.window import overflow, prompt_tokens_bound


@dataclass(slots=True)
class RoundForecast:
    """One round of a plan, in trajectories. ``unknown`` ones depend on messages yet to be made."""

    width: int
    trajectories: int = 0
    stored: int = 0
    to_generate: int = 0
    unknown: int = 0


@dataclass(slots=True)
class Forecast:
    """What `forecast` finds.

    ``too_long`` names (round, problem id) whose prompt does not fit the window for certain;
    ``may_be_long`` counts prompts yet unknown that would not if every message were as long as
    allowed. ``max_new_tokens`` is None where nothing bounds a generation.
    """

    problems: int
    shards: int
    rounds: list[RoundForecast]
    max_new_tokens: int | None = 0
    window_tokens: int | None = None
    too_long: list[tuple[int, str]] = field(default_factory=list)
    may_be_long: int = 0

    def total(self, name: str) -> int:
        found: int = sum(getattr(round_, name) for round_ in self.rounds)
        return found


TokenCounter = Callable[[Request], int | None]


class Forecaster:
    """Walks problems through the rounds as far as the journal reaches.

    ``info`` and ``count_tokens`` come from an engine that answers; without one no request is said
    to be too long.
    """

    def __init__(
        self,
        plan: Plan,
        recipe: Recipe,
        journal: Journal,
        info: EngineInfo | None = None,
        count_tokens: TokenCounter | None = None,
    ) -> None:
        self._plan = plan
        self._recipe = recipe
        self._journal = journal
        self._window_tokens = info.window_tokens if info else None
        self._count_tokens = count_tokens

    def forecast(self, problems: Sequence[Problem], shard_count: int) -> Forecast:
        """Forecast a whole problem set; reads the journal and writes nothing."""
        plan = self._plan
        widths = [plan.width(round_) for round_ in range(1, plan.rounds + 1)]
        found = Forecast(len(problems), shard_count, [RoundForecast(width) for width in widths])
        found.window_tokens = self._window_tokens
        for problem in problems:
            for replicate in range(plan.replicates):
                self._walk(problem, replicate, found)
        found.max_new_tokens = self._max_new_tokens(found)
        return found

    def _walk(self, problem: Problem, replicate: int, found: Forecast) -> None:
        """Add one (problem, replicate): each round is known while the round before is stored."""
        texts: list[str] = []
        for round_, forecast in enumerate(found.rounds, 1):
            prompt = round_prompt(self._plan, self._recipe, problem, (round_, replicate), texts)
            forecast.trajectories += forecast.width
            if self._is_too_long(prompt):
                found.too_long.append((round_, problem.problem_id))
            stored = [self._stored(prompt, slot) for slot in prompt.slots()]
            trajectories = [trajectory for trajectory in stored if trajectory is not None]
            forecast.stored += len(trajectories)
            forecast.to_generate += len(stored) - len(trajectories)
            if len(trajectories) < len(stored):
                self._leave_unknown(problem, round_, found)
                return
            policy = self._plan.compaction_in(round_)
            standings = [Standing.of(t, compacted_text(t, policy)) for t in trajectories]
            if not outcome(self._plan, round_, standings).goes_on:
                return
            place = (round_, problem.problem_id, replicate)
            candidates = [standing.candidate for standing in standings]
            messages = message_set(place, candidates, self._plan.message_order, policy)
            texts = [message.text for message in messages]

    def _leave_unknown(self, problem: Problem, after: int, found: Forecast) -> None:
        """The rounds after one that is not stored: to be paid for, with prompts yet unknown."""
        problem_bound = prompt_tokens_bound(problem.turns)
        wanted = self._recipe.max_tokens
        for round_ in range(after + 1, self._plan.rounds + 1):
            forecast = found.rounds[round_ - 1]
            forecast.trajectories += forecast.width
            forecast.to_generate += forecast.width
            forecast.unknown += forecast.width
            if wanted is not None:
                longest = problem_bound + self._plan.width(round_ - 1) * wanted
                is_long = overflow(longest, wanted, self._window_tokens) is not None
                found.may_be_long += forecast.width * is_long

    def _stored(self, prompt: RoundPrompt, slot: Slot) -> Trajectory | None:
        """A slot's finished generation in the journal, past any tombstones."""
        for attempt in count():
            request = prompt.request(self._recipe, slot.draw, attempt)
            entry = self._journal.find(request.trajectory_id)
            if entry is None:
                return None
            if entry.generation.is_finished:
                return Trajectory.of(slot, request, entry.generation)
        return None

    def _is_too_long(self, prompt: RoundPrompt) -> bool:
        wanted = self._recipe.max_tokens
        bound = prompt_tokens_bound(prompt.turns)
        if overflow(bound, wanted, self._window_tokens) is None or self._count_tokens is None:
            return False
        tokens = self._count_tokens(prompt.request(self._recipe, prompt.draws[0]))
        return tokens is not None and overflow(tokens, wanted, self._window_tokens) is not None

    def _max_new_tokens(self, found: Forecast) -> int | None:
        """At most this much is generated: the limit of each request, or all the window holds."""
        longest = self._recipe.max_tokens or self._window_tokens
        return None if longest is None else longest * found.total("to_generate")
