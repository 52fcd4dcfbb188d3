"""The settings of a run, field by field, and where in Prefect's form each of them is.

Every field is declared. ``recipe`` fields shape a generation and change trajectory ids; ``plan``
fields change which trajectories a run samples and what it makes of them; both are identity, and a
run refuses to go on under another value. ``operational`` fields change neither. ``options`` of the
owned server are one or the other each (`pacore.core.config.vllm_options`). ``grading`` fields are the
identity of a grading, and no run has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from pacore.core.config.form import Group, Schema, make_form, ungrouped
from pacore.core.config.mapping import MAPPING_FORM, check_mapping, typed_mapping
from pacore.core.config.vllm_options import identity_options
from pacore.core.identity import canonical_json
from pacore.core.plan import (
    CompactionPolicy,
    MessageOrder,
    OverflowPolicy,
    Plan,
    Preset,
    SelectPolicy,
    ShortfallPolicy,
    TruncatedPolicy,
    parse_quorum,
    parse_rules,
    rules_text,
)
from pacore.core.policies.select import parse_scorer, scorer_text
from pacore.core.recipe import DEFAULT_SEED_ROOT
from pacore.core.validation import PlainModel
from pacore.errors import BadInput
from pacore.text import secret_in

OmittedField = Literal["seed", "temperature", "top_p"]


EngineName = Literal["http", "vllm", "scripted"]


SCRIPTED_MODEL = "scripted"

RUN_ID = r"^[A-Za-z](?:[A-Za-z0-9._-]|\{date\}|\{time\}){0,99}$"

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Declared(StrEnum):
    """What a configuration field is part of."""

    RECIPE = "recipe"
    PLAN = "plan"
    OPERATIONAL = "operational"
    OPTIONS = "options"
    GRADING = "grading"


def setting(
    declared: Declared,
    default: Any,
    description: str,
    group: Group = Group.HOW,
    form: Mapping[str, JsonValue] | None = None,
    **constraints: Any,
) -> Any:
    """A pydantic field that is declared a part of recipe, plan, operation, options or grading.

    ``group`` is the part of Prefect's form that it stands in. ``form`` has what of its JSON Schema is
    different there, for what cannot be told from its type.
    """
    extra: dict[str, JsonValue] = {"pacore": declared.value, "group": group.value}
    if form is not None:
        extra["form"] = dict(form)
    return Field(default, description=description, json_schema_extra=extra, **constraints)


def _recipe(default: Any, description: str, **constraints: Any) -> Any:
    return setting(Declared.RECIPE, default, description, **constraints)


def _plan(default: Any, description: str, **constraints: Any) -> Any:
    return setting(Declared.PLAN, default, description, **constraints)


def _what(default: Any, description: str, **constraints: Any) -> Any:
    return setting(Declared.OPERATIONAL, default, description, Group.WHAT, **constraints)


def _where(default: Any, description: str, **constraints: Any) -> Any:
    return setting(Declared.OPERATIONAL, default, description, Group.WHERE, **constraints)


def _limit(default: Any, description: str, **constraints: Any) -> Any:
    return setting(Declared.OPERATIONAL, default, description, Group.LIMITS, **constraints)


def _whole_numbers(text: str) -> tuple[int, ...]:
    """Widths as they are typed: ``32,4``. Raises ValueError."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise ValueError("must be whole numbers with commas between them, such as 32,4")
    return tuple(map(int, parts))


def _as_form(schema: Schema, model: type[Settings]) -> None:
    for name in model.SET_BY_OTHERS:
        del schema["properties"][name]
        schema["required"] = [field for field in schema.get("required", []) if field != name]
    if model.GROUPS:
        make_form(schema, model.GROUPS, model.RULES)


def without_secret(address: str) -> str:
    """The address. Raises ValueError where it has a key or a password in it."""
    if (reason := secret_in(address)) is not None:
        raise ValueError(reason)
    return address


