"""Options that several commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click


def _existing(context: click.Context, parameter: click.Parameter, url: str) -> str:
    """The store at ``url``. Raises BadInput for a folder that is not there: a mistyped one is no empty
    store.
    """
    del context, parameter
    from pacore.store.backends.opening import check_folder

    check_folder(url)
    return url


_store_option = partial(
    click.option,
    "--store",
    default="./store",
    show_default=True,
    help="Folder of the store, or s3://bucket/prefix.",
)

with_store = _store_option(callback=_existing)
"""The option ``--store`` of a command on runs that are there."""

with_new_store = _store_option()
"""The option ``--store`` of a command that may be the first to write there."""


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
