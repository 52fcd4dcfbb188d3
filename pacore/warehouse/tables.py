"""Which files each table is: what the views of a warehouse are made over.

The tables ``runs`` and ``gradings`` are no files of a store: they are made of its records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pacore.core.identity import canonical_json
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend, Reader
from pacore.store.commits import DataFile, current_tables
from pacore.store.gradings import (
    GradingRecord,
    as_published,
    current_grading,
    own_grading,
    read_gradings,
)
from pacore.store.integrity import Fault, RunFiles, as_fault, find_faults
from pacore.store.layout import (
    SCHEMA_VERSION,
    Unit,
    budget_stops_prefix,
    final_key,
    retries_prefix,
    unit_of_data,
)
from pacore.store.nights import Night, read_nights
from pacore.store.records import BadRecord, decode
from pacore.store.run import (
    BUDGET_STATUS,
    Run,
    RunEnd,
    imported_texts,
    open_run,
    open_runs,
)
from pacore.store.schema import (
    ANSWERS,
    BOOL,
    DOUBLE,
    FORMER_TABLES,
    INT32,
    INT32_LIST,
    INT64,
    MESSAGES,
    PROBLEMS,
    SCHEMA_REVISION,
    STOPS,
    STRING,
    STRING_LIST,
    TIME,
    TRAINING_DECISIONS,
    TRAJECTORIES,
    TRAJECTORY_TEXTS,
    VERDICTS,
    Noun,
    Row,
    TableSchema,
    optional,
    required,
)
from pacore.store.training import read_all_training
from pacore.warehouse.connection import Connection
from pacore.warehouse.prices import PRICES, Price


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run and how it ended, None for one that is open: one row of the table ``runs``.

    ``is_stopped``: its budget has stopped it at some time.
    """

    run: Run
    end: RunEnd | None
    is_stopped: bool = False

    @property
    def status(self) -> str:
        if self.end is None:
            return BUDGET_STATUS if self.is_stopped else "open"
        return "failures" if self.end.counts.get("failed") else "complete"

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(self.run.created_at)

    @property
    def finished_at(self) -> datetime | None:
        return self.end.finished_at if self.end else None

    @property
    def problem_set(self) -> str:
        return PurePosixPath(self.run.problem_set).stem

    @property
    def recipe(self) -> str:
        return canonical_json(self.run.recipe.as_json()).decode()

    @property
    def plan(self) -> str:
        return canonical_json(self.run.plan.as_json()).decode()

    @property
    def producer(self) -> str:
        return canonical_json(self.run.producer).decode()

    @property
    def needed_messages(self) -> tuple[int, ...]:
        return tuple(step.need for step in self.run.plan.steps)

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(step.kind for step in self.run.plan.steps)

    @property
    def bound_tokens(self) -> tuple[int | None, ...]:
        return tuple(step.max_tokens for step in self.run.plan.steps)


RUNS = TableSchema(
    "runs",
    StartedRun,
    (
        required("run_id", STRING, "run.run_id"),
        required("status", STRING),
        required("created_at", TIME),
        optional("finished_at", TIME),
        required("identity_digest", STRING, "run.identity_digest"),
        required("problem_set", STRING),
        required("problems", INT64, "run.problems"),
        required("model", STRING, "run.recipe.model"),
        optional("revision", STRING, "run.recipe.revision"),
        required("widths", INT32_LIST, "run.plan.widths"),
        required("replicates", INT32, "run.plan.replicates"),
        required("rounds", INT32, "run.plan.rounds"),
        required("recipe", STRING),
        required("plan", STRING),
        required("producer", STRING),
        optional("needed_messages", INT32_LIST),
        optional("on_shortfall", STRING, "run.plan.on_shortfall"),
        optional("truncated", STRING, "run.plan.truncated"),
        optional("pool", INT32, "run.plan.pool"),
        optional("compaction", STRING, "run.plan.compaction"),
        optional("steps", STRING_LIST),
        optional("bound_tokens", INT32_LIST),
    ),
)


@dataclass(frozen=True, slots=True)
class RunGrading:
    """A grading of a run, and whether its verdicts are current: one row of the table ``gradings``."""

    run_id: str
    record: GradingRecord
    is_current: bool


