"""How the tables of a replay write their cells."""

from __future__ import annotations

from pacore.report.rendering.sheet import ABSENT, Format, decimals, number

SIGNED = Format(lambda value: ABSENT if value is None else f"{100 * value:+.1f}")
TIMES = decimals(2)


def spaced(policy: str) -> str:
    """A policy that a narrow column can break between its parts."""
    return policy.replace(",", ", ")


PER_CENT = Format(lambda value: number(None if value is None else 100 * value))
