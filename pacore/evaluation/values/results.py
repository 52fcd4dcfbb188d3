"""The values of a round's messages as records, and their means by kind of message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import ClassVar

from pacore.core.config.values import Treatment
from pacore.evaluation.statistics.intervals import mean_interval
from pacore.evaluation.values.problems import TriedCounts
from pacore.warehouse.report_rows import ReportRow

LISTED = 5
"""Messages listed at each end."""


@dataclass(frozen=True, slots=True)
class MessageValue(ReportRow):
    """What one message is worth to the next trajectory; see `mart_message_values`."""

    QUERY: ClassVar[str] = "values/messages"

    problem_id: str
    replicate: int
    position: int
    trajectory_id: str
    value: float
    low: float
    high: float
    cost_tokens: float | None
    more_generated_tokens: float | None
    is_right: bool | None
    characters: int | None
    messages: int
    sets: int
    episodes: int

    @property
    def set_name(self) -> tuple[str, int]:
        return self.problem_id, self.replicate


@dataclass(frozen=True, slots=True)
class TriedTokens(ReportRow):
    """Trajectories of a derived run, how many of them were there before, and the tokens of the others."""

    QUERY: ClassVar[str] = "values/tokens"

    trajectories: int
    reused: int
    generated_tokens: int | None


@dataclass(frozen=True, slots=True)
class RoundTokens(ReportRow):
    """What a trajectory of a round generated, in tokens; None where they were not counted."""

    QUERY: ClassVar[str] = "values/round"

    mean_tokens: float | None


@dataclass(frozen=True, slots=True)
class PlannedValues:
    """What it takes to find the values of messages: ``trajectories`` in all, of which ``to_generate`` are
    not stored; ``expected_tokens`` if these are as long as those of the round, None where nothing tells.
    """

    source_run_id: str
    round: int
    treatment: Treatment
    tried: TriedCounts
    trajectories: int
    to_generate: int
    expected_tokens: int | None


@dataclass(frozen=True, slots=True)
class MeanValue:
    """The mean value of the messages of one kind, as the mean over problems of their means.

    ``low`` and ``high``: were other problems drawn; None below two.
    """

    kind: str
    value: float
    low: float | None
    high: float | None
    cost_tokens: float | None
    messages: int
    problems: int


@dataclass(frozen=True, slots=True)
class MessageValues:
    """The values of the messages that one round of a run saw, and what they cost to find."""

    source_run_id: str
    round: int
    treatment: Treatment
    run_id: str
    tried: TriedCounts
    tokens: TriedTokens
    means: Sequence[MeanValue]
    messages: Sequence[MessageValue]


def mean_values(found: Sequence[MessageValue]) -> list[MeanValue]:
    """The mean value of all messages, and of those of each kind, a kind without messages left out.

    Halves are of each message set: by length the middle one of an odd number is among the longer, by
    position among the later.
    """
    lengths = dict(_ranks(found))
    kinds: dict[str, Callable[[MessageValue], bool]] = {
        "all": lambda _: True,
        "right": lambda one: one.is_right is True,
        "wrong": lambda one: one.is_right is False,
        "shorter half": lambda one: lengths.get(_key(one), 1.0) < 0.5,
        "longer half": lambda one: lengths.get(_key(one), 0.0) >= 0.5,
        "earlier half": lambda one: (one.position - 0.5) / one.messages < 0.5,
        "later half": lambda one: (one.position - 0.5) / one.messages >= 0.5,
    }
    means = [_mean(kind, [one for one in found if is_of(one)]) for kind, is_of in kinds.items()]
    difference = _difference(found)
    return [one for one in (*means[:3], difference, *means[3:]) if one is not None]


def _key(one: MessageValue) -> tuple[str, int, int]:
    return (*one.set_name, one.position)


def _ranks(found: Sequence[MessageValue]) -> Iterator[tuple[tuple[str, int, int], float]]:
    """Of each message whose length is known, where it stands by length in its set, in [0, 1)."""
    for _, group in groupby(found, key=lambda one: one.set_name):
        known = [one for one in group if one.characters is not None]
        known.sort(key=lambda one: (one.characters, one.position))
        yield from ((_key(one), (rank + 0.5) / len(known)) for rank, one in enumerate(known))


def _mean(kind: str, chosen: Sequence[MessageValue]) -> MeanValue | None:
    if not chosen:
        return None
    by_problem = _by_problem(chosen)
    costs = [one.cost_tokens for one in chosen if one.cost_tokens is not None]
    means = [fmean(values) for values in by_problem.values()]
    return MeanValue(
        kind,
        fmean(means),
        *mean_interval(means),
        fmean(costs) if costs else None,
        len(chosen),
        len(means),
    )


def _difference(found: Sequence[MessageValue]) -> MeanValue | None:
    """Right less wrong messages, of the problems that have both."""
    right = _by_problem([one for one in found if one.is_right is True])
    wrong = _by_problem([one for one in found if one.is_right is False])
    both = [name for name in right if name in wrong]
    if not both:
        return None
    differences = [fmean(right[name]) - fmean(wrong[name]) for name in both]
    count = sum(len(right[name]) + len(wrong[name]) for name in both)
    return MeanValue(
        "right less wrong", fmean(differences), *mean_interval(differences), None, count, len(both)
    )


def _by_problem(found: Sequence[MessageValue]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for one in found:
        values.setdefault(one.problem_id, []).append(one.value)
    return values
