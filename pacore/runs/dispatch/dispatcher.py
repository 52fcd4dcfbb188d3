"""The dispatcher: takes requests from many threads, keeps the engine busy, journals what comes back.

One event loop in one thread drives the engine. A thread submits requests together and is woken once, when
all of them are settled; the loop admits them one at a time, by their priority.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from pacore.core.engine import Engine, EngineInfo, Hint, Meter
from pacore.core.trajectory import Request
from pacore.errors import (
    BudgetSpent,
    EngineUnavailable,
    Interrupted,
    PacoreError,
    StoreFull,
)
from pacore.runs.dispatch.places import Priority
from pacore.runs.dispatch.progress import Progress
from pacore.runs.dispatch.sampler import RetryPolicy, Sampler
from pacore.runs.dispatch.writers import Filled, Follower, Writers
from pacore.store.journal import Journal

ADMITTED_PER_SLOT = 2


METER_SECONDS, FIRST_METER_SECONDS = 2.0, 0.5
"""Between two readings of the servers' metrics; the second at first, and while the slots change."""

FIRST_METERS = 20


ORDERED_SECONDS = 0.5
"""Between two looks at priorities that may have changed."""

PAUSED_PER_SLOT = 8
"""Requests waiting to try again whose place another takes, so that the engine stays busy; bounded,
so that a server that sends ``Retry-After`` does not get all requests of a run."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Requests submitted together; ``done`` is set when the last is settled or the first fails."""

    requests: Sequence[Request]
    run_id: str
    on_filled: Callable[[Filled], None]
    done: Future[list[Filled]]
    looked_up: float
    hint: Callable[[], Hint]
    follower: Follower | None = None
    may_be_aborted: bool = False
    admitted: int = 0
    filled: dict[int, Filled] = field(default_factory=dict)

    def settle(self, place: int, filled: Filled) -> None:
        if self.done.done():
            return
        self.filled[place] = filled
        self.on_filled(filled)
        if len(self.filled) == len(self.requests):
            self.done.set_result([self.filled[place] for place in range(len(self.requests))])

    def fail(self, error: BaseException | None) -> None:
        """End the batch with an error, or as cancelled where there is none."""
        if self.done.done():
            return
        if error is None:
            self.done.cancel()
        else:
            self.done.set_exception(error)


@dataclass(slots=True, eq=False)
class _Flight:
    """A trajectory under way, and who wants it: batches, with their places for it.

    ``meter`` counts what it costs where all of them may be aborted.
    """

    wanted: list[tuple[_Batch, int]]
    meter: Meter | None
    task: asyncio.Task[Filled] | None = None
    is_aborted: bool = False


