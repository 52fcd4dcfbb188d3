"""What public servers send under a 200, through a real one: no text is lost, and none paid twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.engine import EngineFault
from pacore.core.trajectory import Generation, normalise
from pacore.engine.chat.choice import MAX_DEPTH, UNREAD_CHARACTERS
from pacore.engine.chat.completion import read_completion
from pacore.engine.chat.responses import Response
from pacore.engine.faults import Origin
from tests.fixtures.faulty_server import Behaviour, FaultyServer, answers, completion, head, sends
from tests.fixtures.http_tries import (
    CHAT,
    KEY,
    attempt,
    engine_at,
    fault_of,
    generation_of,
    outcome,
)
from tests.fixtures.server_bodies import (
    ANSWER,
    BODIES,
    STREAMS,
    THOUGHT,
    USAGE,
    Body,
    chat,
    delta,
    events,
    part,
    said,
)

EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}


ORIGIN = Origin("http://host/v1", KEY)


def behaviours() -> dict[str, tuple[Body, Behaviour]]:
    plain = {name: (body, answers(body.encoded)) for name, body in BODIES.items()}
    streamed = {
        f"streamed: {name}": (body, answers(body.encoded, headers=EVENTS))
        for name, body in STREAMS.items()
    }
    return plain | streamed


@pytest.fixture(scope="module")
def read() -> dict[str, Generation | EngineFault]:
    """What the engine makes of every body, in one session with one server."""

    async def run() -> dict[str, Generation | EngineFault]:
        named = behaviours()
        server = FaultyServer({CHAT: [behave for _, behave in named.values()]})
        async with server:
            engine = engine_at(server.endpoint)
            found = {name: await outcome(engine) for name in named}
            await engine.close()
            assert len(server.received(CHAT)) == len(named)
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("name", behaviours())
def test_a_servers_words_are_read_and_what_it_said_is_kept(
    name: str, read: dict[str, Generation | EngineFault]
) -> None:
    body, made = behaviours()[name][0], read[name]
    assert isinstance(made, Generation), made
    assert made.content == body.content
    assert made.reasoning == body.reasoning
    assert made.finish_reason == body.finish_reason
    assert made.finish_said == body.finish_said
    assert made.unread == body.unread
    assert normalise(made).conclusion == body.conclusion
    if body.completion_tokens is not None:
        assert made.completion_tokens == body.completion_tokens
    assert made.tries == 1


def test_a_text_as_long_as_it_was_allowed_to_be_was_cut_whatever_is_said_of_its_end() -> None:
    body = json.dumps(chat(said(), None)).encode()
    assert read_completion(ORIGIN, Response(200, body), max_tokens=5).finish_reason == "length"
    assert read_completion(ORIGIN, Response(200, body), max_tokens=6).finish_reason == "stop"


@pytest.mark.parametrize("word", ["abort", "error", "network_error", "USER_CANCEL"])
def test_a_text_its_server_gave_up_is_tried_again_and_kept_with_the_tombstone(word: str) -> None:
    fault = fault_of(answers(chat(said(reasoning=THOUGHT), word)))
    assert (fault.finish_reason, fault.transient, fault.wasted_tokens) == ("engine_error", True, 5)
    kept = fault.as_generation()
    assert (kept.content, kept.reasoning, kept.finish_said) == (ANSWER, THOUGHT, word)
    assert (kept.completion_tokens, kept.wasted_tokens, kept.is_finished) == (None, 5, False)


@pytest.mark.parametrize("word", [None, "", "abort", {}])
def test_an_answer_without_a_text_and_without_a_word_is_tried_again(word: Any) -> None:
    fault = fault_of(answers(chat(said(None), word)))
    assert (fault.finish_reason, fault.transient) == ("engine_error", True)


@pytest.mark.parametrize("word", ["content_filter", "SAFETY", "OTHER", "fertig"])
def test_an_answer_withheld_whole_is_rejected_for_good(word: str) -> None:
    fault = fault_of(answers(chat(said(""), word)))
    assert (fault.finish_reason, fault.transient, fault.wasted_tokens) == ("rejected", False, 5)
    assert word in fault.detail


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (
            {"role": "assistant", "verdict": {"x": 7}},
            "an object with finish_reason, index, message",
        ),
        (said({"x": 7}), "an object with finish_reason, index, message"),
        (said([{"kind": "mystery", "x": 7}]), "an object with finish_reason, index, message"),
        (said(True), "an object with finish_reason, index, message"),
    ],
)
def test_a_shape_nobody_knows_is_a_lasting_tombstone_that_keeps_its_json(
    message: Any, named: str
) -> None:
    fault = fault_of(answers(chat(message)))
    assert (fault.finish_reason, fault.transient) == ("engine_error", False)
    assert named in fault.detail
    kept = fault.as_generation()
    assert json.loads(kept.unread or "") == chat(message)["choices"][0]
    assert kept.wasted_tokens == 5


def test_a_body_nobody_knows_is_not_paid_for_again_where_it_counts_tokens() -> None:
    body = {"antwort": ANSWER, "usage": {"completion_tokens": 5}}
    fault = fault_of(answers(body))
    assert (fault.finish_reason, fault.transient, fault.wasted_tokens) == ("engine_error", False, 5)
    assert "an object with antwort, usage" in fault.detail
    assert json.loads(fault.as_generation().unread or "") == body
    assert fault_of(answers({"antwort": ANSWER})).transient


def test_the_json_that_is_kept_is_bounded_and_without_the_key() -> None:
    fault = fault_of(answers(chat({"odd": KEY + "x" * 100_000})))
    kept = fault.as_generation().unread
    assert kept is not None
    assert len(kept) <= UNREAD_CHARACTERS
    assert KEY not in kept


# Errors inside of a 200.


@pytest.mark.parametrize(
    ("body", "finish_reason", "transient"),
    [
        ({"error": {"message": "bad", "code": 400}}, "rejected", False),
        ({"error": {"message": "no key", "code": "401"}}, "rejected", False),
        ({"error": {"message": "x", "type": "invalid_request_error"}}, "rejected", False),
        ({"error": {"message": "x", "code": "invalid_api_key"}}, "rejected", False),
        ({"error": {"message": "x", "status": "PERMISSION_DENIED"}}, "rejected", False),
        ({"type": "error", "error": {"type": "not_found_error", "message": "x"}}, "rejected", False),
        ({"error": "Unauthorized", "code": 401}, "rejected", False),
        ({"code": 400, "message": "wrong", "object": "error"}, "rejected", False),
        ({"error": {"message": "slow", "code": 429}}, "engine_error", True),
        ({"error": {"message": "x", "type": "overloaded_error"}}, "engine_error", True),
        ({"error": {"message": "x", "code": 502, "metadata": {"raw": "y"}}}, "engine_error", True),
        ({"error": {"message": "x", "status": "RESOURCE_EXHAUSTED"}}, "engine_error", True),
        ({"error": {"message": "upstream failed"}}, "engine_error", True),
        ({"choices": [{"error": {"message": "x", "code": 403}, "message": said("")}]}, "rejected",
         False),
    ],
)  # fmt: skip
def test_an_error_inside_a_200_is_what_its_code_says(
    body: Any, finish_reason: str, transient: bool
) -> None:
    fault = fault_of(answers(body))
    assert (fault.finish_reason, fault.transient) == (finish_reason, transient)


@pytest.mark.parametrize("error", [{"code": 0, "message": ""}, {"message": "success"}, "none"])
def test_an_error_field_beside_a_whole_answer_is_none(error: Any) -> None:
    made = generation_of(answers({**chat(said()), "error": error}))
    assert (made.content, made.finish_reason) == (ANSWER, "stop")


def test_an_overflow_inside_a_200_is_an_overflow() -> None:
    error = {"message": "Too long.", "code": "context_length_exceeded", "type": "invalid"}
    assert generation_of(answers({"error": error})).finish_reason == "context_overflow"


# Streams that break off.


def cut_stream(raw: bytes) -> Behaviour:
    """Promise more than is sent, and close the connection."""
    return sends(head(200, len(raw) + 1000, EVENTS) + raw)


def test_a_stream_that_breaks_off_is_no_success_and_its_text_is_kept() -> None:
    for raw in (
        events(delta(reasoning=THOUGHT), delta(content="The answer"), done=False),
        events(delta(reasoning=THOUGHT), delta(content="The answer"), done=False) + b'data: {"cho',
    ):
        for behave in (cut_stream(raw), answers(raw, headers=EVENTS)):
            fault = fault_of(behave)
            assert (fault.finish_reason, fault.transient) == ("engine_error", True)
            assert "the stream was cut" in fault.detail
            kept = fault.as_generation()
            assert (kept.content, kept.reasoning) == ("The answer", THOUGHT)


def test_a_stream_that_breaks_off_after_its_finish_reason_has_said_all() -> None:
    raw = events(delta(content=ANSWER), delta("stop"), done=False)
    made = generation_of(cut_stream(raw))
    assert (made.content, made.finish_reason) == (ANSWER, "stop")


def test_a_stream_that_breaks_off_before_any_text_is_tried_again() -> None:
    fault = fault_of(cut_stream(events(delta(role="assistant"), done=False)))
    assert (fault.finish_reason, fault.transient) == ("engine_error", True)


@pytest.mark.parametrize(("code", "transient"), [(502, True), (400, False)])
def test_an_error_in_the_middle_of_a_stream_is_what_its_code_says(
    code: int, transient: bool
) -> None:
    raw = events(delta(content="The answer"), {"error": {"message": "x", "code": code}})
    fault = fault_of(answers(raw, headers=EVENTS))
    assert (fault.finish_reason, fault.transient) == ("engine_error", transient)
    assert fault.as_generation().content == "The answer"


def test_an_error_that_opens_a_stream_is_classified_as_in_a_body() -> None:
    error = {"error": {"message": "bad", "code": 400}}
    fault = fault_of(answers(events(error), headers=EVENTS))
    assert (fault.finish_reason, fault.transient) == ("rejected", False)


# Whatever comes.

texts = st.text(min_size=1, max_size=12).filter(str.strip)


scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text()


names = st.sampled_from(
    ["content", "text", "reasoning", "reasoning_content", "message", "delta", "choices", "type",
     "refusal", "tool_calls", "logprobs", "parts", "thinking", "thought", "error", "usage", "code",
     "finish_reason", "reasoning_details", "output", "index", "function", "audio", "token"]
)  # fmt: skip


values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=25,
)


def verdict(body: bytes) -> Generation | EngineFault:
    try:
        return read_completion(ORIGIN, Response(200, body))
    except EngineFault as fault:
        return fault


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(values)
def test_no_json_under_a_200_is_ever_more_than_a_generation_or_a_fault(value: Any) -> None:
    for body in (value, {"choices": [value]}, chat(value), chat(said(value))):
        made = verdict(json.dumps(body).encode())
        if isinstance(made, EngineFault):
            made = made.as_generation()
        normalise(made)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.lists(values, max_size=4))
def test_no_stream_is_ever_more_than_a_generation_or_a_fault(raw: bytes, chunks: list[Any]) -> None:
    for body in (b"data: " + raw, events(*chunks) + raw, raw + events(*chunks, done=False)):
        verdict(body)


wrappings = st.sampled_from(
    [
        lambda text: text,
        lambda text: [text],
        lambda text: [part(text)],
        lambda text: [part(text, "output_text")],
        lambda text: {"type": "text", "text": text},
        lambda text: {"parts": [{"text": text}]},
        lambda text: [{"type": "message", "content": [part(text, "output_text")]}],
        lambda text: [{"type": "text", "text": {"value": text}}],
    ]
)


ends: st.SearchStrategy[Any] = st.sampled_from(
    ["stop", "length", None, "", "eos", "fertig", "MAX_TOKENS", "SAFETY", 3, {}]
)


@settings(max_examples=300, deadline=None)
@given(
    content=texts,
    thought=texts,
    wrap=wrappings,
    end=ends,
    field=st.sampled_from(["reasoning", "reasoning_content", "thinking", "reasoning_details"]),
    beside=st.dictionaries(st.sampled_from(["annotations", "odd", "name"]), values, max_size=2),
)
def test_no_text_is_lost_however_it_is_wrapped_and_whatever_is_said_of_its_end(
    content: str, thought: str, wrap: Any, end: Any, field: str, beside: dict[str, Any]
) -> None:
    message = {"role": "assistant", **beside, "content": wrap(content), field: wrap(thought)}
    made = verdict(json.dumps(chat(message, end)).encode())
    assert isinstance(made, Generation), made
    assert made.content == ORIGIN.redacted(content)
    assert ORIGIN.redacted(thought) in (made.reasoning or content)


def test_text_is_found_down_to_a_bounded_depth_and_kept_as_json_below() -> None:
    deep: Any = ANSWER
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    assert generation_of(answers(completion(deep))).content == ANSWER
    for _ in range(5):
        deep = [deep]
    found = attempt(answers(completion(deep)))
    assert isinstance(found, EngineFault)
    assert ANSWER.replace("\\", "\\\\") in (found.as_generation().unread or "")


def test_a_body_of_events_is_known_without_its_content_type() -> None:
    made = generation_of(answers(events(delta(content=ANSWER), delta("stop"), USAGE)))
    assert (made.content, made.completion_tokens) == (ANSWER, 5)
