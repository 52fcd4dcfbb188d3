"""The dispatcher: takes requests from many threads, keeps the engine busy, journals what comes back.

One event loop in one thread drives the engine. A shard's thread is admitted a request at a time,
later rounds first, so that memory stays bounded and problems that began get finished. A slot of
the engine is held for one try, until what it gave is durable, and never while waiting to try again.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from pacore.engine.protocol import Engine, EngineFault, EngineInfo
from pacore.errors import Interrupted, PacoreError
from pacore.journal import Journal
from pacore.trajectory import Generation, Request
from pacore.window import overflow, prompt_tokens_bound

Priority = tuple[int, int]
ADMITTED_PER_SLOT = 2
JOURNAL_THREADS = 8


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after which waits, a request is tried again after a passing fault."""

    retries: int = 4
    wait_seconds: float = 1.0
    wait_max_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Filled:
    """A request's end: journalled, unless it never reached a model for want of room.

    ``generation`` is set for a context overflow alone, which depends on the server's window and so
    is no part of the journal.
    """

    trajectory_id: str
    is_finished: bool
    completion_tokens: int
    generation: Generation | None = None


class Gate:
    """Admits a bounded number of holders, the smallest priority first."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: list[tuple[Priority, int, threading.Event]] = []
        self._tickets = 0
        self._lock = threading.Lock()
        self._is_shut = False

    def enter(self, priority: Priority) -> None:
        """Wait for a place. Raises Interrupted once the gate is shut."""
        with self._lock:
            if not self._is_shut and self._free and not self._waiting:
                self._free -= 1
                return
            called = threading.Event()
            if not self._is_shut:
                self._tickets += 1
                heapq.heappush(self._waiting, (priority, self._tickets, called))
        if not self._is_shut:
            called.wait()
        if self._is_shut:
            raise Interrupted("stopped")

    def leave(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].set()
            else:
                self._free += 1

    def shut(self) -> None:
        """Turn everybody away, those waiting included."""
        with self._lock:
            self._is_shut = True
            for _, _, called in self._waiting:
                called.set()
            self._waiting.clear()


@dataclass(frozen=True, slots=True)
class _Opened:
    """An engine that answers, and what bounds its use."""

    engine: Engine
    info: EngineInfo
    gate: Gate
    slots: asyncio.Semaphore


class Dispatcher:
    """Drives one engine for all shards of a process.

    ``open_engine`` is called once, when the first request comes; ``on_open`` then hears what the
    engine says of itself. Not usable after `close`.
    """

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        journal: Journal,
        retry: RetryPolicy,
        on_open: Callable[[EngineInfo], None] | None = None,
    ) -> None:
        self._open_engine = open_engine
        self._journal = journal
        self._retry = retry
        self._on_open = on_open
        self._opening_lock = threading.Lock()
        self._opening: Future[EngineInfo] | None = None
        self._opened: _Opened | None = None
        self._engine: Engine | None = None
        self._failure: PacoreError | None = None
        self._is_stopped = threading.Event()
        self._in_flight: dict[str, Future[Filled]] = {}
        self._in_flight_lock = threading.Lock()
        self._tasks: set[asyncio.Task[Filled]] = set()
        self._counts: dict[str, asyncio.Task[int | None]] = {}
        self._writers = ThreadPoolExecutor(JOURNAL_THREADS, thread_name_prefix="journal")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="dispatcher", daemon=True
        )
        self._thread.start()

    def submit(self, request: Request, run_id: str, priority: Priority) -> Future[Filled]:
        """Have a request filled and journalled; blocks until it is admitted.

        Raises EngineUnavailable when the engine cannot be opened, Interrupted after `stop`. The
        future raises StoreError where the journal fails, and is cancelled by `stop`.
        """
        gate = self._open().gate
        with self._in_flight_lock:
            if (same := self._in_flight.get(request.trajectory_id)) is not None:
                return same
            done: Future[Filled] = Future()
            self._in_flight[request.trajectory_id] = done
        try:
            gate.enter(priority)
        except Interrupted:
            done.cancel()
            raise

        def begin() -> None:
            if self._is_stopped.is_set():
                gate.leave()
                done.cancel()
                return
            task = self._loop.create_task(self._fill(request, run_id))
            self._tasks.add(task)
            task.add_done_callback(end)

        def end(task: asyncio.Task[Filled]) -> None:
            self._tasks.discard(task)
            gate.leave()
            with self._in_flight_lock:
                del self._in_flight[request.trajectory_id]
            if task.cancelled():
                done.cancel()
            elif (error := task.exception()) is not None:
                done.set_exception(error)
            else:
                done.set_result(task.result())

        self._loop.call_soon_threadsafe(begin)
        return done

    def info(self) -> EngineInfo:
        """What the engine says of itself; opens it if need be. Raises EngineUnavailable."""
        return self._open().info

    def count_prompt_tokens(self, request: Request) -> int | None:
        """Tokens of a request's prompt as the engine counts them; None where it cannot."""
        opened = self._open()
        counting = self._prompt_tokens(opened.engine, request)
        return asyncio.run_coroutine_threadsafe(counting, self._loop).result()

    def _open(self) -> _Opened:
        """The engine, opened by whoever comes first; the others wait, and share its failure."""
        if self._opened is not None and not self._is_stopped.is_set():
            return self._opened
        with self._opening_lock:
            if self._is_stopped.is_set():
                raise Interrupted("stopped")
            if self._failure is not None:
                raise self._failure
            if self._opened is None:
                try:
                    self._opened = self._opened_engine()
                except PacoreError as failure:
                    self._failure = failure
                    raise
                if self._on_open is not None:
                    self._on_open(self._opened.info)
        return self._opened

    def _opened_engine(self) -> _Opened:
        engine = self._engine = self._open_engine()
        self._opening = asyncio.run_coroutine_threadsafe(engine.describe(), self._loop)
        try:
            info = self._opening.result()
        except CancelledError:
            raise Interrupted("stopped") from None
        gate = Gate(ADMITTED_PER_SLOT * engine.slots)
        return _Opened(engine, info, gate, asyncio.Semaphore(engine.slots))

    async def _fill(self, request: Request, run_id: str) -> Filled:
        opened = self._open()
        if (too_long := await self._overflow(opened, request)) is not None:
            return Filled(request.trajectory_id, True, 0, too_long)
        return await self._sample(opened, request, run_id)

    def _journalled(self, request: Request, generation: Generation, run_id: str) -> Filled:
        """Journal a generation. Returns no text: a future that is done is part of a reference
        cycle, and would keep it until the garbage collector's rarest round.
        """
        stands = self._journal.add(request, generation, run_id).generation
        return Filled(request.trajectory_id, stands.is_finished, stands.completion_tokens or 0)

    async def _overflow(self, opened: _Opened, request: Request) -> Generation | None:
        """Know by token count what would not fit, before sending it."""
        window, max_tokens = opened.info.window_tokens, request.recipe.max_tokens
        if overflow(prompt_tokens_bound(request.turns), max_tokens, window) is None:
            return None
        tokens = await self._prompt_tokens(opened.engine, request)
        if tokens is None or (fault := overflow(tokens, max_tokens, window)) is None:
            return None
        return Generation(
            finish_reason="context_overflow",
            prompt_tokens=tokens,
            usage_source="tokenizer",
            error=fault,
            engine=opened.info.name,
            engine_version=opened.info.version,
            tries=0,
        )

    async def _prompt_tokens(self, engine: Engine, request: Request) -> int | None:
        """Count each distinct prompt once, however many trajectories share it."""
        task = self._counts.get(request.prompt_digest)
        if task is None:
            counting = engine.count_prompt_tokens(request.recipe, request.turns)
            task = self._loop.create_task(counting)
            self._counts[request.prompt_digest] = task
        return await asyncio.shield(task)

    async def _sample(self, opened: _Opened, request: Request, run_id: str) -> Filled:
        """Try until the model has its say or the policy gives up; the last fault is a tombstone."""
        tries = 0
        wasted_tokens = 0
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception(_is_transient),
                stop=stop_after_attempt(self._retry.retries + 1),
                wait=self._wait,
                reraise=True,
            ):
                with attempt:
                    # Held until the generation is durable: a kill costs at most a slot's worth each.
                    async with opened.slots:
                        tries += 1
                        try:
                            made = await opened.engine.generate(request)
                        except EngineFault as fault:
                            wasted_tokens += fault.wasted_tokens
                            raise
                        wasted_tokens += made.wasted_tokens
                        made = replace(made, tries=tries, wasted_tokens=wasted_tokens)
                        filled = await self._keep(request, made, run_id)
        except EngineFault as fault:
            made = replace(fault.as_generation(tries), wasted_tokens=wasted_tokens)
            filled = await self._keep(request, made, run_id)
        return filled

    async def _keep(self, request: Request, generation: Generation, run_id: str) -> Filled:
        """Make a generation durable; an overflow is no part of the journal."""
        if generation.finish_reason == "context_overflow":
            return Filled(request.trajectory_id, True, 0, generation)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._writers, self._journalled, request, generation, run_id
        )

    def _wait(self, state: RetryCallState) -> float:
        """The server's own ``Retry-After`` where it named one, else exponential with jitter."""
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, EngineFault) and fault.retry_after_seconds is not None:
            return min(fault.retry_after_seconds, self._retry.wait_max_seconds)
        backoff = wait_random_exponential(
            multiplier=self._retry.wait_seconds, max=self._retry.wait_max_seconds
        )
        return backoff(state)

    def stop(self) -> None:
        """Give up what is in flight; what is journalled stays, and every waiting thread is woken."""
        self._is_stopped.set()
        if self._opening is not None:
            self._opening.cancel()
        if self._opened is not None:
            self._opened.gate.shut()

        def cancel() -> None:
            for task in list(self._tasks):
                task.cancel()

        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(cancel)

    def close(self) -> None:
        """Stop, close the engine, and end the loop's thread. May be called again."""
        self.stop()
        if not self._thread.is_alive():
            return
        if self._engine is not None:
            asyncio.run_coroutine_threadsafe(self._engine.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._writers.shutdown()


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, EngineFault) and error.transient


def result_of(future: Future[Filled]) -> Filled:
    """Wait for a submitted request. Raises Interrupted where it was given up."""
    try:
        return future.result()
    except CancelledError:
        raise Interrupted("stopped") from None
