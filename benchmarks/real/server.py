"""A real vLLM server as the owned engine starts it, and its counts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pacore.engine.checkpoint import served_name
from pacore.engine.vllm.server import Launch, lacks_bfloat16
from tests.fixtures.s3_server import free_ports

MODEL = Path(".models/SmolLM2-135M-Instruct")

START_SECONDS = 300.0

OPTIONS = ("--enforce-eager", "--max-num-seqs=128")
"""Of every server and engine that is measured: uncompiled as in the demo, and equally many slots."""

STEPS = "vllm:iteration_tokens_total_count"
"""The metric that counts steps of an engine."""

_COUNT = re.compile(r"^(vllm:\w+)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)

_ABORTED = re.compile(r"Request \S+ aborted\.")

_TICKS = os.sysconf("SC_CLK_TCK")


def fast_dtype() -> str:
    """The dtype in which this CPU is fast."""
    return "float32" if lacks_bfloat16(Path("/proc/cpuinfo").read_text()) else "bfloat16"


def environment(cache_gib: int = 1) -> dict[str, str]:
    """Of processes that run vLLM: the settings of the owned engine, and routes that empty the cache.

    The engine has one thread, unless ``VLLM_CPU_OMP_THREADS_BIND`` is set: where others use the cores
    too, several would wait for each other at every operation, and a step take ten times as long.
    """
    return {
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": str(cache_gib),
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_SERVER_DEV_MODE": "1",
    }


@dataclass(frozen=True, slots=True)
class RealServer:
    """A server that is up: its base URL, the name of its model, its process, how long it took to start,
    and its log.
    """

    url: str
    model: str
    pid: int
    start_seconds: float
    log: Path

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    def counts(self) -> dict[str, float]:
        """Its metrics by name; those of a histogram by ``_sum`` and ``_count``."""
        return {name: float(value) for name, value in _COUNT.findall(self._metrics())}

    @property
    def logged_as_aborted(self) -> int:
        """Requests that its log says were aborted; it logs them with ``--enable-log-requests``."""
        return len(_ABORTED.findall(self.log.read_text(errors="replace")))

    @property
    def block_tokens(self) -> int:
        """Tokens in a block of its prefix cache."""
        found = re.search(r'block_size="(\d+)"', self._metrics())
        assert found is not None
        return int(found[1])

    def _metrics(self) -> str:
        with urllib.request.urlopen(f"{self.root}/metrics") as answered:
            return str(answered.read().decode())

    def forget(self) -> None:
        """Empty its prefix cache."""
        asked = urllib.request.Request(f"{self.root}/reset_prefix_cache", method="POST")
        urllib.request.urlopen(asked).close()

    def tokens_of(self, text: str) -> int:
        """How many tokens a user's turn of this text makes as a prompt."""
        body = {"model": self.model, "messages": [{"role": "user", "content": text}]}
        asked = urllib.request.Request(
            f"{self.root}/tokenize", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked) as answered:
            return int(json.load(answered)["count"])


@contextmanager
def real_server(
    model: Path, options: Sequence[str] = OPTIONS, cache_gib: int = 1
) -> Iterator[RealServer]:
    """A vLLM server of this model while the context lasts.

    Raises RuntimeError with the end of its log where it does not start.
    """
    (port,) = free_ports(1)
    log = Path(tempfile.mkdtemp(prefix="real-vllm-")) / "server.log"
    given = (f"--dtype={fast_dtype()}", *options)
    launch = Launch(str(model), given, None, log.parent)
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            launch.command(port), env=environment(cache_gib), stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        root = f"http://127.0.0.1:{port}"
        while not _is_up(root):
            if process.poll() is not None or time.monotonic() > began + START_SECONDS:
                raise RuntimeError(f"vLLM did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.5)
        name = served_name(str(model))
        yield RealServer(f"{root}/v1", name, process.pid, time.monotonic() - began, log)
    finally:
        # With the engine's processes, which outlive a server that was ended.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_up(root: str) -> bool:
    try:
        with urllib.request.urlopen(f"{root}/health", timeout=5):
            return True
    except OSError:
        return False


def cpu_seconds(pid: int) -> float:
    """CPU of a process and of all it has started that still run, and of those it has waited for."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(stat.parent.name)
        parents[number] = int(fields[1])
        used[number] = sum(map(int, fields[11:15])) / _TICKS
    found = {pid}
    while new := {child for child, parent in parents.items() if parent in found} - found:
        found |= new
    return sum(used.get(one, 0.0) for one in found)
