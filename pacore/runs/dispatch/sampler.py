"""Sampling one trajectory: the window, the tries and their waits, and the journal at the end.

A run stops early whose first requests all fail in the same way, for a reason that no retry cures. Until
an engine has served something, the cause of a refusal may be not the request but how the run is set up:
a wrong address, a model that is not loaded, a field the server does not take. So the first refusals are
held, in no journal. If something is served they are ordinary tombstones. If all are alike the run stops
with their cause, and costs no trajectory an attempt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from pacore.core.engine import (
    NO_HINT,
    Cause,
    Engine,
    EngineFault,
    EngineInfo,
    Hint,
    Meter,
    Refusal,
)
from pacore.core.policies.stops import AFTER_DECISION
from pacore.core.round import overflow, prompt_tokens_bound
from pacore.core.trajectory import Generation, Request, UsageSource
from pacore.errors import BudgetSpent, EngineUnavailable, StoreFull
from pacore.runs.dispatch.budget import Budget, ProblemBudgetSpent
from pacore.runs.dispatch.places import Places
from pacore.runs.dispatch.writers import Filled, Follower, Writers

FRESH_SECONDS = 1.0
"""How long a look-up in the journal counts as fresh: another scheduler may work on the same run."""

FIRST_WITHOUT_CONTENT = 4
"""So many first trajectories, each all reasoning and without content, have the same cause."""

_NO_CONTENT = (
    "the first {count} trajectories came with all their text as reasoning and none as content, so the "
    "run stops: the server's reasoning parser does not fit the model or its chat template; serve it "
    "without one (vLLM and SGLang: without --reasoning-parser), or have the model think "
    "(--chat-template-options). They are kept; --early-stop 0 goes on as it is"
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after which waits, a request is tried again after a passing fault.

    ``early_stop`` is how many of the first requests may be refused alike before all is given up, and
    ``budget`` bounds all tries, the first too.
    """

    retries: int = 4
    wait_seconds: float = 1.0
    wait_max_seconds: float = 60.0
    early_stop: int = 8
    budget: Budget | None = None

    def wait(self, state: RetryCallState) -> float:
        """The server's own ``Retry-After`` where it named one, else exponential with jitter."""
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, EngineFault) and fault.retry_after_seconds is not None:
            return min(fault.retry_after_seconds, self.wait_max_seconds)
        backoff = wait_random_exponential(multiplier=self.wait_seconds, max=self.wait_max_seconds)
        return backoff(state)


@dataclass(slots=True)
class _Tries:
    """What the tries of one request came to, and when the journal last had nothing of it.

    ``partial`` is the last text that broke off.
    """

    run_id: str
    looked_up: float
    hint: Hint = NO_HINT
    follower: Follower | None = None
    made: int = 0
    wasted_tokens: int = 0
    partial: Generation | None = None


