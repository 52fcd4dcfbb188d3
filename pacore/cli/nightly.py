"""Commands of the nights: ``nightly FILE``, ``nightly accept`` and ``nightly show``."""

from __future__ import annotations

import getpass
import json

import click

from pacore.api.nightly import night
from pacore.cli.config_options import read_nested_file
from pacore.cli.options import with_store
from pacore.core.config.nightly import NightlyConfig
from pacore.errors import Exit, Refused
from pacore.evaluation.night import accept_runs, last_runs
from pacore.report.nightly import ledger_sheet, night_records, nights_sheet
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.store.nights import list_jobs, read_acceptances, read_nights
from pacore.text import did_you_mean


class RunByDefault(click.Group):
    """A group whose first argument is a file unless it is the name of a command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


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
    the same.
    """


@nightly_command.command("run")
@with_json
@click.argument("file", metavar="FILE")
def run_nights_command(file: str, form: str) -> int:
    """Run the jobs of a file, one after the other; the same command resumes."""
    report = night(read_nested_file(file, NightlyConfig))
    if form == "json":
        click.echo(json.dumps(night_records(report.nights)))
    else:
        click.echo(to_text(nights_sheet(report.nights)))
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
    for name in jobs if job is None else [job]:
        nights = read_nights(opened, name)
        if form == "json":
            click.echo(json.dumps(night_records(nights)))
        else:
            click.echo(to_text(ledger_sheet(name, nights, read_acceptances(opened, name))))
    return Exit.COMPLETE


def _check_job(jobs: list[str], job: str) -> None:
    if job not in jobs:
        known = f"; its jobs: {', '.join(jobs)}" if jobs else ", which has no nights"
        raise Refused(f"no job {job!r} in the ledger{did_you_mean(job, jobs) or known}")
