"""Notices and progress on the terminal while a command works."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from pacore.report.run import live_progress
from pacore.runs.dispatch.progress import Pace, Progress

LOOK_SECONDS = 1.0
"""Between two looks at whether there is a line of progress to say."""


def tell(notice: str) -> None:
    """Show a notice. A live bar makes room for what is written to `sys.stderr`, which it replaces;
    click writes past it.
    """
    sys.stderr.write(f"pacore: {notice}\n")
    sys.stderr.flush()


@contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Show progress: a live bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        with live_progress(progress):
            yield
        return
    with spoken(lambda: [("", progress)]):
        yield
    click.echo(progress.line(), err=True)


@contextmanager
def spoken(named: Callable[[], Sequence[tuple[str, Progress]]]) -> Iterator[None]:
    """Say lines of progress on stderr while the context lasts, each after its name, at a pace that
    slows down.
    """
    ended = threading.Event()
    paces: dict[str, Pace] = {}

    def speak() -> None:
        while not ended.wait(LOOK_SECONDS):
            for name, progress in named():
                now = time.monotonic()
                if paces.setdefault(name, Pace(now)).is_due(progress.stage, now):
                    sys.stderr.write(f"{name}{progress.line()}\n")
                    sys.stderr.flush()

    speaker = threading.Thread(target=speak, name="progress", daemon=True)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()
