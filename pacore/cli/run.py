"""Commands that make a run through the flow: ``run`` and ``retry``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pacore.api.progress import tell
from pacore.api.results import results_of
from pacore.api.runs import Made, finish_run, make_run, resumed_config
from pacore.bounded import Bounds
from pacore.cli.config_options import (
    config_from,
    flags_given,
    say_cautions,
    with_operational_options,
    with_run_options,
)
from pacore.cli.options import print_results, with_bounds, with_store
from pacore.core.config.command import resume_command_line
from pacore.core.config.run import RunConfig
from pacore.errors import Exit
from pacore.runs.retry import begin_retry, chosen_within
from pacore.runs.settings import config_of
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run


def run_to_end(config: RunConfig) -> int:
    """Run or resume a configuration through the flow; prints the result; returns the exit code."""
    return print_made(config, make_run(config, lambda found: say_cautions(found.cautions)))


def retry_to_end(
    store_url: str,
    run_id: str,
    wanted: tuple[str, int | None],
    changes: Mapping[str, object],
    bounds: Bounds,
) -> int:
    """Choose what to retry, record it, and run to the end; the same command resumes it.

    ``wanted`` is the condition, which is evaluated within ``bounds``, and the limit of tokens.
    ``changes`` are operational fields that differ from those the run was started with. Raises as
    `pacore.runs.retry`, `run_bounded` and `run_to_end` do.
    """
    store = open_store(store_url)
    run = open_run(store, run_id)
    config = config_of(run, {**changes, "store": store_url})
    record = begin_retry(store, run, *wanted, chosen_within(bounds))
    if record is None:
        click.echo(f"run {run_id}: nothing to retry; no current trajectory meets the condition")
        return Exit.COMPLETE
    slots, problems = len(record.chosen), len({slot.problem_id for slot in record.chosen})
    click.echo(f"run {run_id}: {slots:,} trajectories of {problems:,} problems again", err=True)
    # The run is taken as it is: its problem file need not be there any more.
    return print_made(config, finish_run(config, run))


def print_made(config: RunConfig, made: Made) -> int:
    """Print what came of a run; returns the exit code."""
    run_id = made.run.run_id
    if made.code == Exit.INTERRUPTED:
        tell(
            f"interrupted; the same command resumes run {run_id}, and so does "
            f"{resume_command_line(config.store, run_id)}; nothing is generated twice"
        )
        return made.code
    if made.progress is None:
        click.echo(f"run {run_id} is complete already; nothing to do", err=True)
    found = made.found or results_of(config.store, run_id)
    return print_results(found, config.store, made.progress)


@click.command()
@with_run_options
def run_command(config_file: str | None, like: str | None, **flags: Any) -> int:
    """Run PaCoRe on a problem set, or resume a run.

    A run that was interrupted is resumed by the same command, or by its name: pacore resume RUN.
    """
    config = config_from(flags, config_file, like)
    if config.widths and config.widths[-1] == 1:
        tell(
            f"caution: the last round is implied; these widths give K = {config.plan.configuration}"
        )
    return run_to_end(config)


@click.command()
@with_store
@with_operational_options
@click.argument("run_id", metavar="RUN")
def resume_command(run_id: str, store: str, **flags: Any) -> int:
    """Finish a run that was begun, by its name.

    Everything is as it was when the run started, its problems too, wherever their file is now. Only what
    changes no result can be changed: endpoints, concurrency, timeouts. A run that is complete is reported.
    """
    run = open_run(open_store(store), run_id)
    config = resumed_config(run, {**flags_given(flags), "store": store})
    return print_made(config, finish_run(config, run))


@click.command()
@with_store
@click.option("--where", required=True, help="SQL condition on the table trajectories.")
@click.option(
    "--max-tokens",
    type=click.IntRange(1, 2**31 - 1),
    help="Most tokens to generate this time; without it, as before.",
)
@click.option("--endpoint", "endpoints", multiple=True, help="Other endpoints than the run had.")
@click.option("--concurrency", type=int, help="Most requests in flight at each endpoint.")
@with_bounds
@click.argument("run_id", metavar="RUN")
def retry_command(run_id: str, store: str, where: str, max_tokens: int | None, **flags: Any) -> int:
    """Sample chosen trajectories of a run again, and what depends on them.

    Chosen are the slots whose current trajectory meets the condition, such as
    "finish_reason = 'length'". Each gets a further attempt that names the one it replaces, which stays
    as a row. Only what changes is generated. After an interruption the same command resumes, and so
    does run.
    """
    bounds = Bounds.of(flags.pop("timeout"), flags.pop("memory"))
    return retry_to_end(store, run_id, (where, max_tokens), flags_given(flags), bounds)
