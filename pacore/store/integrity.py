"""Integrity: whether the files that a run's tables consist of are there, and undamaged.

A run that lacks files is not read at all, since numbers computed from a part of it would be wrong and
nobody would notice. `pacore.repair` recomputes such files, and grades the answers of a run whose last
stage was that of an earlier version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import DataFile, current_tables
from pacore.store.layout import DATA, OWN, Unit, commit_key, unit_of_data
from pacore.store.run import Run

LISTED_AT_ONCE = 16

MOST_LISTINGS = 64
"""Of the folders of single tables; from there on all data files of a store are listed together."""

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


def tables_of(store: Backend, run_id: str) -> RunFiles | Fault:
    """The files of a run by table, or the record that cannot be used."""
    try:
        return current_tables(store, run_id)
    except StoreError as unusable:
        return as_fault(run_id, unusable)


def as_fault(run_id: str, unusable: StoreError) -> Fault:
    """A record of a run that cannot be used: the error names its key first."""
    key, _, what = str(unusable).partition(": ")
    return Fault(run_id, "", key, what)


def faults_of(store: Backend, run: Run) -> list[Fault]:
    """What `find_faults` finds of one run."""
    tables = tables_of(store, run.run_id)
    if isinstance(tables, Fault):
        return [tables]
    return find_faults(store, {run.run_id: tables}, {run.run_id: run.problem_set})


def _difference(there: int | None, expected: int) -> str | None:
    if there is None:
        return "is missing"
    return None if there == expected else f"has {there:,} bytes, not {expected:,}"


def _sizes(store: Backend, keys: Sequence[str]) -> dict[str, int]:
    """The size of every data file that is there, and of others beside them."""
    folders = sorted({key.partition("/round=")[0] for key in keys})
    if len(folders) > MOST_LISTINGS:
        folders = [DATA]
    with ThreadPoolExecutor(LISTED_AT_ONCE, thread_name_prefix="listing") as threads:
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
