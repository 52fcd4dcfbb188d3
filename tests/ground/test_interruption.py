"""Interruptions end a command whatever the code does that they come in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pacore.errors import Exit
from pacore.interruption import interrupted_by_signals, raise_if_interrupted
from tests.conftest import ROOT


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_the_exit_code_is_that_of_an_interruption_wherever_the_signal_came(
    tmp_path: Path, number: str
) -> None:
    """In code from text, too, of which an import runs a lot."""
    lines = [
        "import signal, sys",
        "from pacore.interruption import interrupted_by_signals",
        "try:",
        "    with interrupted_by_signals():",
        f"        exec('signal.raise_signal(signal.{number})')",
        "except KeyboardInterrupt:",
        "    sys.exit(130)",
    ]
    (tmp_path / "signalled.py").write_text("\n".join(lines))
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    ended = subprocess.run(
        [sys.executable, "-m", "signalled"], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert ended.returncode == Exit.INTERRUPTED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_signal_is_an_interruption_whatever_error_a_library_makes_of_it(
    number: signal.Signals,
) -> None:
    def replaced() -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise ValueError("cannot be serialised") from None

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interrupted_by_signals():
        replaced()
    assert signal.getsignal(number) is before
    with pytest.raises(ValueError, match="no signal"), interrupted_by_signals():
        raise ValueError("no signal came")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_an_interruption_that_something_drops_is_raised_before_the_next_long_work(
    number: signal.Signals,
) -> None:
    raised_before: list[str] = []

    def works_on() -> None:
        raise_if_interrupted()
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raised_before.append("dropped")
        raise_if_interrupted()

    with pytest.raises(KeyboardInterrupt), interrupted_by_signals():
        works_on()
    assert raised_before == ["dropped"]
    raise_if_interrupted()
