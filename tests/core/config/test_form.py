"""Prefect's form of a configuration: plain inputs in groups, and what is sent is what is meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prefect.utilities.schema_tools.validation import is_valid_schema, validate
from pydantic import BaseModel, ValidationError

from pacore.core.config.evaluate import EvaluateConfig
from pacore.core.config.fields import Declared
from pacore.core.config.nightly import NightlyConfig
from pacore.core.config.run import RunConfig, declarations
from pacore.core.config.sweep import SET_BY_ARMS, SweepConfig
from pacore.core.config.training import TrainingConfig
from pacore.core.config.values import ValuesConfig
from pacore.core.validation import first_fault
from tests.conftest import ROOT

MODELS: list[type[BaseModel]] = [RunConfig, EvaluateConfig, SweepConfig, ValuesConfig]
every_model = pytest.mark.parametrize("model", MODELS)

Schema = dict[str, Any]


def cards(model: type[BaseModel]) -> dict[str, dict[str, Schema]]:
    """The inputs of the form by group."""
    properties = model.model_json_schema()["properties"]
    return {group: card["properties"] for group, card in properties.items()}


def inputs_in(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for name, value in schema.get("properties", {}).items():
        yield name, value
        yield from inputs_in(value)


def untouched(schema: Schema) -> Schema:
    """What Prefect's form sends where nothing is typed: every default, and nothing of the rest."""
    sent: Schema = {}
    for name, value in schema["properties"].items():
        if "properties" in value:
            if inside := untouched(value):
                sent[name] = inside
        elif "default" in value:
            sent[name] = value["default"]
    return sent


def sent_by(model: type[BaseModel], changes: dict[str, Schema]) -> Schema:
    """What the form sends where some fields of some groups are typed."""
    sent = untouched(model.model_json_schema())
    for group, fields in changes.items():
        sent[group] = {**sent.get(group, {}), **fields}
    return sent


def refusals(model: type[BaseModel], sent: Schema) -> list[tuple[str, str]]:
    """What Prefect's server says is wrong, by the place of the field."""
    schema = model.model_json_schema()
    return [(error.json_path.removeprefix("$."), error.message) for error in validate(sent, schema)]


SCRIPTED = {"what": {"problems": "p.jsonl"}, "where": {"engine": "scripted"}}


@every_model
def test_the_fields_are_in_four_groups_in_the_order_of_the_model(model: type[BaseModel]) -> None:
    assert list(cards(model)) == ["what", "how", "where", "limits"]
    is_own = model in (EvaluateConfig, ValuesConfig)
    names = list(model.model_fields if is_own else RunConfig.model_fields)
    for inputs in cards(model).values():
        known = [name for name in inputs if name in names]
        assert known == sorted(known, key=names.index)


@every_model
def test_every_object_of_a_form_is_numbered_titled_and_described(model: type[BaseModel]) -> None:
    schema = model.model_json_schema()
    is_valid_schema(schema)
    for value in [schema, *(inner for _, inner in inputs_in(schema))]:
        inner = list(value.get("properties", {}).values())
        assert [one["position"] for one in inner] == list(range(len(inner)))
        for one in inner:
            assert one["title"]
            assert one["description"].endswith(".")
            assert "\n" not in one["description"]
    assert cards(RunConfig)["what"]["run_id"]["title"] == "Run ID"
    assert cards(RunConfig)["how"]["vllm_options"]["title"] == "vLLM options"


@every_model
def test_no_field_is_a_switch_of_types_nor_a_reference(model: type[BaseModel]) -> None:
    for name, value in inputs_in(model.model_json_schema()):
        assert not {"anyOf", "oneOf", "allOf", "$ref"} & set(value), name
        assert value["type"] in ("string", "integer", "number", "boolean", "array", "object"), name


def test_identity_is_in_a_group_of_its_own() -> None:
    operational = {
        name for name, declared in declarations().items() if declared is Declared.OPERATIONAL
    }
    for group, inputs in cards(RunConfig).items():
        assert set(inputs) & operational == (set() if group == "how" else set(inputs))
    assert set(cards(EvaluateConfig)["how"]) == {"grader"}


def test_a_unit_stands_in_the_description_of_every_time_and_number_of_tokens() -> None:
    for name, value in inputs_in(RunConfig.model_json_schema()):
        for unit in ("seconds", "tokens"):
            assert not name.endswith(unit) or unit in value["description"].lower(), name


@pytest.mark.parametrize("group", ["what", "how", "where", "limits"])
def test_every_field_of_a_run_stands_in_the_forms_of_a_run_and_of_a_sweep(group: str) -> None:
    of_sweep = {"arms"}
    assert set(cards(SweepConfig)[group]) - of_sweep == set(cards(RunConfig)[group]) - set(
        SET_BY_ARMS
    )
    found = {name for inputs in cards(RunConfig).values() for name in inputs}
    assert found == set(RunConfig.model_fields)


def test_a_form_that_is_sent_untouched_gives_exactly_the_defaults() -> None:
    sent = sent_by(RunConfig, SCRIPTED)
    assert not refusals(RunConfig, sent)
    default = RunConfig.model_validate({"problems": "p.jsonl", "engine": "scripted"})
    assert RunConfig.model_validate(sent) == default
    assert not refusals(SweepConfig, sent_by(SweepConfig, SCRIPTED))
    swept = SweepConfig.model_validate(sent_by(SweepConfig, SCRIPTED))
    assert swept == SweepConfig.model_validate({"run": default.model_dump()})
    sent = sent_by(EvaluateConfig, {"what": {"runs": ["low"]}})
    assert not refusals(EvaluateConfig, sent)
    assert EvaluateConfig.model_validate(sent) == EvaluateConfig(runs=("low",))


