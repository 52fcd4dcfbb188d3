"""The environment of a program: predefined names, streams, and limits of the interpreter.

It is that of the public runners: LiveCodeBench's predefines the names of 18 modules for every
program, and every Python has ``exit``, ``quit`` and ``/dev/stdin``, which are missing in a sandbox
without ``site`` and without /proc.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from types import CodeType, ModuleType

TYPE_CHECKING = False
"""As `typing.TYPE_CHECKING`, for all modules inside: typing itself is slow to import."""

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Namespace = dict[str, Any]  # the names of a module

OUT_OF_MEMORY = 86
"""Exit code of a process whose program ran out of memory. A program gains nothing by exiting with it."""

UNLOADED = 90
"""Exit code of a process whose program is not Python, or ends while it is loaded."""

PREDEFINED = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random",
    "statistics", "itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
"""Modules whose public names are predefined; of equal names that of the later module."""

RECURSION_LIMIT = 50_000
"""The recursion limit of such a program, unless it sets another."""

PRELOADED = (
    "abc", "array", "cmath", "contextlib", "dataclasses", "decimal", "enum", "fractions", "queue",
    "threading", "time", "types",
)  # fmt: skip
"""Further modules imported once, for all programs."""

STREAMS = ("/dev/stdin", "/dev/stdout", "/dev/stderr")

_NAMES: Namespace = {}


def prepare_interpreter() -> None:
    """Prepare this process to fork processes of programs. Called once, in the host."""
    for name in PRELOADED:
        __import__(name)
    if hasattr(sys, "set_int_max_str_digits"):
        # The program's CPU limit bounds the time of a conversion.
        sys.set_int_max_str_digits(0)
    _add_quitters()
    builtins.open = io.open = _opening(io.open)
    os.open = _opening(os.open)
    lines = [f"from {name} import *" for name in PREDEFINED] + [f"import {', '.join(PREDEFINED)}"]
    exec("\n".join(lines), _NAMES)
    del _NAMES["__builtins__"]


def _add_quitters() -> None:
    """Define ``exit`` and ``quit`` as `site` does."""
    quitter = __import__("_sitebuiltins").Quitter
    for name in ("exit", "quit"):
        setattr(builtins, name, quitter(name, "Ctrl-D (i.e. EOF)"))


def _opening(opened: Callable[..., Any]) -> Callable[..., Any]:
    """A replacement of ``opened`` that also opens the standard streams by their names in `STREAMS`."""

    def open(file: Any, *arguments: Any, **keywords: Any) -> Any:
        number = _stream(file)
        if number is None:
            return opened(file, *arguments, **keywords)
        copy = os.dup(number)
        return copy if opened is _OS_OPEN else opened(copy, *arguments, **keywords)

    return open


_OS_OPEN = os.open


def _stream(file: Any) -> int | None:
    """The descriptor of the standard stream that ``file`` names; None for any other file."""
    if isinstance(file, int) or not isinstance(file, (str, bytes, os.PathLike)):
        return None
    path = os.fsdecode(file)
    if path in STREAMS:
        return STREAMS.index(path)
    folder, _, number = path.rpartition("/")
    if folder in ("/dev/fd", "/proc/self/fd") and number in ("0", "1", "2"):
        return int(number)
    return None


def predefine_names(namespace: Namespace) -> None:
    """Add the names of `PREDEFINED` to a program's namespace, and set the recursion limit."""
    namespace.update(_NAMES)
    namespace.update(stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)
    sys.setrecursionlimit(RECURSION_LIMIT)


def main_module(name: str) -> Namespace:
    """The namespace of a new module of that name, registered in ``sys.modules``."""
    module = sys.modules[name] = ModuleType(name)
    return module.__dict__


def compiled(program: bytes, file: str = "program.py") -> CodeType:
    """The code of a program. Raises what `compile` raises."""
    return compile(program, file, "exec", dont_inherit=True)


def exit_code_of(ending: SystemExit) -> int:
    """The exit code of a SystemExit; an argument that is no number is printed to stderr."""
    if ending.code is None or isinstance(ending.code, int):
        return (ending.code or 0) & 0xFF
    print(ending.code, file=sys.stderr, flush=True)
    return 1


def read_all(descriptor: int) -> bytes:
    """The whole content of a file, whatever its file offset."""
    pieces: list[bytes] = []
    offset = 0
    while piece := os.pread(descriptor, 1 << 20, offset):
        pieces.append(piece)
        offset += len(piece)
    return b"".join(pieces)


def write_all(descriptor: int, data: bytes, write: Callable[[int, bytes], int]) -> None:
    while data:
        data = data[write(descriptor, data) :]
