"""Writes an export for a trainer: rows, the package with reward and data set, launch files, manifest, card.

The folder appears whole or not at all: it is written beside its place under another name and then renamed.
A folder that is there is never written to.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import file_digest
from pathlib import Path

from pydantic import JsonValue

from pacore import __version__
from pacore.core.grading.extraction.extract import EXTRACTION_VERSION
from pacore.core.grading.rules import RULES_VERSION
from pacore.core.prompt import SYNTHESIS
from pacore.errors import BadInput, PacoreError, Refused
from pacore.evaluation.evidence import evidence_of
from pacore.store.backends.local import full
from pacore.store.backends.protocol import Backend
from pacore.store.parquet import write_rows
from pacore.store.run import Run, open_run
from pacore.store.training import Stage, counts, find_training, kept_problems
from pacore.training.examples import TrainingExample, examples_of
from pacore.training.exports.formats import (
    OF_SYNTHESES,
    SCHEDULED,
    RowOptions,
    data_files,
    modules_of,
)
from pacore.training.exports.launch import launch_files
from pacore.training.exports.manifest import (
    CARD,
    MANIFEST,
    ExportedRun,
    ExportedSource,
    TrainingFile,
    TrainingManifest,
    card,
    written,
)
from pacore.training.exports.package import package_files, requirements
from pacore.training.exports.rows import (
    POOLS,
    Selection,
    pool_rows,
    preference_rows,
    scheduled_rows,
    sft_rows,
    train_rows,
)
from pacore.training.handoff.records import ExportRow
from pacore.warehouse.views import ReportWarehouse


@dataclass(frozen=True)
class Material:
    """What is exported: the runs of a training set and the problems that a stage kept, or a run."""

    store: Backend
    name: str
    pool_run: str
    further_runs: tuple[str, ...] = ()
    synthesis_run: str | None = None
    problem_ids: tuple[str, ...] | None = None
    stage: str = ""
    filters: dict[str, JsonValue] | None = None
    bands: dict[str, JsonValue] | None = None
    stages: tuple[tuple[str, str, str, int], ...] = ()

    @property
    def run_ids(self) -> list[str]:
        last = [] if self.synthesis_run is None else [self.synthesis_run]
        return list(dict.fromkeys([self.pool_run, *self.further_runs, *last]))

    def examples(self) -> Iterator[TrainingExample]:
        return examples_of(
            self.store, self.pool_run, self.problem_ids, self.synthesis_run, self.further_runs
        )


@dataclass(frozen=True, slots=True)
class ExportedTraining:
    """What was written: the manifest, the files' number and bytes, and what to know of the rows."""

    manifest: TrainingManifest
    files: int
    bytes: int
    notes: tuple[str, ...] = ()


def material_of(
    store: Backend, name: str, synthesis: str | None = None, stage: Stage | None = None
) -> Material:
    """The training set of that name, as its last stage left it or ``stage`` did; else the run.

    Raises Refused where there is neither, and BadInput for what only the other has.
    """
    record = find_training(store, name)
    if record is None:
        if stage is not None:
            raise BadInput(f"--stage: {name} is a run, and only training sets have stages")
        open_run(store, name)
        return Material(store, name, name, synthesis_run=synthesis)
    if synthesis is not None:
        raise BadInput(f"--synthesis: {name} is a training set, whose runs are recorded")
    last = stage or record.last_stage
    return Material(
        store,
        name,
        record.pool_run,
        record.further_runs,
        record.synthesis_run,
        tuple(kept_problems(store, name, last)),
        last,
        record.filters,
        record.bands,
        tuple(
            (one.stage, one.source, one.reason or Selection.KEPT, one.problems)
            for one in counts(store, name)
        ),
    )


def export_training(
    material: Material, options: RowOptions, place: Path, *, incomplete: bool = False
) -> ExportedTraining:
    """Write an export; see the head of this module.

    Raises Refused where the folder is there, where the evidence of a run lacks something unless
    ``incomplete``, and where no row is left; PacoreError where the disk takes no more.
    """
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise Refused(
            f"{place}: is there already, and nothing is overwritten; export to a new folder"
        )
    runs = [open_run(material.store, run_id) for run_id in material.run_ids]
    records = _evidence(material.store, runs)
    _refuse_lacking(records, incomplete)
    partial = place.parent / f".{place.name}.{secrets.token_hex(4)}.partial"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        done = _write(material, options, partial, records, runs[0])
        _synced(partial)
        if place.is_dir():
            place.rmdir()
        partial.rename(place)
    except OSError as fault:
        if found := full(place, fault):
            raise found from fault
        raise PacoreError(f"{place}: cannot be written: {fault.strerror or fault}") from fault
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return done


def _refuse_lacking(records: Sequence[ExportedRun], incomplete: bool) -> None:
    for record in records:
        if record.missing and not incomplete:
            raise Refused(
                f"run {record.run_id} is not fit to train on ({record.missing[0]}); "
                "--incomplete exports it as it is"
            )


def _evidence(store: Backend, runs: Sequence[Run]) -> list[ExportedRun]:
    """Each run with the verdict on its evidence and the graders whose verdicts count."""
    with ReportWarehouse(store, [run.run_id for run in runs]) as warehouse:
        found = []
        for run in runs:
            evidence = evidence_of(warehouse, [run.run_id], None)
            graders = warehouse.query(
                "SELECT DISTINCT grader || ' ' || grader_version FROM verdicts "
                f"WHERE run_id = '{run.run_id.replace(chr(39), chr(39) * 2)}' ORDER BY 1"
            )
            found.append(
                ExportedRun(
                    run.run_id,
                    run.identity_digest,
                    run.recipe.model,
                    dict(run.identity["recipe"]),
                    {"complete": evidence.complete, "observed": evidence.observed},
                    tuple(map(str, evidence.missing())),
                    tuple(name for (name,) in graders.rows),
                )
            )
        return found


