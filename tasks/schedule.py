"""When a flow run was meant to start, which dates the names of what it makes."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from prefect.context import FlowRunContext
from prefect.runtime import deployment, flow_run

from pacore.core.config.run import RunConfig


def dated(config: RunConfig) -> RunConfig:
    """The configuration of a run as of the time that its flow run was meant to start at.

    However late that begins, and however often it is retried, that time is the same. A run without a
    name that a schedule starts is named after its deployment and that time: each is a run of its own.
    """
    context = FlowRunContext.get()
    is_scheduled = (
        context is not None and context.flow_run is not None and context.flow_run.auto_scheduled
    )
    if is_scheduled and config.run_id is None:
        config = config.model_copy(update={"run_id": _named_after(deployment.name or "run")})
    return config.at(meant_to_start())


def meant_to_start() -> datetime:
    """When this flow run was meant to start; a retry does not change it."""
    found = flow_run.scheduled_start_time
    return found if isinstance(found, datetime) else datetime.now(UTC)


def _named_after(name: str) -> str:
    """A pattern of run ids that begins with a deployment's name, as far as an id may have it."""
    usable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:60]
    return f"{usable if usable[:1].isalpha() else f'run-{usable}'}-{{date}}-{{time}}"
