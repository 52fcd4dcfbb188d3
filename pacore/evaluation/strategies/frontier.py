"""The frontier of accuracy and cost: the strategies that no other dominates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One arm: accuracy in [0, 1] with its 95 % interval, and effective TTC in tokens an answer.

    An arm without a known ``accuracy`` is not drawn.
    """

    name: str
    tokens: float | None
    accuracy: float | None
    low: float | None = None
    high: float | None = None

    @property
    def is_known(self) -> bool:
        return self.accuracy is not None and self.tokens is not None and self.tokens > 0


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that no other dominates: none is as cheap and better, or as good and cheaper.

    Cheapest first. Of several with equal cost and accuracy only the first by name.
    """
    known = [point for point in points if point.is_known]
    found: list[Point] = []
    best = -1.0
    for point in sorted(known, key=lambda p: (p.tokens or 0.0, -(p.accuracy or 0.0), p.name)):
        if (point.accuracy or 0.0) > best:
            best = point.accuracy or 0.0
            found.append(point)
    return found
