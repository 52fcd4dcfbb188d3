"""A scorer for the policy ``select``, from the values of messages: which features go along with value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pacore.core.policies.select import FEATURES, features, message_keys, scorer_text
from pacore.errors import Refused
from pacore.evaluation.interventions import judged_message_sets
from pacore.evaluation.statistics.intervals import Coefficient, line_in_groups
from pacore.evaluation.values.results import MessageValue
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run
from pacore.warehouse.views import Warehouse

DIGITS = 4
"""Decimals of a weight: more would be of chance."""


@dataclass(frozen=True, slots=True)
class FittedScorer:
    """The ``scorer`` as a run takes it, the ``weights`` it was rounded from with intervals over problems,
    and what it was fitted to.
    """

    scorer: str
    weights: Mapping[str, Coefficient]
    source_run_id: str
    round: int
    run_id: str
    messages: int
    problems: int


def fitted_scorer(
    store: Backend,
    warehouse: Warehouse,
    run: Run,
    round_: int,
    value_run_id: str,
    values: Sequence[MessageValue],
) -> FittedScorer:
    """Fit a scorer to the values of the messages that a round of a run saw, within each message set.

    Raises Refused where there is no value.
    """
    known = {(one.problem_id, one.replicate, one.position): one.value for one in values}
    rows: list[tuple[float, ...]] = []
    worth: list[float] = []
    groups: list[tuple[str, int]] = []
    for problem, sets in judged_message_sets(store, warehouse, run, round_):
        for replicate, messages in sets.items():
            texts = [message.text for message in messages]
            found = features(texts, message_keys(problem, texts))
            for position, row in enumerate(found, 1):
                value = known.get((problem.problem_id, replicate, position))
                if value is not None:
                    rows.append(row)
                    worth.append(value)
                    groups.append((problem.problem_id, replicate))
    if not rows:
        raise Refused(f"run {value_run_id}: has no value of a message, so no scorer can be fitted")
    problems = [problem_id for problem_id, _ in groups]
    weights = dict(zip(FEATURES, line_in_groups(rows, worth, groups, problems), strict=True))
    rounded = {name: round(one.weight, DIGITS) + 0.0 for name, one in weights.items()}
    return FittedScorer(
        scorer_text(rounded),
        weights,
        run.run_id,
        round_,
        value_run_id,
        len(rows),
        len(set(problems)),
    )
