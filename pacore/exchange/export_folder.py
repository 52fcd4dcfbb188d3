"""Exporting: a run as one folder that stands for itself, in a store's own layout.

The folder has the keys of a store and a manifest, ``export.json``, with the sha256 of every file:
it can be read as a store, and `pacore.exchange.import_folder` brings it into another one byte for byte.
Beside what the run published it holds the journal entry of each of its trajectories, and the text
files of other runs that its rows point at. The manifest is written last: without one, a folder is
no export.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pacore.core.identity import sha256_hex
from pacore.errors import Refused, StoreError
from pacore.problems.files import is_row_file
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit, committed_units, read_commits
from pacore.store.layout import (
    MANIFEST_KEY,
    commits_prefix,
    exported_kind,
    imported_texts_key,
    journal_key,
    run_key,
    run_prefix,
    snapshots_prefix,
)
from pacore.store.parquet import read_rows
from pacore.store.records import BadRecord, encode, find
from pacore.store.run import (
    ImportedText,
    ImportedTexts,
    imported_texts,
    is_closed,
    list_runs,
    open_run,
)

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


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file of an export, by its key."""

    key: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The record ``export.json``: every other file of the export of a run."""

    kind: Literal["export"]
    run_id: str
    is_closed: bool
    files: tuple[ExportedFile, ...]


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
    borrowed = _borrowed(store, run_id, commits)
    made = (
        {imported_texts_key(run_id): encode(ImportedTexts(run_id, tuple(borrowed)))}
        if borrowed
        else {}
    )
    keys = {
        run.problem_set,
        *(commit.path for commit in commits),
        *(file.path for file in borrowed),
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

    def copied(key: str) -> tuple[ExportedFile, bool]:
        data = made[key] if key in made else _get(store, key)
        entry = ExportedFile(key, sha256_hex(data), len(data))
        is_new = folder.put_new(key, data)
        if not is_new and folder.get(key) != data:
            raise Refused(f"{folder.url}: {key} is there with other content")
        return entry, is_new

    before = read_manifest(folder) if folder.exists(MANIFEST_KEY) else None
    if before is not None and [file.key for file in before.files] != keys:
        raise Refused(f"{folder.url}: holds another export of run {run_id}; take another place")
    done = list(side_by_side(copied, keys))
    files = tuple(entry for entry, _ in done)
    data = encode(Manifest("export", run_id, is_closed(store, run_id), files))
    if not folder.put_new(MANIFEST_KEY, data) and folder.get(MANIFEST_KEY) != data:
        raise Refused(f"{folder.url}: holds another export of run {run_id}; take another place")
    size = sum(entry.bytes for entry in files)
    return Exported(len(done), size, sum(is_new for _, is_new in done))


def read_manifest(folder: Backend) -> Manifest:
    """The manifest of an export. Raises Refused for a place without one, or with an unusable one."""
    try:
        manifest = find(folder, MANIFEST_KEY, Manifest)
    except BadRecord as bad:
        raise Refused(f"{folder.url}: is not an export: {bad}") from None
    if manifest is None:
        raise Refused(f"{folder.url}: is not an export: has no {MANIFEST_KEY}")
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


def _borrowed(store: Backend, run_id: str, commits: list[Commit]) -> list[ImportedText]:
    """The text files of other runs that hold texts this run points at."""
    wanted: dict[str, set[str]] = {}
    for commit in commits:
        if commit.unit.table == "trajectories":
            for row in _column(store, commit.path, ["trajectory_id", "text_run_id"]):
                if row["text_run_id"] != run_id:
                    wanted.setdefault(row["text_run_id"], set()).add(row["trajectory_id"])
    found = []
    for owner, ids in sorted(wanted.items()):
        for file in _text_files(store, run_id, owner):
            rows = _column(store, file.path, ["trajectory_id"])
            if any(row["trajectory_id"] in ids for row in rows):
                found.append(file)
    return found


def _text_files(store: Backend, run_id: str, owner: str) -> list[ImportedText]:
    """Text files of another run: its own where it is here, else those that came with this one."""
    record = sha256_hex(store.get(run_key(owner))) if store.exists(run_key(owner)) else None
    own = [
        ImportedText(commit.path, commit.file.sha256, commit.file.bytes, owner, record)
        for commit in read_commits(store, sorted(committed_units(store, owner)))
        if commit.table == "trajectory_texts"
    ]
    return own or [file for file in imported_texts(store, run_id) if file.run_id == owner]
