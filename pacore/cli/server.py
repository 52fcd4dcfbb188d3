"""What runs in the background: the commands ``up``, ``down``, and ``server`` for the server alone."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from pacore.cli.options import NamedCommands
from pacore.errors import Exit


@click.group(cls=NamedCommands)
def server_command() -> None:
    """Start, stop and find the local Prefect server.

    It is used where PREFECT_API_URL is not set, and keeps running between commands.
    """


@server_command.command("start")
def start_command() -> int:
    """Start it, or find it running; print its address."""
    from pacore.api.progress import tell, waiting

    with waiting("waiting for the Prefect server"):
        from tasks.server import start as start_server

        address = start_server(tell)
    click.echo(address)
    return Exit.COMPLETE


@server_command.command("stop")
def stop_command() -> int:
    """Stop it."""
    from tasks.server import stop as stop_server

    address = stop_server()
    click.echo(f"stopped {address}" if address else "no local server was running")
    return Exit.COMPLETE


@server_command.command("status")
def server_status_command() -> int:
    """Print its address; exit code 1 where it is not running."""
    from tasks.server import running

    address = running()
    click.echo(address or "no local server is running")
    return Exit.COMPLETE if address else Exit.FAULT


@click.command()
@click.option(
    "--server-only", is_flag=True, help="Only the Prefect server: nothing deployed, no worker."
)
@click.option(
    "--database",
    metavar="URL",
    help="PostgreSQL for a server that is started: postgresql://USER:PASSWORD@HOST/NAME. To keep the "
    "password out of the shell's history: PREFECT_SERVER_DATABASE_CONNECTION_URL.  [default: SQLite]",
)
@click.option(
    "--notify",
    metavar="URL",
    envvar="PACORE_NOTIFY",
    help="Webhook that gets a message about each night that is a NO-GO, incomplete, failed or killed; also "
    "in PACORE_NOTIFY.",
)
def up_command(server_only: bool, database: str | None, notify: str | None) -> int:
    """Start all that runs from the Prefect UI need, or find it running.

    That is the Prefect server (the one in PREFECT_API_URL, else a local one), the work pool, the
    deployments of prefect.yaml, and a worker on this machine, which has the environment of this command:
    keys of endpoints too. Paths in a form count from the repository's folder. pacore down ends what was
    started.
    """
    from pacore.api.progress import tell, waiting

    with waiting("waiting for the Prefect server") as step:
        from tasks.server import database_url, serving

        with serving(tell, database_url(database) if database else None) as server:
            click.echo(f"server       {server.address}, {server.state}")
            if server_only:
                return Exit.COMPLETE
            from tasks.deployment import deploy, start_worker

            step("deploying the flows")
            deployed = deploy(server.url, tell)
            made = "made" if deployed.has_made_pool else "found"
            click.echo(f"work pool    {', '.join(deployed.pools)}, {made}")
            made = "deployed" if deployed.has_deployed else "found as they are in prefect.yaml"
            click.echo(f"deployments  {', '.join(deployed.names)}: {made}")
            step("waiting for the worker")
            worker = start_worker(server.url, deployed.pools[0], tell)
            made = "started" if worker.has_started else "found running"
            click.echo(f"worker       process {worker.pid}, {made}")
            from tasks.dead import SILENT_SECONDS, watch_for_silence

            made = "set" if watch_for_silence(server.url) else "found"
            click.echo(
                f"heartbeats   runs that miss them for {SILENT_SECONDS / 60:g} minutes are Crashed, {made}"
            )
            if notify:
                from tasks.deployment import set_webhook

                made = "set" if set_webhook(server.url, notify) else "set again"
                click.echo(f"messages     about nights go to {urlsplit(notify).hostname}, {made}")
    return Exit.COMPLETE


@click.command()
def down_command() -> int:
    """End what pacore up started, and nothing else.

    Runs under way in the worker are interrupted, and can be resumed. A server that pacore up found
    running keeps running.
    """
    from tasks.deployment import stop_worker
    from tasks.server import stop as stop_server

    worker, address = stop_worker(), stop_server(by="up")
    if worker is not None:
        click.echo(f"ended the worker, process {worker}")
    if address is not None:
        click.echo(f"stopped the server at {address.removesuffix('/api')}")
    if worker is None and address is None:
        click.echo("nothing that pacore up started is running")
    return Exit.COMPLETE
