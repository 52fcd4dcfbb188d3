"""Stores that lack something: what is whole is queried, and what is not is named, once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pacore.errors import BadInput, StoreError
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_files, write_snapshot
from pacore.store.integrity import faults_of
from pacore.store.layout import Unit, commit_key, final_key, run_key, snapshot_key
from pacore.store.run import close_run, open_run
from pacore.warehouse.relations import RELATIONS
from pacore.warehouse.views import ReportWarehouse, Warehouse
from tests.conftest import Pacore
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.small_store import begin_run, problem, publish_rows, rows_of
from tests.fixtures.stores import fresh_url

pytestmark = pytest.mark.slow

RUNS = ("one", "two", "three")


def store_of_three(url: str) -> Backend:
    store = open_store(url)
    for run_id in RUNS:
        run = begin_run(store, [problem(number) for number in range(1, 5)], run_id)
        publish_rows(store, rows_of(run_id))
        if run_id != "three":
            write_snapshot(store, run_id)
            close_run(store, run, {"failed": 1})
    return store


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return store_of_three(fresh_url(request, request.param, tmp_path))


def data_of(store: Backend, run_id: str, table: str) -> str:
    return current_files(store, run_id)[table][0]


def damaged_inside(data: bytes) -> bytes:
    """The same length, and nothing that decodes where the first column's values are."""
    return data[:4] + b"\xff" * 400 + data[404:]


Damage = Callable[[Backend, str], None]


DAMAGES: dict[str, Damage] = {
    "is missing": lambda store, key: store.delete(key),
    "has 9 bytes, not ": lambda store, key: store.put(key, b"not whole"),
    "has 0 bytes, not ": lambda store, key: store.put(key, b""),
    "is damaged: its sha256 is another": lambda store, key: store.put(
        key, damaged_inside(store.get(key))
    ),
}


COUNTS = "SELECT run_id, count(*) FROM {} GROUP BY run_id ORDER BY run_id"


@pytest.mark.parametrize("run_id", ["two", "three"])
@pytest.mark.parametrize("what", DAMAGES)
def test_queries_go_on_without_the_run_whose_file_is_lost(
    store: Backend, run_id: str, what: str
) -> None:
    key = data_of(store, run_id, "trajectories")
    DAMAGES[what](store, key)
    said: list[str] = []
    with Warehouse(store, say=said.append) as warehouse:
        everything = "SELECT * FROM trajectories ORDER BY ALL"
        whole = {str(row[0]) for row in warehouse.query(everything).rows}
        assert whole == set(RUNS) - {run_id}
        for table in ("runs", "trajectories", "messages", "answers", "scores", "problems"):
            found = [row[0] for row in warehouse.query(COUNTS.format(table)).rows]
            assert found == sorted(whole), table
    (notice,) = said
    # Every relation as a view takes four times as long as with what most of them read as tables.
    kind = Warehouse if what == "is missing" else ReportWarehouse
    with kind(store, say=said.append) as warehouse:
        for name in RELATIONS:
            list(warehouse.query(f"SELECT * FROM {name}").rows)
    assert said == [notice, notice]
    assert notice.startswith(f"left out: run {run_id}, table trajectories: {key}: {what}")
    assert notice.endswith(f"; pacore repair {run_id} makes again what it can")


@pytest.mark.parametrize("what", DAMAGES)
def test_a_run_that_is_asked_for_and_not_whole_is_refused_with_what_mends_it(
    store: Backend, what: str
) -> None:
    key = data_of(store, "two", "messages")
    DAMAGES[what](store, key)
    words = rf"run two, table messages: {re.escape(key)}: {what}.*; pacore repair two makes again"
    with pytest.raises(StoreError, match=words), Warehouse(store, ["two"]) as warehouse:
        list(warehouse.query("SELECT * FROM messages").rows)
    with pytest.raises(StoreError, match=words), Warehouse(store, ["two"]) as warehouse:
        list(warehouse.stream("checks/message_positions").rows)
    with Warehouse(store, ["one"]) as warehouse:
        assert len(list(warehouse.query("FROM messages").rows)) == 10


