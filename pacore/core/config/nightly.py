"""The configuration of a night: jobs, each a run of every night with a gate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from pacore.core.config.evaluate import checked_grader
from pacore.core.config.fields import Declared, setting
from pacore.core.config.form import make_inputs, ungrouped
from pacore.core.config.run import BUDGET, RunConfig, declared_fields
from pacore.core.config.sweep import SweepConfig, parse_arms
from pacore.core.grading.choose import is_by_rules
from pacore.core.validation import SLUG, PlainModel, first_fault, validated
from pacore.errors import BadInput
from pacore.text import did_you_mean

SET_BY_JUDGING = {"problems", "limit", "fields", "run_id", "store", "shard_size"}
"""Fields of the run of a judge's votes that follow from what it judges."""

DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

PLACE = "night-{date}"
"""The name of a job's run before the job's own name is known."""

EACH_NIGHT = "{date}"
"""The root of the seeds of a night's run: another each night."""

VERSUS = " vs "


class Gated(NamedTuple):
    """What of a job with arms the gate looks at: one, or how much better it is than another."""

    arm: str
    other: str | None = None

    @property
    def name(self) -> str:
        return self.arm if self.other is None else f"{self.arm}{VERSUS}{self.other}"


class NightRun(RunConfig):
    """Settings of a run of every night, which samples anew each night unless it is given a root."""

    SET_BY_OTHERS: ClassVar[Sequence[str]] = ("run_id",)

    seed_root: str = setting(
        Declared.RECIPE, EACH_NIGHT, str(RunConfig.model_fields["seed_root"].description)
    )


class NightlyJob(PlainModel):
    """One problem set that is run and judged each night: a run named after the job and the date."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=make_inputs, hide_input_in_errors=True
    )

    name: str = Field(
        description="Name of the job, of small letters, digits and dashes.", pattern=SLUG
    )
    run: NightRun = Field(
        description="Settings of each night's run: problem set, model, plan, budget. It is named after the "
        "job and the date, and each night samples anew unless seed_root is given."
    )
    grader: str = Field(
        "auto",
        description="Grader of every answer, or auto for the one each problem calls for.",
        min_length=1,
    )
    arms: tuple[str, ...] = Field(
        (),
        description="Strategies to compare each night over one pool of trajectories, such as single, "
        "sc:16, low, 32,4, low+compaction=answer; each is a run. Without any, the run is as it is set.",
    )
    gate: tuple[str, ...] = Field(
        (),
        description="What of the arms decides: names, such as low, and differences, such as low vs single; "
        "without any, every arm.",
    )
    judge: dict[str, JsonValue] | None = Field(
        None,
        description="Where grader is a judge: settings of the run of its votes that differ from those of "
        "run, such as model, endpoints, max_tokens. Its budget is its own: max_tokens_total, max_cost, "
        "max_hours, max_tokens_problem.",
        json_schema_extra={"form": {"additionalProperties": True}},
    )
    max_drop: float | None = Field(
        None,
        description="Share by which accuracy may be below the baseline, whether or not that is chance; "
        "without it only what is not chance is a NO-GO.",
        gt=0,
        le=1,
    )
    keep_nights: int | None = Field(
        None,
        description="Nights whose runs are kept: the last N. Of older ones the ledger keeps what the gate "
        "needs, and their files are deleted. Without keep_nights and keep_days all are kept.",
        ge=1,
    )
    keep_days: float | None = Field(
        None, description="Days for which the runs of a night are kept.", gt=0
    )
    keep_no_go_nights: int | None = Field(
        None,
        description="Nights back to which the runs of those that were a NO-GO are kept: the last N.",
        ge=1,
    )

    @property
    def gated(self) -> tuple[Gated, ...]:
        """What of the arms the gate looks at, the first first; nothing of a job without arms."""
        texts = self.gate or tuple(arm.name for arm in parse_arms(self.arms))
        parts = (text.partition(VERSUS) for text in texts)
        return tuple(Gated(arm.strip(), other.strip() or None) for arm, _, other in parts)

    @property
    def has_judge(self) -> bool:
        """Whether a model grades the answers."""
        return not is_by_rules(self.grader)

    @property
    def judge_changes(self) -> dict[str, JsonValue]:
        """Settings of the run of a judge's votes that differ from those of the job's run. The same question
        has the same votes each night, so that a judge that does not change is no change of the grader.
        """
        return {"seed_root": "judge", **(self.judge or {})}

    @property
    def deletes(self) -> bool:
        """Whether runs of old nights are deleted."""
        return self.keep_nights is not None or self.keep_days is not None

    @field_validator("grader")
    @classmethod
    def _is_grader(cls, grader: str) -> str:
        return checked_grader(grader)

    @field_validator("judge", mode="before")
    @classmethod
    def _is_none_where_nothing_was_typed(cls, judge: Any) -> Any:
        return None if judge == {} else judge

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
        return {"seed_root": EACH_NIGHT, **run, "run_id": PLACE}

    @model_validator(mode="after")
    def _has_arms_that_can_be(self) -> Self:
        if not self.arms:
            if self.gate:
                raise ValueError("gate: is about arms, and the job has none")
            return self
        if self.grader != "auto":
            raise ValueError(f"grader: {self.grader} is given, and arms are graded by auto")
        try:
            # A night's run is dated before its arms are planned.
            self.sweep(self.run.model_copy(update={"run_id": "checked", "seed_root": "checked"}))
            names = [arm.name for arm in parse_arms(self.arms)]
        except BadInput as fault:
            raise ValueError(str(fault).replace("--arm ", "arms: ", 1)) from None
        for gated in self.gated:
            if gated.arm == gated.other:
                raise ValueError(f"gate: {gated.name!r} is the same arm twice")
        for arm in (name for gated in self.gated for name in gated if name is not None):
            if arm not in names:
                near = did_you_mean(arm, names) or f"; they are {', '.join(names)}"
                raise ValueError(f"gate: {arm!r} is no name of an arm{near}")
        return self

    @model_validator(mode="after")
    def _has_a_judge_that_can_be(self) -> Self:
        if self.judge is None:
            return self
        if not self.has_judge:
            raise ValueError(f"judge: is for a grader that is a judge, and grader is {self.grader}")
        for name in SET_BY_JUDGING & self.judge.keys():
            raise ValueError(f"judge: {name}: is set by what is judged")
        try:
            self.judge_run(self.run)
        except BadInput as fault:
            raise ValueError(f"judge: {fault}") from None
        return self

    @model_validator(mode="after")
    def _keeps_as_a_rule(self) -> Self:
        if self.keep_no_go_nights is not None and not self.deletes:
            raise ValueError(
                "keep_no_go_nights: without keep_nights or keep_days every night is kept"
            )
        return self

    def dated(self, prices: str | None = None) -> RunConfig:
        """The settings of a night's run, with ``{date}`` for its date, and ``prices`` where it has none."""
        given = self.run.model_dump(exclude_unset=True)
        if prices is not None and self.run.prices is None:
            given["prices"] = prices
        return RunConfig.model_validate({**given, "run_id": f"{self.name}-{{date}}"})

    def judge_run(self, run: RunConfig) -> RunConfig:
        """The settings of a judge's votes, with the problems of ``run`` in place of questions about it.

        Raises BadInput.
        """
        given = run.model_dump(exclude_unset=True)
        plan = declared_fields(Declared.PLAN)
        kept = {name: given[name] for name in given if name not in (*plan, *BUDGET)}
        return validated(RunConfig, {**kept, "widths": (), **self.judge_changes})

    def sweep(self, run: RunConfig) -> SweepConfig:
        """The sweep that a night of a job with arms is. Raises BadInput for arms that cannot be."""
        try:
            return SweepConfig(run=run, arms=self.arms)
        except ValidationError as invalid:
            raise BadInput(str(first_fault(invalid))) from None