GRADINGS = TableSchema(
    "gradings",
    RunGrading,
    (
        required("run_id", STRING),
        required("grading", STRING, "record.grading_id"),
        required("sequence", INT32, "record.sequence"),
        required("grader", STRING, "record.grading.grader"),
        required("grader_version", STRING, "record.grading.grader_version"),
        required("against", STRING, "record.grading.against"),
        required("created_at", TIME, "record.created_at"),
        optional("finished_at", TIME, "record.finished_at"),
        required("stands", BOOL, "is_current"),
    ),
)


@dataclass(frozen=True, slots=True)
class ComparedNight:
    """A night, and one of its comparisons with the baseline (`NightMeasure`), all of whose fields are None
    where there was none: one row of the table ``nights``.
    """

    night: Night
    measure: str | None = None
    nights: int | None = None
    problems: int | None = None
    value: float | None = None
    baseline: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    is_alarm: bool | None = None
    arm: str | None = None

    @staticmethod
    def of(night: Night) -> Iterator[ComparedNight]:
        for test in night.measures:
            yield ComparedNight(night, **{**asdict(test), "arm": test.arm or None})
        if not night.measures:
            yield ComparedNight(night)


NIGHTS = TableSchema(
    "nights",
    ComparedNight,
    (
        required("job", STRING, "night.job"),
        required("run_id", STRING, "night.run_id"),
        required("ended_at", TIME, "night.ended_at"),
        required("decision", STRING, "night.decision"),
        required("reasons", STRING_LIST, "night.reasons"),
        required("baseline_runs", STRING_LIST, "night.baseline"),
        required("changed", STRING_LIST, "night.changed"),
        required("flaky", STRING_LIST, "night.flaky"),
        optional("accuracy", DOUBLE, "night.accuracy"),
        optional("accuracy_low", DOUBLE, "night.low"),
        optional("accuracy_high", DOUBLE, "night.high"),
        optional("detectable", DOUBLE, "night.detectable"),
        optional("marginal_tokens", INT64, "night.tokens"),
        optional("stopped_by", STRING, "night.stopped_by"),
        optional("measure", STRING),
        optional("nights", INT32),
        optional("problems", INT64),
        optional("value", DOUBLE),
        optional("baseline", DOUBLE),
        optional("low", DOUBLE),
        optional("high", DOUBLE),
        optional("p", DOUBLE),
        optional("is_alarm", BOOL),
        optional("arm", STRING),
    ),
)

STAGED: dict[str, TableSchema[Any]] = {
    table.name: table
    for table in (
        RUNS,
        PROBLEMS,
        TRAJECTORIES,
        TRAJECTORY_TEXTS,
        MESSAGES,
        STOPS,
        ANSWERS,
        GRADINGS,
        VERDICTS,
        PRICES,
        NIGHTS,
        TRAINING_DECISIONS,
    )
}
"""Tables in the order their views are made: later ones may read earlier ones."""

GROWN = ("trajectories", "verdicts")
"""Tables that have been given columns within a schema version, which older files lack."""


class Staged(NamedTuple):
    """What the views of a warehouse are made over: the paths of each table's files, as its reader
    opens them, their size in the store, the files of each run, the rounds of the run that has fewest, and
    what keeps runs from being among them.
    """

    paths: dict[str, list[str]]
    bytes: dict[str, int]
    runs: dict[str, RunFiles]
    fewest_rounds: int
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """The files that a warehouse makes itself, by its connection, in its folder."""

    connection: Connection
    folder: Path

    def written(self, table: TableSchema[Noun], nouns: Iterable[Noun]) -> str:
        """The path of a file with a row for each noun."""
        return self._write(table, self.folder, map(table.row, nouns))

    def empty(self, table: str) -> str:
        """The path of a file of a table without rows, below folders as those of the store's files."""
        parts = (f"schema={SCHEMA_VERSION}", "run_id=none", "round=0")
        folder = self.folder.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return self._write(STAGED[table], folder, ())

    def _write(self, table: TableSchema[Noun], folder: Path, rows: Iterable[Row]) -> str:
        path = str(folder / f"{table.name}.parquet")
        types = {column.name: column.kind.sql for column in table.columns}
        self.connection.write_rows(path, types, rows)
        return path


