"""Engine ``vllm`` with a real server and a real model: contract, life and death of the server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pacore.core.engine import EngineFault
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request
from pacore.engine.vllm.engine import VllmEngine
from pacore.engine.vllm.keeper import TERMINATION_GRACE_SECONDS
from pacore.engine.vllm.server import Launch, reason
from pacore.errors import BadInput, EngineUnavailable
from tests.conftest import ROOT
from tests.fixtures.engine_contract import (
    CONTRACT,
    Clause,
    clause_name,
    closing_twice_is_closing_once,
)
from tests.fixtures.engine_contract import request_for as contract_request
from tests.fixtures.leaks import ProcessWatch, files_with, read_if_there, spellings
from tests.fixtures.processes import descendants, left_after, living

QUICK = ("--enforce-eager", "--dtype=float32")
"""Uncompiled, it starts in half the time and needs no C++ compiler; in float32 it is as fast on a CPU
that has no instructions for bfloat16 as on one that has them."""


def engine_of(
    model: str | Path, logs: Path, *options: str, say: Callable[[str], None] = lambda _: None
) -> VllmEngine:
    return VllmEngine(
        Launch(str(model), options, None, logs),
        concurrency=8,
        timeout_seconds=300.0,
        connect_timeout_seconds=10.0,
        say=say,
    )


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The demo's model; ``PACORE_TEST_MODEL`` names another folder."""
    folder = Path(os.environ.get("PACORE_TEST_MODEL", ROOT / ".models" / "SmolLM2-135M-Instruct"))
    command = [sys.executable, str(ROOT / "infra" / "demo" / "prepare_model.py"), str(folder)]
    subprocess.run(command, check=True, timeout=500)
    return folder


@dataclass(frozen=True)
class Warm:
    """One engine for many tests: its loop, a request it can answer, and what it said so far."""

    engine: VllmEngine
    runner: asyncio.Runner
    request: Request
    said: list[str]


