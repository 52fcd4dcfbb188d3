"""Tasks on problems: open the run, freeze its problem set, and find the work left."""

from __future__ import annotations

from prefect import task

from pacore.core.config.run import RunConfig
from pacore.runs.context import OpenShard
from pacore.runs.problems import begin, open_shards
from pacore.store.backends.opening import open_store
from pacore.store.run import Run
from tasks.settings import SETTINGS


@task(name="problems", task_run_name="problems", **SETTINGS)
def problems(config: RunConfig) -> tuple[Run, list[OpenShard]]:
    """Open or start the run; returns it with its unfinished shards."""
    run = begin(config)
    return run, open_shards(open_store(config.store), run)
