"""The command line of a sandbox, and the programs that it needs on the machine.

bubblewrap puts a process into user, process, network, mount, IPC and host name spaces of its own,
with a Python and nothing else: no network, no /proc, no writable file. It is started as an ordinary
user, since the kernel exempts root from the limit on processes, and with an empty environment, since
the processes inside can read bubblewrap's own environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pacore.errors import PacoreError
from pacore.sandbox.inside.confinement import ARCHITECTURES

NOBODY = "65534"
"""User and group of programs where pacore runs as root."""

INTERPRETERS = ("/usr/bin/python3", "/usr/local/bin/python3")
"""Paths of a Python that every user may read, unlike one in a home folder."""

OLDEST = (3, 9)

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    # One heap: a thread's own would count as 64 MiB of its program's memory.
    "MALLOC_ARENA_MAX": "1",
    "PATH": "/usr/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    # The iteration order of sets of texts is the same each time a program is graded.
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}
"""The whole environment of a program."""

INSIDE = Path(__file__).parent / "inside"

MODULES = tuple(sorted(path.name for path in INSIDE.glob("*.py") if path.stem != "__init__"))

MOUNT_POINT = "/pacore"
"""Folder inside the sandbox with the modules that run there, below their package's name."""

_PRINT_VERSION = "import ctypes, sys; print(*sys.version_info[:3], sep='.')"

_HOW_TO_INSTALL = "on Debian or Ubuntu: apt-get install bubblewrap util-linux python3"


class NoSandbox(PacoreError):
    """This machine cannot confine programs, so none is run; the message says what to install."""

    def __init__(self, what: str) -> None:
        super().__init__(f"programs cannot be graded here: {what}")


@dataclass(frozen=True)
class Interpreter:
    """A Python for programs: its real path below /usr, and its version such as ``3.11.2``."""

    path: str
    version: str


@cache
def find_interpreter() -> Interpreter:
    """The system's Python. Raises NoSandbox where there is none."""
    for name in INTERPRETERS:
        path = os.path.realpath(name)
        # A launcher may lead to a Python in a home folder, which the sandbox does not have.
        if not path.startswith("/usr/") or not os.access(path, os.X_OK):
            continue
        done = subprocess.run(
            [path, "-S", "-s", "-c", _PRINT_VERSION],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        version = done.stdout.strip()
        if done.returncode == 0 and tuple(map(int, version.split("."))) >= OLDEST:
            return Interpreter(path, version)
    wanted = ".".join(map(str, OLDEST))
    paths = " or ".join(INTERPRETERS)
    raise NoSandbox(f"there is no Python {wanted} or newer at {paths}; {_HOW_TO_INSTALL}")


def prefix() -> list[str]:
    """The beginning of a sandbox's command line: ``bwrap``, as user `NOBODY` where this one is root.

    ``PATH`` is searched whenever a sandbox is started. Raises NoSandbox where a program is missing,
    and on architectures whose system calls are not in `ARCHITECTURES`.
    """
    if os.uname().machine not in ARCHITECTURES:
        raise NoSandbox(f"only on {' and '.join(ARCHITECTURES)}, and this is {os.uname().machine}")
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise NoSandbox(f"bubblewrap (bwrap) is not installed; {_HOW_TO_INSTALL}")
    if os.geteuid() != 0:
        return [bwrap]
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NoSandbox(
            f"setpriv, which drops root privileges, is not installed; {_HOW_TO_INSTALL}"
        )
    return [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", bwrap]


def sandbox_command(interpreter: Interpreter, modules: dict[str, int], control: int) -> list[str]:
    """The command line of a sandbox whose process 1 is `pacore.sandbox.inside.host`.

    ``modules`` are the file descriptors of the modules of `MODULES` by name, ``control`` is the
    descriptor of the host's socket.
    """
    folder = f"{MOUNT_POINT}/{'/'.join(__name__.split('.')[:-1])}/inside"
    files = [
        part
        for name, number in modules.items()
        for part in ("--ro-bind-data", str(number), f"{folder}/{name}")
    ]
    host = f"import sys; sys.path.insert(0, {MOUNT_POINT!r}); "
    host += f"from {__package__}.inside.host import run_host; run_host()"
    return [
        *prefix(),
        *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-cgroup-try", "--uid", NOBODY, "--gid", NOBODY, "--hostname", "sandbox"),
        *("--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *_files(interpreter),
        *files,
        *("--remount-ro", "/", "--chdir", "/"),
        *(interpreter.path, "-S", "-s", "-c", host),
        str(control),
    ]


def _files(interpreter: Interpreter) -> list[str]:
    """All files of a sandbox: the interpreter, libraries, and four devices that store nothing."""
    parts = ["--ro-bind", interpreter.path, interpreter.path]
    folders = ["/usr/lib", "/usr/lib64"]
    if interpreter.path.startswith("/usr/local/"):
        folders.append("/usr/local/lib")
    for folder in folders:
        if os.path.isdir(folder):
            parts += ["--ro-bind", folder, folder]
    for folder in ("/lib", "/lib64"):
        if os.path.islink(folder):
            parts += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            parts += ["--ro-bind", folder, folder]
    if os.path.exists("/etc/ld.so.cache"):
        parts += ["--ro-bind", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for device in ("null", "zero", "random", "urandom"):
        parts += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    return parts
