"""A run in the store: its frozen problem set, its immutable start record, and how it ended."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from pacore.core.config.run import RunConfig, differences, identity_digest
from pacore.core.identity import canonical_json
from pacore.core.plan import Plan, Shard, default_shard_size, shards
from pacore.core.problem import Problem, set_digest
from pacore.core.recipe import Recipe, recipe_of
from pacore.errors import Refused, StoreError
from pacore.layout import FORMAT_VERSION, final_key, problem_set_key, run_key
from pacore.provenance import producer
from pacore.retries import end_key
from pacore.snapshots import last_snapshot
from pacore.store import Backend
from pacore.store.capability import prepare
from pacore.table_rows import problem_of, problem_row
from pacore.tables import PROBLEMS, SCHEMA_REVISION, read_rows, write_rows


@dataclass(frozen=True)
class Run:
    """What `run.json` says: identity, problem set and shard boundaries, fixed at the first start."""

    run_id: str
    created_at: str
    identity: dict[str, Any]
    problem_set: str
    problems: int
    shard_size: int
    producer: dict[str, Any]
    schema_revision: int = 0

    @cached_property
    def recipe(self) -> Recipe:
        return recipe_of(self.identity["recipe"])

    @cached_property
    def plan(self) -> Plan:
        return Plan.from_json(self.identity["plan"])

    @property
    def identity_digest(self) -> str:
        return identity_digest(self.identity)

    @property
    def shards(self) -> list[Shard]:
        return shards(self.problems, self.shard_size)

    @property
    def trajectories(self) -> int:
        """How many trajectories the plan asks for in all, final rounds included."""
        return self.problems * self.plan.trajectories_a_problem


def freeze_problems(store: Backend, name: str, problems: list[Problem]) -> str:
    """Keep a problem set under its content's name; returns its key. A second time changes nothing."""
    key = problem_set_key(name, set_digest(problems))
    if not store.exists(key):
        scratch = store.scratch() / f"problems-{secrets.token_hex(8)}.parquet"
        set_name = PurePosixPath(key).stem
        write_rows(scratch, PROBLEMS, (problem_row(problem, set_name) for problem in problems))
        store.put_file(key, scratch)
    return key


def problems_of(store: Backend, run: Run, shard: Shard) -> Iterator[Problem]:
    """The problems of one shard, sorted by id."""
    columns = ["problem_id", "turns", "gold", "grader", "metadata"]
    try:
        frozen = store.open(run.problem_set)
    except KeyError:
        raise StoreError(f"{run.problem_set}: is missing from the store") from None
    with frozen:
        for row in read_rows(frozen, columns, shard.start, shard.stop):
            yield problem_of(row)


def start_run(store: Backend, config: RunConfig, recipe: Recipe, problems: list[Problem]) -> Run:
    """Open the run a configuration asks for, or begin it; what it is is fixed at its first start.

    Raises Refused when a run of that name exists under another identity, naming each difference.
    """
    identity = {**config.identity(set_digest(problems)), "recipe": recipe.as_json()}
    run_id = config.run_id or _own_name(store, identity)
    size = config.shard_size or default_shard_size(len(problems), config.plan)
    asked = {"name": PurePosixPath(config.problems).stem, "config": config.model_dump(mode="json")}
    return begin_run(store, run_id, identity, problems, size, asked)


def begin_run(
    store: Backend,
    run_id: str,
    identity: dict[str, Any],
    problems: list[Problem],
    shard_size: int,
    asked: dict[str, Any],
) -> Run:
    """Open a run by its name and identity, or begin it.

    ``asked`` has the ``name`` its problem set is kept under and the ``config`` it was asked for
    with. Raises Refused as `start_run` does.
    """
    if not store.exists(run_key(run_id)):
        prepare(store)
        key = freeze_problems(store, asked["name"], problems)
        record = {
            "v": FORMAT_VERSION,
            "run_id": run_id,
            "created_at": datetime.now(UTC).isoformat(),
            "identity": identity,
            "identity_digest": identity_digest(identity),
            "problem_set": key,
            "problems": len(problems),
            "shard_size": shard_size,
            "producer": producer(),
            "schema_revision": SCHEMA_REVISION,
            "config": asked["config"],
        }
        store.put_new(run_key(run_id), canonical_json(record))
    run = open_run(store, run_id)
    if differing := differences(run.identity, identity):
        raise Refused(
            f"run {run_id} exists with another configuration; {'; '.join(differing)}. "
            "Take another --run-id, or the configuration it was started with."
        )
    return run


