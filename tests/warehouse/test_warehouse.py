"""The warehouse: views over what is committed, and the stages' own round queries."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacore.errors import BadInput, PacoreError, Refused, StoreError
from pacore.evaluation.accuracy import Totals
from pacore.report.run import ResultRow, run_results
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import publish, read_commit, read_commits, text_ids, write_snapshot
from pacore.store.layout import Unit
from pacore.store.run import close_run
from pacore.warehouse.files import answers_of, candidates, message_sets
from pacore.warehouse.relations import RELATIONS
from pacore.warehouse.tables import STAGED
from pacore.warehouse.views import ReportWarehouse, Warehouse
from tests.fixtures.small_store import (
    as_row,
    begin_run,
    generation,
    identity,
    problem,
    publish_rows,
    rows_of,
    select,
    small_store,
    trajectory,
)

FIRST_COLUMNS = {
    "trajectories": (
        "run_id", "round", "problem_id", "replicate", "slot", "draw", "trajectory_id", "seed",
        "finish_reason", "prompt_tokens", "completion_tokens", "conclusion",
    ),
    "trajectory_texts": ("run_id", "round", "problem_id", "replicate", "slot", "trajectory_id"),
    "all_trajectories": (
        "run_id", "round", "problem_id", "replicate", "slot", "draw", "trajectory_id", "seed",
    ),
    "all_verdicts": (
        "run_id", "round", "grading", "problem_id", "replicate", "slot", "trajectory_id",
    ),
    "messages": ("run_id", "round", "problem_id", "replicate", "position", "trajectory_id", "text"),
    "answers": ("run_id", "problem_id", "replicate", "answer", "trajectory_id", "finish_reason"),
    "scores": (
        "run_id", "problem_id", "replicate", "grading", "grader", "verdict", "score", "gold",
        "answer", "trajectory_id", "grader_version",
    ),
    "verdicts": ("run_id", "round", "grading", "problem_id", "replicate", "slot", "trajectory_id"),
    "gradings": ("run_id", "grading", "sequence", "grader"),
    "problems": ("run_id", "problem_id", "statement", "gold"),
    "runs": ("run_id", "status"),
}  # fmt: skip


LABELS = {
    "run_id",
    "problem_id",
    "finish_reason",
    "status",
    "verdict",
    "grader",
    "compactor",
    "engine",
}


@pytest.fixture
def own_store(tmp_path: Path) -> Backend:
    """A small store to change."""
    return small_store(tmp_path / "store")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    """A small store to read only."""
    return small_store(tmp_path_factory.mktemp("shared") / "store")


@pytest.fixture(scope="module")
def warehouse(store: Backend) -> Iterator[Warehouse]:
    with Warehouse(store) as opened:
        yield opened


def ask(warehouse: Warehouse, text: str) -> list[tuple[object, ...]]:
    return list(warehouse.query(text).rows)


def path_of(store: Backend, table: str, round_: int, shard: str = "s00000") -> str:
    return store.uri(read_commit(store, Unit("demo", table, round_, shard)).path)


@pytest.mark.slow
def test_every_table_shows_its_columns_in_order_and_labels_as_text(warehouse: Warehouse) -> None:
    for table, first in FIRST_COLUMNS.items():
        described = {str(row[0]): row[1] for row in ask(warehouse, f"DESCRIBE {table}")}
        assert tuple(described)[: len(first)] == first
        if (stored := STAGED.get(table.removeprefix("all_"))) is not None:
            assert set(stored.schema.names) <= set(described)
        for name in LABELS & set(described):
            assert described[name] == "VARCHAR", f"{table}.{name}"


@pytest.mark.slow
def test_an_empty_store_has_every_table_with_the_columns_and_types_of_a_full_one(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    with Warehouse(open_store(str(tmp_path / "empty"))) as empty:
        for table in FIRST_COLUMNS:
            assert ask(empty, f"DESCRIBE {table}") == ask(warehouse, f"DESCRIBE {table}")
            assert ask(empty, f"FROM {table}") == []
        assert ask(empty, "FROM mart_accuracy") == []
        assert not any(empty.run_checks().values())


def test_a_run_that_has_only_begun_shows_its_problems_and_no_rows(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    begin_run(store, [problem(1), problem(2)])
    with Warehouse(store) as warehouse:
        assert ask(warehouse, "SELECT run_id, problem_id, gold FROM problems ORDER BY ALL") == [
            ("demo", "sum-1", "2"),
            ("demo", "sum-2", "4"),
        ]
        assert ask(warehouse, "SELECT count(*) FROM trajectories") == [(0,)]
        assert ask(warehouse, "SELECT answers, scored, accuracy FROM mart_accuracy") == [
            (0, 0, None)
        ]


def test_the_views_cover_the_runs_named_and_an_unknown_run_is_refused(own_store: Backend) -> None:
    begin_run(own_store, [problem(7)], "other", widths=(2,))
    other = rows_of("other")
    publish_rows(own_store, {unit: rows for unit, rows in other.items() if unit.shard == "s00000"})
    count = "SELECT run_id, count(*) FROM trajectories GROUP BY run_id ORDER BY run_id"
    with Warehouse(own_store) as both:
        assert ask(both, count) == [("demo", 15), ("other", 8)]
        assert ask(both, "SELECT run_id FROM problems WHERE problem_id = 'sum-7'") == [("other",)]
    with Warehouse(own_store, ["other"]) as one:
        assert ask(one, count) == [("other", 8)]
        assert ask(one, "SELECT run_id FROM runs") == [("other",)]
    with pytest.raises(Refused, match="no run 'third' in .*; its runs: demo, other"):
        Warehouse(own_store, ["third"]).__enter__()


@pytest.mark.slow
@pytest.mark.parametrize("name", RELATIONS)
def test_every_relation_is_there_for_the_first_query_that_names_it(
    store: Backend, name: str
) -> None:
    with Warehouse(store) as fresh:
        assert ask(fresh, f"SELECT count(*) FROM {name.upper()}")[0][0] is not None


@pytest.mark.slow
def test_relations_are_there_however_a_query_comes_to_name_them(store: Backend) -> None:
    listed = "SELECT table_name FROM information_schema.tables ORDER BY ALL"
    with Warehouse(store) as fresh:
        assert [name for (name,) in ask(fresh, listed)] == sorted(RELATIONS)
    with Warehouse(store) as fresh:
        (direct,) = ask(fresh, "SELECT count(*) FROM mart_accuracy")
    with Warehouse(store) as fresh:
        assert ask(fresh, "SELECT count(*) FROM query_table('mart_' || 'accuracy')") == [direct]
    with (
        Warehouse(store) as fresh,
        pytest.raises(BadInput, match='"mart_acuracy"; close to it: mart_accuracy'),
    ):
        ask(fresh, "SELECT * FROM mart_acuracy")


@pytest.mark.slow
def test_threads_may_ask_for_the_same_relations_at_once(store: Backend) -> None:
    questions = [f"SELECT count(*) FROM {name}" for name in RELATIONS] * 2
    with Warehouse(store) as fresh, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda question: ask(fresh, question), questions))
    assert found[: len(RELATIONS)] == found[len(RELATIONS) :]


def test_an_uncommitted_file_is_no_part_of_a_table_and_a_revision_replaces_its_shard(
    tmp_path: Path,
) -> None:
    store = small_store(tmp_path / "store", is_closed=False)
    path = Path(path_of(store, "messages", 1))
    path.with_name("orphan.parquet").write_bytes(path.read_bytes())
    publish(store, Unit("demo", "messages", 1, "s00000", 1), [])
    with Warehouse(store) as warehouse:
        assert ask(warehouse, "SELECT count(*) FROM messages WHERE round = 1") == [(3,)]


PLACES = (
    "it's [odd]*",
    "schema=7/kind=x",
    "problem_id=zz/answer=70/store",
    "run_id=elsewhere/round=9",
    "RUN_ID=x/Round=y",
    "round=1/run_id=demo/round=2",
    "run_id=/=/a=b=c",
    "answer%3D70/run_id%3Dzz/a%20b",
    "date=2026-11-23/hour=07/replicate=NULL",
    "café=ü/答案=七",
    "filename=x/file_row_number=3/status=answered",
)


def all_tables(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table: marts are made of these."""
    return {name: ask(warehouse, f"SELECT * FROM {name} ORDER BY ALL") for name in FIRST_COLUMNS}


