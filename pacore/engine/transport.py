"""How requests reach endpoints and whole answers come back: pooled connections. The aiohttp door."""

from __future__ import annotations

import io
import json
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
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

ASIDE_TIMEOUT_SECONDS = 30.0
"""Longest wait for an answer that needs no sampling: models, version, token counts."""

IDLE_CONNECTION_SECONDS = 4.0
"""Idle connections are given up before uvicorn, which vLLM runs on, closes them after 5 s."""

PROBE_SECONDS = 30
"""A connection silent for so long is probed: a server that vanished is noticed within minutes,
however long one response may take."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates are believed: the system's authorities', those of ``ca_file``, or all."""

    ca_file: str | None = None
    verifies: bool = True

    def context(self) -> ssl.SSLContext | bool:
        """The same in aiohttp's words. Raises `pacore.errors.BadInput` for an unusable file."""
        if self.ca_file is None:
            return self.verifies
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as fault:
            why = "holds no certificate" if isinstance(fault, ssl.SSLError) else fault.strerror
            raise BadInput(f"tls_ca_file: {self.ca_file}: {why}") from None


SYSTEM_TRUST = Trust()


class Transport:
    """One pool of connections for all endpoints of an engine, opened by the first request.

    ``timeout_seconds`` bounds every answer, ``connect_timeout_seconds`` every new connection.
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
        body: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = ASIDE_TIMEOUT_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """POST ``body``, or GET without one, through a proxy where the environment names one.

        Raises EngineFault for whatever is no answer, and `pacore.errors.EngineUnavailable` for a
        proxy of a kind that cannot be used.
        """
        timeout = aiohttp.ClientTimeout(
            total=min(timeout_seconds, self._timeout_seconds),
            connect=self._connect_timeout_seconds,
        )
        proxy = proxy_for(url, os.environ)
        # In pieces, as aiohttp wants it: a prompt with many messages is megabytes long.
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
                whole = await _read(response, origin)
                return Response(
                    response.status,
                    whole,
                    response.headers.get("Retry-After"),
                    response.headers.get("Content-Type"),
                    _location(response),
                )
        except (aiohttp.ClientError, OSError) as error:
            raise _transport_fault(origin, error, timeout, proxy) from None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Slots bound the connections; a limit here would only wait a second time.
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


def _location(response: aiohttp.ClientResponse) -> str | None:
    """Where a redirect leads, without what may be a secret in it."""
    named = response.headers.get("Location")
    if named is None or not 300 <= response.status < 400:
        return None
    return shown(urljoin(str(response.url), named))


async def _read(response: aiohttp.ClientResponse, origin: Origin) -> bytes:
    """The whole body. Of a stream that breaks off, what came: it may have said all it had to say."""
    whole = bytearray()
    if (response.content_length or 0) <= MAX_RESPONSE_BYTES:
        try:
            async for chunk in response.content.iter_chunked(READ_BYTES):
                whole += chunk
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
    """The fault of a try that brought no whole answer."""
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        assert proxy is not None, "only where there is one"
        status = error.status if isinstance(error, aiohttp.ClientHttpProxyError) else None
        what = "cannot be reached" if status is None else f"refuses the connection ({status})"
        detail = origin.detail(f"the proxy {proxy.shown} ({proxy.variable}) {what}")
        return EngineFault("engine_error", detail, transient=status not in (401, 403, 407))
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        detail = origin.detail(f"no connection within {timeout.connect:g} s")
        return EngineFault("timeout", detail, transient=True)
    if isinstance(error, TimeoutError):
        detail = origin.detail(f"no answer within {timeout.total:g} s")
        return EngineFault("timeout", detail, transient=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        wrong = error.certificate_error
        reason = wrong.verify_message if isinstance(wrong, ssl.SSLCertVerificationError) else ""
        untrusted = "its certificate is not trusted; name its authority with --tls-ca-file"
        detail = origin.detail(untrusted, reason)
        return EngineFault("engine_error", detail, transient=False)
    words = str(error) if proxy is None else str(error).replace(proxy.url, proxy.shown)
    detail = origin.detail(type(error).__name__, words)
    return EngineFault("engine_error", detail, transient=True)


def probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket on which the kernel probes a silent peer, where the kernel can be told to."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, option):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), PROBE_SECONDS)
    return opened
