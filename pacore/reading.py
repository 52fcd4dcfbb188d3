"""What ``pacore status``, ``show`` and ``query`` do: reading the store, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pacore import report
from pacore.progress import Progress
from pacore.run import open_run
from pacore.store import open_store
from pacore.warehouse import Warehouse


def print_status(store_url: str, run_ids: Sequence[str]) -> int:
    store = open_store(store_url)
    for run_id in run_ids:
        open_run(store, run_id)
    click.echo(report.status_table(store, run_ids or None))
    return 0


def print_problem(store_url: str, run_id: str, problem_id: str) -> int:
    store = open_store(store_url)
    open_run(store, run_id)
    with Warehouse(store, [run_id]) as warehouse:
        click.echo(report.show_problem(warehouse, run_id, problem_id))
    return 0


def print_query(store_url: str, sql: str, form: str) -> int:
    with Warehouse(open_store(store_url)) as warehouse:
        for part in report.query_output(warehouse.query(sql), form):
            click.echo(part, nl=False)
    return 0


def print_result(store_url: str, run_id: str, progress: Progress | None) -> None:
    """The result table of a run, its totals, and what to type next."""
    with Warehouse(open_store(store_url), [run_id]) as warehouse:
        click.echo(report.result_table(warehouse, run_id, progress))
        click.echo(report.next_commands(warehouse, run_id, store_url))


def print_run_failures(store_url: str, run_id: str, is_retryable: bool) -> None:
    """Name every problem without an answer, and why."""
    with Warehouse(open_store(store_url), [run_id]) as warehouse:
        click.echo(report.failures(warehouse, run_id), err=True)
    if is_retryable:
        click.echo("the same line tries the unfinished ones again", err=True)
