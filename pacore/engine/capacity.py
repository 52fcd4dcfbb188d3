"""How many requests keep an endpoint busy, found while it works. Pure: times and counts are given.

Too few leave its slots idle; too many wait in its queue, where their order can no longer be changed, or
make it evict what it has computed. Servers that report their queue (vLLM, SGLang, llama.cpp) are sent as
many as run there and a few that wait; of others, the number grows for as long as throughput grows with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST_REQUESTS = 64
"""In flight at first."""

MOST_REQUESTS = 1024
"""In flight at most, where nothing else is said: as many as the paper's own client has."""

_WAITING_SHARE = 8
"""One for so many that run waits at the server, so that a slot that becomes free is taken at once."""

_FEWEST_WAITING = 4

_STEP = 1.5
"""By how much the number of requests grows where throughput alone tells whether that helps."""

_GAIN = 1.05
"""The throughput that a step has to bring for another one to follow."""

_WINDOW_SECONDS = 10.0

_HOLD_SECONDS = 30.0
"""No growth for so long after a server was too full."""


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """What a server reports of itself: requests that run and wait there, of all its clients, and how often
    it has preempted one since it started.
    """

    running: int
    waiting: int
    preemptions: int = 0


@dataclass(slots=True)
class Capacity:
    """The requests that one endpoint may have in flight: `limit`, between 1 and ``most``."""

    most: int
    limit: int = field(init=False)
    _preemptions: int | None = None
    _held_until: float = 0.0
    _window_began: float | None = None
    _window_tokens: int = 0
    _was_full: bool = False
    _best: float = 0.0
    _is_settled: bool = False
    _reports: bool = False

    def __post_init__(self) -> None:
        self.limit = min(FIRST_REQUESTS, self.most)

    def see_load(self, load: ServerLoad, in_flight: int, now: float) -> None:
        """Take what the server reports while ``in_flight`` of our requests are there."""
        self._reports = True
        before, self._preemptions = self._preemptions, load.preemptions
        if before is not None and load.preemptions > before:
            self.shrink(in_flight, now)
            return
        spare = max(_FEWEST_WAITING, load.running // _WAITING_SHARE)
        if load.waiting > spare:
            wanted = in_flight - load.waiting + spare
            is_shared = load.running + load.waiting > in_flight + spare
            # Whoever sends fewest would be left with nothing where others fill the queue.
            self._set(max(wanted, FIRST_REQUESTS) if is_shared else wanted)
        elif not load.waiting and in_flight >= self.limit and now >= self._held_until:
            self._set(self.limit * 2)

    def see_completion(self, tokens: int, in_flight: int, now: float) -> None:
        """Take a response of so many tokens from a server that reports no load."""
        if self._reports or self._is_settled:
            return
        if self._window_began is None:
            self._window_began = now
        self._was_full |= in_flight >= self.limit
        self._window_tokens += tokens
        seconds = now - self._window_began
        if seconds < _WINDOW_SECONDS:
            return
        rate, was_full = self._window_tokens / seconds, self._was_full
        self._window_began, self._window_tokens, self._was_full = now, 0, False
        if not was_full or now < self._held_until:
            return
        if rate < self._best * _GAIN:
            self._is_settled = True
            self._set(round(self.limit / _STEP))
            return
        self._best = rate
        self._set(round(self.limit * _STEP))

    def shrink(self, in_flight: int, now: float) -> None:
        """Send fewer, after the server refused a request for its load or had to preempt one."""
        if now >= self._held_until:
            self._set(min(self.limit, round(in_flight * 0.75)))
        self._held_until = now + _HOLD_SECONDS

    def _set(self, limit: int) -> None:
        self.limit = max(1, min(limit, self.most))
