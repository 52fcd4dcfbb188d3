"""What a run would do, before it spends anything: read-only, and exact as far as the store knows.

A forecast: what a run would sample, round by round, and what bounds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pacore.core.engine import EngineInfo
from pacore.core.message import message_set
from pacore.core.plan import Plan, Step
from pacore.core.problem import Problem
from pacore.core.prompt import template_of, turns_for
from pacore.core.quorum import Standing, attempt_recipe, outcome, passes
from pacore.core.recipe import Recipe
from pacore.core.round import Round, RoundPrompt, View, by_slot, overflow, prompt_tokens_bound
from pacore.core.trajectory import Generation, Request, Slot, Trajectory
from pacore.store.journal import Entry, Journal

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
        rounds = [RoundForecast(step) for step in self._plan.steps]
        found = Forecast(len(problems), shard_count, rounds)
        found.window_tokens = self._window_tokens
        # The limit of each request, or all the window holds.
        found.longest_tokens = self._recipe.max_tokens or self._window_tokens
        for problem in problems:
            for replicate in range(self._plan.replicates):
                self._walk(problem, replicate, found)
        return found

    def _walk(self, problem: Problem, replicate: int, found: Forecast) -> None:
        """Add one (problem, replicate): each round is known while the round before is stored."""
        texts: list[str] = []
        for round_, forecast in enumerate(found.rounds, 1):
            given = Round(self._plan, self._recipe, problem, (round_, replicate), texts)
            prompts = given.prompts(self._fits)
            refused = self._refused(prompts, found)
            standings = self._standings(prompts, refused, forecast)
            if standings is None:
                self._leave_unknown(problem, round_, found)
                return
            if not outcome(self._plan, round_, standings).goes_on:
                return
            candidates = [standing.candidate for standing in standings]
            policy = self._plan.step(round_).compaction.policy
            named = (round_, problem.problem_id, replicate)
            messages = message_set(named, candidates, self._plan.message_order, policy)
            texts = [message.text for message in messages]

    def _refused(self, prompts: Sequence[RoundPrompt], found: Forecast) -> dict[View, str]:
        """The views whose prompts are too long, and by how much; what nobody counts is counted."""
        refused = {}
        for prompt in prompts:
            tokens = self._tokens(prompt)
            if tokens is None:
                found.uncounted += 1
            elif (why := self._overflow(tokens, prompt.max_tokens)) is not None:
                one = TooLong(prompt.round, prompt.problem_id, why)
                found.too_long += [one] if [one] != found.too_long[-1:] else []
                refused[prompt.view] = why
        return refused

    def _standings(
        self,
        prompts: Sequence[RoundPrompt],
        refused: Mapping[View, str],
        forecast: RoundForecast,
    ) -> list[Standing] | None:
        """What stands in a set's slots; None where some of it is yet to be generated."""
        slots = by_slot(prompts)
        found: list[list[Trajectory]] = [[] for _ in slots]

        def standings() -> list[Standing]:
            return [
                Standing.of(own[-1], prompt.compaction, len(own) - 1)
                for own, (prompt, _) in zip(found, slots, strict=True)
            ]

        for now in passes(self._plan, [place for _, place in slots], (), list, standings):
            forecast.trajectories += len(now.slots)
            asked = []
            for number in now.slots:
                prompt, place = slots[number]
                tried = found[number][-1].attempt + 1 if found[number] else 0
                request = self._request(prompt, place.draw, tried)
                if (why := refused.get(prompt.view)) is None:
                    asked.append((number, request))
                else:
                    overflowed = Generation("context_overflow", error=why)
                    found[number].append(Trajectory.of(place, request, overflowed))
                    forecast.too_long += 1
            if not self._look_up(asked, slots, found, forecast):
                return None
        return standings()

    def _look_up(
        self,
        asked: Sequence[tuple[int, Request]],
        slots: Sequence[tuple[RoundPrompt, Slot]],
        found: Sequence[list[Trajectory]],
        forecast: RoundForecast,
    ) -> bool:
        """Add what is stored of the requests of some slots to ``found``; whether all of it is."""
        missing: list[str] = []
        entries = self._journal.find_many(request.trajectory_id for _, request in asked)
        for (number, request), entry in zip(asked, entries, strict=True):
            stored = self._stored(*slots[number], request, entry)
            if isinstance(stored, Trajectory):
                found[number].append(stored)
            else:
                missing.append(stored)
        new = set(missing) - self._pending
        self._pending |= new
        forecast.stored += len(asked) - len(missing)
        forecast.to_generate += len(new)
        forecast.shared += len(missing) - len(new)
        return not missing

    def _leave_unknown(self, problem: Problem, after: int, found: Forecast) -> None:
        """The rounds after one that is not stored: to be paid for, with prompts yet unknown."""
        for round_ in range(after + 1, self._plan.rounds + 1):
            forecast, step = found.rounds[round_ - 1], self._plan.step(round_)
            forecast.trajectories += step.width
            forecast.to_generate += step.width
            forecast.unknown += step.width
            if (longest_tokens := found.longest_in(round_ - 1)) is not None:
                messages = self._plan.most_seen(round_)
                at = self._plan.observation(problem.turns)
                turns = turns_for(problem.turns, [""] * messages, template_of(step), at)
                longest = prompt_tokens_bound(turns) + messages * longest_tokens
                is_long = self._overflow(longest, step.max_tokens) is not None
                found.may_be_long += step.width * is_long

    def _request(self, prompt: RoundPrompt, draw: int, attempt: int = 0) -> Request:
        return prompt.request(attempt_recipe(self._recipe, prompt.max_tokens), draw, attempt)

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
            request = self._request(prompt, slot.draw, request.attempt + 1)
            entry = self._journal.find(request.trajectory_id)
        return request.trajectory_id

    def _fits(self, prompt: RoundPrompt) -> bool:
        tokens = self._tokens(prompt)
        return tokens is None or self._overflow(tokens, prompt.max_tokens) is None

    def _tokens(self, prompt: RoundPrompt) -> int | None:
        """A prompt's tokens: a bound where even that fits, else counted; None where nobody counts."""
        bound = prompt_tokens_bound(prompt.turns)
        if self._overflow(bound, prompt.max_tokens) is None:
            return bound
        if self._count_tokens is None:
            return None
        return self._count_tokens(self._request(prompt, prompt.draws[0]))

    def _overflow(self, prompt_tokens: int, bound_tokens: int | None) -> str | None:
        limit = bound_tokens or self._recipe.max_tokens
        return overflow(prompt_tokens, limit, self._window_tokens)


