"""Commands that make a run through the flow: ``run`` and ``retry``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click

from pacore.bounded import Bounds
from pacore.cli.config_options import config_from, given, with_run_options
from pacore.cli.options import with_bounds, with_store
from pacore.cli.showing import (
    WHOLE,
    print_result,
    print_run_failures,
    run_flow,
    say_cautions,
    tell,
)
from pacore.core.config.run import RunConfig
from pacore.errors import Exit, StoreError
from pacore.problems.survey import ProblemSurvey
from pacore.runs.context import close_context, context_of
from pacore.runs.dispatch.progress import Progress
from pacore.runs.problems import begin, close, open_shards, run_counts
from pacore.runs.retry import begin_retry, chosen_within, config_of
from pacore.store.backends.opening import open_store
from pacore.store.integrity import faults_of, repair_hint
from pacore.store.run import Run, is_closed, open_run


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
    if not (works := open_shards(store, run)):
        if not is_closed(store, run.run_id):
            # It was killed between its last commit and its end.
            close(store, run)
        click.echo(f"run {run.run_id} is complete already; nothing to do", err=True)
        return Made(Exit.COMPLETE, config, run, None)
    if hear is not None:
        for found in read:
            hear(found)
    started = time.monotonic()
    tasks = 1 + len(works) * (2 * run.plan.rounds + 2)
    context = context_of(config, run.run_id)
    context.progress.listener = tell
    try:
        if config.engine == "vllm":
            # A model loads while Prefect is imported and its server started.
            context.open_engine_ahead()
        from flows.infer import infer

        state = run_flow(infer, config, f"run {run.run_id}", context.progress, tasks=tasks)
    finally:
        # Where the flow has not begun, nobody has closed it.
        close_context(config, run.run_id)
    if state.name not in WHOLE:
        click.echo(
            f"pacore: interrupted; run {run.run_id} is in {config.store}; the same command resumes it "
            "and generates nothing twice",
            err=True,
        )
        return Made(Exit.INTERRUPTED, config, run, context.progress)
    context.progress.finished_seconds = time.monotonic() - started
    return Made(Exit.COMPLETE, config, run, context.progress)


def retry_to_end(
    store_url: str,
    run_id: str,
    wanted: tuple[str, int | None],
    changes: Mapping[str, Any],
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
    # A run that is open here is taken as it is: its problem file need not be there any more.
    context_of(config, run_id)
    return run_to_end(config)


def _report(config: RunConfig, run: Run, progress: Progress | None) -> int:
    print_result(config.store, run.run_id, progress)
    counts = run_counts(open_store(config.store), run)
    if counts["failed"]:
        print_run_failures(config.store, run.run_id, counts["retryable"] > 0)
        return Exit.FAILED_PROBLEMS
    return Exit.COMPLETE


@click.command()
@with_run_options
def run(config_file: str | None, **flags: Any) -> int:
    """Run PaCoRe on a problem set, or resume a run."""
    return run_to_end(config_from(flags, config_file))


@click.command()
@with_store
@click.option("--where", required=True, help="SQL condition on the table trajectories.")
@click.option(
    "--max-tokens",
    type=click.IntRange(1, 2**31 - 1),
    help="Most tokens to generate this time; without it, as before.",
)
@click.option("--endpoint", "endpoints", multiple=True, help="Other endpoints than the run had.")
@click.option("--concurrency", type=int, help="Requests in flight at each endpoint.")
@with_bounds
@click.argument("run_id", metavar="RUN")
def retry(run_id: str, store: str, where: str, max_tokens: int | None, **flags: Any) -> int:
    """Sample chosen trajectories of a run again, and what depends on them.

    Chosen are the slots whose current trajectory meets the condition, such as
    "finish_reason = 'length'". Each gets a further attempt that names the one it replaces, which stays
    as a row. Only what changes is generated. After an interruption the same command resumes, and so
    does run.
    """
    bounds = Bounds.of(flags.pop("timeout"), flags.pop("memory"))
    return retry_to_end(store, run_id, (where, max_tokens), given(flags), bounds)
