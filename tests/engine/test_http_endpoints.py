"""Engine ``http`` over several endpoints, and what it learns of them before any request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pacore.core.engine import EngineFault, EngineInfo
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation
from pacore.engine.http import HttpEngine
from pacore.errors import BadInput, EngineUnavailable
from tests.fixtures.engine_contract import request_for
from tests.fixtures.faulty_server import (
    MODEL,
    VERSION,
    Behaviour,
    FaultyServer,
    answers,
    behaves,
    models,
    resets,
    sends,
)
from tests.fixtures.http_tries import (
    CHAT,
    REQUEST,
    against,
    closed_port,
    engine_at,
    error_body,
    outcome,
)


def test_requests_go_to_the_endpoint_with_the_least_to_do() -> None:
    async def run() -> None:
        async with FaultyServer() as one, FaultyServer() as two:
            engine = engine_at(one.endpoint, two.endpoint)
            assert engine.slots == 8
            await asyncio.gather(*(engine.generate(REQUEST) for _ in range(8)))
            await engine.close()
            assert (len(one.received(CHAT)), len(two.received(CHAT))) == (4, 4)

    asyncio.run(run())


def test_endpoints_with_nothing_to_do_are_taken_in_their_order() -> None:
    async def run() -> None:
        async with FaultyServer() as one, FaultyServer() as two:
            engine = engine_at(one.endpoint, two.endpoint)
            for _ in range(5):
                await engine.generate(REQUEST)
            await engine.close()
            assert (len(one.received(CHAT)), len(two.received(CHAT))) == (5, 0)

    asyncio.run(run())


def test_a_dead_endpoint_does_not_draw_the_requests_that_another_could_answer() -> None:
    async def run() -> None:
        async with FaultyServer() as alive:
            engine = engine_at(f"http://127.0.0.1:{closed_port()}/v1", alive.endpoint)
            found = [await outcome(engine) for _ in range(5)]
            await engine.close()
            assert [isinstance(each, EngineFault) for each in found] == [True, *[False] * 4]

    asyncio.run(run())


@pytest.mark.slow
def test_an_endpoint_that_asks_for_time_is_left_alone_for_it() -> None:
    async def run() -> None:
        busy = FaultyServer({CHAT: [answers({}, 429, {"Retry-After": "1.5"}), behaves()]})
        async with busy, FaultyServer() as idle:
            engine = engine_at(busy.endpoint, idle.endpoint)
            assert isinstance(await outcome(engine), EngineFault)
            for _ in range(3):
                assert isinstance(await outcome(engine), Generation)
            assert len(busy.received(CHAT)) == 1
            await asyncio.sleep(1.6)
            other = request_for(Recipe(MODEL), "What is 4 + 4?")
            assert isinstance(await engine.generate(other), Generation)
            await engine.close()
            assert len(busy.received(CHAT)) == 2

    asyncio.run(run())


def test_a_single_endpoint_is_asked_again_however_often_it_failed() -> None:
    async def use(_: FaultyServer, engine: HttpEngine) -> None:
        for _try in range(5):
            assert isinstance(await outcome(engine), EngineFault)
        assert isinstance(await outcome(engine), Generation)

    troubled = [answers({}, 503)] * 5
    against(FaultyServer({CHAT: [*troubled, behaves()]}), use)


def described(*servers: FaultyServer) -> EngineInfo:
    async def run() -> EngineInfo:
        for server in servers:
            await server.__aenter__()
        engine = engine_at(*(server.endpoint for server in servers))
        try:
            return await engine.describe()
        finally:
            await engine.close()
            for server in servers:
                await server.__aexit__(None, None, None)

    return asyncio.run(run())


def unavailable(*servers: FaultyServer) -> str:
    with pytest.raises(EngineUnavailable) as refused:
        described(*servers)
    assert str(refused.value).isprintable()
    assert "http://127.0.0.1:" in str(refused.value)
    return str(refused.value)


def test_the_window_of_several_endpoints_is_the_smallest() -> None:
    wide = FaultyServer({"/v1/models": answers(models("other", MODEL, window_tokens=8192))})
    unknown = FaultyServer({"/v1/models": answers(models(MODEL, window_tokens=None))})
    info = described(wide, FaultyServer(), unknown)
    assert info == EngineInfo("http", VERSION, 512, ("other", MODEL))


def test_different_versions_behind_one_name_are_all_said_in_an_order_of_their_own() -> None:
    older = {"/version": answers({"version": "0.9.1"})}
    assert described(FaultyServer(older), FaultyServer()).version == f"{VERSION}, 0.9.1"
    assert described(FaultyServer(), FaultyServer(older)).version == f"{VERSION}, 0.9.1"


def test_what_a_served_name_stands_for_is_known_where_the_server_tells() -> None:
    card = {"id": MODEL, "root": "/models/smol", "max_model_len": 64}
    rooted = FaultyServer({"/v1/models": answers({"data": [card, {"id": "other", "root": "x"}]})})
    assert described(rooted, FaultyServer()).model_root == "/models/smol"
    assert described(FaultyServer()).model_root is None


@pytest.mark.parametrize("route", [answers({}, 404), answers(b"?"), answers({"version": 3})])
def test_a_server_need_not_tell_its_version(route: Behaviour) -> None:
    assert described(FaultyServer({"/version": route})).version is None


@pytest.mark.parametrize("status", [404, 405])
def test_an_endpoint_without_a_list_of_models_is_taken_at_its_word(status: int) -> None:
    info = described(FaultyServer({"/v1/models": answers({}, status)}))
    assert (info.window_tokens, info.served_models) == (None, ())


def test_a_model_that_is_not_served_is_named_with_those_that_are() -> None:
    said = unavailable(FaultyServer(), FaultyServer({"/v1/models": answers(models("a", "b"))}))
    assert said.endswith("does not serve model 'smol'; it serves: a, b")


@pytest.mark.parametrize(
    "body",
    [
        [{"id": MODEL, "object": "model", "max_model_len": 512}],
        {"models": [{"name": MODEL, "max_model_len": 512}]},
        {"models": [{"model": f"{MODEL}:latest", "max_model_len": 512}]},
        {"data": [{"id": f"models/{MODEL}", "max_model_len": 512}]},
        {"object": "list", "data": [{"id": MODEL, "max_model_len": 512}], "models": []},
    ],
)
def test_a_list_of_models_is_read_in_every_form_it_comes_in(body: Any) -> None:
    assert described(FaultyServer({"/v1/models": answers(body)})).window_tokens == 512


@pytest.mark.parametrize("body", [[MODEL, "other"], {"data": [MODEL]}, {"models": ["x", MODEL]}])
def test_a_list_of_mere_names_is_one(body: Any) -> None:
    assert MODEL in described(FaultyServer({"/v1/models": answers(body)})).served_models


@pytest.mark.parametrize("pattern", ["*", "sm*", "*ol", "s*o*", f"{MODEL}*"])
def test_a_pattern_lists_every_model_that_it_covers(pattern: str) -> None:
    info = described(FaultyServer({"/v1/models": answers(models(pattern))}))
    assert (info.served_models, info.window_tokens) == ((pattern,), None)


@pytest.mark.parametrize("pattern", ["openai/*", "x*", "*x", "sm?l", "s.*"])
def test_a_pattern_lists_no_other_model(pattern: str) -> None:
    assert "does not serve" in unavailable(FaultyServer({"/v1/models": answers(models(pattern))}))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_makes_the_engine_unavailable(status: int) -> None:
    said = unavailable(FaultyServer({"/v1/models": answers({"error": "Unauthorized"}, status)}))
    assert f"the endpoint refuses the key ({status})" in said


@pytest.mark.parametrize(
    "route",
    [
        answers({"error": "out of order"}, 500),
        answers(b"<html>hello</html>"),
        answers({"data": None}),
        answers({"data": [None, {"id": 3}, {}]}),
        answers({"data": []}),
        answers(error_body("\x1b[31mno\nmodels")),
        resets(),
        sends(b"SSH-2.0-OpenSSH_9.2\r\n"),
    ],
)
def test_an_endpoint_that_speaks_something_else_makes_the_engine_unavailable(
    route: Behaviour,
) -> None:
    assert unavailable(FaultyServer({"/v1/models": route}))


def test_an_endpoint_that_does_not_answer_makes_the_engine_unavailable() -> None:
    async def run() -> None:
        async with FaultyServer() as server:
            engine = engine_at(server.endpoint, f"http://127.0.0.1:{closed_port()}/v1")
            try:
                await engine.describe()
            finally:
                await engine.close()

    with pytest.raises(
        EngineUnavailable, match="no server listens at 127.0.0.1:[0-9]+; is it started"
    ):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("", "not a URL"),
        ("127.0.0.1:8000/v1", "not a URL"),
        ("ftp://host/v1", "not a URL"),
        ("http:///v1", "not a URL"),
        ("http://host:99999/v1", "not a URL"),
        ("http://ho st/v1", "not a URL"),
        ("http://[::1/v1", "not a URL"),
        ("http://user:pass@host/v1", "host: its URL contains a user name or password"),
        ("http://host/v1?api-version=1", "its URL contains a query or fragment"),
    ],
)
def test_an_endpoint_that_no_request_can_go_to_is_refused(url: str, named: str) -> None:
    with pytest.raises(BadInput, match=named) as refused:
        engine_at(url)
    assert "pass@" not in str(refused.value)


def test_an_engine_without_endpoints_is_refused() -> None:
    with pytest.raises(BadInput, match="needs at least one"):
        engine_at()


def test_a_slash_at_the_end_of_an_endpoint_makes_no_difference() -> None:
    async def use(server: FaultyServer, _: HttpEngine) -> None:
        engine = engine_at(f" {server.endpoint}/ ")
        assert (await engine.describe()).version == VERSION
        await engine.generate(REQUEST)
        await engine.close()

    against(FaultyServer(), use)