class Sampler:
    """Samples trajectories from one engine that answered; everything happens in one event loop.

    A slot of the engine is held for one try, until what it gave is durable. ``on_pause`` is called with
    1 when a request begins to wait, for another try or for the decision on a refusal, and with -1 when
    it has waited; ``under_way`` returns how many requests are.
    """

    def __init__(
        self,
        engine: Engine,
        info: EngineInfo,
        writers: Writers,
        retry: RetryPolicy,
        on_pause: Callable[[int], None],
        under_way: Callable[[], int],
    ) -> None:
        self.info = info
        self.early_stop = _EarlyStop(retry.early_stop, engine.cause_of, on_pause, under_way)
        self._engine = engine
        self._writers = writers
        self._retry = retry
        self._on_pause = on_pause
        self._budget = retry.budget
        self._full: StoreFull | None = None
        self.places = Places(lambda: engine.slots)
        self._counts: dict[str, asyncio.Task[int | None]] = {}

    @property
    def slots(self) -> int:
        """How many requests the engine takes at a time, as of now."""
        return self._engine.slots

    async def fill(
        self,
        request: Request,
        run_id: str,
        looked_up: float,
        hint: Hint = NO_HINT,
        follower: Follower | None = None,
    ) -> Filled:
        """Try until the model finishes or the policy allows no further try; the last fault is a tombstone.

        ``looked_up`` is when, by the monotonic clock, the journal had nothing of it; of requests that wait
        for a slot that with the smallest priority in its ``hint`` is next; ``follower`` is told of it.
        Raises StoreError where the journal fails, EngineUnavailable where all first requests fail alike,
        and BudgetSpent.
        """
        if (too_long := await self._overflow(request)) is not None:
            return Filled.refused(request.trajectory_id, too_long)
        try:
            return await self._fill(request, _Tries(run_id, looked_up, hint, follower))
        except ProblemBudgetSpent as spent:
            return Filled.refused(request.trajectory_id, self._unsent(str(spent)))

    def _unsent(self, why: str) -> Generation:
        """What a request comes to that is not sent: a later start may send it."""
        return Generation(
            "cancelled", error=why, engine=self.info.name, engine_version=self.info.version, tries=0
        )

    async def _fill(self, request: Request, tries: _Tries) -> Filled:
        try:
            return await self._try(request, tries)
        except EngineFault as fault:
            first = fault
        try:
            return await self._try_again(request, tries, first)
        except EngineFault as fault:
            if fault.refusal is not None and not fault.transient:
                was_served = await self.early_stop.hold(request, fault.refusal)
                if was_served and fault.is_endpoints:
                    return await self._fill(request, tries)
            return await self._keep_tombstone(request, fault, tries)
        except BudgetSpent:
            # What its tries have cost is in the books, and a resume tries it again.
            await self._keep_tombstone(request, first, tries)
            raise
        except ProblemBudgetSpent:
            return await self._keep_tombstone(request, first, tries)

    async def _keep_tombstone(self, request: Request, fault: EngineFault, tries: _Tries) -> Filled:
        fault.partial = fault.partial or tries.partial
        made = replace(fault.as_generation(tries.made), wasted_tokens=tries.wasted_tokens)
        return await self._keep(request, made, tries)

    async def prompt_tokens(self, request: Request) -> int | None:
        """Count each distinct prompt once, however many trajectories share it."""
        task = self._counts.get(request.prompt_digest)
        if task is None:
            counting = self._engine.count_prompt_tokens(request.recipe, request.turns)
            task = asyncio.ensure_future(counting)
            self._counts[request.prompt_digest] = task
        return await asyncio.shield(task)

    async def _overflow(self, request: Request) -> Generation | None:
        """The generation of a request that does not fit, by token count, before it is sent."""
        window, max_tokens = self.info.window_tokens, request.recipe.max_tokens
        if window is None:
            return None
        if overflow(prompt_tokens_bound(request.turns), max_tokens, window) is None:
            return None
        tokens = await self.prompt_tokens(request)
        if tokens is None or (fault := overflow(tokens, max_tokens, window)) is None:
            return None
        return self.info.overflowed(tokens, fault)

    async def _try_again(self, request: Request, tries: _Tries, first: EngineFault) -> Filled:
        """All tries after the first, which most requests do not need. Raises the last EngineFault."""
        faults = [first]
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(_is_transient),
            stop=stop_after_attempt(self._retry.retries + 1),
            wait=self._retry.wait,
            sleep=self._pause,
            reraise=True,
        ):
            with attempt:
                if faults:
                    raise faults.pop()
                filled = await self._try(request, tries)
        return filled

    async def _try(self, request: Request, tries: _Tries) -> Filled:
        if self._budget is None:
            return await self._try_in_place(request, tries)
        # Before it takes a place, which other problems' requests could use.
        async with self._budget.share(request, tries.hint, self._on_pause):
            return await self._try_in_place(request, tries)

    async def _try_in_place(self, request: Request, tries: _Tries) -> Filled:
        async with self.places.taken(tries.hint.priority):
            if time.monotonic() - tries.looked_up > FRESH_SECONDS:
                tries.looked_up = time.monotonic()
                if (found := await self._writers.find(request.trajectory_id)) is not None:
                    return found
            if self._full is not None:
                raise self._full
            if tries.follower is not None:
                tries.follower.sent(request)
            if tries.hint.meter is not None:
                tries.hint.meter.sent += 1
            try:
                made = await self._generate(request, tries.hint)
            except EngineFault as fault:
                tries.made += fault.requests
                tries.wasted_tokens += fault.wasted_tokens
                tries.partial = fault.partial or tries.partial
                raise
            if tries.hint.meter is not None:
                tries.hint.meter.end(made)
            tries.made += made.tries
            tries.wasted_tokens += made.wasted_tokens
            if tries.made > 1 or tries.wasted_tokens:
                made = replace(made, tries=tries.made, wasted_tokens=tries.wasted_tokens)
            # Before the slot is free again: a kill costs at most a slot's worth each.
            kept = await self._keep(request, made, tries)
            self.early_stop.served(made)
            return kept

    async def _generate(self, request: Request, hint: Hint) -> Generation:
        """One try at the engine, within the budget. Raises EngineFault and BudgetSpent."""
        if self._budget is None:
            return await self._engine.generate(request, hint)
        reserved = await self._budget.reserve(request, hint)
        with reserved.spending() as spent:
            try:
                made = await self._engine.generate(request, hint)
            except asyncio.CancelledError:
                if hint.meter is not None:
                    spent(self.aborted(hint.meter))
                raise
            spent(made)
        return made

    def aborted(self, meter: Meter | None) -> Generation:
        """What a request comes to that is no longer needed: its cost as far as it was sent."""
        meter = meter or Meter()
        source: UsageSource = meter.source if meter.sent else "unknown"
        return Generation(
            "aborted",
            completion_tokens=meter.tokens,
            usage_source=source,
            error=AFTER_DECISION,
            engine=self.info.name,
            engine_version=self.info.version,
            tries=meter.sent,
        )

    async def _keep(self, request: Request, generation: Generation, tries: _Tries) -> Filled:
        """Make a generation durable; an overflow is no part of the journal."""
        if generation.finish_reason == "context_overflow":
            return Filled.refused(request.trajectory_id, generation)
        try:
            return await self._writers.add(request, generation, tries.run_id, tries.follower)
        except StoreFull as fault:
            # What is paid for and cannot be kept is what is at the engine now, and no more.
            self._full = fault
            raise

    async def _pause(self, seconds: float) -> None:
        """Wait to try again, holding nothing."""
        self._on_pause(1)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._on_pause(-1)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, EngineFault) and error.transient


