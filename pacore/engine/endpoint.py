"""One server of engine ``http``: whether it takes requests, how fast it is, how many it has.

Pure: times are given, in monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from pacore.core.engine import EngineFault
from pacore.engine.capacity import MOST_REQUESTS, Capacity, ServerLoad
from pacore.engine.chat.wire_format import STANDARD_FORMAT, WireFormat
from pacore.engine.faults import Origin

_FIRST_REST_SECONDS = 1.0
_MAX_REST_SECONDS = 30.0

_COUNTER_WEIGHT = 0.5
"""Of one more reading of a server's counter in the running mean of its speed."""

_RESPONSE_WEIGHT = 0.2
"""Of one more response in that of a server without a counter."""

_FULLER = 0.1
"""The share of its capacity by which a prompt's endpoint may be fuller than another."""

_MOST_HOMES = 10_000

State = Literal["serving", "resting", "probing", "silent"]
"""``serving``: takes requests. ``resting``: takes none for a time after a fault. ``probing``: the rest has
ended, and it takes one request, whose outcome decides. ``silent``: it does not answer even to a request for
its metrics; it takes none until something comes from it, and what is outstanding stays there."""


@dataclass(slots=True)
class Health:
    """The state of a server, as a state machine.

    One that is down refuses at once and so always looks idle: without a rest after a fault every request
    would be sent to it, and at the end of the rest as many as it takes.
    """

    faults: int = 0
    rests_until: float = 0.0
    is_probed: bool = False
    is_silent: bool = False
    _is_in_doubt: bool = False

    def state(self, now: float) -> State:
        if now < self.rests_until:
            return "resting"
        if self.is_silent:
            return "silent"
        return "probing" if self._is_in_doubt else "serving"

    def see_fault(
        self, now: float, retry_after_seconds: float | None = None, *, is_overload: bool = False
    ) -> None:
        """Take no request for ``retry_after_seconds``, or for a time that doubles with each fault in a row.

        Faults during a rest are ignored: their requests were sent before it began. After one that was
        due to its load (``is_overload``) a server needs no probe.
        """
        if now < self.rests_until:
            return
        doubled = min(_FIRST_REST_SECONDS * 2 ** min(self.faults, 16), _MAX_REST_SECONDS)
        self.faults += 1
        self._is_in_doubt = not is_overload
        self.rests_until = now + (doubled if retry_after_seconds is None else retry_after_seconds)

    def see_response(self) -> None:
        """A complete response has come: forget the faults."""
        self.faults = 0
        self._is_in_doubt = self.is_silent = False


@dataclass(slots=True)
class Speed:
    """How many tokens a second each running request is given.

    A server runs its requests in one batch, each with one token a step. So the tokens that a request would
    have been given since the start, the *service*, tell of any request how many it has been given since it
    was sent. Measured by the server's counter of generated tokens where it has one, else by responses.
    """

    tokens_per_second: float | None = None
    _service: float = 0.0
    _known_at: float | None = None
    _counted: tuple[int, int, float, float] | None = None

    @property
    def is_counted(self) -> bool:
        """Whether a counter of the server has been read."""
        return self._counted is not None

    def service(self, now: float) -> float:
        """Tokens given to a request that runs since the first reading."""
        since = 0.0 if self._known_at is None else max(0.0, now - self._known_at)
        return self._service + (self.tokens_per_second or 0.0) * since

    def see_counter(self, generated_tokens: int, running: int, now: float) -> None:
        """Take the server's counter, with how many requests run there now."""
        before, ran, at, service = self._counted or (0, 0, now, self.service(now))
        # It begins at 0 again where the server was started again.
        if now > at and generated_tokens >= before and (together := (running + ran) / 2):
            given = (generated_tokens - before) / together
            service += given
            self._see(given / (now - at), _COUNTER_WEIGHT)
        self._service, self._known_at = service, now
        self._counted = generated_tokens, running, now, service

    def see_response(self, tokens: int, seconds: float, now: float) -> None:
        """Take a response and how long it took, of a server without a counter or before its second
        reading.
        """
        is_known = self.is_counted and self.tokens_per_second is not None
        if is_known or not tokens or seconds <= 0:
            return
        self._service, self._known_at = self.service(now), now
        self._see(tokens / seconds, _RESPONSE_WEIGHT)

    def _see(self, seen: float, weight: float) -> None:
        before = self.tokens_per_second
        self.tokens_per_second = seen if before is None else before + weight * (seen - before)


