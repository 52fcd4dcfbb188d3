"""Engine ``vllm``: a local vLLM server that pacore starts, reuses, and ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from pacore.core.engine import NO_HINT, Cause, EngineFault, EngineInfo, Hint, Refusal
from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request
from pacore.engine.capacity import FIRST_REQUESTS
from pacore.engine.checkpoint import checkpoint_folder, served_name
from pacore.engine.http import HttpEngine
from pacore.engine.vllm.reuse import SERVERS
from pacore.engine.vllm.server import Launch, ServerProcess, reason, slow_dtype
from pacore.errors import EngineUnavailable

_START_SECONDS = 3600.0
"""Longest time to wait for a start; a large checkpoint on a network disk takes tens of minutes."""

_POLL_SECONDS = 0.5

MAX_STARTS = 4
"""Starts per engine: a server that crashes is started again up to this number."""


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that is up, and the engine that sends requests to it."""

    process: ServerProcess
    http: HttpEngine


class VllmEngine:
    """Samples trajectories from one vLLM server of its own.

    The server is started by the first call; one that ends is started again, up to `MAX_STARTS`.
    ``say`` is called with a line when one is started and when it is up, which takes a minute or more.
    ``wait_for`` is called with what the engine waits for, and with None when the wait is over.
    """

    def __init__(
        self,
        launch: Launch,
        *,
        concurrency: int,
        timeout_seconds: float,
        connect_timeout_seconds: float,
        say: Callable[[str], None] = lambda _: None,
        wait_for: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        self._launch = launch
        self._concurrency = concurrency
        self._timeout_seconds = timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._say = say
        self._wait_for = wait_for
        self._starts = 0
        self._starting: asyncio.Task[_Server] | None = None
        self._is_closed = False

    @property
    def _up(self) -> _Server | None:
        """The server, once its start has succeeded."""
        return None if self._starting is None else _started(self._starting)

    @property
    def slots(self) -> int:
        server = self._up
        return min(self._concurrency, FIRST_REQUESTS) if server is None else server.http.slots

    async def describe(self) -> EngineInfo:
        """Start the server unless it runs, which takes a minute or more.

        Raises `pacore.errors.EngineUnavailable` with the reason that the server logged if it ends
        before it is up.
        """
        server = await self._server()
        # No model root: it is a local path, and the checkpoint's content is in the recipe's digest.
        return replace(await server.http.describe(), name="vllm", model_root=None, is_owned=True)

    async def generate(self, request: Request, hint: Hint = NO_HINT) -> Generation:
        try:
            server = await self._server()
        except EngineUnavailable as unavailable:
            raise EngineFault("engine_error", str(unavailable), transient=False) from None
        return replace(await server.http.generate(request, hint), engine="vllm")

    async def count_prompt_tokens(self, recipe: Recipe, turns: Sequence[Turn]) -> int | None:
        try:
            server = await self._server()
        except EngineUnavailable:
            return None
        return await server.http.count_prompt_tokens(recipe, turns)

    async def cause_of(self, request: Request, refusal: Refusal) -> Cause:
        server = await self._server()
        return await server.http.cause_of(request, refusal)

    async def generated_tokens(self) -> int | None:
        server = self._up
        return None if server is None else await server.http.generated_tokens()

    async def close(self) -> None:
        """End the server and every process that it started; returns when they have ended.

        Within `pacore.engine.vllm.reuse.reusing_servers` the server stays up for the next engine with
        an equal `Launch`.
        """
        self._is_closed = True
        starting, self._starting = self._starting, None
        if starting is None:
            return
        starting.cancel()
        await asyncio.wait([starting])
        if (server := _started(starting)) is not None:
            await server.http.close()
            if not SERVERS.give_back(self._launch, server.process):
                await server.process.end()

    async def _server(self) -> _Server:
        """The running server. All callers wait for one start, which no caller's cancellation ends."""
        if self._is_closed:
            raise EngineUnavailable("this vLLM engine was closed")
        starting = self._starting
        if starting is None:
            starting = self._starting = asyncio.create_task(self._start())
        elif (server := _started(starting)) is not None and server.process.has_ended:
            if self._starts == MAX_STARTS:
                log = server.process.log
                raise EngineUnavailable(
                    f"vLLM ended {MAX_STARTS} times: {reason(log)} (its log: {log})"
                )
            starting = self._starting = asyncio.create_task(self._start(server))
        return await asyncio.shield(starting)

    async def _start(self, crashed: _Server | None = None) -> _Server:
        self._starts += 1
        async with AsyncExitStack() as undo:
            if crashed is not None:
                log = crashed.process.log
                self._say(f"vLLM ended by itself: {reason(log)} (its log: {log})")
                await crashed.http.close()
                await crashed.process.end()
            started = time.monotonic()
            model = served_name(self._launch.model)
            process = SERVERS.take(self._launch)
            is_reused = process is not None
            if process is None:
                process = ServerProcess.start(self._launch)
                from_hub = checkpoint_folder(self._launch.model) is None
                where = ", which is no folder here and so is looked for on the model hub" * from_hub
                self._say(
                    f"starting vLLM for {model}{where}; this usually takes a minute or two; its log is "
                    f"{process.log}"
                )
                if (slow := slow_dtype(self._launch)) is not None:
                    self._say(slow)
                self._wait_for(f"vLLM to load {model} (its log: {process.log})")
                undo.callback(self._wait_for, None)
            undo.push_async_callback(process.end)
            http = HttpEngine(
                [f"http://127.0.0.1:{process.port}/v1"],
                model,
                api_key=process.key,
                concurrency=self._concurrency,
                timeout_seconds=self._timeout_seconds,
                connect_timeout_seconds=self._connect_timeout_seconds,
            )
            undo.push_async_callback(http.close)
            info = await _wait_until_up(process, http)
            if not is_reused:
                seconds = time.monotonic() - started
                self._say(f"vLLM {info.version or ''} is up after {seconds:.0f} s")
            self._wait_for(None)
            undo.pop_all()
        return _Server(process, http)


def _started(starting: asyncio.Task[_Server]) -> _Server | None:
    """The server of a start that has succeeded; else None."""
    if not starting.done() or starting.cancelled() or starting.exception() is not None:
        return None
    return starting.result()


async def _wait_until_up(process: ServerProcess, http: HttpEngine) -> EngineInfo:
    """Wait until the server is up. Raises EngineUnavailable if it ends, or after `_START_SECONDS`."""
    deadline = time.monotonic() + _START_SECONDS
    while not process.has_ended:
        try:
            return await http.describe()
        except EngineUnavailable:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(_POLL_SECONDS)
    raise EngineUnavailable(f"vLLM did not start: {reason(process.log)} (its log: {process.log})")
