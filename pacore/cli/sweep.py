"""What ``pacore sweep`` does: the flow with its progress, and the table at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from pydantic import ValidationError

from pacore.cli.run import say_cautions
from pacore.cli.showing import spoken, tell
from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import SweepConfig
from pacore.errors import BadInput, Exit, PacoreError
from pacore.problems.survey import survey_problems
from pacore.report.sweep import SweepOutcome, sweep_csv, sweep_json, sweep_table
from pacore.runs.context import open_contexts
from pacore.runs.dispatch.progress import Progress

FORMS = {"table": sweep_table, "csv": sweep_csv, "json": sweep_json}


def sweep_to_end(run: RunConfig, arms: Sequence[str], prices: str | None, form: str) -> int:
    """Make or finish the runs of a sweep, evaluate them, and print what was found.

    Raises BadInput for an arm that cannot be, and what a run or the evaluation ended with.
    """
    try:
        config = SweepConfig(run=run, arms=tuple(arms), prices=prices)
    except ValidationError as invalid:
        fault = invalid.errors(include_url=False)[0]
        raise BadInput(str(fault["msg"]).removeprefix("Value error, ")) from None
    say_cautions(survey_problems(run.problems, run.limit, run.fields).cautions)
    state, address = _flow(config)
    if state.name == "Cancelled":
        click.echo("pacore: interrupted; the same line goes on where it stopped", err=True)
        return Exit.INTERRUPTED
    found = state.result(raise_on_failure=False)
    if not isinstance(found, SweepOutcome):
        if isinstance(found, PacoreError):
            raise found
        raise PacoreError(f"the sweep stopped: {state.message}; see {address}")
    click.echo(FORMS[form](found.result).rstrip("\n"))
    for file in found.files:
        click.echo(file, err=True)
    return Exit.COMPLETE


def _flow(config: SweepConfig) -> tuple[Any, str]:
    """Run the flow against the configured or standing Prefect server."""
    from flows.sweep import sweep
    from tasks.server import connected

    tell("finding a Prefect server, or starting one")
    with connected() as api, spoken(_open_runs):
        address = api.removesuffix("/api")
        tell(f"watch the sweep at {address}")
        state = sweep(config, return_state=True)
    return state, address


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
