"""Processes of benchmarks: one that is measured from its start to its end, and servers beside it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.s3_server import free_ports

SERVER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process took from start to end, with the processes that it waited for, and what it printed.

    ``peak_mb`` is the largest resident size of any of them. Linux counts that from the size of whoever
    started it, which must therefore be small.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str
    errors: str


def spent(command: Sequence[str]) -> Spent:
    """Run a command. Raises SystemExit with the end of what it said where it fails."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        said = errors.read()
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{said[-2000:]}")
        cpu = used.ru_utime + used.ru_stime
        return Spent(wall, cpu, used.ru_maxrss / 1024, output.read(), said)


def pacore(*arguments: str) -> list[str]:
    """A command line of pacore."""
    return [sys.executable, "-m", "pacore.cli", *arguments]


def start_prefect() -> None:
    """Have the standing Prefect server running, so that no measurement includes its start."""
    spent(pacore("server", "start"))


def cpu_seconds_of(pid: int) -> float:
    """CPU seconds that a running process has used until now, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(module: str, *options: str) -> Iterator[str]:
    """A server of `benchmarks.endpoint` on a port of its own; yields the base URL of its interface."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", module, "--port", str(port), *options])
    try:
        deadline = time.monotonic() + SERVER_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()
