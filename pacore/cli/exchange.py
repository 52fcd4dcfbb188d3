"""Commands that exchange runs: ``import`` of trajectories made elsewhere, ``export`` of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from pacore.api.progress import waiting
from pacore.api.runs import results_of
from pacore.cli.config_options import checked
from pacore.cli.options import with_format, with_new_store, with_store
from pacore.cli.run import print_results
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
from pacore.text import shown
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

    Raises Refused for a run that lacks a part of what it planned, unless ``incomplete``.
    """
    opened = open_store(store)
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


@click.command("export")
@with_store
@click.option(
    "--incomplete", is_flag=True, help="Export a run that lacks a part of what it planned, too."
)
@click.argument("run_id", metavar="RUN")
@click.argument("place", metavar="DEST")
def export_command(store: str, run_id: str, place: str, incomplete: bool) -> int:
    """Write a run as one folder that another store can import."""
    return export_to(run_id, place, store, incomplete=incomplete)
