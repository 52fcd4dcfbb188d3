"""What the commands do that only read a store: status, show, query, flips, audit and explain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import click

from pacore.audit.audit import Audit
from pacore.audit.lineage import explain
from pacore.errors import BadInput, Exit
from pacore.evaluation.comparison import compare_gradings, compare_runs
from pacore.repair.repair import repair
from pacore.report.audit import AuditReport, explanation_json, explanation_text
from pacore.report.comparison import flips_output
from pacore.report.problem import show_problem
from pacore.report.run import failures, next_commands, result_table, status_table
from pacore.runs.dispatch.progress import Progress
from pacore.store.backends.opening import open_store
from pacore.store.collect import collect, uncollected
from pacore.store.run import open_run
from pacore.text import visible
from pacore.warehouse.views import Warehouse


def print_status(store_url: str, run_ids: Sequence[str]) -> int:
    store = open_store(store_url)
    for run_id in run_ids:
        open_run(store, run_id)
    click.echo(status_table(store, run_ids or None))
    return 0


def print_problem(store_url: str, run_id: str, problem_id: str) -> int:
    store = open_store(store_url)
    open_run(store, run_id)
    with Warehouse(store, [run_id]) as warehouse:
        click.echo(show_problem(warehouse, run_id, problem_id))
    return 0


def print_flips(
    store_url: str,
    run_ids: Sequence[str],
    gradings: tuple[str | None, str | None],
    form: str,
    limit: int | None,
) -> int:
    """Print what changed between two ``gradings`` of a run, or between two runs."""
    is_one = len(run_ids) == 1
    if not is_one and gradings != (None, None):
        raise BadInput("--from and --to name gradings of one run; of two, those that stand count")
    with Warehouse(open_store(store_url), run_ids) as warehouse:
        compared = (
            compare_gradings(warehouse, run_ids[0], *gradings)
            if is_one
            else compare_runs(warehouse, run_ids[0], run_ids[1])
        )
        for part in flips_output(warehouse, compared, form, limit):
            click.echo(part, nl=False)
    return 0


def print_audit(store_url: str, run_id: str, limit: int, form: str) -> int:
    """Print what an audit finds; 1 where something is wrong."""
    found = AuditReport(Audit(open_store(store_url), run_id), run_id, limit)
    for line in found.json() if form == "json" else found.text():
        click.echo(line)
    return Exit.FAULT if found.counts["error"] else Exit.COMPLETE


def print_repair(store_url: str, run_id: str) -> int:
    """Repair a run, a line for each thing that was broken; 1 where some of it stays so."""
    mended = left = 0
    for outcome in repair(open_store(store_url), run_id):
        click.echo(visible(f"{outcome.key}: {outcome.what}"))
        mended, left = mended + outcome.is_mended, left + (not outcome.is_mended)
    if not mended and not left:
        click.echo(f"run {run_id}: nothing is missing or damaged")
        return 0
    remains = f", {left:,} cannot be" if left else ""
    click.echo(
        f"run {run_id}: {mended:,} made again{remains}; pacore audit {run_id} checks all of it"
    )
    return 1 if left else 0


def print_explanation(
    store_url: str,
    run_id: str,
    problem_id: str,
    place: tuple[int | None, int | None],
    form: str,
) -> int:
    """Print a problem's lineage; ``place`` = (replicate, round) narrows it where they are given."""
    found = explain(open_store(store_url), run_id, problem_id, *place)
    click.echo(explanation_json(found) if form == "json" else explanation_text(found))
    return 0


def print_result(store_url: str, run_id: str, progress: Progress | None) -> None:
    """The result table of a run, its totals, and what to type next."""
    with Warehouse(open_store(store_url), [run_id]) as warehouse:
        click.echo(result_table(warehouse, run_id, progress))
        click.echo(next_commands(warehouse, run_id, store_url))


def print_run_failures(store_url: str, run_id: str, is_retryable: bool) -> None:
    """Name every problem without an answer, and why."""
    with Warehouse(open_store(store_url), [run_id]) as warehouse:
        click.echo(failures(warehouse, run_id), err=True)
    if is_retryable:
        click.echo("the same line tries the unfinished ones again", err=True)


def print_garbage(store_url: str, days: float, is_deleting: bool) -> int:
    """What nothing in a store refers to, deleted or only listed, with its bytes."""
    store = open_store(store_url)
    try:
        found = uncollected(store, timedelta(days=days))
    except (OverflowError, ValueError):
        raise BadInput(f"--older-than {days:g}: is no number of days") from None
    gone, size = 0, 0
    for entry in collect(store, found) if is_deleting else found:
        click.echo(f"{entry.bytes:>15,}  {entry.modified_at:%Y-%m-%d %H:%M}  {visible(entry.key)}")
        gone, size = gone + 1, size + entry.bytes
    what = "deleted" if is_deleting else "that nothing refers to"
    click.echo(f"{gone:,} files of {size:,} bytes {what}")
    if gone and not is_deleting:
        click.echo("pacore gc --delete deletes them", err=True)
    return 0
