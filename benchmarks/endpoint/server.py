"""The simulated server: OpenAI's interface as vLLM has it, and a log of what was requested when.

    python -m benchmarks.endpoint.server --port 8800 --log log.jsonl --slots 96 --step-ms 2

A response comes when the simulated batching says that its last token is there, so a client sees what a
server of that speed does to it: queues, a step that slows down with the batch, prefills, a prefix cache,
preemption. Its log has a line for each request that ended: when it arrived, started and ended, in seconds
of the machine's clock, its tokens, and whether its client left.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from aiohttp import web

from benchmarks.endpoint.batching import Batching, Job, Speed
from benchmarks.endpoint.lengths import Lengths, long_tailed, measured

MODEL = "simulated"

CHARACTERS_A_TOKEN = 4

SLOWS_BY = 4.0
"""Times as long as before that a step takes on a server that has slowed down."""

_PROBLEM = re.compile(r"\bProblem (\d+)\.")

_WORDS = "so the next step is to look at each case in turn and to add what was found before "


class SimulatedServer:
    """One server. ``dies_after_seconds`` and ``slows_after_seconds`` count from the first arrival."""

    def __init__(
        self,
        speed: Speed,
        lengths: Lengths,
        log: TextIO,
        *,
        dies_after_seconds: float | None = None,
        slows_after_seconds: float | None = None,
        slows_by: float = SLOWS_BY,
    ) -> None:
        self._batching = Batching(speed)
        self._lengths = lengths
        self._log = log
        self._dies_after = dies_after_seconds
        self._slows_after = slows_after_seconds
        self._slows_by = slows_by
        self._began: float | None = None
        self._offset = 0.0
        self._ends: dict[int, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def handle(self, asked: web.BaseRequest) -> web.StreamResponse:
        """Answer any request of the interface."""
        path = asked.path
        if path.endswith("/chat/completions"):
            return await self._complete(asked)
        if path.endswith("/models"):
            card = {"id": MODEL, "object": "model", "max_model_len": 131_072, "root": MODEL}
            return web.json_response({"object": "list", "data": [card]})
        if path == "/version":
            return web.json_response({"version": "simulated 1"})
        if path == "/metrics":
            return web.Response(text=self._metrics())
        return web.Response(status=404)

    def _metrics(self) -> str:
        found = self._batching
        if self._began is not None:
            found.advance(self._now())
        return (
            f"vllm:generation_tokens_total {found.generated_tokens:.0f}\n"
            f"vllm:num_requests_running {found.running}\n"
            f"vllm:num_requests_waiting {found.waiting}\n"
            f"vllm:num_preemptions_total {found.preemptions}\n"
        )

    def _now(self) -> float:
        if self._began is None:
            self._began = self._offset = time.monotonic()
            loop = asyncio.get_running_loop()
            if self._dies_after is not None:
                loop.call_later(self._dies_after, self._die)
            if self._slows_after is not None:
                loop.call_later(self._slows_after, self._slow_down)
        return time.monotonic() - self._began

    def _die(self) -> None:
        self._log.flush()
        # As a machine that is gone: no connection is closed in order, and no request answered.
        os._exit(1)

    def _slow_down(self) -> None:
        self._batching.slow_down(self._slows_by, self._now())
        self._wake()

    async def _complete(self, asked: web.BaseRequest) -> web.StreamResponse:
        body: Mapping[str, Any] = json.loads(await asked.read())
        prompt = "\n".join(turn["content"] for turn in body["messages"])
        prefix = hashlib.sha256(prompt.encode()).hexdigest()
        named = _PROBLEM.search(prompt)
        problem = named[1] if named else prefix
        length = self._lengths(problem, prefix, int(body.get("seed") or 0))
        wanted = body.get("max_completion_tokens") or body.get("max_tokens")
        reason = "stop"
        if wanted is not None and length > int(wanted):
            length, reason = int(wanted), "length"
        job = Job(len(prompt) // CHARACTERS_A_TOKEN, length, prefix, int(body.get("priority") or 0))
        ended = self._ends[id(job)] = asyncio.get_running_loop().create_future()
        self._batching.submit(job, self._now())
        self._wake()
        has_left = False
        try:
            await ended
        except asyncio.CancelledError:
            has_left = True
            self._batching.cancel(job, self._now())
            self._wake()
            raise
        finally:
            self._ends.pop(id(job), None)
            self._write(asked, job, problem, has_left)
        return web.json_response(_response(job, reason, int(body.get("seed") or 0)))

    def _write(self, asked: web.BaseRequest, job: Job, problem: str, has_left: bool) -> None:
        line = {
            "id": asked.headers.get("X-Request-ID", ""),
            "problem": problem,
            "prefix": job.prefix[:16],
            "priority": job.priority,
            "arrived": job.arrived + self._offset,
            "started": None if job.started is None else job.started + self._offset,
            "ended": (self._now() if job.ended is None else job.ended) + self._offset,
            "tokens": job.length,
            "prompt_tokens": job.prompt_tokens,
            "preemptions": job.preemptions,
            "left": has_left,
        }
        self._log.write(json.dumps(line) + "\n")

    def _wake(self) -> None:
        """Look again when the next request ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        following = self._batching.next_event()
        if following is not None and self._began is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, following - self._now()), self._end)

    def _end(self) -> None:
        self._timer = None
        for job in self._batching.ended(self._now()):
            future = self._ends.get(id(job))
            if future is not None and not future.done():
                future.set_result(None)
        self._wake()


