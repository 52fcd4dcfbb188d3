"""Journalling in threads for an event loop: what finishes together is written together.

Passing one generation to a thread and back costs more than packing it, so the loop passes on together
what finished in one of its iterations, and is called back once for all of it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pacore.core.trajectory import UNFINISHED, FinishReason, Generation, Request
from pacore.errors import StoreError
from pacore.store.journal import Journal

_THREADS = 8


MOST_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Filled:
    """What a request came to: an entry of the journal, unless its prompt did not fit the window.

    ``completion_tokens`` is 0 where nothing counted them. ``generation`` is set for what is no part of the
    journal alone: a context overflow, and a request that was not sent or was aborted. Nothing else holds
    text: a task that is done is part of a reference cycle, and would keep it until the garbage
    collector's rarest round.
    """

    trajectory_id: str
    finish_reason: FinishReason
    completion_tokens: int
    generation: Generation | None = None

    @staticmethod
    def of(trajectory_id: str, generation: Generation) -> Filled:
        tokens = generation.completion_tokens or 0
        return Filled(trajectory_id, generation.finish_reason, tokens)

    @staticmethod
    def refused(trajectory_id: str, overflowed: Generation) -> Filled:
        """For what the journal has not, such as a context overflow, with the generation that says why."""
        tokens = overflowed.completion_tokens or 0
        return Filled(trajectory_id, overflowed.finish_reason, tokens, overflowed)

    @property
    def is_finished(self) -> bool:
        """Whether the model finished; otherwise this is a tombstone."""
        return self.finish_reason not in UNFINISHED


class Follower(Protocol):
    """Is called with requests: with each that is sent to the engine, in the event loop, and with what the
    journal then has of it, in a thread of `Writers`.
    """

    def sent(self, request: Request) -> None: ...

    def kept(self, request: Request, made: Generation) -> None: ...


@dataclass(slots=True, eq=False)
class _Entry:
    request: Request
    generation: Generation
    run_id: str
    follower: Follower | None
    durable: asyncio.Future[Filled]
    outcome: Filled | BaseException | None = None


class Writers:
    """Threads that journal for one event loop. All but `close` is called in the loop."""

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        self._journal = journal
        self._loop = loop
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="journal")
        self._finished: list[_Entry] = []

    async def add(
        self,
        request: Request,
        generation: Generation,
        run_id: str,
        follower: Follower | None = None,
    ) -> Filled:
        """Make a generation durable; returns what the journal has, which may be another scheduler's.

        Raises StoreError.
        """
        entry = _Entry(request, generation, run_id, follower, self._loop.create_future())
        if not self._finished:
            self._loop.call_soon(self._submit)
        self._finished.append(entry)
        return await entry.durable

    async def find(self, trajectory_id: str) -> Filled | None:
        """What the journal holds of a trajectory by now, if anything. Raises StoreError."""
        found = await self._loop.run_in_executor(self._threads, self._journal.find, trajectory_id)
        return None if found is None else Filled.of(trajectory_id, found.generation)

    def _submit(self) -> None:
        finished, self._finished = self._finished, []
        for start in range(0, len(finished), MOST_TOGETHER):
            entries = finished[start : start + MOST_TOGETHER]
            written = self._threads.submit(self._write, entries)
            written.add_done_callback(partial(self._report, entries))

    def _write(self, entries: list[_Entry]) -> None:
        for entry in entries:
            try:
                kept = self._journal.add(entry.request, entry.generation, entry.run_id)
                if entry.follower is not None:
                    entry.follower.kept(entry.request, kept.generation)
                entry.outcome = Filled.of(kept.trajectory_id, kept.generation)
            except StoreError as fault:
                # An entry that cannot be read costs itself, and not those written after it.
                entry.outcome = fault

    def _report(self, entries: list[_Entry], written: Future[None]) -> None:
        self._loop.call_soon_threadsafe(self._resolve, entries, written.exception())

    def _resolve(self, entries: list[_Entry], fault: BaseException | None) -> None:
        for entry in entries:
            outcome = entry.outcome or fault
            assert outcome is not None
            if entry.durable.done():
                continue
            if isinstance(outcome, Filled):
                entry.durable.set_result(outcome)
            else:
                entry.durable.set_exception(outcome)

    def close(self) -> None:
        self._threads.shutdown()
