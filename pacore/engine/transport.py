"""Sends requests and reads whole responses over pooled connections; alone imports aiohttp."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

import aiohttp

from pacore.core.engine import EngineFault
from pacore.engine.chat.responses import Response
from pacore.engine.chat.stream import is_stream
from pacore.engine.faults import Origin
from pacore.errors import BadInput
from pacore.proxies import Proxy, proxy_for
from pacore.text import shown

MAX_RESPONSE_BYTES = 256 * 1024 * 1024

READ_BYTES = 64 * 1024

METADATA_TIMEOUT_SECONDS = 30.0
"""Longest wait for a response that needs no sampling: models, version, token counts."""

IDLE_CONNECTION_SECONDS = 4.0
"""Idle connections are closed before uvicorn, which vLLM runs on, closes them after 5 s."""

_OPEN_FILES, _OTHER_FILES = 65_536, 256
"""Files this process opens at most, and how many of them are left for anything but connections."""

_PROBE_SECONDS = 30
"""TCP keepalive time and interval: a server that is gone is noticed within minutes, however long one
response may take."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Which TLS certificates are trusted: those signed by the system's authorities, those signed
    by the authorities in ``ca_file``, or, without ``verifies``, all.
    """

    ca_file: str | None = None
    verifies: bool = True

    def context(self) -> ssl.SSLContext | bool:
        """The argument ``ssl`` of aiohttp. Raises `pacore.errors.BadInput` for an unusable file."""
        if self.ca_file is None:
            return self.verifies
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as fault:
            why = "contains no certificate" if isinstance(fault, ssl.SSLError) else fault.strerror
            raise BadInput(f"tls_ca_file: {self.ca_file}: {why}") from None


SYSTEM_TRUST = Trust()


class Transport:
    """One pool of connections for all endpoints of an engine, opened by the first request.

    ``timeout_seconds`` bounds every response, ``connect_timeout_seconds`` every new connection.
    Raises `pacore.errors.BadInput` where ``trust`` names a file that cannot be used.
    """

    def __init__(
        self,
        api_key: str | None,
        timeout_seconds: float,
        connect_timeout_seconds: float,
        trust: Trust = SYSTEM_TRUST,
    ) -> None:
        self._api_key = api_key
        self._tls = trust.context()
        self._timeout_seconds = timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        origin: Origin,
        url: str,
        body: Mapping[str, object] | None = None,
        *,
        timeout_seconds: float = METADATA_TIMEOUT_SECONDS,
        headers: Mapping[str, str] | None = None,
        on_bytes: Callable[[bytes], None] | None = None,
    ) -> Response:
        """POST ``body``, or GET without one, through a proxy where the environment names one.

        ``on_bytes`` is called with each part of the response's body as it comes. Cancelled, it closes the
        connection, by which a server knows that nobody waits for the rest.

        Raises EngineFault where no whole response comes, and `pacore.errors.EngineUnavailable` for
        a proxy of an unsupported kind.
        """
        timeout = aiohttp.ClientTimeout(
            total=min(timeout_seconds, self._timeout_seconds),
            connect=self._connect_timeout_seconds,
        )
        proxy = proxy_for(url, os.environ)
        # A stream, as aiohttp recommends for bodies of megabytes, such as prompts of many messages.
        data = None if body is None else io.BytesIO(json.dumps(body).encode())
        try:
            async with self._opened().request(
                "GET" if body is None else "POST",
                url,
                data=data,
                headers={
                    **({"Content-Type": "application/json"} if data else {}),
                    **(headers or {}),
                },
                timeout=timeout,
                allow_redirects=False,
                proxy=None if proxy is None else proxy.url,
            ) as response:
                whole = await _read(response, origin, on_bytes)
                return Response(
                    response.status,
                    whole,
                    response.headers.get("Retry-After"),
                    response.headers.get("Content-Type"),
                    _location(response),
                    response.headers.get("Date"),
                )
        except (aiohttp.ClientError, OSError) as error:
            raise _transport_fault(origin, error, timeout, proxy) from None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # The engine's slots already limit the connections.
            connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=IDLE_CONNECTION_SECONDS,
                socket_factory=probed_socket,
                ssl=self._tls,
            )
            key = self._api_key
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"Authorization": f"Bearer {key}"} if key else {},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def most_connections() -> int:
    """How many connections this process may have, once it may open as many files as it is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return _OPEN_FILES if soft == resource.RLIM_INFINITY else max(1, soft - _OTHER_FILES)