@dataclass(slots=True, eq=False)
class Endpoint:
    """One server: its address, its reported version, its capabilities and its current load.

    ``root`` is the URL without ``/v1``, under which servers have their routes outside OpenAI's
    interface. ``capacity`` bounds ``requests``, which are outstanding, as ``expected_tokens`` are.
    ``tokenizes`` and ``counts`` become False when the server turns out to have no tokenizer route, or no
    counter of generated tokens. ``wire`` is the wire format that it accepts, as far as its refusals
    and its metrics have shown. ``has_served``: a complete response has come from it.
    """

    origin: Origin
    capacity: Capacity = field(default_factory=lambda: Capacity(MOST_REQUESTS))
    health: Health = field(default_factory=Health)
    speed: Speed = field(default_factory=Speed)
    version: str | None = None
    requests: int = 0
    expected_tokens: float = 0.0
    tokenizes: bool = True
    wire: WireFormat = STANDARD_FORMAT
    has_served: bool = False
    counts: bool = True

    @property
    def url(self) -> str:
        return self.origin.endpoint

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    def takes(self, now: float) -> bool:
        """Whether it takes one more request."""
        state = self.health.state(now)
        if state == "serving":
            return self.requests < self.capacity.limit
        return state == "probing" and not self.health.is_probed

    @property
    def load(self) -> float:
        """The share of its capacity that is taken."""
        return self.requests / self.capacity.limit

    def places(self, now: float) -> int:
        """How many requests it takes at a time; of a server that takes none for now, those that it has."""
        if self.health.state(now) == "serving":
            return self.capacity.limit
        return self.requests + self.takes(now)

    @contextmanager
    def outstanding(self, expected_tokens: float, now: float) -> Iterator[None]:
        """Count a request for as long as it is there."""
        is_probe = self.health.state(now) == "probing" and not self.health.is_probed
        self.health.is_probed |= is_probe
        self.requests += 1
        self.expected_tokens += expected_tokens
        try:
            yield
        finally:
            self.health.is_probed &= not is_probe
            self.requests -= 1
            self.expected_tokens -= expected_tokens

    def see_response(self, tokens: int, seconds: float, now: float) -> None:
        """Take a complete response of so many generated tokens, while its request still counts."""
        self.health.see_response()
        self.has_served = True
        self.capacity.see_completion(tokens, self.requests, now)
        self.speed.see_response(tokens, seconds, now)

    def see_fault(self, fault: EngineFault, now: float) -> None:
        """Take a try that failed, while its request still counts."""
        if fault.is_overload:
            self.capacity.shrink(self.requests, now)
        self.health.see_fault(now, fault.retry_after_seconds, is_overload=fault.is_overload)

    def see_metrics(
        self, load: ServerLoad | None, generated_tokens: int | None, now: float
    ) -> None:
        """Take what the server reports of itself."""
        if load is not None:
            self.capacity.see_load(load, self.requests, now)
        if generated_tokens is not None:
            running = self.requests if load is None else load.running
            self.speed.see_counter(generated_tokens, running, now)


def places(endpoints: Sequence[Endpoint], now: float) -> int:
    """How many requests some endpoints take at a time together; where none is serving, as many as if all
    were, so that what is outstanding can be tried again.
    """
    if any(one.health.state(now) in ("serving", "probing") for one in endpoints):
        return sum(one.places(now) for one in endpoints)
    return sum(one.capacity.limit for one in endpoints)


def least_loaded(endpoints: Sequence[Endpoint], now: float) -> Endpoint:
    """The endpoint that is the least full, then that with the fewest outstanding tokens, then the first.

    Those that take no request at ``now`` are left out; where none does, those that are serving and full,
    and where none is, the first to end its rest.
    """
    available = [one for one in endpoints if one.takes(now)]
    available = available or [one for one in endpoints if one.health.state(now) == "serving"]
    if not available:
        return min(endpoints, key=lambda one: one.health.rests_until)
    return min(available, key=lambda one: (one.load, one.expected_tokens))


class Homes:
    """Where the requests of each prompt went last: the server there has the prompt in its cache, and any
    other would have to compute it once more.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._home: OrderedDict[str, Endpoint] = OrderedDict()

    def choose(self, prompt_digest: str, now: float) -> Endpoint:
        """The endpoint of the prompt's last request unless it is much fuller than the least full one."""
        chosen = least_loaded(self._endpoints, now)
        home = self._home.pop(prompt_digest, None)
        if home is not None and home.takes(now) and home.load <= chosen.load + _FULLER:
            chosen = home
        self._home[prompt_digest] = chosen
        if len(self._home) > _MOST_HOMES:
            self._home.popitem(last=False)
        return chosen
