"""What the rounds of runs do to the messages they see, for a person and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pacore.evaluation.interventions import (
    Found,
)
from pacore.evaluation.mechanism import (
    FEWEST_EPISODES,
    FEWEST_PROBLEMS,
    Figure,
    Mechanism,
    mechanism,
)
from pacore.report.terminal import (
    ABSENT,
    Column,
    Content,
    Grid,
    line,
    number,
    points,
    settled,
    share,
    stacked,
    to_text,
)
from pacore.store.run import headline
from pacore.warehouse.views import Warehouse

NOT_ENOUGH = "not enough"

STEPS = {
    "sample": "attempts the problem",
    "condense": "condenses each message",
    "distill": "distils all messages",
}

OUTCOMES = {
    "emergent_rate": "right, no message right",
    "base_rate": "right, some message right",
    "rescued": "right, only a minority right",
    "tied_correct": "right, a tie of right and wrong",
    "lost": "wrong, the majority right",
    "lost_unanswered": "  no answer, the majority right",
}


ORIGINS = {
    "copied": "answer is a message's",
    "copied_majority": "answer is the majority's",
    "copied_first": "answer is the first message's",
    "novel": "answer is new",
    "copied_accuracy": "right, answer is a message's",
    "novel_accuracy": "right, answer is new",
}


OVERLAPS = {
    "seen": "five-word runs in messages seen",
    "compared_seen": "  where it has others unseen",
    "unseen": "  in the others unseen",
    "among": "  of messages, in each other",
}


QUARTERS = {
    0: "none",
    1: "to 25 %",
    2: "to 50 %",
    3: "to 75 %",
    4: "below all",
    5: "all",
}
"""Shares of right messages an episode saw, by the part of the measure `correct`."""


def mechanism_text(warehouse: Warehouse, run_ids: Sequence[str], width: int | None = None) -> str:
    """The mechanism measures of runs, one after the other. ``width`` is in columns."""
    found = [mechanism(warehouse, run_id) for run_id in run_ids]
    return "\n\n".join(to_text(stacked(*_parts(one)), width) for one in found)


def mechanism_json(warehouse: Warehouse, run_ids: Sequence[str]) -> str:
    """The same as JSON, numbers as `settled` gives them: a list with an object for each run."""
    found = [mechanism(warehouse, run_id) for run_id in run_ids]
    return json.dumps(settled([_told(one) for one in found]), indent=2)


def _told(one: Mechanism) -> dict[str, Any]:
    shares = [
        {"round": round_, "measure": measure, "part": part, **_figure(figure)}
        for round_, figures in one.shares.items()
        for (measure, part), figure in figures.items()
    ]
    overlaps = [
        {"round": round_, "measure": measure, **_figure(figure)}
        for round_, figures in one.overlaps.items()
        for measure, figure in figures.items()
    ]
    return {
        "run_id": one.run.run_id,
        "messages": one.messages,
        "shares": shares,
        "overlaps": overlaps,
        "words": one.words,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {**asdict(figure), "is_enough": figure.is_enough}


def _parts(one: Mechanism) -> Iterator[Content]:
    yield line(headline(one.run), "bold")
    if one.messages:
        yield line("")
        yield line("messages handed on", "bold")
        yield _messages(one)
    for round_ in sorted(one.shares.keys() | one.overlaps.keys()):
        kind = STEPS[one.run.plan.step(round_).kind]
        yield line("")
        yield line(f"round {round_} {kind}, seeing messages of round {round_ - 1}", "bold")
        yield from _round(one.shares.get(round_, {}), one.overlaps.get(round_, {}))
    if one.words:
        yield line("")
        yield line("words that speak of references; round 1 saw none", "bold")
        yield _words(one)
    yield line("")
    yield line(
        f"Intervals are 95 %, were other problems drawn. {NOT_ENOUGH.capitalize()}: fewer than "
        f"{FEWEST_EPISODES} cases, or than {FEWEST_PROBLEMS} problems."
    )
    if not one.is_graded:
        yield line(f"Only answers are graded; pacore grade {one.run.run_id} grades every round.")


def _cells(figure: Figure | None) -> list[str]:
    """Share, interval, cases and problems."""
    if figure is None:
        return [ABSENT, "", "0", "0"]
    counts = [f"{figure.cases:,}", f"{figure.problems:,}"]
    if not figure.is_enough:
        return [NOT_ENOUGH, "", *counts]
    return [share(figure.value), _between(figure), *counts]


def _between(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return ABSENT
    return f"{share(figure.low)} to {share(figure.high)}"


def _titled(first: str, *titles: str) -> list[Column]:
    return [Column(first), *(Column(title, is_number=True) for title in titles)]


COUNTED = ("share", "share, 95 %", "episodes", "problems")


def _messages(one: Mechanism) -> Grid:
    columns = _titled(
        "round", "messages", "accuracy", "accuracy, 95 %", "judged", "problems", "no answer", "timeout",
        "crash",
    )  # fmt: skip
    cells = [
        [
            f"{row.round}",
            f"{row.messages:,}",
            *_cells(row.accuracy),
            share(row.no_answer_rate),
            share(row.timeout_rate),
            share(row.crash_rate),
        ]
        for row in one.messages
    ]
    return Grid(columns, cells)


def _round(
    shares: Mapping[tuple[str, int], Figure], overlaps: Mapping[str, Figure]
) -> Iterator[Content]:
    rows: list[list[str]] = []
    if shares:
        named = {**OUTCOMES, **ORIGINS}
        rows += [[title, *_cells(shares.get((name, 0)))] for name, title in named.items()]
    rows += [[title, *_cells(overlaps.get(name))] for name, title in OVERLAPS.items()]
    yield Grid(_titled("", *COUNTED), rows)
    outcomes = [
        [title, *_cells(shares["correct", part])]
        for part, title in QUARTERS.items()
        if ("correct", part) in shares
    ]
    if outcomes:
        yield line("")
        yield Grid(
            _titled("messages right", "outcome right", "outcome, 95 %", *COUNTED[2:]), outcomes
        )
    if references := sorted(part for name, part in shares if name == "position_copied"):
        yield line("")
        yield _positions(shares, references)


def _positions(shares: Mapping[tuple[str, int], Figure], references: Sequence[int]) -> Grid:
    columns = _titled(
        "reference", "copied", "copied, 95 %", "episodes", "problems", "right", "right if outcome is",
    )  # fmt: skip
    cells = [
        [
            f"{reference}",
            *_cells(shares["position_copied", reference]),
            _cells(shares["position_accuracy", reference])[0],
            _cells(shares.get(("position_right_when_correct", reference)))[0],
        ]
        for reference in references
    ]
    return Grid(columns, cells)


def _words(one: Mechanism) -> Grid:
    columns = _titled(
        "round", "trajectories", "words each", "with any", "with any, 95 %",
        "a thousand characters",
        "Reference",
    )  # fmt: skip
    cells = [
        [
            f"{row.round}",
            f"{row.trajectories:,}",
            number(row.words_mean, 2),
            *_cells(row.any_rate)[:2],
            number(row.per_thousand_characters, 3),
            number(row.capitalised, 2),
        ]
        for row in one.words
    ]
    return Grid(columns, cells)


def interventions_text(run_id: str, round_: int, found: Sequence[Found]) -> str:
    columns = [
        Column("edit"),
        Column("episodes", is_number=True),
        Column("skipped", is_number=True),
        Column("accuracy", is_number=True),
        Column("control", is_number=True),
        Column("edited", is_number=True),
        Column("difference", is_number=True),
        Column("difference, 95 %", is_number=True),
        Column("problems", is_number=True),
    ]
    parts: list[Content] = [
        line(f"run {run_id} · round {round_} again, on edited message sets", "bold"),
        line(""),
        Grid(columns, [_intervention_cells(one) for one in found]),
        line(""),
        line(
            "Accuracy is of all episodes. Control (same, the sets as they were), edited and their "
            "difference are of the sets that both have, as means over problems."
        ),
    ]
    return to_text(stacked(*parts))


def _intervention_cells(one: Found) -> Sequence[str]:
    against = one.against
    interval = ABSENT
    if against is not None and against.low is not None and against.high is not None:
        interval = f"{100 * against.low:+.1f} to {100 * against.high:+.1f}"
    return [
        one.edit,
        number(one.episodes),
        number(one.skipped),
        share(one.accuracy),
        share(None if against is None else against.first),
        share(None if against is None else against.second),
        points(None if against is None else against.difference),
        interval,
        ABSENT if against is None else number(against.problems),
    ]


def interventions_json(found: Sequence[Found]) -> str:
    return json.dumps(settled([one._asdict() for one in found]), indent=2)
