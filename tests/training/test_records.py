"""Rows of exports: what is written is what is read, and anything else is refused by its place and field."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.problem import ROLES
from pacore.errors import BadInput
from pacore.training.exports.rows import POOLS
from pacore.training.handoff.records import (
    LINE_ROWS,
    ExportedPool,
    ExportRow,
    PoolDetails,
    SlimeRow,
    TrainRow,
    Visit,
    read_lines,
    stated_export,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TURNS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(sorted(ROLES)), "content": TEXTS},
        optional={"reasoning_content": TEXTS},
    ),
    min_size=1,
    max_size=3,
)
IDS = st.lists(TEXTS, min_size=1, max_size=4)
SCORES = st.floats(0, 1)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "ChatTurns": TURNS,
    "Texts": IDS,
    "str": TEXTS,
    "str | None": st.none() | TEXTS,
    "int": st.integers(0, 2**40),
    "int | None": st.none() | st.integers(0, 2**40),
    "float": SCORES,
    "Visit": st.builds(Visit, TEXTS, st.integers(0, 9), IDS, st.integers(0, 24)),
}


def rows(kind: type[ExportRow]) -> st.SearchStrategy[ExportRow]:
    given: tuple[Any, ...] = fields(kind)  # type: ignore[arg-type]
    return st.builds(kind, **{field.name: VALUES[field.type] for field in given})


@pytest.mark.parametrize("form", sorted(LINE_ROWS))
@settings(max_examples=25)
@given(data=st.data())
def test_a_row_that_is_written_is_the_row_that_is_read(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    written = data.draw(st.lists(rows(LINE_ROWS[form]), min_size=1, max_size=3))
    path = tmp_path_factory.getbasetemp() / f"{form}.jsonl"
    path.write_text("".join(json.dumps(row.as_json) + "\n" for row in written))
    assert list(read_lines(path, LINE_ROWS[form])) == written


def test_a_row_of_pacore_train_names_a_grader_only_where_there_is_one() -> None:
    turns = [{"role": "user", "content": "What is 1 + 1?"}]
    assert set(TrainRow("a", turns, ["2"], "2").as_json) == {
        "id", "conversation", "responses", "ground_truth",
    }  # fmt: skip
    assert TrainRow("a", turns, ["2"], "2", "choice").as_json["grader"] == "choice"


LABELLED = {
    "prompt": [{"role": "user", "content": "?"}],
    "label": "{}",
    "metadata": {"problem_id": "a", "epoch": 0, "message_ids": ["m"], "right_messages": 1},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": None}, "label: must be text"),
        ({"label": 7}, "label: must be text"),
        ({"prompt": []}, "prompt: must not be empty"),
        ({"prompt": [{"role": "oracle", "content": "?"}]}, "prompt: must be turns, each with a"),
        ({"prompt": [{"role": "user"}]}, "prompt: must be turns, each with a role and a content"),
        ({"prompt": [{"role": "user", "content": 7}]}, "prompt.0.content: must be text"),
        (
            {"prompt": [{"role": "user", "content": "?", "name": "x"}]},
            "prompt: must be turns, which have no other fields",
        ),
        ({"metadata": {**LABELLED["metadata"], "epoch": "0"}}, "metadata.epoch: must be a whole"),  # type: ignore[dict-item]
        ({"metadata": {**LABELLED["metadata"], "epoch": 0.5}}, "metadata.epoch: must be a whole"),  # type: ignore[dict-item]
        ({"metadata": {}}, "metadata.problem_id: is needed"),
        ({"answer": "7"}, "answer: is not a known name"),
    ],
)
def test_a_line_that_is_no_row_is_refused_by_its_place_and_field(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(LABELLED) + "\n" + json.dumps({**LABELLED, **change}) + "\n")
    found = read_lines(path, SlimeRow)
    assert isinstance(next(found), SlimeRow)
    with pytest.raises(BadInput) as refused:
        next(found)
    assert str(refused.value).startswith(f"train.jsonl:2: {said}")


@pytest.mark.parametrize("line", ["", "{", "[]", "7", '"text"', '{"label": }'])
def test_a_line_that_is_no_object_is_refused_by_its_place(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(BadInput, match=r"^train\.jsonl:1: (is not JSON|must be an object)"):
        list(read_lines(path, SlimeRow))


def test_of_a_pool_file_the_known_fields_are_read_and_each_is_needed() -> None:
    details = {
        field.name: {"int": 0, "str": ""}.get(str(field.type), []) for field in fields(PoolDetails)
    }
    row: dict[str, Any] = {
        "data_source": "pacore/made", "prompt": [], "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "7"}, "extra_info": details,
    }  # fmt: skip
    pool = ExportedPool.of(row, "pools.parquet")
    assert (pool.gold, pool.grader, pool.extra_info.as_json) == ("7", "", details)
    assert POOLS.row(pool) == tuple(row.values())
    later = {**row, "extra_info": {**details, "of a later version": 1}, "another": 2}
    assert ExportedPool.of(later, "pools.parquet") == pool
    for name in details:
        left = {**row, "extra_info": {key: one for key, one in details.items() if key != name}}
        with pytest.raises(BadInput, match=f"pools.parquet: is no pool file: it has no {name}$"):
            ExportedPool.of(left, "pools.parquet")


def test_a_manifest_says_what_its_checks_need_and_may_say_more(tmp_path: Path) -> None:
    said = {
        "v": 1, "format": "slime", "rows": 9, "data": "train.jsonl", "pools": "pools.parquet",
        "versions": {"sympy": "1.14"}, "settings": {"sizes": [16, 24], "seed": 0}, "name": "x",
    }  # fmt: skip
    (tmp_path / "training.json").write_text(json.dumps(said))
    found = stated_export(tmp_path)
    assert (found.format, found.rows, found.settings.sizes) == ("slime", 9, (16, 24))
    (tmp_path / "training.json").write_text(json.dumps({**said, "settings": {"sizes": [16]}}))
    with pytest.raises(BadInput, match=r"^training\.json: settings\.sizes"):
        stated_export(tmp_path)
