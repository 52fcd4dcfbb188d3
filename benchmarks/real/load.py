"""Requests to a real server whose lengths are given, and how long it took over them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from benchmarks.real.server import RealServer

HOURS = aiohttp.ClientTimeout(total=4 * 3600)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its prompt, exactly how many tokens it is to get, and what servers order by.

    ``choices`` is ``n``: completions of the one prompt. ``seed`` None sends none. It is sent
    ``after_seconds``.
    """

    prompt: str
    tokens: int
    priority: int = 0
    choices: int = 1
    seed: int | None = 0
    after_seconds: float = 0.0

    def body(self, model: str) -> dict[str, object]:
        optional: dict[str, object] = {"priority": self.priority} if self.priority else {}
        if self.seed is not None:
            optional["seed"] = self.seed
        return {
            "model": model, "messages": [{"role": "user", "content": self.prompt}],
            "max_tokens": self.tokens, "ignore_eos": True, "n": self.choices, **optional,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Given:
    """Seconds from the first request to the last answer, and to the answer of each; what the server's
    counts grew by.
    """

    seconds: float
    ends: list[float]
    counts: dict[str, float]

    def mean(self, histogram: str) -> float:
        """Of the observations of a histogram."""
        name = f"vllm:{histogram}"
        return self.counts[f"{name}_sum"] / max(1.0, self.counts[f"{name}_count"])


def send(server: RealServer, asked: Sequence[Asked], *, leaders: int = 0) -> Given:
    """Send all at once. ``leaders``: so many first, and the rest when each of these has its first token."""
    before = server.counts()
    seconds, ends = asyncio.run(_send(server, asked, leaders))
    grown = {name: value - before.get(name, 0.0) for name, value in server.counts().items()}
    return Given(seconds, ends, grown)


async def _send(
    server: RealServer, asked: Sequence[Asked], leaders: int
) -> tuple[float, list[float]]:
    began = time.monotonic()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=HOURS) as session:

        async def one(request: Asked, has_begun: asyncio.Event | None = None) -> float:
            body = request.body(server.model)
            await asyncio.sleep(request.after_seconds)
            if has_begun is not None:
                body["stream"] = True
            async with session.post(f"{server.url}/chat/completions", json=body) as answered:
                answered.raise_for_status()
                async for line in answered.content:
                    if has_begun is not None and b'"content":"' in line.replace(b'""', b""):
                        has_begun.set()
            return time.monotonic() - began

        events = [asyncio.Event() for _ in range(leaders)]
        first = [
            asyncio.create_task(one(request, event))
            for request, event in zip(asked, events, strict=False)
        ]
        await asyncio.gather(*(event.wait() for event in events))
        rest = await asyncio.gather(*map(one, asked[leaders:]))
        ends = [*await asyncio.gather(*first), *rest]
    return max(ends), ends
