"""The configuration of a sweep: what its runs have in common, and the arms that tell them apart."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pacore.arms import DEFAULT_ARMS, Arm, parse_arms, pool_draws
from pacore.config import RunConfig, declared_fields, fault_line
from pacore.config_fields import Declared
from pacore.errors import BadInput
from pacore.form import make_readable
from pacore.identity import digest

OF_ARMS = ("preset", "widths")
"""What arms are there to say, and so no run of a sweep is told otherwise."""

POLICIES = tuple(
    name for name in declared_fields(Declared.PLAN) if name not in (*OF_ARMS, "replicates")
)
"""Fields of the plan that an arm may change."""


class SweepConfig(BaseModel):
    """Everything a sweep can be told."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=make_readable, hide_input_in_errors=True
    )

    run: RunConfig = Field(description="What all runs of the sweep have in common.")
    arms: tuple[str, ...] = Field(
        DEFAULT_ARMS,
        min_length=1,
        description="Strategies to compare, such as single, sc:16, low, 32,4, sequential:5, "
        "verbatim, low+compaction=answer.",
    )
    prices: str | None = Field(
        None, description="Price table: CSV of model and prices per million tokens.", min_length=1
    )

    @field_validator("run")
    @classmethod
    def _leaves_widths_to_arms(cls, run: RunConfig) -> RunConfig:
        for name in OF_ARMS:
            if getattr(run, name) is not None:
                raise ValueError(f"{name}: is for an arm to say, as in --arm 32,4")
        return run

    @model_validator(mode="after")
    def _can_be_planned(self) -> SweepConfig:
        try:
            plan_sweep(self, "checked")
        except BadInput as fault:
            raise ValueError(str(fault)) from None
        return self


@dataclass(frozen=True, slots=True)
class PlannedSweep:
    """The runs of a sweep: the pool that comes first, and one for each arm that is a run."""

    sweep_id: str
    arms: tuple[Arm, ...]
    pool: RunConfig
    runs: dict[str, RunConfig]

    @property
    def configs(self) -> list[RunConfig]:
        """All runs in the order they are made: each finds what those before it have generated."""
        return [self.pool, *self.runs.values()]

    def run_id(self, arm: Arm) -> str:
        """The run an arm is measured on."""
        return str((self.runs[arm.name] if arm.kind == "run" else self.pool).run_id)


def sweep_id_of(config: SweepConfig, problem_set_digest: str) -> str:
    """The name of a sweep that was given none, from what it is: its runs' identity and its arms."""
    if config.run.run_id is not None:
        return config.run.run_id
    named = [config.run.identity(problem_set_digest), sorted(config.arms)]
    return f"sweep-{digest(named)[:8]}"


def plan_sweep(config: SweepConfig, sweep_id: str) -> PlannedSweep:
    """The runs of a sweep of that name. Raises BadInput naming the arm that cannot be."""
    arms = parse_arms(config.arms)
    base = config.run
    if any(arm.name == "pool" for arm in arms):
        raise BadInput("--arm: the name 'pool' is that of the trajectories all arms share")
    draws = pool_draws(arms, base.replicates, base.pool)
    pools = [int(arm.policies["pool"]) for arm in arms if arm.policies.get("pool", "").isdigit()]
    plain = dict.fromkeys(POLICIES)
    shared = {
        name: value
        for name, value in base.model_dump(exclude_unset=True).items()
        if name not in plain
    }
    pool = RunConfig.model_validate(
        {
            **shared,
            "widths": (),
            "replicates": max(draws, *pools) if pools else draws,
            "run_id": f"{sweep_id}.pool",
        }
    )
    runs = {arm.name: _run_of(base, sweep_id, arm) for arm in arms if arm.kind == "run"}
    return PlannedSweep(sweep_id, arms, pool, runs)


def _run_of(base: RunConfig, sweep_id: str, arm: Arm) -> RunConfig:
    """The run of one arm: the base's, with the arm's widths and policies."""
    for name in arm.policies:
        if name not in POLICIES:
            raise BadInput(f"--arm {arm.text!r}: {name!r} is none of {', '.join(POLICIES)}")
    given = base.model_dump(exclude_unset=True)
    told = {**arm.policies, "widths": arm.widths, "run_id": f"{sweep_id}.{arm.name}"}
    try:
        return RunConfig.model_validate({**given, **told})
    except ValidationError as invalid:
        raise BadInput(f"--arm {arm.text!r}: {fault_line(invalid)}") from None
