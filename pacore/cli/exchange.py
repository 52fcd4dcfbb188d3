"""Commands that exchange runs: ``import`` of trajectories made elsewhere, ``export`` of a run, as it is or
for a trainer, and ``verify-export`` of what a trainer is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import click

from pacore.api.progress import waiting
from pacore.api.results import results_of
from pacore.cli.config_options import checked
from pacore.cli.options import OneOf, print_results, with_format, with_new_store, with_store
from pacore.core.config.imports import ImportConfig
from pacore.core.config.mapping import FieldMapping
from pacore.core.problem import Problem
from pacore.errors import BadInput, Exit, Refused
from pacore.evaluation.evidence import evidence_of
from pacore.exchange.export_folder import export_run, is_export
from pacore.exchange.imports import import_export, import_of, publish_import
from pacore.exchange.openai_batch import BatchPrompts, read_prompts
from pacore.exchange.reader import FORMATS, PassReader, detect
from pacore.exchange.reference import FileFormat
from pacore.exchange.source import SourceFile, sources
from pacore.exchange.survey import survey_file
from pacore.problems.files import generated_ids, read_problem_set
from pacore.problems.issues import BadProblems
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.run import is_closed, open_run
from pacore.store.training import STAGES, find_training
from pacore.text import shown
from pacore.training.exports.formats import TRAINER_FORMATS
from pacore.warehouse.views import ReportWarehouse

AUTO, EXPORT = "auto", "export"


IMPORT_FORMATS = (AUTO, *FORMATS, EXPORT)


@dataclass(frozen=True)
class ImportOptions:
    """What a person asks an import to do; ``form`` is one of `IMPORT_FORMATS`."""

    store: str
    form: str = AUTO
    problems: str | None = None
    fields: str | None = None
    prompts: str | None = None
    model: str | None = None
    run_id: str | None = None
    replicates: int | None = None


def import_from(place: str, options: ImportOptions) -> int:
    """Import a file, or a folder that ``pacore export`` wrote; returns the exit code."""
    with waiting(f"reading {shown(place)}"):
        return _import_from(place, options)


def _import_from(place: str, options: ImportOptions) -> int:
    if options.form == EXPORT or (options.form == AUTO and is_export(place)):
        return _import_export(place, options)
    config = _config(place, options)
    with _surveyed(place, options, config.fields) as (reader, notes):
        found = survey_file(reader, options.replicates)
        for note in [*notes, *found.notes]:
            _say(note)
        store = open_store(options.store)
        made = import_of(found, config.model)
        run_id = config.run_id or made.run_id
        config = config.model_copy(update={"run_id": run_id})
        was_closed = is_closed(store, run_id)
        publish_import(store, made, config, _say)
    if was_closed:
        _say(f"run {run_id} is imported already; nothing to do")
    return print_results(results_of(options.store, run_id), options.store)


def export_to(run_id: str, place: str, store: str, *, incomplete: bool = False) -> int:
    """Write a run as a folder of its own, ready for ``pacore import`` elsewhere.

    Raises Refused for a run that lacks a part of what it planned, unless ``incomplete``, and for a
    training set, which has several.
    """
    opened = open_store(store)
    if (training := find_training(opened, run_id)) is not None:
        raise Refused(
            f"{run_id} is a training set; --format names the trainer it is for "
            f"({', '.join(TRAINER_FORMATS)}), and its runs are exported by their own names "
            f"({', '.join(training.runs)})"
        )
    if not incomplete:
        refuse_incomplete(opened, run_id)
    done = export_run(opened, run_id, open_store(place, "DEST"))
    if not done.added:
        _say(f"{place} has run {run_id} already; nothing to do")
    click.echo(f"exported run {run_id} to {place}: {done.files:,} files, {done.bytes:,} bytes")
    return Exit.COMPLETE


def refuse_incomplete(store: Backend, run_id: str) -> None:
    """Raise Refused where the evidence of a run is not complete, naming the first thing that is lacking."""
    open_run(store, run_id)
    with ReportWarehouse(store, [run_id]) as warehouse:
        lacking = list(evidence_of(warehouse, [run_id], None).missing("complete"))
    if lacking:
        raise Refused(
            f"run {run_id} is not complete ({lacking[0]}); --incomplete exports it as it is"
        )


def _import_export(place: str, options: ImportOptions) -> int:
    given = {
        "--problems": options.problems,
        "--fields": options.fields,
        "--prompts": options.prompts,
        "--model": options.model,
    }
    if unused := [flag for flag, value in given.items() if value is not None]:
        raise BadInput(f"{unused[0]}: an export says that itself")
    store = open_store(options.store)
    done = import_export(open_store(place, "FILE"), store, options.run_id)
    for note in done.notes:
        _say(note)
    if not done.added:
        _say(f"run {done.run_id} is in {options.store} already; nothing to do")
    click.echo(f"imported run {done.run_id}: {done.files:,} files verified, {done.added:,} added")
    return Exit.COMPLETE


def _config(place: str, options: ImportOptions) -> ImportConfig:
    """What the record of the run says of its import. Raises BadInput naming a wrong flag."""
    given = {
        "problems": options.problems or place,
        "fields": options.fields,
        "model": options.model,
        "store": options.store,
        "run_id": options.run_id,
    }
    if options.model is None:
        raise BadInput("--model: is needed: who made these trajectories?")
    if options.fields is not None and options.problems is None:
        raise BadInput("--fields: says how to read --problems, which is not given")
    if options.replicates is not None and options.replicates < 1:
        raise BadInput("--replicates: must be at least 1")
    return checked(ImportConfig, given)


@contextmanager
def _surveyed(
    place: str, options: ImportOptions, fields: FieldMapping
) -> Iterator[tuple[PassReader, list[str]]]:
    """A reader of the file, over copies that last as long as the context."""
    urls = [place] if options.prompts is None else [place, options.prompts]
    with sources(*urls) as copies:
        form = detect(copies[0]) if options.form == AUTO else _form(options.form)
        problems = _problems(form, options, fields)
        prompts = _prompts(form, copies[1:], problems)
        by_row = [] if options.problems is None else generated_ids(options.problems, fields)
        yield (
            PassReader(copies[0], form, problems, prompts, by_row),
            [f"{place}: reading as {form}"],
        )


def _form(name: str) -> FileFormat:
    return next(form for form in FORMATS if form == name)


def _problems(
    form: FileFormat, options: ImportOptions, fields: FieldMapping
) -> list[Problem] | None:
    if options.problems is not None:
        return read_problem_set(options.problems, fields=fields)
    if form == "pacore-train":
        return None
    raise BadInput(f"--problems: is needed: a file of format {form} does not state the problems")


def _prompts(
    form: FileFormat, copies: list[SourceFile], problems: list[Problem] | None
) -> BatchPrompts | None:
    if not copies:
        return None
    if form != "openai-batch":
        raise BadInput(f"--prompts: is the input file of an openai-batch; this is {form}")
    prompts, issues = read_prompts(copies[0], problems or [])
    if issues:
        raise BadProblems(issues)
    return prompts


def _say(text: str) -> None:
    click.echo(text, err=True)


@click.command("import")
@with_new_store
@with_format(*IMPORT_FORMATS)
@click.option("--problems", metavar="SET", help="Problem set the file's trajectories are of.")
@click.option(
    "--fields", metavar="PART=PATH,…", help="Which field of the problem set is what, as in run."
)
@click.option("--prompts", metavar="FILE", help="Input file of an openai-batch: what was asked.")
@click.option("--model", help="Model that made the trajectories, as far as you know.")
@click.option("--run-id", help="Name of the run; without one it is made from the content.")
@click.option(
    "--replicates",
    type=int,
    help="Replicates of each problem to take; by default as many as every problem has.",
)
@click.argument("place", metavar="FILE")
def import_command(place: str, **options: Any) -> int:
    """Import trajectories made elsewhere, or a folder that export wrote."""
    return import_from(place, ImportOptions(**options))


RUN_FORMAT = "run"


@dataclass(frozen=True)
class TrainerOptions:
    """What shapes an export for a trainer, as it is typed; None where nothing was."""

    synthesis: str | None
    stage: str | None
    messages: str | None
    rows: int | None
    seed: int | None
    most: int | None
    max_tokens: int | None
    thinking: str | None

    @property
    def given(self) -> dict[str, Any]:
        """The options that were typed, by their flags."""
        return {
            f"--{field.name.replace('_', '-')}": value
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }


def export_for_trainer(
    name: str,
    place: str,
    store: str,
    form: str,
    options: TrainerOptions,
    *,
    incomplete: bool = False,
) -> int:
    """Write a training set or a run in a trainer's format. Raises as `export_training` does."""
    from pacore.training.exports.export import export_training, material_of
    from pacore.training.exports.formats import RowOptions

    if "://" in place:
        raise BadInput(f"{place}: an export for a trainer is a local folder")
    typed = asdict(options)
    synthesis, stage = typed.pop("synthesis"), typed.pop("stage")
    sizes = None if options.messages is None else _sizes(options.messages)
    given = {key: value for key, value in typed.items() if value is not None and key != "messages"}
    if sizes is not None:
        given["sizes"] = sizes
    with waiting(f"exporting {shown(name)}"):
        material = material_of(open_store(store), name, synthesis, stage)
        rows = RowOptions(form, stage=material.stage, **given)  # type: ignore[arg-type]
        done = export_training(material, rows, Path(place), incomplete=incomplete)
    manifest = done.manifest
    for why, number in (*manifest.problems.items(), *manifest.trajectories.items()):
        if why != "kept":
            _say(f"left out {number:,}: {why}")
    for note in done.notes:
        _say(f"note: {note}")
    click.echo(
        f"exported {name} as {form} to {place}: {manifest.rows:,} rows, {done.files:,} files, "
        f"{done.bytes:,} bytes"
    )
    return Exit.COMPLETE


