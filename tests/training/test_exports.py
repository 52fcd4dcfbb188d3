"""An export for a trainer is whole or not there, says what it rests on, and what is false is found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from pacore.cli.exchange import export_to
from pacore.core.problem import Turn
from pacore.core.prompt import turns_for
from pacore.errors import BadInput, Refused
from pacore.problems.files import read_problem_set
from pacore.store.backends.opening import open_store
from pacore.store.parquet import read_rows, write_rows
from pacore.store.schema import TrainingDecision
from pacore.store.training import (
    Stage,
    TrainingRecord,
    TrainingSource,
    put_training,
    write_decisions,
)
from pacore.training.examples import examples_of
from pacore.training.exports.export import export_training, material_of
from pacore.training.exports.formats import TRAINER_FORMATS, RowOptions, TrainerFormat
from pacore.training.exports.manifest import MANIFEST, read_training_manifest
from pacore.training.exports.rows import POOLS
from pacore.training.exports.verify import states_gold, verify_export
from pacore.training.handoff.episodes import Episodes
from pacore.training.handoff.records import ExportedPool
from tests.conftest import Pacore
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.training_runs import (
    DRAWS,
    POOL,
    PROBLEMS,
    ROUNDS,
    SYNTHESIS,
    WIDTH,
    training_store,
)

ROWS = 15

DECIDED: tuple[Stage, ...] = ("filters", "stage1")

every_format = pytest.mark.parametrize("form", TRAINER_FORMATS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return training_store(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def exports(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an export in each format, named by it."""
    folder = tmp_path_factory.mktemp("exports")
    for form in TRAINER_FORMATS:
        export(store, folder / form, form)
    return folder


def export(store: str, place: Path, form: TrainerFormat, **fields: Any) -> None:
    material = material_of(open_store(store), POOL, SYNTHESIS)
    export_training(material, RowOptions(form, **{"rows": ROWS, **fields}), place)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def pool_rows(path: Path) -> list[dict[str, Any]]:
    return list(read_rows(str(path), [column.name for column in POOLS.columns]))


@pytest.mark.slow
@every_format
def test_an_export_is_verified_and_its_check_runs_where_there_is_no_pacore(
    exports: Path, form: TrainerFormat
) -> None:
    found = verify_export(exports / form)
    assert found.faults == []
    assert any("reward as known for" in fact for fact in found.facts)