@pytest.fixture(scope="module")
def warm(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    folder = tmp_path_factory.mktemp("warm")
    for file in checkpoint.iterdir():
        (folder / file.name).symlink_to(file.resolve())
    (folder / "generation_config.json").unlink(missing_ok=True)
    greedy = {"bos_token_id": 1, "eos_token_id": 2, "do_sample": True, "top_k": 1}
    (folder / "generation_config.json").write_text(json.dumps(greedy))
    said: list[str] = []
    engine = engine_of(folder, folder / "logs", *QUICK, say=said.append)
    request = contract_request(Recipe(folder.name, max_tokens=64))
    with asyncio.Runner() as runner:
        yield Warm(engine, runner, request, said)
        runner.run(engine.close())


def test_a_path_to_nowhere_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="absent: no such folder"):
        engine_of(tmp_path / "absent", tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("option", ["--port=9000", "--served-model-name", "--api-key=secret"])
def test_an_option_that_pacore_sets_itself_is_refused(tmp_path: Path, option: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match=option.partition("=")[0]):
        engine_of(tmp_path, tmp_path / "logs", option)


def test_closing_an_engine_that_never_started_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    asyncio.run(engine_of(tmp_path, tmp_path / "logs").close())
    assert not (tmp_path / "logs").exists()


def test_the_users_options_win_over_the_servers_defaults_and_a_hubs_revision_is_loaded(
    tmp_path: Path,
) -> None:
    bare = Launch("org/model", (), "abc", tmp_path).command(1)
    assert bare[4:8] == ["--model", "org/model", "--revision", "abc"]
    assert "--generation-config=vllm" in bare
    options = ("--generation-config", "auto", "--enable_chunked_prefill")
    given = Launch("org/model", options, None, tmp_path).command(1)
    assert given[-2:] == ["--enable-chunked-prefill", "--generation-config=auto"]
    assert not {"--generation-config=vllm", "--no-enable-chunked-prefill", "--revision"} & set(
        given
    )


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why_and_where_to_read_on(
    checkpoint: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        engine = engine_of(checkpoint, tmp_path / "logs", "--such-option=1")
        with pytest.raises(EngineUnavailable) as raised:
            await engine.describe()
        (log,) = (tmp_path / "logs").iterdir()
        assert "unrecognized arguments: --such-option=1" in str(raised.value)
        assert str(log) in str(raised.value)
        await engine.close()

    asyncio.run(run())
    assert not descendants(os.getpid()) & _servers()


@pytest.mark.slow
def test_the_reason_is_the_root_of_the_failure_and_not_its_echo(
    checkpoint: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        engine = engine_of(checkpoint, tmp_path / "logs", "--max-model-len=999999")
        with pytest.raises(EngineUnavailable, match=r"max_model_len \(999999\) is greater than"):
            await engine.describe()
        await engine.close()

    asyncio.run(run())


@pytest.mark.slow
def test_the_same_seed_gives_the_same_text_again(warm: Warm) -> None:
    """Where the server does nothing else meanwhile: another batch rounds otherwise on a CPU."""
    first, again = _texts(warm), _texts(warm)
    assert first == again


@pytest.mark.slow
def test_a_checkpoints_own_sampling_defaults_take_no_part(warm: Warm) -> None:
    """This one's are greedy, with which all draws would be one text."""
    texts = _texts(warm)
    assert len(set(texts)) == len(texts)


def _texts(warm: Warm) -> list[str | None]:
    """The texts of three draws, one after the other."""

    async def run() -> list[str | None]:
        requests = [contract_request(warm.request.recipe, draw=draw) for draw in range(3)]
        return [(await warm.engine.generate(request)).content for request in requests]

    return warm.runner.run(run())


@pytest.mark.slow
def test_a_start_is_said_with_its_log_and_how_long_it_took(warm: Warm) -> None:
    info = warm.runner.run(warm.engine.describe())
    model = warm.request.recipe.model
    begun, up = warm.said
    assert begun.startswith(
        f"starting vLLM for {model}; this usually takes a minute or two; its log is /"
    )
    assert Path(begun.rpartition(" is ")[2]).stat().st_size > 0
    assert re.fullmatch(rf"vLLM {re.escape(str(info.version))} is up after \d+ s", up)


@pytest.mark.slow
def test_a_server_that_crashed_is_started_again(warm: Warm) -> None:
    async def run() -> None:
        await warm.engine.generate(warm.request)
        servers = descendants(os.getpid()) & _servers()
        assert len(servers) >= 3
        for pid in servers:
            os.kill(pid, signal.SIGKILL)
        assert (await _tried(warm)).is_finished
        assert not living(servers)
        assert len(descendants(os.getpid()) & _servers()) >= 3
        ended, begun, _ = warm.said[2:]
        assert ended.startswith("vLLM ended by itself: ")
        logs = {said.rpartition(" is ")[2] for said in (warm.said[0], begun)}
        assert len(logs) == 2

    warm.runner.run(run())


async def _tried(warm: Warm) -> Generation:
    """A generation, after a few tries that the crash may cost."""
    for _ in range(10):
        try:
            return await warm.engine.generate(warm.request)
        except EngineFault as fault:
            assert fault.transient
            await asyncio.sleep(0.5)
    raise AssertionError("no try succeeded")


@pytest.mark.slow
@pytest.mark.parametrize("clause", CONTRACT, ids=clause_name)
def test_the_engine_keeps_the_contract(warm: Warm, clause: Clause) -> None:
    """The last clause closes the engine, so this is the last test that uses it."""

    async def keep() -> None:
        await clause(warm.engine, warm.request)

    warm.runner.run(keep())
    if clause is closing_twice_is_closing_once:
        assert not descendants(os.getpid()) & _servers()


OWNER = """
import asyncio, sys
from pathlib import Path
from pacore.core.recipe import Recipe
from pacore.engine.vllm.engine import VllmEngine
from pacore.engine.vllm.server import Launch
from tests.fixtures.engine_contract import request_for

async def main():
    launch = Launch(sys.argv[1], tuple(sys.argv[3:]), None, Path(sys.argv[2]))
    engine = VllmEngine(launch, concurrency=1, timeout_seconds=600, connect_timeout_seconds=60)
    await engine.describe()
    await engine.generate(request_for(Recipe(Path(sys.argv[1]).name, max_tokens=8)))
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.slow
def test_the_server_shows_no_key_in_arguments_or_logs_and_dies_with_an_owner_that_is_killed(
    checkpoint: Path, tmp_path: Path
) -> None:
    canary, marker = f"sk-canary-{secrets.token_hex(12)}", b"vllm.entrypoints"
    command = [sys.executable, "-c", OWNER, str(checkpoint), str(tmp_path / "logs"), *QUICK]
    environment = {**os.environ, "OPENAI_API_KEY": canary}
    with (
        ProcessWatch(spellings(canary), (marker,)) as watch,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as owner,
    ):
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n", reason(next((tmp_path / "logs").iterdir()))
        below = descendants(owner.pid)
        assert len(living(below)) >= 4
        own_key = _key_of_server(below, marker)
        owner.kill()
    assert not left_after(below, TERMINATION_GRACE_SECONDS + 60)
    assert watch.met == {marker}
    assert not watch.exposed
    assert files_with([tmp_path], [b"Application startup complete"])
    assert not files_with([tmp_path], [canary.encode(), own_key])


def _key_of_server(pids: set[int], marker: bytes) -> bytes:
    """The key that the server among these processes was given, which no command line shows."""
    commands = {pid: read_if_there(Path(f"/proc/{pid}/cmdline")) for pid in pids}
    (server,) = (
        pid for pid, command in commands.items() if marker in command and b"keeper" not in command
    )
    variables = read_if_there(Path(f"/proc/{server}/environ")).split(b"\0")
    (key,) = [variable[13:] for variable in variables if variable.startswith(b"VLLM_API_KEY=")]
    assert key not in b"".join(commands.values())
    return key


def _servers() -> set[int]:
    """Processes of vLLM, by the names they give themselves."""
    said = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    return {
        int(line.split()[0])
        for line in said.splitlines()
        if "VLLM::" in line or ("vllm.entrypoints" in line and "keeper" not in line)
    }
