"""An OpenAI-compatible endpoint that fails on purpose, and keeps books of what it did.

What it says is the scripted engine's, so a run against it can be compared with one against an
endpoint that works. What goes wrong follows from a seed, the request's own seed and how often it
was asked before: the same run meets the same faults, in whatever order its requests come.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Any

from pacore.core.problem import Turn
from pacore.core.prompt import prompt_digest
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request
from pacore.engine.scripted import ScriptedEngine
from tests.fixtures.faulty_server import Connection, FaultyServer, Received, answers, head, models

MODEL = "faulty"
OTHER_MODEL = "somebody-else"
WINDOW_TOKENS = 4096

OVERFLOWS: dict[str, tuple[int, dict[str, Any]]] = {
    "overflow, vLLM": (
        400,
        {
            "error": {
                "message": f"This model's maximum context length is {WINDOW_TOKENS} tokens. "
                "However, your prompt contains 5000 input tokens, which exceeds this limit even "
                "without any output tokens. Please reduce the length of the input prompt. "
                "(parameter=input_tokens, value=5000)",
                "type": "BadRequestError",
                "param": "input_tokens",
                "code": 400,
            }
        },
    ),
    "overflow, SGLang": (
        400,
        {
            "object": "error",
            "message": f"Requested token count exceeds the model's maximum context length of "
            f"{WINDOW_TOKENS} tokens. You requested a total of 6000 tokens: 5000 tokens from the "
            "input messages and 1000 tokens for the completion. Please reduce the number of tokens "
            "in the input messages or the completion to fit within the limit.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "overflow, OpenAI": (
        400,
        {
            "error": {
                "message": f"This model's maximum context length is {WINDOW_TOKENS} tokens. "
                "However, your messages resulted in 5000 tokens. Please reduce the length of the "
                "messages.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
    ),
}

NO_SUCH_MODEL = {
    "error": {
        "message": f"The model `{MODEL}` does not exist.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }
}

FAULTS = (
    "429, seconds", "429, date", "500", "503", "reset before", "reset after", "half a body",
    "invalid JSON", "empty choices", "null content", "no usage", "duplicated choices", "silence",
    "wrong model", "no such model", "aborted", *OVERFLOWS,
)  # fmt: skip

LASTING = frozenset({"null content", "no usage", "duplicated choices", "wrong model", *OVERFLOWS})
"""Faults of a request and not of a moment: asked again, it meets them again."""

HARMLESS = frozenset({"no usage", "duplicated choices", "wrong model"})
"""Faults that leave the text whole."""


@dataclass(frozen=True)
class Served:
    """One request as the endpoint saw it: what went wrong, if anything, and what it generated.

    ``told_tokens`` is what a response that went out whole said in its usage: what a client can
    know. ``arrived`` and ``left`` are seconds of `time.monotonic`.
    """

    seed: int
    number: int
    fault: str | None
    arrived: float
    left: float
    generated_tokens: int = 0
    told_tokens: int = 0


@dataclass(frozen=True)
class FaultPlan:
    """Which faults, how many of the requests, and how long they take."""

    rate: float = 0.3
    seed: int = 0
    faults: Sequence[str] = FAULTS
    silence_seconds: float = 60.0
    retry_after_seconds: int = 1

    def fault(self, request_seed: int, number: int) -> str | None:
        """What goes wrong with the ``number``-th try of a request, 0-based."""
        first = self._drawn(request_seed, 0)
        if first in LASTING:
            return first
        drawn = self._drawn(request_seed, number)
        return None if drawn in LASTING else drawn

    def _drawn(self, request_seed: int, number: int) -> str | None:
        named = f"{self.seed}:{request_seed}:{number}".encode()
        generator = random.Random(hashlib.sha256(named).digest())
        return generator.choice(self.faults) if generator.random() < self.rate else None


class FaultEndpoint:
    """Serves on a free loopback port in a thread of its own while it is entered.

    ``script`` is a model name of the scripted engine: its text, and how long it takes. ``served``
    holds one entry a request, in the order in which they ended.
    """

    def __init__(self, script: str, plan: FaultPlan) -> None:
        self.plan = plan
        self.served: list[Served] = []
        self._engine = ScriptedEngine(script)
        self._recipe = Recipe(script)
        self._asked: defaultdict[int, int] = defaultdict(int)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server = FaultyServer(
            {
                "/v1/models": answers(models(MODEL, window_tokens=None)),
                "/v1/chat/completions": self._complete,
                "/tokenize": answers({"detail": "Not Found"}, 404),
            }
        )

    @property
    def url(self) -> str:
        return self._server.endpoint

    def __enter__(self) -> FaultEndpoint:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.__aenter__(), self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        leaving = self._server.__aexit__(kind, error, trace)
        asyncio.run_coroutine_threadsafe(leaving, self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _complete(self, received: Received, connection: Connection) -> None:
        asked = received.json
        seed = asked["seed"]
        number = self._asked[seed]
        self._asked[seed] += 1
        fault = self.plan.fault(seed, number)
        entry = Served(seed, number, fault, time.monotonic(), 0.0)
        try:
            generated, told = await self._respond(asked, fault, received, connection)
            entry = replace(entry, generated_tokens=generated, told_tokens=told)
        finally:
            self.served.append(replace(entry, left=time.monotonic()))

    async def _respond(
        self, asked: dict[str, Any], fault: str | None, received: Received, connection: Connection
    ) -> tuple[int, int]:
        """Answer one request; returns the tokens generated, and those the client was told of."""
        if (refusal := self._refusal(fault)) is not None:
            status, body, headers = refusal
            await answers(body, status, headers)(received, connection)
            return 0, 0
        if fault == "reset before":
            _reset(connection)
            return 0, 0
        if fault == "silence" and await _left_within(connection, self.plan.silence_seconds):
            return 0, 0
        turns = tuple(Turn(turn["role"], turn["content"]) for turn in asked["messages"])
        request = Request(self._recipe, turns, prompt_digest(turns), 0, 0, "", asked["seed"])
        made = await self._engine.generate(request)
        tokens = made.completion_tokens or 0
        body = _completion(made, fault)
        encoded = json.dumps(body).encode()
        if fault in ("reset after", "half a body"):
            await _cut(connection, encoded, 1 if fault == "reset after" else len(encoded) // 2)
            if fault == "reset after":
                _reset(connection)
            else:
                connection.writer.close()
            return tokens, 0
        if fault == "invalid JSON":
            encoded = encoded[:-1] + b",,"
        await answers(encoded)(received, connection)
        if fault in ("invalid JSON", "empty choices", "no usage"):
            return tokens, 0
        told = body["usage"]["completion_tokens"]
        return told, told

    def _refusal(self, fault: str | None) -> tuple[int, Any, dict[str, str]] | None:
        """Status, body and headers of an answer that needs no generation."""
        wait = self.plan.retry_after_seconds
        if fault in OVERFLOWS:
            return (*OVERFLOWS[fault], {})
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=wait), usegmt=True)
        refusals: dict[str | None, tuple[int, Any, dict[str, str]]] = {
            "429, seconds": (429, _error("slow down"), {"Retry-After": str(wait)}),
            "429, date": (429, _error("slow down"), {"Retry-After": date}),
            "500": (500, _error("EngineCore encountered an issue"), {}),
            "503": (503, b"<html>no healthy upstream</html>", {}),
            "no such model": (404, NO_SUCH_MODEL, {}),
        }
        return refusals.get(fault)


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "server_error", "param": None, "code": None}}


def _completion(made: Generation, fault: str | None) -> dict[str, Any]:
    """The body of a 200: the scripted engine's generation, spoilt as ``fault`` says."""
    message = {"role": "assistant", "content": made.content, "reasoning": made.reasoning}
    finish_reason = made.finish_reason
    copies, tokens = 1, made.completion_tokens or 0
    if fault == "null content":
        message |= {"content": None, "reasoning": None}
        finish_reason = "stop"
    if fault == "duplicated choices":
        copies, tokens = 2, 2 * tokens
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "abort" if fault == "aborted" else finish_reason,
    }
    body: dict[str, Any] = {
        "id": "chatcmpl-faulty",
        "object": "chat.completion",
        "model": OTHER_MODEL if fault == "wrong model" else MODEL,
        "choices": [] if fault == "empty choices" else [choice] * copies,
    }
    if fault not in ("no usage", "empty choices"):
        body["usage"] = {"prompt_tokens": made.prompt_tokens, "completion_tokens": tokens}
    return body


async def _cut(connection: Connection, encoded: bytes, sent_bytes: int) -> None:
    """Promise a whole body and send the beginning of it."""
    connection.writer.write(head(200, len(encoded), None) + encoded[:sent_bytes])
    await connection.writer.drain()
    # The client shall have read what was sent before it sees the end.
    await asyncio.sleep(0.02)


def _reset(connection: Connection) -> None:
    """End a connection with RST, as a process that dies with unread data does."""
    opened = connection.writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.writer.transport.abort()


async def _left_within(connection: Connection, seconds: float) -> bool:
    """Say nothing for so long; whether the client went away meanwhile."""
    try:
        await asyncio.wait_for(connection.reader.read(1), seconds)
    except TimeoutError:
        return False
    connection.writer.close()
    return True
