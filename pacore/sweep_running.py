"""What ``pacore sweep`` does: the flow with its progress, and the table at the end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from pydantic import ValidationError

from pacore.config import RunConfig
from pacore.errors import BadInput, Exit, PacoreError
from pacore.running import QUIET_LINE_SECONDS
from pacore.stage.context import open_contexts
from pacore.sweep_config import SweepConfig
from pacore.sweep_report import sweep_csv, sweep_json, sweep_table
from pacore.sweeping import SweepOutcome

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
    from flows.prefect_server import connected
    from flows.sweep import sweep

    click.echo("starting or finding a Prefect server …", err=True)
    with connected() as api:
        address = api.removesuffix("/api")
        click.echo(f"watch the sweep at {address}", err=True)
        with _told():
            state = sweep(config, return_state=True)
    return state, address


@contextmanager
def _told() -> Iterator[None]:
    """Say a line now and then of the run that is being made, and each of its notices."""
    ended = threading.Event()
    heard: dict[str, int] = {}

    def speak() -> None:
        while not ended.wait(QUIET_LINE_SECONDS):
            for run_id, progress in open_contexts():
                notices = progress.notices[heard.get(run_id, 0) :]
                heard[run_id] = heard.get(run_id, 0) + len(notices)
                for line in (*notices, progress.line()):
                    sys.stderr.write(f"pacore: run {run_id}: {line}\n")
            sys.stderr.flush()

    speaker = threading.Thread(target=speak, name="progress", daemon=True)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()
