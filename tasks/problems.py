"""Tasks on problems: open the run, freeze its problem set, and find the work left."""

from __future__ import annotations

from prefect import task

from pacore.core.config.run import RunConfig
from pacore.run import Run
from pacore.stage.context import OpenShard
from pacore.stage.problems import begin, open_shards
from pacore.store import open_store
from tasks.settings import SETTINGS


@task(name="problems", task_run_name="problems", **SETTINGS)
def problems(config: RunConfig) -> tuple[Run, list[OpenShard]]:
    """Open or start the run; returns it with its unfinished shards."""
    run = begin(config)
    return run, open_shards(open_store(config.store), run)