def unreadable(store: Backend, key: str) -> None:
    store.put(key, b"{")


RECORDS: dict[str, tuple[Damage, Callable[[Backend], str]]] = {
    "a snapshot": (unreadable, lambda _: snapshot_key("two", 0)),
    "a run's end": (unreadable, lambda _: final_key("two")),
    "a run's record": (unreadable, lambda _: run_key("two")),
    "the problem set": (
        lambda store, key: store.delete(key),
        lambda store: open_run(store, "two").problem_set,
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_queries_go_on_without_a_run_whose_record_is_lost(store: Backend, name: str) -> None:
    damage, key_of = RECORDS[name]
    key = key_of(store)
    others = {"one", "three"} if name != "the problem set" else set()
    damage(store, key)
    said: list[str] = []
    with Warehouse(store, say=said.append) as warehouse:
        assert {row[0] for row in warehouse.query("SELECT run_id FROM runs").rows} == others
    assert len(said) == len(RUNS) - len(others)
    assert all(key in notice for notice in said)


def test_a_commit_that_cannot_be_read_leaves_out_a_run_in_progress(store: Backend) -> None:
    key = commit_key(Unit("three", "answers", 2, "s00000"))
    store.put(key, b"[1]")
    said: list[str] = []
    with Warehouse(store, say=said.append) as warehouse:
        found = list(warehouse.query(COUNTS.format("answers")).rows)
    assert found == [("one", 4), ("two", 4)]
    assert len(said) == 1 and key in said[0]


def test_each_run_is_named_once_with_the_number_of_its_files(store: Backend) -> None:
    for run_id in ("one", "two"):
        lost = [key for keys in current_files(store, run_id).values() for key in keys]
        for key in lost:
            store.delete(key)
    said: list[str] = []
    with Warehouse(store, say=said.append) as warehouse:
        assert list(warehouse.query(COUNTS.format("trajectories")).rows) == [("three", 15)]
    assert [notice.partition(",")[0] for notice in said] == [
        "left out: run one",
        "left out: run two",
    ]
    assert all(f", and {len(lost) - 1} more; pacore repair" in notice for notice in said)


def test_a_query_that_fails_by_itself_blames_no_file(store: Backend) -> None:
    said: list[str] = []
    with Warehouse(store, say=said.append) as warehouse:
        for text in ("SELECT error('mine') FROM trajectories", "SELECT 'x'::INTEGER FROM messages"):
            with pytest.raises(BadInput):
                list(warehouse.query(text).rows)
        assert len(list(warehouse.query("FROM runs").rows)) == 3
    assert said == []


def test_who_does_not_listen_finds_it_in_the_log(
    store: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    store.delete(data_of(store, "two", "verdicts"))
    with Warehouse(store) as warehouse:
        assert len(list(warehouse.query("FROM runs").rows)) == 2
    assert "left out: run two, table verdicts" in caplog.text


def test_faults_of_a_run_are_those_of_its_own(store: Backend) -> None:
    assert faults_of(store, open_run(store, "one")) == []
    store.delete(data_of(store, "two", "verdicts"))
    assert faults_of(store, open_run(store, "one")) == []
    (fault,) = faults_of(store, open_run(store, "two"))
    assert (fault.run_id, fault.table, fault.what) == ("two", "verdicts", "is missing")


def test_the_runs_own_line_says_what_is_wrong_and_what_mends_it(
    tmp_path: Path, command: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    config = scripted_config(tmp_path / "store", problems, widths=(2,), run_id="mine")
    run_stages(config)
    store = open_store(config.store)
    key = data_of(store, "mine", "answers")
    line = [
        "run", "--problems", str(problems), "--engine", "scripted", "--widths", "2",
        "--store", config.store, "--run-id", "mine",
    ]  # fmt: skip
    store.delete(key)
    ended = command(*line)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"pacore: run mine, table answers: {key}: is missing; "
        "pacore repair mine makes again what it can\n"
    )
    assert command("repair", "mine", "--store", config.store).returncode == 0
    assert "nothing to do" in command(*line).stderr
