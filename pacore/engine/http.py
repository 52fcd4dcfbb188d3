"""Engine ``http``: one or many OpenAI-compatible endpoints.

A request goes to the least loaded endpoint of those that take one (`pacore.engine.endpoint.Health`), or to
that which has its prompt in its cache and is hardly fuller; and near the end to a second one where that is
expected to be much faster (`pacore.engine.rivals`).
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from pacore.core.engine import NO_HINT, Cause, EngineFault, EngineInfo, Hint, Refusal
from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request
from pacore.engine.capacity import Capacity
from pacore.engine.causes import find_base_url, find_cause, may_be_wrong_base, wrong_base
from pacore.engine.chat.completion import read_generation
from pacore.engine.chat.responses import (
    NO_SUCH_ROUTE,
    Models,
    Response,
    read_count,
    read_generated_tokens,
    read_load,
    read_models,
    read_version,
    takes_priority,
    tokenize_text,
    tokenize_turns,
)
from pacore.engine.chat.stream import StreamCount
from pacore.engine.endpoint import Endpoint, Homes, least_loaded, places
from pacore.engine.faults import Origin
from pacore.engine.rivals import Rivals
from pacore.engine.transport import SYSTEM_TRUST, Transport, Trust, most_connections
from pacore.errors import BadInput, EngineUnavailable
from pacore.text import shown

OVERLOADED = (429, 503)
"""Statuses by which a server refuses a request for its load."""

METRICS_TIMEOUT_SECONDS = 10.0
"""A server that does not report its metrics within so long is silent."""

_ROUTE = re.compile(r"/+(chat/completions|completions|models)?/*$")


def _checked_url(url: str) -> str:
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


def _checked_key(api_key: str | None) -> str | None:
    """A key without surrounding white space; None for an empty one.

    Raises BadInput, with a message that leaves the key out, for characters that are not valid in a
    header.
    """
    key = (api_key or "").strip()
    if not re.fullmatch(r"[!-~]*", key):
        raise BadInput("the API key contains characters that are not valid in an HTTP header")
    return key or None


class HttpEngine:
    """Samples trajectories from OpenAI-compatible servers, over pooled connections.

    ``endpoints`` are base URLs such as ``http://127.0.0.1:8000/v1``, all serving ``model``.
    ``concurrency`` is the most simultaneous requests per endpoint; ``slots`` is how many keep the
    endpoints busy, as far as that is known by now. ``generate`` makes one attempt; the caller retries.
    Raises `pacore.errors.BadInput` for an unusable endpoint or key.
    """

    def __init__(  # noqa: PLR0913 - address, key, certificates and timeouts of one connection
        self,
        endpoints: Sequence[str],
        model: str,
        *,
        api_key: str | None,
        concurrency: int,
        timeout_seconds: float,
        connect_timeout_seconds: float,
        trust: Trust = SYSTEM_TRUST,
    ) -> None:
        if not endpoints:
            raise BadInput("endpoints: engine http needs at least one")
        key = _checked_key(api_key)
        most = min(concurrency, max(1, most_connections() // len(endpoints)))
        self._endpoints = tuple(
            Endpoint(Origin(_checked_url(url), key), Capacity(most)) for url in endpoints
        )
        self._homes = Homes(self._endpoints)
        self._rivals = Rivals(self._endpoints)
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._transport = Transport(key, timeout_seconds, connect_timeout_seconds, trust)

    @property
    def slots(self) -> int:
        return places(self._endpoints, time.monotonic())

    async def describe(self) -> EngineInfo:
        """Request the model list of every endpoint; the window is the smallest ``max_model_len``.

        Raises `pacore.errors.EngineUnavailable` when an endpoint does not answer, refuses the key,
        or does not serve the model. One without a list of models is assumed to serve it.
        """
        lists = await asyncio.gather(*(self._read_models(endpoint) for endpoint in self._endpoints))
        models = []
        for found in lists:
            if isinstance(found, EngineUnavailable):
                raise found
            models.append(found)
        cards = [found.card for found in models if found.card is not None]
        windows = [card.window_tokens for card in cards if card.window_tokens is not None]
        return EngineInfo(
            name="http",
            version=_distinct(endpoint.version for endpoint in self._endpoints),
            window_tokens=min(windows, default=None),
            served_models=tuple(dict.fromkeys(name for found in models for name in found.served)),
            model_root=_distinct(card.root for card in cards),
        )

    async def generate(self, request: Request, hint: Hint = NO_HINT) -> Generation:
        now = time.monotonic()
        if len(self._endpoints) == 1:
            (only,) = self._endpoints
            with only.outstanding(hint.expected_tokens, now):
                return await self._send(only, request, hint)
        endpoint = self._homes.choose(request.prompt_digest, now)
        send = partial(self._send, request=request, hint=hint)
        return await self._rivals.send(endpoint, hint.expected_tokens, send)

    async def _send(self, endpoint: Endpoint, request: Request, hint: Hint) -> Generation:
        """One try at an endpoint, whose load and health follow it."""
        try:
            generation = await self._negotiate(endpoint, request, hint)
        except EngineFault as fault:
            others = [one for one in self._endpoints if one is not endpoint]
            if fault.refusal is not None and others and not endpoint.has_served:
                fault.is_endpoints = True
                fault.transient = any(one.has_served for one in others)
            if fault.transient or fault.is_endpoints:
                endpoint.see_fault(fault, time.monotonic())
            raise
        tokens = generation.completion_tokens or 0
        endpoint.see_response(tokens, generation.latency_seconds, time.monotonic())
        return generation

    async def cause_of(self, request: Request, refusal: Refusal) -> Cause:
        """Request the models of the endpoint that refused, and its interface under other URLs."""
        endpoint = next(one for one in self._endpoints if one.url == refusal.endpoint)
        get = partial(self._get, endpoint)
        body = endpoint.wire.body(request)
        return await find_cause(endpoint.origin, get, refusal, body, request.recipe.model)

    async def count_prompt_tokens(self, recipe: Recipe, turns: Sequence[Turn]) -> int | None:
        endpoint = least_loaded(self._endpoints, time.monotonic())
        return await self._tokenize(endpoint, tokenize_turns(recipe, turns))

    async def generated_tokens(self) -> int | None:
        """The sum of the servers' counters, where all of them are vLLM, SGLang or llama.cpp; the slots
        follow the load that they report with them, and what takes too long is sent again.
        """
        counts = await asyncio.gather(*(self._count(endpoint) for endpoint in self._endpoints))
        self._rivals.look(time.monotonic())
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    async def close(self) -> None:
        await self._transport.close()

    async def _negotiate(self, endpoint: Endpoint, request: Request, hint: Hint) -> Generation:
        """Send a request; after a refusal that another wire format may cure, send it in that."""
        for sent in itertools.count(1):
            wire = endpoint.wire
            body = wire.body(request, hint)
            try:
                generation = await self._complete(endpoint, request, body, hint)
            except EngineFault as fault:
                fault.requests = sent
                if fault.refusal is None:
                    raise
                if endpoint.wire == wire:
                    found = wire.after(fault.refusal, body)
                    if found is None:
                        raise
                    endpoint.wire = found
                continue
            return replace(generation, tries=sent, wire=wire.label)
        raise AssertionError("each wire format is tried once")

    async def _complete(
        self, endpoint: Endpoint, request: Request, body: Mapping[str, object], hint: Hint
    ) -> Generation:
        started = time.monotonic()
        counted = None if hint.meter is None else StreamCount(hint.meter.begin())
        response = await self._transport.send(
            endpoint.origin,
            f"{endpoint.url}/chat/completions",
            body,
            timeout_seconds=self._timeout_seconds,
            headers={"X-Request-ID": request.trajectory_id},
            on_bytes=None if counted is None else counted.see,
        )
        latency_seconds = time.monotonic() - started
        now = datetime.now(UTC)
        try:
            generation = read_generation(endpoint.origin, response, now, request.recipe.max_tokens)
        except EngineFault as fault:
            fault.is_overload = response.status in OVERLOADED
            raise
        if generation.finish_reason != "context_overflow":
            generation = await self._with_counts(endpoint, request, generation)
        return replace(
            generation,
            engine="http",
            engine_version=endpoint.version,
            latency_seconds=latency_seconds,
        )

    async def _with_counts(
        self, endpoint: Endpoint, request: Request, generation: Generation
    ) -> Generation:
        """The generation, with token counts that its usage lacks taken from the tokenizer route."""
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

    async def _tokenize(self, endpoint: Endpoint, body: Mapping[str, object]) -> int | None:
        if not endpoint.tokenizes:
            return None
        try:
            response = await self._transport.send(
                endpoint.origin, f"{endpoint.root}/tokenize", body
            )
        except EngineFault:
            return None
        endpoint.tokenizes = response.status not in NO_SUCH_ROUTE
        return read_count(response)

    async def _count(self, endpoint: Endpoint) -> int | None:
        if not endpoint.counts:
            return None
        try:
            response = await self._transport.send(
                endpoint.origin,
                f"{endpoint.root}/metrics",
                timeout_seconds=METRICS_TIMEOUT_SECONDS,
            )
        except EngineFault:
            endpoint.health.is_silent = endpoint.speed.is_counted
            return None
        metrics, now = response.body.decode("utf-8", "replace"), time.monotonic()
        endpoint.health.is_silent = False
        load, counted = read_load(metrics), read_generated_tokens(metrics)
        if not endpoint.speed.is_counted and takes_priority(metrics):
            endpoint.wire = replace(endpoint.wire, has_priority=True)
        endpoint.counts = counted is not None
        endpoint.see_metrics(load, counted, now)
        return counted

    async def _get(self, endpoint: Endpoint, url: str) -> Response | None:
        """The response to a GET; None where no response came."""
        try:
            return await self._transport.send(endpoint.origin, url)
        except EngineFault:
            return None

    async def _read_models(self, endpoint: Endpoint) -> Models | EngineUnavailable:
        """The served models, or why there are none; records the server's version."""
        get = partial(self._get, endpoint)
        try:
            response = await self._transport.send(endpoint.origin, f"{endpoint.url}/models")
            if may_be_wrong_base(response):
                right = await find_base_url(get, endpoint.url)
                if right is not None:
                    return EngineUnavailable(wrong_base(endpoint.url, right))
            models = read_models(endpoint.origin, response, self._model)
        except EngineFault as fault:
            return EngineUnavailable(fault.detail)
        except EngineUnavailable as unavailable:
            return unavailable
        version = await get(f"{endpoint.root}/version")
        endpoint.version = None if version is None else read_version(endpoint.origin, version)
        return models


def _distinct(values: Iterable[str | None]) -> str | None:
    """The distinct values of several servers, sorted, as one text; None where there are none."""
    return ", ".join(sorted({value for value in values if value})) or None
