"""Other processes: a function of this package run in one, and whether a recorded one still runs.

`Child` runs a function in a process that exchanges lines of text with this one and ends with it.
`ProcessMark` records a process, so that another process can find out later whether it still runs, and
end it without ever signalling a different one. A process id alone is not enough for that: ids are used
again, and mean another process on another machine or in another container. So what Linux knows of a
process is recorded with its id; on other systems there are no marks.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pacore.text import without_secrets

_CLOSE_SECONDS = 10.0
"""How long a process has to end by itself after its input has ended."""


def command(module: str, function: str, arguments: Sequence[str]) -> list[str]:
    """A command line that calls a module's function with text arguments, on this ``sys.path``."""
    program = (
        f"import sys; count = int(sys.argv[1]) + 2; sys.path[:] = sys.argv[count:]; "
        f"from {module} import {function}; {function}(*sys.argv[2:count])"
    )
    return [sys.executable, "-P", "-c", program, str(len(arguments)), *arguments, *sys.path]


class Child:
    """Runs a module's function, with text arguments and this process's ``sys.path``.

    The program reads lines from standard input, writes lines to standard output, and ends when its
    input ends, as it does however this process ends. ``environment`` is added to this process's.
    """

    def __init__(
        self, module: str, function: str, arguments: list[str], environment: Mapping[str, str]
    ) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command(module, function, arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=without_secrets(os.environ) | dict(environment),
            encoding="ascii",
        )
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, line: str) -> bool:
        """Send one line (ASCII, without its end); whether the process still read it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def receive(self) -> str | None:
        """The next complete line without its end, or None when the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return line[:-1] if line.endswith("\n") else None

    @contextmanager
    def killed_after(self, seconds: float) -> Iterator[None]:
        """Kill the process if the context lasts longer; `receive` then returns None."""
        watchdog = threading.Timer(seconds, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def last_error_line(self) -> str:
        """The last line the process wrote to standard error, for a person; empty without one."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """End the process: by the end of its input, or by force where that does not do it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()


_PROC = Path("/proc")

_ENDED = ("Z", "X", "x")
"""States of a process that has ended and whose parent has not waited for it yet."""


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """What identifies a process among all others.

    ``boot`` is the kernel's id of this start of the machine, ``namespace`` the inode of the process
    ids' name space (a container has its own), ``started_ticks`` the clock ticks from the machine's
    start to the process's.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started_ticks: int


def this_process() -> ProcessMark | None:
    """The mark of this process; None where the system does not say what is in it."""
    return mark_of(os.getpid())


def mark_of(pid: int) -> ProcessMark | None:
    """The mark of a process that runs in this process's own name space of process ids; None where
    it has ended, or where the system does not say what is in a mark.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return None
    found = _stat(pid)
    if found is None or found.state in _ENDED:
        return None
    return ProcessMark(socket.gethostname(), boot, namespace, pid, found.started_ticks)


@dataclass(frozen=True, slots=True)
class _Stat:
    """What the kernel says of a process: its state, its process group, its start in clock ticks."""

    state: str
    group: int
    started_ticks: int


def _stat(pid: int) -> _Stat | None:
    """None for a process that cannot be seen."""
    try:
        said = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in brackets, and a name may hold blanks and brackets.
    fields = said.rpartition(")")[2].split()
    return _Stat(fields[0], int(fields[2]), int(fields[19]))


def is_alive(pid: int) -> bool:
    """Whether some process, of any user, has this id on this machine; a zombie has one still."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def has_ended(mark: ProcessMark, is_one_machine: bool) -> bool:
    """Whether the marked process runs no more; False wherever that is not certain.

    ``is_one_machine`` says that whoever bears this host's name is this machine: then a mark of
    another boot is from before its last start.
    """
    here = this_process()
    if here is None or mark.host != here.host:
        return False
    if mark.boot != here.boot:
        return is_one_machine
    if mark.namespace != here.namespace:
        return False
    if not is_alive(mark.pid):
        return True
    found = _stat(mark.pid)
    if found is None:
        return False
    return found.state in _ENDED or found.started_ticks != mark.started_ticks


def is_running_here(mark: ProcessMark) -> bool:
    """Whether the marked process runs on this machine; False wherever that is not certain."""
    return mark_of(mark.pid) == mark


def end_process(mark: ProcessMark, grace_seconds: float) -> bool:
    """Send the marked process SIGTERM, and SIGKILL once it has had ``grace_seconds`` to end; whether
    it has ended. No other process is ever signalled, one that got the same id meanwhile included.

    Raises PermissionError for another user's process.
    """
    try:
        # A descriptor stays with the process it was opened for, whoever gets the id afterwards.
        process = os.pidfd_open(mark.pid)
    except ProcessLookupError:
        return True
    try:
        if not is_running_here(mark):
            return True
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(process, number)
            if select.select([process], [], [], grace_seconds)[0]:
                return True
    except ProcessLookupError:
        return True
    finally:
        os.close(process)
    return False


def end_group(leader: ProcessMark, grace_seconds: float) -> bool:
    """As `end_process`, of a process that leads a process group and then of all others of its group."""
    followers = _followers(leader)
    if not is_running_here(leader):
        return True
    left = [mark for mark in (leader, *followers) if not end_process(mark, grace_seconds)]
    return not left


def end_followers(leader: ProcessMark, grace_seconds: float) -> int:
    """As `end_process`, of all others of a process group than its leader; returns how many have ended."""
    return sum(end_process(mark, grace_seconds) for mark in _followers(leader))


def _followers(leader: ProcessMark) -> list[ProcessMark]:
    """All others of the process group that the marked process leads."""
    return [
        mark
        for folder in _PROC.iterdir()
        if folder.name.isdigit()
        and int(folder.name) != leader.pid
        and (found := _stat(int(folder.name))) is not None
        and found.group == leader.pid
        and (mark := mark_of(int(folder.name))) is not None
    ]
