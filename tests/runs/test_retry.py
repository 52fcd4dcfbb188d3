"""`pacore retry`: new attempts under another limit, linked to what they replace, paid for once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.run import RunConfig
from pacore.errors import BadInput, Refused
from pacore.runs.problems import open_shards
from pacore.runs.retry import begin_retry, choose
from pacore.runs.settings import config_of
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.layout import final_key
from pacore.store.retries import RetryRecord, add_retry, count_retries, read_retries
from pacore.store.run import is_closed, open_run
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.pipeline import (
    Killed,
    journal_size,
    killed_after,
    oracle_tables,
    run_stages,
    scripted_config,
    table,
    tables,
    write_problems,
)

CUT = "finish_reason = 'length'"


def finished(folder: Path, **fields: Any) -> tuple[RunConfig, Backend]:
    """A run of eight problems in which a limit of 16 words cuts every trajectory, at its end."""
    given: dict[str, Any] = {
        "model": "scripted?words=12&empty=0.1",
        "max_tokens": 14,
        "widths": (3, 2),
        "run_id": "mine",
        "shard_size": 2,
    }
    folder.mkdir(exist_ok=True)
    problems = write_problems(folder / "p.jsonl", 6)
    config = scripted_config(folder / "store", problems, **{**given, **fields})
    run_stages(config)
    return config, open_store(config.store)


def retry(store: Backend, where: str = CUT, max_tokens: int | None = 60) -> RetryRecord | None:
    return begin_retry(store, open_run(store, "mine"), where, max_tokens)


def ask(store: Backend, sql: str) -> list[tuple[Any, ...]]:
    with Warehouse(store, ["mine"]) as warehouse:
        assert not any(warehouse.run_checks().values())
        return list(warehouse.query(sql).rows)


def assert_is_the_oracles(config: RunConfig, store: Backend) -> None:
    retries = [record.retry for record in read_retries(store, "mine")]
    found, expected = tables(config.store, "mine"), oracle_tables(config, None, retries)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.slow
def test_what_was_cut_is_tried_again_with_more_room_and_what_follows_is_redone(
    tmp_path: Path,
) -> None:
    config, store = finished(tmp_path)
    before = ask(store, f"SELECT count(*) FROM trajectories WHERE {CUT}")
    record = retry(store)
    assert record is not None and before == [(len(record.chosen),)]
    assert not is_closed(store, "mine")
    run_stages(config)
    assert is_closed(store, "mine")
    assert_is_the_oracles(config, store)
    linked = ask(
        store,
        "SELECT old.finish_reason, old.attempt + 1 = new.attempt, new.max_tokens,"
        " new.slot = old.slot, new.draw = old.draw, new.prompt_digest = old.prompt_digest"
        " FROM all_trajectories AS new JOIN all_trajectories AS old"
        " ON old.trajectory_id = new.retry_of AND old.round = new.round"
        " AND old.problem_id = new.problem_id",
    )
    assert set(linked) == {("length", True, 60, True, True, True)}
    assert ask(store, "SELECT sum(retries) FROM mart_quorums") == [(len(linked),)]
    standing = "SELECT count(*) FROM trajectories WHERE round = 1 AND "
    assert ask(store, standing + CUT) == [(0,)]


def test_only_what_a_retry_changed_is_paid_for(tmp_path: Path) -> None:
    config, store = finished(tmp_path)
    paid = journal_size(config.store)
    untouched = table(config.store, "mine", "trajectories", ["problem_id", "trajectory_id"])
    record = retry(store, "problem_id = 'sum-0003' AND round = 1 AND slot = 0", 60)
    assert record is not None and len(record.chosen) == 1 and len(record.shards) == 1
    (work,) = open_shards(store, open_run(store, "mine"))
    assert (work.number, work.revision) == (record.shards[0], 1)
    run_stages(config)
    # One new trajectory in round 1; its message changes the prompts of the rounds after it.
    assert journal_size(config.store) == paid + 1 + 2 + 1
    rows = table(config.store, "mine", "trajectories", ["problem_id", "trajectory_id"])
    others = [row for row in untouched if row[1] != "sum-0003"]
    assert [row for row in rows if row[1] != "sum-0003"] == others


@pytest.mark.slow
def test_a_run_that_was_retried_is_complete_and_its_first_end_stays(tmp_path: Path) -> None:
    config, store = finished(tmp_path)
    first_end = store.get(final_key("mine"))
    retry(store)
    run_stages(config)
    paid = journal_size(config.store)
    assert store.get(final_key("mine")) == first_end
    ends = [json.loads(store.get(final_key("mine", number))) for number in (0, 1)]
    assert [end["snapshot"] for end in ends] == [0, 1]
    assert open_shards(store, open_run(store, "mine")) == []
    run_stages(config)
    assert journal_size(config.store) == paid
    assert ask(store, "SELECT status FROM runs") in ([("complete",)], [("failures",)])


@pytest.mark.slow
def test_the_same_line_twice_chooses_nothing_twice(tmp_path: Path) -> None:
    config, store = finished(tmp_path)
    record = retry(store)
    assert record is not None
    assert retry(store) == record
    run_stages(config)
    again = retry(store)
    left = {slot.trajectory_id for slot in again.chosen} if again else set()
    made = table(config.store, "mine", "trajectories", ["trajectory_id", "retry_of"])
    assert not left & {trajectory_id for _, trajectory_id, retry_of in made if retry_of}
    assert not left & {slot.trajectory_id for slot in record.chosen}


@pytest.mark.slow
def test_retries_follow_each_other_and_each_names_what_it_replaced(tmp_path: Path) -> None:
    config, store = finished(tmp_path, widths=(3,))
    for max_tokens in (15, 16, 60):
        assert retry(store, CUT, max_tokens) is not None
        run_stages(config)
        assert_is_the_oracles(config, store)
    assert count_retries(store, "mine") == 3
    chains = ask(
        store,
        "SELECT list(max_tokens ORDER BY attempt) FROM all_trajectories WHERE round = 1"
        " GROUP BY problem_id, slot",
    )
    assert ([None, 15, 16, 60],) in chains


@pytest.mark.slow
def test_a_retry_killed_in_the_middle_goes_on_and_pays_once(tmp_path: Path) -> None:
    whole, whole_store = finished(tmp_path / "whole")
    retry(whole_store)
    run_stages(whole)
    config, store = finished(tmp_path / "killed")
    retry(store)
    for stages in (1, 3, 6, 8):
        with pytest.raises(Killed):
            run_stages(config, killed_after(stages))
        assert retry(store) == read_retries(store, "mine")[0]
    run_stages(config)
    assert tables(config.store, "mine") == tables(whole.store, "mine")
    assert journal_size(config.store) == journal_size(whole.store)


def test_a_run_in_the_middle_of_its_work_is_not_retried(tmp_path: Path) -> None:
    config, store = finished(tmp_path)
    other = config.model_copy(update={"run_id": "begun", "seed_root": "other"})
    with pytest.raises(Killed):
        run_stages(other, killed_after(3))
    with pytest.raises(Refused, match="run begun is not at its end; finish its pacore run first"):
        begin_retry(store, open_run(store, "begun"), CUT, 60)
    retry(store)
    with pytest.raises(Refused, match="finish its pacore retry --where"):
        retry(store, "finish_reason = 'stop'", 5)


def test_of_two_retries_at_once_one_is_recorded(tmp_path: Path) -> None:
    _, store = finished(tmp_path)
    chosen = tuple(choose(store, open_run(store, "mine"), CUT, 60))
    first = RetryRecord(0, CUT, 60, chosen, (0,))
    assert add_retry(store, "mine", first) == first
    assert add_retry(store, "mine", RetryRecord(0, "round = 1", 9, chosen, (0,))) == first


@pytest.mark.slow
def test_a_refilled_set_keeps_its_refills_through_a_retry(tmp_path: Path) -> None:
    config, store = finished(
        tmp_path,
        model="scripted?words=12&truncate=0.4",
        max_tokens=None,
        on_shortfall="refill",
        min_messages=(2, 1),
    )
    refills = "SELECT sum(refills) FROM mart_quorums"
    (before,) = ask(store, refills)
    assert before[0] > 0
    assert retry(store) is not None
    run_stages(config)
    assert_is_the_oracles(config, store)
    assert ask(store, refills)[0][0] >= before[0]


@pytest.mark.slow
def test_tombstones_count_anew_after_a_retry(tmp_path: Path) -> None:
    config, store = finished(
        tmp_path, model="scripted?words=12&fault=0.5", max_tokens=None, attempts=1
    )
    where = "finish_reason = 'engine_error'"
    record = retry(store, where, None)
    assert record is not None and record.max_tokens is None
    run_stages(config)
    assert is_closed(store, "mine")
    new = ask(store, "SELECT max_tokens, finish_reason FROM trajectories WHERE retry_of <> ''")
    assert {finish_reason for _, finish_reason in new} == {"stop", "engine_error"}
    assert {max_tokens for max_tokens, _ in new} == {None}


@pytest.mark.parametrize("where", ["no_such_column = 1", "finish_reason =", "1 = 1) --", ")"])
def test_a_condition_that_does_not_work_is_refused_and_records_nothing(
    tmp_path: Path, where: str
) -> None:
    _, store = finished(tmp_path, widths=())
    with pytest.raises(BadInput) as caught:
        retry(store, where)
    assert "\n" not in str(caught.value)
    assert count_retries(store, "mine") == 0 and is_closed(store, "mine")


def test_a_condition_that_nothing_meets_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    _, store = finished(tmp_path, widths=())
    assert retry(store, "finish_reason = 'rejected'") is None
    assert is_closed(store, "mine")


def test_a_retry_runs_under_the_configuration_the_run_was_started_with(tmp_path: Path) -> None:
    config, store = finished(tmp_path, concurrency=7, widths=())
    run = open_run(store, "mine")
    assert config_of(run, {}) == config
    assert config_of(run, {"concurrency": 3}).concurrency == 3
    with pytest.raises(BadInput, match="endpoints: engine scripted takes none"):
        config_of(run, {"endpoints": ("http://127.0.0.1:9/v1",)})


@pytest.mark.slow
def test_the_command_retries_a_run_whose_problem_file_is_gone_and_is_done_after(
    tmp_path: Path, prefect_api: str, pacore: Pacore, command: Pacore
) -> None:
    assert prefect_api
    config, _ = finished(tmp_path, shard_size=6)
    Path(config.problems).unlink()
    where = f"{CUT} AND round = 3"
    line = ["retry", "mine", "--where", where, "--max-tokens", "60", "--store", config.store]
    done = pacore(*line)
    assert done.returncode == 0, done.stderr
    assert " problems again" in done.stderr
    assert "unparsed" in done.stdout
    paid = journal_size(config.store)
    again = command(*line)
    assert (again.returncode, journal_size(config.store)) == (0, paid), again.stderr
    assert "nothing to retry" in again.stdout


def test_the_command_needs_a_condition_and_a_run_that_is_there(
    tmp_path: Path, command: Pacore
) -> None:
    missing = command("retry", "mine", "--store", str(tmp_path))
    assert missing.returncode == 2 and "--where" in missing.stderr
    unknown = command("retry", "mine", "--where", CUT, "--store", str(tmp_path))
    assert unknown.returncode == 2 and "no run 'mine'" in unknown.stderr
