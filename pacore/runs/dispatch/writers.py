"""Journalling beside an event loop: what finishes together is written together.

Handing one generation to a thread and back costs more than packing it, so the loop hands over what
finished in one of its turns, and hears of it in one call.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from pacore.core.trajectory import Generation, Request
from pacore.errors import StoreError
from pacore.store.journal import Journal

THREADS = 8


MOST_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Stands:
    """What the journal holds of a request now; ``completion_tokens`` is 0 where nobody counted."""

    is_finished: bool
    completion_tokens: int

    @staticmethod
    def of(generation: Generation) -> Stands:
        return Stands(generation.is_finished, generation.completion_tokens or 0)


@dataclass(slots=True, eq=False)
class _Entry:
    request: Request
    generation: Generation
    run_id: str
    durable: asyncio.Future[Stands]
    outcome: Stands | BaseException | None = None


class Writers:
    """Threads that journal for one event loop. All but `close` is called in the loop."""

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        self._journal = journal
        self._loop = loop
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="journal")
        self._finished: list[_Entry] = []

    async def add(self, request: Request, generation: Generation, run_id: str) -> Stands:
        """Make a generation durable; returns what stands, which may be another's. Raises StoreError."""
        entry = _Entry(request, generation, run_id, self._loop.create_future())
        if not self._finished:
            self._loop.call_soon(self._hand_over)
        self._finished.append(entry)
        return await entry.durable

    async def find(self, trajectory_id: str) -> Stands | None:
        """What the journal holds of a trajectory by now, if anything. Raises StoreError."""
        found = await self._loop.run_in_executor(self._threads, self._journal.find, trajectory_id)
        return None if found is None else Stands.of(found.generation)

    def _hand_over(self) -> None:
        finished, self._finished = self._finished, []
        for start in range(0, len(finished), MOST_TOGETHER):
            entries = finished[start : start + MOST_TOGETHER]
            written = self._threads.submit(self._write, entries)
            written.add_done_callback(partial(self._report, entries))

    def _write(self, entries: list[_Entry]) -> None:
        for entry in entries:
            try:
                stands = self._journal.add(entry.request, entry.generation, entry.run_id)
                entry.outcome = Stands.of(stands.generation)
            except StoreError as fault:
                # An entry that cannot be read costs itself, and not those written after it.
                entry.outcome = fault

    def _report(self, entries: list[_Entry], written: Future[None]) -> None:
        self._loop.call_soon_threadsafe(self._tell, entries, written.exception())

    def _tell(self, entries: list[_Entry], fault: BaseException | None) -> None:
        for entry in entries:
            outcome = entry.outcome or fault
            assert outcome is not None
            if entry.durable.done():
                continue
            if isinstance(outcome, Stands):
                entry.durable.set_result(outcome)
            else:
                entry.durable.set_exception(outcome)

    def close(self) -> None:
        self._threads.shutdown()
