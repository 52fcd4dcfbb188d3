"""Which process this is, told so that another one can find out later whether it still runs.

A process id alone is not enough: it is given again, and means another process on another machine or
in another container. What Linux knows of a process goes with it; other systems leave no mark.
"""

from __future__ import annotations

import os
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
    pid = os.getpid()
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return None
    found = _state_and_start(pid)
    return (
        None if found is None else ProcessMark(socket.gethostname(), boot, namespace, pid, found[1])
    )


def _state_and_start(pid: int) -> tuple[str, int] | None:
    """A process's state and its start in clock ticks; None where it cannot be seen."""
    try:
        said = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in brackets, and a name may hold blanks and brackets.
    fields = said.rpartition(")")[2].split()
    return fields[0], int(fields[19])


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
    found = _state_and_start(mark.pid)
    if found is None:
        return False
    state, started_ticks = found
    return state in _ENDED or started_ticks != mark.started_ticks