def table_files(
    store: Backend,
    reader: Reader,
    run_ids: Sequence[str],
    own: OwnFiles,
    prices: Sequence[Price] = (),
    *,
    is_whole: bool = False,
) -> Staged:
    """The files of each table for those of the runs named whose files are all there.

    ``is_whole``: they are all runs of the store, and so are all nights of its ledger, those whose runs were
    removed or never began too, and all training sets. Else those are there that have one of the runs.

    No list is empty: runs and ``prices`` are written to files in ``own``, and so is a file
    without rows for every table nobody has written to, so that it has its columns all the same.
    Raises Refused for an unknown run.
    """
    runs, ends, tables, faults = _whole_runs(store, run_ids)
    files: dict[str, list[str]] = {name: [] for name in STAGED}
    sizes = dict.fromkeys(STAGED, 0)
    units: dict[str, list[Unit]] = {}
    for run in runs:
        for table, found in tables[run.run_id].items():
            if table not in FORMER_TABLES:
                files[table] += [reader.admit(file.path, file.bytes) for file in found]
                sizes[table] += sum(file.bytes for file in found)
        named = (unit_of_data(f.path) for found in tables[run.run_id].values() for f in found)
        units[run.run_id] = [unit for unit in named if unit is not None]
    for key in sorted({run.problem_set for run in runs}):
        size = store.stat(key).bytes
        files["problems"].append(reader.admit(key, size))
        sizes["problems"] += size
    # A set is frozen once, perhaps by a version that knew fewer columns, whichever runs share it since.
    files["problems"].append(own.empty("problems"))
    keys = set(store.list("runs"))
    started = (
        StartedRun(run, ends[run.run_id], _is_among(keys, budget_stops_prefix(run.run_id)))
        for run in runs
    )
    files["runs"] = [own.written(RUNS, started)]
    files["gradings"] = [own.written(GRADINGS, _gradings(store, runs, units, keys))]
    if has_older_files(runs):
        for table in GROWN:
            files[table].append(own.empty(table))
    if prices:
        files["prices"] = [own.written(PRICES, prices)]
    if nights := read_nights(store, runs=None if is_whole else units):
        rows = (row for night in nights for row in ComparedNight.of(night))
        files["nights"] = [own.written(NIGHTS, rows)]
    decisions = [
        reader.admit(key)
        for record in read_all_training(store)
        if is_whole or units.keys() & set(record.runs)
        for key in record.decisions.values()
    ]
    files["training_decisions"] = decisions
    paths = {name: found or [own.empty(name)] for name, found in files.items()}
    fewest_rounds = min((run.plan.rounds for run in runs), default=1)
    whole = {run.run_id: tables[run.run_id] for run in runs}
    return Staged(paths, sizes, whole, fewest_rounds, faults)


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


def _gradings(
    store: Backend,
    runs: Sequence[Run],
    units: Mapping[str, Sequence[Unit]],
    keys: Collection[str],
) -> Iterator[RunGrading]:
    """The gradings of some runs; ``keys`` are those of all records of runs."""
    for run in runs:
        begun = datetime.fromisoformat(run.created_at)
        records = as_published(read_gradings(store, run.run_id, keys), units[run.run_id])
        yield from run_gradings(run.run_id, begun, records)


def _retries_among(keys: set[str], run_id: str) -> int:
    return sum(key.startswith(f"{retries_prefix(run_id)}/") for key in keys)


def _is_among(keys: Collection[str], folder: str) -> bool:
    return any(key.startswith(f"{folder}/") for key in keys)


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


def run_gradings(
    run_id: str, created_at: datetime, records: list[GradingRecord]
) -> Iterator[RunGrading]:
    """The gradings of a run, its own as number 0."""
    current = current_grading(records)
    yield RunGrading(run_id, own_grading(created_at), is_current=current is None)
    for record in records:
        yield RunGrading(run_id, record, is_current=record is current)
