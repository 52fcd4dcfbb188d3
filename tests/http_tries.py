"""One try of engine ``http`` at a server, and what came of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pacore.core.engine import EngineFault
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation
from pacore.engine.http import HttpEngine
from tests.engine_contract import request_for
from tests.faulty_server import MODEL, Behaviour, FaultyServer

CHAT = "/v1/chat/completions"
KEY = "sk-very/secret+key"
REQUEST = request_for(Recipe(MODEL))
T = TypeVar("T")


def engine_at(
    *endpoints: str, timeout_seconds: float = 20.0, api_key: str | None = None
) -> HttpEngine:
    return HttpEngine(
        endpoints,
        MODEL,
        api_key=api_key,
        concurrency=4,
        timeout_seconds=timeout_seconds,
        connect_timeout_seconds=5.0,
    )


async def outcome(engine: HttpEngine) -> Generation | EngineFault:
    try:
        return await engine.generate(REQUEST)
    except EngineFault as fault:
        return fault


def attempt(
    chat: Behaviour, timeout_seconds: float = 20.0, tokenizer: Behaviour | None = None
) -> Generation | EngineFault:
    """One try at a server whose chat route, and tokenizer if given, behave like this."""

    async def run() -> Generation | EngineFault:
        other = {} if tokenizer is None else {"/tokenize": tokenizer}
        async with FaultyServer({CHAT: chat, **other}) as server:
            engine = engine_at(server.endpoint, timeout_seconds=timeout_seconds, api_key=KEY)
            try:
                return await outcome(engine)
            finally:
                await engine.close()

    return asyncio.run(run())


def fault_of(chat: Behaviour, timeout_seconds: float = 20.0) -> EngineFault:
    found = attempt(chat, timeout_seconds)
    assert isinstance(found, EngineFault), found
    assert found.detail.startswith("http://127.0.0.1:")
    assert found.detail.isprintable()
    assert len(found.detail) < 400
    return found


def generation_of(chat: Behaviour, tokenizer: Behaviour | None = None) -> Generation:
    found = attempt(chat, tokenizer=tokenizer)
    assert isinstance(found, Generation), found
    return found


def against(server: FaultyServer, use: Callable[[FaultyServer, HttpEngine], Awaitable[T]]) -> T:
    async def run() -> T:
        async with server:
            engine = engine_at(server.endpoint)
            try:
                return await use(server, engine)
            finally:
                await engine.close()

    return asyncio.run(run())


def error_body(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "BadRequestError", "param": None, **fields}}


def closed_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
