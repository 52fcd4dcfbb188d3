"""Explanations: the lineage of an answer with the exact prompts, and nothing in it that can act."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pacore.audit.lineage import Explanation, explain
from pacore.core.prompt import prompt_digest
from pacore.errors import BadInput, Refused
from pacore.report.audit import BAR, explanation_json, explanation_text
from pacore.report.rendering.sheet import ABSENT
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.text import CONTROLS
from tests.conftest import Pacore
from tests.fixtures.audited import FAULTY, finish
from tests.fixtures.corruption import rewrite, standing_rows, unit_of
from tests.fixtures.pipeline import scripted_config, write_problems
from tests.fixtures.strategies import STRATEGIES

HOSTILE = (
    "What is 1 + 2?\tx\r\n\x1b[2J\x1b]0;owned\x07\u202eevil\n\nround 9 of 9 · width 1\n  slot 7"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    """Two nights: ``first`` with faults and replicates, ``second`` reusing what it can."""
    folder = tmp_path_factory.mktemp("nights")
    problems = write_problems(folder / "problems.jsonl", 4)
    for run_id, widths in (("first", (4, 2)), ("second", (6, 2))):
        config = scripted_config(
            folder / "store", problems, model=FAULTY, widths=widths, replicates=2, pool=8,
            run_id=run_id, attempts=4, shard_size=3, system="Think.",
        )  # fmt: skip
        finish(config)
    return open_store(str(folder / "store"))


@pytest.mark.slow
def test_every_prompt_is_the_one_its_trajectories_were_sampled_under(store: Backend) -> None:
    found = explain(store, "first", "sum-0001")
    prompts = [p for one in found.lineages for step in one.rounds for p in step.prompts]
    assert len(prompts) == 2 * 3
    for prompt in prompts:
        stored = {attempt.row.prompt_digest for attempt in prompt.attempts}
        assert stored == {prompt_digest(prompt.turns)} == {prompt.rendered_digest}
        assert [turn.role for turn in prompt.turns] == ["system", "user"]


def answered(store: Backend) -> tuple[str, int]:
    """A problem and replicate that came to an answer."""
    rows = standing_rows(store, "first")["answers"]
    row = next(row for row in rows if row["status"] == "answered")
    return row["problem_id"], row["replicate"]


def barred(text: str) -> list[str]:
    """The blocks of text that stand behind bars."""
    blocks = re.findall(rf"^(?:{BAR}.*\n?)+", text, re.MULTILINE)
    return [re.sub(rf"^{BAR}", "", block, flags=re.MULTILINE).rstrip("\n") for block in blocks]


def test_the_prompts_of_the_text_are_byte_for_byte_those_that_were_sent(store: Backend) -> None:
    found = explain(store, "first", *answered(store))
    (lineage,) = found.lineages
    sent = [t.content for step in lineage.rounds for p in step.prompts for t in p.turns]
    shown = barred(explanation_text(found))
    assert shown == [lineage.final_text, *sent]
    assert any("Reference 2:" in content for content in sent)


def test_the_lineage_leads_from_the_answer_through_messages_to_round_1(store: Backend) -> None:
    rows = standing_rows(store, "first")
    place = answered(store)
    mine = [
        row for table in ("trajectories", "messages") for row in rows[table]
        if (row["problem_id"], row["replicate"]) == place
    ]  # fmt: skip
    slots = {row["trajectory_id"]: row["slot"] for row in mine if "slot" in row}
    (lineage,) = explain(store, "first", *place).lineages
    assert [step.round for step in lineage.rounds] == [3, 2, 1]
    assert lineage.answer is not None
    last = lineage.rounds[0].prompts[0].attempts[-1]
    assert lineage.answer.trajectory_id == last.row.trajectory_id
    for step in lineage.rounds:
        before = [r for r in mine if "position" in r and r["round"] == step.round - 1]
        before.sort(key=lambda row: row["position"])
        (prompt,) = step.prompts
        assert [trajectory_id for trajectory_id, _ in prompt.saw] == [
            row["trajectory_id"] for row in before
        ]
        assert all(slots[trajectory_id] == slot for trajectory_id, slot in prompt.saw)
        here = [r for r in mine if "slot" in r and r["round"] == step.round]
        assert len(prompt.attempts) == len(here)


def test_every_file_and_commit_it_names_is_there(store: Backend) -> None:
    text = explanation_text(explain(store, "second", "sum-0003"))
    keys = re.findall(r"(?:data|commits|journal|problems)/\S+", text)
    assert {key.partition("/")[0] for key in keys} == {"data", "commits", "journal", "problems"}
    assert all(store.exists(key) for key in keys)
    assert "shard s00001" in text


def test_attempts_seeds_draws_tokens_and_reuse_are_told(store: Backend) -> None:
    rows = standing_rows(store, "second")["trajectories"]
    text = explanation_text(explain(store, "second", "sum-0001"))
    mine = [row for row in rows if row["problem_id"] == "sum-0001"]
    for row in mine:
        assert f"slot {row['slot']} attempt {row['attempt']} · {row['trajectory_id']}" in text
        assert f"seed {row['seed']} · draw {row['draw']} · {row['finish_reason']}" in text
    assert text.count("reused from run first") == sum(row["reused"] for row in mine) > 0
    assert "text under first" in text
    everything = [
        explanation_text(explain(store, run_id, f"sum-000{number}"))
        for run_id in ("first", "second")
        for number in range(4)
    ]
    assert any("engine_error" in text and "attempt 1" in text for text in everything)


def test_it_can_be_narrowed_and_says_what_there_is_instead(store: Backend) -> None:
    found = explain(store, "first", "sum-0001", replicate=1, round_=2)
    (lineage,) = found.lineages
    assert (lineage.replicate, [step.round for step in lineage.rounds]) == (1, [2])
    with pytest.raises(BadInput, match="no problem 'sum-001' .did you mean sum-0001"):
        explain(store, "first", "sum-001")
    with pytest.raises(BadInput, match="--replicate 2: the run has 0 to 1"):
        explain(store, "first", "sum-0001", replicate=2)
    with pytest.raises(BadInput, match="--round 4: the run has 1 to 3"):
        explain(store, "first", "sum-0001", round_=4)
    with pytest.raises(Refused, match="no run 'third' in .*; its runs: first, second"):
        explain(store, "third", "sum-0001")


def test_a_pass_that_failed_is_explained_as_far_as_it_came(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 1)
    config = scripted_config(
        tmp_path / "store", problems, model="scripted?fault=1", widths=(2,), run_id="r", attempts=1
    )
    found = explain(finish(config), "r", "sum-0000")
    assert [step.round for step in found.lineages[0].rounds] == [1]
    text = explanation_text(found)
    assert f"answer {ABSENT} failed: round 1: 0 of 2 messages (2 engine_error)" in text
    assert "no message of this round" in text


@pytest.mark.parametrize("strategy", ["subsets", "a workspace of summaries"])
def test_every_slot_is_explained_by_the_messages_it_saw_itself(
    tmp_path: Path, strategy: str
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 1)
    config = scripted_config(
        tmp_path / "store", problems, model="scripted?words=4", widths=(5, 4), run_id="r",
        **STRATEGIES[strategy],
    )  # fmt: skip
    store = finish(config)
    rows = standing_rows(store, "r")
    (lineage,) = explain(store, "r", "sum-0000").lineages
    assert len(lineage.rounds) == config.plan.rounds
    for step in lineage.rounds:
        before = {
            row["position"]: row["trajectory_id"]
            for row in rows["messages"]
            if row["round"] == step.round - 1
        }
        told = {
            attempt.row.slot: [trajectory_id for trajectory_id, _ in prompt.saw]
            for prompt in step.prompts
            for attempt in prompt.attempts
        }
        seen = {
            row["slot"]: [before[at] for at in row["prompt_positions"] or sorted(before)]
            for row in rows["trajectories"]
            if row["round"] == step.round
        }
        assert told == seen
        for prompt in step.prompts:
            assert prompt.digest == prompt.rendered_digest == prompt_digest(prompt.turns)
    several = [step.round for step in lineage.rounds if len(step.prompts) > 1]
    assert several == ([2] if strategy == "subsets" else [5, 2])
    text = explanation_text(explain(store, "r", "sum-0000"))
    headings = [line for line in text.splitlines() if line.startswith("round ")]
    if strategy == "subsets":
        assert headings == [
            "round 3 of 3 · width 1",
            "round 2 of 3 · width 4",
            "round 1 of 3 · width 5",
        ]
        assert "K = [5, 4, 1] · subsets of 2" in text
    else:
        assert headings[-3:] == [
            "round 3 of 7 · distils all messages into one",
            "round 2 of 7 · condenses up to 5 messages",
            "round 1 of 7 · width 5",
        ]
        assert "K = [5, 5c, 1d, 4, 4c, 1d, 1]" in text


def test_a_slot_that_the_plan_does_not_have_is_told_without_a_prompt(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 1)
    store = finish(scripted_config(tmp_path / "store", problems, widths=(2,), run_id="r"))
    unit = unit_of(store, "r", "trajectories", 2)
    rewrite(store, unit, lambda rows: rows[0].update(slot=7))
    (prompt,) = explain(store, "r", "sum-0000", round_=2).lineages[0].rounds[0].prompts
    assert (prompt.rendered_digest, prompt.turns, list(prompt.saw)) == (None, (), [])
    text = explanation_text(explain(store, "r", "sum-0000", round_=2))
    assert "NOT RENDERED AGAIN: the plan has no such slot" in text


def hostile(folder: Path) -> tuple[Backend, Explanation]:
    problems = folder / "problems.jsonl"
    problems.write_text(json.dumps({"id": "bad", "problem": HOSTILE, "answer": "3"}) + "\n")
    store = finish(scripted_config(folder / "store", problems, widths=(2,), run_id="r"))
    return store, explain(store, "r", "bad")


def test_no_text_can_act_on_the_terminal_or_pass_for_a_heading(tmp_path: Path) -> None:
    _, found = hostile(tmp_path)
    text = explanation_text(found)
    assert not re.search(f"[{CONTROLS}]", text.replace("\n", ""))
    assert f"{BAR}\\x1b[2J\\x1b]0;owned\\x07\\u202eevil" in text
    assert f"{BAR}What is 1 + 2?\\tx\\r" in text
    lines = text.splitlines()
    assert f"{BAR}round 9 of 9 · width 1" in lines
    assert not [line for line in lines if line.startswith(("round 9", "  slot 7"))]


def test_json_has_the_very_bytes_and_no_character_that_could_act(tmp_path: Path) -> None:
    _, found = hostile(tmp_path)
    written = explanation_json(found)
    assert not re.search(f"[{CONTROLS}]", written)
    (lineage,) = json.loads(written)["lineages"]
    first = lineage["rounds"][-1]["prompts"][0]
    assert first["turns"] == [{"role": "user", "content": HOSTILE}]
    assert first["digest"] == first["rendered_digest"]


@pytest.mark.slow
def test_the_command_prints_text_or_json(tmp_path: Path, pacore: Pacore, command: Pacore) -> None:
    store, found = hostile(tmp_path)
    done = pacore("explain", "r", "bad", "--store", store.url)
    assert (done.returncode, done.stdout) == (0, explanation_text(found) + "\n")
    done = command("explain", "r", "bad", "--store", store.url, "--round", "2", "--format", "json")
    assert [step["round"] for step in json.loads(done.stdout)["lineages"][0]["rounds"]] == [2]
    done = command("explain", "r", "worse", "--store", store.url)
    assert done.returncode == 2
    assert "run r has no problem 'worse'" in done.stderr
