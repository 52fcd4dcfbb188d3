"""Servers that take requests in another form: found out at the first refusal, and recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.run import RunConfig
from pacore.core.engine import EngineFault, Hint, Meter, Refusal
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation
from pacore.engine.chat.responses import sampling_payload
from pacore.engine.chat.wire_format import STANDARD_FORMAT, WireFormat
from pacore.engine.http import HttpEngine
from pacore.engine.watch import FirstFacts, WatchedEngine
from pacore.store.backends.opening import open_store
from pacore.store.layout import engine_key
from tests.fixtures.engine_contract import request_for
from tests.fixtures.faulty_server import (
    MODEL,
    Behaviour,
    Connection,
    FaultyServer,
    Received,
    answers,
    completion,
)
from tests.fixtures.http_tries import CHAT, against, engine_at, error_body
from tests.fixtures.pipeline import run_stages, table, write_problems
from tests.fixtures.served import served
from tests.fixtures.server_bodies import ANSWER, USAGE, delta, events

EVENTS = {"Content-Type": "text/event-stream"}


REQUEST = request_for(Recipe(MODEL, max_tokens=64))


STREAM = events(delta(content=ANSWER), delta("stop"), USAGE)

MAX_TOKENS = error_body(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
    "'max_completion_tokens' instead.",
    type="invalid_request_error",
    param="max_tokens",
    code="unsupported_parameter",
)


ONLY_STREAM = error_body(
    "This model only support stream mode, please enable the stream parameter to access the model. ",
    code="invalid_parameter_error",
)


def knows(
    refusal: Any, *wanted: str, refused: tuple[str, ...] = (), status: int = 400
) -> Behaviour:
    """Refuse what has a field of ``refused``, or lacks one of ``wanted``; answer as asked else."""

    async def behave(received: Received, connection: Connection) -> None:
        asked = received.json
        if any(name in asked for name in refused) or any(name not in asked for name in wanted):
            await answers(refusal, status)(received, connection)
        elif asked.get("stream"):
            await answers(STREAM, headers=EVENTS)(received, connection)
        else:
            await answers(completion(ANSWER))(received, connection)

    return behave


async def generated(engine: HttpEngine) -> Generation:
    made = await engine.generate(REQUEST)
    assert made.content == ANSWER
    return made


RENAMED = {
    "OpenAI": MAX_TOKENS,
    "OpenAI, in a 200": {"error": {**MAX_TOKENS["error"], "code": 400}},
    "Azure": error_body("Unsupported parameter: 'max_tokens'.", code="unsupported_parameter"),
    "a validator": {
        "detail": [
            {"type": "extra_forbidden", "loc": ["body", "max_tokens"], "msg": "Extra inputs are not"}
        ]
    },
    "a gateway": error_body("Unknown field `max_tokens`; did you mean `max_completion_tokens`?"),
    "Gemini": {"error": {"message": 'Invalid JSON payload received. Unknown name "max_tokens": '
                         "Cannot find field.", "status": "INVALID_ARGUMENT", "code": 400}},
}  # fmt: skip


@pytest.mark.parametrize("name", RENAMED)
def test_max_tokens_goes_by_its_other_name_where_a_server_asks_for_it(name: str) -> None:
    status = {"OpenAI, in a 200": 200, "a validator": 422}.get(name, 400)
    chat = knows(RENAMED[name], refused=("max_tokens",), status=status)

    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        first, second = await generated(engine), await generated(engine)
        assert (first.tries, second.tries) == (2, 1)
        assert first.wire == second.wire == "max_completion_tokens"
        sent = server.received(CHAT)[-1].json
        usual = dict(sampling_payload(REQUEST))
        assert sent.pop("max_completion_tokens") == usual.pop("max_tokens") == 64
        assert sent == usual

    against(FaultyServer({CHAT: chat}), use)


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 64. This model supports at most 16 completion tokens.",
        "max_tokens must be at least 100",
        "Range of max_tokens should be [1, 16]",
        "Unsupported value: max_tokens exceeds the limit of 16 for this model",
        "no such thing",
    ],
)
def test_a_limit_of_max_tokens_is_no_other_name_of_it(message: str) -> None:
    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        with pytest.raises(EngineFault) as refused:
            await engine.generate(REQUEST)
        assert (refused.value.finish_reason, refused.value.requests) == ("rejected", 1)
        assert len(server.received(CHAT)) == 1

    body = error_body(message, param="max_tokens")
    against(FaultyServer({CHAT: answers(body, 400)}), use)


def test_a_server_that_refuses_the_other_name_too_is_asked_no_third_time() -> None:
    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        with pytest.raises(EngineFault) as refused:
            await engine.generate(REQUEST)
        assert (refused.value.finish_reason, refused.value.requests) == ("rejected", 2)
        assert len(server.received(CHAT)) == 2

    against(FaultyServer({CHAT: answers(MAX_TOKENS, 400)}), use)


def test_mistrals_name_of_the_seed_is_taken_where_it_is_named() -> None:
    message = "Extra inputs are not permitted: seed. Did you mean random_seed?"
    chat = knows(error_body(message), refused=("seed",))

    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        assert (await generated(engine)).wire == "random_seed"
        assert server.received(CHAT)[-1].json["random_seed"] == REQUEST.seed

    against(FaultyServer({CHAT: chat}), use)


@pytest.mark.parametrize("field", ["seed", "temperature", "top_p"])
def test_a_field_is_never_left_out_unasked(field: str) -> None:
    chat = knows(error_body(f"Unsupported parameter: '{field}'"), refused=(field,))

    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        with pytest.raises(EngineFault):
            await engine.generate(REQUEST)
        assert all(field in request.json for request in server.received(CHAT))

    against(FaultyServer({CHAT: chat}), use)


@pytest.mark.parametrize(
    "refusal",
    [
        ONLY_STREAM,
        {"detail": "Stream must be set to true"},
        error_body("Non-streaming requests are not supported for this model."),
        error_body("This endpoint only supports streaming responses"),
        error_body("parameter.enable_thinking must be set to false for non-streaming calls"),
        error_body("`stream` must be true for this model"),
        error_body("streaming is required for operations that may take longer than 10 minutes"),
    ],
)
def test_an_endpoint_that_only_streams_is_streamed_with_usage(refusal: Any) -> None:
    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        first, second = await generated(engine), await generated(engine)
        assert (first.tries, second.tries) == (2, 1)
        assert first.wire == "stream"
        assert (first.completion_tokens, first.usage_source) == (5, "server")
        sent = server.received(CHAT)[-1].json
        assert sent.pop("stream") is True
        assert sent.pop("stream_options") == {"include_usage": True}
        assert sent == sampling_payload(REQUEST)

    against(FaultyServer({CHAT: knows(refusal, "stream")}), use)


def test_one_that_takes_no_options_of_a_stream_is_streamed_without() -> None:
    async def behave(received: Received, connection: Connection) -> None:
        if "stream" not in received.json:
            await answers(ONLY_STREAM, 400)(received, connection)
        elif "stream_options" in received.json:
            body = error_body("Unknown parameter: 'stream_options'.")
            await answers(body, 400)(received, connection)
        else:
            raw = events(delta(content="one two"), delta("stop"))
            await answers(raw, headers=EVENTS)(received, connection)

    async def use(_: FaultyServer, engine: HttpEngine) -> None:
        made = await engine.generate(REQUEST)
        assert (made.tries, made.wire) == (3, "stream without usage")
        assert (made.completion_tokens, made.usage_source) == (2, "tokenizer")

    against(FaultyServer({CHAT: behave}), use)


def test_two_other_forms_are_learnt_one_after_the_other() -> None:
    async def behave(received: Received, connection: Connection) -> None:
        asked = received.json
        refusal = MAX_TOKENS if "max_tokens" in asked else ONLY_STREAM
        is_refused = "max_tokens" in asked or "stream" not in asked
        other = answers(STREAM, headers=EVENTS)
        await (answers(refusal, 400) if is_refused else other)(received, connection)

    async def use(_: FaultyServer, engine: HttpEngine) -> None:
        made = await generated(engine)
        assert (made.tries, made.wire) == (3, "max_completion_tokens, stream")

    against(FaultyServer({CHAT: behave}), use)


def test_requests_at_the_same_time_learn_it_together_and_each_counts_what_it_sent() -> None:
    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        made = await asyncio.gather(*(generated(engine) for _ in range(8)))
        assert {one.wire for one in made} == {"max_completion_tokens"}
        assert sum(one.tries for one in made) == len(server.received(CHAT))

    against(FaultyServer({CHAT: knows(MAX_TOKENS, refused=("max_tokens",))}), use)


def test_each_endpoint_is_spoken_to_in_its_own_form() -> None:
    async def run() -> None:
        renames = FaultyServer({CHAT: knows(MAX_TOKENS, refused=("max_tokens",))})
        async with renames, FaultyServer({CHAT: answers(completion(ANSWER))}) as usual:
            engine = engine_at(renames.endpoint, usual.endpoint)
            made = await asyncio.gather(*(generated(engine) for _ in range(8)))
            await engine.close()
            assert {one.wire for one in made} == {"max_completion_tokens", None}

    asyncio.run(run())


def test_the_usual_form_has_no_name_and_is_the_payload() -> None:
    assert STANDARD_FORMAT.label is None
    assert STANDARD_FORMAT.body(REQUEST) == sampling_payload(REQUEST)
    assert WireFormat(("max_tokens", "seed"), True, False).label == (
        "max_completion_tokens, random_seed, stream without usage"
    )


@pytest.mark.parametrize("status", [401, 403, 413, 429, 503])
def test_other_refusals_teach_nothing(status: int) -> None:
    refusal = Refusal("http://host/v1", status, MAX_TOKENS["error"]["message"])
    assert STANDARD_FORMAT.after(refusal, STANDARD_FORMAT.body(REQUEST)) is None


def test_the_form_stands_in_every_row_and_in_the_runs_record(tmp_path: Path) -> None:
    with served(FaultyServer({CHAT: knows(MAX_TOKENS, refused=("max_tokens",))})) as server:
        run_stages(
            RunConfig(
                problems=str(write_problems(tmp_path / "p.jsonl", 3)),
                store=str(tmp_path / "store"),
                endpoints=(server.endpoint,),
                model=MODEL,
                widths=(2,),
                run_id="mine",
                max_tokens=64,
                retries=0,
            )
        )
        sent = len(server.received(CHAT))
    rows = table(str(tmp_path / "store"), "mine", "trajectories", ["wire", "tries"])
    assert {row[1] for row in rows} == {"max_completion_tokens"}
    assert sum(row[2] for row in rows) == sent
    record = open_store(str(tmp_path / "store")).get(engine_key("mine"))
    assert b'"wire":"max_completion_tokens"' in record


def test_another_form_is_said_aloud_once(tmp_path: Path) -> None:
    heard: list[str] = []

    async def use(_: FaultyServer, engine: HttpEngine) -> None:
        first = FirstFacts(open_store(str(tmp_path / "store")), "mine")
        watched = WatchedEngine(engine, first, heard.append)
        await watched.describe()
        for _try in range(3):
            await watched.generate(REQUEST)

    against(FaultyServer({CHAT: knows(MAX_TOKENS, refused=("max_tokens",))}), use)
    (said,) = heard
    assert "needs another wire format (max_completion_tokens)" in said


def streams_for_ever(part: bytes, closed: list[bool]) -> Behaviour:
    """Send one part of a stream, and no end of it, until the client closes the connection."""

    async def behave(_: Received, connection: Connection) -> None:
        header = (
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100000\r\n\r\n"
        )
        connection.writer.write(header.encode() + part)
        await connection.writer.drain()
        closed.append(await connection.reader.read(1) == b"")
        connection.writer.close()

    return behave


COUNTED = (
    b'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"completion_tokens":%d}}\n\n'
)

PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


@pytest.mark.parametrize(
    ("part", "tokens", "source"),
    [
        (b"".join(COUNTED % number for number in range(1, 18)), 17, "server"),
        (PIECE * 5, 5, "stream"),
        (b"", 0, "unknown"),
    ],
    ids=["counted by the server", "counted by its pieces", "before anything has come"],
)
def test_a_request_that_is_aborted_closes_its_connection_and_what_it_has_cost_is_known(
    part: bytes, tokens: int, source: str
) -> None:
    closed: list[bool] = []
    meter = Meter()

    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        asked = asyncio.ensure_future(engine.generate(REQUEST, Hint(meter=meter)))
        for _ in range(500):
            await asyncio.sleep(0.01)
            if server.received(CHAT) and meter.tokens == tokens:
                break
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        for _ in range(500):
            if closed:
                break
            await asyncio.sleep(0.01)
        (sent,) = server.received(CHAT)
        assert sent.json["stream"] is True
        options = {"include_usage": True, "continuous_usage_stats": True}
        assert sent.json["stream_options"] == options

    against(FaultyServer({CHAT: streams_for_ever(part, closed)}), use)
    assert closed == [True]
    assert (meter.tokens, meter.source) == (tokens, source)


def test_a_server_that_refuses_counts_all_through_a_stream_is_asked_for_one_at_its_end() -> None:
    bodies: list[Any] = []

    async def behave(received: Received, connection: Connection) -> None:
        bodies.append(received.json)
        if "continuous_usage_stats" in received.json.get("stream_options", {}):
            refusal = error_body("Unknown field: stream_options.continuous_usage_stats")
            await answers(refusal, 400)(received, connection)
        else:
            await answers(STREAM, headers=EVENTS)(received, connection)

    async def use(_: FaultyServer, engine: HttpEngine) -> Generation:
        return await engine.generate(REQUEST, Hint(meter=Meter()))

    made = against(FaultyServer({CHAT: behave}), use)
    assert made.finish_reason == "stop" and made.content == ANSWER
    assert [body["stream_options"] for body in bodies] == [
        {"include_usage": True, "continuous_usage_stats": True},
        {"include_usage": True},
    ]