class NightBudget(PlainModel):
    """What all jobs of a night may spend together, in their order; each limit has its name and meaning of a
    run's.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=make_inputs, hide_input_in_errors=True,
        allow_inf_nan=False,
    )  # fmt: skip

    max_tokens_total: int | None = Field(
        None,
        description="Budget in tokens, those of failed tries and of judges included: what the night's runs "
        "may generate in all its starts. When it is spent nothing more is sent; a larger one goes on.",
        ge=1,
    )
    max_cost: float | None = Field(
        None,
        description="Budget in the currency of the price table: what the night's runs may cost in all.",
        gt=0,
    )
    prices: str | None = Field(
        None,
        description="CSV of what a million tokens of each model cost; for max_cost, of all jobs.",
        min_length=1,
    )
    max_hours: float | None = Field(
        None,
        description="Hours after which nothing more is sent, counted from each start of the night.",
        gt=0,
    )
    partial: bool = Field(
        False,
        description="Begin a job although what is left is expected not to suffice, and do what it suffices "
        "for.",
    )

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        if self.max_cost is not None and self.prices is None:
            raise ValueError("max_cost: needs prices, a table of what a million tokens cost")
        return self


class NightlyConfig(PlainModel):
    """All settings of a night."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=make_inputs, hide_input_in_errors=True
    )

    jobs: tuple[NightlyJob, ...] = Field(
        description="What is run each night, one after the other.", min_length=1
    )
    budget: NightBudget | None = Field(
        None,
        description="What all jobs may spend together, beside the budget that each may have of its own.",
    )
    date: str | None = Field(
        None,
        description="Date of a night that was missed, such as 2026-11-28, to make it now: its runs are "
        "named and sampled as they would have been. Without one it is that of the scheduled start (UTC).",
        json_schema_extra={"pattern": DATE},
    )

    @property
    def night(self) -> datetime | None:
        """The beginning of the day that is given, in UTC; None without one."""
        return None if self.date is None else _day(self.date)

    @field_validator("date")
    @classmethod
    def _is_a_date(cls, date: str | None) -> str | None:
        if date is not None:
            _day(date)
        return date

    @field_validator("jobs")
    @classmethod
    def _has_one_job_of_a_name(cls, jobs: tuple[NightlyJob, ...]) -> tuple[NightlyJob, ...]:
        names = [job.name for job in jobs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two jobs are named {twice[0]}")
        return jobs

    @field_validator("budget")
    @classmethod
    def _is_none_where_nothing_was_given(cls, budget: NightBudget | None) -> NightBudget | None:
        is_without = budget is None or not budget.model_dump(exclude_defaults=True)
        return None if is_without else budget

    @model_validator(mode="after")
    def _has_one_price_table(self) -> Self:
        if self.budget is None or self.budget.max_cost is None:
            return self
        for job in self.jobs:
            for prices in (job.run.prices, (job.judge or {}).get("prices")):
                if prices not in (None, self.budget.prices):
                    raise ValueError(
                        f"budget: prices {self.budget.prices} are those of all jobs, and job {job.name} "
                        f"has {prices}"
                    )
        return self


def _day(date: str) -> datetime:
    try:
        if re.match(DATE, date) is not None:
            return datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        pass
    raise ValueError(f"{date!r} is no date such as 2026-11-28")
