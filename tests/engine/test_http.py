"""Engine ``http``: what it sends, and how it reads what comes back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, normalise
from pacore.engine.chat.responses import sampling_payload
from pacore.engine.http import HttpEngine
from tests.fixtures.engine_contract import request_for
from tests.fixtures.faulty_server import (
    MODEL,
    VERSION,
    Behaviour,
    FaultyServer,
    answers,
    completion,
    resets,
)
from tests.fixtures.http_tries import (
    CHAT,
    KEY,
    REQUEST,
    against,
    engine_at,
    fault_of,
    generation_of,
)


def test_what_is_sent_is_the_sampling_payload_and_nothing_more() -> None:
    recipe = Recipe(
        MODEL,
        chat_template_options={"enable_thinking": True},
        temperature=0.7,
        top_k=20,
        max_tokens=50,
        stop=("END",),
    )
    request = request_for(recipe, "Größe? \u2212 \U0001d54f")

    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        await engine.generate(request)
        (received,) = server.received(CHAT)
        assert received.json == sampling_payload(request)
        assert received.headers["x-request-id"] == request.trajectory_id
        assert "authorization" not in received.headers

    against(FaultyServer(), use)


def test_the_key_is_sent_as_a_bearer_token_without_the_line_break_of_its_file() -> None:
    async def run() -> None:
        async with FaultyServer() as server:
            engine = engine_at(server.endpoint, api_key=f"{KEY}\n")
            await engine.generate(REQUEST)
            await engine.close()
            assert server.received(CHAT)[0].headers["authorization"] == f"Bearer {KEY}"

    asyncio.run(run())


def test_a_generation_carries_what_the_server_said_of_it() -> None:
    async def use(_: FaultyServer, engine: HttpEngine) -> Generation:
        await engine.describe()
        return await engine.generate(REQUEST)

    generation = against(FaultyServer({CHAT: answers(completion())}), use)
    assert generation.finish_reason == "stop"
    assert generation.content == "The answer is \\boxed{7}."
    assert (generation.prompt_tokens, generation.completion_tokens) == (11, 5)
    assert generation.usage_source == "server"
    assert (generation.engine, generation.engine_version) == ("http", VERSION)
    assert (generation.served_model, generation.fingerprint) == (MODEL, "fp-1")
    assert generation.latency_seconds > 0


@pytest.mark.parametrize(
    ("said", "meant"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("function_call", "stop")],
)
def test_finish_reasons_of_a_finished_response(said: str, meant: str) -> None:
    assert generation_of(answers(completion(finish_reason=said))).finish_reason == meant


@pytest.mark.parametrize("said", ["abort", "error"])
def test_a_response_that_was_cut_is_an_engine_error_and_its_tokens_are_wasted(said: str) -> None:
    fault = fault_of(answers(completion(finish_reason=said)))
    assert (fault.finish_reason, fault.transient) == ("engine_error", True)
    assert "response was cut" in fault.detail
    assert fault.wasted_tokens == 5


def test_content_null_with_reasoning_is_a_generation_cut_while_thinking() -> None:
    generation = generation_of(answers(completion(None, "length", reasoning="hmm, hmm")))
    assert generation.content is None
    assert generation.reasoning == "hmm, hmm"
    assert normalise(generation).status == "truncated"


def test_content_null_without_reasoning_is_a_generation_that_says_nothing() -> None:
    generation = generation_of(answers(completion(None)))
    assert generation.content is None
    assert generation.reasoning is None
    assert normalise(generation).status == "empty"


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning": "Seven."},
        {"reasoning_content": "Seven."},
        {"reasoning": None, "reasoning_content": "Seven."},
        {"reasoning": "", "reasoning_content": "Seven."},
        {"reasoning": "Seven.", "reasoning_content": None},
    ],
)
def test_reasoning_is_read_from_either_field(message: dict[str, Any]) -> None:
    generation = generation_of(answers(completion("\\boxed{7}", **message)))
    assert generation.reasoning == "Seven."
    assert normalise(generation)[:3] == ("Seven.", "\\boxed{7}", True)


@pytest.mark.parametrize(
    "content", ["<think>Seven.</think>\n\\boxed{7}", "Seven.</think>\\boxed{7}"]
)
def test_reasoning_inside_the_content_is_kept_raw_and_split_by_normalise(content: str) -> None:
    generation = generation_of(answers(completion(content)))
    assert generation.content == content
    assert generation.reasoning is None
    assert normalise(generation)[:3] == ("Seven.", "\\boxed{7}", True)


def test_of_duplicated_choices_the_first_counts() -> None:
    body = completion("\\boxed{7}")
    body["choices"] += completion("\\boxed{8}")["choices"]
    assert generation_of(answers(body)).content == "\\boxed{7}"


def test_a_lone_surrogate_becomes_a_replacement_character_and_a_pair_stays() -> None:
    raw = json.dumps(completion("a\ud800b \U0001d54f\x00", reasoning="\udfff")).encode()
    assert b"\\ud800" in raw
    generation = generation_of(answers(raw))
    assert generation.content == "a\ufffdb \U0001d54f\x00"
    assert generation.reasoning == "\ufffd"


def without_usage(content: str | None = "one two three", **message: Any) -> Behaviour:
    body = completion(content, **message)
    del body["usage"]
    return answers(body)


def test_without_usage_the_tokenizer_counts_reasoning_and_content() -> None:
    generation = generation_of(without_usage(" two three", reasoning="one"))
    assert (generation.prompt_tokens, generation.completion_tokens) == (5, 3)
    assert generation.usage_source == "tokenizer"


@pytest.mark.parametrize(
    "usage", [None, {}, {"completion_tokens": 0}, {"completion_tokens": "5"}, 3]
)
def test_usage_that_counts_nothing_is_no_usage(usage: Any) -> None:
    generation = generation_of(answers({**completion("one two"), "usage": usage}))
    assert (generation.prompt_tokens, generation.completion_tokens) == (5, 2)
    assert generation.usage_source == "tokenizer"


def test_without_usage_and_tokenizer_the_count_is_unknown_and_never_zero() -> None:
    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        for _ in range(3):
            generation = await engine.generate(REQUEST)
            assert (generation.prompt_tokens, generation.completion_tokens) == (None, None)
            assert generation.usage_source == "unknown"
        assert await engine.count_prompt_tokens(REQUEST.recipe, REQUEST.turns) is None
        assert len(server.received("/tokenize")) == 1

    against(FaultyServer({CHAT: without_usage(), "/tokenize": answers({}, 404)}), use)


@pytest.mark.parametrize("tokenizer", [answers({}, 500), answers(b"?"), answers([]), resets()])
def test_a_broken_tokenizer_costs_the_count_and_not_the_generation(tokenizer: Behaviour) -> None:
    generation = generation_of(without_usage(), tokenizer=tokenizer)
    assert generation.content == "one two three"
    assert generation.completion_tokens is None
    assert generation.usage_source == "unknown"


def test_the_prompt_is_counted_with_the_chat_template_options() -> None:
    recipe = Recipe(MODEL, chat_template_options={"enable_thinking": False})

    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        assert await engine.count_prompt_tokens(recipe, REQUEST.turns) == 5
        assert server.received("/tokenize")[0].json == {
            "model": MODEL,
            "messages": [{"role": "user", "content": "What is 3 + 4?"}],
            "chat_template_kwargs": {"enable_thinking": False},
        }

    against(FaultyServer(), use)
