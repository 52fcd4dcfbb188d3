"""Snapshots: which files the tables of a run are, frozen and chained to the one before."""

from __future__ import annotations

import json
from typing import Any

from pacore.commits import committed_units, read_commits, standing_units
from pacore.identity import canonical_json, sha256_hex
from pacore.layout import FORMAT_VERSION, snapshot_key, snapshots_prefix
from pacore.retries import end_key
from pacore.store import Backend


def standing_files(store: Backend, run_id: str) -> dict[str, list[str]]:
    """Keys of the data files each table of a run consists of, by table name."""
    return {table: list(sizes) for table, sizes in standing_sizes(store, run_id).items()}


def standing_sizes(store: Backend, run_id: str) -> dict[str, dict[str, int]]:
    """The data files of each table of a run, key to bytes, by table name.

    A closed run is read through its last snapshot, a run in progress through its commits.
    """
    if store.exists(end_key(store, run_id)):
        snapshot = last_snapshot(store, run_id)
        if snapshot is not None:
            tables = snapshot["tables"].items()
            return {
                table: {file["path"]: file["bytes"] for file in files} for table, files in tables
            }
    found: dict[str, dict[str, int]] = {}
    for commit in read_commits(store, standing_units(committed_units(store, run_id))):
        found.setdefault(commit.unit.table, {})[commit.path] = commit.bytes
    return found


def snapshot_sequence(store: Backend, run_id: str) -> int:
    """How many snapshots a run has."""
    return sum(1 for _ in store.list(snapshots_prefix(run_id)))


def last_snapshot(store: Backend, run_id: str) -> dict[str, Any] | None:
    sequence = snapshot_sequence(store, run_id)
    if not sequence:
        return None
    loaded: dict[str, Any] = json.loads(store.get(snapshot_key(run_id, sequence - 1)))
    return loaded


def write_snapshot(store: Backend, run_id: str) -> dict[str, Any]:
    """Freeze the list of a run's files, chained to the snapshot before; unchanged lists add none."""
    while True:
        sequence = snapshot_sequence(store, run_id)
        parent = store.get(snapshot_key(run_id, sequence - 1)) if sequence else None
        commits = read_commits(store, standing_units(committed_units(store, run_id)))
        tables: dict[str, list[dict[str, Any]]] = {}
        for commit in commits:
            entry = {
                "path": commit.path,
                "sha256": commit.sha256,
                "bytes": commit.bytes,
                "rows": commit.rows,
            }
            tables.setdefault(commit.unit.table, []).append(entry)
        if parent is not None:
            before: dict[str, Any] = json.loads(parent)
            if before["tables"] == tables:
                return before
        record = {
            "v": FORMAT_VERSION,
            "run_id": run_id,
            "sequence": sequence,
            "parent_sha256": sha256_hex(parent) if parent is not None else None,
            "tables": tables,
        }
        if store.put_new(snapshot_key(run_id, sequence), canonical_json(record)):
            return record
