"""The configuration of a run that is there, by its record: what shows or resumes it begins with that."""

from __future__ import annotations

from collections.abc import Mapping

from pacore.core.config.run import RunConfig
from pacore.core.validation import validated
from pacore.errors import Refused
from pacore.store.run import Run


def config_of(run: Run, changes: Mapping[str, object]) -> RunConfig:
    """The configuration a run was started with, some operational fields changed.

    Raises Refused for a run that was not started here, BadInput for a change that is wrong.
    """
    if run.is_imported:
        raise Refused(f"run {run.run_id} was imported; no settings say how to generate more of it")
    values = {**run.config, **changes, "run_id": run.run_id}
    return validated(RunConfig, values, f"run {run.run_id}: ")
