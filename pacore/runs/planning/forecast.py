"""What a run would sample and reuse, and what bounds it, before it spends anything.

Read-only, and exact as far as the journal reaches.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from pacore.core.config.run import RunConfig
from pacore.core.engine import Engine, EngineInfo
from pacore.core.plan import Plan, Step, default_shard_size, shards
from pacore.core.policies.stops import SetStop
from pacore.core.problem import Problem, set_digest
from pacore.core.prompt import template_of, turns_for
from pacore.core.quorum import SlotOutcome, attempt_recipe, mark_answer
from pacore.core.recipe import Recipe
from pacore.core.round import (
    OpenSlot,
    Round,
    RoundPrompt,
    View,
    open_slots,
    outcomes_of,
    overflow,
    passes,
    prompt_tokens_bound,
)
from pacore.core.solve import rounds_of
from pacore.core.trajectory import Generation, Request, Trajectory
from pacore.engine.opening import open_engine, resolve_recipe
from pacore.errors import EngineUnavailable
from pacore.home import state_path
from pacore.problems.survey import ProblemSurvey, survey_problems
from pacore.runs.planning.reuse import Earlier, Planned, nearest
from pacore.runs.start import start_run
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.journal import Entry, Journal
from pacore.store.layout import run_key
from pacore.store.run import Run, find_set_stop, is_closed

TokenCounter = Callable[[Request], int | None]

StopFinder = Callable[[Round], SetStop | None]
"""How the run that is planned has decided the set of a round already; None where it has not."""

_T = TypeVar("_T")


@dataclass(slots=True)
class RoundForecast:
    """One round of a plan, in trajectories. ``unknown`` ones depend on messages yet to be made.

    ``trajectories`` counts slots. Each is ``stored``, or ``to_generate``, or ``shared``: it takes a
    draw that another slot has generated already by then, as replicates of a pool do; or its prompt
    is ``too_long``, so that it is not sent and gives no message; or it is ``not_needed``, as a stopping
    rule has decided its set without it. ``sources`` counts the stored ones by the run that generated them,
    ``stored_tokens`` are those of the ``counted`` ones among them.
    """

    step: Step
    trajectories: int = 0
    to_generate: int = 0
    unknown: int = 0
    shared: int = 0
    too_long: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    stored_tokens: int = 0
    counted: int = 0
    not_needed: int = 0

    @property
    def stored(self) -> int:
        return sum(self.sources.values())

    @property
    def expected_tokens(self) -> float | None:
        """What it will generate if that is as long as what is stored; None where nothing tells."""
        if not self.to_generate:
            return 0.0
        return self.to_generate * self.stored_tokens / self.counted if self.counted else None


@dataclass(frozen=True, slots=True)
class TooLong:
    """A prompt that does not fit the window for certain: where, and by how much."""

    round: int
    problem_id: str
    why: str


@dataclass(slots=True)
class Forecast:
    """What `Forecaster.forecast` finds.

    ``too_long`` names each prompt of the kind once, however many replicates have it. ``uncounted``
    are prompts with more bytes than the window has tokens, whose tokens no engine counted;
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
        """The most tokens some rounds may generate; None where nothing bounds them."""
        found = 0
        for round_ in rounds:
            longest, generations = self.longest_in(round_), self.rounds[round_ - 1].to_generate
            if generations:
                if longest is None:
                    return None
                found += longest * generations
        return found

    @property
    def expected_tokens(self) -> float | None:
        """`RoundForecast.expected_tokens` of all rounds; None where one of them has none."""
        known = [round_.expected_tokens for round_ in self.rounds]
        return None if None in known else sum(tokens or 0.0 for tokens in known)

    def tokens_by(self, means: Callable[[], Mapping[str, float]]) -> float | None:
        """Tokens that are expected to be generated: each as long as those that are stored of its round, or
        as the ``means`` of the stored ones of its problem set; None where nothing is known.
        """
        if (expected := self.expected_tokens) is not None:
            return expected
        known = means().values()
        return sum(known) / len(known) * self.total("to_generate") if known else None

    @property
    def sources(self) -> Counter[str]:
        """The stored trajectories of all rounds by the run that generated them."""
        return sum((Counter(round_.sources) for round_ in self.rounds), Counter())

    def total(self, name: str) -> int:
        found: int = sum(getattr(round_, name) for round_ in self.rounds)
        return found


