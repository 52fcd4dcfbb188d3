"""The view ``prompts``: what each trajectory was sampled from, byte for byte as the core renders it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.audit.lineage import explain
from pacore.core.identity import canonical_json
from pacore.store.backends.opening import open_store
from pacore.warehouse.connection import connect
from pacore.warehouse.relations import sql
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import run_stages, scripted_config
from tests.fixtures.small_store import small_store
from tests.fixtures.strategies import STRATEGIES

MODEL = "scripted?words=6&empty=0.1&fault=0.1"

STRANGE = (
    "What is 1 + 2?\t\r\n\x0b\x0e\x1b[2J\x7f\u2028\u202e 'a' \"b\" \\u000B \\\\ {{ original_prompt }}"
    " {{ max_tokens }} {{ loop.index }} {% endfor %} $1 %s 答案 🙂"
)

ROWS: list[dict[str, Any]] = [
    {"id": "plain", "problem": "What is 7 + 5?", "answer": "12"},
    {"id": "strange", "problem": STRANGE, "answer": "3"},
    {
        "id": "own-system",
        "messages": [
            {"role": "system", "content": "Answer in one line."},
            {"role": "user", "content": "What is 2 + 2?"},
            {"role": "assistant", "content": "4"},
            {"role": "user", "content": "And twice that?"},
        ],
        "answer": "8",
    },
    {
        "id": "tool",
        "messages": [
            {"role": "user", "content": "What is 3 + 3? Use the tool."},
            {"role": "assistant", "content": "add(3, 3)"},
            {"role": "tool", "content": "6"},
        ],
        "answer": "6",
    },
]

CASES: dict[str, dict[str, Any]] = {
    "the paper's": {},
    **STRATEGIES,
    "with a system prompt": {"system": "Think\x0b {{ original_prompt }}."},
    "with an empty system prompt": {"system": "", "subset": 3},
    "as the published code": {"compaction": "reference", "message_order": "reference"},
    "whole trajectories": {"compaction": "verbatim"},
    "fewer messages": {"overflow": "fewer_messages", "max_tokens": 30, "model": f"{MODEL}&window=110"},
    "fewer of a subset": {
        "overflow": "fewer_messages", "max_tokens": 30, "subset": 3, "model": f"{MODEL}&window=110",
    },
    "short sets": {"on_shortfall": "proceed", "model": "scripted?words=6&empty=0.4&truncate=0.2"},
}  # fmt: skip


Place = tuple[str, int, int, int, str]


def rendered(folder: Path, case: str) -> dict[Place, list[dict[str, str]]]:
    """The turns of every current trajectory of a run, from the core."""
    store = open_store(str(folder / "store"))
    found = {}
    for row in ROWS:
        for lineage in explain(store, case, row["id"]).lineages:
            for step in lineage.rounds:
                for prompt in step.prompts:
                    for attempt in prompt.attempts:
                        place = (row["id"], lineage.replicate, step.round, attempt.row.slot)
                        turns = [turn.as_json() for turn in prompt.turns]
                        found[*place, attempt.row.trajectory_id] = turns
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every case over the same problems."""
    folder = tmp_path_factory.mktemp("prompts")
    problems = folder / "problems.jsonl"
    problems.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for case, fields in CASES.items():
        given = {"model": MODEL, "widths": (4, 3), "replicates": 2, "attempts": 9, **fields}
        config = scripted_config(folder / "store", problems, run_id=name_of(case), **given)
        run_stages(config)
    return folder


def name_of(case: str) -> str:
    return case.replace(" ", "-").replace("'", "")


@pytest.fixture(scope="module")
def warehouse(folder: Path) -> Iterator[Warehouse]:
    with Warehouse(open_store(str(folder / "store"))) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_prompt_is_byte_for_byte_that_of_the_core(
    folder: Path, warehouse: Warehouse, case: str
) -> None:
    run_id = name_of(case)
    asked = warehouse.query(
        "SELECT problem_id, replicate, round, slot, trajectory_id, turns, content, is_exact"
        f" FROM prompts WHERE run_id = '{run_id}'"
    )
    rows = {row[:5]: row[5:] for row in asked.rows}
    ((count,),) = warehouse.query(
        f"SELECT count(*) FROM trajectories WHERE run_id = '{run_id}'"
    ).rows
    expected = rendered(folder, run_id)
    assert len(rows) == count > 30
    for place, (turns, content, is_exact) in rows.items():
        assert turns == expected[place], place
        assert is_exact and content in [turn["content"] for turn in turns]


@pytest.mark.slow
def test_the_cases_have_what_they_are_for(warehouse: Warehouse) -> None:
    def count(condition: str) -> int:
        ((found,),) = warehouse.query(
            "SELECT count(*) FROM prompts JOIN trajectories"
            f" USING (run_id, round, problem_id, replicate, slot) WHERE {condition}"
        ).rows
        return int(found)

    assert count("run_id = 'fewer-messages' AND prompt_messages IS NOT NULL") > 0
    assert count("run_id = 'fewer-of-a-subset' AND prompt_messages IS NOT NULL") > 0
    assert count("run_id = 'subsets' AND len(prompt_positions) = 2 AND messages = 2") > 0
    assert count("round = 1 AND messages > 0") == 0
    assert count("turns[1].role = 'system' AND problem_id = 'plain'") > 0
    assert count("len(turns) = 3 AND problem_id = 'tool' AND content = turns[1].content") > 0


def test_a_prompt_that_is_not_the_stored_one_says_so(tmp_path: Path) -> None:
    """As of a run whose templates had another wording; the digests of this store are made up."""
    with Warehouse(small_store(tmp_path / "store")) as warehouse:
        (found,) = warehouse.query("SELECT count(*), count(*) FILTER (is_exact) FROM prompts").rows
    assert found == (15, 0)


@pytest.mark.slow
@given(st.text(st.characters(codec="utf-8")))
def test_a_text_in_json_is_as_the_core_writes_it(text: str) -> None:
    with connect("") as connection:
        connection.execute(sql("macros"))
        connection.execute("SELECT json_string($text)", {"text": text})
        assert connection.fetch(1) == [(canonical_json(text).decode(),)]
