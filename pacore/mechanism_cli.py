"""The command ``pacore mechanism``."""

from __future__ import annotations

import click


@click.command()
@click.option("--store", default="./store", show_default=True, help="Folder or s3://bucket/prefix.")
@click.option("--json", "is_json", is_flag=True, help="All figures as JSON, unrounded.")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def mechanism(store: str, runs: tuple[str, ...], is_json: bool) -> int:
    """Say what the rounds of runs do to the messages they see, with intervals over problems.

    How good the messages are; whether a round finds what no message had, heeds a right minority or
    loses a right majority; whose answer it gives; whether it matters where a message stands; and
    whether its text depends on the messages at all. Runs are graded before, with pacore grade.
    """
    from pacore.mechanism_report import mechanism_json, mechanism_text
    from pacore.run import open_run
    from pacore.store import open_store
    from pacore.warehouse import Warehouse

    unique = tuple(dict.fromkeys(runs))
    opened = open_store(store)
    for run_id in unique:
        open_run(opened, run_id)
    with Warehouse(opened, unique) as warehouse:
        text = mechanism_json if is_json else mechanism_text
        click.echo(text(warehouse, unique))
    return 0
