"""Servers that outlive their engine: kept for the next one within a context, and ended after it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacore.core.recipe import Recipe
from pacore.engine.vllm import keeper
from pacore.engine.vllm.engine import VllmEngine
from pacore.engine.vllm.reuse import IdleServers, reusing_servers
from pacore.engine.vllm.server import Launch, ServerProcess
from tests.conftest import ROOT
from tests.fixtures.engine_contract import request_for
from tests.fixtures.processes import descendants, left_after, living


def launch(folder: Path, *options: str) -> Launch:
    return Launch("org/model", options, None, folder)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A keeper with a command that waits in place of a model, which no part of this looks at."""
    kept = subprocess.Popen(
        [sys.executable, "-I", keeper.__file__, "--", "sleep", "600"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    process = ServerProcess(kept, 1, "key", tmp_path / "log")
    yield process
    asyncio.run(process.end())


def test_a_server_given_back_is_taken_by_the_next_engine_of_its_like_only(
    tmp_path: Path, server: ServerProcess
) -> None:
    warmth = IdleServers()
    with warmth.reuse():
        assert warmth.take(launch(tmp_path)) is None
        assert warmth.give_back(launch(tmp_path), server)
        assert warmth.take(launch(tmp_path, "--max-model-len=4096")) is None
        assert warmth.take(launch(tmp_path)) is server
        assert warmth.take(launch(tmp_path)) is None


def test_a_server_is_not_kept_where_nobody_asks_for_it(
    tmp_path: Path, server: ServerProcess
) -> None:
    warmth = IdleServers()
    assert not warmth.give_back(launch(tmp_path), server)
    with warmth.reuse():
        pass
    assert not warmth.give_back(launch(tmp_path), server)
    assert not server.has_ended


def test_what_is_left_ends_with_the_last_context(tmp_path: Path, server: ServerProcess) -> None:
    warmth = IdleServers()
    with warmth.reuse():
        with warmth.reuse():
            assert warmth.give_back(launch(tmp_path), server)
        assert not server.has_ended
    assert server.has_ended
    assert warmth.take(launch(tmp_path)) is None


def test_a_server_that_died_meanwhile_is_handed_to_nobody(
    tmp_path: Path, server: ServerProcess
) -> None:
    warmth = IdleServers()
    with warmth.reuse():
        assert warmth.give_back(launch(tmp_path), server)
        asyncio.run(server.end())
        assert warmth.take(launch(tmp_path)) is None
        assert not warmth.give_back(launch(tmp_path), server)


@pytest.mark.slow
def test_two_engines_one_after_the_other_start_one_vllm(tmp_path: Path) -> None:
    model = ROOT / ".models" / "SmolLM2-135M-Instruct"
    said: list[str] = []

    async def answer() -> str | None:
        engine = VllmEngine(
            Launch(str(model), ("--enforce-eager", "--dtype=float32"), None, tmp_path),
            concurrency=2,
            timeout_seconds=300.0,
            connect_timeout_seconds=10.0,
            say=said.append,
        )
        await engine.describe()
        request = request_for(Recipe(model.name, max_tokens=8))
        made = await engine.generate(request)
        await engine.close()
        return made.content

    before = descendants(os.getpid())
    with reusing_servers():
        assert asyncio.run(answer()) == asyncio.run(answer())
        below = descendants(os.getpid()) - before
        assert len(living(below)) >= 3
    assert [line.split()[0] for line in said] == ["starting", "vLLM"]
    assert not left_after(below, 15)
