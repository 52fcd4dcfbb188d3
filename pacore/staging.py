"""Which files each table is: what the views of a warehouse are made over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pacore.gradings import as_published, grading_rows, read_gradings
from pacore.layout import Unit, unit_of_data
from pacore.lending import lent_files
from pacore.run import Run, open_runs
from pacore.run_rows import run_rows
from pacore.snapshots import standing_sizes
from pacore.store import Backend, Reader
from pacore.tables import SCHEMA_REVISION, SCHEMA_VERSION, TABLES, Row, write_rows

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


def table_files(
    store: Backend,
    reader: Reader,
    run_ids: Sequence[str],
    folder: Path,
    prices: Sequence[Row] = (),
) -> dict[str, list[str]]:
    """Paths of the files of each table, as ``reader`` opens them, for the runs named.

    No list is empty: runs and ``prices`` are written to files in ``folder``, and so is a file
    without rows for every table nobody has written to, so that it has its columns all the same.
    Raises Refused for an unknown run.
    """
    runs = open_runs(store, run_ids)
    files: dict[str, list[str]] = {name: [] for name in STAGED}
    units: dict[str, list[Unit]] = {}
    for run in runs:
        tables = standing_sizes(store, run.run_id)
        for table, sizes in tables.items():
            files[table] += [reader.admit(key, size) for key, size in sizes.items()]
        named = (unit_of_data(key) for sizes in tables.values() for key in sizes)
        units[run.run_id] = [unit for unit in named if unit is not None]
    files["problems"] = [reader.admit(key) for key in sorted({run.problem_set for run in runs})]
    files["runs"] = [_written("runs", run_rows(store, runs), folder)]
    files["gradings"] = [_written("gradings", _gradings(store, runs, units), folder)]
    if has_older_files(runs):
        files["trajectories"].append(_empty_file("trajectories", folder))
    if prices:
        files["prices"] = [_written("prices", prices, folder)]
    return {name: paths or [_empty_file(name, folder)] for name, paths in files.items()}


def has_older_files(runs: Sequence[Run]) -> bool:
    """Whether some files may lack columns; one file without rows then stands for what there are."""
    return any(run.schema_revision < SCHEMA_REVISION for run in runs)


def text_files(
    store: Backend, reader: Reader, run_id: str, borrowers: Sequence[str] = ()
) -> list[str]:
    """Paths of the texts a run has stored; of a run that is not here, those that came with others."""
    sizes = standing_sizes(store, run_id).get("trajectory_texts", {})
    for borrower in () if sizes else borrowers:
        lent = [file for file in lent_files(store, borrower) if file["run_id"] == run_id]
        sizes |= {file["path"]: file["bytes"] for file in lent}
    return [reader.admit(key, size) for key, size in sizes.items()]


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
