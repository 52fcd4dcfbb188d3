"""An OpenAI-compatible server over the scripted engine that keeps account of what it generates.

    python -m benchmarks.counting_server --port 8800 --account account.jsonl --salt a

A request is in the account, with its tokens, from the moment it arrives: what a model has begun is
paid for, whether or not anybody lives to receive it. Servers of another salt answer the same
request differently.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from pacore.core.problem import Turn
from pacore.core.prompt import prompt_digest
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request
from pacore.engine.scripted import ScriptedEngine

MODEL = "counted"


@dataclass(frozen=True, slots=True)
class Sampled:
    """One line of an account: a trajectory that was begun, its tokens, and when (Unix seconds)."""

    trajectory_id: str
    tokens: int
    at_seconds: float


def read_account(path: Path) -> list[Sampled]:
    """The lines of an account so far, of a server that lives or was killed; a torn one is left out."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [Sampled(**json.loads(line)) for line in whole.splitlines()]


class CountingServer:
    """Answers chat completions as ``script`` says, each after a wait of about ``latency_seconds``.

    The account is appended to with one unbuffered write a request, so that a SIGKILL loses none.
    """

    def __init__(self, script: str, account: Path, salt: str, latency_seconds: float) -> None:
        self._engine = ScriptedEngine(script, slots=1)
        self._recipe = Recipe(model=script)
        self._salt = salt
        self._latency_seconds = latency_seconds
        self._account = os.open(account, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def application(self) -> web.Application:
        application = web.Application(client_max_size=1 << 28)
        application.router.add_get("/v1/models", self._models)
        application.router.add_post("/v1/chat/completions", self._complete)
        application.cleanup_ctx.append(self._account_open)
        return application

    async def _account_open(self, _: web.Application) -> AsyncIterator[None]:
        yield
        os.close(self._account)

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _complete(self, asked: web.Request) -> web.Response:
        body: dict[str, Any] = await asked.json()
        turns = tuple(Turn(turn["role"], turn["content"]) for turn in body["messages"])
        seed = self._salted(body["seed"])
        request = Request(self._recipe, turns, prompt_digest(turns), 0, 0, "", seed)
        made = await self._engine.generate(request)
        line = {
            "trajectory_id": asked.headers["X-Request-ID"],
            "tokens": made.completion_tokens or 0,
            "at_seconds": time.time(),
        }
        os.write(self._account, json.dumps(line).encode() + b"\n")
        await asyncio.sleep(self._latency_seconds * (0.5 + seed % 1024 / 1024))
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

    def _salted(self, seed: int) -> int:
        """Another seed of 53 bits for every salt; the seed itself without one."""
        if not self._salt:
            return seed
        hashed = hashlib.sha256(f"{self._salt} {seed}".encode()).digest()
        return int.from_bytes(hashed[:8], "big") >> 11


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--account", type=Path, required=True)
    parser.add_argument("--script", default="scripted?words=30&truncate=0.05")
    parser.add_argument("--salt", default="")
    parser.add_argument("--latency-seconds", type=float, default=0.1)
    options = parser.parse_args()
    server = CountingServer(options.script, options.account, options.salt, options.latency_seconds)
    web.run_app(
        server.application(), host="127.0.0.1", port=options.port, access_log=None, print=None
    )


if __name__ == "__main__":
    main()
