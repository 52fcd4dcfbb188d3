"""Who is next: requests that wait for a slot of the engine, and shards that wait to be held in memory.

The number of both kinds of places may change while some are taken.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

from pacore.errors import Interrupted

Priority = tuple[int, ...]
"""Of two requests or shards, the one with the smaller priority is next."""


class Places:
    """The slots of an engine, whose number may change while some are taken. Lives in one event loop."""

    def __init__(self, slots: Callable[[], int]) -> None:
        self._slots = slots
        self._taken = 0
        self._tickets = count()
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def taken(self, priority: Priority) -> AsyncIterator[None]:
        """Hold a slot; of those who wait the smallest ``priority`` is next, then the first to come."""
        if self._waiting or self._taken >= self._slots():
            await self._wait(priority)
        else:
            self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            self.look()

    async def _wait(self, priority: Priority) -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._tickets), called))
        self.look()
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._taken -= 1
                self.look()
            raise

    def look(self) -> None:
        """Give slots that are free, or new, to those who wait."""
        while self._waiting and self._taken < self._slots():
            _, _, called = heapq.heappop(self._waiting)
            if not called.done():
                self._taken += 1
                called.set_result(None)


class Gate:
    """Admits a bounded number of holders, the smallest priority first."""

    def __init__(self, places: int) -> None:
        self._free = self._places = places
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

    def widen(self, places: int) -> None:
        """Admit so many from now on, if that is more than before."""
        with self._lock:
            more, self._places = max(0, places - self._places), max(places, self._places)
            for _ in range(more):
                if self._waiting:
                    heapq.heappop(self._waiting)[2].set()
                else:
                    self._free += 1

    def leave(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].set()
            else:
                self._free += 1

    def shut(self) -> None:
        """Raise Interrupted in every thread that waits or enters from now on."""
        with self._lock:
            self._is_shut = True
            for _, _, called in self._waiting:
                called.set()
            self._waiting.clear()
