"""Requests that are sent again elsewhere near the end: what comes first counts, and the rest is waste."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from benchmarks.endpoint.batching import Speed
from benchmarks.endpoint.server import MODEL, SimulatedServer
from pacore.core.engine import EngineFault, Hint
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation
from pacore.engine.capacity import Capacity
from pacore.engine.endpoint import Endpoint
from pacore.engine.faults import Origin
from pacore.engine.http import HttpEngine
from pacore.engine.rivals import Rivals, Send
from tests.fixtures.engine_contract import request_for

TOKENS = 1_000

FASTER, SLOWER = 100.0, 10.0


def endpoint(name: str, tokens_per_second: float | None, most: int = 4) -> Endpoint:
    """An endpoint of a known speed."""
    one = Endpoint(Origin(f"http://{name}/v1", None), Capacity(most))
    if tokens_per_second is not None:
        one.speed.see_response(TOKENS, TOKENS / tokens_per_second, time.monotonic())
    return one


class Held:
    """What is sent to endpoints, and answered when a test says so."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.ended: dict[str, asyncio.Future[Generation]] = {}
        self.left: list[str] = []
        self.endpoints: tuple[Endpoint, ...] = ()

    def to(self, name: str = "") -> Send:
        async def send(at: Endpoint) -> Generation:
            key = f"{name}{at.url[7:-3]}"
            self.sent.append(key)
            self.ended[key] = asyncio.get_running_loop().create_future()
            try:
                return await self.ended[key]
            except asyncio.CancelledError:
                self.left.append(key)
                raise

        return send


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def sent_twice() -> tuple[Held, asyncio.Future[Generation]]:
    """A request that was sent to a slow endpoint, and then to a fast one too."""
    slow, fast = endpoint("slow", SLOWER), endpoint("fast", FASTER)
    held, rivals = Held(), Rivals((slow, fast))
    sending = asyncio.ensure_future(rivals.send(slow, TOKENS, held.to()))
    await settle()
    rivals.look(time.monotonic())
    await settle()
    held.endpoints = slow, fast
    return held, sending


def made(tokens: int = TOKENS) -> Generation:
    return Generation("stop", content="70", completion_tokens=tokens)


def test_a_request_at_a_slow_endpoint_is_sent_to_an_idle_fast_one_and_the_first_response_counts() -> (
    None
):
    async def test() -> None:
        slow, fast = endpoint("slow", SLOWER), endpoint("fast", FASTER)
        held, rivals = Held(), Rivals((slow, fast))
        sending = asyncio.ensure_future(rivals.send(slow, TOKENS, held.to()))
        await settle()
        rivals.look(time.monotonic() + 5.0)
        await settle()
        assert held.sent == ["slow", "fast"]
        held.ended["fast"].set_result(made())
        got = await sending
        assert (got.content, got.tries) == ("70", 2)
        assert held.left == ["slow"]
        assert slow.requests == fast.requests == 0

    run(test)


def test_what_the_loser_had_generated_is_waste() -> None:
    async def test() -> None:
        slow, fast = endpoint("slow", 400.0), endpoint("fast", 4_000.0)
        held, rivals = Held(), Rivals((slow, fast))
        sending = asyncio.ensure_future(rivals.send(slow, TOKENS, held.to()))
        await asyncio.sleep(0.1)
        rivals.look(time.monotonic())
        await settle()
        held.ended["fast"].set_result(made())
        assert 30 <= (await sending).wasted_tokens <= 400

    run(test)


def test_the_first_endpoint_may_yet_be_first() -> None:
    async def test() -> None:
        held, sending = await sent_twice()
        held.ended["slow"].set_result(made(7))
        got = await sending
        assert (got.completion_tokens, got.tries, held.left) == (7, 2, ["fast"])

    run(test)


def test_a_fault_of_one_leaves_the_decision_to_the_other_and_two_faults_are_the_first_ones() -> (
    None
):
    async def test() -> None:
        for failing in ("slow", "fast"):
            held, sending = await sent_twice()
            faults = {
                name: EngineFault("engine_error", name, transient=True, wasted_tokens=5)
                for name in ("slow", "fast")
            }
            held.ended[failing].set_exception(faults[failing])
            await settle()
            assert not sending.done()
            (other,) = {"slow", "fast"} - {failing}
            if failing == "slow":
                held.ended[other].set_result(made())
                got = await sending
                assert (got.tries, got.wasted_tokens) == (2, 5)
            else:
                held.ended[other].set_exception(faults[other])
                with pytest.raises(EngineFault, match="slow") as raised:
                    await sending
                assert (raised.value.requests, raised.value.wasted_tokens) == (2, 10)

    run(test)


def test_cancelling_a_request_ends_both_tries() -> None:
    async def test() -> None:
        held, sending = await sent_twice()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert sorted(held.left) == ["fast", "slow"]
        assert [each.requests for each in held.endpoints] == [0, 0]

    run(test)


