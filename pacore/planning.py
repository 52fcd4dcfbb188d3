"""What a run would do, before it spends anything: read-only, and exact as far as the store knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pacore.engine.protocol import EngineInfo
from pacore.journal import Entry, Journal
from pacore.message import message_set
from pacore.plan import Plan
from pacore.problem import Problem
from pacore.prompt import turns_for
from pacore.quorum import Standing, outcome, passes
from pacore.recipe import Recipe
from pacore.round_prompt import RoundPrompt, fitted_prompt
from pacore.trajectory import Request, Slot, Trajectory
from pacore.window import overflow, prompt_tokens_bound


@dataclass(slots=True)
class RoundForecast:
    """One round of a plan, in trajectories. ``unknown`` ones depend on messages yet to be made.

    ``trajectories`` counts slots. Each is ``stored``, or ``to_generate``, or ``shared``: it takes a
    draw that another slot has generated already by then, as replicates of a pool do; or its prompt
    is ``too_long``, so that it is not sent and its problem ends there.
    """

    width: int
    trajectories: int = 0
    stored: int = 0
    to_generate: int = 0
    unknown: int = 0
    shared: int = 0
    too_long: int = 0


class TooLong(NamedTuple):
    """A prompt that does not fit the window for certain: where, and by how much."""

    round: int
    problem_id: str
    why: str


@dataclass(slots=True)
class Forecast:
    """What `forecast` finds.

    ``too_long`` names each prompt of the kind once, however many replicates have it. ``uncounted``
    are prompts with more bytes than the window has tokens, and nobody to count their tokens;
    ``may_be_long`` trajectories have a prompt yet unknown that would be too long if every message
    were as long as allowed. ``longest_tokens`` bounds one generation, None where nothing does.
    """

    problems: int
    shards: int
    rounds: list[RoundForecast]
    longest_tokens: int | None = None
    window_tokens: int | None = None
    too_long: list[TooLong] = field(default_factory=list)
    uncounted: int = 0
    may_be_long: int = 0

    def new_tokens(self, to_generate: int) -> int | None:
        """At most this much is paid for so many generations; None where nothing bounds them."""
        return None if self.longest_tokens is None else self.longest_tokens * to_generate

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
        self._pending: set[str] = set()
        self.used: set[str] = set()
        """Ids of the stored trajectories that the plan takes, once it was forecast."""

    def forecast(self, problems: Sequence[Problem], shard_count: int) -> Forecast:
        """Forecast a whole problem set; reads the journal and writes nothing."""
        plan = self._plan
        widths = [plan.width(round_) for round_ in range(1, plan.rounds + 1)]
        found = Forecast(len(problems), shard_count, [RoundForecast(width) for width in widths])
        found.window_tokens = self._window_tokens
        # The limit of each request, or all the window holds.
        found.longest_tokens = self._recipe.max_tokens or self._window_tokens
        for problem in problems:
            for replicate in range(plan.replicates):
                self._walk(problem, replicate, found)
        return found

    def _walk(self, problem: Problem, replicate: int, found: Forecast) -> None:
        """Add one (problem, replicate): each round is known while the round before is stored."""
        texts: list[str] = []
        for round_, forecast in enumerate(found.rounds, 1):
            place = (round_, replicate)
            prompt = fitted_prompt(self._plan, self._recipe, problem, place, texts, self._fits)
            tokens = self._tokens(prompt)
            if tokens is None:
                found.uncounted += 1
            elif (why := self._overflow(tokens)) is not None:
                forecast.trajectories += len(prompt.draws)
                forecast.too_long += len(prompt.draws)
                one = TooLong(round_, problem.problem_id, why)
                found.too_long += [one] if [one] != found.too_long[-1:] else []
                return
            standings = self._standings(prompt, forecast)
            if standings is None:
                self._leave_unknown(problem, round_, found)
                return
            if not outcome(self._plan, round_, standings).goes_on:
                return
            candidates = [standing.candidate for standing in standings]
            policy = self._plan.compaction_in(round_).policy
            named = (round_, problem.problem_id, replicate)
            messages = message_set(named, candidates, self._plan.message_order, policy)
            texts = [message.text for message in messages]

    def _standings(self, prompt: RoundPrompt, forecast: RoundForecast) -> list[Standing] | None:
        """What stands in a prompt's slots; None where some of it is yet to be generated."""
        places = prompt.slots()
        found: list[list[Trajectory]] = [[] for _ in places]
        compaction = self._plan.compaction_in(prompt.round)

        def standings() -> list[Standing]:
            return [Standing.of(own[-1], compaction, len(own) - 1) for own in found]

        for now in passes(self._plan, places, (), list, standings):
            missing: list[str] = []
            requests = [
                prompt.request(
                    self._recipe,
                    places[slot].draw,
                    found[slot][-1].attempt + 1 if found[slot] else 0,
                )
                for slot in now.slots
            ]
            entries = self._journal.find_many(request.trajectory_id for request in requests)
            for slot, request, entry in zip(now.slots, requests, entries, strict=True):
                stored = self._stored(prompt, places[slot], request, entry)
                if isinstance(stored, Trajectory):
                    found[slot].append(stored)
                else:
                    missing.append(stored)
            new = set(missing) - self._pending
            self._pending |= new
            forecast.trajectories += len(now.slots)
            forecast.stored += len(now.slots) - len(missing)
            forecast.to_generate += len(new)
            forecast.shared += len(missing) - len(new)
            if missing:
                return None
        return standings()

    def _leave_unknown(self, problem: Problem, after: int, found: Forecast) -> None:
        """The rounds after one that is not stored: to be paid for, with prompts yet unknown."""
        for round_ in range(after + 1, self._plan.rounds + 1):
            forecast = found.rounds[round_ - 1]
            forecast.trajectories += forecast.width
            forecast.to_generate += forecast.width
            forecast.unknown += forecast.width
            if found.longest_tokens is not None:
                messages = self._plan.width(round_ - 1)
                around = prompt_tokens_bound(turns_for(problem.turns, [""] * messages))
                longest = around + messages * found.longest_tokens
                found.may_be_long += forecast.width * (self._overflow(longest) is not None)

    def _stored(
        self, prompt: RoundPrompt, slot: Slot, request: Request, entry: Entry | None
    ) -> Trajectory | str:
        """A slot's first finished generation in the journal, from a request and what the journal has
        of it on, or the id of the one to be made.
        """
        while entry is not None:
            if entry.generation.is_finished:
                self.used.add(request.trajectory_id)
                return Trajectory.of(slot, request, entry.generation)
            request = prompt.request(self._recipe, slot.draw, request.attempt + 1)
            entry = self._journal.find(request.trajectory_id)
        return request.trajectory_id

    def _fits(self, prompt: RoundPrompt) -> bool:
        tokens = self._tokens(prompt)
        return tokens is None or self._overflow(tokens) is None

    def _tokens(self, prompt: RoundPrompt) -> int | None:
        """A prompt's tokens: a bound where even that fits, else counted; None where nobody counts."""
        bound = prompt_tokens_bound(prompt.turns)
        if self._overflow(bound) is None:
            return bound
        if self._count_tokens is None:
            return None
        return self._count_tokens(prompt.request(self._recipe, prompt.draws[0]))

    def _overflow(self, prompt_tokens: int) -> str | None:
        return overflow(prompt_tokens, self._recipe.max_tokens, self._window_tokens)
