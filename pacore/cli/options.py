"""Options and results that several commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pacore.errors import BadInput, Exit, PacoreError
from pacore.text import did_you_mean

if TYPE_CHECKING:
    from pacore.api.report import Form, Report
    from pacore.report.run import RunResults
    from pacore.runs.dispatch.progress import Progress


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
"""The option ``--store`` of a command that may be the first to write there, or that may need none."""


with_prices = click.option(
    "--prices",
    metavar="FILE",
    help="Price table: CSV of model, prompt_per_million, cached_prompt_per_million, "
    "completion_per_million, currency.",
)


class NamedCommands(click.Group):
    """A group that says of a command that it does not have which one may be meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0][:1].isalnum() and self.get_command(ctx, args[0]) is None:
            near = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"no command {args[0]!r}{near}", ctx)
        return super().resolve_command(ctx, args)


class RunByDefault(click.Group):
    """A group whose first argument is a file unless it is the name of a command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


def wanted_by(kind: click.ParamType[Any]) -> str | None:
    """What a value of a type of numbers must be, in words; None of other types."""
    if not isinstance(kind, type(click.INT) | type(click.FLOAT)):
        return None
    words = "must be a whole number" if isinstance(kind, type(click.INT)) else "must be a number"
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is None:
        return words
    return words + (f" from {least:,} on" if most is None else f" from {least:,} to {most:,}")


class OneOf(click.Choice[str]):
    """One of some names; another is refused with those there are and the one that may be meant."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's signature
        known = list(map(str, self.choices))
        return f"{value!r}{did_you_mean(str(value), known)} is none of {', '.join(known)}"


def with_format(*forms: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option ``--format``, passed as ``form``: one of some names, the first by default."""
    return click.option("--format", "form", type=OneOf(forms), default=forms[0], show_default=True)


def _figure_file(
    context: click.Context, parameter: click.Parameter, file: str | None
) -> str | None:
    """The file of a figure. Raises BadInput where none can be written, before anything is done."""
    del context, parameter
    if file is None:
        return None
    from pacore.report.rendering.plots import form_of_image

    form_of_image(file)
    if Path(file).is_dir():
        raise BadInput(f"--figure {file}: is a folder; name a file")
    if not Path(file).parent.is_dir():
        raise BadInput(f"--figure {file}: there is no folder {Path(file).parent}")
    return file


with_figure = click.option(
    "--figure",
    metavar="FILE",
    callback=_figure_file,
    help="Draw the report's figure, as .png, .svg or .pdf; a file that is there is replaced.",
)


def with_report(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that prints a report: its form, and the file of its figure."""
    return with_format("table", "markdown", "latex", "html", "json")(with_figure(command))


def print_report(report: Report[Any], form: Form, figure: str | None) -> None:
    """Print a report in a form, and draw its figure as `write_figure` does."""
    click.echo(report.written(form))
    write_figure(report, figure)


def print_results(found: RunResults, store_url: str, progress: Progress | None = None) -> int:
    """Print the results of a run, commands that may follow, and every problem without an answer with its
    reason; returns the exit code.
    """
    from pacore.core.config.command import resume_command_line
    from pacore.report.rendering.terminal import to_text
    from pacore.report.run import failures_sheet, next_commands, result_sheet
    from pacore.runs.problems import run_counts
    from pacore.store.backends.opening import open_store

    click.echo(to_text(result_sheet(found, progress)))
    click.echo(next_commands(found, store_url))
    if not found.failed:
        return Exit.COMPLETE
    click.echo(to_text(failures_sheet(found)), err=True)
    if not found.run.is_imported and run_counts(open_store(store_url), found.run)["retryable"]:
        line = resume_command_line(store_url, found.run.run_id)
        is_limited = found.run.config.get("max_tokens_problem") is not None
        larger = ", with a larger --max-tokens-problem for those it stopped" if is_limited else ""
        click.echo(f"{line} tries the unfinished ones again{larger}", err=True)
    return Exit.FAILED_PROBLEMS


def write_figure(report: Report[Any], file: str | None) -> None:
    """Draw the figure of a report to a file, if one was named. Raises PacoreError where it cannot be
    written.
    """
    if file is None:
        return
    from pacore.report.rendering.plots import form_of_image, image

    drawn = image(report.figure(), form_of_image(file))
    try:
        Path(file).write_bytes(drawn)
    except OSError as fault:
        raise PacoreError(f"--figure {file}: cannot be written: {fault.strerror}") from None


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