@dataclass(frozen=True, slots=True)
class Preview:
    """``forecast`` is what the run ``planned`` would generate; ``earlier`` the run most like it, None
    without one.
    """

    forecast: Forecast
    earlier: Earlier | None
    planned: Planned


def _ignore(_: object) -> None:
    pass


def preview(
    config: RunConfig,
    on_notice: Callable[[str], None] = _ignore,
    on_survey: Callable[[ProblemSurvey], None] = _ignore,
    on_step: Callable[[str], None] = _ignore,
) -> Preview:
    """Find what a run of ``config`` would do, reading the store and, where it answers, the endpoint.

    ``on_survey`` is called with the problem set as it was read, ``on_notice`` with a line for what could
    not be found out, ``on_step`` with what is done next. Writes nothing. Raises BadInput and Refused
    as a run does.
    """
    config = config.at(datetime.now(UTC))
    on_step(f"reading the problem set {config.problems}")
    read = survey_problems(config.problems, config.limit, config.fields)
    problems = read.problems
    on_survey(read)
    on_step(f"reading the files of model {config.model}")
    recipe = resolve_recipe(config)
    on_step(f"looking up what {config.store} has")
    store = open_store(config.store)
    size = config.shard_size or default_shard_size(len(problems), config.plan)
    stop_of: StopFinder = no_stop
    if config.run_id and store.exists(run_key(config.run_id)):
        run = start_run(store, config, recipe, problems)
        size, stop_of = run.shard_size, recorded_stops(store, run)
        if is_closed(store, run.run_id):
            on_notice(f"run {run.run_id} is complete already")
    journal = Journal(store)
    with _described(config, on_notice) as (info, count_tokens):
        forecaster = Forecaster(config.plan, recipe, journal, info, count_tokens)
        found = forecaster.forecast(problems, len(shards(len(problems), size)), stop_of=stop_of)
    identity = {**config.identity(set_digest(problems)), "recipe": recipe.as_json()}
    planned = Planned(identity, problems)
    return Preview(found, nearest(store, planned, forecaster.used), planned)


def no_stop(_: Round) -> None:
    """Nothing was decided yet: a `StopFinder`."""


def recorded_stops(store: Backend, run: Run) -> StopFinder:
    """What a run has decided of its sets. Raises StoreError for a record that is damaged."""

    def find(round_: Round) -> SetStop | None:
        number, replicate = round_.place
        return find_set_stop(store, run.run_id, number, round_.problem.problem_id, replicate)

    return find


def check_sources(config: RunConfig) -> list[Problem]:
    """Check that the problem set of a dated configuration can be read, and that what generates answers; its
    problems.

    Nothing is written or generated. A vLLM server of the run's own is not started for it. Raises BadInput
    for what is wrong with the problem set or the model's files, EngineUnavailable without an answer.
    """
    problems = survey_problems(config.problems, config.limit, config.fields).problems
    resolve_recipe(config)
    if config.engine != "vllm":
        with _WaitedEngine(open_engine(config, state_path(), _ignore)) as engine:
            engine.describe()
    return problems


@contextmanager
def _described(
    config: RunConfig, on_notice: Callable[[str], None]
) -> Iterator[tuple[EngineInfo | None, TokenCounter | None]]:
    """What the engine says of itself, and what counts tokens by it; None each where none answers."""
    if config.engine == "vllm":
        on_notice("the context window is not known: a plan starts no vLLM server")
        yield None, None
        return
    with _WaitedEngine(open_engine(config, state_path(), on_notice)) as engine:
        try:
            info = engine.describe()
        except EngineUnavailable as fault:
            on_notice(f"the context window is not known: {fault}")
            yield None, None
        else:
            yield info, engine.count_prompt_tokens


