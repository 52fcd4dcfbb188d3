"""Selects the endpoint of the next request: the least loaded one that is not backing off. Pure.

An endpoint that is down refuses at once and therefore always looks idle; without backoff after a
fault every request would be sent to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pacore.engine.chat.wire_format import STANDARD_FORMAT, WireFormat
from pacore.engine.faults import Origin
from pacore.errors import BadInput
from pacore.text import shown

FIRST_BACKOFF_SECONDS = 1.0

MAX_BACKOFF_SECONDS = 30.0

_ROUTE = re.compile(r"/+(chat/completions|completions|models)?/*$")


@dataclass(slots=True, eq=False)
class Endpoint:
    """One server: its address, its reported version, its capabilities and its current load.

    ``root`` is the URL without ``/v1``, under which servers have their routes outside OpenAI's
    interface. ``requests`` and ``expected_tokens`` are outstanding. ``tokenizes`` and ``counts``
    become False when the server turns out to have no tokenizer route, or no counter of generated
    tokens. ``wire`` is the wire format that it accepts, as far as its refusals have shown.
    ``has_served``: a complete response has come from it. ``faults`` counts its last faults in a
    row, and until ``backs_off_until`` (monotonic seconds) it takes no request.
    """

    origin: Origin
    version: str | None = None
    requests: int = 0
    expected_tokens: int = 0
    faults: int = 0
    backs_off_until: float = 0.0
    tokenizes: bool = True
    wire: WireFormat = STANDARD_FORMAT
    has_served: bool = False
    counts: bool = True

    @staticmethod
    def at(url: str, secret: str | None = None) -> Endpoint:
        """The endpoint of a base URL. Raises BadInput for an unusable one."""
        return Endpoint(Origin(checked_url(url), secret))

    @property
    def url(self) -> str:
        return self.origin.endpoint

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    def back_off(self, now: float, retry_after_seconds: float | None = None) -> None:
        """Take no request for ``retry_after_seconds``, or for a time that doubles with each fault
        in a row; ``now`` is in monotonic seconds.

        Faults during the backoff are ignored: their requests were sent before it began.
        """
        if now < self.backs_off_until:
            return
        doubled = min(FIRST_BACKOFF_SECONDS * 2 ** min(self.faults, 16), MAX_BACKOFF_SECONDS)
        self.faults += 1
        wait_seconds = doubled if retry_after_seconds is None else retry_after_seconds
        self.backs_off_until = now + wait_seconds

    def record_success(self) -> None:
        """Reset the faults after a complete response."""
        self.faults = 0
        self.has_served = True


def least_loaded(endpoints: Sequence[Endpoint], now: float) -> Endpoint:
    """The endpoint with the fewest outstanding requests, then tokens, then the first in order.

    Endpoints that back off at ``now`` are left out; where all do, the one whose backoff ends first.
    """
    available = [endpoint for endpoint in endpoints if endpoint.backs_off_until <= now]
    if not available:
        return min(endpoints, key=lambda endpoint: endpoint.backs_off_until)
    return min(available, key=lambda endpoint: (endpoint.requests, endpoint.expected_tokens))


def checked_url(url: str) -> str:
    """A base URL without surrounding white space, a trailing slash, or a route below the base such
    as ``/chat/completions``. Raises BadInput for a text that is no usable URL.
    """
    checked = _ROUTE.sub("", url.strip()).rstrip("/")
    try:
        parts = urlsplit(checked)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_usable = is_usable and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable or not checked.isprintable() or " " in checked:
        raise BadInput(f"--endpoint {shown(url)!r}: not a URL such as {_like(shown(checked))}")
    if parts.username is not None or parts.password is not None:
        raise BadInput(f"--endpoint at {parts.hostname}: its URL contains a user name or password")
    if parts.query or parts.fragment:
        raise BadInput(
            f"--endpoint {shown(url)}: its URL contains a query or fragment ('?' or '#')"
        )
    return checked


def _like(typed: str) -> str:
    """A URL such as the one that was meant: what was typed with a scheme and a path, if that is one."""
    if re.fullmatch(r"[a-z0-9.-]+(:[0-9]{1,5})?(/[\w./-]*)?", typed, re.IGNORECASE):
        return f"http://{typed}" if "/" in typed else f"http://{typed}/v1"
    return "http://127.0.0.1:8000/v1"


def checked_api_key(api_key: str | None) -> str | None:
    """A key without surrounding white space; None for an empty one.

    Raises BadInput, with a message that leaves the key out, for characters that are not valid in a
    header.
    """
    key = (api_key or "").strip()
    if not re.fullmatch(r"[!-~]*", key):
        raise BadInput("the API key contains characters that are not valid in an HTTP header")
    return key or None
