"""Commands that make a run through the flow: ``run`` and ``retry``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click

from pacore.bounded import Bounds
from pacore.cli.config_options import config_from, flags_given, say_cautions, with_run_options
from pacore.cli.options import with_bounds, with_store
from pacore.cli.showing import (
    WHOLE,
    print_failures,
    print_results,
    results_of,
    run_flow,
    tell,
    waiting,
)
from pacore.core.config.run import RunConfig
from pacore.errors import Exit, StoreError
from pacore.problems.survey import ProblemSurvey
from pacore.report.run import ProblemsFailed, RunResults
from pacore.runs.dispatch.progress import Progress
from pacore.runs.problems import begin, close, open_shards, run_counts
from pacore.runs.retry import begin_retry, chosen_within, config_of
from pacore.runs.work import Work
from pacore.store.backends.opening import open_store
from pacore.store.integrity import faults_of, repair_hint
from pacore.store.run import Run, is_closed, open_run


class Made(NamedTuple):
    """A run that was made or interrupted; ``progress`` None where it was complete already, ``found``
    where nothing was read of it.
    """

    code: int
    run: Run
    progress: Progress | None = None
    found: RunResults | None = None


def run_to_end(config: RunConfig) -> int:
    """Run or resume a configuration through the flow; prints the result; returns the exit code."""
    return _report(config, make_run(config, lambda found: say_cautions(found.cautions)))


def make_run(config: RunConfig, hear: Callable[[ProblemSurvey], None] = lambda _: None) -> Made:
    """Run or resume a configuration through the flow, and say nothing of what came of it.

    ``hear`` is given the problem set as it was read, before anything is spent on it. Raises what the
    run ended with where it could not go on.
    """
    read: list[ProblemSurvey] = []
    with waiting() as step:
        run = begin(config, read.append, step)
    return finish_run(config, run, lambda: hear(read[0]))


def finish_run(config: RunConfig, run: Run, before: Callable[[], None] = lambda: None) -> Made:
    """Finish a run that was begun, through the flow; ``before`` is called if there is work left."""
    store = open_store(config.store)
    if faults := faults_of(store, run):
        raise StoreError(repair_hint(faults))
    if not (left := open_shards(store, run)):
        if not is_closed(store, run.run_id):
            # It was killed between its last commit and its end.
            close(store, run)
        click.echo(f"run {run.run_id} is complete already; nothing to do", err=True)
        return Made(Exit.COMPLETE, run)
    before()
    started = time.monotonic()
    with Work.of(config, run, left) as work:
        work.progress.listener = tell
        if config.engine == "vllm":
            # A model loads while Prefect is imported and its server started.
            work.open_engine_ahead()
        elif config.engine == "http":
            with waiting(f"waiting for {', '.join(config.endpoints)}"):
                work.open_engine()
        state = _through_the_flow(config, work)
    if state.name not in WHOLE:
        click.echo(
            f"pacore: interrupted; run {run.run_id} is in {config.store}; the same command resumes it "
            "and generates nothing twice",
            err=True,
        )
        return Made(Exit.INTERRUPTED, run, work.progress)
    work.progress.finished_seconds = time.monotonic() - started
    found = state.result(raise_on_failure=False)
    if isinstance(found, ProblemsFailed):
        found = found.results
    return Made(Exit.COMPLETE, run, work.progress, found)


def _through_the_flow(config: RunConfig, work: Work) -> Any:
    """The state that the flow ends in, to which this gives the work as it was opened here."""
    from flows.infer import infer
    from tasks.opened import WORK, given

    run_id = work.run.run_id
    named = config.model_copy(update={"run_id": run_id})
    tasks = 1 + len(work.left) * (2 * work.run.plan.rounds + 2)
    with given(WORK, work):
        return run_flow(infer, named, f"run {run_id}", work.progress, tasks=tasks)


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
    return _report(config, finish_run(config, run))


def _report(config: RunConfig, made: Made) -> int:
    if made.code == Exit.INTERRUPTED:
        return made.code
    found = made.found or results_of(config.store, made.run.run_id)
    print_results(found, config.store, made.progress)
    if found.failed:
        counts = run_counts(open_store(config.store), made.run)
        print_failures(found, counts["retryable"] > 0)
        return Exit.FAILED_PROBLEMS
    return Exit.COMPLETE


@click.command()
@with_run_options
def run_command(config_file: str | None, **flags: Any) -> int:
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
def retry_command(run_id: str, store: str, where: str, max_tokens: int | None, **flags: Any) -> int:
    """Sample chosen trajectories of a run again, and what depends on them.

    Chosen are the slots whose current trajectory meets the condition, such as
    "finish_reason = 'length'". Each gets a further attempt that names the one it replaces, which stays
    as a row. Only what changes is generated. After an interruption the same command resumes, and so
    does run.
    """
    bounds = Bounds.of(flags.pop("timeout"), flags.pop("memory"))
    return retry_to_end(store, run_id, (where, max_tokens), flags_given(flags), bounds)
