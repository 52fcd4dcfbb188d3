"""Bytes out of pipes whose other ends are not to be trusted: never blocking, always counted."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Literal, Protocol

CHUNK_BYTES = 1 << 16


TAIL_BYTES = 4096
"""How much is kept of what is read for its last lines only."""


class Source(Protocol):
    """What `drive` waits for: a descriptor, and `move`, which takes what has come out of it."""

    descriptor: int
    is_open: bool

    @property
    def is_overfull(self) -> bool: ...

    def move(self) -> None: ...


class Inflow:
    """Bytes out of a pipe. ``kept`` are those that came since `clear`, or the last of them."""

    def __init__(self, descriptor: int, most_bytes: int, *, tail: bool = False) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.is_open = True
        self.kept = bytearray()
        self._most_bytes = most_bytes
        self._count = 0
        self._tail = tail

    @property
    def is_overfull(self) -> bool:
        """Whether more came than may; then no more is read."""
        return self._count > self._most_bytes

    def clear(self) -> None:
        self._count = 0
        self.kept = bytearray()

    def move(self) -> None:
        """Take all that there is, unless it is too much."""
        while self.is_open and not self.is_overfull:
            try:
                piece = os.read(self.descriptor, CHUNK_BYTES)
            except BlockingIOError:
                return
            self.is_open = bool(piece)
            self._count += len(piece)
            self.kept += piece
            if self._tail:
                del self.kept[:-TAIL_BYTES]

    def take_line(self) -> bytes | None:
        """Take a whole line out, with its end; None where there is none."""
        end = self.kept.find(b"\n") + 1
        line = bytes(self.kept[:end])
        del self.kept[:end]
        return line or None

    def last_words(self) -> str:
        """The last line that is more than blanks; empty without one."""
        lines = self.kept.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def drive(
    sources: Sequence[Source], is_done: Callable[[], bool], deadline: Callable[[], float]
) -> Literal["done", "timeout", "output_limit"]:
    """Take bytes until ``is_done``, which is called before each wait, and what is there then.

    Stops earlier at the ``deadline`` (of `time.monotonic`), and where more comes in than may.
    """
    while not (done := is_done()):
        seconds = deadline() - monotonic()
        if seconds <= 0 or any(source.is_overfull for source in sources):
            break
        _wait(sources, seconds)
    if done:
        for source in sources:
            source.move()
    if any(source.is_overfull for source in sources):
        return "output_limit"
    return "done" if done else "timeout"


def _wait(sources: Sequence[Source], seconds: float) -> None:
    """Wait until some bytes have come, and take them."""
    poller = select.poll()
    by_descriptor = {source.descriptor: source for source in sources if source.is_open}
    for descriptor in by_descriptor:
        poller.register(descriptor, select.POLLIN)
    for descriptor, _ in poller.poll(seconds * 1000):
        by_descriptor[descriptor].move()


def sealed(name: str, data: bytes) -> int:
    """The descriptor of a file in memory that holds ``data`` and can no longer be written."""
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