def text_of(characters: int) -> str:
    """A text of so many characters."""
    return (_WORDS * (characters // len(_WORDS) + 1))[:characters]


def _response(job: Job, reason: str, seed: int) -> dict[str, Any]:
    """What a reasoning model says in so many tokens; its answer is one of three numbers."""
    thought = text_of(job.length * CHARACTERS_A_TOKEN)
    whole = reason == "stop"
    content = f"The answer is \\boxed{{{seed % 3}}}." if whole else ""
    return {
        "id": "simulated",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "reasoning": thought},
                "finish_reason": reason,
            }
        ],
        "usage": {
            "prompt_tokens": job.prompt_tokens,
            "completion_tokens": job.length,
            "total_tokens": job.prompt_tokens + job.length,
        },
    }


async def serve(server: SimulatedServer, port: int) -> None:
    """Serve for ever."""
    runner = web.ServerRunner(web.Server(server.handle, handler_cancellation=True))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


def parser() -> argparse.ArgumentParser:
    """The options of a server."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--log", type=Path, required=True)
    options.add_argument("--slots", type=int, default=96)
    options.add_argument("--step-ms", type=float, default=2.0)
    options.add_argument("--sequence-us", type=float, default=0.0)
    options.add_argument("--prefill-us", type=float, default=0.0, help="a prompt token")
    options.add_argument("--memory-tokens", type=int, default=0)
    options.add_argument("--priority", action="store_true")
    options.add_argument(
        "--speed", type=Path, help="measured by benchmarks.calibration; for all above"
    )
    options.add_argument("--median-tokens", type=int, default=400)
    options.add_argument("--pools", type=Path, help="Parquet of measured lengths, and of whom:")
    options.add_argument("--pools-model", default="Qwen3-8B")
    options.add_argument("--scale", type=float, default=0.05)
    options.add_argument("--dies-after", type=float)
    options.add_argument("--slows-after", type=float)
    return options


def speed_of(given: argparse.Namespace) -> Speed:
    """The speed that the options of a server name."""
    if given.speed is not None:
        return Speed(**json.loads(given.speed.read_text()))
    return Speed(
        slots=given.slots,
        step_seconds=given.step_ms / 1e3,
        sequence_seconds=given.sequence_us / 1e6,
        prefill_seconds=given.prefill_us / 1e6,
        memory_tokens=given.memory_tokens,
        has_priority=given.priority,
    )


def main() -> None:
    given = parser().parse_args()
    lengths = (
        long_tailed(given.median_tokens)
        if given.pools is None
        else measured(given.pools, given.pools_model, given.scale)
    )
    with given.log.open("w", buffering=1) as log:
        server = SimulatedServer(
            speed_of(given),
            lengths,
            log,
            dies_after_seconds=given.dies_after,
            slows_after_seconds=given.slows_after,
        )
        asyncio.run(serve(server, given.port))


if __name__ == "__main__":
    main()
