"""Where pacore keeps what belongs to a machine and not to a store: logs and server records."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """``$PACORE_HOME``, or ``pacore`` below the user's state folder; created if need be."""
    chosen = os.environ.get("PACORE_HOME")
    if chosen:
        folder = Path(chosen).expanduser()
    else:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        folder = Path(base) / "pacore"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