def test_a_list_that_was_emptied_again_is_left_out() -> None:
    sent = sent_by(RunConfig, {**SCRIPTED, "how": {"preset": "low", "widths": []}})
    assert not refusals(RunConfig, sent)
    assert RunConfig.model_validate(sent).plan.widths == (4,)


def test_what_a_form_sends_is_the_configuration_that_is_typed() -> None:
    sent = sent_by(
        RunConfig,
        {
            "what": {"problems": "p.csv", "fields": {"problem": "question", "answer": "gold"}},
            "how": {"model": "m", "widths": [3, 2], "min_messages": "2,1", "omit": ["seed"]},
            "where": {"engine": "http", "endpoints": ["http://127.0.0.1:9/v1"]},
        },
    )
    assert not refusals(RunConfig, sent)
    config = RunConfig.model_validate(sent)
    assert (config.widths, config.min_messages) == ((3, 2), (2, 1))
    assert config.fields == {"problem": "question", "answer": "gold"}
    flat = json.loads(config.model_dump_json())
    assert RunConfig.model_validate(flat) == config


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"what": {"problems": ""}}, "what.problems"),
        ({"what": {"run_id": "not/a/name"}}, "what.run_id"),
        ({"what": {"limit": 0}}, "what.limit"),
        ({"how": {"preset": "hihg"}}, "how.preset"),
        ({"how": {"preset": "low", "widths": [4]}}, "how.widths"),
        ({"how": {"min_messages": "some"}}, "how.min_messages"),
        ({"how": {"model": "a-model"}}, "how.model"),
        ({"where": {"engine": "http"}, "how": {"model": "a-model"}}, "where.endpoints"),
        ({"where": {"engine": "vllm"}}, "how.model"),
        ({"where": {"endpoints": ["http://h/v1"]}}, "where.endpoints"),
        ({"limits": {"concurrency": 0}}, "limits.concurrency"),
        ({"limits": {"max_cost": 1.5}}, "limits"),
        ({"how": {"temprature": 1}}, "how"),
        ({"hwo": {}}, "$"),
    ],
)
def test_what_json_schema_can_say_is_refused_before_there_is_a_run(
    changes: dict[str, Schema], place: str
) -> None:
    sent = sent_by(
        RunConfig,
        {
            group: {**SCRIPTED.get(group, {}), **fields}
            for group, fields in {**SCRIPTED, **changes}.items()
        },
    )
    assert [found for found, _ in refusals(RunConfig, sent)] == [place]


@pytest.mark.parametrize(
    ("model", "flat"),
    [
        (RunConfig, {"problems": "p", "engine": "scripted", "min_messages": 2, "widths": []}),
        (EvaluateConfig, {"runs": ["low"], "grader": None}),
        (SweepConfig, {"run": {"problems": "p", "engine": "scripted"}, "arms": ["low"]}),
    ],
)
def test_fields_may_still_be_given_without_groups(model: type[BaseModel], flat: Schema) -> None:
    assert not refusals(model, flat)
    (place, said), *_ = refusals(model, {**flat, "limt": 1})
    assert place == "$"
    assert "'limt'" in said


def test_a_group_that_is_none_and_a_field_that_is_given_twice_are_refused() -> None:
    with pytest.raises(ValidationError) as wrong:
        RunConfig.model_validate({"problems": "p", "engine": "scripted", "how": "well"})
    assert str(first_fault(wrong.value)) == "how: must be an object: names, each with a value"
    with pytest.raises(ValidationError) as wrong:
        RunConfig.model_validate({"problems": "p", "what": {"problems": "q"}})
    assert str(first_fault(wrong.value)) == "problems: is given twice, and not as the same"


def filled(schema: Schema, given: Any, root: Schema) -> Any:
    """What the form sends where ``given`` is filled in beforehand: every default beside it."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "array" and isinstance(given, list):
        return [filled(schema.get("items", {}), one, root) for one in given]
    if given is None and "default" in schema:
        return schema["default"]
    if "properties" not in schema:
        return given
    found = {
        name: filled(field, (given or {}).get(name), root)
        for name, field in schema["properties"].items()
    }
    return {name: value for name, value in found.items() if value is not None}


FORMS: dict[str, type[BaseModel]] = {
    "infer": RunConfig, "evaluate": EvaluateConfig, "sweep": SweepConfig, "nightly": NightlyConfig,
    "training_data": TrainingConfig, "values": ValuesConfig,
}  # fmt: skip


@pytest.mark.parametrize("flow", FORMS)
def test_the_form_of_a_deployment_sent_untouched_gives_what_its_parameters_give(flow: str) -> None:
    (given,) = (
        one["parameters"]["config"]
        for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
        if one["entrypoint"].endswith(f":{flow}")
    )
    model = FORMS[flow]
    schema = model.model_json_schema()
    sent = filled(schema, given, schema)
    assert sent != given
    assert model.model_validate(sent).model_dump() == model.model_validate(given).model_dump()
