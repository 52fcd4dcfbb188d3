"""The speed of a server from what was measured of it, and a workload replayed at a speed. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.endpoint.batching import Batching, Job, Speed


@dataclass(frozen=True, slots=True)
class Line:
    """``fixed + slope * x``, and the largest deviation of a point from it, as a share of the point."""

    fixed: float
    slope: float
    deviation: float

    def at(self, x: float) -> float:
        return self.fixed + self.slope * x


def line_through(points: Sequence[tuple[float, float]]) -> Line:
    """The line with the smallest squared deviations, each as a share of its point; slope and value at 0
    are no less than 0.

    Shares, because times of one request and of a hundred are to be right to the same degree.
    """
    weights = [1.0 / (y * y) for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    common = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True))
    slope = max(0.0, common / spread) if spread else 0.0
    fixed = mean_y - slope * mean_x
    if fixed < 0:
        fixed, slope = 0.0, statistics.fmean(y / x for x, y in points if x)
    deviation = max(abs(fixed + slope * x - y) / y for x, y in points)
    return Line(fixed, slope, deviation)


def fitted(
    steps: Sequence[tuple[int, float]],
    prefills: Sequence[tuple[int, float]],
    slots: int,
    block_tokens: int = 0,
) -> Speed:
    """The speed of a server of so many slots, and so many tokens in a block of its cache, whose steps took
    so many seconds with so many requests running, and whose prompts of so many tokens, in no cache, so
    many until the first token.
    """
    step, prefill = line_through(steps), line_through(prefills)
    return Speed(
        slots=slots,
        step_seconds=step.fixed,
        sequence_seconds=step.slope,
        prefill_seconds=prefill.slope,
        block_tokens=block_tokens,
    )


def replay(server: Batching, jobs: Sequence[Job]) -> None:
    """Let a server end requests that arrive when they say, those of one time in their order."""
    for job in sorted(jobs, key=lambda job: job.arrived):
        while (following := server.next_event()) is not None and following <= job.arrived:
            server.ended(following)
        server.submit(job, job.arrived)
    while (following := server.next_event()) is not None:
        server.ended(following)


def makespan(speed: Speed, jobs: Sequence[Job]) -> float:
    """Seconds until the last of such requests has ended."""
    server = Batching(speed)
    replay(server, jobs)
    return server.now
