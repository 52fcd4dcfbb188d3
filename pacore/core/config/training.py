"""The configuration of a training set: sources, filters, the pool, the bounds of each stage, the synthesis.

Shares, such as the paper's 9/24, are written as fractions or decimals and compared exactly; they hold for
pools of any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)

from pacore.core.config.fields import Declared, setting, without_secret
from pacore.core.config.form import Group, make_inputs, ungrouped
from pacore.core.config.mapping import MAPPING_FORM, check_mapping, typed_mapping
from pacore.core.config.run import BUDGET, RunConfig
from pacore.core.grading.judge import VALIDITY_DIGEST, VOTES
from pacore.core.validation import SLUG, PlainModel, first_fault, validated

FROM_SOURCES = "the sources of the training set"

SET_BY_TRAINING = (
    "problems", "limit", "fields", "run_id", "preset", "widths", "replicates", "pool",
)  # fmt: skip
"""Fields of a run that follow from the training set."""

Operation = Literal["add", "subtract", "multiply", "power"]

Generator = Literal[
    "basic_arithmetic", "chain_sum", "count_bits", "count_primes", "gcd", "largest_island", "lcm",
    "leg_counting", "letter_counting", "number_sequence", "products", "rotten_oranges",
    "simple_equations",
]  # fmt: skip
"""Generators of reasoning-gym with one right answer, an integer. Its scorers are never called: 9 of 11 that
were tried run code that stands in an answer."""

Policy = Literal["keep", "drop", "sample"]


def _as_share(value: Any) -> Any:
    """A share in [0, 1] in its one spelling: ``9/24`` as it was typed, a number as a decimal."""
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    try:
        share = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError("must be a share such as 9/24 or 0.375") from None
    if not 0 <= share <= 1:
        raise ValueError("must be a share from 0 to 1")
    return text


Share = Annotated[str, BeforeValidator(_as_share)]


def _checked(mapping: dict[str, str]) -> dict[str, str]:
    check_mapping(mapping)
    return mapping


Mapped = Annotated[dict[str, str], BeforeValidator(typed_mapping), AfterValidator(_checked)]

Address = Annotated[str, AfterValidator(without_secret)]


class Plain(PlainModel):
    """What all parts of the configuration have in common."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=make_inputs, hide_input_in_errors=True,
        allow_inf_nan=False,
    )  # fmt: skip


class NamedSource(Plain):
    """Where problems come from."""

    name: str = Field(
        description="Name of the source, of small letters, digits and dashes.", pattern=SLUG
    )


class ArithmeticSource(NamedSource):
    """Synthetic arithmetic, as in the paper (appendix C)."""

    kind: Literal["arithmetic"]
    count: int = Field(description="How many different problems.", ge=1)
    digits: tuple[int, int] = Field(
        (12, 13),
        description="Least and most digits of an operand: 12 and 13 are the paper's [10^11, 10^13).",
    )
    operations: tuple[Operation, ...] = Field(
        get_args(Operation),
        description="Which operations, each as often: add, subtract, multiply, power (modulo a prime).",
        min_length=1,
    )
    modulus: int = Field(
        1_000_000_000_039, description="The prime of modular exponentiation.", ge=2
    )
    seed: str = Field("1", description="Another seed makes other problems.")

    @field_validator("digits")
    @classmethod
    def _is_range(cls, digits: tuple[int, int]) -> tuple[int, int]:
        least, most = digits
        if not 1 <= least <= most <= 100:
            raise ValueError("must be the least and the most digits, from 1 to 100")
        return digits


class GeneratorSource(NamedSource):
    """A generator of reasoning-gym whose answers are integers."""

    kind: Literal["generator"]
    generator: Generator = Field(description="Name of the generator.")
    count: int = Field(description="How many problems.", ge=1)
    seed: str = Field("1", description="Another seed makes other problems.")
    options: dict[str, JsonValue] = Field({}, description="Settings of the generator.")


