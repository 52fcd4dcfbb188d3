"""The command ``sweep``: the flow with its progress, and the table at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from pydantic import ValidationError

from pacore.cli.options import config_from, with_format, with_prices, with_run_options
from pacore.cli.showing import run_flow, say_cautions, spoken, tell
from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import DEFAULT_ARMS, SweepConfig
from pacore.core.validation import first_fault
from pacore.errors import BadInput, Exit
from pacore.problems.survey import survey_problems
from pacore.report.sweep import SweepOutcome
from pacore.runs.context import open_contexts
from pacore.runs.dispatch.progress import Progress


def sweep_to_end(run: RunConfig, arms: Sequence[str], prices: str | None, form: str) -> int:
    """Make or finish the runs of a sweep, evaluate them, and print what was found.

    Raises BadInput for an arm that cannot be, and what a run or the evaluation ended with.
    """
    try:
        config = SweepConfig(run=run, arms=tuple(arms), prices=prices)
    except ValidationError as invalid:
        raise BadInput(first_fault(invalid).what) from None
    say_cautions(survey_problems(run.problems, run.limit, run.fields).cautions)
    from flows.sweep import sweep as flow

    state = run_flow(flow, config, "the sweep", showing=spoken(_open_runs))
    if state.name == "Cancelled":
        raise KeyboardInterrupt
    found = state.result(raise_on_failure=False)
    assert isinstance(found, SweepOutcome)
    click.echo(found.written(form))
    for file in found.files:
        click.echo(file, err=True)
    return Exit.COMPLETE


def _open_runs() -> list[tuple[str, Progress]]:
    """The runs that are being made, each with what its lines begin with; their notices are told."""
    found = []
    for run_id, progress in open_contexts():
        if progress.listener is None:
            for notice in progress.notices:
                tell(notice)
            progress.listener = tell
        found.append((f"pacore: run {run_id}: ", progress))
    return found


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
@with_format("table", "csv", "json")
def sweep(
    config_file: str | None, arms: tuple[str, ...], prices: str | None, form: str, **flags: Any
) -> int:
    """Compare strategies on one problem set at their cost, and draw the frontier.

    Every flag of run holds for all arms but those that an arm sets itself. Nothing is generated
    twice: all arms share one pool of trajectories, on which single and sc are measured and from which
    round 1 of every other arm is taken. The table and the picture are stored below sweeps/.
    """
    return sweep_to_end(config_from(flags, config_file), arms or DEFAULT_ARMS, prices, form)
