"""Sampling one trajectory: the window, the tries and their waits, and the journal at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from pacore.core.engine import Cause, Engine, EngineFault, EngineInfo, Refusal
from pacore.core.round import overflow, prompt_tokens_bound
from pacore.core.trajectory import Generation, Request
from pacore.runs.dispatch.early_stop import EarlyStop
from pacore.runs.dispatch.writers import Filled, Writers

FRESH_SECONDS = 1.0
"""How long a look-up in the journal counts as fresh: another scheduler may work on the same run."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after which waits, a request is tried again after a passing fault.

    ``early_stop`` is how many of the first requests may be refused alike before all is given up.
    """

    retries: int = 4
    wait_seconds: float = 1.0
    wait_max_seconds: float = 60.0
    early_stop: int = 8

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
        self.slots = engine.slots
        self.early_stop = EarlyStop(retry.early_stop, self._cause_of, on_pause, under_way)
        self._engine = engine
        self._writers = writers
        self._retry = retry
        self._on_pause = on_pause
        self._free = asyncio.Semaphore(engine.slots)
        self._counts: dict[str, asyncio.Task[int | None]] = {}

    async def fill(self, request: Request, run_id: str, looked_up: float) -> Filled:
        """Try until the model finishes or the policy allows no further try; the last fault is a tombstone.

        ``looked_up`` is when, by the monotonic clock, the journal had nothing of it. Raises
        StoreError where the journal fails, EngineUnavailable where all first requests fail alike.
        """
        if (too_long := await self._overflow(request)) is not None:
            return Filled.refused(request.trajectory_id, too_long)
        return await self._fill(request, _Tries(run_id, looked_up))

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
            fault.partial = fault.partial or tries.partial
            made = replace(fault.as_generation(tries.made), wasted_tokens=tries.wasted_tokens)
            return await self._keep(request, made, tries.run_id)

    async def _cause_of(self, request: Request, refusal: Refusal) -> Cause:
        return await self._engine.cause_of(request, refusal)

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
        async with self._free:
            if time.monotonic() - tries.looked_up > FRESH_SECONDS:
                tries.looked_up = time.monotonic()
                if (found := await self._writers.find(request.trajectory_id)) is not None:
                    return found
            try:
                made = await self._engine.generate(request)
            except EngineFault as fault:
                tries.made += fault.requests
                tries.wasted_tokens += fault.wasted_tokens
                tries.partial = fault.partial or tries.partial
                raise
            tries.made += made.tries
            tries.wasted_tokens += made.wasted_tokens
            if tries.made > 1 or tries.wasted_tokens:
                made = replace(made, tries=tries.made, wasted_tokens=tries.wasted_tokens)
            # Before the slot is free again: a kill costs at most a slot's worth each.
            kept = await self._keep(request, made, tries.run_id)
            self.early_stop.served(made)
            return kept

    async def _keep(self, request: Request, generation: Generation, run_id: str) -> Filled:
        """Make a generation durable; an overflow is no part of the journal."""
        if generation.finish_reason == "context_overflow":
            return Filled.refused(request.trajectory_id, generation)
        return await self._writers.add(request, generation, run_id)

    async def _pause(self, seconds: float) -> None:
        """Wait to try again, holding nothing."""
        self._on_pause(1)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._on_pause(-1)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, EngineFault) and error.transient
