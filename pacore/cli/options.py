"""Options that several commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pacore.errors import BadInput

if TYPE_CHECKING:
    from pacore.api.report import Form, Report


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


def with_report(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that prints a report: its form, and the file of its figure."""
    for option in (
        click.option(
            "--figure", metavar="FILE", help="Draw the report's figure, as .png, .svg or .pdf."
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(("table", "markdown", "latex", "html", "json")),
            default="table",
            show_default=True,
        ),
    ):
        command = option(command)
    return command


def print_report(report: Report[Any], form: Form | None, figure: str | None) -> None:
    """Print a report in a form, unless that is None, and write its figure to a file, if there is one.

    Raises BadInput for a file that no figure can be, before anything is printed.
    """
    from pacore.report.rendering.plots import form_of_image, image

    kind = None if figure is None else form_of_image(figure)
    if form is not None:
        click.echo(report.written(form))
    if figure is not None and kind is not None:
        try:
            Path(figure).write_bytes(image(report.figure(), kind))
        except OSError as fault:
            raise BadInput(f"--figure {figure}: cannot be written: {fault.strerror}") from None


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
