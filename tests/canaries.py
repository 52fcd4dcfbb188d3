"""Commands with canaries in their environment, and everything that they leave."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT, pacore_command
from tests.leaks import ProcessWatch, spellings


@dataclass
class Left:
    """Everything a series of commands left behind."""

    canaries: list[str]
    folder: Path
    outputs: list[subprocess.CompletedProcess[str]] = field(default_factory=list)
    watch: ProcessWatch | None = None

    @property
    def needles(self) -> list[bytes]:
        return [needle for canary in self.canaries for needle in spellings(canary)]

    @property
    def said(self) -> str:
        return "\n".join(done.stdout + done.stderr for done in self.outputs)


@dataclass
class Shell:
    """Runs pacore with canaries in its environment and all its state below one folder."""

    left: Left
    environment: dict[str, str]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            pacore_command(arguments), capture_output=True, text=True, timeout=240, check=False,
            cwd=ROOT, env=self.environment,
        )  # fmt: skip
        self.left.outputs.append(done)
        return done


def shell_in(folder: Path) -> Shell:
    key = f"sk-canary/{secrets.token_hex(12)}+x"
    access, hidden = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
    for name in ("home", "tmp", "prefect"):
        (folder / name).mkdir()
    environment = {
        **os.environ,
        "OPENAI_API_KEY": key,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": hidden,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "1",
        "PACORE_HOME": str(folder / "home"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "DEBUG",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "TMPDIR": str(folder / "tmp"),
    }
    return Shell(Left([key, access, hidden], folder), environment)
