"""Runs a command for as long as its owner lives: ``python -m pacore.engine.vllm.keeper -- COMMAND…``.

A server has a life of its own, so an owner that is killed leaves it behind, with the memory that it
holds. The keeper stands between the two, in a session of its own, and holds nothing worth losing:
it starts the command in a process group, and ends the whole group once its standard input ends, for
that pipe closes with the owner however the owner goes. It ends with the command's exit code when the
command ends by itself. It imports the standard library only, and so starts at once.
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

GRACE_SECONDS = 5.0
"""From the polite signal to the one that cannot be ignored; vLLM ignores the first as it starts."""

LOOK_SECONDS = 0.25


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _owner_is_gone(owner: int) -> bool:
    """Wait a moment for the owner to close the pipe or to die.

    Both are looked at: a process that the owner forked may still hold the pipe open.
    """
    ready, _, _ = select.select([sys.stdin], [], [], LOOK_SECONDS)
    return (bool(ready) and not os.read(sys.stdin.fileno(), 4096)) or os.getppid() != owner


def _group_is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and every process of its group: ask, wait `GRACE_SECONDS`, then kill.

    What a child that ended by itself left behind is killed unasked: nobody is there to be told.
    """
    with suppress(ProcessLookupError):
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            deadline = time.monotonic() + GRACE_SECONDS
            while time.monotonic() < deadline:
                child.poll()
                if not _group_is_alive(child.pid):
                    return
                time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def keep(command: list[str]) -> int:
    """Run ``command`` until it or the owner ends; its exit code, 0 where the owner ended first."""
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
            end_group(child)


def _leave(number: int, _frame: FrameType | None) -> Never:
    sys.exit(128 + number)


def main() -> int:
    command = sys.argv[1:]
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        sys.stderr.write("keeper: no command\n")
        return 2
    for number in SIGNALS:
        signal.signal(number, _leave)
    return keep(command)


if __name__ == "__main__":
    sys.exit(main())