@pytest.mark.parametrize("folder", PLACES)
def test_a_stores_place_never_changes_what_is_read(
    tmp_path: Path, store: Backend, warehouse: Warehouse, folder: str
) -> None:
    shutil.copytree(Path(store.url), tmp_path / folder)
    elsewhere = open_store(str(tmp_path / folder))
    with Warehouse(elsewhere) as moved:
        assert all_tables(moved) == all_tables(warehouse)
    assert len(list(candidates(path_of(elsewhere, "trajectories", 1)))) == 6


@pytest.mark.parametrize("prefix", [place for place in PLACES if "*" not in place])
def test_a_prefix_never_changes_what_is_read_from_objects(
    store: Backend, warehouse: Warehouse, prefix: str
) -> None:
    elsewhere = open_store(f"memory://bucket/{prefix}")
    for folder in ("data", "commits", "snapshots", "runs", "problems"):
        for key in store.list(folder):
            elsewhere.put(key, store.get(key))
    with Warehouse(elsewhere) as moved:
        assert all_tables(moved) == all_tables(warehouse)


RUN_IDS = (
    "NULL", "null", "Null", "true", "FALSE", "t", "NaN", "nan", "inf", "Infinity", "e5", "E5", "x1",
    "d2026-11-23", "none", "None", "run", "Run", "RUN", "a.b_c-d", "a..b", "z" * 100, "run_id", "round",
    "infinity-", "T00.30", "interval", "default", "__".join("ab"),
)  # fmt: skip


