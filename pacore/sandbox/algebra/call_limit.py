"""A bound on computation that is the same on every machine: the number of functions it may call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooManyCalls(BaseException):
    """Derived from BaseException, since SymPy catches every Exception in places."""


@contextmanager
def limited_calls(most: int) -> Iterator[None]:
    """Raises TooManyCalls within, once this thread has called ``most`` functions of Python or C.

    Takes the thread's profiler, which makes what runs within up to three times as slow. Python ignores
    what is raised while it disposes of a generator, and a call of a C function is not interrupted, so a
    caller still needs a limit of time.
    """
    left = most

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal left
        left -= event.endswith("call")
        if left < 0:
            raise TooManyCalls

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
