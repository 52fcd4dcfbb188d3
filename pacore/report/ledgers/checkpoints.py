"""Checkpoints of a model as a page and as a figure, and the table of two of them that are crossed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pacore.evaluation.checkpoints.crossing import CrossedCell, Crossing
from pacore.evaluation.checkpoints.dynamics import CheckpointRound
from pacore.evaluation.mechanism import Figure
from pacore.report.rendering.plots import Dots, Interval, rounds_figure
from pacore.report.rendering.sheet import (
    ABSENT,
    COUNT,
    FIGURE,
    POINTS,
    TEXT,
    Note,
    Sheet,
    between,
    decimals,
    number,
    share,
    table,
)

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure as PlottedFigure


def checkpoints_sheet(found: Sequence[CheckpointRound]) -> Sheet:
    """What each checkpoint makes of messages, a row for each round that has them."""
    rows = table(
        found,
        ("checkpoint", TEXT, lambda one: one.checkpoint),
        ("round", FIGURE, lambda one: one.round),
        ("accuracy", FIGURE, lambda one: _with_interval(one.accuracy)),
        ("message", FIGURE, lambda one: _value(one.message_accuracy)),
        ("no message right", FIGURE, lambda one: _with_interval(one.emergent)),
        ("of", COUNT, lambda one: 0 if one.emergent is None else one.emergent.cases),
        ("speak", FIGURE, lambda one: _value(one.any_rate)),
        ("words", decimals(2), lambda one: one.words_mean),
        caption="checkpoints",
    )
    runs = ", ".join(dict.fromkeys(one.run_id for one in found))
    note = Note(
        "Message: mean accuracy of the messages seen. No message right: the answer right where none of "
        "them was, of so many trajectories. Speak: trajectories that mention references, and how often "
        f"each does. In brackets 95 % ranges for new problems of this kind. Runs: {runs}."
    )
    return Sheet("checkpoints", [[rows], [note]])


def checkpoints_figure(found: Sequence[CheckpointRound]) -> PlottedFigure:
    """Accuracy, emergent correctness and words of references by checkpoint, of each run's last round."""
    last = list({one.run_id: one for one in found}.values())
    panels = [
        Dots("accuracy, %", [_dot(one.checkpoint, one.accuracy) for one in last]),
        Dots("right, no message right, %", [_dot(one.checkpoint, one.emergent) for one in last]),
        Dots("mention references, %", [_dot(one.checkpoint, one.any_rate) for one in last]),
    ]
    title = "What checkpoints make of messages (bars: 95 %, new problems)"
    return rounds_figure([one.checkpoint for one in last], panels, title)


def crossing_sheet(found: Crossing) -> Sheet:
    """The two by two table, and what changing one of the models does."""
    before, after = found.checkpoints
    cell = {(one.messages, one.synthesis): one for one in found.cells}
    cells = table(
        found.checkpoints,
        ("messages by", TEXT, lambda name: name),
        ("message", FIGURE, lambda name: _value(found.message_accuracy[name])),
        *(
            (f"synthesis by {by}", FIGURE, lambda name, by=by: _cell(cell[name, by]))
            for by in (before, after)
        ),
        caption="accuracy by who made the messages and who saw them",
    )
    effects = table(
        found.effects,
        ("changed", TEXT, lambda one: one.what),
        ("difference", POINTS, lambda one: one.difference.difference),
        ("difference, 95 %", FIGURE, lambda one: _signed(one.difference.low, one.difference.high)),
        ("problems", COUNT, lambda one: one.difference.problems),
        caption=f"from {before} to {after}",
    )
    runs = ", ".join(one.run_id for one in found.cells)
    note = Note(f"Message: mean accuracy of a message, that of round 1 alone. Runs: {runs}.")
    title = f"round {found.round} of {before} and {after}, crossed"
    return Sheet(title, [[cells], [effects], [note]])


def _cell(cell: CrossedCell) -> str:
    return _with_interval(cell.accuracy)


def _value(figure: Figure | None) -> str:
    return ABSENT if figure is None else share(figure.value)


def _with_interval(figure: Figure | None) -> str:
    """``29.2 % (21.9 to 37.7)``."""
    if figure is None:
        return ABSENT
    low, high = (None if one is None else 100 * one for one in (figure.low, figure.high))
    known = between(low, high, lambda one: number(one, 1))
    return share(figure.value) + ("" if known == ABSENT else f" ({known})")


def _signed(low: float | None, high: float | None) -> str:
    return between(low, high, lambda bound: f"{100 * (bound or 0.0):+.1f}")


def _dot(name: str, figure: Figure | None) -> Interval | None:
    return None if figure is None else Interval(name, figure.value, figure.low, figure.high)
