"""The slots of an engine, whose number may change while some are taken: who waits, and who is next."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

Order = tuple[float, ...]


class Places:
    """The slots of an engine, whose number may change while some are taken. Lives in one event loop."""

    def __init__(self, slots: Callable[[], int]) -> None:
        self._slots = slots
        self._taken = 0
        self._tickets = count()
        self._waiting: list[tuple[Order, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def taken(self, order: Order) -> AsyncIterator[None]:
        """Hold a slot; of those who wait the smallest ``order`` is next, then the first to come."""
        if self._waiting or self._taken >= self._slots():
            await self._wait(order)
        else:
            self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            self.look()

    async def _wait(self, order: Order) -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (order, next(self._tickets), called))
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
