"""What all tasks and flows of pacore have in common.

Prefect's cache and result store are off: what is done is what is committed in the store, and a task
hands on references and counts only.
"""

from __future__ import annotations

from typing import Any, TypedDict

import httpx
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectException

RECORD_FAULTS = (httpx.HTTPError, PrefectException)
"""What Prefect's client raises where the server does not take a record, or is not there."""


class RunSettings(TypedDict):
    """What both have in common."""

    persist_result: bool
    result_serializer: str


class FlowSettings(RunSettings):
    """Keyword arguments of every ``@flow``."""

    log_prints: bool
    validate_parameters: bool


class TaskSettings(RunSettings):
    """Keyword arguments of every ``@task``."""

    cache_policy: Any


RUN_SETTINGS: RunSettings = {"persist_result": False, "result_serializer": "json"}
"""Nothing is persisted, but for one thing that Prefect cannot be kept from: the exception a task or
flow ends with, which it writes below its storage whatever it is told. As JSON that is its type and
message; by default it is a pickle."""

FLOW_SETTINGS: FlowSettings = {
    **RUN_SETTINGS,
    "log_prints": False,
    "validate_parameters": False,
}
"""A flow checks its parameters itself, by `pacore.core.validation.validated`: Prefect would log what is
wrong with them under a traceback, together with all that was typed."""

SETTINGS: TaskSettings = {**RUN_SETTINGS, "cache_policy": NO_CACHE}
