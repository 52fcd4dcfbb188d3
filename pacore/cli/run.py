"""What ``pacore run`` and ``pacore plan`` do: the front door to the flow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from pacore.bounded import Bounds
from pacore.cli.read import print_result, print_run_failures
from pacore.cli.showing import shown, tell
from pacore.core.config.run import RunConfig
from pacore.errors import Exit, PacoreError, StoreError
from pacore.problems.survey import ProblemSurvey
from pacore.runs.context import close_context, context_of
from pacore.runs.dispatch.progress import Progress
from pacore.runs.problems import begin, close, open_shards, run_counts
from pacore.runs.retry import begin_retry, chosen_within, config_of
from pacore.store.backends.opening import open_store
from pacore.store.run import Run, is_closed, open_run
from pacore.store.wholeness import faults_of, repair_hint
from pacore.text import visible


class Made(NamedTuple):
    """A run that was made or interrupted; ``progress`` None where it was complete already."""

    code: int
    config: RunConfig
    run: Run
    progress: Progress | None


def run_to_end(config: RunConfig) -> int:
    """Run or resume a configuration through the flow; prints the result; returns the exit code."""
    made = make_run(config, lambda found: say_cautions(found.cautions))
    if made.code == Exit.INTERRUPTED:
        return made.code
    return _report(made.config, made.run, made.progress)


def make_run(config: RunConfig, hear: Callable[[ProblemSurvey], None] | None = None) -> Made:
    """Run or resume a configuration through the flow, and say nothing of what came of it.

    ``hear`` is given the problem set as it was read, before anything is spent on it. Raises what the
    run ended with where it could not go on.
    """
    read: list[ProblemSurvey] = []
    run = begin(config, read.append)
    config = config.model_copy(update={"run_id": run.run_id})
    store = open_store(config.store)
    if faults := faults_of(store, run):
        raise StoreError(repair_hint(faults))
    if not open_shards(store, run):
        if not is_closed(store, run.run_id):
            # It was killed between its last commit and its end.
            close(store, run)
        click.echo(f"run {run.run_id} is complete already; nothing to do", err=True)
        return Made(Exit.COMPLETE, config, run, None)
    if hear is not None:
        for found in read:
            hear(found)
    started = time.monotonic()
    context = context_of(config, run.run_id)
    context.progress.listener = tell
    try:
        if config.engine == "vllm":
            # A model loads while Prefect is imported and its server started.
            context.open_engine_ahead()
        state, address = _flow(config, run, context.progress)
    finally:
        # Where the flow has not begun, nobody has closed it.
        close_context(config, run.run_id)
    if state.name == "Cancelled":
        click.echo(
            f"pacore: interrupted; run {run.run_id} is in {config.store}, and the same line goes on "
            "where it stopped, paying for nothing again",
            err=True,
        )
        return Made(Exit.INTERRUPTED, config, run, context.progress)
    if state.name not in ("Completed", "CompletedWithFailures"):
        fault = state.result(raise_on_failure=False)
        if isinstance(fault, PacoreError):
            raise fault
        raise PacoreError(f"run {run.run_id} stopped: {state.message}; see {address}")
    context.progress.finished_seconds = time.monotonic() - started
    return Made(Exit.COMPLETE, config, run, context.progress)


def say_cautions(cautions: Sequence[str]) -> None:
    """Name what of a problem set may make a run worth nothing, before anything is spent."""
    for text in cautions:
        click.echo(f"pacore: caution: {visible(text)}", err=True)


def retry_to_end(
    store_url: str,
    run_id: str,
    wanted: tuple[str, int | None],
    changes: Mapping[str, Any],
    bounds: Bounds,
) -> int:
    """Choose what to retry, record it, and run to the end; the same line goes on with it.

    ``wanted`` is the condition, which is evaluated within ``bounds``, and the limit of tokens.
    ``changes`` are operational fields that differ from those the run was started with. Raises as
    `pacore.runs.retry`, `run_bounded` and `run_to_end` do.
    """
    store = open_store(store_url)
    run = open_run(store, run_id)
    config = config_of(store, run, {**changes, "store": store_url})
    record = begin_retry(store, run, *wanted, chosen_within(bounds))
    if record is None:
        click.echo(f"run {run_id}: nothing to retry; no trajectory that stands is one of these")
        return Exit.COMPLETE
    slots, problems = len(record.chosen), len({slot.problem_id for slot in record.chosen})
    click.echo(f"run {run_id}: {slots:,} trajectories of {problems:,} problems again", err=True)
    # A run that is open here is taken as it is: its problem file need not be there any more.
    context_of(config, run_id)
    return run_to_end(config)


def _flow(config: RunConfig, run: Run, progress: Progress) -> tuple[Any, str]:
    """Run the flow against the configured or standing Prefect server, with live progress."""
    # Prefect takes a second to import, which a run that is complete need not wait for.
    from flows.infer import infer
    from tasks.server import connected, wait_for_records

    works = len(open_shards(open_store(config.store), run))
    tasks = 1 + works * (2 * run.plan.rounds + 2)
    tell(f"run {run.run_id}: finding a Prefect server, or starting one")
    progress.wait_for("a Prefect server", "flow")
    with shown(progress), connected() as api:
        progress.wait_for(None, "flow")
        address = api.removesuffix("/api")
        tell(f"run {run.run_id}: watch it at {address}")
        state = infer(config, return_state=True)
        flow_run_id = state.state_details.flow_run_id
        is_whole = state.name in ("Completed", "CompletedWithFailures")
        if is_whole and flow_run_id and not wait_for_records(flow_run_id, tasks):
            click.echo("the Prefect server is still recording this run's tasks", err=True)
    return state, address


def _report(config: RunConfig, run: Run, progress: Progress | None) -> int:
    print_result(config.store, run.run_id, progress)
    counts = run_counts(open_store(config.store), run)
    if counts["failed"]:
        print_run_failures(config.store, run.run_id, counts["retryable"] > 0)
        return Exit.FAILED_PROBLEMS
    return Exit.COMPLETE
