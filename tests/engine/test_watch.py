"""A server that changes under one name: said once, with what it was and what it is."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pacore.core.engine import EngineInfo
from pacore.core.recipe import Recipe
from pacore.engine.watch import FirstFacts, WatchedEngine
from pacore.errors import StoreError
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.layout import engine_key
from tests.conftest import Pacore
from tests.fixtures.engine_contract import request_for
from tests.fixtures.faulty_server import (
    MODEL,
    VERSION,
    Behaviour,
    FaultyServer,
    answers,
    completion,
    models,
)
from tests.fixtures.http_tries import CHAT, REQUEST, engine_at
from tests.fixtures.pipeline import write_problems


def says(fingerprint: str | None, model: str = MODEL) -> Behaviour:
    return answers({**completion(), "system_fingerprint": fingerprint, "model": model})


def said_by(store: Backend, server: FaultyServer, requests: int) -> list[str]:
    """What a process that opens the server and makes some requests tells its person."""
    said: list[str] = []

    async def run() -> None:
        async with server:
            engine = engine_at(server.endpoint)
            watched = WatchedEngine(engine, FirstFacts(store, "mine"), said.append)
            try:
                assert isinstance(await watched.describe(), EngineInfo)
                for _ in range(requests):
                    await watched.generate(REQUEST)
            finally:
                await watched.close()

    asyncio.run(run())
    return said


@pytest.fixture
def store(tmp_path: Path) -> Backend:
    return open_store(str(tmp_path / "store"))


def recorded(store: Backend) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(store.get(engine_key("mine")))["facts"]
    return facts


def test_a_server_that_stays_what_it_is_is_not_spoken_of(store: Backend) -> None:
    assert said_by(store, FaultyServer(), 3) == []
    assert said_by(store, FaultyServer(), 3) == []


def test_the_facts_of_a_runs_first_trajectory_are_recorded_once(store: Backend) -> None:
    said_by(store, FaultyServer(), 0)
    assert not store.exists(engine_key("mine"))
    said_by(store, FaultyServer({CHAT: says("fp-1")}), 2)
    first = recorded(store)
    assert first == {
        "version": VERSION,
        "window_tokens": 512,
        "model_root": None,
        "served_model": MODEL,
        "fingerprint": "fp-1",
    }
    said_by(store, FaultyServer({CHAT: says("fp-2")}), 1)
    assert recorded(store) == first


def test_a_fingerprint_that_changes_is_said_once_with_the_old_and_the_new(store: Backend) -> None:
    server = FaultyServer({CHAT: [says("fp-1"), says("fp-2"), says("fp-1"), says("fp-2")]})
    (line,) = said_by(store, server, 4)
    assert line.startswith("warning: ")
    assert "fingerprint fp-1 -> fp-2" in line
    assert "\n" not in line


def test_every_other_model_under_the_name_is_said(store: Backend) -> None:
    server = FaultyServer({CHAT: [says("a"), says("a", "smol-0611"), says("b"), says("c")]})
    said = said_by(store, server, 4)
    assert [f"{MODEL} -> smol-0611" in said[0], "a -> b" in said[1], "a -> c" in said[2]] == [
        True,
        True,
        True,
    ]


def test_another_process_compares_with_the_runs_first_facts_as_it_opens_the_engine(
    store: Backend,
) -> None:
    card = {"id": MODEL, "root": "/models/one", "max_model_len": 512}
    said_by(store, FaultyServer({"/v1/models": answers({"data": [card]})}), 1)
    changed = FaultyServer(
        {
            "/version": answers({"version": "0.33.0"}),
            "/v1/models": answers({"data": [{**card, "root": "/two", "max_model_len": 256}]}),
        }
    )
    (line,) = said_by(store, changed, 0)
    assert f"version {VERSION} -> 0.33.0" in line
    assert "window_tokens 512 -> 256" in line
    assert "model_root /models/one -> /two" in line


def test_what_a_server_tells_for_the_first_time_is_no_change(store: Backend) -> None:
    silent = {
        "/version": answers({}, 404),
        "/v1/models": answers(models(MODEL, window_tokens=None)),
    }
    assert said_by(store, FaultyServer({**silent, CHAT: says(None)}), 1) == []
    assert said_by(store, FaultyServer({CHAT: says("fp-1")}), 1) == []


def test_a_prompt_that_does_not_fit_tells_nothing_of_a_server(store: Backend) -> None:
    async def run() -> None:
        async with FaultyServer() as server:
            engine = engine_at(server.endpoint)
            watched = WatchedEngine(engine, FirstFacts(store, "mine"), print)
            await watched.describe()
            generation = await watched.generate(request_for(Recipe(MODEL), "word " * 600))
            assert generation.finish_reason == "context_overflow"
            await watched.close()

    asyncio.run(run())
    assert not store.exists(engine_key("mine"))


def test_a_fact_cannot_steer_a_terminal_or_fill_it(store: Backend) -> None:
    server = FaultyServer({CHAT: [says("fp-1"), says("\x1b[2J\n" + "x" * 10_000)]})
    (line,) = said_by(store, server, 2)
    assert line.isprintable()
    assert len(line) < 500


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"v": 1}', b'{"facts": 3}'])
def test_a_damaged_record_is_a_fault_of_the_store_that_names_it(
    store: Backend, damage: bytes
) -> None:
    store.put(engine_key("mine"), damage)
    with pytest.raises(StoreError, match=r"runs/mine/engine\.json"):
        said_by(store, FaultyServer(), 1)


@pytest.mark.slow
def test_a_change_since_an_earlier_start_is_said_on_stderr_and_in_the_flow_runs_log(
    tmp_path: Path, prefect_api: str, pacore: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)

    async def run_against(*chat: Behaviour) -> tuple[int, str]:
        async with FaultyServer({CHAT: list(chat)}) as server:
            done = await asyncio.to_thread(
                pacore,
                "run", "--problems", str(problems), "--model", MODEL, "--widths", "2",
                "--endpoint", server.endpoint, "--store", str(tmp_path / "store"),
                "--run-id", "changing", "--concurrency", "1", "--retries", "0",
            )  # fmt: skip
        return done.returncode, done.stderr

    code, said = asyncio.run(run_against(says("fp-1"), says("fp-1"), answers({}, 503)))
    assert code == 3, said
    assert "warning" not in said
    code, said = asyncio.run(run_against(says("fp-2")))
    assert code == 0, said
    (line,) = [line for line in said.splitlines() if "warning" in line]
    assert line.startswith("pacore: warning: ")
    assert "fingerprint fp-1 -> fp-2" in line
    asked = urllib.request.Request(
        f"{prefect_api}/logs/filter",
        json.dumps({"limit": 200, "sort": "TIMESTAMP_DESC"}).encode(),
        {"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with urllib.request.urlopen(asked, timeout=60) as response:
            logs = json.load(response)
        if any(line == f"pacore: {log['message']}" and log["level"] == 30 for log in logs):
            return
        time.sleep(0.5)
    raise AssertionError("the flow run's log does not have the warning")
