"""An engine for one thread that waits for each answer; engines themselves are asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from pacore.core.engine import Engine, EngineInfo
from pacore.core.trajectory import Request

_T = TypeVar("_T")


class WaitedEngine:
    """A context manager that closes the engine at its end.

    Its event loop has a thread of its own, so that it can be used where another loop runs already, as
    in a notebook.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counts: dict[str, int | None] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)

    def describe(self) -> EngineInfo:
        """Raises EngineUnavailable."""
        return self._wait(self._engine.describe())

    def count_prompt_tokens(self, request: Request) -> int | None:
        """Tokens of a request's prompt as the engine counts them; None where it cannot.

        Each distinct prompt is counted once.
        """
        prompt = request.prompt_digest
        if prompt not in self._counts:
            counting = self._engine.count_prompt_tokens(request.recipe, request.turns)
            self._counts[prompt] = self._wait(counting)
        return self._counts[prompt]

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._engine.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
