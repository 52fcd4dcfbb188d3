"""A run in the store: its frozen problem set, its immutable start record, and how it ended.

A run that reuses a trajectory points at the text another run stored. An export brings those text
files along, and where the other run itself is not in the store, the record `ImportedTexts` alone says
what they are.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from pacore.core.plan import Plan, Shard, shards
from pacore.core.policies.stops import SetStop
from pacore.core.problem import Problem, set_digest
from pacore.core.recipe import ImportedRecipe, Recipe, recipe_of
from pacore.errors import Refused, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import DataFile, last_snapshot
from pacore.store.layout import (
    budget_stops_prefix,
    final_key,
    imported_texts_key,
    problem_set_key,
    run_key,
    set_stop_key,
)
from pacore.store.records import Time, find, put_new, put_next, read_many
from pacore.store.retries import end_key
from pacore.text import did_you_mean

MOST_LISTED = 8
"""Runs that a message names."""


@dataclass(frozen=True)
class Run:
    """The record ``run.json``: identity, problem set and shard boundaries, fixed at the first start.

    ``problem_set`` is the key of the frozen problem set, ``config`` the fields the run was started
    with.
    """

    run_id: str
    created_at: str
    identity: dict[str, Any]
    identity_digest: str
    problem_set: str
    problems: int
    shard_size: int
    producer: dict[str, object]
    schema_revision: int = 0
    config: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def recipe(self) -> Recipe:
        return recipe_of(self.identity["recipe"])

    @cached_property
    def plan(self) -> Plan:
        return Plan.from_json(self.identity["plan"])

    @property
    def is_imported(self) -> bool:
        """Whether its trajectories were made elsewhere."""
        return isinstance(self.recipe, ImportedRecipe)

    @property
    def shards(self) -> list[Shard]:
        return shards(self.problems, self.shard_size)

    @property
    def trajectories(self) -> int:
        """How many trajectories the plan has in all, final rounds included."""
        return self.problems * self.plan.trajectories_a_problem


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The record ``final.json``: when a run came to its end, with which counts and snapshot."""

    run_id: str
    finished_at: Time
    counts: dict[str, int]
    snapshot: int | None


@dataclass(frozen=True, slots=True)
class ImportedText(DataFile):
    """A text file of the run ``run_id``; ``run_sha256`` is the digest of that run's record, None
    where it was not known.
    """

    run_id: str
    run_sha256: str | None


@dataclass(frozen=True, slots=True)
class ImportedTexts:
    """The record ``lent.json``: text files of other runs that came with an imported run."""

    run_id: str
    files: tuple[ImportedText, ...]


def freeze_problems(store: Backend, name: str, problems: list[Problem]) -> str:
    """Store a problem set under its content's name; returns its key. A second time changes nothing."""
    # Arrow is loaded where problems are written or read; a look at records needs none.
    from pacore.store.parquet import write_rows
    from pacore.store.schema import PROBLEMS, StoredProblem

    key = problem_set_key(name, set_digest(problems))
    if not store.exists(key):
        scratch = store.scratch() / f"problems-{secrets.token_hex(8)}.parquet"
        set_name = PurePosixPath(key).stem
        stored = (StoredProblem(set_name, problem) for problem in problems)
        write_rows(scratch, PROBLEMS, map(PROBLEMS.row, stored))
        store.put_file(key, scratch)
    return key


def problems_of(store: Backend, run: Run, shard: Shard) -> Iterator[Problem]:
    """The problems of one shard, sorted by id."""
    from pacore.store.parquet import read_rows
    from pacore.store.schema import problem_of

    columns = ["problem_id", "turns", "gold", "grader", "metadata"]
    try:
        frozen = store.open(run.problem_set)
    except KeyError:
        raise StoreError(f"{run.problem_set}: is missing from the store") from None
    with frozen:
        for row in read_rows(frozen, columns, shard.start, shard.stop):
            yield problem_of(**row)


def open_run(store: Backend, run_id: str) -> Run:
    """Raises Refused when there is no such run, StoreError when its record cannot be used."""
    # What no run can be called may be no key either.
    is_name = bool(run_id.strip()) and "/" not in run_id and run_id not in (".", "..")
    run = find(store, run_key(run_id), Run) if is_name else None
    if run is None:
        raise no_such_run(store, run_id)
    return run