def _write(
    material: Material,
    options: RowOptions,
    folder: Path,
    records: Sequence[ExportedRun],
    run: Run,
) -> ExportedTraining:
    """Write all files of an export into an empty folder, the manifest last."""
    selection = Selection()
    rows = _write_rows(material, options, folder, run, selection)
    data, _ = data_files(options.form)
    modules = modules_of(options.form)
    needed = requirements(modules)
    for name, text in (
        *package_files(modules),
        *launch_files(options, rows[data], needed),
        ("requirements.txt", "\n".join(needed) + "\n"),
    ):
        _put(folder / name, text.encode())
    described = _manifest(material, options, records, selection, rows, needed)
    _put(folder / CARD, card(_with_files(described, folder, rows)).encode())
    manifest = _with_files(described, folder, rows)
    _put(folder / MANIFEST, written(manifest))
    size = sum(file.bytes for file in manifest.files)
    notes = tuple(_notes(options, selection))
    return ExportedTraining(manifest, len(manifest.files) + 1, size, notes)


def _notes(options: RowOptions, selection: Selection) -> Iterator[str]:
    """What a person should know of the rows that were written."""
    (least, most), found = options.sizes, selection.most_messages
    _, pools = data_files(options.form)
    if pools is not None and least < most and found <= least:
        yield (
            f"no pool has more than {found} messages, so that {least} to {most} of them are all at every "
            f"visit; --messages {max(1, 2 * found // 3)}-{found} draws fewer"
        )


def _write_rows(
    material: Material, options: RowOptions, folder: Path, run: Run, selection: Selection
) -> dict[str, int]:
    """The number of rows of each data file. Raises Refused where none is left."""
    data, pools = data_files(options.form)
    examples = _observed(material, options)
    written_rows: dict[str, int] = {}
    if pools is not None:
        path = folder / pools
        path.parent.mkdir(exist_ok=True)
        made = (POOLS.row(row) for row in pool_rows(run, examples, options, selection))
        written_rows[pools] = write_rows(path, POOLS, made)
        _refuse_empty(written_rows[pools], material, selection)
    if data == pools:
        return written_rows
    if options.form in SCHEDULED:
        lines: Iterable[ExportRow] = scheduled_rows(str(folder / (pools or "")), options)
    elif options.form == "trl-sft":
        lines = sft_rows(run, examples, options, selection)
    elif options.form == "trl-preference":
        lines = preference_rows(run, examples, options, selection)
    else:
        lines = train_rows(run, examples, selection)
    written_rows[data] = _write_lines(folder / data, lines)
    _refuse_empty(written_rows[data], material, selection)
    return written_rows


def _observed(material: Material, options: RowOptions) -> Iterator[TrainingExample]:
    """The examples. Raises Refused where there are pools, and nothing says what any of them is worth."""
    seen = observed = 0
    for example in material.examples():
        seen, observed = seen + len(example.pool), observed + example.observed
        yield example
    if seen and not observed and options.form not in OF_SYNTHESES:
        raise Refused(
            f"round 1 of run {material.pool_run} has no verdicts, which pacore grade makes"
        )


def _refuse_empty(rows: int, material: Material, selection: Selection) -> None:
    if rows == 0:
        left = {**selection.problems, **selection.trajectories}
        why = "; ".join(f"{number:,} {name}" for name, number in left.items() if name != "kept")
        raise Refused(f"{material.name}: no row is left to export: {why or 'it has no problem'}")


def _write_lines(path: Path, rows: Iterable[ExportRow]) -> int:
    """A line of JSON for each row, in ASCII where it has a character that controls lines or text."""
    number = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            text = json.dumps(row.as_json, ensure_ascii=False)
            file.write((text if text.isprintable() else json.dumps(row.as_json)) + "\n")
            number += 1
    return number


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if path.suffix == ".sh":
        path.chmod(0o755)


def _manifest(
    material: Material,
    options: RowOptions,
    records: Sequence[ExportedRun],
    selection: Selection,
    rows: dict[str, int],
    needed: dict[str, str],
) -> TrainingManifest:
    data, pools = data_files(options.form)
    return TrainingManifest(
        kind="training-export",
        format=options.form,
        name=material.name,
        rows=rows[data],
        data=data,
        pools=pools,
        runs=tuple(records),
        sources=tuple(
            ExportedSource(name, licence, number)
            for (name, licence), number in sorted(selection.sources.items())
        ),
        settings={**asdict(options), "sizes": list(options.sizes)},
        problems=dict(sorted(selection.problems.items())),
        trajectories=dict(sorted(selection.trajectories.items())),
        versions={
            "pacore": __version__,
            "grading": RULES_VERSION,
            "extraction": EXTRACTION_VERSION,
            "template": SYNTHESIS.digest,
            **needed,
        },
        files=(),
        filters=material.filters or {},
        bands=material.bands or {},
        stages=material.stages,
    )


def _with_files(manifest: TrainingManifest, folder: Path, rows: dict[str, int]) -> TrainingManifest:
    """The manifest with the files that are in the folder, itself left out."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        found.append(TrainingFile(name, sha256_of(path), path.stat().st_size, rows.get(name)))
    return replace(manifest, files=tuple(found))


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _synced(folder: Path) -> None:
    """Have the disk hold every file before the folder gets its name."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