@pytest.mark.slow
def test_every_legal_run_id_is_itself_in_every_table(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "run_id=other" / "store"))
    for run_id in RUN_IDS:
        run = begin_run(store, [problem(number) for number in range(1, 5)], run_id)
        publish_rows(store, rows_of(run_id))
        write_snapshot(store, run_id)
        close_run(store, run, {"failed": 1})
    of_each = "SELECT run_id, count(*) FROM {0} GROUP BY run_id ORDER BY run_id"
    with Warehouse(store, ["run"]) as one, Warehouse(store) as warehouse:
        for name in (*FIRST_COLUMNS, "mart_accuracy", "mart_rounds", "mart_ttc", "mart_failures"):
            ((_, rows),) = ask(one, of_each.format(name))
            assert ask(warehouse, of_each.format(name)) == [(own, rows) for own in sorted(RUN_IDS)]
        for run_id in RUN_IDS[::4]:
            found = ask(
                warehouse,
                "SELECT round, count(*) FROM trajectories JOIN answers USING (run_id, problem_id)"
                f" WHERE run_id = '{run_id}' GROUP BY round ORDER BY round",
            )
            assert found == [(1, 12), (2, 3)]


def test_only_the_files_of_the_runs_and_rounds_that_are_asked_for_are_opened(
    tmp_path: Path,
) -> None:
    store = open_store(str(tmp_path / "round=7" / "store"))
    for run_id in ("one", "two", "three"):
        begin_run(store, [problem(number) for number in range(1, 5)], run_id)
        publish_rows(store, rows_of(run_id))
    plan = "EXPLAIN ANALYZE SELECT * FROM messages WHERE run_id = 'two' AND round = 2"
    with Warehouse(store) as warehouse:
        ((_, text),) = ask(warehouse, plan)
    opened = re.search(r"Total Files Read: (\d+)", str(text))
    # DuckDB reads the first file of all for the columns' names and types.
    assert opened is not None and int(opened[1]) <= 3


