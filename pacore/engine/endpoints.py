"""Which endpoint takes the next request: the least loaded of those that work. Pure.

An endpoint that is down refuses at once and so always looks idle; without a rest after a fault it
would draw every request of the run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pacore.engine.chat.spelling import USUAL, Wire
from pacore.engine.faults import Origin
from pacore.errors import BadInput
from pacore.text import shown

FIRST_REST_SECONDS = 1.0


MAX_REST_SECONDS = 30.0

_ROUTE = re.compile(r"/+(chat/completions|completions|models)?/*$")


@dataclass(slots=True, eq=False)
class Endpoint:
    """One server: where it is, what it said of itself, and what it has to do now.

    ``root`` is the URL without ``/v1``, where a server keeps what is not OpenAI's interface.
    ``requests`` and ``expected_tokens`` are outstanding. ``tokenizes`` and ``counts`` turn False once
    the server has shown that it has no tokenizer route, or no counter of generated tokens. ``wire``
    is the form in which it takes requests, as far as its refusals have shown, and ``has_served``
    whether a whole answer ever came.
    """

    origin: Origin
    version: str | None = None
    requests: int = 0
    expected_tokens: int = 0
    faults: int = 0
    rests_until: float = 0.0
    tokenizes: bool = True
    wire: Wire = USUAL
    has_served: bool = False
    counts: bool = True

    @staticmethod
    def at(url: str, secret: str | None = None) -> Endpoint:
        """The endpoint of a base URL. Raises BadInput for one that no request can go to."""
        return Endpoint(Origin(checked_url(url), secret))

    @property
    def url(self) -> str:
        return self.origin.endpoint

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    def rest(self, now: float, retry_after_seconds: float | None = None) -> None:
        """Take no requests for a while, longer with every fault in a row; ``now`` in seconds.

        Faults of requests that were under way when the rest began say nothing new.
        """
        if now < self.rests_until:
            return
        doubled = min(FIRST_REST_SECONDS * 2 ** min(self.faults, 16), MAX_REST_SECONDS)
        self.faults += 1
        self.rests_until = now + (doubled if retry_after_seconds is None else retry_after_seconds)

    def works(self) -> None:
        """Forget earlier faults: a whole answer came."""
        self.faults = 0
        self.has_served = True


def choose(endpoints: Sequence[Endpoint], now: float) -> Endpoint:
    """The working endpoint with the fewest outstanding requests, then tokens, then the first.

    Where all of them rest, it is the one whose rest ends first.
    """
    awake = [endpoint for endpoint in endpoints if endpoint.rests_until <= now]
    if not awake:
        return min(endpoints, key=lambda endpoint: endpoint.rests_until)
    return min(awake, key=lambda endpoint: (endpoint.requests, endpoint.expected_tokens))


def checked_url(url: str) -> str:
    """A base URL without white space around it, a slash at its end, or a route below the base, as
    one copies it from a manual. Raises BadInput.
    """
    checked = _ROUTE.sub("", url.strip()).rstrip("/")
    try:
        parts = urlsplit(checked)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_usable = is_usable and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable or not checked.isprintable() or " " in checked:
        raise BadInput(f"endpoint {shown(url)!r}: not a URL such as http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.password is not None:
        raise BadInput(f"endpoint at {parts.hostname}: has a name or password in its URL")
    if parts.query or parts.fragment:
        raise BadInput(f"endpoint {shown(url)}: ends in '?' or '#', to which no path can be added")
    return checked


def checked_key(api_key: str | None) -> str | None:
    """A key as a header can carry it, None for an empty one. Raises BadInput, without the key."""
    key = (api_key or "").strip()
    if not re.fullmatch(r"[!-~]*", key):
        raise BadInput("the API key has characters that an HTTP header cannot carry")
    return key or None
