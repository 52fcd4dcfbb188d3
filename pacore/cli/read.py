"""Commands that read a store: ``status``, ``show`` and ``query``; and ``tables``, on what can be queried.

What a command needs is imported when it is called: ``query`` starts a process of its own and needs
none of what the others do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from pacore.cli.options import (
    OneOf,
    with_bounds,
    with_format,
    with_prices,
    with_report,
    with_store,
    write_figure,
)
from pacore.errors import BadInput, Exit
from pacore.report.rendering.output import COLUMNAR_FORMS, TEXT_FORMS, form_of, written_whole
from pacore.text import visible

if TYPE_CHECKING:
    from pacore.api.report import Form


@click.command()
@with_store
@click.argument("run_ids", metavar="[RUN]…", nargs=-1)
def status_command(store: str, run_ids: tuple[str, ...]) -> int:
    """Show the progress of the runs of a store."""
    from pacore.report.rendering.terminal import to_text
    from pacore.report.status import status_sheet
    from pacore.store.backends.opening import open_store
    from pacore.store.run import open_run

    opened = open_store(store)
    for run_id in run_ids:
        open_run(opened, run_id)
    click.echo(to_text(status_sheet(opened, run_ids or None)))
    return Exit.COMPLETE


@click.command()
@with_store
@click.argument("run_id", metavar="RUN")
@click.argument("problem_id", metavar="[PROBLEM]", required=False)
@click.option("--whole", "is_whole", is_flag=True, help="With PROBLEM: every conclusion in full.")
@click.option(
    "--replicate",
    type=click.IntRange(min=0),
    metavar="N",
    help="With PROBLEM: the rounds of one replicate; the first is 0.",
)
@click.option(
    "--methods", "is_methods", is_flag=True, help="A paragraph with the run's exact settings."
)
@with_report
def show_command(
    store: str,
    run_id: str,
    problem_id: str | None,
    is_whole: bool,
    replicate: int | None,
    is_methods: bool,
    form: Form,
    figure: str | None,
) -> int:
    """Show a run: its settings, its command, its results; or one problem.

    With PROBLEM, which is an id or the name in the problem file, its rounds are shown: every trajectory
    with the verdict on it, which messages the next round sees, and the answer. A run of several replicates
    shows which share of them is right on each problem, and of one problem a line for each.
    """
    from pacore.api.report import Report
    from pacore.api.store import open_store
    from pacore.report.accuracy import evidence_note
    from pacore.report.rendering.sheet import Sheet, to_json

    for flag, is_given in (("--whole", is_whole), ("--replicate", replicate is not None)):
        if is_given and problem_id is None:
            raise BadInput(f"{flag}: is for one problem; name it after the run")
    if figure is not None and problem_id is not None:
        raise BadInput("--figure: is of a run; leave the problem out")
    opened = open_store(store)
    if is_methods:
        click.echo(visible(opened.methods(run_id)))
        return Exit.COMPLETE
    if problem_id is not None:
        problem = opened.problem(run_id, problem_id, is_whole=is_whole, replicate=replicate)
        click.echo(problem.written(form))
        return Exit.COMPLETE
    settings, results = opened.configuration(run_id), opened.results(run_id)
    if form == "json":
        click.echo(to_json({"settings": settings.data, "results": results.data}))
    else:
        # What the evidence is worth comes first, and once.
        first = Sheet(None, [], [evidence_note(results.data.evidence)])
        pages = [first, *settings.sheets, *(replace(page, lead=()) for page in results.sheets)]
        click.echo(Report(None, pages).written(form))
    write_figure(results, figure)
    return Exit.COMPLETE


@click.command()
@with_store
@click.option(
    "--format",
    "form",
    type=OneOf(TEXT_FORMS + COLUMNAR_FORMS),
    help="Form of the result.  [default: table; with --output, by the ending of FILE]",
)
@click.option(
    "--output",
    metavar="FILE",
    help="Write the result to FILE: .parquet, .arrow, .csv, .tsv, .json or .jsonl.",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE where there is one.")
@with_prices
@with_bounds
@click.argument("sql", metavar="SQL")
def query_command(
    sql: str,
    store: str,
    form: str | None,
    output: str | None,
    overwrite: bool,
    prices: str | None,
    **bounds: Any,
) -> int:
    """Query the tables with SQL: problems, trajectories, messages, answers, scores, runs.

    `pacore tables` lists all of them, and `pacore tables NAME` the columns of one.

    The query runs in a process of its own, which is ended when it takes too long or too much memory.
    FILE appears once the query has ended, and is whole; Parquet and Arrow files keep the types of columns.
    """
    from pacore.bounded import Bounds, run_bounded

    form = form_of(form, output)
    asked, limits = [store, sql, form, prices or ""], Bounds.of(**bounds)
    if output is None:
        run_bounded("pacore.report.query:answer", [*asked, ""], limits)
        return Exit.COMPLETE
    with written_whole(output, overwrite) as file:
        rows = int(
            run_bounded("pacore.report.query:answer", [*asked, file], limits, is_captured=True)
        )
    click.echo(f"{output}: {rows:,} row{'' if rows == 1 else 's'}", err=True)
    return Exit.COMPLETE


@click.command()
@with_format("table", "json")
@click.argument("name", metavar="[NAME]", required=False)
def tables_command(name: str | None, form: str) -> int:
    """List the tables and marts that can be queried; with NAME the columns of one.

    A column has a type, a unit where there is one, and a meaning. This needs no store.
    """
    from pacore.warehouse.catalog import catalog, find_relation

    relation = find_relation(name) if name else None
    if form == "json":
        from pacore.report.rendering.sheet import to_json

        click.echo(to_json(relation or list(catalog().values())))
        return Exit.COMPLETE
    from pacore.report.rendering.catalog import catalog_sheet, relation_sheet
    from pacore.report.rendering.terminal import to_text

    sheet = relation_sheet(relation) if relation else catalog_sheet(catalog().values())
    click.echo(to_text(sheet))
    return Exit.COMPLETE