@pytest.mark.parametrize(
    ("here", "there", "busy", "why"),
    [
        (FASTER, FASTER, 0, "both are equally fast"),
        (FASTER, 1.5 * FASTER, 0, "less than twice as fast saves too little"),
        (None, FASTER, 0, "nothing is known of the first one's speed"),
        (SLOWER, None, 0, "nothing is known of the second one's speed"),
        (SLOWER, FASTER, 4, "places are taken, so that there is other work"),
    ],
)
def test_a_request_stays_where_it_is_where_sending_it_again_saves_nothing(
    here: float | None, there: float | None, busy: int, why: str
) -> None:
    async def test() -> None:
        one, other = endpoint("one", here), endpoint("other", there)
        held, rivals = Held(), Rivals((one, other))
        tasks = [asyncio.ensure_future(rivals.send(one, TOKENS, held.to()))]
        tasks += [
            asyncio.ensure_future(rivals.send(other, TOKENS, held.to(f"{number}-")))
            for number in range(busy)
        ]
        await settle()
        rivals.look(time.monotonic() + 1.0)
        await settle()
        assert len(held.sent) == 1 + busy, why
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(test)


def test_of_a_silent_endpoint_everything_is_sent_again_as_far_as_there_are_places() -> None:
    async def test() -> None:
        silent, fast = endpoint("silent", FASTER), endpoint("fast", FASTER, most=2)
        held, rivals = Held(), Rivals((silent, fast))
        tasks = [
            asyncio.ensure_future(rivals.send(silent, TOKENS, held.to(f"{number}-")))
            for number in range(3)
        ]
        await settle()
        rivals.look(time.monotonic())
        await settle()
        assert len(held.sent) == 3
        silent.health.is_silent = True
        held.ended["0-silent"].set_result(made())
        await settle()
        for _ in range(2):
            rivals.look(time.monotonic())
            await settle()
        again = [name for name in held.sent if name.endswith("fast")]
        assert sorted(again) == ["1-fast", "2-fast"]
        for name in again:
            held.ended[name].set_result(made())
        assert [one.tries for one in await asyncio.gather(*tasks)] == [1, 2, 2]

    run(test)


@asynccontextmanager
async def simulated(log: io.StringIO, step_seconds: float) -> AsyncIterator[str]:
    """A simulated server in this process; every response has `TOKENS` tokens."""
    server = SimulatedServer(Speed(8, step_seconds), lambda *_: TOKENS, log)
    runner = web.ServerRunner(web.Server(server.handle, handler_cancellation=True))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def engine_of(urls: Sequence[str]) -> HttpEngine:
    return HttpEngine(
        urls, MODEL, api_key=None, concurrency=8, timeout_seconds=60, connect_timeout_seconds=5
    )


async def read_metrics(engine: HttpEngine) -> None:
    """Read metrics as often as a run does at first."""
    while True:
        await engine.generated_tokens()
        await asyncio.sleep(0.2)


def test_requests_that_begin_at_once_are_spread_over_the_endpoints() -> None:
    async def test() -> None:
        logs = io.StringIO(), io.StringIO()
        async with simulated(logs[0], 1e-5) as one, simulated(logs[1], 1e-5) as two:
            engine = engine_of([one, two])
            requests = [request_for(Recipe(MODEL), draw=draw) for draw in range(8)]
            await asyncio.gather(*map(engine.generate, requests))
            await engine.close()
        assert [len(log.getvalue().splitlines()) for log in logs] == [4, 4]

    run(test)


@pytest.mark.slow
def test_a_run_over_a_slow_server_and_a_fast_one_ends_about_as_early_as_over_the_fast_one() -> None:
    async def test() -> None:
        logs = io.StringIO(), io.StringIO()
        async with simulated(logs[0], 0.02) as slow, simulated(logs[1], 0.0005) as fast:
            engine = engine_of([slow, fast])
            reading = asyncio.ensure_future(read_metrics(engine))
            hint = Hint((-3, -1), TOKENS)
            began = time.monotonic()
            requests = [request_for(Recipe(MODEL), draw=draw) for draw in range(8)]
            got = await asyncio.gather(*(engine.generate(one, hint) for one in requests))
            assert time.monotonic() - began < 10, "at the slow server alone each takes 20 s"
            assert [one.completion_tokens for one in got] == [TOKENS] * 8
            again = [one for one in got if one.tries == 2]
            assert len(again) == 4
            assert all(0 < one.wasted_tokens < TOKENS for one in again)
            reading.cancel()
            await engine.close()
            await asyncio.sleep(0.1)
        lines = [json.loads(line) for line in logs[0].getvalue().splitlines()]
        assert [line["left"] for line in lines] == [True] * 4, "their connections were closed"
        sent_again = [json.loads(line) for line in logs[1].getvalue().splitlines()][4:]
        assert {line["priority"] for line in sent_again} == {hint.level}, "which vLLM is sent"
        assert {line["id"] for line in lines} == {line["id"] for line in sent_again}

    run(test)
