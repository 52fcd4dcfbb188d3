"""What a program finds when it starts: names, streams, and limits of the interpreter.

As far as a program can tell it runs as the public runners run it: LiveCodeBench's lets the names of
18 modules stand before every program, and every Python has ``exit``, ``quit`` and ``/dev/stdin``,
which a sandbox without ``site`` and without /proc lacks.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from types import CodeType, ModuleType

TYPE_CHECKING = False


if TYPE_CHECKING:  # typing itself is slow to import
    from collections.abc import Callable
    from typing import Any

OUT_OF_MEMORY = 86
"""Exit code of a process whose program ran out of memory. Claiming it falsely gains nothing."""

UNLOADED = 90
"""Exit code of a process whose program is not Python, or ends before anything is asked of it."""

STANDING = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random",
    "statistics", "itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
"""Modules whose public names stand before a program, later ones first where two have the same."""


RECURSION_LIMIT = 50_000
"""How deep such a program may call, unless it says otherwise."""

USUAL = (
    "abc", "array", "cmath", "contextlib", "dataclasses", "decimal", "enum", "fractions", "queue",
    "threading", "time", "types",
)  # fmt: skip
"""Further modules imported once, for all programs."""

STREAMS = ("/dev/stdin", "/dev/stdout", "/dev/stderr")

_NAMES: dict[str, Any] = {}


def prepare() -> None:
    """Make this process one that programs can be started from. Done once, in the host."""
    for name in USUAL:
        __import__(name)
    if hasattr(sys, "set_int_max_str_digits"):
        # What a conversion takes is bounded by the program's time.
        sys.set_int_max_str_digits(0)
    _add_quitters()
    builtins.open = io.open = _opening(io.open)
    os.open = _opening(os.open)
    lines = [f"from {name} import *" for name in STANDING] + [f"import {', '.join(STANDING)}"]
    exec("\n".join(lines), _NAMES)
    del _NAMES["__builtins__"]


def _add_quitters() -> None:
    """``exit`` and ``quit`` as `site` makes them."""
    quitter = __import__("_sitebuiltins").Quitter
    for name in ("exit", "quit"):
        setattr(builtins, name, quitter(name, "Ctrl-D (i.e. EOF)"))


def _opening(opened: Callable[..., Any]) -> Callable[..., Any]:
    """A function that opens files, and the standard streams by the names they have elsewhere."""

    def open(file: Any, *arguments: Any, **keywords: Any) -> Any:
        number = _stream(file)
        if number is None:
            return opened(file, *arguments, **keywords)
        copy = os.dup(number)
        return copy if opened is _OS_OPEN else opened(copy, *arguments, **keywords)

    return open


_OS_OPEN = os.open


def _stream(file: Any) -> int | None:
    """The descriptor of the standard stream that ``file`` is a name of, None for any other file."""
    if isinstance(file, int) or not isinstance(file, (str, bytes, os.PathLike)):
        return None
    path = os.fsdecode(file)
    if path in STREAMS:
        return STREAMS.index(path)
    folder, _, number = path.rpartition("/")
    if folder in ("/dev/fd", "/proc/self/fd") and number in ("0", "1", "2"):
        return int(number)
    return None


def stand_before(namespace: dict[str, Any]) -> None:
    """Let the names of `STANDING` stand in a program's namespace, and let it call deep."""
    namespace.update(_NAMES)
    namespace.update(stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)
    sys.setrecursionlimit(RECURSION_LIMIT)


def main_module(name: str) -> dict[str, Any]:
    """The namespace of a new module of that name; classes find themselves in it."""
    module = sys.modules[name] = ModuleType(name)
    return module.__dict__


def compiled(program: bytes, file: str = "program.py") -> CodeType:
    """The code of a program. Raises what `compile` raises."""
    return compile(program, file, "exec", dont_inherit=True)


def code_of(ending: SystemExit) -> int:
    """The exit code that SystemExit means; what it was given besides is said as Python says it."""
    if ending.code is None or isinstance(ending.code, int):
        return (ending.code or 0) & 0xFF
    print(ending.code, file=sys.stderr, flush=True)
    return 1


def all_of(descriptor: int) -> bytes:
    """All that a file holds, wherever its reader is in it."""
    pieces: list[bytes] = []
    place = 0
    while piece := os.pread(descriptor, 1 << 20, place):
        pieces.append(piece)
        place += len(piece)
    return b"".join(pieces)


def write_all(descriptor: int, data: bytes, write: Callable[[int, bytes], int]) -> None:
    while data:
        data = data[write(descriptor, data) :]