class SetSource(NamedSource):
    """A problem set."""

    kind: Literal["set"]
    problems: Address = Field(
        description="Problem set, read as that of a run: a file, a folder or a pattern of files.",
        min_length=1,
    )
    licence: str = Field(
        description="Licence of the problems, by a name such as MIT or CC-BY-4.0.", min_length=1
    )
    limit: int | None = Field(None, description="Only the first N rows.", ge=1)
    fields: Mapped = Field(
        {},
        description="Which field is what, as for a run.",
        json_schema_extra={"form": MAPPING_FORM},
    )


AnySource = Annotated[ArithmeticSource | GeneratorSource | SetSource, Field(discriminator="kind")]


class EvaluationSet(Plain):
    """A problem set that no problem of the training set may be from."""

    name: str = Field(description="Name of the evaluation set.", min_length=1)
    problems: Address = Field(description="The problem set, as of a source.", min_length=1)
    fields: Mapped = Field({}, description="Which field is what, as for a run.")


class Filters(Plain):
    """Which problems of the sources are usable. All rules are on unless they are turned off."""

    images: bool = Field(True, description="Drop problems that need an image.")
    links: bool = Field(True, description="Drop problems with a link in their text.")
    several_questions: bool = Field(True, description="Drop problems that ask several questions.")
    near_duplicates: bool = Field(
        True, description="Drop all but the first of problems that are nearly the same."
    )
    containment: Share = Field(
        "0.7",
        description="Share of the smaller problem's 3-word sequences from which two are the same.",
    )
    evaluation_sets: tuple[EvaluationSet, ...] = Field(
        (), description="Drop problems that are in one of these."
    )
    contamination: Share = Field(
        "0.5",
        description="Share of an evaluation problem's 5-word sequences from which a problem is it.",
    )


class Bands(Plain):
    """Which accuracies of the pool a problem is kept for, all bounds strict; and what is done near them."""

    math: Share = Field("9/24", description="Upper bound of problems with one right answer.")
    code: Share = Field("15/24", description="Upper bound of problems graded by tests.")
    observed: Share = Field(
        "1",
        description="Share of its pool that must have a score; a problem with fewer is unobserved.",
    )
    confidence: float = Field(
        0.95, description="Of the interval of each problem's accuracy.", gt=0.5, lt=1
    )
    policy: Policy = Field(
        "keep",
        description="A problem whose interval has a bound in it: keep goes by its accuracy, drop leaves it "
        "out, sample draws more until the interval is on one side.",
    )
    most_draws: int | None = Field(
        None, description="Most trajectories of a problem under sample; 8 pools without it.", ge=1
    )

    def upper(self, kind: str) -> Fraction:
        """The upper bound of the accuracy of problems of a kind, ``math`` or ``code``."""
        return Fraction(self.code if kind == "code" else self.math)


class SampledRun(RunConfig):
    """Settings of the runs of a training set: all of a run's but what the training set sets."""

    SET_BY_OTHERS: ClassVar[Sequence[str]] = SET_BY_TRAINING

    problems: str = setting(
        Declared.OPERATIONAL, FROM_SOURCES, "Is set by the training set.", Group.WHAT, min_length=1
    )

    @model_validator(mode="after")
    def _leaves_problems_to_the_training_set(self) -> Self:
        for name in SET_BY_TRAINING:
            if name in self.model_fields_set and getattr(self, name) != FROM_SOURCES:
                raise ValueError(f"{name}: is set by the training set")
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _conflicts_of_both_in_plain_words(
        cls, data: Any, validate: ModelWrapValidatorHandler[Self]
    ) -> Self:
        return cls.in_plain_words(data, validate)


