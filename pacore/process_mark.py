"""Which process this is, written down so that another one can find out later whether it still runs,
and end it without ever signalling a different one.

A process id alone is not enough: it is given again, and means another process on another machine or
in another container. What Linux knows of a process is recorded with it; other systems leave no mark.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_ENDED = ("Z", "X", "x")
"""States of a process that only waits for its parent to hear of its end."""


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process, as nobody else is it.

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
    """The mark of this process; None where the system does not tell what belongs to it."""
    return mark_of(os.getpid())


def mark_of(pid: int) -> ProcessMark | None:
    """The mark of a process that runs in this process's own name space of process ids; None where
    it has ended, or the system does not tell what belongs to a mark.
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
    try:
        os.kill(mark.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is somebody else's, and may still be looked at
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
    followers = [
        mark
        for folder in _PROC.iterdir()
        if folder.name.isdigit()
        and int(folder.name) != leader.pid
        and (found := _stat(int(folder.name))) is not None
        and found.group == leader.pid
        and (mark := mark_of(int(folder.name))) is not None
    ]
    if not is_running_here(leader):
        return True
    left = [mark for mark in (leader, *followers) if not end_process(mark, grace_seconds)]
    return not left
