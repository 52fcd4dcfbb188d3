"""What the rounds of a run do to the messages they see: the mechanism measures, with their intervals.

The numbers are those of the marts `message_accuracy`, `emergence`, `rescues`, `copying`, `positions`,
`overlap` and `words`, read problem by problem, because an interval resamples problems (section 4,
Figure 5): episodes of one problem are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pacore.evaluation.statistics.bootstrap import ratio
from pacore.store.run import Run, open_run
from pacore.warehouse.views import Warehouse

Row = dict[str, Any]

FEWEST_EPISODES, FEWEST_PROBLEMS = 10, 3
"""Of fewer a share says nothing, and its interval is most of [0, 1]."""

OVERLAPS = ("seen", "compared_seen", "unseen", "among")


CASES = {"seen": "episodes", "compared_seen": "compared", "unseen": "compared", "among": "several"}
"""Which count says how many episodes an overlap is a mean of."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A share in [0, 1], its 95 % interval, and how many cases of how many problems it rests on.

    ``low`` and ``high``: were other problems drawn; None below two.
    """

    value: float
    low: float | None
    high: float | None
    cases: int
    problems: int

    @property
    def is_enough(self) -> bool:
        """Whether it rests on enough to be read."""
        return self.cases >= FEWEST_EPISODES and self.problems >= FEWEST_PROBLEMS


@dataclass(frozen=True)
class RoundMessages:
    """The messages a round hands on. Rates are shares of them; see `mart_message_accuracy`."""

    round: int
    step: str
    messages: int
    accuracy: Figure | None
    no_answer_rate: float
    timeout_rate: float
    crash_rate: float
    unjudged_rate: float


@dataclass(frozen=True)
class RoundWords:
    """How often trajectories of a round speak of references; see `mart_words`."""

    round: int
    trajectories: int
    words_mean: float
    any_rate: Figure
    per_thousand_characters: float | None
    capitalised: float


@dataclass(frozen=True)
class Mechanism:
    """The mechanism measures of one run.

    ``shares`` has for each round from 2 on its figures by (measure, part), named as in
    `sql/reports/mechanism_episodes.sql`; ``overlaps`` by the columns of `mart_overlap`. A figure
    nothing is known of is missing.
    """

    run: Run
    messages: list[RoundMessages]
    shares: dict[int, dict[tuple[str, int], Figure]]
    overlaps: dict[int, dict[str, Figure]]
    words: list[RoundWords]

    @property
    def is_graded(self) -> bool:
        """Whether every trajectory has a verdict, and not only the answers."""
        return bool(self.messages)


def mechanism(warehouse: Warehouse, run_id: str) -> Mechanism:
    """Read the mechanism measures of a run. Raises Refused for an unknown one."""
    run = open_run(warehouse.store, run_id)

    def by_round(name: str) -> list[list[Row]]:
        rows = warehouse.rows(f"reports/mechanism_{name}", run_id=run_id)
        return [list(group) for _, group in groupby(rows, key=lambda row: row["round"])]

    return Mechanism(
        run=run,
        messages=[_messages(rows) for rows in by_round("messages")],
        shares={rows[0]["round"]: dict(_shares(rows)) for rows in by_round("episodes")},
        overlaps={rows[0]["round"]: dict(_overlaps(rows)) for rows in by_round("overlaps")},
        words=[_words(rows) for rows in by_round("words")],
    )


def _figure(parts: Sequence[float], wholes: Sequence[float], cases: int) -> Figure:
    found = ratio(parts, wholes)
    return Figure(found.value, found.low, found.high, cases, len(wholes))


def _messages(rows: Sequence[Row]) -> RoundMessages:
    first, total = rows[0], sum(row["messages"] for row in rows)
    scores = [row["score"] for row in rows if row["score"] is not None]
    judged = sum(row["judged"] for row in rows)

    def rate(verdict: str) -> float:
        return float(sum(row[verdict] for row in rows) / total)

    return RoundMessages(
        round=first["round"],
        step=first["step"],
        messages=total,
        accuracy=_figure(scores, [1.0] * len(scores), judged) if scores else None,
        no_answer_rate=rate("no_answer"),
        timeout_rate=rate("timeout"),
        crash_rate=rate("crash"),
        unjudged_rate=rate("unjudged"),
    )


def _shares(rows: Sequence[Row]) -> Iterator[tuple[tuple[str, int], Figure]]:
    for (measure, part), group in groupby(rows, key=lambda row: (row["measure"], row["part"])):
        found = list(group)
        wholes = [row["episodes"] for row in found]
        parts = [row["such"] for row in found]
        yield (measure, part), _figure(parts, wholes, sum(wholes))


def _overlaps(rows: Sequence[Row]) -> Iterator[tuple[str, Figure]]:
    for measure in OVERLAPS:
        found = [row for row in rows if row[measure] is not None]
        if found:
            means = [row[measure] for row in found]
            cases = sum(row[CASES[measure]] for row in found)
            yield measure, _figure(means, [1.0] * len(means), cases)


def _words(rows: Sequence[Row]) -> RoundWords:
    def total(name: str) -> int:
        return int(sum(row[name] for row in rows))

    trajectories, characters = total("trajectories"), total("characters")
    speaking, wholes = ([row[name] for row in rows] for name in ("speaking", "trajectories"))
    return RoundWords(
        round=rows[0]["round"],
        trajectories=trajectories,
        words_mean=total("words") / trajectories,
        any_rate=_figure(speaking, wholes, trajectories),
        per_thousand_characters=1000 * total("words") / characters if characters else None,
        capitalised=total("capitalised") / trajectories,
    )
