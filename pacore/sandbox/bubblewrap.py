"""The command that makes a sandbox, and what it needs of the machine.

bubblewrap puts a process into user, process, network, mount, IPC and host name spaces of its own,
in which there is a Python and nothing else: no network, no /proc, no file that can be written. It
is started as an ordinary user with an empty environment: the kernel exempts root from the limit on
processes, and bubblewrap itself keeps, in sight of what it starts, the environment it was given.
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
"""User and group that programs run as where pacore runs as root."""

INTERPRETERS = ("/usr/bin/python3", "/usr/local/bin/python3")
"""Where a Python is looked for that every user may read, as one in somebody's home is not."""


OLDEST = (3, 9)

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    # One heap: a thread's own would count as 64 MiB of its program's memory.
    "MALLOC_ARENA_MAX": "1",
    "PATH": "/usr/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    # Sets of texts come in the same order every time a program is graded.
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}
"""All that a program finds in its environment."""

INSIDE = Path(__file__).parent / "inside"


MODULES = tuple(sorted(path.name for path in INSIDE.glob("*.py") if path.stem != "__init__"))


PLACE = "/pacore"
"""Where the modules that run inside lie inside, below the name of their package."""

_ASKED = "import ctypes, sys; print(*sys.version_info[:3], sep='.')"


_HOW = "on Debian or Ubuntu: apt-get install bubblewrap util-linux python3"


class NoSandbox(PacoreError):
    """This machine cannot confine programs, so none is run; the text says what to install."""

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
        # Not a launcher in somebody's home: the sandbox has nothing of it.
        if not path.startswith("/usr/") or not os.access(path, os.X_OK):
            continue
        said = subprocess.run(
            [path, "-S", "-s", "-c", _ASKED],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        version = said.stdout.strip()
        if said.returncode == 0 and tuple(map(int, version.split("."))) >= OLDEST:
            return Interpreter(path, version)
    wanted = ".".join(map(str, OLDEST))
    raise NoSandbox(f"there is no Python {wanted} or newer at {' or '.join(INTERPRETERS)}; {_HOW}")


def prefix() -> list[str]:
    """What a sandbox's command begins with: ``bwrap``, as another user where this one is root.

    Both are looked for in ``PATH`` whenever a sandbox is made. Raises NoSandbox where one is
    missing, and on machines whose system calls are not known here.
    """
    if os.uname().machine not in ARCHITECTURES:
        raise NoSandbox(f"only on {' and '.join(ARCHITECTURES)}, and this is {os.uname().machine}")
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise NoSandbox(f"bubblewrap (bwrap) is not installed; {_HOW}")
    if os.geteuid() != 0:
        return [bwrap]
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NoSandbox(f"setpriv, which gives up root, is not installed; {_HOW}")
    return [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", bwrap]


def command(interpreter: Interpreter, modules: dict[str, int], control: int) -> list[str]:
    """The command line of a sandbox whose process 1 is `pacore.sandbox.inside.host`.

    ``modules`` are file descriptors that hold the modules of `MODULES`, ``control`` is the host's.
    """
    folder = f"{PLACE}/{'/'.join(__name__.split('.')[:-1])}/inside"
    files = [
        part
        for name, number in modules.items()
        for part in ("--ro-bind-data", str(number), f"{folder}/{name}")
    ]
    host = f"import sys; sys.path.insert(0, {PLACE!r}); "
    host += f"from {__package__}.inside.host import main; main()"
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
    """All files there are: the interpreter, libraries, and four devices without memory."""
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
