"""Options that several commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

with_store = click.option(
    "--store",
    default="./store",
    show_default=True,
    help="Folder of the store, or s3://bucket/prefix.",
)


with_prices = click.option(
    "--prices",
    metavar="FILE",
    help="Price table: CSV of model, prompt_per_million, cached_prompt_per_million, "
    "completion_per_million, currency.",
)


def with_format(*forms: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option ``--format``, passed as ``form``: one of some names, the first by default."""
    return click.option(
        "--format", "form", type=click.Choice(forms), default=forms[0], show_default=True
    )


def with_bounds(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for how long SQL that a person wrote may run, and in how much memory."""
    for option in (
        click.option(
            "--memory",
            metavar="SIZE",
            help="Most memory the SQL may take, such as 4GB or 512MiB.  [default: half of the machine's]",
        ),
        click.option(
            "--timeout",
            metavar="SECONDS",
            help="Longest the SQL may run.  [default: 300]",
        ),
    ):
        command = option(command)
    return command
