"""A limit on computation that does not depend on the machine: the number of function calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooManyCalls(BaseException):
    """The limit of calls is exceeded. A BaseException, since SymPy catches Exception in places."""


@contextmanager
def limited_calls(most: int) -> Iterator[None]:
    """Raise TooManyCalls in the context after ``most`` calls of Python or C functions in this thread.

    It uses the thread's profiler, which makes the context up to three times as slow. Python ignores
    exceptions raised while it closes a generator, and a call of a C function is not interrupted, so a
    caller needs a time limit as well.
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
