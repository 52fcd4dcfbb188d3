"""The tried sets of a round's messages as problems of a derived run, and the values that come of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import JsonValue

from pacore.core.config.values import Treatment
from pacore.core.grading.choose import judged_by
from pacore.core.problem import Problem
from pacore.evaluation.interventions import (
    EditedRound,
    JudgedMessage,
    edited_problem,
    judged_message_sets,
)
from pacore.evaluation.values.design import (
    TriedSets,
    stand_ins,
    treated,
    tried_sets,
)
from pacore.store.backends.protocol import Backend
from pacore.warehouse.views import Warehouse


@dataclass(slots=True)
class TriedCounts:
    """What is tried: ``messages`` of ``message_sets``, in ``sets``. ``skipped`` message sets are not: they
    have one message, no gold answer, or too few messages beside them to swap in.
    """

    message_sets: int = 0
    messages: int = 0
    sets: int = 0
    skipped: int = 0


class _Own(NamedTuple):
    """A message set, and what stands in for each of its messages."""

    replicate: int
    messages: list[JudgedMessage]
    others: list[JudgedMessage]
    tried: TriedSets


def tried_problems(
    store: Backend,
    warehouse: Warehouse,
    place: EditedRound,
    treatment: Treatment,
    counts: TriedCounts,
) -> Iterator[Problem]:
    """A problem for each tried set, P(x, M) of the round over it. What is tried is counted. By shard."""
    for problem, sets in judged_message_sets(store, warehouse, place.run, place.round):
        by = judged_by(place.grader, "gold", problem)
        every = [message for some in sets.values() for message in some]
        for replicate, messages in sets.items():
            tried = tried_sets(treatment, [message.trajectory_id for message in messages])
            others = stand_ins(messages, every) if treatment == "swap" else []
            if by is None or tried is None or others is None:
                counts.skipped += 1
                continue
            counts.message_sets += 1
            counts.messages += len(messages)
            counts.sets += len(tried.levels)
            yield from _problems(
                problem, by, place, treatment, _Own(replicate, messages, others, tried)
            )


def _problems(
    problem: Problem,
    by: tuple[str, str | None],
    place: EditedRound,
    treatment: Treatment,
    own: _Own,
) -> Iterator[Problem]:
    for number, levels in enumerate(own.tried.levels):
        shown = treated(treatment, levels, own.messages, own.others)
        of_set: dict[str, JsonValue] = {
            "run_id": place.run.run_id,
            "round": place.round,
            "treatment": treatment,
            "batch": place.batch,
            "problem_id": problem.problem_id,
            "replicate": own.replicate,
            "number": number,
            "order": own.tried.order,
            "sets": len(own.tried.levels),
            "messages": [message.trajectory_id for message in own.messages],
            "upper": [position for position, is_upper in enumerate(levels, 1) if is_upper],
        }
        if own.others:
            of_set["stand_ins"] = [message.trajectory_id for message in own.others]
        name = f"{own.replicate}~{number}"
        yield edited_problem(place, problem, by, name, shown, {"message_value": of_set})