def _own_name(store: Backend, identity: dict[str, Any]) -> str:
    """The name of a run that was given none: an unfinished run of the same identity, else today's."""
    suffix = identity_digest(identity)[:8]
    unfinished = [
        run_id
        for run_id in list_runs(store)
        if run_id.startswith("r-") and run_id.endswith(suffix) and not is_closed(store, run_id)
    ]
    today = datetime.now(UTC).strftime("%Y%m%d")
    return unfinished[-1] if unfinished else f"r-{today}-{suffix}"


def open_run(store: Backend, run_id: str) -> Run:
    """Raises Refused when there is no such run, StoreError when its record cannot be used."""
    try:
        return _run_of(store.get(run_key(run_id)))
    except KeyError as missing:
        if missing.args == (run_key(run_id),):
            known = ", ".join(list_runs(store)) or "none"
            raise Refused(f"no run {run_id!r} in this store; runs: {known}") from None
        raise StoreError(f"{run_key(run_id)}: has no {missing}") from missing
    except ValueError as fault:
        raise StoreError(f"{run_key(run_id)}: is not a run record: {fault}") from fault


def _run_of(data: bytes) -> Run:
    record = json.loads(data)
    return Run(
        run_id=record["run_id"],
        created_at=record["created_at"],
        identity=record["identity"],
        problem_set=record["problem_set"],
        problems=record["problems"],
        shard_size=record["shard_size"],
        producer=record["producer"],
        schema_revision=record.get("schema_revision", 0),
    )


def list_runs(store: Backend) -> list[str]:
    """Ids of all runs of a store, sorted."""
    keys = (PurePosixPath(key) for key in store.list("runs"))
    return sorted(key.parent.name for key in keys if key.name == "run.json")


def is_closed(store: Backend, run_id: str) -> bool:
    """Whether a run has nothing left to do, not even a tombstone to retry."""
    return store.exists(end_key(store, run_id))


def close_run(store: Backend, run: Run, counts: dict[str, int], retries: int = 0) -> None:
    """Record that a run has nothing left to do, with its counts and its last snapshot.

    ``retries`` is how many `pacore retry` it has done: each opens a run again, and ends once more.
    """
    snapshot = last_snapshot(store, run.run_id)
    record = {
        "v": FORMAT_VERSION,
        "run_id": run.run_id,
        "finished_at": datetime.now(UTC).isoformat(),
        "counts": counts,
        "snapshot": snapshot["sequence"] if snapshot else None,
    }
    store.put_new(final_key(run.run_id, retries), canonical_json(record))


def end_counts(store: Backend, run_id: str) -> dict[str, int] | None:
    """The counts a closed run ended with; None for one that is open."""
    key = end_key(store, run_id)
    try:
        counts: dict[str, int] = json.loads(store.get(key))["counts"]
    except KeyError as missing:
        if missing.args == (key,):
            return None
        raise StoreError(f"{key}: has no {missing}") from missing
    except ValueError as fault:
        raise StoreError(f"{key}: is not a run's end: {fault}") from fault
    return counts


def open_runs(store: Backend, run_ids: Sequence[str]) -> list[Run]:
    """Several runs, in their order, asked for side by side. Raises as `open_run` does."""
    keys = [run_key(run_id) for run_id in run_ids]
    try:
        return [_run_of(data) for data in store.get_many(keys)]
    except (KeyError, ValueError):
        return [open_run(store, run_id) for run_id in run_ids]