def _sizes(text: str) -> tuple[int, int]:
    """The range of |M| as it is typed: ``16-24``, or one number."""
    least, dash, most = text.partition("-")
    if not (least.isdecimal() and (most.isdecimal() or not dash)):
        raise BadInput(f"--messages {text!r}: must be two numbers such as 16-24, or one")
    found = int(least), int(most if dash else least)
    if not 1 <= found[0] <= found[1]:
        raise BadInput(
            f"--messages {text!r}: must be from 1 on, the first no larger than the second"
        )
    return found


def with_checks(command: Callable[..., Any]) -> Callable[..., Any]:
    """What an export is checked with beside what is in it."""
    tokenizer = "Count lengths and check masks by this tokenizer."
    python = "Load the rows with the trainer's own loader, by the Python of its environment."
    trainer = click.option("--trainer-python", metavar="PYTHON", help=python)
    return click.option("--tokenizer", metavar="FOLDER", help=tokenizer)(trainer(command))


@click.command("export")
@with_store
@with_format(RUN_FORMAT, *TRAINER_FORMATS)
@click.option(
    "--incomplete", is_flag=True, help="Export a run that lacks a part of what it planned, too."
)
@click.option(
    "--synthesis", metavar="RUN", help="Run of the trajectories that saw messages of RUN's pool."
)
@click.option(
    "--stage",
    type=OneOf(STAGES),
    help="Stage of a training set whose problems are taken.  [default: the last]",
)
@click.option(
    "--messages", metavar="LEAST-MOST", help="Range of |M|, drawn at each visit.  [default: 16-24]"
)
@click.option("--rows", type=click.IntRange(1), help="Visits in a schedule.  [default: 4000]")
@click.option("--seed", type=click.IntRange(0), help="Seed of what is drawn.  [default: 0]")
@click.option(
    "--most",
    type=click.IntRange(1),
    help="Rows of one problem at most, of trajectories.  [default: 8]",
)
@click.option("--max-tokens", type=click.IntRange(1), help="Longest trajectory that is taken.")
@click.option(
    "--thinking",
    type=OneOf(("inline", "field", "drop")),
    help="Where the thoughts of a trajectory stand.  [default: inline]",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Check what was written, as verify-export does; --tokenizer and --trainer-python check, too.",
)
@with_checks
@click.argument("name", metavar="RUN")
@click.argument("place", metavar="DEST")
def export_command(
    store: str,
    name: str,
    place: str,
    form: str,
    incomplete: bool,
    verify: bool,
    tokenizer: str | None,
    trainer_python: str | None,
    **options: Any,
) -> int:
    """Write a run for another store, or for a trainer.

    A trainer's format takes a run or a training set; a run's pool is the trajectories of its round 1.
    The folder has the rows, the reward and the data set as code that runs without pacore, the launch
    file with the paper's recipe, a manifest with all digests, and a card.
    """
    verify = verify or tokenizer is not None or trainer_python is not None
    trainer = TrainerOptions(**options)
    if form == RUN_FORMAT:
        if typed := list(trainer.given):
            raise BadInput(f"{typed[0]}: is for a trainer's format; --format names one")
        if verify:
            raise BadInput(
                "--verify: is for a trainer's format; pacore import checks a run's export"
            )
        return export_to(name, place, store, incomplete=incomplete)
    code = export_for_trainer(name, place, store, form, trainer, incomplete=incomplete)
    return verify_folder(place, tokenizer, trainer_python) if verify else code


def verify_folder(
    place: str, tokenizer: str | None = None, trainer_python: str | None = None
) -> int:
    """Check an export for a trainer, and print what was found; 1 where something is wrong."""
    from pacore.training.exports.verify import verify_export

    with waiting(f"checking {shown(place)}"):
        found = verify_export(Path(place), tokenizer, trainer_python)
    for line in found.facts:
        click.echo(line)
    for fault in found.faults:
        _say(f"FAULT: {fault}")
    click.echo(f"{place}: {len(found.faults):,} faults" if found.faults else f"{place}: verified")
    return Exit.FAULT if found.faults else Exit.COMPLETE


@click.command("verify-export")
@with_checks
@click.argument("place", metavar="FOLDER")
def verify_export_command(place: str, tokenizer: str | None, trainer_python: str | None) -> int:
    """Check an export for a trainer, its reward included.

    Digests, columns, prompts, duplicates, and whether a problem states its gold answer. The reward is
    run as the trainer runs it, without pacore: on messages whose score is known, and on responses that
    are right, wrong, empty and hostile.
    """
    return verify_folder(place, tokenizer, trainer_python)
