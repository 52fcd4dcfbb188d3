"""Which files each table is: what the views of a warehouse are made over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pacore.errors import StoreError
from pacore.gradings import grading_rows
from pacore.run_rows import End, read_ends, run_rows
from pacore.store.backends.protocol import Backend, Reader
from pacore.store.commits import StandingFile, standing_tables
from pacore.store.gradings import as_published, read_gradings
from pacore.store.layout import Unit, unit_of_data
from pacore.store.parquet import write_rows
from pacore.store.rows import Row
from pacore.store.run import Run, lent_files, open_run, open_runs
from pacore.store.schema import SCHEMA_REVISION, SCHEMA_VERSION, TABLES
from pacore.store.wholeness import Fault, RunFiles, as_fault, find_faults

STAGED = (
    "runs",
    "problems",
    "trajectories",
    "trajectory_texts",
    "messages",
    "answers",
    "gradings",
    "verdicts",
    "scores",
    "prices",
)
"""Tables in the order their views are made: later ones may read earlier ones."""


class Staged(NamedTuple):
    """What the views of a warehouse are made over: the paths of each table's files, as its reader
    opens them, the files of each run, and what keeps runs from being among them.
    """

    paths: dict[str, list[str]]
    runs: dict[str, RunFiles]
    faults: list[Fault]


def table_files(
    store: Backend,
    reader: Reader,
    run_ids: Sequence[str],
    folder: Path,
    prices: Sequence[Row] = (),
) -> Staged:
    """The files of each table for those of the runs named whose files are all there.

    No list is empty: runs and ``prices`` are written to files in ``folder``, and so is a file
    without rows for every table nobody has written to, so that it has its columns all the same.
    Raises Refused for an unknown run.
    """
    runs, ends, tables, faults = _whole_runs(store, run_ids)
    files: dict[str, list[str]] = {name: [] for name in STAGED}
    units: dict[str, list[Unit]] = {}
    for run in runs:
        for table, found in tables[run.run_id].items():
            files[table] += [reader.admit(file.path, file.bytes) for file in found]
        named = (unit_of_data(f.path) for found in tables[run.run_id].values() for f in found)
        units[run.run_id] = [unit for unit in named if unit is not None]
    files["problems"] = [reader.admit(key) for key in sorted({run.problem_set for run in runs})]
    files["runs"] = [_written("runs", run_rows(runs, ends), folder)]
    files["gradings"] = [_written("gradings", _gradings(store, runs, units), folder)]
    if has_older_files(runs):
        files["trajectories"].append(_empty_file("trajectories", folder))
    if prices:
        files["prices"] = [_written("prices", prices, folder)]
    paths = {name: found or [_empty_file(name, folder)] for name, found in files.items()}
    return Staged(paths, {run.run_id: tables[run.run_id] for run in runs}, faults)


class _Whole(NamedTuple):
    """Runs of which nothing is missing, with their ends and files, and what others lack."""

    runs: list[Run]
    ends: dict[str, End]
    tables: dict[str, RunFiles]
    faults: list[Fault]


def _whole_runs(store: Backend, run_ids: Sequence[str]) -> _Whole:
    readable = dict(_readable(store, run_ids))
    ends = read_ends(store, [run for run in readable.values() if isinstance(run, Run)])
    runs: list[Run] = []
    tables: dict[str, RunFiles] = {}
    faults: list[Fault] = []
    for run_id, run in readable.items():
        try:
            for record in (run, ends.get(run_id)):
                if isinstance(record, StoreError):
                    raise record
            tables[run_id] = standing_tables(store, run_id)
            read_gradings(store, run_id)
        except StoreError as unusable:
            faults.append(as_fault(run_id, unusable))
        else:
            assert isinstance(run, Run)
            runs.append(run)
    faults += find_faults(store, tables, {run.run_id: run.problem_set for run in runs})
    broken = {fault.run_id for fault in faults}
    known = {run_id: end for run_id, end in ends.items() if not isinstance(end, StoreError)}
    return _Whole([run for run in runs if run.run_id not in broken], known, tables, faults)


def _readable(store: Backend, run_ids: Sequence[str]) -> Iterator[tuple[str, Run | StoreError]]:
    """Each run by its record, or why that cannot be read."""
    try:
        yield from zip(run_ids, open_runs(store, run_ids), strict=True)
    except StoreError:
        for run_id in run_ids:
            try:
                yield run_id, open_run(store, run_id)
            except StoreError as fault:
                yield run_id, fault


def has_older_files(runs: Sequence[Run]) -> bool:
    """Whether some files may lack columns; one file without rows then stands for what there are."""
    return any(run.schema_revision < SCHEMA_REVISION for run in runs)


def text_files(
    store: Backend, reader: Reader, run_id: str, borrowers: Sequence[str] = ()
) -> list[str]:
    """Paths of the texts a run has stored; of a run that is not here, those that came with others."""
    files = standing_tables(store, run_id).get("trajectory_texts", [])
    for borrower in () if files else borrowers:
        lent = [file for file in lent_files(store, borrower) if file["run_id"] == run_id]
        files = files + [StandingFile(f["path"], f["sha256"], f["bytes"]) for f in lent]
    return [reader.admit(file.path, file.bytes) for file in dict.fromkeys(files)]


def _written(table: str, rows: Iterable[Row], folder: Path) -> str:
    path = folder / f"{table}.parquet"
    write_rows(path, TABLES[table], rows)
    return str(path)


def _gradings(
    store: Backend, runs: Sequence[Run], units: Mapping[str, Sequence[Unit]]
) -> Iterator[Row]:
    keys = set(store.list("runs"))
    for run in runs:
        begun = datetime.fromisoformat(run.created_at)
        records = as_published(read_gradings(store, run.run_id, keys), units[run.run_id])
        yield from grading_rows(run.run_id, begun, records)


def _empty_file(table: str, folder: Path) -> str:
    parts = (f"schema={SCHEMA_VERSION}", "run_id=none", "round=0")
    path = folder.joinpath(*parts, f"{table}.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, TABLES[table], ())
    return str(path)
