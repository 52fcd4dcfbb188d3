"""Exporting: a run as one folder that stands for itself, in a store's own layout.

The folder has the keys of a store and a manifest, ``export.json``, with the sha256 of every file:
it can be read as a store, and `pacore.exchange.import_folder` brings it into another one byte for byte.
Beside what the run published it holds the journal entry of each of its trajectories, and the text
files of other runs that its rows point at. The manifest is written last: without one, a folder is
no export.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pacore.core.identity import canonical_json, sha256_hex
from pacore.errors import Refused, StoreError
from pacore.problems.files import is_row_file
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit, committed_units, read_commits
from pacore.store.layout import (
    FORMAT_VERSION,
    MANIFEST_KEY,
    commits_prefix,
    exported_kind,
    journal_key,
    lent_key,
    run_key,
    run_prefix,
    snapshots_prefix,
)
from pacore.store.parquet import read_rows
from pacore.store.run import is_closed, lent_files, lent_record, list_runs, open_run

COPIERS = 16


CHUNK_KEYS = 512


NOT_JOURNALLED = ("context_overflow",)
"""Finish reasons that say something of a server's window and so are no part of the journal."""

T = TypeVar("T")


R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds, and how many files of it were not there before."""

    files: int
    bytes: int
    added: int


def is_export(place: str) -> bool:
    """Whether a folder, local or any URL a store may have, was written by `export_run`."""
    if "://" not in place:
        return (Path(place) / MANIFEST_KEY).is_file()
    return not is_row_file(place) and open_store(place).exists(MANIFEST_KEY)


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``work`` on every item, several at a time, in order; a bounded number are held."""
    with ThreadPoolExecutor(COPIERS, thread_name_prefix="copy") as copiers:
        chunk: list[T] = []
        for item in items:
            chunk.append(item)
            if len(chunk) == CHUNK_KEYS:
                yield from copiers.map(work, chunk)
                chunk = []
        yield from copiers.map(work, chunk)


def export_run(store: Backend, run_id: str, folder: Backend) -> Exported:
    """Write everything a run is into a folder; a second time changes nothing.

    Raises Refused where the folder holds something else, StoreError where the store lacks a file.
    """
    run = open_run(store, run_id)
    if folder.url == store.url or set(list_runs(folder)) - {run_id}:
        raise Refused(
            f"{folder.url}: is a store, or holds another run; an export needs its own place"
        )
    commits = read_commits(store, sorted(committed_units(store, run_id)))
    lent = _lent(store, run_id, commits)
    made = {lent_key(run_id): lent_record(run_id, lent)} if lent else {}
    keys = {
        run.problem_set,
        *(commit.path for commit in commits),
        *(file["path"] for file in lent),
        *store.list(commits_prefix(run_id)),
        *store.list(snapshots_prefix(run_id)),
        *store.list(run_prefix(run_id)),
        *_journal_keys(store, commits),
        *made,
    }
    if stray := next((key for key in keys if exported_kind(key, run_id) is None), None):
        raise StoreError(f"{stray}: is no part of a run")
    return _write(store, folder, run_id, sorted(keys), made)


def _write(
    store: Backend, folder: Backend, run_id: str, keys: list[str], made: dict[str, bytes]
) -> Exported:
    """Copy the files, then the manifest; ``made`` has those that are not the store's."""

    def copied(key: str) -> tuple[dict[str, Any], bool]:
        data = made[key] if key in made else _get(store, key)
        entry = {"key": key, "sha256": sha256_hex(data), "bytes": len(data)}
        is_new = folder.put_new(key, data)
        if not is_new and folder.get(key) != data:
            raise Refused(f"{folder.url}: {key} is there with other content")
        return entry, is_new

    before = read_manifest(folder) if folder.exists(MANIFEST_KEY) else None
    if before is not None and [file["key"] for file in before["files"]] != keys:
        raise Refused(f"{folder.url}: holds another export of run {run_id}; take another place")
    done = list(side_by_side(copied, keys))
    manifest = {
        "v": FORMAT_VERSION,
        "kind": "export",
        "run_id": run_id,
        "is_closed": is_closed(store, run_id),
        "files": [entry for entry, _ in done],
    }
    data = canonical_json(manifest)
    if not folder.put_new(MANIFEST_KEY, data) and folder.get(MANIFEST_KEY) != data:
        raise Refused(f"{folder.url}: holds another export of run {run_id}; take another place")
    size = sum(entry["bytes"] for entry, _ in done)
    return Exported(len(done), size, sum(is_new for _, is_new in done))


