"""Commands that check and mend what a store holds: ``audit``, ``explain``, ``repair`` and ``gc``."""

from __future__ import annotations

from datetime import timedelta

import click

from pacore.audit.audit import Audit
from pacore.audit.lineage import explain as lineage_of
from pacore.cli.options import with_format, with_store
from pacore.errors import BadInput, Exit
from pacore.report.audit import AuditReport, explanation_json, explanation_text
from pacore.store.backends.opening import open_store
from pacore.store.integrity import collect, uncollected
from pacore.text import visible


@click.command()
@with_store
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Most findings to show; all are counted.",
)
@with_format("table", "json")
@click.argument("run_id", metavar="RUN")
def audit_command(store: str, run_id: str, limit: int, form: str) -> int:
    """Recompute what a run has stored from its sources, and compare.

    Every file is hashed and compared with its commit; ids, seeds, prompts, messages, answers, counts
    and the chain of snapshots are computed again. Nothing is written. Exit code 0: no difference; 1:
    each difference is named with its file and row.
    """
    found = AuditReport(Audit(open_store(store), run_id), run_id, limit)
    for line in found.json() if form == "json" else found.text():
        click.echo(line)
    return Exit.FAULT if found.counts["error"] else Exit.COMPLETE


@click.command()
@with_store
@click.option("--replicate", type=int, help="Only this replicate; the first is 0.")
@click.option("--round", "round_", type=int, help="Only this round; the first is 1.")
@with_format("text", "json")
@click.argument("run_id", metavar="RUN")
@click.argument("problem_id", metavar="PROBLEM")
def explain_command(
    store: str,
    run_id: str,
    problem_id: str,
    replicate: int | None,
    round_: int | None,
    form: str,
) -> int:
    """Trace an answer back to its trajectories, messages and prompts, which are shown exactly."""
    found = lineage_of(open_store(store), run_id, problem_id, replicate, round_)
    click.echo(explanation_json(found) if form == "json" else explanation_text(found))
    return Exit.COMPLETE


@click.command("repair")
@with_store
@click.argument("run_id", metavar="RUN")
def repair_command(store: str, run_id: str) -> int:
    """Derive missing and damaged files of a run from its journal again; generates nothing.

    Every file is hashed and compared with its commit. A file that the stages derive again byte for
    byte is written in its place; one that a later version of pacore writes with other bytes is
    committed as a repair of it. What cannot be derived is named with the reason, and the exit code is
    1. After an interruption the same command resumes.
    """
    # Only this command derives tables, and so only it needs the stages.
    from pacore.repair.repair import repair as repair_run

    mended = left = 0
    for outcome in repair_run(open_store(store), run_id):
        click.echo(visible(f"{outcome.key}: {outcome.what}"))
        mended, left = mended + outcome.is_repaired, left + (not outcome.is_repaired)
    if not mended and not left:
        click.echo(f"run {run_id}: nothing is missing or damaged")
        return Exit.COMPLETE
    remains = f", {left:,} cannot be" if left else ""
    click.echo(
        f"run {run_id}: {mended:,} made again{remains}; pacore audit {run_id} checks all of it"
    )
    return Exit.FAULT if left else Exit.COMPLETE


@click.command()
@with_store
@click.option("--delete", is_flag=True, help="Delete it; without this it is only listed.")
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=float,
    default=1.0,
    show_default=True,
    help="Leave alone what was written within so many days; one at least.",
)
def gc_command(store: str, delete: bool, days: float) -> int:
    """List files of a store that nothing refers to, and delete them.

    They are data files and temporaries of lost races and killed processes, which no commit and no
    snapshot names; never the journal. Prints the size of each in bytes.
    """
    opened = open_store(store)
    try:
        found = uncollected(opened, timedelta(days=days))
    except (OverflowError, ValueError):
        raise BadInput(f"--older-than {days:g}: is no number of days") from None
    gone, size = 0, 0
    for entry in collect(opened, found) if delete else found:
        click.echo(f"{entry.bytes:>15,}  {entry.modified_at:%Y-%m-%d %H:%M}  {visible(entry.key)}")
        gone, size = gone + 1, size + entry.bytes
    what = "deleted" if delete else "that nothing refers to"
    click.echo(f"{gone:,} files of {size:,} bytes {what}")
    if gone and not delete:
        click.echo("pacore gc --delete deletes them", err=True)
    return Exit.COMPLETE