@dataclass(slots=True)
class RoundForecast:
    """One round of a plan, in trajectories. ``unknown`` ones depend on messages yet to be made.

    ``trajectories`` counts slots. Each is ``stored``, or ``to_generate``, or ``shared``: it takes a
    draw that another slot has generated already by then, as replicates of a pool do; or its prompt
    is ``too_long``, so that it is not sent and gives no message.
    """

    step: Step
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
    were as long as allowed. ``longest_tokens`` bounds a generation where its step does not bound it
    further, None where nothing does.
    """

    problems: int
    shards: int
    rounds: list[RoundForecast]
    longest_tokens: int | None = None
    window_tokens: int | None = None
    too_long: list[TooLong] = field(default_factory=list)
    uncounted: int = 0
    may_be_long: int = 0

    def longest_in(self, round_: int) -> int | None:
        """What bounds one generation of a 1-based round, in tokens."""
        bounds = (self.rounds[round_ - 1].step.max_tokens, self.longest_tokens)
        return min((bound for bound in bounds if bound is not None), default=None)

    def new_tokens(self, rounds: Iterable[int]) -> int | None:
        """At most this much is paid for in some rounds; None where nothing bounds it."""
        found = 0
        for round_ in rounds:
            longest, generations = self.longest_in(round_), self.rounds[round_ - 1].to_generate
            if longest is None:
                return None
            found += longest * generations
        return found

    def total(self, name: str) -> int:
        found: int = sum(getattr(round_, name) for round_ in self.rounds)
        return found
