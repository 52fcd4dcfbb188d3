"""Runs: made, resumed; through Prefect or without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from pacore.api.plan import settings_of, unheard
from pacore.api.progress import WHOLE, progress_shown, run_flow, tell, waiting
from pacore.api.results import RunReport, results_of, run_report
from pacore.core.config.command import resume_command_line
from pacore.core.config.run import RunConfig, differences
from pacore.engine.opening import resolve_recipe
from pacore.errors import BudgetSpent, Exit, Interrupted, Refused, StoreError
from pacore.evaluation.replay.planned import rule_need
from pacore.problems.survey import ProblemSurvey
from pacore.report.run import (
    ProblemsFailed,
    RunResults,
)
from pacore.runs.dispatch.progress import Progress
from pacore.runs.problems import begin, close, open_shards
from pacore.runs.settings import config_of
from pacore.runs.work import OpenShard, Work
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.integrity import faults_of, repair_hint
from pacore.store.run import Run, is_closed, open_run


def run(
    config: RunConfig | Mapping[str, Any], *, prefect: bool = False, progress: bool = True
) -> RunReport:
    """Start or resume the run of ``config``, a `RunConfig` or its fields, and finish it: the same
    trajectories, tables and ids with Prefect and without.

    Without ``prefect`` no server is needed; with it the run is a flow run of the configured Prefect server,
    or of a local one that is started. ``progress`` shows lines or a bar of progress on stderr, which runs
    through Prefect always do. Raises BadInput and Refused before anything is generated, EngineUnavailable
    and StoreError where the run could not go on, BudgetSpent where its budget stopped it, and Interrupted
    where it was cancelled in Prefect; what was generated is in the store then, and the same call resumes
    it. Problems that failed raise nothing: they are ``failed``.
    """
    settings = settings_of(config)
    return _finished(settings, begin(settings), prefect=prefect, progress=progress)


def resume(
    run_id: str,
    *,
    store: str = "./store",
    prefect: bool = False,
    progress: bool = True,
    **settings: Any,
) -> RunReport:
    """Finish a run that was begun, by its name; one that is complete is reported. Raises as `run` does.

    ``settings`` are operational fields of `RunConfig` that differ from those it was started with, such as
    ``endpoints``. The problems are those of its start, wherever their file is now.
    """
    begun = open_run(open_store(store), run_id)
    config = resumed_config(begun, {**settings, "store": store})
    return _finished(config, begun, prefect=prefect, progress=progress)


def resumed_config(run: Run, changes: Mapping[str, object]) -> RunConfig:
    """The configuration to finish a run with, some operational fields changed.

    Raises as `config_of`, and Refused for a change that would make other trajectories.
    """
    config = config_of(run, changes)
    differing = differences(run.identity["recipe"], resolve_recipe(config).as_json())
    differing += differences(run.identity["plan"], config.plan.as_json())
    if differing:
        raise Refused(
            f"run {run.run_id} cannot be resumed with other settings of its trajectories: "
            f"{'; '.join(differing)}; for a new run: pacore run --like {run.run_id} …"
        )
    return config


def _finished(config: RunConfig, begun: Run, *, prefect: bool, progress: bool) -> RunReport:
    if prefect:
        made = finish_run(config, begun)
        if made.code == Exit.INTERRUPTED:
            raise Interrupted(
                f"run {begun.run_id} was interrupted; resume({begun.run_id!r}) goes on"
            )
        found = made.found or results_of(config.store, begun.run_id)
        return run_report(config.store, found, made.progress)
    from pacore.runs.loop import finish_shards  # every stage, for what a finished run has no use

    left = _shards_left(open_store(config.store), begun)
    with (
        _says_how_to_go_on(config, begun),
        Work.of(config, begun, left, rule_need=rule_need) as work,
    ):
        if progress:
            work.progress.listener = tell
        with progress_shown(work.progress) if progress else nullcontext():
            finish_shards(work)
    return run_report(config.store, results_of(config.store, begun.run_id))


class Made(NamedTuple):
    """A run that was made or interrupted; ``progress`` None where it was complete already, ``found``
    where nothing was read of it.
    """

    code: int
    run: Run
    progress: Progress | None = None
    found: RunResults | None = None


def make_run(config: RunConfig, on_survey: Callable[[ProblemSurvey], None] = unheard) -> Made:
    """Run or resume a configuration through the flow, and say nothing of what came of it.

    ``on_survey`` is given the problem set as it was read, before anything is spent on it. Raises what the
    run ended with where it could not go on.
    """
    read: list[ProblemSurvey] = []
    with waiting() as step:
        begun = begin(config, read.append, step)
    return finish_run(config, begun, lambda: on_survey(read[0]))


def make_to_end(config: RunConfig) -> None:
    """Run or resume a configuration through the flow. Raises Interrupted where it was cancelled."""
    if make_run(config).code == Exit.INTERRUPTED:
        raise Interrupted("was interrupted; the same command goes on")


def _shards_left(store: Backend, begun: Run) -> list[OpenShard]:
    """The shards of a run with work left. Raises StoreError where files of it are missing or damaged."""
    if faults := faults_of(store, begun):
        raise StoreError(repair_hint(faults))
    return open_shards(store, begun)


def finish_run(config: RunConfig, begun: Run, before: Callable[[], None] = lambda: None) -> Made:
    """Finish a run that was begun, through the flow; ``before`` is called if there is work left."""
    store = open_store(config.store)
    if not (left := _shards_left(store, begun)):
        if not is_closed(store, begun.run_id):
            # It was killed between its last commit and its end.
            close(store, begun)
        return Made(Exit.COMPLETE, begun)
    before()
    started = time.monotonic()
    with (
        _says_how_to_go_on(config, begun),
        Work.of(config, begun, left, rule_need=rule_need) as work,
    ):
        work.progress.listener = tell
        if config.engine == "vllm":
            # A model loads while Prefect is imported and its server started.
            work.open_engine_ahead()
        elif config.engine == "http":
            with waiting(f"waiting for {', '.join(config.endpoints)}"):
                work.open_engine()
        state = _through_the_flow(config, work)
    if state.name not in WHOLE:
        return Made(Exit.INTERRUPTED, begun, work.progress)
    work.progress.finished_seconds = time.monotonic() - started
    found = state.result(raise_on_failure=False)
    if isinstance(found, ProblemsFailed):
        found = found.results
    return Made(Exit.COMPLETE, begun, work.progress, found)


@contextmanager
def _says_how_to_go_on(config: RunConfig, run: Run) -> Iterator[None]:
    """Add to a BudgetSpent which command goes on."""
    try:
        yield
    except BudgetSpent as spent:
        line = resume_command_line(config.store, run.run_id)
        raise BudgetSpent(
            f"run {run.run_id} is incomplete: {spent}; what was generated is in the store, and "
            f"{line} with a larger budget goes on"
        ) from None


def _through_the_flow(config: RunConfig, work: Work) -> Any:
    """The state that the flow ends in, to which this gives the work as it was opened here."""
    from flows.infer import infer
    from tasks.opened import WORK, given

    run_id = work.run.run_id
    named = config.model_copy(update={"run_id": run_id})
    tasks = 1 + len(work.left) * (2 * work.run.plan.rounds + 2)
    with given(WORK, work):
        return run_flow(infer, named, f"run {run_id}", work.progress, tasks=tasks)
