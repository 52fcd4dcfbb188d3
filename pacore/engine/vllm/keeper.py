"""Runs a command until its owner ends: ``python -m pacore.engine.vllm.keeper -- COMMAND…``.

A server does not end with the process that started it, so an owner that is killed would leave it
running, with its memory. The keeper is a process between the two, in a session of its own, without
state: it starts the command in a process group, and ends the whole group when its standard input
ends, which is a pipe that the kernel closes with the owner, also when the owner is killed. Its exit
code is the command's when the command ends by itself. It imports the standard library only, which
makes its start fast.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Never

TERMINATION_GRACE_SECONDS = 5.0
"""Time from SIGTERM to SIGKILL; vLLM ignores SIGTERM while it starts."""

_POLL_SECONDS = 0.25

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _owner_is_gone(owner: int) -> bool:
    """Wait up to `_POLL_SECONDS` for the owner to close the pipe or to end.

    Both are checked, since a process forked by the owner may hold the pipe open.
    """
    ready, _, _ = select.select([sys.stdin], [], [], _POLL_SECONDS)
    return (bool(ready) and not os.read(sys.stdin.fileno(), 4096)) or os.getppid() != owner


def _group_is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and every process of its group: SIGTERM, then SIGKILL after
    `TERMINATION_GRACE_SECONDS`. Where the child has ended by itself, its group gets SIGKILL at once.
    """
    with suppress(ProcessLookupError):
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            deadline = time.monotonic() + TERMINATION_GRACE_SECONDS
            while time.monotonic() < deadline:
                child.poll()
                if not _group_is_alive(child.pid):
                    return
                time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def keep(command: list[str]) -> int:
    """Run ``command`` until it or the owner ends; returns its exit code, or 0 if the owner ended."""
    owner = os.getppid()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0) as child:
        try:
            while child.poll() is None:
                if _owner_is_gone(owner):
                    return 0
            code = child.returncode
            return code if code >= 0 else 128 - code
        finally:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            _end_group(child)


def _exit_on_signal(number: int, _frame: FrameType | None) -> Never:
    sys.exit(128 + number)


def _main() -> int:
    command = sys.argv[1:]
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        sys.stderr.write("keeper: no command\n")
        return 2
    for number in SIGNALS:
        signal.signal(number, _exit_on_signal)
    return keep(command)


if __name__ == "__main__":
    sys.exit(_main())
