"""The configuration of a night: jobs, each a run of every night with a gate."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, field_validator

from pacore.core.config.evaluate import checked_grader
from pacore.core.config.form import make_inputs, ungrouped
from pacore.core.config.run import RunConfig
from pacore.core.validation import PlainModel

JOB_NAME = r"^[a-z][a-z0-9-]{0,39}$"

PLACE = "night-{date}"
"""The name of a job's run before the job's own name is known."""


class NightlyJob(PlainModel):
    """One problem set that is run and judged each night: a run named after the job and the date."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=make_inputs, hide_input_in_errors=True
    )

    name: str = Field(
        description="Name of the job, of small letters, digits and dashes.", pattern=JOB_NAME
    )
    run: RunConfig = Field(
        description="Settings of each night's run: problem set, model, plan, budget. It is named after the "
        "job and the date, and each night samples anew unless seed_root is given."
    )
    grader: str = Field(
        "auto",
        description="Grader of every answer, or auto for the one each problem calls for.",
        min_length=1,
    )
    max_drop: float | None = Field(
        None,
        description="Share by which accuracy may be below the baseline, whether or not that is chance; "
        "without it only what is not chance is a NO-GO.",
        gt=0,
        le=1,
    )

    @field_validator("grader")
    @classmethod
    def _is_grader(cls, grader: str) -> str:
        return checked_grader(grader)

    @field_validator("run", mode="before")
    @classmethod
    def _is_named_after_the_job(cls, run: Any) -> Any:
        if isinstance(run, RunConfig):
            run = run.model_dump(exclude_unset=True)
        run = ungrouped(run)
        if not isinstance(run, dict):
            return run
        if run.get("run_id") not in (None, PLACE):
            raise ValueError("run_id: is made of the job's name and the date")
        return {"seed_root": "{date}", **run, "run_id": PLACE}

    def dated(self) -> RunConfig:
        """The settings of a night's run, with ``{date}`` for its date."""
        return self.run.model_copy(update={"run_id": f"{self.name}-{{date}}"})


class NightlyConfig(PlainModel):
    """All settings of a night."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=make_inputs, hide_input_in_errors=True
    )

    jobs: tuple[NightlyJob, ...] = Field(
        description="What is run each night, one after the other.", min_length=1
    )

    @field_validator("jobs")
    @classmethod
    def _has_one_job_of_a_name(cls, jobs: tuple[NightlyJob, ...]) -> tuple[NightlyJob, ...]:
        names = [job.name for job in jobs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two jobs are named {twice[0]}")
        return jobs
