"""The work of values: the derived run in which messages are tried, and what it came to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pacore.core.config.run import RunConfig
from pacore.core.config.values import ValuesConfig
from pacore.core.problem import Problem
from pacore.engine.opening import resolve_recipe
from pacore.errors import Refused
from pacore.evaluation.interventions import EditedRound, edited_round, refuse_no_synthesis
from pacore.evaluation.values.problems import TriedCounts, tried_problems
from pacore.evaluation.values.results import (
    MessageValue,
    MessageValues,
    TriedTokens,
    mean_values,
)
from pacore.runs.derived import derived_config, put_problems
from pacore.store.backends.protocol import Backend
from pacore.store.run import open_run
from pacore.warehouse.views import ReportWarehouse, Warehouse


class TriedRun(NamedTuple):
    """The run in which messages are tried, and how many it tries."""

    config: RunConfig
    counts: TriedCounts


def put_tried(store: Backend, wanted: ValuesConfig) -> TriedRun:
    """Store the sets in which messages are tried as the problems of a run, which is still to be made.

    Raises Refused for a run that is not graded, a round that is no synthesis, and where nothing can be
    tried; BadInput for a field that is wrong.
    """
    counts = TriedCounts()
    with tried_of(store, wanted, counts) as (place, problems):
        name = f"{wanted.run_id}.{place.batch}-value-{wanted.treatment}"
        if put_problems(store, problems, lambda _: name) is None:
            raise nothing_tried(wanted, counts)
    run = open_run(store, wanted.run_id)
    return TriedRun(derived_config(store, run, name, wanted.samples, wanted.changes), counts)


def values_of(store: Backend, wanted: ValuesConfig, tried: TriedRun) -> MessageValues:
    """What each message is worth, by the run in which they were tried."""
    name = str(tried.config.run_id)
    with ReportWarehouse(store, [name, wanted.run_id]) as warehouse:
        found = warehouse.read(MessageValue, run_id=name)
        (tokens,) = warehouse.read(TriedTokens, run_id=name)
    of_round = (wanted.run_id, wanted.round, wanted.treatment)
    return MessageValues(*of_round, name, tried.counts, tokens, mean_values(found), found)


@contextmanager
def tried_of(
    store: Backend, wanted: ValuesConfig, counts: TriedCounts
) -> Iterator[tuple[EditedRound, Iterator[Problem]]]:
    """The round, and the problems of its derived run, which are made as they are taken."""
    run = open_run(store, wanted.run_id)
    refuse_no_synthesis(run, wanted.round)
    recipe = resolve_recipe(derived_config(store, run, "probe", wanted.samples, wanted.changes))
    with Warehouse(store, [wanted.run_id]) as warehouse:
        place = edited_round(warehouse, run, wanted.round, wanted.samples, recipe)
        yield place, tried_problems(store, warehouse, place, wanted.treatment, counts)


def nothing_tried(wanted: ValuesConfig, counts: TriedCounts) -> Refused:
    return Refused(
        f"run {wanted.run_id}: round {wanted.round}: none of {counts.skipped:,} message sets can be tried: "
        "each needs two messages and a gold answer, and for swap as many messages of other replicates"
    )