class _EarlyStop:
    """Holds the refusals of an engine that has served nothing yet. Lives in one event loop.

    ``most`` refusals that are alike stop the run, 0 stops none. ``find_cause`` finds their cause by the
    engine; ``on_held`` is called with 1 when a request begins to be held, and with -1 when that ends;
    ``under_way`` returns how many requests are, those that are held among them.
    """

    def __init__(
        self,
        most: int,
        find_cause: Callable[[Request, Refusal], Awaitable[Cause]],
        on_held: Callable[[int], None],
        under_way: Callable[[], int],
    ) -> None:
        self._most = most
        self._find_cause = find_cause
        self._on_held = on_held
        self._under_way = under_way
        self._has_served = most == 0
        self._without_content: int | None = 0
        self._held: list[tuple[Request, Refusal, asyncio.Future[None]]] = []
        self._deciding: asyncio.Task[None] | None = None
        self._cause: Cause | None = None

    def served(self, made: Generation) -> None:
        """Note a trajectory. Raises EngineUnavailable where too many came without any content."""
        if made.finish_reason == "context_overflow":
            return
        self._release()
        if self._without_content is None or self._most == 0:
            return
        if made.finish_reason != "stop" or (made.content or "").strip() or not made.reasoning:
            self._without_content = None
            return
        self._without_content += 1
        if self._without_content >= min(self._most, FIRST_WITHOUT_CONTENT):
            raise EngineUnavailable(_NO_CONTENT.format(count=self._without_content))

    async def hold(self, request: Request, refusal: Refusal) -> bool:
        """Hold a refused request for as long as the refusal may be about all of them.

        Returns whether something was served since it was sent. Raises EngineUnavailable where the
        run stops.
        """
        if self._has_served:
            return False
        decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append((request, refusal, decided))
        if len({refusal.likeness for _, refusal, _ in self._held}) > 1:
            self._release()
        self._on_held(1)
        self.look()
        try:
            await decided
        finally:
            self._on_held(-1)
        return self._has_served

    def look(self) -> None:
        """Decide where there is enough to decide on: to be called whenever a request has ended."""
        is_ready = len(self._held) >= self._most or (self._held and self._is_idle())
        if is_ready and (self._deciding is None or self._deciding.done()):
            self._deciding = asyncio.create_task(self._decide())

    def _is_idle(self) -> bool:
        """Whether all that is under way is held, so that nothing may be served yet."""
        return self._under_way() == len(self._held)

    async def _decide(self) -> None:
        """Stop the run where the cause is certain, or where no other one is likely.

        A request that is under way may yet be served, and where all prompts are the same the server
        may refuse that prompt.
        """
        if not self._held:
            return
        request, refusal, _ = self._held[0]
        if self._cause is None:
            self._cause = await self._find_cause(request, refusal)
        count, prompts = len(self._held), {request.prompt_digest for request, _, _ in self._held}
        is_idle = self._is_idle()
        if self._cause.is_certain or (is_idle and count >= self._most and len(prompts) > 1):
            which = "request was" if count == 1 else f"{count} requests were all"
            stopped = EngineUnavailable(
                f"the run stops, for the first {which} refused: {self._cause.line}"
            )
            for _, _, decided in self._taken():
                decided.set_exception(stopped)
        elif is_idle:
            self._settle()

    def _release(self) -> None:
        """From now on a refusal is due to its request."""
        self._has_served = True
        self._settle()

    def _settle(self) -> None:
        for _, _, decided in self._taken():
            decided.set_result(None)

    def _taken(self) -> list[tuple[Request, Refusal, asyncio.Future[None]]]:
        held, self._held = self._held, []
        return [one for one in held if not one[2].done()]
