"""Engine ``http`` against broken bodies and failing connections, and over pooled ones."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.engine import EngineFault
from pacore.core.trajectory import Generation
from pacore.engine.http import HttpEngine
from pacore.engine.transport import MAX_RESPONSE_BYTES, probed_socket
from tests.fixtures.faulty_server import (
    MODEL,
    Behaviour,
    FaultyServer,
    answers,
    completion,
    cuts_in_the_middle,
    head,
    never_answers,
    resets,
    sends,
)
from tests.fixtures.http_tries import (
    CHAT,
    REQUEST,
    against,
    attempt,
    closed_port,
    engine_at,
    error_body,
    fault_of,
    outcome,
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"[" * 200_000,
        b"\xff\xfe\xfd",
        b"1" * 5000,
        json.dumps(completion()).encode()[:-20],
        json.dumps({"choices": []}).encode(),
        json.dumps({"choices": None}).encode(),
        json.dumps({"choices": [None]}).encode(),
        json.dumps({"choices": [{"message": None, "finish_reason": "stop"}]}).encode(),
        json.dumps(error_body("upstream failed", type="server_error")).encode(),
    ],
)
def test_a_body_that_is_no_completion_is_an_engine_error_and_is_tried_again(body: bytes) -> None:
    fault = fault_of(answers(body))
    assert (fault.finish_reason, fault.transient) == ("engine_error", True)


@pytest.mark.parametrize(
    "cut",
    [
        resets(),
        sends(b""),
        sends(b"HTTP/1.1 200"),
        sends(head(200, 100, None)),
        cuts_in_the_middle(completion()),
        sends(b"SSH-2.0-OpenSSH_9.2\r\n"),
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
        answers(b"not gzip at all", 200, {"Content-Encoding": "gzip"}),
    ],
)
def test_a_cut_connection_is_an_engine_error_and_is_tried_again(cut: Behaviour) -> None:
    fault = fault_of(cut)
    assert (fault.finish_reason, fault.transient) == ("engine_error", True)


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=200), status=st.sampled_from([b"", b"200 OK", b"400 No", b"700 x"]))
def test_whatever_comes_back_it_is_a_generation_or_a_fault(raw: bytes, status: bytes) -> None:
    start = b"HTTP/1.1 " + status + b"\r\n" if status else b""
    found = attempt(sends(start + raw), timeout_seconds=5.0)
    assert isinstance(found, Generation | EngineFault)


def test_a_server_that_never_answers_is_a_timeout_and_is_tried_again() -> None:
    fault = fault_of(never_answers(), timeout_seconds=0.2)
    assert (fault.finish_reason, fault.transient) == ("timeout", True)
    assert "no response within 0.2 s" in fault.detail


def unreachable(endpoint: str) -> EngineFault:
    async def run() -> Generation | EngineFault:
        engine = engine_at(endpoint)
        try:
            return await outcome(engine)
        finally:
            await engine.close()

    found = asyncio.run(run())
    assert isinstance(found, EngineFault)
    return found


def test_a_refused_connection_is_an_engine_error_and_is_tried_again() -> None:
    fault = unreachable(f"http://127.0.0.1:{closed_port()}/v1")
    assert (fault.finish_reason, fault.transient) == ("engine_error", True)


def test_a_host_without_an_address_is_an_engine_error_and_is_tried_again() -> None:
    fault = unreachable("http://no-such-host.invalid/v1")
    assert (fault.finish_reason, fault.transient) == ("engine_error", True)


def test_tls_spoken_to_a_plain_server_is_an_engine_error() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def run() -> Generation | EngineFault:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            engine = engine_at(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
            found = await outcome(engine)
            await engine.close()
        return found

    found = asyncio.run(run())
    assert isinstance(found, EngineFault)
    assert found.finish_reason == "engine_error"
    assert "TLS fails (perhaps it speaks http://)" in found.detail


def test_a_server_that_accepts_no_connection_is_a_timeout_and_is_tried_again() -> None:
    async def run(port: int) -> Generation | EngineFault:
        engine = HttpEngine(
            [f"http://127.0.0.1:{port}/v1"],
            MODEL,
            api_key=None,
            concurrency=1,
            timeout_seconds=20.0,
            connect_timeout_seconds=0.3,
        )
        try:
            return await outcome(engine)
        finally:
            await engine.close()

    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        found = asyncio.run(run(full.getsockname()[1]))
        for client in waiting:
            client.close()
    assert isinstance(found, EngineFault)
    assert (found.finish_reason, found.transient) == ("timeout", True)
    assert "no connection within 0.3 s" in found.detail


def test_a_response_declared_too_large_is_refused_before_it_is_read() -> None:
    fault = fault_of(sends(head(200, MAX_RESPONSE_BYTES + 1, None) + b"{"))
    assert (fault.finish_reason, fault.transient) == ("engine_error", True)
    assert f"more than {MAX_RESPONSE_BYTES} bytes" in fault.detail


@pytest.mark.slow
def test_a_small_response_that_unpacks_too_large_is_refused() -> None:
    packed = gzip.compress(b" " * (MAX_RESPONSE_BYTES + 1), compresslevel=1)
    fault = fault_of(answers(packed, 200, {"Content-Encoding": "gzip"}), timeout_seconds=60.0)
    assert f"more than {MAX_RESPONSE_BYTES} bytes" in fault.detail


def test_fifty_requests_one_after_the_other_use_one_connection() -> None:
    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        for _ in range(50):
            await engine.generate(REQUEST)
        assert len(server.received(CHAT)) == 50
        assert server.connections == 1

    against(FaultyServer(), use)


def test_a_connection_is_used_again_after_the_server_refused_a_request() -> None:
    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        for _ in range(5):
            assert isinstance(await outcome(engine), EngineFault)
        assert server.connections == 1

    against(FaultyServer({CHAT: answers(error_body("no"), 400)}), use)


def test_a_cancelled_request_is_taken_back_from_the_server() -> None:
    async def use(server: FaultyServer, engine: HttpEngine) -> None:
        generating = asyncio.create_task(engine.generate(REQUEST))
        while not server.received(CHAT):
            await asyncio.sleep(0.01)
        generating.cancel()
        await asyncio.wait([generating])
        assert generating.cancelled()
        async with asyncio.timeout(5):
            while server.open_connections:
                await asyncio.sleep(0.01)

    against(FaultyServer({CHAT: never_answers()}), use)


def test_a_silent_connection_is_probed_by_the_kernel() -> None:
    address = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1))
    with probed_socket(address) as opened:
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
