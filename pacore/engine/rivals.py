"""Requests that are sent again to another endpoint, near the end of a run or of what it can do at a time.

The last trajectories decide when a run ends, and one endpoint may be slower than the others or answer
nothing at all. So where half of all places are free, a request whose endpoint is expected to take much
longer for the rest of it than another one for all of it is sent there too. The first response is the
trajectory, with the same id and seed wherever it comes from; the other request is ended by closing its
connection, and what it had generated is waste in the books.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pacore.core.engine import EngineFault
from pacore.core.trajectory import Generation
from pacore.engine.endpoint import Endpoint, places

_GAIN = 2.0
"""Times as long as elsewhere that a request is expected to take where it is."""

_LEAST_SECONDS = 1.0
"""What sending it again is expected to save, at least."""

_RESIDUAL = 0.5
"""Of a trajectory that is as long as it was expected to be, or longer, the expected rest in what it has:
lengths have long tails.
"""

Send = Callable[[Endpoint], Awaitable[Generation]]
"""Sends one request to an endpoint, where it counts by then. Raises EngineFault."""


@dataclass(slots=True, eq=False)
class _Try:
    """A request at one endpoint; ``began`` is the service there when it was sent."""

    endpoint: Endpoint
    began: float
    response: asyncio.Future[Generation]

    def tokens(self, now: float) -> float:
        """What it is expected to have been given."""
        return max(0.0, self.endpoint.speed.service(now) - self.began)

    def wasted_tokens(self, now: float) -> int:
        """What it has cost if another try came first, or it failed."""
        if not self.response.done():
            return round(self.tokens(now))
        fault = self.response.exception()
        return fault.wasted_tokens if isinstance(fault, EngineFault) else 0


@dataclass(slots=True, eq=False)
class _Outstanding:
    """A request that has been sent once so far, and where it is to be sent ``again``."""

    first: _Try
    expected_tokens: float
    again: asyncio.Future[Endpoint]

    def seconds_here(self, now: float) -> float:
        """How long it is expected to take where it is."""
        endpoint = self.first.endpoint
        rate = endpoint.speed.tokens_per_second
        if endpoint.health.state(now) == "silent":
            return math.inf
        if rate is None:
            return 0.0
        return self._left(now) / rate if rate else math.inf

    def seconds_at(self, other: Endpoint, now: float) -> float:
        """How long all of it is expected to take elsewhere."""
        rate = other.speed.tokens_per_second
        return (self.first.tokens(now) + self._left(now)) / rate if rate else math.inf

    def _left(self, now: float) -> float:
        given = self.first.tokens(now)
        return max(self.expected_tokens - given, _RESIDUAL * given, 1.0)


class Rivals:
    """The outstanding requests of several endpoints, and which of them are sent again. Lives in one event
    loop.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._outstanding: set[_Outstanding] = set()

    async def send(self, endpoint: Endpoint, expected_tokens: float, send: Send) -> Generation:
        """Send a request to an endpoint, and later to another one too if `look` finds that worth it.

        Returns what comes first. Raises the EngineFault of the first endpoint where nothing comes.
        """
        tries = [_begun(endpoint, expected_tokens, send)]
        again: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        one = _Outstanding(tries[0], expected_tokens, again)
        self._outstanding.add(one)
        try:
            first = tries[0].response
            await asyncio.wait((first, again), return_when=asyncio.FIRST_COMPLETED)
            if first.done():
                return first.result()
            tries.append(_begun(again.result(), expected_tokens, send))
            return await _first_of(tries)
        finally:
            self._outstanding.discard(one)
            for each in tries:
                each.response.cancel()
            await asyncio.gather(*(each.response for each in tries), return_exceptions=True)

    def look(self, now: float) -> None:
        """Send again what is worth it; to be called every few seconds."""
        if 2 * sum(one.requests for one in self._endpoints) > places(self._endpoints, now):
            return
        taken = Counter[int]()
        waiting = [one for one in self._outstanding if not one.again.done()]
        for one in sorted(waiting, key=lambda one: -one.seconds_here(now)):
            others = [
                other
                for other in self._endpoints
                if other is not one.first.endpoint
                and other.health.state(now) == "serving"
                and other.requests + taken[id(other)] < other.capacity.limit
            ]
            if not others:
                continue
            best = min(others, key=lambda other: one.seconds_at(other, now))
            here, there = one.seconds_here(now), one.seconds_at(best, now)
            if here > max(_GAIN * there, there + _LEAST_SECONDS):
                taken[id(best)] += 1
                one.again.set_result(best)


def _begun(endpoint: Endpoint, expected_tokens: float, send: Send) -> _Try:
    """A try that counts at its endpoint from now on: others that begin at once go elsewhere."""
    now = time.monotonic()
    counted = ExitStack()
    counted.enter_context(endpoint.outstanding(expected_tokens, now))
    response = asyncio.ensure_future(send(endpoint))
    response.add_done_callback(lambda _: counted.close())
    return _Try(endpoint, endpoint.speed.service(now), response)


async def _first_of(tries: Sequence[_Try]) -> Generation:
    """The first generation of several tries, with what the others came to.

    Raises the EngineFault of the first try where all fail.
    """
    left = {each.response for each in tries}
    while left:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        for ended in done:
            if not isinstance(ended.exception(), EngineFault):
                return _won(ended.result(), [one for one in tries if one.response is not ended])
    faults = [each.response.exception() for each in tries]
    first = faults[0]
    assert isinstance(first, EngineFault)
    for fault in faults[1:]:
        assert isinstance(fault, EngineFault)
        first.requests += fault.requests
        first.wasted_tokens += fault.wasted_tokens
    raise first


def _won(made: Generation, others: Sequence[_Try]) -> Generation:
    """A generation with the tries that came to nothing."""
    now = time.monotonic()
    return replace(
        made,
        tries=made.tries + len(others),
        wasted_tokens=made.wasted_tokens + sum(one.wasted_tokens(now) for one in others),
    )
