"""What the tests of gradings share: grading a run of a store here, to its end or part of the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pacore.core.config.evaluate import EvaluateConfig
from pacore.evaluation.batches import Evaluation, close_evaluation, evaluation_of, grade_all
from pacore.evaluation.gradings import OpenGrading, grading_by, ungraded
from pacore.evaluation.verdicts import ShardGrading
from pacore.store.backends.protocol import Backend
from pacore.store.commits import committed_units
from pacore.store.gradings import begin_grading
from pacore.store.layout import Unit
from pacore.store.run import open_run


@contextmanager
def evaluating(store_url: str, *run_ids: str, **fields: Any) -> Iterator[Evaluation]:
    """An evaluation as the commands open it."""
    config = EvaluateConfig(runs=run_ids, store=store_url, **fields)
    try:
        yield evaluation_of(config)
    finally:
        close_evaluation(config)


def grade(store_url: str, run_id: str, grader: str | None = "auto") -> str:
    """Grade a run to its end; the grading's id."""
    with evaluating(store_url, run_id, grader=grader) as evaluation:
        grade_all(evaluation, evaluation.batches())
        return evaluation.gradings()[0].grading.grading_id


def opened(store: Backend, run_id: str, grader: str = "auto") -> OpenGrading:
    """A grading that was begun."""
    run = open_run(store, run_id)
    return OpenGrading(store, run, begin_grading(store, run_id, grading_by(store, run, grader)))


def grade_units(grading: OpenGrading, most: int) -> int:
    """Grade a few shard-rounds, as a process that is killed then would have; how many it did."""
    done = 0
    for work in ungraded(grading):
        shard = ShardGrading(grading, work)
        for round_ in work.rounds[: most - done]:
            shard.grade(round_, shard.by_rules)
            done += 1
    return done


def units_of(store: Backend, run_id: str, grading_id: str) -> list[Unit]:
    """Everything a grading has published, all revisions."""
    return sorted(unit for unit in committed_units(store, run_id) if unit.grading == grading_id)
