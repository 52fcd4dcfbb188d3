"""What the rounds of a run do to the messages they see: the mechanism measures, with their intervals.

The numbers are those of the marts `message_accuracy`, `emergence`, `rescues`, `copying`, `positions`,
`overlap` and `words`, read problem by problem, because an interval resamples problems (section 4,
Figure 5): episodes of one problem are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import ClassVar

from pacore.evaluation.statistics.bootstrap import ratio
from pacore.store.run import open_run
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

FEWEST_EPISODES, FEWEST_PROBLEMS = 10, 3
"""With fewer, a share means little, and its interval is most of [0, 1]."""


@dataclass(frozen=True, slots=True)
class MessageCounts(ReportRow):
    """The verdicts on the messages of one problem that a round makes."""

    QUERY: ClassVar[str] = "mechanism/messages"

    round: int
    step: str
    problem_id: str
    messages: int
    judged: int
    accuracy: float | None
    no_answer: int
    timeout: int
    crash: int
    unjudged: int


@dataclass(frozen=True, slots=True)
class EpisodeCounts(ReportRow):
    """Of the episodes of one problem that a measure is about, how many are ``such`` as it counts."""

    QUERY: ClassVar[str] = "mechanism/episodes"

    round: int
    measure: str
    part: int
    problem_id: str
    episodes: int
    such: int


@dataclass(frozen=True, slots=True)
class OverlapMeans(ReportRow):
    """Overlaps of the answers of one problem with messages, means over its episodes."""

    QUERY: ClassVar[str] = "mechanism/overlaps"

    run_id: str
    round: int
    problem_id: str
    episodes: int
    seen: float | None
    compared: int
    compared_seen: float | None
    unseen: float | None
    several: int
    among: float | None


@dataclass(frozen=True, slots=True)
class WordCounts(ReportRow):
    """How often the trajectories of one problem mention references."""

    QUERY: ClassVar[str] = "mechanism/words"

    round: int
    problem_id: str
    trajectories: int
    speaking: int
    words: int
    characters: int
    capitalised: int


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


@dataclass(frozen=True, slots=True)
class Share:
    """The figure of one measure of a round, and of one ``part`` of it; as `Figure`.

    Measures and parts are named as in `sql/reports/mechanism/episodes.sql`.
    """

    round: int
    measure: str
    part: int
    value: float
    low: float | None
    high: float | None
    cases: int
    problems: int
    is_enough: bool


@dataclass(frozen=True, slots=True)
class Overlap:
    """The figure of one overlap of a round, named as the columns of `mart_overlap`; as `Figure`."""

    round: int
    measure: str
    value: float
    low: float | None
    high: float | None
    cases: int
    problems: int
    is_enough: bool


@dataclass(frozen=True, slots=True)
class RoundMessages:
    """The messages a round makes. Rates are shares of them; see `mart_message_accuracy`."""

    round: int
    step: str
    messages: int
    accuracy: Figure | None
    no_answer_rate: float
    timeout_rate: float
    crash_rate: float
    unjudged_rate: float


@dataclass(frozen=True, slots=True)
class RoundWords:
    """How often trajectories of a round mention references; see `mart_words`."""

    round: int
    trajectories: int
    words_mean: float
    any_rate: Figure
    per_thousand_characters: float | None
    capitalised: float


@dataclass(frozen=True, slots=True)
class Mechanism:
    """The mechanism measures of one run.

    ``shares`` and ``overlaps`` are of the rounds from 2 on; there is none for a measure without a case.
    """

    run_id: str
    messages: Sequence[RoundMessages]
    shares: Sequence[Share]
    overlaps: Sequence[Overlap]
    words: Sequence[RoundWords]

    @property
    def is_graded(self) -> bool:
        """Whether every trajectory has a verdict, and not only the answers."""
        return bool(self.messages)

    def shares_of(self, round_: int) -> dict[tuple[str, int], Share]:
        """The shares of a round by (measure, part)."""
        return {(one.measure, one.part): one for one in self.shares if one.round == round_}

    def overlaps_of(self, round_: int) -> dict[str, Overlap]:
        """The overlaps of a round by measure."""
        return {one.measure: one for one in self.overlaps if one.round == round_}


def measure_mechanism(warehouse: Warehouse, run_id: str) -> Mechanism:
    """Read the mechanism measures of a run. Raises Refused for an unknown one."""
    open_run(warehouse.store, run_id)
    messages = warehouse.read(MessageCounts, run_id=run_id)
    words = warehouse.read(WordCounts, run_id=run_id)
    return Mechanism(
        run_id=run_id,
        messages=[_messages(list(rows)) for _, rows in groupby(messages, lambda row: row.round)],
        shares=list(_shares(warehouse.read(EpisodeCounts, run_id=run_id))),
        overlaps=list(_overlaps(warehouse.read(OverlapMeans, run_id=run_id))),
        words=[_words(list(rows)) for _, rows in groupby(words, lambda row: row.round)],
    )


def figure_of(parts: Sequence[float], wholes: Sequence[float], cases: int) -> Figure:
    """A ratio of sums over problems with its interval (`ratio`), of so many cases."""
    found = ratio(parts, wholes)
    return Figure(found.value, found.low, found.high, cases, len(wholes))


def _messages(rows: Sequence[MessageCounts]) -> RoundMessages:
    total = sum(row.messages for row in rows)
    scores = [row.accuracy for row in rows if row.accuracy is not None]
    judged = sum(row.judged for row in rows)
    return RoundMessages(
        round=rows[0].round,
        step=rows[0].step,
        messages=total,
        accuracy=figure_of(scores, [1.0] * len(scores), judged) if scores else None,
        no_answer_rate=sum(row.no_answer for row in rows) / total,
        timeout_rate=sum(row.timeout for row in rows) / total,
        crash_rate=sum(row.crash for row in rows) / total,
        unjudged_rate=sum(row.unjudged for row in rows) / total,
    )


def _shares(rows: Sequence[EpisodeCounts]) -> Iterator[Share]:
    for place, group in groupby(rows, key=lambda row: (row.round, row.measure, row.part)):
        found = list(group)
        wholes = [row.episodes for row in found]
        figure = figure_of([row.such for row in found], wholes, sum(wholes))
        yield Share(*place, **asdict(figure), is_enough=figure.is_enough)


def _overlaps(rows: Sequence[OverlapMeans]) -> Iterator[Overlap]:
    for round_, group in groupby(rows, key=lambda row: row.round):
        of_round = list(group)
        for measure, mean_and_cases in OVERLAPS.items():
            known = [
                (mean, cases) for mean, cases in map(mean_and_cases, of_round) if mean is not None
            ]
            if known:
                means = [mean for mean, _ in known]
                figure = figure_of(means, [1.0] * len(means), sum(cases for _, cases in known))
                yield Overlap(round_, measure, **asdict(figure), is_enough=figure.is_enough)


def _words(rows: Sequence[WordCounts]) -> RoundWords:
    trajectories = [row.trajectories for row in rows]
    total, characters = sum(trajectories), sum(row.characters for row in rows)
    words = sum(row.words for row in rows)
    return RoundWords(
        round=rows[0].round,
        trajectories=total,
        words_mean=words / total,
        any_rate=figure_of([row.speaking for row in rows], trajectories, total),
        per_thousand_characters=1000 * words / characters if characters else None,
        capitalised=sum(row.capitalised for row in rows) / total,
    )


OVERLAPS: Mapping[str, Callable[[OverlapMeans], tuple[float | None, int]]] = {
    "seen": lambda row: (row.seen, row.episodes),
    "compared_seen": lambda row: (row.compared_seen, row.compared),
    "unseen": lambda row: (row.unseen, row.compared),
    "among": lambda row: (row.among, row.several),
}
"""Each overlap by its name: its mean over the episodes of a problem, and how many these are."""