LEAKING = """
import sys
from pacore.errors import PacoreError
from pacore.report.run import ResultRow, run_results
from pacore.store.backends.opening import open_store
from pacore.warehouse.files import candidates
from pacore.warehouse.tables import STAGED
from pacore.warehouse.views import ReportWarehouse, Warehouse

kept = []
source, copied = open_store(sys.argv[1]), open_store("memory://bucket/leaking")
for prefix in ("data", "commits", "snapshots", "runs", "problems"):
    for key in source.list(prefix):
        held = source.get(key)
        is_broken = prefix == "data" and "/messages/" in key
        copied.put(key, bytes(len(held)) if is_broken else held)

def fail(store, text):
    with Warehouse(store, ["demo"]) as warehouse:
        for _ in warehouse.query(text).rows:
            raise PacoreError("the consumer failed")

for store in (source, copied):
    for text in ("SELECT nowhere FROM runs", "SELECT 1", "SELECT error('x') FROM trajectories",
                 "SELECT * FROM messages", "COPY runs TO 'x'"):
        try:
            fail(store, text)
        except PacoreError as fault:
            kept.append(fault)  # as a flow's state keeps it
try:
    list(candidates(sys.argv[1] + "/_store.json"))
except PacoreError as fault:
    kept.append(fault)
assert len(kept) == 11, kept
"""


@pytest.mark.slow
class OverFiles(ReportWarehouse):
    """A report on tables none of which is small."""

    SMALL_BYTES = -1


def test_a_report_reads_the_files_of_a_small_table_once_and_those_of_others_whenever_it_asks(
    own_store: Backend,
) -> None:
    kept = {key: own_store.get(key) for key in own_store.list("data/trajectories")}
    text = "SELECT * FROM all_trajectories ORDER BY ALL"
    rows = {}
    for kind in (ReportWarehouse, OverFiles):
        for key, data in kept.items():
            own_store.put(key, data)
        with kind(own_store, ["demo"]) as warehouse:
            rows[kind] = list(warehouse.query(text).rows)
            for key in kept:
                own_store.delete(key)
            if kind is ReportWarehouse:
                assert list(warehouse.query(text).rows) == rows[kind]
            else:
                with pytest.raises(PacoreError, match="parquet"):
                    list(warehouse.query(text).rows)
    assert rows[ReportWarehouse] == rows[OverFiles]


def test_an_error_that_somebody_keeps_leaves_nothing_of_duckdb_to_be_printed(
    store: Backend,
) -> None:
    command = [sys.executable, "-c", LEAKING, store.url]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_texts_of_another_run_are_there_for_the_rows_that_point_at_them(own_store: Backend) -> None:
    begin_run(own_store, [problem(number) for number in range(1, 5)], "again")
    rows = rows_of("again")
    for row in select(rows, "trajectories"):
        row["text_run_id"], row["reused"] = "demo", True
    publish_rows(own_store, {u: rows for u, rows in rows.items() if u.table != "trajectory_texts"})
    with Warehouse(own_store, ["again"]) as warehouse:
        assert not warehouse.run_checks()["texts_exist"]
        held = (
            "SELECT DISTINCT t.run_id, x.run_id FROM trajectories AS t JOIN trajectory_texts AS x"
        )
        found = ask(warehouse, f"{held} ON x.run_id = t.text_run_id")
        assert found == [("again", "demo")]


@pytest.mark.parametrize(
    "table", [name for name in STAGED if name not in ("prices", "training_decisions")]
)
def test_the_first_rows_of_a_run_in_an_order_are_there_of_every_table(
    store: Backend, table: str
) -> None:
    asked = f"SELECT * FROM {table} WHERE run_id = 'demo' ORDER BY 2"
    with Warehouse(store) as warehouse:
        every = list(warehouse.query(asked).rows)
        first = list(warehouse.query(f"{asked} LIMIT 2").rows)
    assert len(first) == min(2, len(every))
    assert all(row in every for row in first)
    assert [row[1] for row in first] == [row[1] for row in every[:2]]