def no_such_run(store: Backend, run_id: str) -> Refused:
    """The refusal of a run that a store does not have, with those that may be meant; where none is
    near, with the last ones by name and how many more there are.
    """
    known = list_runs(store)
    if not known:
        return Refused(f"no run {run_id!r} in {store.url}, which has no runs")
    more = f" and {len(known) - MOST_LISTED:,} more" if len(known) > MOST_LISTED else ""
    listed = f"; its runs: {', '.join(known[-MOST_LISTED:])}{more}"
    return Refused(f"no run {run_id!r} in {store.url}{did_you_mean(run_id, known) or listed}")


def open_runs(store: Backend, run_ids: Sequence[str]) -> list[Run]:
    """Several runs, in their order, requested side by side. Raises as `open_run` does."""
    try:
        return read_many(store, [run_key(run_id) for run_id in run_ids], Run)
    except KeyError:
        return [open_run(store, run_id) for run_id in run_ids]


def list_runs(store: Backend) -> list[str]:
    """Ids of all runs of a store, sorted."""
    keys = (PurePosixPath(key) for key in store.list("runs"))
    return sorted(key.parent.name for key in keys if key.name == "run.json")


def votes_prefix(run_id: str) -> str:
    """How the names of the runs of a judge's votes on a run begin."""
    return f"{run_id}.judge-"


def is_of_votes(run_id: str) -> bool:
    """Whether a run is of a judge's votes, by its name."""
    return ".judge-" in run_id


def is_closed(store: Backend, run_id: str) -> bool:
    """Whether a run has nothing left to do, not even a tombstone to retry."""
    return store.exists(end_key(store, run_id))


def close_run(store: Backend, run: Run, counts: dict[str, int], retries: int = 0) -> None:
    """Record that a run has nothing left to do, with its counts and its last snapshot.

    ``retries`` is how many `pacore retry` it has done: each opens a run again, which then ends again.
    """
    snapshot = last_snapshot(store, run.run_id)
    sequence = snapshot.sequence if snapshot else None
    end = RunEnd(run.run_id, datetime.now(UTC), counts, sequence)
    put_new(store, final_key(run.run_id, retries), end)


def end_counts(store: Backend, run_id: str) -> dict[str, int] | None:
    """The counts a closed run ended with; None for one that is open."""
    end = find(store, end_key(store, run_id), RunEnd)
    return end.counts if end else None


def imported_texts(store: Backend, run_id: str) -> tuple[ImportedText, ...]:
    """Text files of other runs that came with an imported run."""
    record = find(store, imported_texts_key(run_id), ImportedTexts)
    return record.files if record else ()


BUDGET_STATUS = "incomplete: budget"
"""The status of a run that was stopped by its budget and has not come to its end since."""


@dataclass(frozen=True, slots=True)
class BudgetStop:
    """The record of one stop: when, ``why`` in a line, and what the run had spent by then.

    ``spent_money`` is in the currency of the price table that the run was given; None without one.
    """

    run_id: str
    stopped_at: Time
    why: str
    spent_tokens: int
    spent_money: float | None = None


def add_budget_stop(
    store: Backend, run_id: str, why: str, spent_tokens: int, spent_money: float | None
) -> None:
    """Record that a run stopped now."""
    stop = BudgetStop(run_id, datetime.now(UTC), why, spent_tokens, spent_money)
    put_next(store, budget_stops_prefix(run_id), stop)


def last_budget_stop(store: Backend, run_id: str) -> BudgetStop | None:
    """The last time a run was stopped by its budget. Raises StoreError for a record that is damaged."""
    last = max(store.list(budget_stops_prefix(run_id)), default=None)
    return None if last is None else find(store, last, BudgetStop)


def find_set_stop(
    store: Backend, run_id: str, round_: int, problem_id: str, replicate: int
) -> SetStop | None:
    """How a rule has decided a message set of a run; None where it has not. Raises StoreError."""
    return find(store, set_stop_key(run_id, round_, problem_id, replicate), SetStop)


def headline(run: Run) -> str:
    """A run in one line: its name, model, trajectory configuration, strategy, replicates and
    stopping rule.
    """
    plan = run.plan
    shown = {
        "answers alone": plan.compaction == "answer",
        f"subsets of {plan.subset}": plan.subset is not None,
        f"select {plan.select}": plan.select != "own",
        f"{plan.replicates} replicates": plan.replicates > 1,
        f"stopping {plan.stopping}": plan.stopping is not None,
    }
    beside = "".join(f" · {what}" for what, is_so in shown.items() if is_so)
    return f"run {run.run_id} · {run.recipe.model} · K = {plan.configuration}{beside}"
