"""The commands on what rounds do to the messages they see: ``mechanism`` and ``intervene``."""

from __future__ import annotations

from typing import Any

import click

from pacore.flags import given, with_engine_of, with_store


@click.command()
@with_store
@click.option("--json", "is_json", is_flag=True, help="All figures as JSON.")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def mechanism(store: str, runs: tuple[str, ...], is_json: bool) -> int:
    """Say what the rounds of runs do to the messages they see, with intervals over problems.

    How good the messages are; whether a round finds what no message had, heeds a right minority or
    loses a right majority; whose answer it gives; whether it matters where a message stands; and
    whether its text depends on the messages at all. Runs are graded before, with pacore grade.
    """
    from pacore.report.mechanism import mechanism_json, mechanism_text
    from pacore.store.backends.opening import open_store
    from pacore.store.run import open_run
    from pacore.warehouse.views import Warehouse

    unique = tuple(dict.fromkeys(runs))
    opened = open_store(store)
    for run_id in unique:
        open_run(opened, run_id)
    with Warehouse(opened, unique) as warehouse:
        text = mechanism_json if is_json else mechanism_text
        click.echo(text(warehouse, unique))
    return 0


@click.command()
@with_store
@click.option(
    "--round", "round_", type=click.IntRange(min=2), required=True, help="Round to make again."
)
@click.option(
    "--edit",
    "edits",
    multiple=True,
    help="What to do to its messages: wrong=k/n, duplicate=m, shuffle, drop=k, only-wrong, only-right, "
    "first=wrong, first=right. Repeatable; same, the control, is always made.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trajectories of each edited message set.",
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@with_engine_of("Sampling")
@click.argument("run_id", metavar="RUN")
def intervene(
    store: str,
    run_id: str,
    round_: int,
    edits: tuple[str, ...],
    samples: int,
    form: str,
    **flags: Any,
) -> int:
    """Make one round of a graded run again on edited messages, and compare it with the control.

    Every edit is a run of its own, named after it; sets that cannot be edited so are skipped, and
    counted. The report is on the message sets that an edit and the control both have.
    """
    from pacore.evaluation.interventions import Asked
    from pacore.intervening import print_interventions

    asked = Asked(run_id, round_, edits, samples, given(flags))
    return print_interventions(store, asked, form)