class _WaitedEngine:
    """An engine for one thread that waits for each answer; a context manager that closes it at its end.

    Engines are asynchronous. The event loop has a thread of its own, so that this can be used where
    another loop runs already, as in a notebook.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counts: dict[str, int | None] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)

    def describe(self) -> EngineInfo:
        """Raises EngineUnavailable."""
        return self._wait(self._engine.describe())

    def count_prompt_tokens(self, request: Request) -> int | None:
        """Tokens of a request's prompt as the engine counts them; None where it cannot.

        Each distinct prompt is counted once.
        """
        prompt = request.prompt_digest
        if prompt not in self._counts:
            counting = self._engine.count_prompt_tokens(request.recipe, request.turns)
            self._counts[prompt] = self._wait(counting)
        return self._counts[prompt]

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._engine.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Forecaster:
    """Takes problems through the rounds as far as the journal reaches.

    ``info`` and ``count_tokens`` come from an engine that answers; without one no request counts
    as too long. ``on_entry`` is called with each entry of the journal that is met, tombstones
    too, and the id of its problem.
    """

    def __init__(
        self,
        plan: Plan,
        recipe: Recipe,
        journal: Journal,
        info: EngineInfo | None = None,
        count_tokens: TokenCounter | None = None,
        on_entry: Callable[[Entry, str], None] = lambda *_: None,
    ) -> None:
        self._plan = plan
        self._recipe = recipe
        self._journal = journal
        self._window_tokens = info.window_tokens if info else None
        self._count_tokens = count_tokens
        self._on_entry = on_entry
        self._pending: set[Hashable] = set()
        # What the later rounds of a replicate follow from, beside its problem and number.
        self._strategy = recipe.digest, replace(plan, replicates=1)
        self.used: set[str] = set()
        """Ids of the stored trajectories that the plan takes, once it was forecast."""

    def forecast(
        self,
        problems: Sequence[Problem],
        shard_count: int,
        pending: set[Hashable] | None = None,
        stop_of: StopFinder = no_stop,
    ) -> Forecast:
        """Forecast a whole problem set; reads the journal and writes nothing.

        ``pending`` is what runs that are made before are to generate in the same store, and is added to.
        ``stop_of`` finds what was decided of the sets under a stopping rule. Any trajectories may decide
        the others, so that the prompts of later rounds are unknown even where all of a set are stored.
        """
        if pending is not None:
            self._pending = pending
        rounds = [RoundForecast(step) for step in self._plan.steps]
        found = Forecast(len(problems), shard_count, rounds)
        found.window_tokens = self._window_tokens
        # The limit of each request, or all the window holds.
        found.longest_tokens = self._recipe.max_tokens or self._window_tokens
        for problem in problems:
            for replicate in range(self._plan.replicates):
                self._forecast(problem, replicate, found, stop_of)
        return found

    def _forecast(
        self, problem: Problem, replicate: int, found: Forecast, stop_of: StopFinder
    ) -> None:
        """Add one (problem, replicate): each round is known while the round before is stored."""
        rounds = rounds_of(self._plan, self._recipe, problem, replicate)
        reached = next(rounds)
        while isinstance(reached, Round):
            number = reached.place[0]
            prompts = reached.prompts(self._fits)
            refused = self._refused(prompts, found)
            is_ruled = reached.step.stopping is not None
            stop = stop_of(reached) if is_ruled else None
            outcomes = self._outcomes(prompts, refused, found.rounds[number - 1], stop)
            if outcomes is None or (is_ruled and stop is None):
                self._count_unknown(problem, replicate, number, found)
                return
            reached = rounds.send(outcomes)

    def _refused(self, prompts: Sequence[RoundPrompt], found: Forecast) -> dict[View, str]:
        """The views whose prompts are too long, and by how much; notes prompts that cannot be counted."""
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

    def _outcomes(
        self,
        prompts: Sequence[RoundPrompt],
        refused: Mapping[View, str],
        forecast: RoundForecast,
        stop: SetStop | None,
    ) -> list[SlotOutcome] | None:
        """What each slot of a set came to, of one that a rule has decided those that had arrived; None
        where some of it is yet to be generated.
        """
        slots = open_slots(prompts)
        if stop is not None:
            return self._arrived(slots, stop, forecast)
        for now in passes(self._plan, slots, (), lambda: outcomes_of(slots)):
            forecast.trajectories += len(now.slots)
            sent = []
            for slot in (slots[number] for number in now.slots):
                request = slot.begin(self._recipe)
                if (why := refused.get(slot.prompt.view)) is None:
                    sent.append((slot, request))
                else:
                    _end(slot, request, Generation("context_overflow", error=why))
                    forecast.too_long += 1
            if not self._look_up(sent, forecast):
                return None
        return outcomes_of(slots)

    def _arrived(
        self, slots: Sequence[OpenSlot], stop: SetStop, forecast: RoundForecast
    ) -> list[SlotOutcome] | None:
        """What the slots that had arrived of a decided set came to; None where one is not stored."""
        numbers = {one.slot for one in stop.arrivals}
        arrived = [slot for slot in slots if slot.place.slot in numbers]
        forecast.trajectories += len(slots)
        forecast.not_needed += len(slots) - len(arrived)
        sent = [(slot, slot.begin(self._recipe)) for slot in arrived]
        if not self._look_up(sent, forecast):
            return None
        return mark_answer(outcomes_of(arrived), stop.ends_with)

    def _look_up(self, sent: Sequence[tuple[OpenSlot, Request]], forecast: RoundForecast) -> bool:
        """Look up what is stored of the requests of some slots; returns whether all of it is."""
        missing: list[str] = []
        entries = self._journal.find_many(request.trajectory_id for _, request in sent)
        for (slot, request), entry in zip(sent, entries, strict=True):
            if (stored := self._stored(slot, request, entry)) is None:
                missing.append(slot.history.current.trajectory_id)
                continue
            forecast.sources[stored.run_id] = forecast.sources.get(stored.run_id, 0) + 1
            if (tokens := stored.generation.completion_tokens) is not None:
                forecast.stored_tokens += tokens
                forecast.counted += 1
        new = set(missing) - self._pending
        self._pending |= new
        forecast.to_generate += len(new)
        forecast.shared += len(missing) - len(new)
        return not missing

    def _count_unknown(self, problem: Problem, replicate: int, after: int, found: Forecast) -> None:
        """Count the rounds after one that is not stored: to be generated, with prompts yet unknown."""
        for round_ in range(after + 1, self._plan.rounds + 1):
            forecast, step = found.rounds[round_ - 1], self._plan.step(round_)
            forecast.trajectories += step.width
            forecast.unknown += step.width
            place = (*self._strategy, problem.turns, replicate, round_)
            if place in self._pending:
                forecast.shared += step.width
                continue
            self._pending.add(place)
            forecast.to_generate += step.width
            if (longest_tokens := found.longest_in(round_ - 1)) is not None:
                messages = self._plan.most_seen(round_)
                at = self._plan.observation(problem.turns)
                turns = turns_for(problem.turns, [""] * messages, template_of(step), at)
                longest = prompt_tokens_bound(turns) + messages * longest_tokens
                is_long = self._overflow(longest, step.max_tokens) is not None
                found.may_be_long += step.width * is_long

    def _stored(self, slot: OpenSlot, request: Request, entry: Entry | None) -> Entry | None:
        """The journal's finished generation of a slot, from a request and its entry on; None where it has
        none: the slot's current attempt is then the one to be made.
        """
        while entry is not None:
            self._on_entry(entry, slot.place.problem_id)
            _end(slot, request, entry.generation)
            if entry.generation.is_finished:
                self.used.add(request.trajectory_id)
                return entry
            request = slot.begin(self._recipe)
            entry = self._journal.find(request.trajectory_id)
        return None

    def _fits(self, prompt: RoundPrompt) -> bool:
        tokens = self._tokens(prompt)
        return tokens is None or self._overflow(tokens, prompt.max_tokens) is None

    def _tokens(self, prompt: RoundPrompt) -> int | None:
        """A prompt's tokens: a bound where even that fits, else counted; None where no engine does."""
        bound = prompt_tokens_bound(prompt.turns)
        if self._overflow(bound, prompt.max_tokens) is None:
            return bound
        if self._count_tokens is None:
            return None
        recipe = attempt_recipe(self._recipe, prompt.max_tokens)
        return self._count_tokens(prompt.request(recipe, prompt.draws[0]))

    def _overflow(self, prompt_tokens: int, bound_tokens: int | None) -> str | None:
        limit = bound_tokens or self._recipe.max_tokens
        return overflow(prompt_tokens, limit, self._window_tokens)


def _end(slot: OpenSlot, request: Request, generation: Generation) -> None:
    """Note how the current attempt at a slot ended. No slot is lost: failures are tried again."""
    slot.history = slot.history.ended(generation.finish_reason)
    made = Trajectory.of(slot.place, request, generation)
    slot.outcome = SlotOutcome.of(made, slot.prompt.compaction, slot.history.refills)
