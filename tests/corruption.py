"""Seeding faults in a real store: rows changed so that files, commits and snapshots still agree."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import zstandard

from pacore.core.identity import canonical_json, sha256_hex
from pacore.store.backends.protocol import Backend
from pacore.store.commits import committed_units, read_commit, standing_units
from pacore.store.journal import Journal
from pacore.store.layout import (
    Unit,
    commit_key,
    data_key,
    journal_key,
    snapshot_key,
    snapshots_prefix,
)
from pacore.store.parquet import write_rows
from pacore.store.schema import SCHEMA_VERSION, TABLES

Row = dict[str, Any]
Change = Callable[[list[Row]], None]


def rows_of(store: Backend, unit: Unit) -> list[Row]:
    with store.open(read_commit(store, unit).path) as file:
        rows: list[Row] = pq.read_table(file).to_pylist()
    return rows


def unit_of(store: Backend, run_id: str, table: str, round_: int) -> Unit:
    """The first standing unit of a table and round that has rows."""
    units = standing_units(committed_units(store, run_id))
    return next(u for u in units if (u.table, u.round) == (table, round_) and rows_of(store, u))


def standing_rows(store: Backend, run_id: str) -> dict[str, list[Row]]:
    """Every row of a run by table, each with its round."""
    found: dict[str, list[Row]] = {}
    for unit in standing_units(committed_units(store, run_id)):
        rows = [{**row, "round": unit.round} for row in rows_of(store, unit)]
        found.setdefault(unit.table, []).extend(rows)
    return found


def edit_json(store: Backend, key: str, change: Callable[[Any], None]) -> None:
    record = json.loads(store.get(key))
    change(record)
    store.put(key, canonical_json(record))


def rewrite(store: Backend, unit: Unit, change: Change) -> str:
    """Change a unit's rows so that only their sense can tell; returns the new file's key."""
    rows = rows_of(store, unit)
    change(rows)
    schema = TABLES[unit.table]
    scratch = store.scratch() / secrets.token_hex(8)
    write_rows(scratch, schema, [tuple(row[name] for name in schema.schema.names) for row in rows])
    data = scratch.read_bytes()
    scratch.unlink()
    return repack(store, unit, data, len(rows))


def repack(store: Backend, unit: Unit, data: bytes, rows: int = 1) -> str:
    """Put other bytes in a unit's place, commit and snapshots agreeing; returns the file's key."""
    before = read_commit(store, unit)
    sha256 = sha256_hex(data)
    path = data_key(unit, SCHEMA_VERSION, sha256)
    store.put(path, data)
    entry = {"path": path, "sha256": sha256, "bytes": len(data), "rows": rows}
    edit_json(store, commit_key(unit), lambda record: record.update(files=[entry]))
    _relist(store, unit, before.path, entry)
    return path


def flip(store: Backend, key: str, position: int) -> None:
    """Flip one bit of one byte."""
    data = bytearray(store.get(key))
    data[position] ^= 1
    store.put(key, bytes(data))


def _relist(store: Backend, unit: Unit, old: str, entry: dict[str, Any]) -> None:
    """Put a file in another's place in every snapshot, and mend the chain."""
    parent = None
    for number in range(len(list(store.list(snapshots_prefix(unit.run_id))))):
        key = snapshot_key(unit.run_id, number)
        record = json.loads(store.get(key))
        files = record["tables"].get(unit.table, [])
        record["tables"][unit.table] = [entry if file["path"] == old else file for file in files]
        record["parent_sha256"] = parent
        store.put(key, canonical_json(record))
        parent = sha256_hex(store.get(key))


def edit_entry(store: Backend, trajectory_id: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change what a journal entry says was generated, and leave it a sound entry otherwise."""
    key = journal_key(trajectory_id)
    record = json.loads(zstandard.decompress(store.get(key)))
    edit(record["generation"])
    store.put(key, zstandard.compress(canonical_json(record)))
    assert Journal(store).find(trajectory_id) is not None
