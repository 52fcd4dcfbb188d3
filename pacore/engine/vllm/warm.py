"""Servers kept warm: one that an engine has done with waits for the next engine that wants its like.

A sweep opens an engine for each of its runs, and starting a model takes a minute or more. Within
`keeping_warm` a server outlives its engine; when the last such context ends, so do the servers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pacore.engine.vllm.server import Launch, ServerProcess


class Warmth:
    """Servers without an engine, by what they were started as. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Launch, ServerProcess] = {}
        self._keepers = 0

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is given back for as long as the context lasts."""
        with self._lock:
            self._keepers += 1
        try:
            yield
        finally:
            with self._lock:
                self._keepers -= 1
                idle = {} if self._keepers else self._idle
                if idle is self._idle:
                    self._idle = {}
            for process in idle.values():
                asyncio.run(process.end())

    def take(self, launch: Launch) -> ServerProcess | None:
        """A server that was started as ``launch`` and runs without an engine, which now is yours."""
        with self._lock:
            process = self._idle.pop(launch, None)
        return process if process is not None and not process.has_ended else None

    def give_back(self, launch: Launch, process: ServerProcess) -> bool:
        """Leave a server to the next engine; False where it is to be ended: nobody keeps it."""
        with self._lock:
            if not self._keepers or launch in self._idle or process.has_ended:
                return False
            self._idle[launch] = process
        return True


SERVERS = Warmth()
"""The servers of this process."""


keeping_warm = SERVERS.kept
