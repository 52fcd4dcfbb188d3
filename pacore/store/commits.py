"""Commits: how rows become part of a table.

A file is encoded whole, named by its content, and put; then its commit is put if absent. Only the
commit makes it part of the table. A loser of that race adopts what the winner committed and leaves
an orphan file that no reader ever sees.

Snapshots: which files the tables of a run are, frozen and chained to the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, NamedTuple

from pacore.core.identity import canonical_json, sha256_hex
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import (
    FORMAT_VERSION,
    Unit,
    commit_key,
    commits_prefix,
    data_key,
    snapshot_key,
    snapshots_prefix,
    unit_of_commit,
)
from pacore.store.parquet import TableWriter, read_column
from pacore.store.retries import end_key
from pacore.store.rows import Row
from pacore.store.schema import SCHEMA_VERSION, TABLES

APPENDED_TABLES = ("trajectory_texts",)
"""Tables whose earlier revisions still stand: a text is stored once and never again."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One published unit: its file's key, size and digest, and what it was made from.

    ``inputs`` are the keys of the commits its rows were derived from, ``producer`` what made them.
    """

    unit: Unit
    path: str
    sha256: str
    bytes: int
    rows: int
    attempt_id: str
    counts: dict[str, int]
    inputs: tuple[str, ...] = ()
    producer: Mapping[str, Any] = field(default_factory=dict)


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Draft:
    """One unit's rows on their way into the store.

    As a context manager it discards what was written unless `commit` was called: an exception while
    rows are made or encoded publishes nothing.
    """

    def __init__(self, store: Backend, unit: Unit) -> None:
        self._store = store
        self.unit = unit
        name = f"{unit.table}-{secrets.token_hex(8)}.parquet"
        self._scratch = store.scratch() / name
        self._writer = TableWriter(self._scratch, TABLES[unit.table])

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._writer.close()
        except StoreError:
            # What cannot be written out is about to be thrown away.
            if kind is None:
                raise
        finally:
            self._scratch.unlink(missing_ok=True)

    def add(self, row: Row) -> None:
        self._writer.add(row)

    def commit(
        self,
        *,
        inputs: Sequence[str] = (),
        counts: dict[str, int] | None = None,
        producer: dict[str, Any] | None = None,
    ) -> Commit:
        """Put the file under its content's name, then the commit; returns the one that stands."""
        self._writer.finish()
        sha256, size = _sha256_of(self._scratch), self._scratch.stat().st_size
        path = data_key(self.unit, SCHEMA_VERSION, sha256)
        self._store.put_file(path, self._scratch)
        record = {
            "v": FORMAT_VERSION,
            "kind": "commit",
            "table": self.unit.table,
            "schema_version": SCHEMA_VERSION,
            "run_id": self.unit.run_id,
            "round": self.unit.round,
            "shard": self.unit.shard,
            "revision": self.unit.revision,
            **({"grading": self.unit.grading} if self.unit.grading else {}),
            **({"repair": self.unit.repair} if self.unit.repair else {}),
            "attempt_id": secrets.token_hex(16),
            "committed_at": datetime.now(UTC).isoformat(),
            "files": [{"path": path, "sha256": sha256, "bytes": size, "rows": self._writer.rows}],
            "inputs": list(inputs),
            "counts": counts or {},
            "producer": {"process": os.getpid(), **(producer or {})},
        }
        key = commit_key(self.unit)
        if self._store.put_new(key, canonical_json(record)):
            return _commit_of(record, key)
        return read_commit(self._store, self.unit)


def publish(
    store: Backend,
    unit: Unit,
    rows: Iterable[Row],
    *,
    inputs: Sequence[str] = (),
    counts: dict[str, int] | None = None,
    producer: dict[str, Any] | None = None,
) -> Commit:
    """Write and commit one unit's rows, all of them or none."""
    with Draft(store, unit) as draft:
        for row in rows:
            draft.add(row)
        return draft.commit(inputs=inputs, counts=counts, producer=producer)


def read_commit(store: Backend, unit: Unit) -> Commit:
    """The commit that stands for a unit: its last repair, where it was repaired.

    Raises KeyError when there is none, StoreError for an unusable one.
    """
    found = read_commits(store, [unit])[0]
    while store.exists(commit_key(unit := unit._replace(repair=unit.repair + 1))):
        found = read_commits(store, [unit])[0]
    return found


def read_commits(store: Backend, units: Sequence[Unit]) -> list[Commit]:
    """The commits of several units, in their order, asked for side by side."""
    keys = [commit_key(unit) for unit in units]
    found = []
    for key, data in zip(keys, store.get_many(keys), strict=True):
        try:
            record = json.loads(data)
        except ValueError as fault:
            raise StoreError(f"{key}: is not a commit: {fault}") from fault
        found.append(_commit_of(record, key))
    return found


