"""Crossing two checkpoints between rounds: messages by each of them, synthesised by each of them.

A checkpoint's own run has messages and synthesis by itself; a derived run has a round of it again, by the
other one on the same message sets. So the two by two table tells a better round 1 from a better synthesis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from pacore.core.grading.choose import judged_by
from pacore.core.problem import Problem
from pacore.errors import Refused
from pacore.evaluation.checkpoints.dynamics import SynthesisCounts
from pacore.evaluation.interventions import (
    CONTROL,
    EditedRound,
    edited_problem,
    judged_message_sets,
)
from pacore.evaluation.mechanism import Figure, figure_of
from pacore.evaluation.statistics.paired import Paired, paired
from pacore.store.backends.protocol import Backend
from pacore.warehouse.views import Warehouse


def crossed_problems(store: Backend, warehouse: Warehouse, place: EditedRound) -> Iterator[Problem]:
    """A problem for each message set of a round as it was, for another model; those that no rule grades
    are left out.
    """
    run = place.run
    for problem, sets in judged_message_sets(store, warehouse, run, place.round):
        for replicate, messages in sets.items():
            by = judged_by(place.grader, "gold", problem)
            if by is None:
                continue
            intervention: dict[str, JsonValue] = {
                "run_id": run.run_id,
                "round": place.round,
                "edit": CONTROL,
                "batch": place.batch,
                "problem_id": problem.problem_id,
                "replicate": replicate,
                "messages": len(messages),
                "right": sum(message.is_right is True for message in messages),
            }
            made = {"intervention": intervention}
            yield edited_problem(place, problem, by, str(replicate), messages, made)


@dataclass(frozen=True, slots=True)
class CrossedCell:
    """One cell of the table: messages by one checkpoint, synthesis by another, in run ``run_id``."""

    messages: str
    synthesis: str
    run_id: str
    accuracy: Figure


@dataclass(frozen=True, slots=True)
class CrossedEffect:
    """What changing one of the two models does, problem by problem; ``what`` names it."""

    what: str
    difference: Paired


@dataclass(frozen=True, slots=True)
class Crossing:
    """The table of two checkpoints, and the effects in it, over the problems of all four cells.

    ``message_accuracy`` is the mean accuracy of a message by checkpoint: that of round 1 alone.
    """

    round: int
    checkpoints: tuple[str, str]
    message_accuracy: Mapping[str, Figure]
    cells: Sequence[CrossedCell]
    effects: Sequence[CrossedEffect]


Place = tuple[str, str]
"""A cell by the checkpoints of its messages and of its synthesis."""


def measure_crossing(
    warehouse: Warehouse, round_: int, checkpoints: tuple[str, str], run_of: Mapping[Place, str]
) -> Crossing:
    """The table of two checkpoints from the runs of its four cells.

    In a run that is a checkpoint's own, round ``round_`` counts; a derived run has one round. Raises
    Refused where no problem has verdicts in all of them.
    """
    rows = warehouse.read(SynthesisCounts, run_ids=sorted(set(run_of.values())))
    of_run: defaultdict[str, dict[str, SynthesisCounts]] = defaultdict(dict)
    for row in rows:
        if row.round == (round_ if row.message_run_id == row.run_id else 1):
            of_run[row.run_id][row.problem_id] = row
    found = {place: of_run[run_id] for place, run_id in run_of.items()}
    before, after = checkpoints
    common = sorted(set.intersection(*(set(rows) for rows in found.values())))
    if not common:
        lacking = next(
            (run_of[place] for place, rows in found.items() if not rows), run_of[before, after]
        )
        raise Refused(f"run {lacking}: no problem has verdicts in all four cells")
    means = {place: [rows[name].accuracy for name in common] for place, rows in found.items()}
    own = {name: found[name, name] for name in checkpoints}
    return Crossing(
        round_,
        checkpoints,
        {
            name: _figure([own[name][one].message_accuracy or 0.0 for one in common])
            for name in checkpoints
        },
        [CrossedCell(*place, run_of[place], _figure(means[place])) for place in run_of],
        [
            CrossedEffect(
                "synthesis, messages before", _of(means, (before, before), (before, after))
            ),
            CrossedEffect("synthesis, messages after", _of(means, (after, before), (after, after))),
            CrossedEffect(
                "messages, synthesis before", _of(means, (before, before), (after, before))
            ),
            CrossedEffect("messages, synthesis after", _of(means, (before, after), (after, after))),
            CrossedEffect("both", _of(means, (before, before), (after, after))),
        ],
    )


def _of(means: Mapping[Place, Sequence[float]], first: Place, second: Place) -> Paired:
    return paired(means[first], means[second])


def _figure(values: Sequence[float]) -> Figure:
    return figure_of(values, [1.0] * len(values), len(values))
