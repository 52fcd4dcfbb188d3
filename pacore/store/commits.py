"""Commits and snapshots: how rows become part of a table, and which files its tables consist of.

A file is encoded whole, named by its content, and put; then its commit is put if absent. Only the
commit makes it part of the table. The loser of that race adopts what the winner committed, and leaves
an orphan file that no reader ever sees. A snapshot lists the files that the tables of a run consist
of at one time, with the digest of the snapshot before it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from pacore.core.identity import sha256_hex
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import (
    SCHEMA_VERSION,
    Unit,
    commit_key,
    commits_prefix,
    data_key,
    snapshot_key,
    snapshots_prefix,
    unit_of_commit,
)
from pacore.store.records import Time, decode, find, put_new, read_many
from pacore.store.retries import end_key

if TYPE_CHECKING:
    from pacore.store.schema import Row

APPENDED_TABLES = ("trajectory_texts",)
"""Tables whose earlier revisions are current too: a text is stored once and never again."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file: its key, its digest and its size."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class TableFile(DataFile):
    """A data file of a table, and how many rows it has."""

    rows: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The record that makes the rows of one unit part of a table.

    ``inputs`` are the keys of the commits its rows were derived from, ``counts`` what its stage counted
    of them, ``producer`` the process that made them.
    """

    kind: Literal["commit"]
    run_id: str
    table: str
    round: int
    shard: str
    revision: int
    schema_version: int
    attempt_id: str
    committed_at: Time
    files: tuple[TableFile]
    inputs: tuple[str, ...]
    counts: dict[str, int]
    producer: dict[str, object] = field(default_factory=dict)
    grading: str = ""
    repair: int = 0

    @property
    def unit(self) -> Unit:
        return Unit(
            self.run_id,
            self.table,
            self.round,
            self.shard,
            self.revision,
            self.grading,
            self.repair,
        )

    @property
    def file(self) -> TableFile:
        return self.files[0]

    @property
    def path(self) -> str:
        """The key of its file."""
        return self.file.path

    @property
    def rows(self) -> int:
        return self.file.rows


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The record of all files that the tables of a run consist of, at one time.

    ``parent_sha256`` is the digest of the snapshot before it, None for the first one.
    """

    run_id: str
    sequence: int
    parent_sha256: str | None
    tables: dict[str, tuple[TableFile, ...]]

    @property
    def files(self) -> list[TableFile]:
        return [file for files in self.tables.values() for file in files]


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Draft:
    """One unit's rows on their way into the store.

    As a context manager it discards what was written unless `commit` was called: an exception while
    rows are made or encoded publishes nothing.
    """

    def __init__(self, store: Backend, unit: Unit) -> None:
        # Arrow is loaded where rows are written or read; a look at records needs none.
        from pacore.store.parquet import TableWriter
        from pacore.store.schema import TABLES

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
        producer: dict[str, object] | None = None,
    ) -> Commit:
        """Put the file under its content's name, then the commit; returns the one that was first."""
        self._writer.finish()
        sha256, size = _sha256_of(self._scratch), self._scratch.stat().st_size
        path = data_key(self.unit, SCHEMA_VERSION, sha256)
        self._store.put_file(path, self._scratch)
        commit = Commit(
            kind="commit",
            run_id=self.unit.run_id,
            table=self.unit.table,
            round=self.unit.round,
            shard=self.unit.shard,
            revision=self.unit.revision,
            schema_version=SCHEMA_VERSION,
            attempt_id=secrets.token_hex(16),
            committed_at=datetime.now(UTC),
            files=(TableFile(path, sha256, size, self._writer.rows),),
            inputs=tuple(inputs),
            counts=counts or {},
            producer={"process": os.getpid(), **(producer or {})},
            grading=self.unit.grading,
            repair=self.unit.repair,
        )
        if put_new(self._store, commit_key(self.unit), commit):
            return commit
        return read_commit(self._store, self.unit)


def publish(
    store: Backend,
    unit: Unit,
    rows: Iterable[Row],
    *,
    inputs: Sequence[str] = (),
    counts: dict[str, int] | None = None,
    producer: dict[str, object] | None = None,
) -> Commit:
    """Write and commit one unit's rows, all of them or none."""
    with Draft(store, unit) as draft:
        for row in rows:
            draft.add(row)
        return draft.commit(inputs=inputs, counts=counts, producer=producer)


def read_commit(store: Backend, unit: Unit) -> Commit:
    """The commit of a unit, or of its last repair, where it was repaired.

    Raises KeyError where there is none, StoreError for one that cannot be used.
    """
    found = read_commits(store, [unit])[0]
    while store.exists(commit_key(unit := unit._replace(repair=unit.repair + 1))):
        found = read_commits(store, [unit])[0]
    return found


