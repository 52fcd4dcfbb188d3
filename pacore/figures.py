"""Figures as they are handed on: every digit that means something, and the same ones each time."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any

DIGITS = 12


def settled(value: Any) -> Any:
    """A value as JSON has it, dataclasses as objects, with its floats at 12 significant digits.

    Databases add up in the order in which threads come to an end, so that the last two or three digits
    of a mean differ from one reading of the same rows to the next.
    """
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if is_dataclass(value) and not isinstance(value, type):
        return settled(asdict(value))
    if isinstance(value, dict):
        return {name: settled(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [settled(one) for one in value]
    return value