class Dispatcher:
    """Drives one engine for all shards of a process.

    ``open_engine`` is called once, when the first request comes; ``on_open`` is then called with what
    the engine reports of itself, and ``on_slots`` with each new number of its slots. Once the budget
    of ``retry`` is spent nothing more is sent, and what is in flight is finished. ``progress`` is kept
    up to date: whether requests are at the engine, and every few seconds how many tokens its servers have
    generated. Not usable after `close`.
    """

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        journal: Journal,
        retry: RetryPolicy,
        on_open: Callable[[EngineInfo], None] | None = None,
        progress: Progress | None = None,
        on_slots: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._open_engine = open_engine
        self._retry = retry
        self._on_open = on_open
        self._on_slots = on_slots
        self._progress = Progress() if progress is None else progress
        self._opening_lock = threading.Lock()
        self._calls: set[Future[Any]] = set()
        self._calls_lock = threading.Lock()
        self._sampler: Sampler | None = None
        self._engine: Engine | None = None
        self._failure: PacoreError | None = None
        self._is_stopped = threading.Event()
        self._waiting: list[tuple[Priority, int, _Batch]] = []
        self._tickets = 0
        self._in_flight: dict[str, _Flight] = {}
        self._abortable: dict[Future[list[Filled]], _Batch] = {}
        self._tasks: set[asyncio.Task[Filled]] = set()
        self._ending: BudgetSpent | StoreFull | None = None
        self._unserved: list[_Batch] = []
        self._paused = 0
        self._ordered = 0.0
        self._loop = asyncio.new_event_loop()
        self._writers = Writers(journal, self._loop)
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="dispatcher", daemon=True
        )
        self._thread.start()

    def begin(  # noqa: PLR0913 - requests, their order, and who hears of them
        self,
        run_id: str,
        requests: Sequence[Request],
        hint: Callable[[], Hint],
        on_filled: Callable[[Filled], None] = lambda _: None,
        looked_up: float | None = None,
        follower: Follower | None = None,
        *,
        may_be_aborted: bool = False,
    ) -> Future[list[Filled]]:
        """Have requests filled and journalled; the future is done when all are, in their order.

        None of them was in the journal at ``looked_up`` of the monotonic clock, or just now; what
        has waited since is looked up again before it is sent, so that two schedulers on one run pay
        twice for what is in flight and no more.
        ``hint`` gives their priority, which may change while they wait. ``on_filled`` is called with each
        as it is settled, in another thread, and before it ``follower``, with each that is generated now.
        Where they ``may_be_aborted`` (`abort`), what they cost is counted while they are under way.
        Raises EngineUnavailable when the engine cannot be opened, Interrupted after `stop`; the future's
        exceptions are those of `filled`.
        """
        done: Future[list[Filled]] = Future()
        if not requests:
            done.set_result([])
            return done
        self._open()
        if looked_up is None:
            looked_up = time.monotonic()
        batch = _Batch(requests, run_id, on_filled, done, looked_up, hint, follower, may_be_aborted)
        with self._calls_lock:
            if self._is_stopped.is_set():
                raise Interrupted("stopped")
            self._loop.call_soon_threadsafe(self._begin, batch)
        return done

    def abort(self, begun: Collection[Future[list[Filled]]]) -> None:
        """End requests that may be aborted, by the futures that `begin` gave; returns at once.

        Each that is not settled is settled as ``aborted``, with what it has cost. What is at the engine is
        cancelled, unless others want it too, and is settled once its connection is closed.
        """
        with self._calls_lock:
            if not self._is_stopped.is_set():
                self._loop.call_soon_threadsafe(self._abort, list(begun))

    def _abort(self, begun: Sequence[Future[list[Filled]]]) -> None:
        for done in begun:
            batch = self._abortable.get(done)
            if batch is None or done.done():
                continue
            first, batch.admitted = batch.admitted, len(batch.requests)
            for place, request in enumerate(batch.requests):
                if place in batch.filled:
                    continue
                if place >= first or not self._withdraw(batch, place, request.trajectory_id):
                    batch.settle(place, self._aborted(request.trajectory_id, None))

    def _aborted(self, trajectory_id: str, meter: Meter | None) -> Filled:
        assert self._sampler is not None
        return Filled.refused(trajectory_id, self._sampler.aborted(meter))

    def _withdraw(self, batch: _Batch, place: int, trajectory_id: str) -> bool:
        """Take a batch off what is under way; whether that ends it, as nobody else wants it."""
        flight = self._in_flight[trajectory_id]
        if len(flight.wanted) > 1:
            flight.wanted.remove((batch, place))
            return False
        # From here on whoever wants it has it begun again.
        del self._in_flight[trajectory_id]
        flight.is_aborted = True
        assert flight.task is not None
        flight.task.cancel()
        return True

    def _begin(self, batch: _Batch) -> None:
        if self._is_stopped.is_set():
            batch.fail(None)
            return
        if self._failure is not None:
            batch.fail(self._failure)
            return
        if batch.may_be_aborted:
            self._abortable[batch.done] = batch
            batch.done.add_done_callback(lambda done: self._abortable.pop(done, None))
        self._tickets += 1
        heapq.heappush(self._waiting, (batch.hint().priority, self._tickets, batch))
        self._admit()

    def _admit(self) -> None:
        """Begin requests of the first batches until as many are under way as keep the engine busy."""
        assert self._sampler is not None
        if self._ending is not None:
            return
        self._order()
        slots = self._sampler.slots
        places = ADMITTED_PER_SLOT * slots + min(self._paused, PAUSED_PER_SLOT * slots)
        while self._waiting and len(self._tasks) < places:
            batch = self._waiting[0][2]
            if batch.done.done() or batch.admitted == len(batch.requests):
                heapq.heappop(self._waiting)
                continue
            place = batch.admitted
            batch.admitted += 1
            request = batch.requests[place]
            flight = self._in_flight.get(request.trajectory_id)
            if flight is not None:
                flight.wanted.append((batch, place))
                continue
            hint = batch.hint()
            if batch.may_be_aborted:
                hint = replace(hint, meter=Meter())
            flight = _Flight([(batch, place)], hint.meter)
            self._in_flight[request.trajectory_id] = flight
            flight.task = self._loop.create_task(
                self._sampler.fill(request, batch.run_id, batch.looked_up, hint, batch.follower)
            )
            self._tasks.add(flight.task)
            self._progress.work(True)
            flight.task.add_done_callback(partial(self._end, request.trajectory_id, flight))

    def _order(self) -> None:
        """Take priorities that have changed since, now and then."""
        now = time.monotonic()
        if now < self._ordered + ORDERED_SECONDS:
            return
        self._ordered = now
        self._waiting = [
            (batch.hint().priority, ticket, batch) for _, ticket, batch in self._waiting
        ]
        heapq.heapify(self._waiting)

    def _end(self, trajectory_id: str, flight: _Flight, task: asyncio.Task[Filled]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._progress.work(False)
        error = None if task.cancelled() else task.exception()
        result = self._result_of(trajectory_id, flight, task)
        wanted = flight.wanted
        if self._in_flight.get(trajectory_id) is flight:
            del self._in_flight[trajectory_id]
        if isinstance(error, BudgetSpent | StoreFull):
            # Nothing more is sent. Whoever waits is told when all that is in flight has been journalled,
            # for which a disk may have room again by then.
            self._ending = self._ending or error
            self._unserved += [batch for batch, _ in wanted]
            wanted = []
        for batch, place in wanted:
            if result is not None:
                batch.settle(place, result)
            else:
                batch.fail(error)
        if isinstance(error, EngineUnavailable):
            self._abandon(error)
        elif self._ending is not None:
            if not self._tasks:
                self._abandon(self._ending)
        elif not self._is_stopped.is_set():
            self._admit()
            self._loop.call_soon(self._look)

    def _result_of(
        self, trajectory_id: str, flight: _Flight, task: asyncio.Task[Filled]
    ) -> Filled | None:
        """What a request came to; None where it failed, or all work was stopped."""
        if not task.cancelled():
            return None if task.exception() else task.result()
        is_aborted = flight.is_aborted and not self._is_stopped.is_set()
        return self._aborted(trajectory_id, flight.meter) if is_aborted else None

    def _look(self) -> None:
        if self._sampler is not None:
            self._sampler.early_stop.look()

    def _abandon(self, failure: PacoreError) -> None:
        """Fail all that waits, and every later request."""
        self._failure = failure
        for batch in self._unserved:
            batch.fail(failure)
        waiting, self._waiting = self._waiting, []
        for _, _, batch in waiting:
            batch.fail(failure)
        for flight in self._in_flight.values():
            for batch, _ in flight.wanted:
                batch.fail(failure)
        for task in list(self._tasks):
            task.cancel()

    def info(self) -> EngineInfo:
        """What the engine reports of itself; opens it if need be. Raises EngineUnavailable."""
        return self._open().info

    def count_prompt_tokens(self, request: Request) -> int | None:
        """Tokens of a request's prompt as the engine counts them; None where it cannot."""
        sampler = self._open()
        return _result(self._call(lambda: sampler.prompt_tokens(request)))

    def _call(self, begin: Callable[[], Coroutine[Any, Any, _Result]]) -> Future[_Result]:
        """Run a coroutine in the loop until it ends or `stop` cancels it.

        Raises Interrupted after `stop`: nobody would cancel it, and a loop that has ended runs none.
        """
        with self._calls_lock:
            if self._is_stopped.is_set():
                raise Interrupted("stopped")
            call = asyncio.run_coroutine_threadsafe(begin(), self._loop)
            self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    def _open(self) -> Sampler:
        """The engine, opened by the first thread; the others wait, and get the same failure."""
        if self._sampler is not None and not self._is_stopped.is_set():
            return self._sampler
        with self._opening_lock:
            if self._is_stopped.is_set():
                raise Interrupted("stopped")
            if self._failure is not None:
                raise self._failure
            if self._sampler is None:
                try:
                    self._sampler = self._opened_engine()
                except PacoreError as failure:
                    self._failure = failure
                    raise
                if self._on_open is not None:
                    self._on_open(self._sampler.info)
                self._call(self._meter)
        return self._sampler

    def _opened_engine(self) -> Sampler:
        engine = self._engine = self._open_engine()
        info = _result(self._call(engine.describe))
        return Sampler(
            engine, info, self._writers, self._retry, self._pause, lambda: len(self._tasks)
        )

    async def _meter(self) -> None:
        """Read the servers' metrics every few seconds while requests are at them: report what they have
        generated, and use the slots that the engine makes of it.
        """
        assert self._engine is not None and self._sampler is not None
        is_owned = self._sampler.info.is_owned
        reads = 0
        while True:
            self._progress.look()
            slots = self._engine.slots
            # What an owned server has generated before the first request is where the count begins.
            if self._tasks or (is_owned and not reads):
                counted = await self._engine.generated_tokens()
                reads += 1
                if counted is not None:
                    self._progress.meter(counted, is_owned)
            if self._engine.slots != slots:
                self._on_slots(self._engine.slots)
                self._sampler.places.look()
                self._admit()
            is_first = reads < FIRST_METERS or self._engine.slots != slots
            await asyncio.sleep(FIRST_METER_SECONDS if is_first else METER_SECONDS)

    def _pause(self, change: int) -> None:
        """While a request waits to be tried again, another takes its place."""
        self._paused += change
        if change > 0:
            self._admit()

    def stop(self) -> None:
        """Cancel what is in flight; what is journalled stays, and every waiting thread is woken."""
        with self._calls_lock:
            self._is_stopped.set()
            calls = list(self._calls)
        for call in calls:
            call.cancel()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cancel_all)

    def _cancel_all(self) -> None:
        for _, _, batch in self._waiting:
            batch.fail(None)
        self._waiting.clear()
        for task in list(self._tasks):
            task.cancel()

    def close(self) -> None:
        """Stop, close the engine, and end the loop's thread. May be called again."""
        self.stop()
        if not self._thread.is_alive():
            return
        # A thread that is opening the engine ends first: the engine that it makes is closed here.
        with self._opening_lock:
            asyncio.run_coroutine_threadsafe(self._ended(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._writers.close()
        self._loop.close()

    async def _ended(self) -> None:
        """Wait until every request has ended, so that no thread waits for one, and close the engine."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._engine is not None:
            await self._engine.close()


_Result = TypeVar("_Result")


def _result(future: Future[_Result]) -> _Result:
    """The result of what the loop does, once it is there. Raises Interrupted where it was cancelled."""
    try:
        return future.result()
    except CancelledError:
        raise Interrupted("stopped") from None


def filled(done: Future[list[Filled]]) -> list[Filled]:
    """What became of requests that were begun, once all are settled.

    Raises EngineUnavailable where the engine refuses all first requests alike, BudgetSpent where no more
    may be sent, StoreError where the journal fails, Interrupted after `Dispatcher.stop`.
    """
    return _result(done)
