"""Engine ``http``: one or many OpenAI-compatible endpoints. The door for aiohttp."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp

from pacore.engine.answers import (
    NO_SUCH_ROUTE,
    Answer,
    read_count,
    read_generation,
    read_models,
    read_version,
    tokenize_text,
    tokenize_turns,
)
from pacore.engine.classify import Origin
from pacore.engine.protocol import EngineFault, EngineInfo
from pacore.engine.routing import Endpoint, checked_key, choose
from pacore.errors import BadInput, EngineUnavailable
from pacore.problem import Turn
from pacore.recipe import Recipe
from pacore.trajectory import Generation, Request, sampling_payload

MAX_RESPONSE_BYTES = 256 * 1024 * 1024
READ_BYTES = 64 * 1024

ASIDE_TIMEOUT_SECONDS = 30.0
"""Longest wait for an answer that needs no sampling: models, version, token counts."""

IDLE_CONNECTION_SECONDS = 4.0
"""Idle connections are given up before uvicorn, which vLLM runs on, closes them after 5 s."""

PROBE_SECONDS = 30
"""A connection silent for so long is probed: a server that vanished is noticed within minutes,
however long one response may take."""


class HttpEngine:
    """Samples trajectories from OpenAI-compatible servers, over pooled connections.

    ``endpoints`` are base URLs such as ``http://127.0.0.1:8000/v1``, all serving ``model``.
    ``concurrency`` is per endpoint; ``slots`` is theirs together. ``generate`` makes one try, and
    trying again is the caller's. Raises `pacore.errors.BadInput` for an unusable endpoint or key.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        model: str,
        *,
        api_key: str | None,
        concurrency: int,
        timeout_seconds: float,
        connect_timeout_seconds: float,
    ) -> None:
        if not endpoints:
            raise BadInput("endpoints: engine http needs at least one")
        self._api_key = checked_key(api_key)
        self._endpoints = tuple(Endpoint.at(url, self._api_key) for url in endpoints)
        self._model = model
        self._concurrency = concurrency
        self._timeout_seconds = timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    @property
    def slots(self) -> int:
        return self._concurrency * len(self._endpoints)

    async def describe(self) -> EngineInfo:
        """Ask every endpoint what it serves; the window is the smallest ``max_model_len``.

        Raises `pacore.errors.EngineUnavailable` when an endpoint does not answer, refuses the key,
        or does not serve the model. One without a list of models is taken at its word.
        """
        asked = await asyncio.gather(*(self._learn(endpoint) for endpoint in self._endpoints))
        models = []
        for served in asked:
            if isinstance(served, EngineUnavailable):
                raise served
            models.append(served)
        windows = [window for served in models if (window := served.get(self._model))]
        versions = dict.fromkeys(e.version for e in self._endpoints if e.version is not None)
        return EngineInfo(
            name="http",
            version=", ".join(versions) or None,
            window_tokens=min(windows, default=None),
            served_models=tuple(dict.fromkeys(name for served in models for name in served)),
        )

    async def generate(self, request: Request) -> Generation:
        endpoint = choose(self._endpoints, time.monotonic())
        expected_tokens = request.recipe.max_tokens or 0
        endpoint.requests += 1
        endpoint.expected_tokens += expected_tokens
        try:
            generation = await self._complete(endpoint, request)
        except EngineFault as fault:
            if fault.transient:
                endpoint.rest(time.monotonic(), fault.retry_after_seconds)
            raise
        finally:
            endpoint.requests -= 1
            endpoint.expected_tokens -= expected_tokens
        endpoint.works()
        return generation

    async def count_prompt_tokens(self, recipe: Recipe, turns: Sequence[Turn]) -> int | None:
        endpoint = choose(self._endpoints, time.monotonic())
        return await self._tokenize(endpoint, tokenize_turns(recipe, turns))

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _complete(self, endpoint: Endpoint, request: Request) -> Generation:
        started = time.monotonic()
        answer = await self._send(
            endpoint,
            f"{endpoint.url}/chat/completions",
            sampling_payload(request),
            timeout_seconds=self._timeout_seconds,
            headers={"X-Request-ID": request.trajectory_id},
        )
        latency_seconds = time.monotonic() - started
        generation = read_generation(endpoint.origin, answer, datetime.now(UTC))
        if generation.finish_reason != "context_overflow":
            generation = await self._counted(endpoint, request, generation)
        return replace(
            generation,
            engine="http",
            engine_version=endpoint.version,
            latency_seconds=latency_seconds,
        )

    async def _counted(
        self, endpoint: Endpoint, request: Request, generation: Generation
    ) -> Generation:
        """The generation with the counts its usage lacks, from the server's tokenizer."""
        prompt_tokens, completion_tokens = generation.prompt_tokens, generation.completion_tokens
        usage_source = generation.usage_source
        if prompt_tokens is None:
            prompt = tokenize_turns(request.recipe, request.turns)
            prompt_tokens = await self._tokenize(endpoint, prompt)
        text = (generation.reasoning or "") + (generation.content or "")
        if completion_tokens is None and text:
            completion_tokens = await self._tokenize(endpoint, tokenize_text(request.recipe, text))
            usage_source = "unknown" if completion_tokens is None else "tokenizer"
        return replace(
            generation,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            usage_source=usage_source,
        )

    async def _tokenize(self, endpoint: Endpoint, body: Mapping[str, Any]) -> int | None:
        if not endpoint.tokenizes:
            return None
        try:
            answer = await self._send(endpoint, f"{endpoint.root}/tokenize", body)
        except EngineFault:
            return None
        endpoint.tokenizes = answer.status not in NO_SUCH_ROUTE
        return read_count(answer)

    async def _learn(self, endpoint: Endpoint) -> dict[str, int | None] | EngineUnavailable:
        """Served models with their windows, or why there are none; the version on the way."""
        try:
            answer = await self._send(endpoint, f"{endpoint.url}/models")
            served = read_models(endpoint.origin, answer, self._model)
        except EngineFault as fault:
            return EngineUnavailable(fault.detail)
        except EngineUnavailable as unavailable:
            return unavailable
        try:
            endpoint.version = read_version(await self._send(endpoint, f"{endpoint.root}/version"))
        except EngineFault:
            endpoint.version = None
        return served

    async def _send(
        self,
        endpoint: Endpoint,
        url: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = ASIDE_TIMEOUT_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """POST ``body``, or GET without one. Raises EngineFault for whatever is no answer."""
        timeout = aiohttp.ClientTimeout(
            total=min(timeout_seconds, self._timeout_seconds),
            connect=self._connect_timeout_seconds,
        )
        try:
            async with self._opened().request(
                "GET" if body is None else "POST",
                url,
                json=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                whole = await _read(response, endpoint.origin)
                return Answer(response.status, whole, response.headers.get("Retry-After"))
        except (aiohttp.ClientError, OSError) as error:
            raise _transport_fault(endpoint.origin, error, timeout) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Slots bound the connections; a limit here would only wait a second time.
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=IDLE_CONNECTION_SECONDS, socket_factory=probed_socket
            )
            key = self._api_key
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"Authorization": f"Bearer {key}"} if key else {},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _read(response: aiohttp.ClientResponse, origin: Origin) -> bytes:
    whole = bytearray()
    if (response.content_length or 0) <= MAX_RESPONSE_BYTES:
        async for chunk in response.content.iter_chunked(READ_BYTES):
            whole += chunk
            if len(whole) > MAX_RESPONSE_BYTES:
                break
        else:
            return bytes(whole)
    response.close()
    what = f"{response.status} with more than {MAX_RESPONSE_BYTES} bytes"
    raise EngineFault("engine_error", origin.detail(what), transient=True)


def _transport_fault(
    origin: Origin, error: aiohttp.ClientError | OSError, timeout: aiohttp.ClientTimeout
) -> EngineFault:
    """The fault of a try that brought no whole answer."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        detail = origin.detail(f"no connection within {timeout.connect:g} s")
        return EngineFault("timeout", detail, transient=True)
    if isinstance(error, TimeoutError):
        detail = origin.detail(f"no answer within {timeout.total:g} s")
        return EngineFault("timeout", detail, transient=True)
    detail = origin.detail(type(error).__name__, str(error))
    passing = not isinstance(error, aiohttp.ClientConnectorCertificateError)
    return EngineFault("engine_error", detail, transient=passing)


def probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket on which the kernel probes a silent peer, where the kernel can be told to."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, option):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), PROBE_SECONDS)
    return opened
