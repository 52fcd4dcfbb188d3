"""The result of a repair."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """One thing of a run that was broken: its key, what was wrong and what became of it."""

    key: str
    what: str
    is_repaired: bool