@every_format
def test_the_manifest_says_which_runs_filters_sources_versions_and_files_it_is_of(
    exports: Path, form: TrainerFormat
) -> None:
    manifest = read_training_manifest(exports / form)
    assert (manifest.format, manifest.name) == (form, POOL)
    assert [run.run_id for run in manifest.runs] == [POOL, SYNTHESIS]
    for run in manifest.runs:
        assert run.evidence == {"complete": True, "observed": True}
        assert run.recipe["model"] == "scripted"
        assert re.fullmatch(r"math 4\+mpmath-\S+\+sympy-\S+", run.graders[0])
    assert {one.name: one.licence for one in manifest.sources} == {"sums": "CC0-1.0"}
    assert manifest.problems["kept"] == sum(one.problems for one in manifest.sources)
    assert {"pacore", "grading", "mpmath", "sympy"} <= manifest.versions.keys()
    there = {
        path.relative_to(exports / form).as_posix()
        for path in (exports / form).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {file.path for file in manifest.files} == there - {MANIFEST}


@every_format
def test_the_card_has_what_the_hub_reads(exports: Path, form: TrainerFormat) -> None:
    text = (exports / form / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    said = yaml.safe_load(head)
    assert said["license"] == "cc0-1.0"
    assert said["task_categories"] == ["text-generation"]
    assert (exports / form / said["configs"][0]["data_files"]).is_file()
    assert "complete, observed" in body


@pytest.mark.slow
def test_the_same_export_is_the_same_bytes(store: str, exports: Path, tmp_path: Path) -> None:
    export(store, tmp_path / "slime", "slime")
    for path in (exports / "slime").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (tmp_path / "slime" / path.relative_to(exports / "slime")).read_bytes() == (
                path.read_bytes()
            )


def test_verl_has_the_pool_and_the_longest_prompt(store: str, exports: Path) -> None:
    rows = pool_rows(exports / "verl" / "train.parquet")
    for row, example in zip(rows, examples_of(open_store(store), POOL), strict=True):
        extra = row["extra_info"]
        texts = [one.text for one in example.pool]
        assert extra["message_pool"] == texts
        assert extra["message_acc"] == [one.score for one in example.pool]
        assert (extra["pool_right"], extra["pool_observed"]) == (example.right, WIDTH)
        assert row["reward_model"] == {"style": "rule", "ground_truth": example.problem.gold}
        whole = turns_for(example.problem.turns, [text or "" for text in texts])
        assert row["prompt"] == [turn.as_json() for turn in whole]
        assert (row["data_source"], row["ability"]) == ("pacore/sums", "math")


@pytest.mark.parametrize("form", ["openrlhf", "slime", "trl-grpo"])
def test_a_schedule_is_what_verls_data_set_would_draw(exports: Path, form: str) -> None:
    episodes = Episodes([str(exports / "verl" / "train.parquet")], ROWS)
    rows = lines(exports / form / "train.jsonl")
    assert len(rows) == ROWS
    for row, episode in zip(rows, (episodes[item] for item in range(ROWS)), strict=True):
        assert row["prompt"] == episode.prompt
        assert row.get("metadata", row)["message_ids"] == episode.message_ids


def test_pacore_train_comes_back_as_the_problems_and_their_pools(
    exports: Path, tmp_path: Path, store: str, command: Pacore
) -> None:
    file = exports / "pacore-train" / "train.jsonl"
    assert [set(row) for row in lines(file)] == [
        {"id", "conversation", "responses", "ground_truth"}
    ] * PROBLEMS
    before = {one.problem.problem_id: one for one in examples_of(open_store(store), POOL)}
    for problem in read_problem_set(str(file)):
        assert problem.content_digest == before[problem.problem_id].problem.content_digest
    other = str(tmp_path / "other")
    done = command("import", str(file), "--model", "m", "--run-id", "back", "--store", other)
    assert done.returncode == 0, done.stderr
    for back in examples_of(open_store(other), "back"):
        own = before[back.problem.problem_id]
        assert [one.text for one in back.pool] == [one.text for one in own.pool]
        assert [one.score for one in back.pool] == [one.score for one in own.pool]


def test_sft_rows_are_right_trajectories_with_their_thoughts_and_exact_prompts(
    store: str, exports: Path
) -> None:
    rows = lines(exports / "trl-sft" / "train.jsonl")
    made = {
        one.trajectory_id: one
        for example in examples_of(open_store(store), POOL, synthesis_run_id=SYNTHESIS)
        for one in example.syntheses
    }
    assert {row["trajectory_id"] for row in rows} == {
        name for name, one in made.items() if one.is_right
    }
    for row in rows:
        one = made[row["trajectory_id"]]
        assert [Turn(**turn) for turn in row["prompt"]] == list(one.prompt)
        (said,) = row["completion"]
        assert said["role"] == "assistant"
        assert said["content"] == f"<think>\n{one.reasoning}\n</think>\n\n{one.conclusion}"


def test_preferences_are_a_right_and_a_wrong_trajectory_of_one_prompt(exports: Path) -> None:
    rows = lines(exports / "trl-preference" / "train.jsonl")
    assert rows
    for row in rows:
        assert (row["score"], row["rejected_score"]) == (1.0, 0.0)
        assert f"\\boxed{{{row['gold']}}}" in row["chosen"][0]["content"]
        assert f"\\boxed{{{row['gold']}}}" not in row["rejected"][0]["content"]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [({"most": 1}, PROBLEMS), ({"max_tokens": 46}, 0), ({"thinking": "drop"}, None)],
)
def test_options_shape_the_rows_of_trajectories(
    store: str, tmp_path: Path, fields: dict[str, Any], kept: int | None
) -> None:
    if kept == 0:
        with pytest.raises(Refused, match="no row is left to export: .* longer than 46 tokens"):
            export(store, tmp_path / "sft", "trl-sft", **fields)
        assert list(tmp_path.iterdir()) == []
        return
    export(store, tmp_path / "sft", "trl-sft", **fields)
    rows = lines(tmp_path / "sft" / "train.jsonl")
    if kept is None:
        assert all("<think>" not in row["completion"][0]["content"] for row in rows)
    else:
        assert len(rows) == kept


def test_a_run_of_rounds_gives_its_own_syntheses(store: str, tmp_path: Path) -> None:
    material = material_of(open_store(store), ROUNDS)
    done = export_training(material, RowOptions("trl-sft"), tmp_path / "sft")
    assert 0 < done.manifest.rows <= 2 * PROBLEMS
    assert [run.run_id for run in done.manifest.runs] == [ROUNDS]


def test_pools_that_nobody_graded_are_refused(store: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="round 1 of run rounds has no verdicts, which pacore grade"):
        export_training(
            material_of(open_store(store), ROUNDS), RowOptions("verl"), tmp_path / "verl"
        )
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(store: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("mine")
    with pytest.raises(Refused, match="is there already, and nothing is overwritten"):
        export(store, tmp_path / "there", "verl")
    assert (tmp_path / "there" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    export(store, tmp_path / "empty", "verl")
    assert read_training_manifest(tmp_path / "empty").format == "verl"


def falsified_bytes(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return change


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def added(folder: Path) -> None:
    (folder / "more.py").write_text("pass\n")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (falsified_bytes("train.parquet"), "train.parquet: is not what was written"),
        (falsified_bytes("pacore_handoff/core/grading/rules.py"), "rules.py: is not what was"),
        (removed("pacore_dataset.py"), "pacore_dataset.py: is missing"),
        (added, "more.py: is not in the manifest"),
    ],
)
def test_a_file_that_is_not_what_was_written_is_found(
    exports: Path, tmp_path: Path, change: Callable[[Path], None], fault: str
) -> None:
    folder = tmp_path / "verl"
    shutil.copytree(exports / "verl", folder)
    change(folder)
    (found,) = verify_export(folder).faults
    assert fault in found


def restated(folder: Path) -> None:
    """State the digests of what is there: a falsification by somebody who knows the manifest."""
    from pacore.training.exports.export import sha256_of

    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    for file in manifest["files"]:
        file["sha256"] = sha256_of(folder / file["path"])
    path.write_text(json.dumps(manifest))


Change = Callable[[dict[str, Any]], object]


def of_pool(change: Change) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        rows = pool_rows(folder / "train.parquet")
        change(rows[1])
        write_rows(
            folder / "train.parquet",
            POOLS,
            (POOLS.row(ExportedPool.of(row, "changed")) for row in rows),
        )

    return changed


def of_lines(change: Change) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        rows = lines(folder / "train.jsonl")
        change(rows[1])
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "train.jsonl").write_text(text)

    return changed


def _leak(row: dict[str, Any]) -> None:
    row["prompt"][-1]["content"] += f"\nThe answer is {row['reward_model']['ground_truth']}."


def _state(row: dict[str, Any]) -> None:
    """State the gold answer in the problem itself, and in the prompt that follows from it."""
    stated = f" The answer is \\boxed{{{row['reward_model']['ground_truth']}}}."
    for turn in row["extra_info"]["turns"]:
        turn["content"] += stated
    problem = row["extra_info"]["problem"]
    content = row["prompt"][-1]["content"]
    row["prompt"][-1]["content"] = content.replace(problem, problem + stated, 1)


def _swap_scores(row: dict[str, Any]) -> None:
    extra = row["extra_info"]
    extra["message_acc"] = [1 - score for score in extra["message_acc"]]
    extra["pool_right"] = extra["pool_observed"]


FALSIFIED: list[tuple[str, Callable[[Path], None], str]] = [
    ("verl", of_pool(_leak), "row 2: prompt: is not P(x, M) of the 24 longest messages"),
    ("verl", of_pool(_state), "row 2: the problem states its own gold answer"),
    ("verl", of_pool(_swap_scores), "reward: right messages: 0.0 where 1.0 is known"),
    ("verl", of_pool(lambda row: row["extra_info"].update(problem_id="sum-0")), "is there twice"),
    ("verl", of_pool(lambda row: row["extra_info"]["message_ids"].pop()), "are not of one length"),
    ("verl", of_pool(lambda row: row["extra_info"].update(grader="maths")), "unknown grader"),
    ("verl", of_pool(lambda row: row["extra_info"].update(pool_right=99)), "pool_right"),
    ("openrlhf", of_lines(lambda row: row.update(epoch=7)), "is not the visit that follows"),
    ("openrlhf", of_lines(lambda row: row.pop("label")), "train.jsonl:2: label: is needed"),
    ("slime", of_lines(lambda row: row.update(label="7")), "is not the visit that follows"),
    (
        "trl-grpo",
        of_lines(lambda row: row["prompt"].pop()),
        "train.jsonl:2: prompt: must not be empty",
    ),
    ("trl-sft", of_lines(lambda row: row.update(score="1")), "2: score: must be a number"),
    ("trl-sft", of_lines(lambda row: row.update(split="train")), "split: is not a known name"),
    (
        "trl-sft",
        of_lines(lambda row: row["prompt"][-1].update(name="x")),
        "2: prompt: must be turns, which have no other fields",
    ),
    ("trl-sft", of_lines(lambda row: row.update(score=0.0)), "only right trajectories are learnt"),
    ("trl-sft", of_lines(lambda row: row.update(gold="12345")), "reward: right: 0.0 where 1.0"),
    (
        "trl-sft",
        of_lines(lambda row: row["completion"].append({"role": "user", "content": "?"})),
        "completion: is not one turn of the assistant",
    ),
    (
        "trl-preference",
        of_lines(lambda row: row.update(rejected=row["chosen"])),
        "rejected: is what was chosen",
    ),
    ("pacore-train", of_lines(lambda row: row.update(ground_truth=" ")), "ground_truth: is empty"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("form", "change", "fault"), FALSIFIED, ids=[one[2] for one in FALSIFIED])
def test_a_falsified_row_is_found_though_its_digest_is_right(
    exports: Path, tmp_path: Path, form: str, change: Callable[[Path], None], fault: str
) -> None:
    folder = tmp_path / form
    shutil.copytree(exports / form, folder)
    change(folder)
    restated(folder)
    faults = verify_export(folder).faults
    assert any(fault in one for one in faults), faults


@pytest.mark.parametrize(
    ("text", "gold", "grader", "is_stated"),
    [
        ("What is 3 + 4? Give it in \\boxed{}.", "7", "math", False),
        ("There are 7 apples. How many are left?", "7", "math", False),
        ("What is 3 + 4? The answer is \\boxed{7}.", "7", "math", True),
        ("Which? (A) one (B) two. Answer: B", "B", "choice", True),
        ("Which? (A) one (B) two.", "B", "choice", False),
    ],
)
def test_a_problem_states_its_gold_answer_where_it_reads_like_a_response(
    text: str, gold: str, grader: str, is_stated: bool
) -> None:
    assert states_gold(text, gold, grader) is is_stated


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has no training\.json"):
        verify_export(tmp_path)
    (tmp_path / MANIFEST).write_text("{}")
    with pytest.raises(Refused, match=r"is no export for a trainer: training\.json"):
        verify_export(tmp_path)


@pytest.mark.parametrize(("sizes", "is_noted"), [((WIDTH, WIDTH + 8), True), ((2, WIDTH), False)])
def test_a_range_that_always_shows_all_messages_is_noted(
    store: str, tmp_path: Path, sizes: tuple[int, int], is_noted: bool
) -> None:
    material = material_of(open_store(store), POOL)
    done = export_training(material, RowOptions("verl", sizes), tmp_path / "out")
    rows = pool_rows(tmp_path / "out" / "train.parquet")
    most = max(len(row["extra_info"]["message_pool"]) for row in rows)
    note = (
        f"no pool has more than {most} messages, so that {sizes[0]} to {sizes[1]} of them are all at "
        f"every visit; --messages {2 * most // 3}-{most} draws fewer"
    )
    assert list(done.notes) == [note] * is_noted


def test_a_tokenizer_or_a_python_that_is_not_there_is_bad_input(exports: Path) -> None:
    with pytest.raises(BadInput, match="--tokenizer nowhere: is no folder"):
        verify_export(exports / "verl", tokenizer="nowhere")
    with pytest.raises(BadInput, match="--trainer-python /no/python: is not there"):
        verify_export(exports / "verl", trainer_python="/no/python")


@pytest.mark.slow
def test_the_command_exports_and_verifies(store: str, tmp_path: Path, command: Pacore) -> None:
    place = str(tmp_path / "out")
    done = command(
        "export", POOL, place, "--format", "openrlhf", "--rows", "9", "--messages", "8-12",
        "--store", store, "--verify",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"exported pool as openrlhf to {place}: 9 rows" in done.stdout
    assert f"{place}: verified" in done.stdout
    for row in lines(tmp_path / "out" / "train.jsonl"):
        assert 8 <= len(row["message_ids"]) <= 12
    falsified_bytes("train.jsonl")(tmp_path / "out")
    done = command("verify-export", place)
    assert done.returncode == 1
    assert "FAULT: train.jsonl: is not what was written" in done.stderr
    assert f"{place}: 1 faults" in done.stdout


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--rows", "9"), "--rows: is for a trainer's format; --format names one"),
        (("--verify",), "--verify: is for a trainer's format"),
        (("--trainer-python", "python3"), "--verify: is for a trainer's format"),
        (("--format", "verl", "--messages", "24-16"), "--messages '24-16': must be from 1 on"),
        (("--format", "verl", "--messages", "many"), "--messages 'many': must be two numbers"),
        (("--format", "verl", "--stage", "stage1"), "--stage: pool is a run"),
        (("--format", "trl-sft"), "no trajectory that was sampled from messages"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    store: str, tmp_path: Path, command: Pacore, typed: tuple[str, ...], said: str
) -> None:
    done = command("export", POOL, str(tmp_path / "out"), "--store", store, *typed)
    assert done.returncode == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_complete_is_refused_unless_told_otherwise(
    tmp_path: Path, command: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    place = tmp_path / "store"
    model = "scripted?words=6&fault=0.3"
    run_stages(
        scripted_config(place, problems, widths=(), replicates=8, run_id="part", model=model)
    )
    done = command(
        "export", "part", str(tmp_path / "out"), "--format", "verl", "--store", str(place)
    )
    assert done.returncode == 2
    assert "run part is not fit to train on" in done.stderr
    assert not (tmp_path / "out").exists()
    typed = ("--format", "verl", "--store", str(place), "--incomplete")
    assert command("export", "part", str(tmp_path / "out"), *typed).returncode == 0
    (run,) = read_training_manifest(tmp_path / "out").runs
    assert run.missing
    assert "LACKING" in (tmp_path / "out" / "README.md").read_text()
    for row in pool_rows(tmp_path / "out" / "train.parquet"):
        assert len(row["extra_info"]["message_pool"]) == row["extra_info"]["pool_observed"] < 8


def test_syntheses_are_counted_with_why_they_gave_no_row(store: str, tmp_path: Path) -> None:
    material = material_of(open_store(store), POOL, SYNTHESIS)
    done = export_training(material, RowOptions("trl-sft", most=2), tmp_path / "sft")
    assert sum(done.manifest.trajectories.values()) == PROBLEMS * DRAWS
    assert done.manifest.trajectories["more than are taken of one problem"] > 0


def training_set(store: str, name: str, kept: list[str]) -> None:
    """A training set of the two runs whose last stage kept some problems."""
    backend = open_store(store)
    decisions: dict[str, str] = {
        stage: write_decisions(
            backend,
            name,
            stage,
            [
                TrainingDecision(
                    name, stage, "sums", f"sum-{n}", is_kept, None if is_kept else "easy"
                )
                for n in range(PROBLEMS)
                for is_kept in [stage == "filters" or f"sum-{n}" in kept]
            ],
        )
        for stage in DECIDED
    }
    record = TrainingRecord(
        name=name,
        written_at=datetime(2026, 11, 30, tzinfo=UTC),
        identity={},
        sources=(TrainingSource("sums", "set", "CC0-1.0"),),
        filters={"containment": 0.7},
        problem_set="problems/sums",
        pool_run=POOL,
        pool_size=WIDTH,
        bands={"math": "9/24"},
        decisions=decisions,
        synthesis_run=SYNTHESIS,
        checkpoint="scripted",
    )
    put_training(backend, record)


def test_a_training_set_gives_the_problems_that_its_last_stage_kept_and_says_how_they_were_kept(
    store: str, tmp_path: Path
) -> None:
    training_set(store, "hard-sums", ["sum-1", "sum-4"])
    material = material_of(open_store(store), "hard-sums")
    done = export_training(material, RowOptions("verl", stage=material.stage), tmp_path / "out")
    rows = pool_rows(tmp_path / "out" / "train.parquet")
    assert [row["extra_info"]["problem_id"] for row in rows] == ["sum-1", "sum-4"]
    with pytest.raises(
        Refused, match=r"hard-sums is a training set; --format .* verl.*\(pool, synth"
    ):
        export_to("hard-sums", str(tmp_path / "whole"), store)
    assert {row["extra_info"]["stage"] for row in rows} == {"stage1"}
    manifest = done.manifest
    assert [run.run_id for run in manifest.runs] == [POOL, SYNTHESIS]
    assert (manifest.filters, manifest.bands) == ({"containment": 0.7}, {"math": "9/24"})
    assert manifest.stages == (
        ("filters", "sums", "kept", PROBLEMS),
        ("stage1", "sums", "kept", 2),
        ("stage1", "sums", "easy", PROBLEMS - 2),
    )
    before = material_of(open_store(store), "hard-sums", stage="filters")
    assert before.problem_ids is not None
    assert len(before.problem_ids) == PROBLEMS
    with pytest.raises(BadInput, match="--synthesis: hard-sums is a training set"):
        material_of(open_store(store), "hard-sums", SYNTHESIS)
    with pytest.raises(Refused, match="stage2 has not come to its end"):
        material_of(open_store(store), "hard-sums", stage="stage2")


PAPER = {
    "verl": (
        "algorithm.adv_estimator=gae", "algorithm.gamma=1.0", "algorithm.lam=1.0",
        "data.train_batch_size=16", "actor_rollout_ref.rollout.n=64",
        "actor_rollout_ref.actor.ppo_mini_batch_size=16", "actor_rollout_ref.actor.ppo_epochs=1",
        "actor_rollout_ref.actor.use_kl_loss=False", "actor_rollout_ref.actor.entropy_coeff=0",
        "actor_rollout_ref.rollout.max_model_len=131072", "+data.pacore.rows=4000",
        "+data.pacore.messages=[16,24]", "data.shuffle=False", "trainer.total_training_steps=250",
    ),
    "slime": (
        "--advantage-estimator", "ppo", "--rollout-batch-size", "--global-batch-size", "1024",
        "--rollout-max-context-len", "131072", "pacore_source.PaCoReSource",
    ),
    "openrlhf": ("gae", "--algo.kl.init_coef", "--rollout.n_samples_per_prompt", "64", "131072"),
}  # fmt: skip


@pytest.mark.parametrize("form", PAPER)
def test_a_launch_file_has_the_papers_recipe_and_marks_what_the_paper_does_not_say(
    exports: Path, form: str
) -> None:
    file = exports / form / f"launch_{form}.sh"
    environment = {"PATH": os.environ["PATH"], "MODEL": "/m", "SLIME": "/s", "CRITIC_CONFIG": "/c"}
    shown = subprocess.run(
        ["bash", str(file), "extra=1"],
        env={**environment, "SHOW": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    settings = shown.stdout.splitlines()
    assert set(PAPER[form]) <= set(settings)
    assert settings[-1] == "extra=1"
    assert "[assumption] learning rate" in file.read_text()
    lacking = subprocess.run(
        ["bash", str(file)], env={"PATH": os.environ["PATH"]}, capture_output=True, check=False
    )
    assert lacking.returncode != 0
    assert b"MODEL" in lacking.stderr