def _commit_of(record: dict[str, Any], key: str) -> Commit:
    try:
        (file,) = record["files"]
        unit = Unit(
            record["run_id"],
            record["table"],
            record["round"],
            record["shard"],
            record["revision"],
            record.get("grading", ""),
            record.get("repair", 0),
        )
        return Commit(
            unit=unit,
            path=file["path"],
            sha256=file["sha256"],
            bytes=file["bytes"],
            rows=file["rows"],
            attempt_id=record["attempt_id"],
            counts=record["counts"],
            inputs=tuple(record["inputs"]),
            producer=record.get("producer", {}),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise StoreError(f"{key}: is not a commit of this version: {fault!r}") from fault


def find_commit(store: Backend, unit: Unit) -> Commit | None:
    """The commit of a unit, or None."""
    try:
        return read_commit(store, unit)
    except KeyError:
        return None


def committed_units(store: Backend, run_id: str) -> set[Unit]:
    """Every unit of a run that has been committed, all revisions, each as its last repair."""
    found = (unit_of_commit(key) for key in store.list(commits_prefix(run_id)))
    return last_repairs(unit for unit in found if unit is not None)


def last_repairs(units: Iterable[Unit]) -> set[Unit]:
    """The units that stand among some and their repairs."""
    last: dict[Unit, Unit] = {}
    for unit in sorted(units):
        last[unit.first] = unit
    return set(last.values())


def standing_units(units: Iterable[Unit]) -> list[Unit]:
    """The units a run's tables consist of, sorted: the last revision of each, or all of appended ones.

    Every grading stands, but for its verdicts on trajectories that a later revision has replaced.
    """
    latest: dict[tuple[str, int, str], Unit] = {}
    appended: list[Unit] = []
    verdicts: list[Unit] = []
    for unit in sorted(last_repairs(units)):
        if unit.table in APPENDED_TABLES:
            appended.append(unit)
        elif unit.grading:
            verdicts.append(unit)
        else:
            latest[unit.table, unit.round, unit.shard] = unit
    revisions = {place: unit.revision for place, unit in latest.items()}
    judged = [
        unit
        for unit in verdicts
        if revisions.get(("trajectories", unit.round, unit.shard)) == unit.revision
    ]
    return sorted([*appended, *latest.values(), *judged])


def text_ids(store: Backend, keys: Iterable[str]) -> set[str]:
    """Ids of the trajectories whose text stands in the given data files."""
    found: set[str] = set()
    for key in keys:
        with store.open(key) as file:
            found.update(read_column(file, "trajectory_id"))
    return found


class StandingFile(NamedTuple):
    """A data file that a table of a run consists of."""

    path: str
    sha256: str
    bytes: int


def standing_files(store: Backend, run_id: str) -> dict[str, list[str]]:
    """Keys of the data files each table of a run consists of, by table name."""
    tables = standing_tables(store, run_id).items()
    return {table: [file.path for file in files] for table, files in tables}


def standing_tables(store: Backend, run_id: str) -> dict[str, list[StandingFile]]:
    """The data files of each table of a run, by table name.

    A closed run is read through its last snapshot, a run in progress through its commits.
    """
    if store.exists(end_key(store, run_id)):
        snapshot = last_snapshot(store, run_id)
        if snapshot is not None:
            return {
                table: [StandingFile(file["path"], file["sha256"], file["bytes"]) for file in files]
                for table, files in snapshot["tables"].items()
            }
    found: dict[str, list[StandingFile]] = {}
    for commit in read_commits(store, standing_units(committed_units(store, run_id))):
        file = StandingFile(commit.path, commit.sha256, commit.bytes)
        found.setdefault(commit.unit.table, []).append(file)
    return found


def snapshot_sequence(store: Backend, run_id: str) -> int:
    """The number after that of a run's last snapshot."""
    names = [PurePosixPath(key).stem for key in store.list(snapshots_prefix(run_id))]
    return max((int(name) + 1 for name in names if name.isdecimal()), default=0)


def last_snapshot(store: Backend, run_id: str) -> dict[str, Any] | None:
    sequence = snapshot_sequence(store, run_id)
    if not sequence:
        return None
    key = snapshot_key(run_id, sequence - 1)
    try:
        loaded: dict[str, Any] = json.loads(store.get(key))
        for files in loaded["tables"].values():
            for file in files:
                StandingFile(file["path"], file["sha256"], file["bytes"])
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise StoreError(f"{key}: is not a snapshot: {fault!r}") from fault
    return loaded


def snapshot_record(
    run_id: str, sequence: int, parent: bytes | None, commits: Iterable[Commit]
) -> dict[str, Any]:
    """A snapshot as it stands in the store: the files of some commits, and the one before it."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for commit in commits:
        entry = {
            "path": commit.path,
            "sha256": commit.sha256,
            "bytes": commit.bytes,
            "rows": commit.rows,
        }
        tables.setdefault(commit.unit.table, []).append(entry)
    return {
        "v": FORMAT_VERSION,
        "run_id": run_id,
        "sequence": sequence,
        "parent_sha256": sha256_hex(parent) if parent is not None else None,
        "tables": tables,
    }


def write_snapshot(store: Backend, run_id: str) -> dict[str, Any]:
    """Freeze the list of a run's files, chained to the snapshot before; unchanged lists add none."""
    while True:
        sequence = snapshot_sequence(store, run_id)
        parent = store.get(snapshot_key(run_id, sequence - 1)) if sequence else None
        commits = read_commits(store, standing_units(committed_units(store, run_id)))
        record = snapshot_record(run_id, sequence, parent, commits)
        if parent is not None:
            before: dict[str, Any] = json.loads(parent)
            if before["tables"] == record["tables"]:
                return before
        if store.put_new(snapshot_key(run_id, sequence), canonical_json(record)):
            return record


COUNTED = ("answers", "scores")
