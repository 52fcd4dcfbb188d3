"""Snapshots: which files the tables of a run are, frozen and chained to the one before."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pacore.commits import Commit, committed_units, read_commits, standing_units
from pacore.core.identity import canonical_json, sha256_hex
from pacore.errors import StoreError
from pacore.layout import FORMAT_VERSION, snapshot_key, snapshots_prefix
from pacore.retries import end_key
from pacore.store import Backend


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
