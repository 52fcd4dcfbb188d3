"""What every engine promises, as clauses to be run against any of them.

A clause takes an engine that is ready and a request that it can answer with at least three tokens.
Run one like this, with an engine of its own or shared with the other clauses:

    @pytest.mark.parametrize("clause", CONTRACT, ids=clause_name)
    def test_the_engine_keeps_the_contract(clause: Clause) -> None:
        asyncio.run(clause(engine, request))

The clause about closing comes last and leaves the engine closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from pacore.core.engine import Engine
from pacore.core.problem import Turn
from pacore.core.prompt import prompt_digest
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request, normalise

Clause = Callable[[Engine, Request], Awaitable[None]]

PROMPT_SECONDS = 2.0
"""What counts as promptly, on a machine that has other things to do."""


def request_for(recipe: Recipe, text: str = "What is 3 + 4?", draw: int = 0) -> Request:
    """A request of one user turn."""
    turns = (Turn("user", text),)
    return Request.of(recipe, turns, prompt_digest(turns), draw)


def clause_name(clause: Clause) -> str:
    return getattr(clause, "__name__", repr(clause))


async def it_says_what_it_serves(engine: Engine, request: Request) -> None:
    info = await engine.describe()
    assert info.name
    assert info.version is None or info.version
    assert info.window_tokens is None or info.window_tokens > 0
    assert not info.served_models or request.recipe.model in info.served_models
    assert engine.slots >= 1


async def a_generation_says_how_it_ended_and_what_it_cost(engine: Engine, request: Request) -> None:
    info = await engine.describe()
    generation = await engine.generate(request)
    assert generation.finish_reason in ("stop", "length")
    assert generation.content or generation.reasoning
    assert generation.error is None
    assert generation.engine == info.name
    assert generation.engine_version == info.version
    assert generation.tries == 1
    assert generation.latency_seconds >= 0
    assert normalise(generation).status in ("present", "empty", "truncated")
    _counts_are_honest(generation)


def _counts_are_honest(generation: Generation) -> None:
    for count in (generation.prompt_tokens, generation.completion_tokens):
        assert count is None or (type(count) is int and count > 0)
    assert (generation.completion_tokens is None) == (generation.usage_source == "unknown")


async def texts_can_be_stored_as_utf8(engine: Engine, request: Request) -> None:
    generation = await engine.generate(request)
    for text in (generation.content, generation.reasoning, generation.served_model):
        assert text is None or text.encode("utf-8").decode("utf-8") == text


async def a_prompt_has_as_many_tokens_before_as_after(engine: Engine, request: Request) -> None:
    counted = await engine.count_prompt_tokens(request.recipe, request.turns)
    generation = await engine.generate(request)
    assert counted is None or counted == generation.prompt_tokens


async def max_tokens_is_kept_to(engine: Engine, request: Request) -> None:
    recipe = replace(request.recipe, max_tokens=3)
    generation = await engine.generate(request_for(recipe))
    assert generation.finish_reason == "length"
    assert generation.completion_tokens in (3, None)


async def a_prompt_longer_than_the_window_is_an_overflow(engine: Engine, request: Request) -> None:
    window_tokens = (await engine.describe()).window_tokens
    assert window_tokens is not None
    generation = await engine.generate(request_for(request.recipe, "word " * (window_tokens + 1)))
    assert generation.finish_reason == "context_overflow"
    assert generation.content is None
    assert generation.error
    assert "\n" not in generation.error
    assert generation.is_finished


async def requests_run_side_by_side(engine: Engine, request: Request) -> None:
    width = min(engine.slots, 8)
    requests = [request_for(request.recipe, draw=draw) for draw in range(width)]
    generations = await asyncio.gather(*(engine.generate(each) for each in requests))
    assert [generation.is_finished for generation in generations] == [True] * width


async def cancelling_is_prompt_and_leaves_the_engine_usable(
    engine: Engine, request: Request
) -> None:
    generating = asyncio.create_task(engine.generate(request))
    await asyncio.sleep(0)
    cancelled_at = time.monotonic()
    generating.cancel()
    await asyncio.wait([generating])
    assert generating.cancelled()
    assert time.monotonic() - cancelled_at < PROMPT_SECONDS
    assert (await engine.generate(request)).is_finished


async def closing_twice_is_closing_once(engine: Engine, request: Request) -> None:
    await engine.generate(request)
    await engine.close()
    await engine.close()


CONTRACT: tuple[Clause, ...] = (
    it_says_what_it_serves,
    a_generation_says_how_it_ended_and_what_it_cost,
    texts_can_be_stored_as_utf8,
    a_prompt_has_as_many_tokens_before_as_after,
    max_tokens_is_kept_to,
    a_prompt_longer_than_the_window_is_an_overflow,
    requests_run_side_by_side,
    cancelling_is_prompt_and_leaves_the_engine_usable,
    closing_twice_is_closing_once,
)
