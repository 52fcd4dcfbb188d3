"""Engine ``scripted``: a deterministic stand-in for a reasoning model, for tests and docs.

Its model name is its configuration, so that a run with other options has other trajectories:

    scripted?words=200&truncate=0.1&empty=0.05&fault=0.02&latency_ms=5&answers=10&window=4096

It thinks in words that mean nothing and concludes with a boxed number. Asked ``a + b``, ``a - b``
or ``a * b`` in whole numbers it is right six times in ten; asked anything else it guesses. Given a
synthesis prompt it boxes the majority of its references nine times in ten, and otherwise answers
for itself. Asked as a judge it votes rightly nine times in ten. What it says follows from a request's
seed and turns alone. Its tokens are words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pacore.core.engine import Cause, EngineFault, EngineInfo, Refusal
from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request
from pacore.engine.script import (
    SCRIPT_VERSION,
    Draws,
    Reply,
    read_script,
    reply_to,
    share,
)


class ScriptedEngine:
    """Samples trajectories from nothing but their requests; needs no server, key, or model.

    ``model`` is ``scripted`` with the options of `pacore.engine.script.Script`. Raises
    `pacore.errors.BadInput` for any other.
    """

    def __init__(self, model: str, *, slots: int = 64) -> None:
        self._model = model
        self._script = read_script(model)
        self._slots = slots

    @property
    def slots(self) -> int:
        return self._slots

    async def describe(self) -> EngineInfo:
        window_tokens = self._script.window
        return EngineInfo("scripted", SCRIPT_VERSION, window_tokens, (self._model,))

    async def generate(self, request: Request) -> Generation:
        draws = Draws.of(request)
        wait_seconds = self._script.latency_ms / 1000 * (0.5 + share(draws.wait))
        await asyncio.sleep(wait_seconds)
        if share(draws.fault) < self._script.fault:
            detail = f"scripted fault of seed {request.seed}"
            raise EngineFault("engine_error", detail, transient=False)
        prompt_tokens = count_words(request.turns)
        reply = self._reply(request, draws, prompt_tokens)
        return Generation(
            reply.finish_reason,
            reply.content,
            reply.reasoning,
            prompt_tokens=prompt_tokens,
            completion_tokens=reply.words,
            usage_source="server",
            error=reply.error,
            engine="scripted",
            engine_version=SCRIPT_VERSION,
            served_model=self._model,
            latency_seconds=wait_seconds,
        )

    def _reply(self, request: Request, draws: Draws, prompt_tokens: int) -> Reply:
        window, limit = self._script.window, request.recipe.max_tokens
        if window is not None:
            room = window - prompt_tokens
            if room < 1:
                error = f"a prompt of {prompt_tokens} words leaves no room in a window of {window}"
                return Reply("context_overflow", error=error)
            limit = room if limit is None else min(limit, room)
        reply = reply_to(request.turns[-1].content, self._script, draws)
        return reply if limit is None else reply.cut(limit)

    async def count_prompt_tokens(
        self,
        recipe: Recipe,  # noqa: ARG002 - a script counts words, whatever the recipe
        turns: Sequence[Turn],
    ) -> int | None:
        return count_words(turns)

    async def cause_of(
        self,
        request: Request,  # noqa: ARG002 - a script refuses nothing
        refusal: Refusal,
    ) -> Cause:
        return Cause(refusal.message)

    async def generated_tokens(self) -> int | None:
        return None

    async def close(self) -> None:
        """Nothing is held."""


def count_words(turns: Sequence[Turn]) -> int:
    """Words of a prompt; an empty one counts as one, as no request is free."""
    return max(1, sum(len(turn.content.split()) for turn in turns))
