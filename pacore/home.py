"""The folder for files that belong to a machine and not to a store: logs and server records."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pacore.errors import HomeUnusable

PROBE_BYTES = 64 * 1024
"""Written and removed again to find out whether the folder can be used; a full disk refuses it."""


def state_path() -> Path:
    """``$PACORE_HOME``, or ``pacore`` below the user's state folder; it need not exist.

    Raises HomeUnusable where neither is known.
    """
    chosen = os.environ.get("PACORE_HOME")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError as unknown:
        raise HomeUnusable(
            f"the user's home folder is not known ({unknown}); set PACORE_HOME to a folder for logs "
            "and server records"
        ) from None
    return Path(base).absolute() / "pacore"


def state_folder(name: str = "") -> Path:
    """The folder of `state_path`, or the folder ``name`` in it, made if need be.

    Raises HomeUnusable where it cannot be made or nothing can be written to it.
    """
    folder = state_path() / name
    with usable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    return folder


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Raise HomeUnusable, in one line, for an OSError while ``folder`` is written."""
    try:
        yield
    except OSError as fault:
        reason = (fault.strerror or type(fault).__name__).lower()
        raise HomeUnusable(
            f"{folder}: logs and server records cannot be written there: {reason}; set PACORE_HOME "
            "to another folder"
        ) from fault
