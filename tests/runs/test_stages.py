"""The stages against the oracle, on the scripted engine, without Prefect."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pacore.errors import Refused, StoreError
from pacore.runs.problems import begin, open_shards, open_work
from pacore.runs.trajectories import fill
from pacore.runs.work import Work
from pacore.store.backends.opening import open_store
from pacore.store.commits import find_commit
from pacore.store.layout import Unit
from pacore.store.run import is_closed
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import (
    Killed,
    journal_size,
    killed_after,
    oracle_tables,
    run_stages,
    scripted_config,
    tables,
    write_problems,
)

UNEVEN = "scripted?words=12&truncate=0.2&empty=0.1"


@pytest.mark.slow
@pytest.mark.parametrize("shard_size", [1, 2, 100])
@pytest.mark.parametrize("replicates", [1, 3])
@pytest.mark.parametrize("widths", [(), (4,), (1, 1, 1), (8, 3)], ids=str)
def test_the_tables_equal_the_oracles(
    tmp_path: Path, widths: tuple[int, ...], replicates: int, shard_size: int
) -> None:
    config = scripted_config(
        tmp_path / "store",
        write_problems(tmp_path / "problems.jsonl"),
        model=UNEVEN,
        widths=widths,
        replicates=replicates,
        shard_size=shard_size,
    )
    run = run_stages(config)
    expected = oracle_tables(config)
    found = tables(config.store, run.run_id)
    assert {name: found[name] for name in expected} == expected
    assert len(found["answers"]) == 5 * replicates


@pytest.mark.parametrize("compaction", ["conclusion", "verbatim", "reference"])
@pytest.mark.parametrize("message_order", ["content", "reference"])
@pytest.mark.parametrize("pool", [None, 10])
def test_every_policy_of_the_plan_equals_the_oracles(
    tmp_path: Path, compaction: str, message_order: str, pool: int | None
) -> None:
    config = scripted_config(
        tmp_path / "store",
        write_problems(tmp_path / "problems.jsonl", 3),
        model=UNEVEN,
        widths=(6, 2),
        replicates=3,
        compaction=compaction,
        message_order=message_order,
        pool=pool,
    )
    run = run_stages(config)
    found, expected = tables(config.store, run.run_id), oracle_tables(config)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.slow
def test_low_then_medium_generates_only_what_low_did_not_have(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    low = scripted_config(tmp_path / "store", problems, preset="low", run_id="low")
    medium = scripted_config(tmp_path / "store", problems, preset="medium", run_id="medium")
    run_stages(low)
    assert journal_size(low.store) == 4 * (4 + 1)
    run_stages(medium)
    assert journal_size(low.store) == 4 * (16 + 1) + 4
    alone = scripted_config(tmp_path / "other", problems, preset="medium", run_id="medium")
    run_stages(alone)
    assert tables(medium.store, "medium") == tables(alone.store, "medium")


def test_a_second_run_of_the_same_identity_generates_nothing(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl")
    first = scripted_config(tmp_path / "store", problems, widths=(3, 2), run_id="first")
    run_stages(first)
    paid = journal_size(first.store)
    second = first.model_copy(update={"run_id": "second", "concurrency": 3, "shard_size": 2})
    run_stages(second)
    assert journal_size(first.store) == paid
    assert tables(first.store, "first") == tables(first.store, "second")


def test_a_resume_with_another_shard_size_keeps_the_boundaries(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl")
    config = scripted_config(tmp_path / "store", problems, shard_size=2, run_id="mine")
    stages_left = 3

    class Stop(BaseException):
        pass

    def stop_after_three() -> None:
        nonlocal stages_left
        stages_left -= 1
        if stages_left < 0:
            raise Stop

    with pytest.raises(Stop):
        run_stages(config, stop_after_three)
    run = run_stages(config.model_copy(update={"shard_size": 1}))
    assert run.shard_size == 2
    assert tables(config.store, "mine")["answers"] == oracle_tables(config)["answers"]


def test_another_configuration_under_the_same_name_is_refused_with_the_difference(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl")
    config = scripted_config(tmp_path / "store", problems, preset="low", run_id="mine")
    run_stages(config)
    other = config.model_copy(update={"preset": "medium", "temperature": 0.5})
    with pytest.raises(Refused, match=r"plan\.widths: \[4\] -> \[16\]; recipe\.temperature: 1\.0"):
        run_stages(other)


def test_tombstones_are_retried_on_the_next_start_and_the_problem_gets_its_answer(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 6)
    config = scripted_config(
        tmp_path / "store", problems, model="scripted?fault=0.1", run_id="mine", shard_size=2,
        attempts=100,
    )  # fmt: skip
    store = open_store(config.store)
    starts = 0
    while not is_closed(store, "mine"):
        paid_before = journal_size(config.store)
        run_stages(config)
        starts += 1
        assert journal_size(config.store) > paid_before
    assert starts > 1
    found = tables(config.store, "mine")
    assert [row for row in found["answers"] if row[7] == "failed"] == []
    faulty = [row for row in found["trajectories"] if row[9] == "engine_error"]
    assert faulty, "the tombstones stay as rows"
    ids = [row[6] for row in found["trajectories"]]
    assert len(ids) == len(set(ids))


def test_a_slot_that_used_up_its_attempts_counts_as_lost_and_the_run_closes(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    config = scripted_config(
        tmp_path / "store",
        problems,
        model="scripted?fault=1",
        run_id="mine",
        attempts=2,
        shard_size=2,
    )
    store = open_store(config.store)
    run = run_stages(config)
    assert not is_closed(store, "mine")
    run_stages(config)
    assert is_closed(store, "mine")
    commit = find_commit(store, Unit("mine", "answers", 2, run.shards[0].name, 1))
    assert commit is not None
    assert commit.counts == {"answered": 0, "no_answer": 0, "failed": 2, "retryable": 0}


@pytest.mark.slow
def test_texts_are_stored_once_and_pointed_at(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    first = scripted_config(tmp_path / "store", problems, preset="low", run_id="first")
    second = scripted_config(tmp_path / "store", problems, widths=(6,), run_id="second")
    run_stages(first)
    run_stages(second)
    from tests.fixtures.pipeline import table

    texts = table(first.store, "second", "trajectory_texts", ["trajectory_id"])
    pointers = table(first.store, "second", "trajectories", ["trajectory_id", "text_run_id"])
    own = {trajectory_id for _, trajectory_id, run_id in pointers if run_id == "second"}
    assert {trajectory_id for _, trajectory_id in texts} == own
    assert sum(1 for _, _, run_id in pointers if run_id == "first") == 3 * 4


@pytest.mark.slow
def test_the_order_of_rows_in_the_file_changes_no_table(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 9)
    config = scripted_config(tmp_path / "a", problems, widths=(3,), run_id="mine", shard_size=2)
    run_stages(config)
    lines = problems.read_text().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_text("".join(lines))
    other = scripted_config(tmp_path / "b", shuffled, widths=(3,), run_id="mine", shard_size=5)
    run_stages(other)
    assert tables(config.store, "mine") == tables(other.store, "mine")


def test_without_an_engine_a_stage_takes_what_the_journal_has_and_names_what_it_lacks(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = scripted_config(tmp_path / "store", problems, widths=(4,), shard_size=1)
    with open_work(config) as work:
        fill(work.shard(work.left[0]), 1)
        limits = work.limits
    again = config.model_copy(update={"run_id": "again"})
    run = begin(again)
    with Work(work.store, run, limits) as kept:
        shards = [kept.shard(opened) for opened in open_shards(work.store, run)]
        assert fill(shards[0], 1).counts["reused"] == 4
        with pytest.raises(StoreError, match="^4 of its trajectories are not in the journal: "):
            fill(shards[1], 1)
    # Of one problem of three: its last round went ahead.
    assert journal_size(config.store) <= 5


@pytest.mark.slow
def test_a_last_stage_that_was_killed_is_done_again_for_its_shard_alone(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    config = scripted_config(
        tmp_path / "store", problems, widths=(2,), shard_size=2, run_id="mine", model=UNEVEN
    )
    with pytest.raises(Killed):
        run_stages(config, killed_after(2 * STAGES_OF_TWO_ROUNDS))
    store = open_store(config.store)

    def graded() -> dict[str, bytes]:
        return {key: store.get(key) for key in store.list("commits/run_id=mine/verdicts")}

    before, paid = graded(), journal_size(config.store)
    assert list(before) == ["commits/run_id=mine/verdicts/round=2/s00000.grun.json"]
    run_stages(config)
    after = graded()
    assert len(after) == 2 and {key: after[key] for key in before} == before
    run_stages(config)
    assert graded() == after
    assert journal_size(config.store) == paid
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())
        assert len(list(warehouse.query("SELECT * FROM scores").rows)) == 4


STAGES_OF_TWO_ROUNDS = 6
"""Trajectories and messages of each, then answers and verdicts."""
