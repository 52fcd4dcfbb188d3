"""A `FaultyServer` in a thread of its own, for programs and stages that are not asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faulty_server import FaultyServer


@contextmanager
def served(server: FaultyServer) -> Iterator[FaultyServer]:
    """Serve for as long as the context lasts; ``server.endpoint`` is where."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    try:
        yield server
    finally:
        leaving = server.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(leaving, loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
