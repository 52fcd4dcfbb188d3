"""The command ``pacore``: run, plan, status, show, query, server.

Exit codes: 0 complete; 1 something went wrong; 2 bad input or refused; 3 completed with failed
problems, each named; 130 interrupted, resumable.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from pacore import __version__
from pacore.errors import PacoreError
from pacore.flags import config_from, with_run_options

with_store = click.option(
    "--store", default="./store", show_default=True, help="Folder of the store."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pacore")
def app() -> None:
    """Parallel Coordinated Reasoning over problem sets: resumable, cached, auditable."""


@app.command()
@with_run_options
def run(config_file: str | None, **flags: Any) -> int:
    """Run PaCoRe on a problem set, or go on with a run that was begun."""
    from pacore.running import run_to_end

    return run_to_end(config_from(flags, config_file))


@app.command()
@with_run_options
def plan(config_file: str | None, **flags: Any) -> int:
    """Say what a run would do before it spends anything."""
    from pacore.running import show_plan

    return show_plan(config_from(flags, config_file))


@app.command()
@with_store
@click.argument("run_ids", metavar="[RUN]…", nargs=-1)
def status(store: str, run_ids: tuple[str, ...]) -> int:
    """Say how far the runs of a store are."""
    from pacore.reading import print_status

    return print_status(store, run_ids)


@app.command()
@with_store
@click.argument("run_id", metavar="RUN")
@click.argument("problem_id", metavar="PROBLEM")
def show(store: str, run_id: str, problem_id: str) -> int:
    """Show the rounds, messages and answer of one problem."""
    from pacore.reading import print_problem

    return print_problem(store, run_id, problem_id)


@app.command()
@with_store
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
)
@click.argument("sql", metavar="SQL")
def query(store: str, form: str, sql: str) -> int:
    """Ask the tables: problems, trajectories, messages, answers, scores, runs."""
    from pacore.reading import print_query

    return print_query(store, sql, form)


@app.group()
def server() -> None:
    """The standing local Prefect server, used where PREFECT_API_URL is not set."""


@server.command("start")
def server_start() -> int:
    """Start it, or find it running; print its address."""
    from flows.prefect_server import start

    click.echo(start())
    return 0


@server.command("stop")
def server_stop() -> int:
    """End it."""
    from flows.prefect_server import stop

    address = stop()
    click.echo(f"stopped {address}" if address else "no local server was running")
    return 0


@server.command("status")
def server_status() -> int:
    """Say whether it runs, and where."""
    from flows.prefect_server import running

    address = running()
    click.echo(address or "no local server is running")
    return 0 if address else 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code and lets no expected error show a traceback."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")
    try:
        code = app.main(arguments, prog_name="pacore", standalone_mode=False)
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("pacore: interrupted; the same line goes on where it stopped", err=True)
        return 130
    except BrokenPipeError:
        # The reader of a pipe (head, less) has gone; what is left has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except PacoreError as wrong:
        click.echo(f"pacore: {wrong}", err=True)
        return wrong.exit_code
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
