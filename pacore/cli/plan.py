"""What ``pacore plan`` does: says what a run would generate, and what it would reuse."""

from __future__ import annotations

import click

from pacore.cli.run import say_cautions
from pacore.core.config.run import RunConfig
from pacore.errors import Exit
from pacore.report.plan import forecast_table
from pacore.runs.planning.preview import plan


def show_plan(config: RunConfig) -> int:
    """Print what a run would do, reading the store and, where it answers, the endpoint."""
    found = plan(
        config,
        lambda notice: click.echo(notice, err=True),
        lambda survey: say_cautions(survey.cautions),
    )
    click.echo(forecast_table(*found))
    return Exit.COMPLETE
