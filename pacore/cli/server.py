"""The command ``pacore server``: the local Prefect server."""

from __future__ import annotations

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
