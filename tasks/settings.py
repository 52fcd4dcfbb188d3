"""What all tasks of pacore have in common.

Prefect's cache and result store are off: what is done is what is committed in the store, and a task
hands on references and counts only.
"""

from __future__ import annotations

from typing import Any, TypedDict

from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from pacore.config import RunConfig
from pacore.stage.context import Context, context_of


class TaskSettings(TypedDict):
    """Keyword arguments of every ``@task``."""

    cache_policy: Any
    persist_result: bool


SETTINGS: TaskSettings = {"cache_policy": NO_CACHE, "persist_result": False}


def opened(config: RunConfig, run_id: str) -> Context:
    """The run's context in this process, told which flow run works on it."""
    context = context_of(config, run_id)
    context.producer = {"flow_run_id": str(flow_run.get_id())}
    return context
