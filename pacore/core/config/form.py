"""Prefect's form of a configuration: groups of fields, in JSON Schema that shows each as one plain input.

The form shows an input for each property of a schema. One that may be several things (``anyOf``) has a
switch of types, and None is one of them; so here a field that may be None is one that may be left out. An
object with properties is a card: the groups. What the form sends has the groups, too, and `ungrouped`
takes them apart again. Configurations, and what is stored of them, know nothing of groups. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

Schema = dict[str, Any]


class Group(StrEnum):
    """The part of the form that a field is shown in: all of identity, and nothing else, are in ``how``."""

    WHAT = "what"
    HOW = "how"
    WHERE = "where"
    LIMITS = "limits"


_WRITTEN = {"api": "API", "ca": "CA", "id": "ID", "k": "k", "p": "p", "tls": "TLS", "vllm": "vLLM"}


def title_of(field: str) -> str:
    """A field's name as people write it: ``vllm_options`` is vLLM options, ``run_id`` is Run ID."""
    first, *others = field.split("_")
    words = [
        _WRITTEN.get(first, first.capitalize()),
        *(_WRITTEN.get(word, word) for word in others),
    ]
    return " ".join(words)


def make_form(
    schema: Schema,
    groups: Mapping[Group, str],
    rules: Sequence[Schema] = (),
    flat: Sequence[str] | None = None,
) -> None:
    """Make the form of the JSON Schema of a model, in place.

    ``groups`` says of each group of the model what is in it. ``rules`` are further schemas that what is
    sent has to meet. The fields of the model, ``flat`` where they are others than those of the form, may be
    given without groups, as commands and schedules do: of them the flow says what is wrong.
    """
    fields: dict[str, Schema] = schema.pop("properties")
    required = schema.pop("required", [])
    inputs = {
        group: {name: _input(one) for name, one in fields.items() if one["group"] == group}
        for group in groups
    }
    schema["properties"] = {
        group.value: _card(group.value, groups[group], inputs[group], required)
        for group in groups
        if inputs[group]
    }
    put_in_order(schema["properties"])
    schema["additionalProperties"] = False
    names = list(fields if flat is None else flat)
    schema["patternProperties"] = {f"^({'|'.join(names)})$": {}}
    needed = [group.value for group in groups if set(required) & set(inputs[group])]
    schema["if"] = {"required": [name for name in required if flat is None] or names[:1]}
    schema["else"] = {"required": needed} | ({"allOf": list(rules)} if rules else {})


def make_inputs(schema: Schema) -> None:
    """Make each property of the JSON Schema of a model without groups one input, in place."""
    schema["properties"] = {name: _input(one) for name, one in schema["properties"].items()}
    put_in_order(schema["properties"])


def _card(
    name: str, description: str, inputs: Mapping[str, Schema], required: Sequence[str]
) -> Schema:
    card: Schema = {
        "type": "object",
        "title": title_of(name),
        "description": description,
        "properties": dict(inputs),
        "additionalProperties": False,
    }
    if needed := [field for field in required if field in inputs]:
        card["required"] = needed
    put_in_order(card["properties"])
    return card


def _input(field: Schema) -> Schema:
    """A field as one input: without a choice of types, and without a default that is None."""
    plain = {key: value for key, value in field.items() if key not in ("pacore", "group", "form")}
    kinds = [kind for kind in plain.pop("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        plain = {**kinds[0], **plain}
    plain |= field.get("form", {})
    return {key: value for key, value in plain.items() if value is not None}


def fields_of(form: Schema) -> dict[str, Schema]:
    """The fields of a form, each with its group, from which `make_form` makes another."""
    return {
        name: {**field, "group": group}
        for group, card in form["properties"].items()
        for name, field in card["properties"].items()
    }


def put_in_order(properties: Schema) -> None:
    """Give properties titles, and numbers that keep their order.

    A database may reorder the keys of a schema; Prefect's form goes by the numbers.
    """
    for position, (name, value) in enumerate(properties.items()):
        value["title"] = title_of(name)
        value["position"] = position


def ungrouped(data: Any) -> Any:
    """What a form sent, as the fields alone; other data is returned as it is.

    A list of which all items were removed is a field that was left out, as an emptied text is. Raises
    ValueError for a field that is given twice.
    """
    if not isinstance(data, Mapping) or not any(group in data for group in Group):
        return data
    found = {name: value for name, value in data.items() if name not in list(Group)}
    for group in Group:
        inputs = data.get(group.value, {})
        if not isinstance(inputs, Mapping):
            raise ValueError(f"{group.value}: must be an object: names, each with a value")
        for name, value in inputs.items():
            if value is None or value == []:
                continue
            if name in found and found[name] != value:
                raise ValueError(f"{name}: is given twice, and not as the same")
            found[name] = value
    return found