def read_manifest(folder: Backend) -> dict[str, Any]:
    """The manifest of an export. Raises Refused for a place without one, or with an unusable one."""
    try:
        found = json.loads(folder.get(MANIFEST_KEY))
        files = [(file["key"], file["sha256"], file["bytes"]) for file in found["files"]]
    except KeyError as missing:
        what = "has no export.json" if missing.args == (MANIFEST_KEY,) else f"has no {missing}"
        raise Refused(f"{folder.url}: is not an export: {what}") from None
    except (ValueError, TypeError) as fault:
        raise Refused(f"{folder.url}: is not an export: {fault}") from fault
    is_whole = (
        found.get("kind") == "export"
        and found.get("v") == FORMAT_VERSION
        and isinstance(found.get("run_id"), str)
        and all(isinstance(key, str) and isinstance(sha, str) for key, sha, _ in files)
    )
    if not is_whole:
        raise Refused(f"{folder.url}: export.json is not one of version {FORMAT_VERSION}")
    manifest: dict[str, Any] = found
    return manifest


def _get(store: Backend, key: str) -> bytes:
    try:
        return store.get(key)
    except KeyError:
        raise StoreError(f"{key}: is missing from the store") from None


def _column(store: Backend, path: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    try:
        file = store.open(path)
    except KeyError:
        raise StoreError(f"{path}: is missing from the store") from None
    with file:
        yield from read_rows(file, columns)


def _journal_keys(store: Backend, commits: list[Commit]) -> Iterator[str]:
    """The entries of every trajectory of the run, earlier revisions and tombstones included."""
    for commit in commits:
        if commit.unit.table == "trajectories":
            for row in _column(store, commit.path, ["trajectory_id", "finish_reason"]):
                key = journal_key(row["trajectory_id"])
                if row["finish_reason"] not in NOT_JOURNALLED or store.exists(key):
                    yield key


def _lent(store: Backend, run_id: str, commits: list[Commit]) -> list[dict[str, Any]]:
    """The text files of other runs that hold texts this run points at."""
    wanted: dict[str, set[str]] = {}
    for commit in commits:
        if commit.unit.table == "trajectories":
            for row in _column(store, commit.path, ["trajectory_id", "text_run_id"]):
                if row["text_run_id"] != run_id:
                    wanted.setdefault(row["text_run_id"], set()).add(row["trajectory_id"])
    found = []
    for lender, ids in sorted(wanted.items()):
        for file in _text_files(store, run_id, lender):
            rows = _column(store, file["path"], ["trajectory_id"])
            if any(row["trajectory_id"] in ids for row in rows):
                found.append(file)
    return found


def _text_files(store: Backend, run_id: str, lender: str) -> list[dict[str, Any]]:
    """Text files of another run: its own where it is here, else those that came with this one."""
    record = sha256_hex(store.get(run_key(lender))) if store.exists(run_key(lender)) else None
    own = [
        {
            "path": commit.path,
            "sha256": commit.sha256,
            "bytes": commit.bytes,
            "run_id": lender,
            "run_sha256": record,
        }
        for commit in read_commits(store, sorted(committed_units(store, lender)))
        if commit.unit.table == "trajectory_texts"
    ]
    return own or [file for file in lent_files(store, run_id) if file["run_id"] == lender]
