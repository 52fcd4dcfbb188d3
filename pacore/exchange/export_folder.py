"""Exports a run as one self-contained folder, in the layout of a store.

The folder has the keys of a store and a manifest, ``export.json``, with the sha256 of every file: it
can be read as a store, and `pacore.exchange.imports` copies it into another one byte for byte.
Besides the run's published files it has the journal entry of each of its trajectories, and the text
files of other runs to which its rows refer. The manifest is written last: a folder without one is not
an export.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pacore.core.identity import sha256_hex
from pacore.core.trajectory import NOT_JOURNALLED
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
from pacore.store.parquet import read_values
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

_T = TypeVar("_T")

_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Exported:
    """The number of files and bytes of an export, and the number of files that were added."""

    files: int
    bytes: int
    added: int


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file of an export: its key, digest and size."""

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


def is_export(url: str) -> bool:
    """Whether a folder, at a local path or any URL of a store, was written by `export_run`."""
    if "://" not in url:
        return (Path(url) / MANIFEST_KEY).is_file()
    return not is_row_file(url) and open_store(url).exists(MANIFEST_KEY)


def map_concurrently(work: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """The results of ``work`` on every item, in order; up to `COPIERS` are computed at a time."""
    with ThreadPoolExecutor(COPIERS, thread_name_prefix="copy") as copiers:
        chunk: list[_T] = []
        for item in items:
            chunk.append(item)
            if len(chunk) == CHUNK_KEYS:
                yield from copiers.map(work, chunk)
                chunk = []
        yield from copiers.map(work, chunk)


def export_run(store: Backend, run_id: str, folder: Backend) -> Exported:
    """Write all files of a run to a folder; repeating it changes nothing.

    Raises Refused where the folder contains anything else, StoreError where the store lacks a file.
    """
    run = open_run(store, run_id)
    if folder.url == store.url or set(list_runs(folder)) - {run_id}:
        raise Refused(
            f"{folder.url}: is a store, or contains another run; export to a folder of its own"
        )
    commits = read_commits(store, sorted(committed_units(store, run_id)))
    texts = _texts_of_other_runs(store, run_id, commits)
    generated = (
        {imported_texts_key(run_id): encode(ImportedTexts(run_id, tuple(texts)))} if texts else {}
    )
    keys = {
        run.problem_set,
        *(commit.path for commit in commits),
        *(file.path for file in texts),
        *store.list(commits_prefix(run_id)),
        *store.list(snapshots_prefix(run_id)),
        *store.list(run_prefix(run_id)),
        *_journal_keys(store, commits),
        *generated,
    }
    if stray := next((key for key in keys if exported_kind(key, run_id) is None), None):
        raise StoreError(f"{stray}: is no part of a run")
    return _write(store, folder, run_id, sorted(keys), generated)


def _write(
    store: Backend, folder: Backend, run_id: str, keys: list[str], generated: dict[str, bytes]
) -> Exported:
    """Copy the files, then the manifest; ``generated`` has the files that are not in the store."""

    def copied(key: str) -> tuple[ExportedFile, bool]:
        data = generated[key] if key in generated else _get(store, key)
        entry = ExportedFile(key, sha256_hex(data), len(data))
        is_new = folder.put_new(key, data)
        if not is_new and folder.get(key) != data:
            raise Refused(f"{folder.url}: {key} exists with other content")
        return entry, is_new

    another = f"{folder.url}: contains another export of run {run_id}; export to another folder"
    before = read_manifest(folder) if folder.exists(MANIFEST_KEY) else None
    if before is not None and [file.key for file in before.files] != keys:
        raise Refused(another)
    done = list(map_concurrently(copied, keys))
    files = tuple(entry for entry, _ in done)
    data = encode(Manifest("export", run_id, is_closed(store, run_id), files))
    if not folder.put_new(MANIFEST_KEY, data) and folder.get(MANIFEST_KEY) != data:
        raise Refused(another)
    size = sum(entry.bytes for entry in files)
    return Exported(len(done), size, sum(is_new for _, is_new in done))


def read_manifest(folder: Backend) -> Manifest:
    """The manifest of an export. Raises Refused for a folder without one, or an invalid one."""
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


def _texts_in(store: Backend, path: str, columns: list[str]) -> Iterator[tuple[str, ...]]:
    """The values of text columns, row by row, in the order of ``columns``. Raises StoreError."""
    try:
        file = store.open(path)
    except KeyError:
        raise StoreError(f"{path}: is missing from the store") from None
    with file:
        yield from read_values(file, *columns)


def _journal_keys(store: Backend, commits: list[Commit]) -> Iterator[str]:
    """The entries of all trajectories of the run, with earlier revisions and tombstones."""
    columns = ["trajectory_id", "finish_reason"]
    for commit in commits:
        if commit.unit.table == "trajectories":
            for trajectory_id, finish_reason in _texts_in(store, commit.path, columns):
                key = journal_key(trajectory_id)
                if finish_reason not in NOT_JOURNALLED or store.exists(key):
                    yield key


def _texts_of_other_runs(store: Backend, run_id: str, commits: list[Commit]) -> list[ImportedText]:
    """The text files of other runs with texts to which rows of this run refer."""
    wanted: dict[str, set[str]] = {}
    columns = ["trajectory_id", "text_run_id"]
    for commit in commits:
        if commit.unit.table == "trajectories":
            for trajectory_id, text_run_id in _texts_in(store, commit.path, columns):
                if text_run_id != run_id:
                    wanted.setdefault(text_run_id, set()).add(trajectory_id)
    found = []
    for owner, ids in sorted(wanted.items()):
        for file in _text_files(store, run_id, owner):
            rows = _texts_in(store, file.path, ["trajectory_id"])
            if any(trajectory_id in ids for (trajectory_id,) in rows):
                found.append(file)
    return found


def _text_files(store: Backend, run_id: str, owner: str) -> list[ImportedText]:
    """Text files of another run: its own where it is in the store, else those imported with this run."""
    record = sha256_hex(store.get(run_key(owner))) if store.exists(run_key(owner)) else None
    own = [
        ImportedText(commit.path, commit.file.sha256, commit.file.bytes, owner, record)
        for commit in read_commits(store, sorted(committed_units(store, owner)))
        if commit.table == "trajectory_texts"
    ]
    return own or [file for file in imported_texts(store, run_id) if file.run_id == owner]
