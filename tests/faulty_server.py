"""A real HTTP server on 127.0.0.1 that speaks the OpenAI-compatible interface, well or badly.

It works on raw sockets, because most of what goes wrong on the way to a real server (a cut in the
middle of a body, garbage instead of a status line, silence) is nothing a web framework would do.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

MODEL = "smol"
VERSION = "0.32.0"


@dataclass(frozen=True)
class Received:
    """One request as it came in; ``headers`` have lower-case names."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection(NamedTuple):
    """Where a request came from and where its response goes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


Behaviour = Callable[[Received, Connection], Awaitable[None]]


def answers(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Answer with JSON, or with bytes as they are."""
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def behave(_: Received, connection: Connection) -> None:
        connection.writer.write(head(status, len(encoded), headers) + encoded)

    return behave


def sends(raw: bytes) -> Behaviour:
    """Write exactly these bytes in place of a response, then close the connection."""

    async def behave(_: Received, connection: Connection) -> None:
        connection.writer.write(raw)
        await connection.writer.drain()
        connection.writer.close()

    return behave


def cuts_in_the_middle(body: Any) -> Behaviour:
    """Promise the whole body and send half of it."""
    encoded = json.dumps(body).encode()
    return sends(head(200, len(encoded), None) + encoded[: len(encoded) // 2])


def resets() -> Behaviour:
    """Drop the connection with a reset, without a byte."""

    async def behave(_: Received, connection: Connection) -> None:
        connection.writer.transport.abort()

    return behave


def never_answers() -> Behaviour:
    """Read the request and keep silent until the client goes away."""

    async def behave(_: Received, connection: Connection) -> None:
        await connection.reader.read(1)
        connection.writer.close()

    return behave


def head(status: int, length: int, headers: Mapping[str, str] | None) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def completion(
    content: Any = "The answer is \\boxed{7}.", finish_reason: Any = "stop", **message: Any
) -> dict[str, Any]:
    """A chat completion as vLLM words it, with one choice."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": MODEL,
        "system_fingerprint": "fp-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish_reason,
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    }


def models(*names: str, window_tokens: int | None = 512) -> dict[str, Any]:
    cards = [{"id": name, "object": "model", "max_model_len": window_tokens} for name in names]
    return {"object": "list", "data": cards}


def _words(received: Received) -> list[str]:
    asked = received.json
    texts = [turn["content"] for turn in asked["messages"]] if "messages" in asked else []
    return " ".join(texts or [asked["prompt"]]).split()


def behaves(window_tokens: int = 512) -> Behaviour:
    """Complete a chat like a small model with that window, whose tokens are words."""

    async def behave(received: Received, connection: Connection) -> None:
        asked, prompt = received.json, len(_words(received))
        if prompt >= window_tokens:
            message = (
                f"This model's maximum context length is {window_tokens} tokens. However, your "
                f"prompt contains {prompt} input tokens."
            )
            error = {"message": message, "type": "BadRequestError", "param": "input_tokens"}
            await answers({"error": error}, 400)(received, connection)
            return
        said = [*["hmm"] * 40, "\\boxed{7}"]
        kept = said[: asked.get("max_tokens", len(said))]
        whole = completion(" ".join(kept), "stop" if kept == said else "length")
        whole["usage"] = {"prompt_tokens": prompt, "completion_tokens": len(kept)}
        await answers(whole)(received, connection)

    return behave


def tokenizes() -> Behaviour:
    """Count words, as vLLM's tokenizer route counts tokens."""

    async def behave(received: Received, connection: Connection) -> None:
        counted = {"count": len(_words(received)), "max_model_len": 512, "tokens": []}
        await answers(counted)(received, connection)

    return behave


class FaultyServer:
    """Serves on a free port while it is entered; well-behaved but for the given routes.

    ``routes`` maps a path to a behaviour, or to several to be used one after the other, the last
    for good. ``requests`` holds everything received, ``connections`` counts those accepted.
    With ``tls`` it speaks HTTPS.
    """

    def __init__(
        self,
        routes: Mapping[str, Behaviour | list[Behaviour]] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._routes: dict[str, list[Behaviour]] = {
            "/v1/models": [answers(models(MODEL))],
            "/v1/chat/completions": [behaves()],
            "/version": [answers({"version": VERSION})],
            "/tokenize": [tokenizes()],
        }
        for path, behaviour in (routes or {}).items():
            self._routes[path] = behaviour if isinstance(behaviour, list) else [behaviour]
        self.requests: list[Received] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FaultyServer:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.root = f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"
        self.endpoint = f"{self.root}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def open_connections(self) -> int:
        return len(self._tasks)

    def received(self, path: str) -> list[Received]:
        return [request for request in self.requests if request.path == path]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            while (received := await _read(reader)) is not None and not writer.is_closing():
                self.requests.append(received)
                await self._behaviour(received.path)(received, connection)
                if not writer.is_closing():
                    await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    def _behaviour(self, path: str) -> Behaviour:
        waiting = self._routes.get(path)
        if waiting is None:
            return answers({"detail": "Not Found"}, 404)
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = start.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)
