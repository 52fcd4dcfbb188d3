"""A gate that admits so many threads at a time, the smallest priority first."""

from __future__ import annotations

import heapq
import threading

from pacore.errors import Interrupted

Priority = tuple[int, int]


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
