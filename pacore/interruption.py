"""Interruptions of a command: SIGTERM and Ctrl-C, and one that something has dropped on its way.

A signal's handler raises KeyboardInterrupt at whatever line is executed then. Where that is in code that
discards every error (a bare ``except``, an attribute that a library in C tries to read), which imports of
large libraries run, the command would go on as if nobody had interrupted it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from pacore.errors import Interrupted

_signalled = threading.Event()
"""Set from a signal on, until the context that handles signals ends."""


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Have SIGTERM end a command as Ctrl-C does, so that the processes it owns end with it.

    Raises KeyboardInterrupt for whatever is raised after one of both: libraries that are written in C
    replace it by an error of their own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> Never:
        _signalled.set()
        raise KeyboardInterrupt

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except BaseException as raised:
        if not _signalled.is_set() or isinstance(raised, Interrupted):
            raise
        # Where the signal came in code that is compiled from text, as imports of dataclasses do, Python
        # notes that nobody caught it, and under -m ends by the signal in place of its exit code. Other
        # code from text clears that.
        eval("None")
        raise KeyboardInterrupt from raised
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _signalled.clear()


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if a signal has come whose own was dropped: before work that takes long."""
    if _signalled.is_set():
        raise KeyboardInterrupt
