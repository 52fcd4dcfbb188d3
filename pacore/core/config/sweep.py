"""The configuration of a sweep: what its runs have in common, and the arms that differ.

An arm is one strategy, written as a line of text:

    single                       one trajectory a problem, measured on the whole pool
    sc:16                        self-consistency: the majority of 16 of the pool
    bon:16                       best of 16 of the pool, by a judge's opinion of each
    low, medium, high            the paper's trajectory configurations
    32,4                         any other, the final 1 implied
    sequential:5                 five trajectories, one after the other: [1, 1, 1, 1]
    verbatim                     low, without compaction
    low+subset=2+compaction=answer    any of these with policies of the plan changed
    wide=16,4                    any of these under another name

All arms of a sweep draw round 1 from one pool of trajectories, so that none is generated twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    field_validator,
    model_validator,
)

from pacore.core.config.fields import Declared, setting
from pacore.core.config.form import Schema, fields_of, make_form, ungrouped
from pacore.core.config.run import RunConfig, declared_fields
from pacore.core.identity import digest
from pacore.core.plan import PRESETS
from pacore.core.validation import PlainModel, validated
from pacore.errors import BadInput
from pacore.text import did_you_mean

ArmKind = Literal["pool", "majority", "best", "run"]

DEFAULT_ARMS = ("single", "sc:4", "low", "sequential:5", "verbatim")
"""The default arms: the baselines and ablations of the paper at one width."""

_KINDS = ("single", "sc", "bon", "sequential", "verbatim", *PRESETS)

_NAMED = {"verbatim": "low+compaction=verbatim"}


_LABEL = re.compile(r"(?P<label>[a-z][a-z0-9-]{0,30})=(?P<rest>.+)")


_COUNTED = re.compile(r"(?P<kind>sc|bon|sequential):(?P<count>[1-9][0-9]{0,3})")


_WIDTHS = re.compile(r"[0-9]+(?:,[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Arm:
    """One strategy: ``name`` labels it, ``text`` is how it was written.

    Of kind ``run`` it is a run of its own, with ``widths`` and ``policies`` (fields of the plan, as
    text); of the others it is measured on the pool, ``majority`` and ``best`` over ``count`` of it.
    """

    name: str
    text: str
    kind: ArmKind
    widths: tuple[int, ...] = ()
    count: int = 1
    policies: Mapping[str, str] = field(default_factory=dict)

    @property
    def first_width(self) -> int:
        """How many draws of the bare problem one pass takes."""
        return (*self.widths, 1)[0] if self.kind == "run" else self.count

    @property
    def trajectories(self) -> int:
        """Trajectories on the path of one answer, as far as the widths alone give it."""
        return sum(self.widths) + 1 if self.kind == "run" else self.count


def parse_arm(text: str) -> Arm:
    """Read one arm. Raises BadInput naming it, in one line."""
    named = _LABEL.fullmatch(text)
    label, rest = (named["label"], named["rest"]) if named else (None, text)
    base, *changes = _NAMED.get(rest, rest).split("+")
    policies = dict(_policy(text, change) for change in changes)
    if len(policies) < len(changes):
        raise BadInput(f"--arm {text!r}: has one policy twice")
    name = label or _name_of(rest)
    counted = _COUNTED.fullmatch(base)
    if counted and counted["kind"] == "sequential":
        widths = (1,) * (int(counted["count"]) - 1)
        return Arm(name, text, "run", widths, policies=policies)
    if counted or base == "single":
        if policies:
            raise BadInput(f"--arm {text!r}: is measured on the pool, which has no policies")
        if not counted:
            return Arm(name, text, "pool")
        kind: ArmKind = "majority" if counted["kind"] == "sc" else "best"
        return Arm(name, text, kind, count=int(counted["count"]))
    if base in PRESETS:
        return Arm(name, text, "run", PRESETS[base], policies=policies)
    if _WIDTHS.fullmatch(base):
        widths = tuple(int(part) for part in base.split(","))
        if 0 in widths:
            raise BadInput(f"--arm {text!r}: every round needs at least one trajectory")
        return Arm(name, text, "run", widths, policies=policies)
    known = "single, sc:K, bon:K, sequential:N, verbatim, low, medium, high, or widths such as 32,4"
    near = did_you_mean(base.partition(":")[0], _KINDS)
    raise BadInput(f"--arm {text!r}: {base!r}{near} is none of {known}")


def parse_arms(texts: Sequence[str]) -> tuple[Arm, ...]:
    """Read the arms of a sweep. Raises BadInput for a name that two of them have."""
    arms = tuple(parse_arm(text) for text in texts)
    seen: dict[str, Arm] = {}
    for arm in arms:
        if (other := seen.setdefault(arm.name, arm)) is not arm:
            raise BadInput(
                f"--arm {arm.text!r}: has the name {arm.name!r} of {other.text!r}; give it another "
                f"with --arm NAME={arm.text}"
            )
    return arms


def pool_draws(arms: Sequence[Arm], replicates: int, pool: int | None) -> int:
    """How many draws of each bare problem the pool of a sweep has.

    Replicate j of an arm takes the draws from j K_1 on, so that the pool holds the first round of
    every pass of every arm; where arms themselves draw from a ``pool``, it is that one.
    """
    if pool is not None:
        return pool
    return max((arm.first_width * replicates for arm in arms), default=replicates)


def _policy(text: str, change: str) -> tuple[str, str]:
    name, sign, value = change.partition("=")
    if not sign or not name.isidentifier() or not value:
        raise BadInput(f"--arm {text!r}: {change!r} is no policy such as compaction=verbatim")
    return name, value


def _name_of(text: str) -> str:
    """A name of letters, digits and dashes, as run ids and file names may have it."""
    spelled = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"k-{spelled}" if spelled[:1].isdigit() else spelled


SET_BY_ARMS = ("preset", "widths")
"""Fields that each arm sets, and so the run of a sweep leaves out."""

POLICIES = tuple(
    name for name in declared_fields(Declared.PLAN) if name not in (*SET_BY_ARMS, "replicates")
)
"""Fields of the plan that an arm may change."""


def _as_form(schema: Schema) -> None:
    """The form of a run, with the fields of a sweep in its groups and without what arms set."""
    own: dict[str, Schema] = schema["properties"]
    del own["run"]
    of_run = {
        name: field
        for name, field in fields_of(RunConfig.model_json_schema()).items()
        if name not in SET_BY_ARMS
    }
    of_run["run_id"] |= {"description": _NAME}
    schema["properties"] = {**own, **of_run}
    schema["required"] = ["problems"]
    make_form(schema, RunConfig.GROUPS, RunConfig.RULES, flat=("run", *own))


_NAME = (
    "Name of the sweep; each of its runs is called after it and its arm. Without one it is made from the "
    "configuration."
)


class SweepConfig(PlainModel):
    """All settings of a sweep."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=_as_form, hide_input_in_errors=True
    )

    run: RunConfig = Field(description="What all runs of the sweep have in common.")
    arms: tuple[str, ...] = setting(
        Declared.PLAN,
        DEFAULT_ARMS,
        "Strategies to compare, such as single, sc:16, low, 32,4, sequential:5, verbatim, "
        "low+compaction=answer.",
        min_length=1,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_groups(cls, data: Any) -> Any:
        fields = ungrouped(data)
        if fields is data:
            return data
        own = {name: fields.pop(name) for name in ("arms",) if name in fields}
        return {"run": fields, **own}

    @field_validator("run")
    @classmethod
    def _leaves_widths_to_arms(cls, run: RunConfig) -> RunConfig:
        for name in SET_BY_ARMS:
            if getattr(run, name) is not None:
                raise ValueError(f"{name}: is set by an arm, as in --arm 32,4")
        return run

    @model_validator(mode="after")
    def _can_be_planned(self) -> SweepConfig:
        try:
            plan_sweep(self, "checked")
        except BadInput as fault:
            raise ValueError(str(fault)) from None
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _conflicts_in_plain_words(
        cls, data: Any, validate: ModelWrapValidatorHandler[Self]
    ) -> Self:
        return cls.in_plain_words(data, validate)


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
            near = did_you_mean(name, POLICIES)
            raise BadInput(f"--arm {arm.text!r}: {name!r}{near} is none of {', '.join(POLICIES)}")
    given = base.model_dump(exclude_unset=True)
    own = {**arm.policies, "widths": arm.widths, "run_id": f"{sweep_id}.{arm.name}"}
    return validated(RunConfig, {**given, **own}, f"--arm {arm.text!r}: ")
