"""Commands of the nights: ``nightly FILE``, ``nightly accept``, ``nightly show`` and ``nightly clean``."""

from __future__ import annotations

import getpass
import json

import click

from pacore.api.jobs import night
from pacore.cli.config_options import read_nested_file
from pacore.cli.options import RunByDefault, with_store
from pacore.core.config.nightly import NightlyConfig
from pacore.core.validation import validated
from pacore.errors import BadInput, Exit, Refused
from pacore.evaluation.comparison import NO_GO
from pacore.evaluation.night import FAILED, INCOMPLETE, accept_runs, last_runs
from pacore.evaluation.nightly.cleaning import clean, plan_cleaning
from pacore.report.ledgers.nightly import (
    cleaning_sheet,
    kept_records,
    ledger_sheet,
    night_records,
)
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.store.nights import list_jobs, read_acceptances, read_nights
from pacore.text import did_you_mean

DOUBTFUL = (NO_GO, INCOMPLETE, FAILED, "no night of this job")
"""What an accepted run may be that a person may not have meant to accept."""

with_json = click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True,
    help="How the nights are printed.",
)  # fmt: skip


@click.group(cls=RunByDefault)
def nightly_command() -> None:
    """Run the jobs of a night, compare each with its accepted baseline, and keep a ledger.

    pacore nightly FILE runs the jobs of a YAML file: a list under "jobs", each with a "name" and the
    settings of its "run". Each night's run is named after its job and the date. Exit code 4: a job is worse
    than its baseline by more than chance; 5: a budget stopped one; 1: one failed. The others are done all
    the same. A "budget" beside "jobs" bounds what all of them spend together.
    """


@nightly_command.command("run")
@click.option(
    "--date",
    metavar="YYYY-MM-DD",
    help="Make the night of this day, which was missed: its runs are named and sampled as they would have "
    "been, and it is compared with the nights before it.  [default: today, UTC]",
)
@with_json
@click.argument("file", metavar="FILE")
def run_nights_command(file: str, date: str | None, form: str) -> int:
    """Run the jobs of a file, one after the other; the same command resumes.

    What is wrong with a job is said before the first one begins, and stops no other.
    """
    config = read_nested_file(file, NightlyConfig)
    if config.date is not None:
        raise BadInput(f"{file}: date: is of one night; give it as --date {config.date}")
    if date is not None:
        given = {"jobs": config.jobs, "budget": config.budget, "date": date}
        config = validated(NightlyConfig, given)
    report = night(config)
    if form == "json":
        click.echo(json.dumps(night_records(report.nights)))
    else:
        click.echo(to_text(report.sheet))
    return report.code


@nightly_command.command("accept")
@with_store
@click.option("--by", default=getpass.getuser, help="Who accepts.  [default: the user's name]")
@click.option("--why", default="", help="A reason, kept with it.")
@click.argument("job", metavar="JOB")
@click.argument("runs", metavar="[RUN]…", nargs=-1)
def accept_nights_command(store: str, by: str, why: str, job: str, runs: tuple[str, ...]) -> int:
    """Make runs of a job the baseline that later nights are compared with: without any, the last night's.

    Several nights together are a baseline with less noise. Nothing else ever becomes one: a night that went
    well is not enough.
    """
    opened = open_store(store)
    _check_job(list_jobs(opened), job)
    accepted = accept_runs(opened, job, runs or last_runs(opened, job), by, why)
    click.echo(f"job {job}: baseline {', '.join(accepted.runs)}, accepted by {by}")
    decisions = {night.run_id: night.decision for night in read_nights(opened, job)}
    for run_id in accepted.runs:
        if (decision := decisions.get(run_id, "no night of this job")) in DOUBTFUL:
            click.echo(f"pacore: note that {run_id} is {decision}", err=True)
    return Exit.COMPLETE


@nightly_command.command("clean")
@click.option("--dry-run", is_flag=True, help="List what would go, and what keeps the others.")
@with_json
@click.argument("file", metavar="FILE")
def clean_nights_command(dry_run: bool, form: str, file: str) -> int:
    """Delete the runs of old nights that no rule of their job keeps, as each night does at its end.

    The rules are keep_nights, keep_days and keep_no_go_nights of a job; without the first two nothing
    goes. A night that was accepted is always kept, and so are the last five, one with something written
    within a day, and one whose rows anything else in the store refers to. The ledger keeps the scores of
    all nights: decisions stay the same.
    """
    config = read_nested_file(file, NightlyConfig)
    found = [
        (job.name, one)
        for job in config.jobs
        for one in (plan_cleaning if dry_run else clean)(open_store(job.run.store), job)
    ]
    if form == "json":
        click.echo(json.dumps(kept_records(found)))
    elif found:
        click.echo(to_text(cleaning_sheet(found, is_done=not dry_run)))
    else:
        click.echo("no night has runs in the store" if dry_run else "nothing was to be removed")
    return Exit.COMPLETE


@nightly_command.command("show")
@with_store
@with_json
@click.argument("job", metavar="[JOB]", required=False)
def show_nights_command(store: str, form: str, job: str | None) -> int:
    """Show the ledger: the nights of a job, or of all jobs, and their baselines."""
    opened = open_store(store)
    jobs = list_jobs(opened)
    if job is not None:
        _check_job(jobs, job)
    if not jobs and form != "json":
        click.echo("the ledger has no nights: one is added when a job of pacore nightly FILE ends")
    for place, name in enumerate(jobs if job is None else [job]):
        nights = read_nights(opened, name)
        if form == "json":
            click.echo(json.dumps(night_records(nights)))
        else:
            if place:
                click.echo()
            click.echo(to_text(ledger_sheet(name, nights, read_acceptances(opened, name))))
    return Exit.COMPLETE


def _check_job(jobs: list[str], job: str) -> None:
    if job not in jobs:
        known = f"; its jobs: {', '.join(jobs)}" if jobs else ", which has no nights"
        raise Refused(f"no job {job!r} in the ledger{did_you_mean(job, jobs) or known}")
