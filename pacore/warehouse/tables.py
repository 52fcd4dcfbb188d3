"""Which files each table is: what the views of a warehouse are made over.

Runs as rows of the table ``runs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pacore.core.identity import canonical_json
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend, Reader
from pacore.store.commits import DataFile, current_tables
from pacore.store.gradings import OWN, GradingRecord, as_published, current_grading, read_gradings
from pacore.store.integrity import Fault, RunFiles, as_fault, find_faults
from pacore.store.layout import Unit, final_key, retries_prefix, unit_of_data
from pacore.store.parquet import write_rows
from pacore.store.records import BadRecord, decode
from pacore.store.rows import Row
from pacore.store.run import Run, RunEnd, imported_texts, open_run, open_runs
from pacore.store.schema import SCHEMA_REVISION, SCHEMA_VERSION, TABLES

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
    ends: dict[str, RunEnd | None]
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
            tables[run_id] = current_tables(store, run_id)
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
    files = current_tables(store, run_id).get("trajectory_texts", [])
    for borrower in () if files else borrowers:
        lent = [file for file in imported_texts(store, borrower) if file.run_id == run_id]
        files = files + [DataFile(file.path, file.sha256, file.bytes) for file in lent]
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


def _retries_among(keys: set[str], run_id: str) -> int:
    return sum(key.startswith(f"{retries_prefix(run_id)}/") for key in keys)


def read_ends(store: Backend, runs: Sequence[Run]) -> dict[str, RunEnd | BadRecord | None]:
    """How each run ended, None for one that is open, or why its record of that cannot be used."""
    there = set(store.list("runs"))
    end_of = {run.run_id: final_key(run.run_id, _retries_among(there, run.run_id)) for run in runs}
    closed = {run_id: key for run_id, key in end_of.items() if key in there}
    found: dict[str, RunEnd | BadRecord | None] = dict.fromkeys(end_of)
    for (run_id, key), data in zip(
        closed.items(), store.get_many(list(closed.values())), strict=True
    ):
        try:
            found[run_id] = decode(data, key, RunEnd)
        except BadRecord as bad:
            found[run_id] = bad
    return found


def run_rows(runs: Sequence[Run], ends: Mapping[str, RunEnd | None]) -> Iterator[Row]:
    """Each run as a row of the table ``runs``."""
    for run in runs:
        end = ends[run.run_id]
        status = "open" if end is None else "failures" if end.counts.get("failed") else "complete"
        yield (
            run.run_id,
            status,
            datetime.fromisoformat(run.created_at),
            end.finished_at if end else None,
            run.identity_digest,
            PurePosixPath(run.problem_set).stem,
            run.problems,
            run.recipe.model,
            run.recipe.revision,
            list(run.plan.widths),
            run.plan.replicates,
            run.plan.rounds,
            canonical_json(run.recipe.as_json()).decode(),
            canonical_json(run.plan.as_json()).decode(),
            canonical_json(run.producer).decode(),
            [run.plan.need(round_) for round_ in range(1, run.plan.rounds + 1)],
            run.plan.on_shortfall,
            run.plan.truncated,
            run.plan.pool,
            run.plan.compaction,
            [step.kind for step in run.plan.steps],
            [step.max_tokens for step in run.plan.steps],
        )


def grading_rows(run_id: str, created_at: datetime, records: list[GradingRecord]) -> Iterator[Row]:
    """The gradings of a run as rows of the table ``gradings``, the run's own as number 0."""
    stands = current_grading(records)
    yield run_id, OWN, 0, "auto", "", "gold", created_at, created_at, stands is None
    for record in records:
        grading = record.grading
        yield (
            run_id,
            grading.grading_id,
            record.sequence,
            grading.grader,
            grading.grader_version,
            grading.against,
            record.created_at,
            record.finished_at,
            record is stands,
        )
