"""Asking a store for many values side by side: a few ahead of the reader, never all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

THREADS = 16
AHEAD = 32
"""Answers held at most, those still on their way included."""

Answered = TypeVar("Answered")


def ask_ahead(ask: Callable[[str], Answered], keys: Iterable[str]) -> Iterator[Answered]:
    """``ask`` of each key, in order; raises what it raises, when its turn has come."""
    keys = iter(keys)
    threads = ThreadPoolExecutor(THREADS, "store")
    waiting: deque[Future[Answered]] = deque()
    try:
        waiting.extend(threads.submit(ask, key) for key in islice(keys, AHEAD))
        while waiting:
            answer = waiting.popleft().result()
            waiting.extend(threads.submit(ask, key) for key in islice(keys, 1))
            yield answer
    finally:
        # Not waited for: what nobody wants any more may be waiting for a store that is away.
        threads.shutdown(wait=False, cancel_futures=True)
