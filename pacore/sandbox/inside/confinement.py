"""Restricts a process before it runs a program: resource limits, and a filter of system calls.

The sandbox around it has no network, no files but a read-only Python, and no other process than its
host. In addition, a program cannot start a process, execute another file, open a socket, allocate
memory outside its address space, monitor file accesses, or access the host.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from functools import lru_cache

_MOST_OPEN_FILES = 64

_MOST_THREADS = 64

STACK_BYTES = 64 * 2**20
"""Stack of the main thread; deep recursion of correct programs needs it."""

INTERPRETER_BYTES = 64 * 2**20
"""Address space of Python itself, added to a program's memory limit."""

NEW_CALLS = 425
"""System calls from this number on do not exist for a program; the C library needs none of them."""

# number on x86-64, number on ARM64 (None: no such call)
DENIED_CALLS = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "delete_module": (176, 106),
    "execve": (59, 221),
    "execveat": (322, 281),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fork": (57, None),
    "init_module": (175, 105),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sync": (162, 81),
    "syncfs": (306, 267),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "uselib": (134, None),
    "vfork": (58, None),
}

CLONE = (56, 220)

PRLIMIT = (302, 261)

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables above, and the kernel's audit number of the architecture."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

_EPERM, _ENOSYS = 1, 38

_CLONE_THREAD = 0x00010000

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


def call_filter(machine: str) -> bytes:
    """The seccomp filter (classic BPF) for a machine as named by `os.uname`.

    Raises KeyError for a machine that is not in `ARCHITECTURES`.
    """
    column, architecture = ARCHITECTURES[machine]
    denied = [
        number for numbers in DENIED_CALLS.values() if (number := numbers[column]) is not None
    ]
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, NEW_CALLS),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
    ]
    for number in denied:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    steps += [
        # A clone is allowed only as a thread of this process.
        (_EQUAL, 0, 4, CLONE[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        # prlimit is allowed only for this process (0), not for the host.
        (_EQUAL, 0, 3, PRLIMIT[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


class Confinement:
    """The limits and the system call filter of one process: bytes of memory, and CPU seconds."""

    def __init__(self, memory_bytes: int, cpu_seconds: int) -> None:
        most_bytes = memory_bytes + INTERPRETER_BYTES
        _, most_stack = resource.getrlimit(resource.RLIMIT_STACK)
        is_endless = most_stack == resource.RLIM_INFINITY
        stack_bytes = STACK_BYTES if is_endless else min(STACK_BYTES, most_stack)
        self._limits = (
            (resource.RLIMIT_CORE, 0, 0),
            (resource.RLIMIT_FSIZE, 0, 0),
            (resource.RLIMIT_MEMLOCK, 0, 0),
            (resource.RLIMIT_MSGQUEUE, 0, 0),
            (resource.RLIMIT_NOFILE, _MOST_OPEN_FILES, _MOST_OPEN_FILES),
            (resource.RLIMIT_NPROC, _MOST_THREADS, _MOST_THREADS),
            (resource.RLIMIT_STACK, stack_bytes, most_stack),
            (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1),
            (resource.RLIMIT_AS, most_bytes, most_bytes),
        )
        self._filter = _prepared_filter()

    def take_effect(self) -> None:
        """Confine this process irrevocably.

        Raises OSError where the kernel does not accept the filter, and ValueError where a hard limit
        of this process is below the limit to set.
        """
        for name, soft, hard in self._limits:
            resource.setrlimit(name, (soft, hard))
        self._filter.take_effect()


class _Filter:
    """The filter of this machine, in memory in the kernel's format."""

    def __init__(self) -> None:
        code = call_filter(os.uname().machine)
        self._steps = ctypes.create_string_buffer(code, len(code))
        packed = struct.pack("HL", len(code) // 8, ctypes.addressof(self._steps))
        self._packed = ctypes.c_char_p(packed)
        self._libc = ctypes.CDLL(None, use_errno=True)

    def take_effect(self) -> None:
        if self._libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._packed, 0, 0):
            raise OSError(ctypes.get_errno(), "the kernel does not accept a system call filter")


_prepared_filter = lru_cache(maxsize=None)(_Filter)
