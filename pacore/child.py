"""A program of this package in a process of its own, spoken to in lines, that never outlives us."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from pacore.secrecy import without_secrets

CLOSE_SECONDS = 10.0
"""How long a process has to end by itself after its input has ended."""


def command(module: str, function: str, arguments: Sequence[str]) -> list[str]:
    """A command line that calls a module's function with text arguments, on this ``sys.path``."""
    program = (
        f"import sys; count = int(sys.argv[1]) + 2; sys.path[:] = sys.argv[count:]; "
        f"from {module} import {function}; {function}(*sys.argv[2:count])"
    )
    return [sys.executable, "-P", "-c", program, str(len(arguments)), *arguments, *sys.path]


class Child:
    """Runs a module's function, with text arguments and this process's ``sys.path``.

    The program reads lines from standard input, writes lines to standard output, and ends when its
    input ends, as it does however this process ends. ``environment`` is added to this process's.
    """

    def __init__(
        self, module: str, function: str, arguments: list[str], environment: Mapping[str, str]
    ) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command(module, function, arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=without_secrets(os.environ) | dict(environment),
            encoding="ascii",
        )
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, line: str) -> bool:
        """Send one line (ASCII, without its end); whether there was anyone to take it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def receive(self) -> str | None:
        """The next whole line without its end, or None when the process is gone."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return line[:-1] if line.endswith("\n") else None

    @contextmanager
    def killed_after(self, seconds: float) -> Iterator[None]:
        """Bound what happens inside: when time is up the process is killed, and `receive` ends."""
        watchdog = threading.Timer(seconds, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def last_words(self) -> str:
        """The last line the process wrote to standard error, for a person; empty without one."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """End the process: by the end of its input, or by force where that does not do it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
