"""What the tests of bounded processes run in them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from pacore.bounded import Bounds, run_bounded
from pacore.errors import PacoreError, Refused
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse


def echo(text: str, memory_bytes: int) -> None:
    print(text, memory_bytes)


def sleep(_: int) -> None:
    time.sleep(3600)


def pid_then_sleep(place: str, _: int) -> None:
    Path(place).write_text(str(os.getpid()))
    Path(os.environ["TMPDIR"], "left-behind").write_text("x")
    time.sleep(3600)


def deaf(place: str, _: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Path(place).write_text(str(os.getpid()))
    time.sleep(3600)


def take(count: str, _: int) -> None:
    kept = bytearray(int(count))
    kept[::4096] = b"x" * len(kept[::4096])
    print(len(kept))


def refuse(_: int) -> None:
    raise Refused("no: a reason\nin two lines")


def fail(_: int) -> None:
    raise PacoreError("something the message explains")


def notice(_: int) -> None:
    sys.stderr.write("a notice\n")


def crash(_: int) -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def bug(_: int) -> None:
    raise ValueError("a bug")


def exhaust(url: str, text: str, memory_bytes: int) -> None:
    with Warehouse(open_store(url), memory_bytes=memory_bytes) as warehouse:
        for row in warehouse.query(text).rows:
            print(row)


def begin(url: str, text: str, memory_bytes: int) -> None:
    """Say that a query begins, and run it."""
    with Warehouse(open_store(url), memory_bytes=memory_bytes) as warehouse:
        print("begun", flush=True)
        list(warehouse.query(text).rows)


def interrupted(url: str, text: str) -> None:
    """`begin` within bounds, as a command does it."""
    try:
        run_bounded("tests.bounded_functions:begin", [url, text], Bounds(600.0, 2**30))
    except PacoreError as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(wrong.exit_code)
