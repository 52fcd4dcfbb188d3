"""Task on problems: open the run, freeze its problem set, and find the work left."""

from __future__ import annotations

from prefect import task

from pacore.core.config.run import RunConfig
from pacore.runs.problems import open_work
from pacore.runs.work import Work
from tasks.opened import WORK
from tasks.settings import SETTINGS


@task(name="problems", task_run_name="problems", **SETTINGS)
def problems(config: RunConfig) -> Work:
    """Open the run, or take it as the command that calls the flow has opened it."""
    return WORK.get(None) or open_work(config)
