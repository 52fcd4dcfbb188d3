"""Engine ``vllm``: a local vLLM server that pacore starts, keeps warm, and takes down again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from pacore.engine.checkpoint import checkpoint_folder, served_name
from pacore.engine.http import HttpEngine
from pacore.engine.protocol import EngineFault, EngineInfo
from pacore.engine.vllm_server import ServerProcess
from pacore.errors import BadInput, EngineUnavailable
from pacore.problem import Turn
from pacore.recipe import Recipe
from pacore.trajectory import Generation, Request

OWN_OPTIONS = ("--model", "--served-model-name", "--host", "--port", "--uds", "--api-key")
"""Options of the server that are pacore's to set."""

START_SECONDS = 3600.0
"""Longest start; a large checkpoint on a network disk takes tens of minutes."""

LOOK_SECONDS = 0.5
MAX_STARTS = 4
"""Starts in an engine's life: a server that crashed comes back, unless it keeps crashing."""


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that answers, and the way to talk to it."""

    process: ServerProcess
    http: HttpEngine


class VllmEngine:
    """Samples trajectories from one vLLM server of its own.

    ``model`` is a local checkpoint folder or a name on the model hub; it is served under
    `served_name`. ``options`` are further arguments of the server. Nothing is started before the
    first call; a server that ends is started again, a few times at most. What the server says is
    appended to ``log_path``. Raises `pacore.errors.BadInput` for a folder that is no checkpoint, or
    an option that is pacore's own to set.
    """

    def __init__(
        self,
        model: str,
        *,
        concurrency: int,
        timeout_seconds: float,
        connect_timeout_seconds: float,
        options: Sequence[str],
        log_path: Path,
    ) -> None:
        for option in options:
            name = option.partition("=")[0]
            if name in OWN_OPTIONS:
                raise BadInput(f"vllm_options: {name} is set by pacore itself")
        checkpoint_folder(model)
        self._model = model
        self._concurrency = concurrency
        self._timeout_seconds = timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._options = tuple(options)
        self._log_path = log_path
        self._starts = 0
        self._starting: asyncio.Task[_Server] | None = None
        self._is_closed = False

    @property
    def slots(self) -> int:
        return self._concurrency

    async def describe(self) -> EngineInfo:
        """Start the server unless it runs, which takes a minute or more.

        Raises `pacore.errors.EngineUnavailable` with the reason that the server logged if it ends
        before it answers.
        """
        server = await self._server()
        return replace(await server.http.describe(), name="vllm")

    async def generate(self, request: Request) -> Generation:
        try:
            server = await self._server()
        except EngineUnavailable as unavailable:
            raise EngineFault("engine_error", str(unavailable), transient=False) from None
        return replace(await server.http.generate(request), engine="vllm")

    async def count_prompt_tokens(self, recipe: Recipe, turns: Sequence[Turn]) -> int | None:
        try:
            server = await self._server()
        except EngineUnavailable:
            return None
        return await server.http.count_prompt_tokens(recipe, turns)

    async def close(self) -> None:
        """End the server and every process that it started; returns when they are gone."""
        self._is_closed = True
        starting, self._starting = self._starting, None
        if starting is None:
            return
        starting.cancel()
        await asyncio.wait([starting])
        if (server := _started(starting)) is not None:
            await server.http.close()
            await server.process.end()

    async def _server(self) -> _Server:
        """The running server. One start serves all callers, and outlives a caller that gives up."""
        if self._is_closed:
            raise EngineUnavailable("this vLLM engine was closed")
        starting = self._starting
        if starting is None:
            starting = self._starting = asyncio.create_task(self._start())
        elif (server := _started(starting)) is not None and server.process.has_ended:
            if self._starts == MAX_STARTS:
                raise EngineUnavailable(f"vLLM ended {MAX_STARTS} times; see {self._log_path}")
            starting = self._starting = asyncio.create_task(self._start(server))
        return await asyncio.shield(starting)

    async def _start(self, crashed: _Server | None = None) -> _Server:
        self._starts += 1
        async with AsyncExitStack() as undo:
            if crashed is not None:
                await crashed.http.close()
                await crashed.process.end()
            process = ServerProcess.start(self._model, self._options, self._log_path)
            undo.push_async_callback(process.end)
            http = HttpEngine(
                [f"http://127.0.0.1:{process.port}/v1"],
                served_name(self._model),
                api_key=process.key,
                concurrency=self._concurrency,
                timeout_seconds=self._timeout_seconds,
                connect_timeout_seconds=self._connect_timeout_seconds,
            )
            undo.push_async_callback(http.close)
            await _answer(process, http)
            undo.pop_all()
        return _Server(process, http)


def _started(starting: asyncio.Task[_Server]) -> _Server | None:
    """The server that a start came to, if it has come to one."""
    if not starting.done() or starting.cancelled() or starting.exception() is not None:
        return None
    return starting.result()


async def _answer(process: ServerProcess, http: HttpEngine) -> None:
    """Wait until the server answers. Raises EngineUnavailable if it ends first, or never does."""
    deadline = time.monotonic() + START_SECONDS
    while not process.has_ended:
        try:
            await http.describe()
        except EngineUnavailable:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return
    raise EngineUnavailable(f"vLLM did not start: {process.reason()} (its log: {process.log_path})")
