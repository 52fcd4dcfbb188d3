"""Looks at processes from outside, as a person with ``ps`` does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable


def _listed() -> dict[int, tuple[int, str]]:
    """Parent and state of every process."""
    said = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,state="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split() for line in said.splitlines())
    return {int(pid): (int(parent), state) for pid, parent, state in rows}


def descendants(pid: int) -> set[int]:
    """The process ids of children, their children, and so on."""
    listed = _listed()
    found: set[int] = set()
    while (
        new := {child for child, (parent, _) in listed.items() if parent in found | {pid}} - found
    ):
        found |= new
    return found


def living(pids: Iterable[int]) -> set[int]:
    """Those that run; one that only waits to be reaped does not."""
    listed = _listed()
    return {pid for pid in pids if pid in listed and not listed[pid][1].startswith("Z")}


def left_after(pids: Iterable[int], seconds: float) -> set[int]:
    """Those that still run once ``seconds`` have passed; returns as soon as none does."""
    deadline = time.monotonic() + seconds
    while (left := living(pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left
