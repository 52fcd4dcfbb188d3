"""Integrity: whether a store has the files that its records name, undamaged, and which others it has.

A run that lacks files is not read at all, since numbers computed from a part of it would be wrong and
nobody would notice. `pacore.repair` recomputes such files, and grades the answers of a run whose last
stage was that of an earlier version.

What nothing refers to was left by lost races and by processes that were killed. A data file is published
before its commit, so the young ones may be about to be referred to; only what has lain for a day or
longer is ever collected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pacore.errors import Refused, StoreError
from pacore.store.backends.local import TEMPORARY
from pacore.store.backends.protocol import Backend, Stored
from pacore.store.commits import Commit, DataFile, Snapshot, current_tables
from pacore.store.layout import (
    COMMITS,
    DATA,
    OWN,
    PROBES,
    SNAPSHOTS,
    Unit,
    commit_key,
    unit_of_data,
)
from pacore.store.records import BadRecord, read_many
from pacore.store.run import Run, imported_texts, list_runs

_LISTED_AT_ONCE = 16

_MOST_LISTINGS = 64
"""Of the folders of single tables; from there on all data files of a store are listed together."""

_LEAST_AGE = timedelta(days=1)
"""Of what is collected."""

RunFiles = Mapping[str, Sequence[DataFile]]
"""The files of a run by table."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A file or record of a run that is missing or damaged; ``table`` is empty for a record."""

    run_id: str
    table: str
    key: str
    what: str

    def __str__(self) -> str:
        table = f", table {self.table}" if self.table else ""
        return f"run {self.run_id}{table}: {self.key}: {self.what}"


def repair_hint(faults: Sequence[Fault]) -> str:
    """One line for a person: the first of some faults of one run, and the command that repairs them."""
    more = f", and {len(faults) - 1:,} more" if len(faults) > 1 else ""
    return f"{faults[0]}{more}; pacore repair {faults[0].run_id} makes again what it can"


def find_faults(
    store: Backend, runs: Mapping[str, RunFiles], sets: Mapping[str, str]
) -> list[Fault]:
    """Files that are missing, or have another size than they had, of runs given by their tables.

    ``sets`` has the key of each run's frozen problem set. Files are listed, and none is read.
    """
    named = [
        (run_id, table, file)
        for run_id, tables in runs.items()
        for table, files in tables.items()
        for file in files
    ]
    sizes = _sizes(store, [file.path for _, _, file in named])
    faults = [
        Fault(run_id, table, file.path, what)
        for run_id, table, file in named
        if (what := _difference(sizes.get(file.path), file.bytes))
    ]
    frozen = {key: store.exists(key) for key in set(sets.values())}
    faults += [
        Fault(
            run_id,
            "verdicts",
            commit_key(unit),
            "is missing: an earlier version wrote scores instead",
        )
        for run_id, tables in runs.items()
        for unit in _lacking_verdicts(tables)
    ]
    faults += [
        Fault(run_id, "problems", key, "is missing")
        for run_id, key in sets.items()
        if not frozen[key]
    ]
    return sorted(faults, key=lambda fault: (fault.run_id, fault.table, fault.key))


def _lacking_verdicts(tables: RunFiles) -> Iterator[Unit]:
    """The run's own verdicts that are missing where an earlier version graded its current answers."""

    def units(table: str) -> set[Unit]:
        found = (unit_of_data(file.path) for file in tables.get(table, ()))
        return {unit.first for unit in found if unit is not None}

    graded = {unit._replace(table="verdicts", grading=OWN) for unit in units("scores")}
    judged = {unit._replace(table="verdicts", grading=OWN) for unit in units("trajectories")}
    yield from sorted((graded & judged) - units("verdicts"))


def as_fault(run_id: str, unusable: StoreError) -> Fault:
    """A record of a run that cannot be used: the error names its key first."""
    key, _, what = str(unusable).partition(": ")
    return Fault(run_id, "", key, what)


def faults_of(store: Backend, run: Run) -> list[Fault]:
    """What `find_faults` finds of one run."""
    try:
        tables = current_tables(store, run.run_id)
    except StoreError as unusable:
        return [as_fault(run.run_id, unusable)]
    return find_faults(store, {run.run_id: tables}, {run.run_id: run.problem_set})


def _difference(there: int | None, expected: int) -> str | None:
    if there is None:
        return "is missing"
    return None if there == expected else f"has {there:,} bytes, not {expected:,}"


def _sizes(store: Backend, keys: Sequence[str]) -> dict[str, int]:
    """The size of every data file that is there, and of others beside them."""
    folders = sorted({key.partition("/round=")[0] for key in keys})
    if len(folders) > _MOST_LISTINGS:
        folders = [DATA]
    with ThreadPoolExecutor(_LISTED_AT_ONCE, thread_name_prefix="listing") as threads:
        listed = threads.map(lambda folder: list(store.entries(folder)), folders)
        return {entry.key: entry.bytes for entries in listed for entry in entries}


def damaged(store: Backend, run_id: str, tables: RunFiles) -> Iterable[Fault]:
    """Files whose bytes are not those that were committed. Reads all of them."""
    for table, files in tables.items():
        for file in files:
            if what := damage(store, file):
                yield Fault(run_id, table, file.path, what)


def damage(store: Backend, file: DataFile) -> str | None:
    """What is wrong with the content of one file, or None."""
    try:
        with store.local_path(file.path) as path, Path(path).open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    except (StoreError, OSError):
        return "is missing"
    return None if sha256 == file.sha256 else "is damaged: its sha256 is another"


def uncollected(store: Backend, older_than: timedelta = _LEAST_AGE) -> list[Stored]:
    """Data files and temporaries that no commit and no snapshot names, sorted by key.

    Raises Refused for an age below a day, StoreError when a commit or snapshot cannot be read: what
    it refers to is not known then.
    """
    if older_than < _LEAST_AGE:
        raise Refused("nothing younger than a day is collected: it may be about to be committed")
    before = datetime.now(UTC) - older_than
    # Listed before the references are read: what was committed in between is seen to be.
    found = [
        entry
        for prefix in (DATA, PROBES, TEMPORARY)
        for entry in store.entries(prefix)
        if entry.modified_at < before
    ]
    referenced = set(_referenced(store)) if found else set()
    return sorted(
        (entry for entry in found if entry.key not in referenced), key=lambda entry: entry.key
    )


def collect(store: Backend, found: list[Stored]) -> Iterator[Stored]:
    """Delete what `uncollected` found, but not what was published again since; yields what went."""
    for entry in found:
        try:
            now = store.stat(entry.key)
        except KeyError:
            continue
        if datetime.now(UTC) - now.modified_at < _LEAST_AGE:
            continue
        store.delete(entry.key)
        yield entry


def _referenced(store: Backend) -> Iterator[str]:
    """Every data file that a commit of any revision, a snapshot, or a record `ImportedTexts` names."""
    kinds: tuple[tuple[str, type[Commit | Snapshot]], ...] = (
        (COMMITS, Commit),
        (SNAPSHOTS, Snapshot),
    )
    try:
        for run_id in list_runs(store):
            yield from (file.path for file in imported_texts(store, run_id))
        for prefix, kind in kinds:
            keys = [key for key in store.list(prefix) if key.endswith(".json")]
            for record in read_many(store, keys, kind):
                yield from (file.path for file in record.files)
    except BadRecord as bad:
        raise StoreError(f"{bad}; nothing is collected") from None
    except KeyError as gone:
        raise StoreError(f"{gone.args[0]}: vanished while it was read") from None
