"""The configuration of a training set: what it refuses as that of a run does."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pacore.core.config.training import TrainingConfig
from pacore.core.validation import first_fault

RUN = {"engine": "scripted"}


def config(source: dict[str, Any], **fields: Any) -> TrainingConfig:
    given = {"kind": "set", "name": "own", "licence": "MIT", "problems": "p.jsonl", **source}
    return TrainingConfig.model_validate({"name": "t", "sources": [given], "run": RUN, **fields})


def evaluated(**fields: Any) -> dict[str, Any]:
    return {"filters": {"evaluation_sets": [{"name": "e", "problems": "e.jsonl", **fields}]}}


def test_a_mapping_of_fields_is_read_as_that_of_a_run_of_sources_and_of_evaluation_sets() -> None:
    typed = "problem=question,answer=gold"
    read = {"problem": "question", "answer": "gold"}
    found = config({"fields": typed}, **evaluated(fields=typed))
    assert found.sources[0].model_dump()["fields"] == read
    assert found.filters.evaluation_sets[0].fields == read


@pytest.mark.parametrize("place", ["source", "evaluation set"])
@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"fields": {"problm": "q"}}, "no part of a problem"),
        ({"problems": "s3://key:secret@bucket/p.jsonl"}, "problems"),
    ],
    ids=["a part that is none", "a password in an address"],
)
def test_what_a_run_refuses_is_refused(place: str, fields: dict[str, Any], fault: str) -> None:
    of_source, of_set = (fields, {}) if place == "source" else ({}, fields)
    with pytest.raises(ValidationError) as raised:
        config(of_source, **evaluated(**of_set))
    assert fault in str(first_fault(raised.value))
    assert "secret" not in str(raised.value)
