"""The configuration of an import: whose trajectories of which problems become which run."""

from __future__ import annotations

from pydantic import Field, field_validator

from pacore.core.config.fields import RUN_ID, SCRIPTED_MODEL, Settings


class ImportConfig(Settings):
    """What the record of an imported run says of how it was started.

    ``problems`` and ``fields`` are as in a run, ``model`` is who is said to have made the trajectories,
    and each was tried once: ``attempts``.
    """

    problems: str = Field(min_length=1)
    fields: dict[str, str] = Field({})
    model: str = Field(min_length=1)
    store: str = Field(min_length=1)
    run_id: str | None = Field(None, pattern=RUN_ID)
    attempts: int = 1
    grading_timeout_seconds: float = 5.0

    @field_validator("model")
    @classmethod
    def _is_no_script(cls, model: str) -> str:
        if model.partition("?")[0] == SCRIPTED_MODEL:
            raise ValueError(
                f"{SCRIPTED_MODEL!r} is the scripted engine's own, so that its text is never "
                "attributed to a real model"
            )
        return model
