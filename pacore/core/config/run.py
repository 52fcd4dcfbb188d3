"""The configuration of a run: one pydantic model for flags, files, and the Prefect form.

Its fields are declared in `pacore.core.config.fields`; here are the checks across fields, and the recipe,
plan and identity that follow from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ModelWrapValidatorHandler, model_validator

from pacore.core.config.fields import SCRIPTED_MODEL, ConfigFields, Declared
from pacore.core.config.form import Group, Schema
from pacore.core.config.vllm_options import identity_options
from pacore.core.identity import canonical_json, digest
from pacore.core.plan import PRESETS, Plan, Preset, Step, parse_rules
from pacore.core.prompt import template_digests
from pacore.core.recipe import Recipe
from pacore.core.stopping import Stopping

PLACEHOLDERS = {"{date}": "%Y%m%d", "{time}": "%H%M%S"}
"""What may stand in a run's name and its seed root for the time of its start."""

BUDGET = ("max_tokens_total", "max_cost", "max_hours", "max_tokens_problem", "partial")
"""Fields of a run's budget. That of a judge's run is its own."""


def _dated(text: str, start: datetime) -> str:
    for pattern, form in PLACEHOLDERS.items():
        text = text.replace(pattern, start.strftime(form))
    return text


_IS_SCRIPTED = {
    "properties": {
        "where": {"properties": {"engine": {"const": "scripted"}}, "required": ["engine"]}
    },
    "required": ["where"],
}

_FORM_RULES: tuple[Schema, ...] = (
    # The engine is http where none is chosen.
    {
        "if": {"properties": {"where": {"properties": {"engine": {"const": "http"}}}}},
        "then": {
            "required": ["where"],
            "properties": {
                "where": {"required": ["endpoints"], "properties": {"endpoints": {"minItems": 1}}}
            },
        },
        "else": {"properties": {"where": {"properties": {"endpoints": {"maxItems": 0}}}}},
    },
    {
        "if": {"properties": {"how": {"required": ["preset"]}}, "required": ["how"]},
        "then": {"properties": {"how": {"properties": {"widths": {"maxItems": 0}}}}},
    },
    {"properties": {"limits": {"dependentRequired": {"max_cost": ["prices"]}}}},
    {
        "if": _IS_SCRIPTED,
        "then": {"properties": {"how": {"properties": {"model": {"pattern": r"^scripted(\?|$)"}}}}},
        "else": {
            "required": ["how"],
            "properties": {
                "how": {
                    "required": ["model"],
                    "properties": {"model": {"pattern": r"^(?!scripted(\?|$))"}},
                }
            },
        },
    },
)
"""What of the checks across fields JSON Schema can say: a form is refused before there is a flow run."""


