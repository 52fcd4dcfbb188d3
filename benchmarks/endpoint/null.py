"""The null server: OpenAI's interface, answering every request at once with the same text.

    python -m benchmarks.endpoint.null --port 8801 --characters 2000

Speaks as little HTTP as clients with connections kept open need, so that on a machine of few cores almost
all time is the client's. Says at `/requests` how many completions it has given, and the seconds from the
first to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

from benchmarks.endpoint.server import MODEL, text_of

CHARACTERS_A_TOKEN = 4


class Counted:
    """How many completions were given, and when the first request came and the last answer went."""

    def __init__(self) -> None:
        self.requests = 0
        self.began = self.ended = 0.0

    def count(self) -> None:
        self.ended = time.monotonic()
        self.began = self.began or self.ended
        self.requests += 1


class NullServer(asyncio.Protocol):
    """One connection; ``completion`` is the whole response to a completion."""

    def __init__(self, completion: bytes, counted: Counted) -> None:
        self._completion = completion
        self._counted = counted
        self._transport: Any = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while True:
            head, found, rest = self._read.partition(b"\r\n\r\n")
            length = _content_length(head)
            if not found or len(rest) < length:
                return
            self._read = rest[length:]
            self._transport.write(self._answer(head.split(b" ", 2)[1]))

    def _answer(self, path: bytes) -> bytes:
        if path.endswith(b"/chat/completions"):
            self._counted.count()
            return self._completion
        if path.endswith(b"/models"):
            card = {"id": MODEL, "object": "model", "max_model_len": 131_072, "root": MODEL}
            return _response({"object": "list", "data": [card]})
        if path == b"/version":
            return _response({"version": "null 1"})
        if path == b"/metrics":
            # Never a queue: clients that look at it send as much as they may.
            return _response("vllm:num_requests_running 1\nvllm:num_requests_waiting 0\n")
        if path == b"/requests":
            seconds = self._counted.ended - self._counted.began
            return _response({"requests": self._counted.requests, "seconds": seconds})
        return _response({}, "404 Not Found")


def _content_length(head: bytes) -> int:
    """Bytes of a request's body; 0 where it has none."""
    _, found, after = head.lower().partition(b"content-length:")
    return int(after.split(b"\r\n", 1)[0]) if found else 0


def _response(body: object, status: str = "200 OK") -> bytes:
    kind, text = "text/plain", body
    if not isinstance(body, str):
        kind, text = "application/json", json.dumps(body)
    encoded = str(text).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(encoded)}\r\n\r\n"
    return head.encode() + encoded


def completion(characters: int) -> bytes:
    """The response to every request: reasoning of so many characters, and an answer."""
    tokens = characters // CHARACTERS_A_TOKEN
    message = {
        "role": "assistant",
        "content": "The answer is \\boxed{1}.",
        "reasoning": text_of(characters),
    }
    usage = {"prompt_tokens": 40, "completion_tokens": tokens, "total_tokens": 40 + tokens}
    return _response(
        {
            "id": "null",
            "object": "chat.completion",
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }
    )


async def _serve(port: int, characters: int) -> None:
    made, counted = completion(characters), Counted()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: NullServer(made, counted), "127.0.0.1", port, backlog=16_384
    )
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--characters", type=int, default=2000)
    given = parser.parse_args()
    asyncio.run(_serve(given.port, given.characters))


if __name__ == "__main__":
    main()
