"""A run in the store: its frozen problem set, its immutable start record, and how it ended.

Texts on loan: text files of other runs that came into this store with a run that points at them.

A run that reuses a trajectory points at the text another run stored. An export brings those files
along, and where the other run itself is not in the store, this list alone says what they are.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from pacore.core.config.run import identity_digest
from pacore.core.identity import canonical_json
from pacore.core.plan import Plan, Shard, shards
from pacore.core.problem import Problem, set_digest
from pacore.core.recipe import Recipe, recipe_of
from pacore.errors import Refused, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import last_snapshot
from pacore.store.layout import FORMAT_VERSION, final_key, lent_key, problem_set_key, run_key
from pacore.store.parquet import read_rows, write_rows
from pacore.store.retries import end_key
from pacore.store.rows import problem_of, problem_row
from pacore.store.schema import PROBLEMS


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


def lent_files(store: Backend, run_id: str) -> list[dict[str, Any]]:
    """Text files of other runs that came with an imported run: each with its path,
    sha256 and bytes, the other run's id, and the sha256 of that run's record where it was known.
    """
    try:
        record = json.loads(store.get(lent_key(run_id)))
        files: list[dict[str, Any]] = record["files"]
    except KeyError as missing:
        if missing.args == (lent_key(run_id),):
            return []
        raise StoreError(f"{lent_key(run_id)}: has no {missing}") from missing
    except (ValueError, TypeError) as fault:
        raise StoreError(f"{lent_key(run_id)}: is not a list of files: {fault}") from fault
    return files


def lent_record(run_id: str, files: list[dict[str, Any]]) -> bytes:
    """What `lent_files` reads, as it stands in the store."""
    return canonical_json({"v": FORMAT_VERSION, "run_id": run_id, "files": files})


def headline(run: Run) -> str:
    """A run in one line: its name, model, trajectory configuration, strategy and replicates."""
    plan = run.plan
    shown = {
        "answers alone": plan.compaction == "answer",
        f"subsets of {plan.subset}": plan.subset is not None,
        f"{plan.replicates} replicates": plan.replicates > 1,
    }
    beside = "".join(f" · {what}" for what, is_so in shown.items() if is_so)
    return f"run {run.run_id} · {run.recipe.model} · K = {plan.configuration}{beside}"