def _location(response: aiohttp.ClientResponse) -> str | None:
    """The target of a redirect, without parts that may be secret; None for no redirect."""
    named = response.headers.get("Location")
    if named is None or not 300 <= response.status < 400:
        return None
    return shown(urljoin(str(response.url), named))


async def _read(
    response: aiohttp.ClientResponse, origin: Origin, on_bytes: Callable[[bytes], None] | None
) -> bytes:
    """The whole body; of a stream that breaks off, the part received, which may be complete."""
    whole = bytearray()
    if (response.content_length or 0) <= MAX_RESPONSE_BYTES:
        try:
            async for chunk in response.content.iter_chunked(READ_BYTES):
                whole += chunk
                if on_bytes is not None:
                    on_bytes(chunk)
                if len(whole) > MAX_RESPONSE_BYTES:
                    break
            else:
                return bytes(whole)
        except (aiohttp.ClientPayloadError, ConnectionError):
            if not is_stream(response.headers.get("Content-Type"), bytes(whole[:64])):
                raise
            return bytes(whole)
    response.close()
    what = f"{response.status} with more than {MAX_RESPONSE_BYTES} bytes"
    raise EngineFault("engine_error", origin.detail(what), transient=True)


def _transport_fault(
    origin: Origin,
    error: aiohttp.ClientError | OSError,
    timeout: aiohttp.ClientTimeout,
    proxy: Proxy | None,
) -> EngineFault:
    """The fault of an attempt that received no whole response."""
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        assert proxy is not None, "a proxy error needs a proxy"
        status = error.status if isinstance(error, aiohttp.ClientHttpProxyError) else None
        what = "cannot be reached" if status is None else f"refuses the connection ({status})"
        detail = origin.detail(f"the proxy {proxy.shown} ({proxy.variable}) {what}")
        return EngineFault("engine_error", detail, transient=status not in (401, 403, 407))
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        detail = origin.detail(f"no connection within {timeout.connect:g} s")
        return EngineFault("timeout", detail, transient=True)
    if isinstance(error, TimeoutError):
        detail = origin.detail(f"no response within {timeout.total:g} s")
        return EngineFault("timeout", detail, transient=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        wrong = error.certificate_error
        reason = wrong.verify_message if isinstance(wrong, ssl.SSLCertVerificationError) else ""
        untrusted = "its certificate is not trusted; name its authority with --tls-ca-file"
        detail = origin.detail(untrusted, reason)
        return EngineFault("engine_error", detail, transient=False)
    what, words = _in_words(error, origin.endpoint)
    words = words if proxy is None else words.replace(proxy.url, proxy.shown)
    return EngineFault("engine_error", origin.detail(what, words), transient=True)


def _in_words(error: aiohttp.ClientError | OSError, endpoint: str) -> tuple[str, str]:
    """Why there was no whole response, and what the system or the library says of it."""
    other = (
        "perhaps it speaks https://"
        if endpoint.startswith("http://")
        else "perhaps it speaks http://"
    )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"no connection: the host name {error.host!r} is not known", ""
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"no connection: TLS fails ({other})", _said(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        if error.os_error.errno == errno.ECONNREFUSED:
            return (
                f"no connection: no server listens at {error.host}:{error.port}; is it started?",
                "",
            )
        return "no connection", _said(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return f"the server closes the connection without a response ({other})", ""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"what answers does not speak HTTP ({other})", error.message
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the response breaks off", ""
    if isinstance(error, aiohttp.ClientOSError):
        return "the connection breaks off", _said(error)
    return type(error).__name__, str(error)


def _said(error: OSError) -> str:
    """An error of the system or of TLS in its own words, without a number."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return os.strerror(error.errno).lower() if error.errno else str(error)


def probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket with TCP keepalive, with the intervals of `_PROBE_SECONDS` where they can be set."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, option):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), _PROBE_SECONDS)
    return opened