def test_times_are_utc_wherever_the_query_is_asked(
    store: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with Warehouse(store) as warehouse:
        ((when, zone),) = ask(
            warehouse,
            "SELECT DISTINCT generated_at::VARCHAR, current_setting('TimeZone') FROM trajectories",
        )
    assert (when, zone) == ("2026-05-04 03:02:01", "UTC")


def test_a_damaged_file_is_a_fault_of_the_store(own_store: Backend) -> None:
    Path(path_of(own_store, "trajectories", 2)).write_bytes(b"not Parquet at all")
    with pytest.raises(StoreError), Warehouse(own_store, ["demo"]) as warehouse:
        warehouse.read(Totals, run_id="demo")
    with pytest.raises(StoreError):
        list(candidates(path_of(own_store, "trajectories", 2)))


def test_candidates_are_the_last_attempts_in_order_with_the_runs_own_tombstones(
    tmp_path: Path,
) -> None:
    rows = rows_of()
    unit = Unit("demo", "trajectories", 1, "s00000")
    borrowed = as_row(
        "trajectories", trajectory(("sum-2", 1, 1, 1), generation("timeout", None, None), "demo")
    )
    borrowed["reused"] = True
    third = as_row(
        "trajectories", trajectory(("sum-2", 1, 1, 2), generation("timeout", None, None), "demo")
    )
    rows[unit] = [third, *reversed(rows[unit]), borrowed]
    store = small_store(tmp_path / "store", rows)
    found = list(candidates(path_of(store, "trajectories", 1)))
    assert [(row.problem_id, row.slot, row.attempt, row.tombstones) for row in found] == [
        ("sum-1", 0, 0, 0),
        ("sum-1", 1, 0, 0),
        ("sum-1", 2, 0, 0),
        ("sum-2", 0, 0, 0),
        ("sum-2", 1, 2, 1),
        ("sum-2", 2, 1, 1),
    ]
    assert found[0].conclusion == "The sum is \\boxed{2}."
    assert found[0].content_characters == len("The sum is \\boxed{2}.")
    assert found[4].finish_reason == "timeout" and found[4].conclusion is None
    assert found[4].conclusion_status == "none" and "503" in str(found[4].error)
    assert found[5].trajectory_id == identity("sum-2", 1, 2, 1)[0]


def test_message_sets_come_whole_and_by_position(store: Backend) -> None:
    found = list(message_sets(path_of(store, "messages", 1)))
    assert [place for place, _, _ in found] == [("sum-1", 0), ("sum-2", 0)]
    _, texts, ids = found[1]
    assert texts == ["The sum is \\boxed{4}.", "The sum is \\boxed{5}."]
    assert ids == [identity("sum-2", 1, 0)[0], identity("sum-2", 1, 2, 1)[0]]


def test_text_ids_are_those_of_all_files_given(store: Backend) -> None:
    units = [Unit("demo", "trajectory_texts", round_, "s00000") for round_ in (1, 2)]
    found = text_ids(store, [commit.path for commit in read_commits(store, units)])
    assert identity("sum-1", 1, 0)[0] in found and identity("sum-1", 2, 0)[0] in found
    assert len(found) == 8
    assert text_ids(store, []) == set()


def test_answers_are_read_back_as_they_were_written(store: Backend) -> None:
    one, two = answers_of(path_of(store, "answers", 2))
    assert (one.problem_id, one.answer, one.method, one.status) == (
        "sum-1",
        "2",
        "boxed",
        "answered",
    )
    assert (two.problem_id, two.reason, two.failed_round) == ("sum-2", None, None)


@pytest.mark.slow
def test_round_queries_serve_hundreds_of_threads_at_once(store: Backend) -> None:
    path = path_of(store, "trajectories", 1)
    expected = list(candidates(path))
    found: list[bool] = []

    def read() -> None:
        rows = candidates(path)
        first = next(rows)
        others = list(candidates(path))
        found.append([first, *rows] == others == expected)

    threads = [threading.Thread(target=read) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 200


def test_results_are_rows_for_a_table_and_failed_problems_are_named(warehouse: Warehouse) -> None:
    first, second = warehouse.read(ResultRow, run_id="demo", rows=2, answers=4)
    assert first == ResultRow(
        "sum-1", answer="2", gold="2", correct=1, scored=1, accuracy=1.0, trajectories=4, tokens=73
    )
    assert second.problem == "sum-2"
    assert run_results(warehouse, "demo").failed == ["sum-3"]
