"""Examples: a problem with the pool of messages that sets are drawn from, and what was made of such sets.

They are read of ordinary runs. The *pool* of a problem is the trajectories of round 1 of a run, each once;
a *synthesis* is a trajectory that was sampled from a message set (paper, section 2.2: one episode). It is
in a later round of the same run, or in a run of its own whose problems were derived from pools.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, TypeVar

from pacore.core.plan import Shard
from pacore.core.problem import Problem, Turn
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run, open_run, problems_of
from pacore.store.training import SOURCE_FIELD
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

RIGHT = 1.0
"""The score of a right answer; below it is the pass rate of a program that is not."""

SOURCE_FIELDS = ("source", "data_source", "dataset")

LICENCE_FIELDS = ("licence", "license")
"""Fields of a problem's metadata that name where it is from, and under which licence; the first counts.

Those of a problem of a training set are in its field `SOURCE_FIELD`.
"""


@dataclass(frozen=True, slots=True)
class PooledMessage(ReportRow):
    """A trajectory of a pool.

    ``text`` is its message, None where it came to none; ``score`` in [0, 1] is None where nothing says what
    it is worth.
    """

    QUERY: ClassVar[str] = "training/pools"

    problem_id: str
    trajectory_id: str
    draw: int
    text: str | None
    score: float | None
    completion_tokens: int | None


@dataclass(frozen=True, slots=True)
class SynthesisTrajectory(ReportRow):
    """A trajectory that was sampled from a message set.

    ``message_ids`` are the trajectories that the messages of its prompt were made of, in their order;
    ``turns`` is the prompt in JSON, and ``is_exact`` whether its digest is the one that was recorded.
    ``score`` is None where nothing says what it is worth.
    """

    QUERY: ClassVar[str] = "training/syntheses"

    problem_id: str
    trajectory_id: str
    round: int
    message_ids: list[str]
    turns: str
    is_exact: bool
    reasoning: str | None
    conclusion: str | None
    finish_reason: str
    thinking_closed: bool | None
    score: float | None
    completion_tokens: int | None

    @property
    def prompt(self) -> tuple[Turn, ...]:
        return tuple(Turn(turn["role"], turn["content"]) for turn in json.loads(self.turns))

    @property
    def is_right(self) -> bool:
        return self.score == RIGHT


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A problem, its pool, and the syntheses that were made of message sets drawn from it."""

    problem: Problem
    pool: tuple[PooledMessage, ...]
    syntheses: tuple[SynthesisTrajectory, ...] = ()

    @property
    def source(self) -> str | None:
        """Where the problem is from, as its metadata say."""
        return _stated(self.problem, SOURCE_FIELDS)

    @property
    def licence(self) -> str | None:
        return _stated(self.problem, LICENCE_FIELDS)

    @property
    def messages(self) -> list[PooledMessage]:
        """The members of the pool that came to a message, whose score is known."""
        return [one for one in self.pool if one.text is not None and one.score is not None]

    @property
    def observed(self) -> int:
        """How many trajectories of the pool have a score; the others say nothing of the model."""
        return sum(one.score is not None for one in self.pool)

    @property
    def right(self) -> int:
        """How many trajectories of the pool are right."""
        return sum(one.score == RIGHT for one in self.pool)


def _stated(problem: Problem, fields: Collection[str]) -> str | None:
    of_set = problem.metadata.get(SOURCE_FIELD)
    places = (of_set if isinstance(of_set, dict) else {}, problem.metadata)
    values = (place.get(field) for place in places for field in fields)
    return next((value for value in values if isinstance(value, str) and value.strip()), None)


def examples_of(
    store: Backend,
    pool_run_id: str,
    problem_ids: Collection[str] | None = None,
    synthesis_run_id: str | None = None,
    further_run_ids: Sequence[str] = (),
) -> Iterator[TrainingExample]:
    """The examples of a run by problem id, read as they are asked for.

    Of all problems, or of those in ``problem_ids``. Pools have the trajectories of ``further_run_ids``
    too. Syntheses are those of ``synthesis_run_id``, or of the run itself in its rounds from 2 on. What is
    in memory is the examples of one problem, and what DuckDB sorts, which it writes to disk where it
    exceeds its limit. Raises Refused for a run that is not there.
    """
    run = open_run(store, pool_run_id)
    wanted = None if problem_ids is None else sorted(set(problem_ids))
    pool_runs = list(dict.fromkeys([pool_run_id, *further_run_ids]))
    run_ids = list(dict.fromkeys([*pool_runs, synthesis_run_id or pool_run_id]))
    for run_id in run_ids[1:]:
        open_run(store, run_id)
    with Warehouse(store, run_ids) as warehouse:
        given = {"problem_ids": wanted}
        pools = _by_problem(warehouse.each(PooledMessage, run_ids=pool_runs, **given))
        syntheses = _by_problem(
            warehouse.each(SynthesisTrajectory, run_id=synthesis_run_id or pool_run_id, **given)
        )
        yield from _joined(store, run, wanted, pools, syntheses)


_Row = TypeVar("_Row", PooledMessage, SynthesisTrajectory)

_Groups = Iterator[tuple[str, tuple[_Row, ...]]]


def _by_problem(rows: Iterator[_Row]) -> _Groups[_Row]:
    for problem_id, group in groupby(rows, key=lambda row: row.problem_id):
        yield problem_id, tuple(group)


def _joined(
    store: Backend,
    run: Run,
    wanted: list[str] | None,
    pools: _Groups[PooledMessage],
    syntheses: _Groups[SynthesisTrajectory],
) -> Iterator[TrainingExample]:
    """Each problem with its groups; all three are in the order of ids."""
    asked = None if wanted is None else set(wanted)
    pool, made = next(pools, None), next(syntheses, None)
    for problem in problems_of(store, run, Shard(0, 0, run.problems)):
        name = problem.problem_id
        if asked is not None and name not in asked:
            continue
        while made is not None and made[0] < name:
            made = next(syntheses, None)
        own = made[1] if made is not None and made[0] == name else ()
        if pool is not None and pool[0] == name:
            yield TrainingExample(problem, pool[1], own)
            pool = next(pools, None)
        else:
            yield TrainingExample(problem, (), own)
