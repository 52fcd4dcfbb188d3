"""Reads pipes whose writers are not trusted: without blocking, and with a limit on the bytes."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Literal, Protocol

_READ_BYTES = 1 << 16

TAIL_BYTES = 4096
"""How much is kept of output that is read for its last lines only."""


class PolledSource(Protocol):
    """A descriptor that `poll_until` waits for; `read_available` reads all that is available."""

    descriptor: int
    is_open: bool

    @property
    def is_over_limit(self) -> bool: ...

    def read_available(self) -> None: ...


class PipeReader:
    """Reads a pipe. ``kept`` are the bytes read since `clear`; with ``tail``, the last of them.

    No more than ``most_bytes`` are read between two calls of `clear`, but for one last chunk.
    """

    def __init__(self, descriptor: int, most_bytes: int, *, tail: bool = False) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.is_open = True
        self.kept = bytearray()
        self._most_bytes = most_bytes
        self._count = 0
        self._tail = tail

    @property
    def is_over_limit(self) -> bool:
        """Whether more bytes came than allowed; then no more are read."""
        return self._count > self._most_bytes

    def clear(self) -> None:
        self._count = 0
        self.kept = bytearray()

    def read_available(self) -> None:
        """Read all available bytes, up to the limit."""
        while self.is_open and not self.is_over_limit:
            try:
                piece = os.read(self.descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            self.is_open = bool(piece)
            self._count += len(piece)
            self.kept += piece
            if self._tail:
                del self.kept[:-TAIL_BYTES]

    def take_line(self) -> bytes | None:
        """Remove and return the first complete line, with its newline; None without one."""
        end = self.kept.find(b"\n") + 1
        line = bytes(self.kept[:end])
        del self.kept[:end]
        return line or None

    def last_line(self) -> str:
        """The last line that is not blank; empty without one."""
        lines = self.kept.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def poll_until(
    sources: Sequence[PolledSource], is_done: Callable[[], bool], deadline: Callable[[], float]
) -> Literal["done", "timeout", "output_limit"]:
    """Read the sources until ``is_done``, which is called before each wait, and then once more.

    Stops earlier at the ``deadline`` (in seconds of `time.monotonic`) with ``timeout``, and when a
    source is over its limit with ``output_limit``.
    """
    while not (done := is_done()):
        seconds = deadline() - monotonic()
        if seconds <= 0 or any(source.is_over_limit for source in sources):
            break
        _wait(sources, seconds)
    if done:
        for source in sources:
            source.read_available()
    if any(source.is_over_limit for source in sources):
        return "output_limit"
    return "done" if done else "timeout"


def _wait(sources: Sequence[PolledSource], seconds: float) -> None:
    """Wait until bytes are available, and read them."""
    poller = select.poll()
    by_descriptor = {source.descriptor: source for source in sources if source.is_open}
    for descriptor in by_descriptor:
        poller.register(descriptor, select.POLLIN)
    for descriptor, _ in poller.poll(seconds * 1000):
        by_descriptor[descriptor].read_available()


def sealed(name: str, data: bytes) -> int:
    """The descriptor of a read-only file in memory with the content ``data``."""
    file = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.lseek(file, 0, os.SEEK_SET)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(file)
        raise
    return file