class Settings(PlainModel):
    """Base of all configurations, with the checks of fields that several of them have.

    ``GROUPS`` has for each part of a configuration's form what is in it, ``RULES`` the JSON Schemas that
    all of what the form sends has to meet. ``SET_BY_OTHERS`` are fields that follow from the configuration
    that this one is a part of: the form does not show them.
    """

    GROUPS: ClassVar[Mapping[Group, str]] = {}

    RULES: ClassVar[Sequence[Schema]] = ()

    SET_BY_OTHERS: ClassVar[Sequence[str]] = ()

    FORMS: ClassVar[Mapping[str, str]] = {
        RUN_ID: "must begin with a letter, and after it have only letters, digits and . _ - (99 at "
        "most), such as r-2026-11-29 or nightly-{date}",
        _VARIABLE: "must be the name of an environment variable, such as OPENAI_API_KEY",
    }

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra=_as_form,
        allow_inf_nan=False,
        # What was typed into the wrong field may be a key.
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_groups(cls, data: Any) -> Any:
        return ungrouped(data) if cls.GROUPS else data

    @field_validator("*")
    @classmethod
    def _has_canonical_form(cls, value: Any) -> Any:
        try:
            canonical_json(value)
        except ValueError as fault:
            raise ValueError("has a lone surrogate, NaN or infinity in it") from fault
        return value

    @field_validator("problems", "store", "endpoints", check_fields=False)
    @classmethod
    def _holds_no_secret(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in (value,) if isinstance(value, str) else value:
            without_secret(address)
        return value

    @field_validator("problems", "store", mode="before", check_fields=False)
    @classmethod
    def _is_path(cls, value: Any) -> Any:
        return value.__fspath__() if hasattr(value, "__fspath__") else value

    @field_validator("fields", mode="before", check_fields=False)
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        return typed_mapping(value)

    @field_validator("fields", check_fields=False)
    @classmethod
    def _is_meant(cls, fields: dict[str, str]) -> dict[str, str]:
        check_mapping(fields)
        return fields


_AS_TEXT: dict[str, JsonValue] = {
    "anyOf": None, "type": "string", "pattern": r"^ *[1-9]\d*( *, *[1-9]\d*)* *,? *$", "default": "1",
}  # fmt: skip
"""A quorum as it is typed."""


class ConfigFields(Settings):
    """The fields of `pacore.core.config.run.RunConfig`, each checked by itself."""

    problems: str = _what(
        ...,
        "Problem set: JSONL, JSON, CSV, TSV or Parquet; a file, a folder or a pattern of files, local or "
        "any fsspec URL.",
        min_length=1,
    )
    engine: EngineName = _where(
        "http",
        "http: endpoints that serve already; vllm: a vLLM server of its own; scripted: no model at all.",
    )
    endpoints: tuple[str, ...] = _where(
        (), "OpenAI-compatible base URLs for engine http, such as http://127.0.0.1:8000/v1."
    )
    model: str = _recipe(
        SCRIPTED_MODEL,
        "Model by the name the endpoint serves it under; with engine vllm also a folder.",
        min_length=1,
    )
    preset: Preset | None = _plan(
        None,
        "Trajectory configuration by name: low [4], medium [16], high [32, 4]; single: round 1 alone, "
        "one trajectory for each replicate.",
    )
    widths: tuple[int, ...] | None = _plan(
        None,
        "Trajectory configuration in numbers, such as [32, 4]; the final 1 is implied.",
    )
    replicates: int = _plan(
        Plan.replicates, "Independent full passes over the problem set.", ge=1, le=4096
    )
    store: str = _where("./store", "Folder of the store, or s3://bucket/prefix.", min_length=1)
    run_id: str | None = _what(
        None,
        "Name of the run, of letters, digits and . _ -; {date} and {time} stand for when it starts, in "
        "UTC: nightly-{date}. Without one it is made from date and configuration.",
        pattern=RUN_ID,
    )
    limit: int | None = _what(None, "Only the first N rows of the problem set.", ge=1)
    fields: dict[str, str] = _what(
        {},
        "Which field of the problem set is what, where pacore does not recognise it: problem, answer, id "
        "and options each with the path of a field, grader with a grader's name, without with the columns "
        "to leave out.",
        form=MAPPING_FORM,
    )

    revision: str | None = _recipe(None, "Revision of the weights, if you know it.")
    tokenizer: str | None = _recipe(None, "Digest or name of tokenizer and chat template.")
    chat_template_options: dict[str, JsonValue] = _recipe(
        {},
        "Options of the chat template, such as enable_thinking.",
        form={"additionalProperties": True},
    )
    system: str | None = _recipe(None, "System prompt for problems without one.")
    temperature: float = _recipe(1.0, "Sampling temperature.", ge=0.0, le=10.0)
    top_p: float = _recipe(1.0, "Nucleus sampling mass.", gt=0.0, le=1.0)
    top_k: int | None = _recipe(None, "Sample from the k likeliest tokens.", ge=-1)
    min_p: float | None = _recipe(None, "Minimum token probability, relative.", ge=0.0, le=1.0)
    max_tokens: int | None = _recipe(
        None, "Most tokens to generate; without it, what the window holds.", ge=1
    )
    stop: tuple[str, ...] = _recipe((), "Texts that end a generation.")
    omit: tuple[OmittedField, ...] = _recipe(
        (),
        "Sampling fields that are not sent, for servers that refuse them: seed, temperature, top_p. "
        "Makes other trajectories.",
    )
    seed_root: str = _recipe(
        DEFAULT_SEED_ROOT,
        "Change this to force new samples; otherwise stored ones are reused. {date} and {time} stand for "
        "when the run starts, in UTC.",
    )

    pool: int | None = _plan(
        Plan.pool, "Draw round 1 of every replicate from the first P draws (the paper: 512).", ge=1
    )
    message_order: MessageOrder = _plan(
        Plan.message_order,
        "Order of messages in the prompt: by id (content), or as in the published code (reference).",
    )
    compaction: CompactionPolicy = _plan(
        Plan.compaction,
        "What of a trajectory the next round sees: its conclusion, all of it, its answer alone, a "
        "summary of all of it by the model, or (reference) the published code's messages, to the "
        "byte.",
    )
    summary_tokens: int | None = _plan(
        Plan.summary_tokens,
        "Most tokens of a summary, thinking included; a summary that is cut there is used as it is.",
        ge=1,
    )
    subset: int | None = _plan(
        Plan.subset,
        "Number of messages that each trajectory of a later round sees, chosen by select; without it, all.",
        ge=1,
    )
    select: SelectPolicy = _plan(
        Plan.select,
        "How the messages of a subset are chosen: each trajectory's own at random (own), or the same for "
        "all of a round: at random, by length, by how many agree (majority), one of each answer (spread), "
        "or by a trained scorer.",
    )
    scorer: str | None = _plan(
        Plan.scorer,
        "Weights by which trained chooses, such as agreement:0.4,length:-0.02; on the command line also "
        "the file that pacore value --fit wrote.",
    )
    workspace_tokens: int | None = _plan(
        Plan.workspace_tokens,
        "The model distils each round's messages into one of at most so many tokens, thinking "
        "included, which is all the next round sees.",
        ge=1,
    )
    min_messages: int | tuple[int, ...] = _plan(
        Plan.min_messages,
        "Messages a problem needs from a round to go on: one number, or one for each width, as in 24,3.",
        form=_AS_TEXT,
    )
    on_shortfall: ShortfallPolicy = _plan(
        Plan.on_shortfall,
        "Too few messages: fail stops the problem, refill makes further attempts, proceed continues with "
        "those there are.",
    )
    refills: int = _plan(Plan.refills, "Further attempts a slot gets under refill.", ge=1, le=1000)
    truncated: TruncatedPolicy = _plan(
        Plan.truncated,
        "What a trajectory gives whose thinking was cut: no message (drop), or its last tokens (tail).",
    )
    tail_tokens: int = _plan(Plan.tail_tokens, "How many tokens tail keeps.", ge=1)
    stopping: str | None = _plan(
        Plan.stopping,
        "Rule that stops a round of a problem early, such as votes:0.95,batch:8 or arrivals:12; what is "
        "left of it is not sent, or aborted; depth:0.95 ends a problem whose messages agree. One rule, or "
        "one for each width: votes:0.95;arrivals:3. "
        "pacore replay tells what each rule would save.",
    )
    overflow: OverflowPolicy = _plan(
        Plan.overflow,
        "A prompt too long for the window: a failure, or as many messages as it holds.",
    )

    api_key_env: str = _where(
        "OPENAI_API_KEY",
        "Environment variable that holds the endpoint's key, if it needs one.",
        pattern=_VARIABLE,
    )
    concurrency: int = _limit(
        1024,
        "Most requests in flight at each endpoint; how many keep it busy is found while it works.",
        ge=1,
        le=4096,
    )
    timeout_seconds: float = _limit(3600.0, "Longest wait for one response, in seconds.", gt=0.0)
    connect_timeout_seconds: float = _limit(
        10.0, "Longest wait for a connection, in seconds.", gt=0.0
    )
    tls_verify: bool = _where(
        True,
        "Check the certificates of endpoints; false also accepts a server that is not the one named.",
    )
    tls_ca_file: str | None = _where(
        None, "PEM file of the authorities to trust in place of the system's.", min_length=1
    )
    retries: int = _limit(4, "Further tries of a request after a temporary fault.", ge=0, le=100)
    retry_wait_seconds: float = _limit(
        1.0, "First wait before a retry, in seconds; doubles.", ge=0.0
    )
    retry_wait_max_seconds: float = _limit(60.0, "Longest wait before a retry, in seconds.", ge=0.0)
    early_stop: int = _limit(
        8,
        "Stop when so many of the first requests are refused in the same way, for a reason that no retry "
        "changes; 0: never.",
        ge=0,
    )
    max_tokens_total: int | None = _limit(
        None,
        "Budget in tokens, those of failed tries included: what the run may generate in all its starts. "
        "When it is spent nothing more is sent; a larger one goes on.",
        ge=1,
    )
    max_tokens_problem: int | None = _limit(
        None,
        "Budget of each problem in tokens, over its rounds, replicates and failed tries: when it is spent "
        "nothing more is sent for that problem, whose answer stays missing, and the others go on.",
        ge=1,
    )
    max_cost: float | None = _limit(
        None, "Budget in the currency of the price table: what the run may cost in all.", gt=0.0
    )
    prices: str | None = _limit(
        None,
        "CSV of what a million tokens cost: model, prompt_per_million, completion_per_million; for "
        "max_cost.",
        min_length=1,
    )
    max_hours: float | None = _limit(
        None, "Hours after which nothing more is sent, counted from each start.", gt=0.0
    )
    partial: bool = _limit(
        False,
        "Start although the budget is expected not to suffice, and do what it suffices for.",
    )
    attempts: int = _limit(3, "Attempts at a trajectory before it counts as lost.", ge=1)
    shard_size: int | None = _limit(
        None, "Problems in a shard; fixed when a run first starts.", ge=1
    )
    grading_timeout_seconds: float = _limit(
        5.0, "Longest grading of one answer, in seconds.", gt=0.0
    )
    vllm_options: tuple[str, ...] = setting(
        Declared.OPTIONS,
        (),
        "Arguments of the vLLM server, such as --max-model-len=8192; those that shape text are "
        "part of the recipe.",
    )

    @field_validator("endpoints", "stop", "omit", "vllm_options", mode="before")
    @classmethod
    def _may_be_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("widths", mode="before")
    @classmethod
    def _may_be_typed(cls, value: Any) -> Any:
        if type(value) is int:
            return (value,)
        return _whole_numbers(value) if isinstance(value, str) else value

    @field_validator("vllm_options")
    @classmethod
    def _can_be_read(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        try:
            identity_options(options)
        except BadInput as fault:
            raise ValueError(str(fault).removeprefix("vllm_options: ")) from None
        return options

    @field_validator("scorer")
    @classmethod
    def _is_scorer(cls, scorer: str | None) -> str | None:
        return None if scorer is None else scorer_text(parse_scorer(scorer))

    @field_validator("omit")
    @classmethod
    def _in_order(cls, omit: tuple[OmittedField, ...]) -> tuple[OmittedField, ...]:
        return tuple(sorted(set(omit)))

    @field_validator("stopping")
    @classmethod
    def _is_rule(cls, text: str | None) -> str | None:
        return None if text is None else rules_text(parse_rules(text)) or None

    @field_validator("min_messages", mode="before")
    @classmethod
    def _is_quorum(cls, value: Any) -> int | tuple[int, ...]:
        given = parse_quorum(value) if isinstance(value, str) else value
        numbers = given if isinstance(given, (list, tuple)) else [given]
        if any(not isinstance(number, int) or number < 1 for number in numbers):
            raise ValueError("is a whole number from 1 on, or one for each width")
        return given if isinstance(given, int) else tuple(numbers)
