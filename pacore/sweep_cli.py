"""The command ``pacore sweep``."""

from __future__ import annotations

from typing import Any

import click

from pacore.comparing_cli import with_prices
from pacore.core.config.sweep import DEFAULT_ARMS
from pacore.flags import config_from, with_run_options


@click.command()
@with_run_options
@click.option(
    "--arm",
    "arms",
    multiple=True,
    help="Strategy to compare: single, sc:K, low, medium, high, widths such as 32,4, sequential:N, "
    "verbatim, or one with policies, low+compaction=answer; NAME=… names it. Repeatable.  "
    f"[default: {' '.join(DEFAULT_ARMS)}]",
)
@with_prices
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table",
    show_default=True,
)  # fmt: skip
def sweep(
    config_file: str | None, arms: tuple[str, ...], prices: str | None, form: str, **flags: Any
) -> int:
    """Compare strategies on one problem set, over one pool of trajectories, and draw the frontier.

    Every flag of run holds for all arms but those that arms themselves say. Nothing is generated
    twice: single and sc are measured on the pool, and round 1 of every other arm is taken from it.
    The table and the picture are kept in the store below sweeps/.
    """
    from pacore.sweep_running import sweep_to_end

    return sweep_to_end(config_from(flags, config_file), arms or DEFAULT_ARMS, prices, form)
