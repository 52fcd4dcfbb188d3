"""Which files each table is: what the views of a warehouse are made over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pacore.commits import standing_files
from pacore.errors import Refused
from pacore.run import open_run, run_rows
from pacore.store import Backend
from pacore.tables import TABLES, write_rows

STAGED = (
    "runs",
    "problems",
    "trajectories",
    "trajectory_texts",
    "messages",
    "answers",
    "scores",
)
"""Tables in the order their views are made: later ones may read earlier ones."""


def table_files(store: Backend, run_ids: Sequence[str], folder: Path) -> dict[str, list[str]]:
    """Local paths of the files of each table, for the runs named; no list is empty.

    Runs are written to a file in ``folder``, and so is a file without rows for every table nobody
    has written to, so that it has its columns all the same. Raises Refused for an unknown run, and
    for a store whose own folders read as a partition.
    """
    for part in Path(store.uri("data")).parts:
        if part.casefold().startswith(("run_id=", "round=")):
            raise Refused(f"a folder named {part} cannot hold a store: its tables use that name")
    runs = [open_run(store, run_id) for run_id in run_ids]
    files: dict[str, list[str]] = {name: [] for name in STAGED}
    for run in runs:
        for table, keys in standing_files(store, run.run_id).items():
            files[table] += [store.uri(key) for key in keys]
    files["problems"] = sorted({store.uri(run.problem_set) for run in runs})
    files["runs"] = [_runs_file(store, run_ids, folder)]
    return {name: paths or [_empty_file(name, folder)] for name, paths in files.items()}


def text_files(store: Backend, run_id: str) -> list[str]:
    """Local paths of the texts a run has stored."""
    keys = standing_files(store, run_id).get("trajectory_texts", [])
    return [store.uri(key) for key in keys]


def _runs_file(store: Backend, run_ids: Sequence[str], folder: Path) -> str:
    path = folder / "runs.parquet"
    chosen = set(run_ids)
    write_rows(path, TABLES["runs"], (row for row in run_rows(store) if row[0] in chosen))
    return str(path)


def _empty_file(table: str, folder: Path) -> str:
    path = folder / "run_id=none" / "round=0" / f"{table}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, TABLES[table], ())
    return str(path)
