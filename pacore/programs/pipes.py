"""Bytes in and out of pipes whose other ends are not to be trusted: never blocking, always counted."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence
from typing import Literal

CHUNK_BYTES = 1 << 16
TAIL_BYTES = 4096
"""How much is kept of what is read for its last lines only."""


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


class Outflow:
    """Bytes on their way into a pipe."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._waiting = bytearray()

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def add(self, data: bytes) -> None:
        self._waiting += data

    def move(self) -> None:
        """Write what the pipe takes; where nobody is left at its other end, nobody wants it."""
        try:
            del self._waiting[: os.write(self.descriptor, self._waiting)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._waiting.clear()


def drive(
    inflows: Sequence[Inflow],
    outflows: Sequence[Outflow],
    is_done: Callable[[], bool],
    deadline: float,
) -> Literal["done", "timeout", "output_limit"]:
    """Move bytes until ``is_done``, which is asked before each wait, and take what is there then.

    Stops earlier at the ``deadline`` (of `time.monotonic`), and where more comes in than may.
    """
    while not (done := is_done()):
        seconds = deadline - time.monotonic()
        if seconds <= 0 or any(flow.is_overfull for flow in inflows):
            break
        _wait(inflows, outflows, seconds)
    if done:
        for flow in inflows:
            flow.move()
    if any(flow.is_overfull for flow in inflows):
        return "output_limit"
    return "done" if done else "timeout"


def _wait(inflows: Sequence[Inflow], outflows: Sequence[Outflow], seconds: float) -> None:
    """Wait until some bytes can move, and move them."""
    poller = select.poll()
    flows: dict[int, Inflow | Outflow] = {}
    for inflow in inflows:
        if inflow.is_open:
            flows[inflow.descriptor] = inflow
            poller.register(inflow.descriptor, select.POLLIN)
    for outflow in outflows:
        if outflow.is_waiting:
            flows[outflow.descriptor] = outflow
            poller.register(outflow.descriptor, select.POLLOUT)
    for descriptor, _ in poller.poll(seconds * 1000):
        flows[descriptor].move()
