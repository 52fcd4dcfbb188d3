"""The engine contract, run over every engine that needs no model of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from pacore.core.engine import Engine
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request
from pacore.engine.http import HttpEngine
from pacore.engine.scripted import ScriptedEngine
from tests.fixtures.engine_contract import CONTRACT, Clause, clause_name, request_for
from tests.fixtures.faulty_server import MODEL, FaultyServer

Opened = AbstractAsyncContextManager[tuple[Engine, Request]]


@asynccontextmanager
async def scripted() -> AsyncIterator[tuple[Engine, Request]]:
    model = "scripted?window=512&latency_ms=1"
    engine = ScriptedEngine(model)
    yield engine, request_for(Recipe(model))
    await engine.close()


@asynccontextmanager
async def http() -> AsyncIterator[tuple[Engine, Request]]:
    async with FaultyServer() as server:
        engine = HttpEngine(
            [server.endpoint],
            MODEL,
            api_key=None,
            concurrency=8,
            timeout_seconds=20.0,
            connect_timeout_seconds=5.0,
        )
        yield engine, request_for(Recipe(MODEL))
        await engine.close()


@pytest.mark.parametrize("clause", CONTRACT, ids=clause_name)
@pytest.mark.parametrize("opened", [scripted, http])
def test_an_engine_keeps_the_contract(opened: Callable[[], Opened], clause: Clause) -> None:
    async def run() -> None:
        async with opened() as (engine, request):
            await clause(engine, request)

    asyncio.run(run())
