"""An OpenAI-compatible server over the scripted engine that counts what it generates.

Its tokens are what a model would have been paid for, those of responses nobody received included.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Any

from aiohttp import web

from pacore.engine.scripted import ScriptedEngine
from pacore.problem import Turn
from pacore.prompt import prompt_digest
from pacore.recipe import Recipe
from pacore.trajectory import Request

MODEL = "counted"


class CountingServer:
    """Serves on a free loopback port in a thread of its own while it is entered."""

    def __init__(self, script: str) -> None:
        self._engine = ScriptedEngine(script, slots=1)
        self._recipe = Recipe(model=script)
        self.requests = 0
        self.tokens = 0
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> CountingServer:
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(self._start(), self._loop)
        self.url = f"http://127.0.0.1:{starting.result()}/v1"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> int:
        application = web.Application(client_max_size=1 << 28)
        application.router.add_get("/v1/models", self._models)
        application.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _complete(self, asked: web.Request) -> web.Response:
        body: dict[str, Any] = await asked.json()
        turns = tuple(Turn(turn["role"], turn["content"]) for turn in body["messages"])
        request = Request(self._recipe, turns, prompt_digest(turns), 0, 0, "", body["seed"])
        made = await self._engine.generate(request)
        self.requests += 1
        self.tokens += made.completion_tokens or 0
        message = {"role": "assistant", "content": made.content, "reasoning": made.reasoning}
        return web.json_response(
            {
                "id": "counted",
                "object": "chat.completion",
                "model": MODEL,
                "choices": [{"index": 0, "message": message, "finish_reason": made.finish_reason}],
                "usage": {
                    "prompt_tokens": made.prompt_tokens,
                    "completion_tokens": made.completion_tokens,
                },
            }
        )