def _of_the_same_store(run: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name in {"store", "problems"} & run.keys():
        raise ValueError(f"{name}: is that of the pool's run")
    return run


ChangedRun = Annotated[dict[str, JsonValue], AfterValidator(_of_the_same_store)]
"""Settings of a run that differ from those of the pool's run, in its store."""


class Synthesis(Plain):
    """Trajectories of P(x, M) by a checkpoint, for stage 2."""

    run: ChangedRun = Field(
        description="Settings that differ from those of the pool's run: model, engine, endpoints, …",
        json_schema_extra={"form": {"additionalProperties": True}},
    )
    sets: int = Field(16, description="Message sets of each problem.", ge=1, le=4096)
    draws: int = Field(1, description="Trajectories of each message set.", ge=1, le=4096)
    messages: tuple[int, int] | None = Field(
        None,
        description="Least and most messages of a set; without it 16 to 24 of a pool of 24, scaled.",
    )

    @field_validator("messages")
    @classmethod
    def _is_range(cls, messages: tuple[int, int] | None) -> tuple[int, int] | None:
        if messages is not None and not 1 <= messages[0] <= messages[1]:
            raise ValueError("must be the least and the most messages, from 1 on")
        return messages

    def sizes(self, pool: int) -> tuple[int, int]:
        """Least and most messages of a set drawn from a pool."""
        return (ceil(pool * 16 / 24), pool) if self.messages is None else self.messages


class ValidityJudge(Plain):
    """A model that votes on each problem, whether it is one clear question with a checkable answer."""

    run: ChangedRun = Field(
        description="Settings that differ from those of the pool's run: model, endpoints, max_tokens, … "
        "Its budget is its own: max_tokens_total, max_cost, max_hours.",
        json_schema_extra={"form": {"additionalProperties": True}},
    )
    votes: int | None = Field(None, description="Votes on each problem; 4 without it.", ge=1, le=64)
    needed: int | None = Field(
        None, description="Votes for valid that a problem needs; all of them without it.", ge=1
    )

    @property
    def drawn(self) -> int:
        """Votes on each problem."""
        return VOTES if self.votes is None else self.votes

    @property
    def wanted(self) -> int:
        """Votes for valid that a problem needs."""
        return self.drawn if self.needed is None else self.needed

    @model_validator(mode="after")
    def _needs_no_more_than_there_are(self) -> Self:
        if self.needed is not None and self.needed > self.drawn:
            raise ValueError(f"needed: {self.needed} of {self.drawn} votes cannot be had")
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _conflicts_in_plain_words(
        cls, data: Any, validate: ModelWrapValidatorHandler[Self]
    ) -> Self:
        return cls.in_plain_words(data, validate)


class TrainingConfig(Plain):
    """All settings of a training set."""

    name: str = Field(
        description="Name of the training set, of small letters, digits and dashes.", pattern=SLUG
    )
    sources: tuple[AnySource, ...] = Field(
        description="Where the problems come from.", min_length=1
    )
    filters: Filters = Field(
        Filters.model_validate({}), description="Which problems of the sources are usable."
    )
    judge: ValidityJudge | None = Field(
        None,
        description="A judge of the problems that the filters leave; without it all are valid.",
    )
    run: SampledRun = Field(
        description="Settings of the runs: model, engine, store, sampling, budget (of all runs "
        "together)."
    )
    pool: int = Field(24, description="Trajectories of each problem.", ge=1, le=4096)
    bands: Bands = Field(
        Bands.model_validate({}), description="Which accuracies a problem is kept for."
    )
    synthesis: Synthesis | None = Field(
        None, description="Synthesis for stage 2; without it the training set ends with stage 1."
    )

    @field_validator("run", mode="before")
    @classmethod
    def _without_groups(cls, run: Any) -> Any:
        return ungrouped(run)

    @field_validator("judge", mode="before")
    @classmethod
    def _is_none_where_nothing_was_typed(cls, judge: Any) -> Any:
        return None if judge == {} else judge

    @field_validator("sources")
    @classmethod
    def _has_one_source_of_a_name(cls, sources: tuple[AnySource, ...]) -> tuple[AnySource, ...]:
        names = [source.name for source in sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two sources are named {twice[0]}")
        return sources

    @model_validator(mode="after")
    def _can_be_planned(self) -> Self:
        if self.synthesis is not None:
            _, most = self.synthesis.sizes(self.pool)
            if most > self.pool:
                raise ValueError(
                    f"synthesis: sets of {most} messages need a pool of so many, and it has {self.pool}"
                )
        for name, fields in (("synthesis", self._synthesis_fields), ("judge", self._judge_fields)):
            try:
                SampledRun.model_validate(fields)
            except ValidationError as invalid:
                raise ValueError(f"{name}: run.{first_fault(invalid)}") from None
        if self.synthesis is not None and self.run.max_cost is not None:
            prices = self.synthesis.run.get("prices", self.run.prices)
            if prices != self.run.prices:
                raise ValueError(
                    f"synthesis: run.prices: max_cost is that of all runs, by {self.run.prices}"
                )
        if self.bands.most_draws is not None and self.bands.most_draws < self.pool:
            raise ValueError("bands: most_draws is less than the pool")
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _conflicts_in_plain_words(
        cls, data: Any, validate: ModelWrapValidatorHandler[Self]
    ) -> Self:
        return cls.in_plain_words(data, validate)

    @property
    def identity(self) -> dict[str, JsonValue]:
        """What may not change under one name, beside what the identity of the pool's run has."""
        return {
            "sources": [source.model_dump(mode="json") for source in self.sources],
            "filters": self.filters.model_dump(mode="json"),
            **self.judged_by,
        }

    @property
    def judged_by(self) -> dict[str, JsonValue]:
        """``judge`` with what its verdicts follow from; nothing where there is none."""
        judge = self.judge
        if judge is None:
            return {}
        recipe = self.judge_run("").recipe.as_json()
        counted = {"votes": judge.drawn, "needed": judge.wanted}
        return {"judge": {**counted, "question": VALIDITY_DIGEST[:12], "recipe": recipe}}

    @property
    def most_draws(self) -> int:
        """Most trajectories of a problem under the policy ``sample``."""
        return self.bands.most_draws or 8 * self.pool

    def pool_run(self, problems: str) -> RunConfig:
        """The run of the pool over the problem set at an address."""
        return self._run(self.run.model_dump(exclude_unset=True), "pool", problems, self.pool)

    def further_run(self, label: str, draws: int) -> RunConfig:
        """The run of ``draws`` trajectories of some problems, of which the pool's are the first.

        ``label`` distinguishes sets of problems, whose address is still to be filled in.
        """
        fields = self.run.model_dump(exclude_unset=True)
        return self._run(fields, f"draws-{draws}-{label}", FROM_SOURCES, draws)

    def synthesis_run(self, label: str) -> RunConfig:
        """The run of the synthesis, without its problems; ``label`` distinguishes checkpoints."""
        assert self.synthesis is not None
        return self._run(
            self._synthesis_fields, f"synthesis-{label}", FROM_SOURCES, self.synthesis.draws
        )

    def judge_run(self, problems: str) -> RunConfig:
        """The run of the votes of the judge over the questions at an address."""
        assert self.judge is not None
        return self._run(self._judge_fields, "judge", problems or FROM_SOURCES, self.judge.drawn)

    @property
    def _judge_fields(self) -> dict[str, object]:
        pooled = self.run.model_dump(exclude_unset=True)
        given = {} if self.judge is None else self.judge.run
        return {**{name: pooled[name] for name in pooled if name not in BUDGET}, **given}

    @property
    def _synthesis_fields(self) -> dict[str, object]:
        given = {} if self.synthesis is None else self.synthesis.run
        return {**self.run.model_dump(exclude_unset=True), **given}

    def _run(
        self, fields: Mapping[str, object], label: str, problems: str, replicates: int
    ) -> RunConfig:
        own = {
            "problems": problems,
            "widths": (),
            "replicates": replicates,
            "run_id": f"{self.name}.{label}",
        }
        return validated(RunConfig, {**fields, **own})


def kind_by_grader(grader: str) -> Literal["math", "code"]:
    """Whose bounds hold for a problem of a grader."""
    return "code" if grader.partition(":")[0] == "code" else "math"
