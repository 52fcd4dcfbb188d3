"""The processes that are killed: model servers and schedulers. `tests.fixtures.s3_server` has another."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks.counting_server import Sampled, read_account
from pacore.core.config.run import RunConfig
from tests.fixtures.processes import descendants

Kind = Literal["flow", "scheduler"]
START_SECONDS = 60.0


class Broken(AssertionError):
    """Something a kill must never lead to."""


def free_port(generator: random.Random) -> int:
    """A port that is free and that no outgoing connection takes while its server is down."""
    while True:
        port = generator.randrange(10_000, 20_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class ModelServer:
    """One counting server in a process of its own, always on the same port and account."""

    def __init__(self, folder: Path, salt: str, latency_seconds: float, port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.account = folder / "account.jsonl"
        self.endpoint = f"http://127.0.0.1:{port}/v1"
        self._log = folder / "server.log"
        self._command = [
            sys.executable, "-m", "benchmarks.counting_server", "--port", str(port), "--salt", salt,
            "--account", str(self.account), "--latency-seconds", str(latency_seconds),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.endpoint}/models", timeout=5).close()
            except (urllib.error.URLError, OSError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise Broken(f"no model server; see {self._log}") from None
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def sampled(self) -> list[Sampled]:
        return read_account(self.account)


class Scheduler:
    """One scheduler of a run, started again and again, as a plain process or as ``pacore run``."""

    def __init__(self, folder: Path, config: RunConfig, server: ModelServer) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.server = server
        self.kind: Kind = "scheduler"
        self.is_done = False
        self.left: set[int] = set()
        self._log = folder / "scheduler.log"
        self._reports = folder / "reports.json"
        # JSON is YAML, which is what the command line reads.
        self._config = folder / "config.yaml"
        self._config.write_text(config.model_dump_json(exclude_defaults=True))
        self._process: subprocess.Popen[bytes] | None = None
        self._sampled_before = 0

    def start(self, kind: Kind) -> None:
        self.kind = kind
        if kind == "flow":
            command = [
                sys.executable,
                "-m",
                "pacore.cli.main",
                "run",
                "--config",
                str(self._config),
            ]
        else:
            command = [
                sys.executable, "-m", "benchmarks.chaos.scheduler",
                str(self._config), str(self._reports),
            ]  # fmt: skip
        self._sampled_before = len(self.server.sampled())
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def has_begun(self) -> bool:
        """Whether it runs and has asked its model for something since it was started."""
        if self._process is None or self._process.poll() is not None:
            return False
        return len(self.server.sampled()) > self._sampled_before

    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def last_words(self) -> str:
        """The last line it said."""
        said = self._log.read_text(errors="replace").splitlines()
        return next((line for line in reversed(said) if line.strip()), "")

    def kill(self) -> None:
        """SIGKILL to the one process, as the kernel does that is out of memory."""
        assert self._process is not None
        self.left |= descendants(self._process.pid)
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Leave nothing behind, whatever became of the campaign."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def reports(self) -> Sequence[dict[str, object]]:
        """What stood of each stage when it had worked on it; nothing of one that ended otherwise."""
        if not self._reports.exists():
            return []
        found: list[dict[str, object]] = json.loads(self._reports.read_text())
        return found