def read_commits(store: Backend, units: Sequence[Unit]) -> list[Commit]:
    """The commits of several units, in their order, requested side by side."""
    return read_many(store, [commit_key(unit) for unit in units], Commit)


def find_commit(store: Backend, unit: Unit) -> Commit | None:
    """As `read_commit`, None where there is none."""
    try:
        return read_commit(store, unit)
    except KeyError:
        return None


def committed_units(store: Backend, run_id: str) -> set[Unit]:
    """Every unit of a run that has been committed, all revisions, each as its last repair."""
    found = (unit_of_commit(key) for key in store.list(commits_prefix(run_id)))
    return last_repairs(unit for unit in found if unit is not None)


def last_repairs(units: Iterable[Unit]) -> set[Unit]:
    """Some units and their repairs, each as its last repair only."""
    last: dict[Unit, Unit] = {}
    for unit in sorted(units):
        last[unit.first] = unit
    return set(last.values())


def current_among(units: Iterable[Unit]) -> list[Unit]:
    """Those of some units that a run's tables consist of, sorted: the last revision of each, and all
    of appended tables.

    All gradings are current, but for verdicts on trajectories that a later revision has replaced.
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


def current_units(store: Backend, run_id: str, *tables: str) -> list[Unit]:
    """The units that a run's tables consist of, sorted, of some tables or of all."""
    units = current_among(committed_units(store, run_id))
    return [unit for unit in units if not tables or unit.table in tables]


def current_commits(store: Backend, run_id: str, *tables: str) -> list[Commit]:
    """The commits of `current_units`, in their order."""
    return read_commits(store, current_units(store, run_id, *tables))


def text_ids(store: Backend, keys: Iterable[str]) -> set[str]:
    """Ids of the trajectories whose texts are in the given data files."""
    from pacore.store.parquet import read_column

    found: set[str] = set()
    for key in keys:
        with store.open(key) as file:
            found.update(read_column(file, "trajectory_id"))
    return found


def current_files(store: Backend, run_id: str) -> dict[str, list[str]]:
    """Keys of the data files each table of a run consists of, by table name."""
    tables = current_tables(store, run_id).items()
    return {table: [file.path for file in files] for table, files in tables}


def current_tables(store: Backend, run_id: str) -> dict[str, list[DataFile]]:
    """The data files of each table of a run, by table name.

    A closed run is read through its last snapshot, a run in progress through its commits.
    """
    if store.exists(end_key(store, run_id)):
        snapshot = last_snapshot(store, run_id)
        if snapshot is not None:
            return {table: list(files) for table, files in snapshot.tables.items()}
    found: dict[str, list[DataFile]] = {}
    for commit in current_commits(store, run_id):
        found.setdefault(commit.table, []).append(commit.file)
    return found


def snapshot_sequence(store: Backend, run_id: str) -> int:
    """The number after that of a run's last snapshot."""
    names = [PurePosixPath(key).stem for key in store.list(snapshots_prefix(run_id))]
    return max((int(name) + 1 for name in names if name.isdecimal()), default=0)


def last_snapshot(store: Backend, run_id: str) -> Snapshot | None:
    """Raises StoreError for one that cannot be used."""
    sequence = snapshot_sequence(store, run_id)
    return find(store, snapshot_key(run_id, sequence - 1), Snapshot) if sequence else None


def snapshot_of(
    run_id: str, sequence: int, parent: bytes | None, commits: Iterable[Commit]
) -> Snapshot:
    """The snapshot that lists the files of some commits; ``parent`` are the bytes of the one before."""
    tables: dict[str, tuple[TableFile, ...]] = {}
    for commit in commits:
        tables[commit.table] = (*tables.get(commit.table, ()), commit.file)
    parent_sha256 = sha256_hex(parent) if parent is not None else None
    return Snapshot(run_id, sequence, parent_sha256, tables)


def write_snapshot(store: Backend, run_id: str) -> Snapshot:
    """Freeze the list of a run's files, chained to the snapshot before; unchanged lists add none."""
    while True:
        sequence = snapshot_sequence(store, run_id)
        before = snapshot_key(run_id, sequence - 1)
        parent = store.get(before) if sequence else None
        snapshot = snapshot_of(run_id, sequence, parent, current_commits(store, run_id))
        if parent is not None:
            last = decode(parent, before, Snapshot)
            if last.tables == snapshot.tables:
                return last
        if put_new(store, snapshot_key(run_id, sequence), snapshot):
            return snapshot
