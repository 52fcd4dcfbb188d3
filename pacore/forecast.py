"""A forecast: what a run would sample, round by round, and what bounds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from pacore.core.plan import Step


@dataclass(slots=True)
class RoundForecast:
    """One round of a plan, in trajectories. ``unknown`` ones depend on messages yet to be made.

    ``trajectories`` counts slots. Each is ``stored``, or ``to_generate``, or ``shared``: it takes a
    draw that another slot has generated already by then, as replicates of a pool do; or its prompt
    is ``too_long``, so that it is not sent and gives no message.
    """

    step: Step
    trajectories: int = 0
    stored: int = 0
    to_generate: int = 0
    unknown: int = 0
    shared: int = 0
    too_long: int = 0


class TooLong(NamedTuple):
    """A prompt that does not fit the window for certain: where, and by how much."""

    round: int
    problem_id: str
    why: str


@dataclass(slots=True)
class Forecast:
    """What `forecast` finds.

    ``too_long`` names each prompt of the kind once, however many replicates have it. ``uncounted``
    are prompts with more bytes than the window has tokens, and nobody to count their tokens;
    ``may_be_long`` trajectories have a prompt yet unknown that would be too long if every message
    were as long as allowed. ``longest_tokens`` bounds a generation where its step does not bound it
    further, None where nothing does.
    """

    problems: int
    shards: int
    rounds: list[RoundForecast]
    longest_tokens: int | None = None
    window_tokens: int | None = None
    too_long: list[TooLong] = field(default_factory=list)
    uncounted: int = 0
    may_be_long: int = 0

    def longest_in(self, round_: int) -> int | None:
        """What bounds one generation of a 1-based round, in tokens."""
        bounds = (self.rounds[round_ - 1].step.max_tokens, self.longest_tokens)
        return min((bound for bound in bounds if bound is not None), default=None)

    def new_tokens(self, rounds: Iterable[int]) -> int | None:
        """At most this much is paid for in some rounds; None where nothing bounds it."""
        found = 0
        for round_ in rounds:
            longest, generations = self.longest_in(round_), self.rounds[round_ - 1].to_generate
            if longest is None:
                return None
            found += longest * generations
        return found

    def total(self, name: str) -> int:
        found: int = sum(getattr(round_, name) for round_ in self.rounds)
        return found
