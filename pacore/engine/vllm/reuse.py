"""Reuses vLLM servers: one whose engine was closed stays up for the next engine with equal options.

A sweep opens an engine for each of its runs, and starting a server takes a minute or more. Within
`reusing_servers` a server is not ended with its engine, but when the last such context ends.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pacore.engine.vllm.server import Launch, ServerProcess


class IdleServers:
    """Servers without an engine, by their `Launch`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Launch, ServerProcess] = {}
        self._contexts = 0

    @contextmanager
    def reuse(self) -> Iterator[None]:
        """Accept servers in `give_back`; end those that are idle when the last context ends."""
        with self._lock:
            self._contexts += 1
        try:
            yield
        finally:
            with self._lock:
                self._contexts -= 1
                idle = {} if self._contexts else self._idle
                if idle is self._idle:
                    self._idle = {}
            for process in idle.values():
                asyncio.run(process.end())

    def take(self, launch: Launch) -> ServerProcess | None:
        """Remove and return the idle server that was started with ``launch``; None without one."""
        with self._lock:
            process = self._idle.pop(launch, None)
        return process if process is not None and not process.has_ended else None

    def give_back(self, launch: Launch, process: ServerProcess) -> bool:
        """Keep a server for the next engine. False if the caller has to end it: there is no context,
        or already an idle server for this launch.
        """
        with self._lock:
            if not self._contexts or launch in self._idle or process.has_ended:
                return False
            self._idle[launch] = process
        return True


SERVERS = IdleServers()
"""The idle servers of this process."""

reusing_servers = SERVERS.reuse
