"""The configuration: what it refuses, in which words, and what a form made from it shows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pacore.core.config.run import RunConfig, differences

BASE: dict[str, Any] = {
    "problems": "problems.jsonl",
    "model": "example/model",
    "endpoints": ["http://127.0.0.1:8000/v1"],
}


def refusal(changes: dict[str, Any]) -> tuple[str, str]:
    """The one field and message with which the configuration is refused."""
    with pytest.raises(ValidationError) as caught:
        RunConfig(**{**BASE, **changes})
    (fault,) = caught.value.errors(include_url=False)
    return ".".join(str(part) for part in fault["loc"]), fault["msg"]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"preset": "low", "widths": [4]}, ["preset", "widths", "give one"]),
        ({"widths": [4, 0]}, ["widths", "at least one trajectory"]),
        ({"endpoints": []}, ["endpoints", "at least one", "another engine"]),
        ({"engine": "vllm"}, ["endpoints", "vllm", "takes none"]),
        ({"engine": "scripted", "endpoints": []}, ["model", "scripted", "example/model"]),
        ({"model": "scripted"}, ["model", "http", "scripted"]),
        ({"model": "scripted?accuracy=0.5"}, ["model", "http", "scripted"]),
        ({"pool": 3, "widths": [4]}, ["pool", "3", "4"]),
        ({"pool": 3}, ["pool", "3", "4"]),
        ({"min_messages": 5}, ["min_messages", "round 1 of 4", "5"]),
        ({"widths": [8, 2], "min_messages": 3}, ["min_messages", "round 2 of 2", "3"]),
        ({"widths": [8, 2], "min_messages": [8]}, ["min_messages", "1 numbers", "2 widths"]),
        ({"overflow": "fewer_messages"}, ["overflow", "max_tokens"]),
        ({"compaction": "summary"}, ["summary_tokens", "compaction summary needs it"]),
        ({"summary_tokens": 64}, ["summary_tokens", "compaction conclusion"]),
        ({"compaction": "answer", "summary_tokens": 64}, ["summary_tokens", "compaction answer"]),
        ({"compaction": "answer", "truncated": "tail"}, ["truncated", "tail", "answer"]),
        ({"subset": 2, "workspace_tokens": 64}, ["subset", "workspace_tokens"]),
        ({"select": "longest"}, ["select", "needs subset"]),
        ({"preset": "low", "subset": 5}, ["subset", "5 is more than the 4 messages"]),
        ({"subset": 2, "select": "trained"}, ["scorer", "select trained needs it"]),
        ({"subset": 2, "scorer": "first:1"}, ["scorer", "no other select takes one"]),
        (
            {"compaction": "summary", "summary_tokens": 64, "max_tokens": 32},
            ["summary_tokens", "64", "max_tokens", "32"],
        ),
        (
            {"workspace_tokens": 64, "max_tokens": 32},
            ["workspace_tokens", "64", "max_tokens", "32"],
        ),
    ],
)
def test_conflicting_values_are_refused_by_name_in_one_line(
    changes: dict[str, Any], names: list[str]
) -> None:
    message = ": ".join(refusal(changes))
    assert "\n" not in message
    assert [name for name in names if name not in message] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("problems", ""),
        ("model", ""),
        ("preset", "huge"),
        ("replicates", 0),
        ("engine", "magic"),
        ("store", ""),
        ("run_id", "../up"),
        ("run_id", "9lives"),
        ("run_id", "a" * 101),
        ("limit", 0),
        ("temperature", -0.5),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.5),
        ("top_k", -2),
        ("min_p", 1.5),
        ("max_tokens", 0),
        ("pool", 0),
        ("message_order", "random"),
        ("compaction", "whole"),
        ("summary_tokens", 0),
        ("subset", 0),
        ("workspace_tokens", 0),
        ("min_messages", 0),
        ("min_messages", (3, 0)),
        ("min_messages", 1.5),
        ("min_messages", "two"),
        ("min_messages", ","),
        ("on_shortfall", "wait"),
        ("refills", 0),
        ("truncated", "keep"),
        ("tail_tokens", 0),
        ("overflow", "cut"),
        ("concurrency", 0),
        ("timeout_seconds", 0.0),
        ("timeout_seconds", float("inf")),
        ("retries", -1),
        ("attempts", 0),
        ("shard_size", 0),
        ("grading_timeout_seconds", 0.0),
        ("system", "\ud800"),
        ("stop", ["\ud800"]),
        ("chat_template_options", {"scale": float("nan")}),
        ("problems", "caf\udce9.jsonl"),
        ("surprise", 1),
    ],
)
def test_a_bad_value_is_refused_under_its_fields_name_in_one_line(field: str, value: Any) -> None:
    place, message = refusal({field: value})
    assert place.partition(".")[0] == field
    assert message and "\n" not in message


def test_a_problem_set_is_the_one_thing_that_has_no_default() -> None:
    required = [name for name, info in RunConfig.model_fields.items() if info.is_required()]
    assert required == ["problems"]


@pytest.mark.parametrize(
    ("changes", "widths"),
    [
        ({}, (4,)),
        ({"preset": "low"}, (4,)),
        ({"preset": "medium"}, (16,)),
        ({"preset": "high"}, (32, 4)),
        ({"widths": [8, 2]}, (8, 2)),
        ({"widths": []}, ()),
    ],
)
def test_the_plan_takes_preset_or_widths_and_is_low_without_either(
    changes: dict[str, Any], widths: tuple[int, ...]
) -> None:
    plan = RunConfig(**{**BASE, **changes}).plan
    assert plan.widths == widths
    assert plan.width(plan.rounds) == 1


@pytest.mark.parametrize(
    ("given", "quorum"), [(2, 2), ("2", 2), ("3,1", (3, 1)), ([3, 1], (3, 1)), ("3, 1", (3, 1))]
)
def test_a_quorum_is_one_number_or_one_for_each_width(given: Any, quorum: Any) -> None:
    config = RunConfig(**{**BASE, "widths": [4, 2], "min_messages": given})
    assert config.min_messages == quorum
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_a_configuration_cannot_be_changed_once_made() -> None:
    config = RunConfig(**BASE)
    with pytest.raises(ValidationError, match="frozen"):
        config.temperature = 0.5


def test_differences_name_every_leaf_and_nothing_else() -> None:
    old = RunConfig(**BASE, preset="low").identity("d" * 64)
    new = RunConfig(**BASE, widths=(16,), temperature=0.5).identity("d" * 64)
    assert differences(old, old) == []
    assert differences(old, new) == [
        "plan.widths: [4] -> [16]",
        "recipe.temperature: 1.0 -> 0.5",
    ]


def test_a_number_in_place_of_true_is_a_difference() -> None:
    old = RunConfig(**BASE, chat_template_options={"enable_thinking": True}).identity("d" * 64)
    new = RunConfig(**BASE, chat_template_options={"enable_thinking": 1}).identity("d" * 64)
    assert differences(old, new) == ["recipe.chat_template_options.enable_thinking: True -> 1"]