class RunConfig(ConfigFields):
    """All settings of a run."""

    GROUPS: ClassVar[Mapping[Group, str]] = {
        Group.WHAT: "Which problems, and the name of the run.",
        Group.HOW: "Model, sampling and rounds. Other values make other trajectories: a run never goes on "
        "under others, and a new run generates what the store does not have yet.",
        Group.WHERE: "Who generates, and where it is kept. No result follows from it.",
        Group.LIMITS: "How much at once, how long and how often. No result follows from it, and a run may "
        "go on under other limits.",
    }

    RULES: ClassVar[Sequence[Schema]] = _FORM_RULES

    @model_validator(mode="after")
    def _consistent(self) -> RunConfig:
        if self.preset is not None and self.widths is not None:
            raise ValueError("preset and widths both set the trajectory configuration; give one")
        if any(width < 1 for width in self.widths or ()):
            raise ValueError("widths: every round needs at least one trajectory")
        if self.engine == "http" and not self.endpoints:
            raise ValueError("endpoints: engine http needs at least one, or take another engine")
        if self.engine != "http" and self.endpoints:
            raise ValueError(f"endpoints: engine {self.engine} takes none")
        if self.engine != "vllm" and self.vllm_options:
            raise ValueError(f"vllm_options: engine {self.engine} starts no vLLM server")
        if self.tls_ca_file is not None and not self.tls_verify:
            raise ValueError("tls_ca_file: tls_verify is false, so no authority is used")
        is_scripted = self.model.partition("?")[0] == SCRIPTED_MODEL
        if is_scripted and self.engine != "scripted":
            raise ValueError(
                f"model: engine {self.engine} needs a model's name; {SCRIPTED_MODEL!r} is the "
                "scripted engine's own, so that its text is never attributed to a real model"
            )
        if self.engine == "scripted" and not is_scripted:
            raise ValueError(
                f"model: engine scripted takes {SCRIPTED_MODEL!r} or {SCRIPTED_MODEL + '?…'!r}, not "
                f"{self.model!r}, so that scripted text is never attributed to a real model"
            )
        first = (*self.plan.widths, 1)[0]
        if self.pool is not None and self.pool < first:
            raise ValueError(f"pool: {self.pool} draws cannot fill a first round of {first}")
        return self

    @model_validator(mode="after")
    def _can_be_counted(self) -> RunConfig:
        if self.max_cost is not None and self.prices is None:
            raise ValueError("max_cost: needs prices, a table of what a million tokens cost")
        return self

    @model_validator(mode="after")
    def _can_be_resumed(self) -> RunConfig:
        for pattern in PLACEHOLDERS:
            if self.run_id and pattern in self.seed_root and pattern not in self.run_id:
                raise ValueError(
                    f"seed_root: has {pattern} and run_id has not; the same command could never resume "
                    "that run"
                )
        return self

    @model_validator(mode="after")
    def _consistent_sampling(self) -> RunConfig:
        for name in {"temperature", "top_p"} & set(self.omit):
            if (value := getattr(self, name)) != 1.0:
                raise ValueError(f"{name}: {value} is given, and omit leaves it out; give one")
        return self

    @model_validator(mode="after")
    def _consistent_policies(self) -> RunConfig:
        widths, given = self.plan.widths, self.min_messages
        needed = (given,) * len(widths) if isinstance(given, int) else given
        if len(needed) != len(widths):
            raise ValueError(f"min_messages: {len(needed)} numbers for {len(widths)} widths")
        for round_, (need, width) in enumerate(zip(needed, widths, strict=True), 1):
            if need > width:
                raise ValueError(f"min_messages: round {round_} of {width} cannot give {need}")
        self._check_stopping(widths, needed)
        if self.overflow == "fewer_messages" and self.max_tokens is None:
            raise ValueError(
                "overflow: fewer_messages needs max_tokens, which is how much room an answer needs"
            )
        return self

    def _check_stopping(self, widths: Sequence[int], needed: Sequence[int]) -> None:
        """Raise ValueError for rules that stop early and can decide nothing, or too little."""
        if self.stopping is None:
            return
        rules = parse_rules(self.stopping)
        if len(rules) not in (1, len(widths)):
            raise ValueError(f"stopping: {len(rules)} rules for {len(widths)} widths")
        if not any(step.stopping for step in self.plan.steps):
            raise ValueError(
                "stopping: no round has several trajectories that it could stop; take widths, such as 64: "
                "replicates are decided each by itself"
            )
        self._check_that_rules_act(widths, rules)
        for round_, (step, need) in enumerate(zip(self._sampling, needed, strict=True), 1):
            rule = step.stopping
            if rule is None or need == 1:
                continue
            is_open = rule.stops_by_votes or rule.abort_late or rule.tokens is not None
            fewest = min(rule.arrivals or need, rule.fewest or need)
            if is_open or fewest < need:
                raise ValueError(
                    f"stopping: round {round_} could go on with fewer messages than min_messages, {need}"
                )

    def _check_that_rules_act(self, widths: Sequence[int], rules: Sequence[Stopping]) -> None:
        """Raise ValueError for a part of a rule that can do nothing in any of its rounds."""
        # How many messages the prompts of a round show: a workspace is one, whatever it is made of.
        before = (0, *(widths if self.workspace_tokens is None else (1,) * len(widths)))
        rounds = list(zip(widths, before, strict=False))
        of_rules = [rounds] if len(rules) == 1 else [[one] for one in rounds]
        for rule, of_rule in zip(rules, of_rules, strict=True):
            inert = [
                rule.inert(width, shows_messages=shown > 1) for width, shown in of_rule if width > 1
            ]
            for part, why in inert[0].items() if inert else ():
                if all(part in one for one in inert):
                    said = ", ".join(str(width) for width, _ in of_rule)
                    raise ValueError(f"stopping: {part} can do nothing in sets of {said}: {why}")

    @property
    def _sampling(self) -> list[Step]:
        """The steps of the widths."""
        return [step for step in self.plan.steps if step.kind == "sample"][:-1]

    @model_validator(mode="after")
    def _consistent_strategy(self) -> RunConfig:
        if self.compaction == "summary" and self.summary_tokens is None:
            raise ValueError("summary_tokens: compaction summary needs it, to bound a summary")
        if self.compaction != "summary" and self.summary_tokens is not None:
            raise ValueError(f"summary_tokens: compaction {self.compaction} makes no summaries")
        if self.compaction == "answer" and self.truncated == "tail":
            raise ValueError(
                "truncated: a tail is no answer, and messages of compaction answer are nothing else"
            )
        if self.compaction == "reference" and self.truncated == "tail":
            raise ValueError(
                "truncated: compaction reference keeps what was cut as it is, and no tail of it"
            )
        for name in ("summary_tokens", "workspace_tokens"):
            bound = getattr(self, name)
            if None not in (bound, self.max_tokens) and bound > self.max_tokens:
                raise ValueError(f"{name}: {bound} is more than max_tokens, {self.max_tokens}")
        return self

    @model_validator(mode="after")
    def _consistent_selection(self) -> RunConfig:
        if self.subset is not None and self.workspace_tokens is not None:
            raise ValueError("subset: workspace_tokens leaves one message to be seen")
        widest = max(self.plan.widths, default=None)
        if self.subset is not None and widest is not None and self.subset > widest:
            raise ValueError(f"subset: {self.subset} is more than the {widest} messages there are")
        if self.select != "own" and self.subset is None:
            raise ValueError("select: needs subset, the number of messages that it chooses")
        if (self.select == "trained") != (self.scorer is not None):
            raise ValueError("scorer: select trained needs it, and no other select takes one")
        return self

    def at(self, moment: datetime) -> Self:
        """The configuration of a run that starts then: ``{date}`` (yyyymmdd) and ``{time}`` (hhmmss) of
        ``run_id`` and ``seed_root`` are replaced, in UTC.
        """
        start = moment.astimezone(UTC)
        texts = {"run_id": self.run_id or "", "seed_root": self.seed_root}
        dated = {name: new for name, text in texts.items() if (new := _dated(text, start)) != text}
        return self.model_copy(update=dated) if dated else self

    @model_validator(mode="wrap")
    @classmethod
    def _conflicts_in_plain_words(
        cls, data: Any, validate: ModelWrapValidatorHandler[Self]
    ) -> Self:
        return cls.in_plain_words(data, validate)

    @property
    def recipe(self) -> Recipe:
        options = identity_options(self.vllm_options)
        return Recipe(**self._declared(Declared.RECIPE), engine_options=options)

    @property
    def plan(self) -> Plan:
        given = self._declared(Declared.PLAN)
        preset: Preset = given.pop("preset") or "low"
        widths = PRESETS[preset] if self.widths is None else self.widths
        return Plan(**{**given, "widths": widths})

    def _declared(self, kind: Declared) -> dict[str, Any]:
        """The values of the fields declared as ``kind``."""
        return {name: getattr(self, name) for name in declared_fields(kind)}

    def identity(self, problem_set_digest: str) -> dict[str, Any]:
        """The identity of a run as JSON: recipe, plan, templates and problem set."""
        return {
            "recipe": self.recipe.as_json(),
            "plan": self.plan.as_json(),
            **template_digests(self.plan.steps),
            "problem_set": problem_set_digest,
        }


def declared_fields(kind: Declared) -> list[str]:
    """Names of the configuration fields declared as ``kind``, in order."""
    return [name for name, declared in declarations().items() if declared is kind]


def declarations(model: type[BaseModel] = RunConfig) -> dict[str, Declared]:
    """What each field of ``model`` is declared to be. Raises KeyError for an undeclared field."""
    found = {}
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra
        if not isinstance(extra, dict) or "pacore" not in extra:
            raise KeyError(f"{name} is declared neither identity nor operational")
        found[name] = Declared(str(extra["pacore"]))
    return found


def identity_digest(identity: dict[str, Any]) -> str:
    """64 hex characters; the first 8 name a run that was given no name."""
    return digest(identity)


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Name every leaf in which two identities differ: ``plan.widths: [4] -> [16]``."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        one, other = ({} if side is None else side for side in (before, after))
        if (one or other) and isinstance(one, dict) and isinstance(other, dict):
            found += differences(one, other, f"{prefix}{name}.")
        elif canonical_json(before) != canonical_json(after):
            found.append(f"{prefix}{name}: {before!r} -> {after!r}")
    return found
