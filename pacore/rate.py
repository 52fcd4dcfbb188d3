"""How fast tokens come, from counts seen now and then. Pure: times are given."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 60.0
TOGETHER_SECONDS = 0.5
"""Counts so near to each other are kept as one."""


class TokenRate:
    """Tokens a second over the last minute, from a count that only grows.

    ``begin`` is the moment from which tokens can have come, with the count it began at: what was
    waited for before, such as a model that loads, is no part of the rate.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def begin(self, now: float, tokens: int = 0) -> None:
        if not self._seen:
            self._seen.append((now, tokens))

    def see(self, now: float, tokens: int) -> None:
        """Note a count. One that is before the window is kept as where it begins."""
        self.begin(now, tokens)
        if len(self._seen) > 1 and now - self._seen[-1][0] < TOGETHER_SECONDS:
            now = self._seen.pop()[0]
        self._seen.append((now, tokens))
        while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW_SECONDS:
            self._seen.popleft()

    def over_last_minute(self, now: float) -> tuple[float, float] | None:
        """Tokens a second, and over how many seconds; None before a second has passed.

        Seconds in which nothing more was seen count.
        """
        start = max(self._seen[0][0], now - WINDOW_SECONDS) if self._seen else now
        seconds = now - start
        if seconds < 1.0:
            return None
        before = [tokens for seen, tokens in self._seen if seen <= start]
        return (self._seen[-1][1] - before[-1]) / seconds, seconds


class GrowingCount:
    """A count that only grows, from one that begins again at 0 whenever its server does.

    ``base`` is what the server had counted before it was ours; None until the first count says so.
    """

    def __init__(self, base: int | None = 0) -> None:
        self._last = base
        self._total = 0

    def see(self, counted: int) -> int:
        """The tokens counted so far in all, with what a server says now."""
        if self._last is not None:
            self._total += counted - self._last if counted >= self._last else counted
        self._last = counted
        return self._total
