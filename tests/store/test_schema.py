"""A store written at version 1 of the tables, as it stood before columns were added to them, and before
verdicts took the place of scores.

The files below ``golden/schema1`` were written by the code of that time and are never made anew.
`pacore repair` is what such a store needs.
"""

from __future__ import annotations

import json
import re
import shutil
from functools import cached_property
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow.parquet as pq
import pytest

from pacore.audit.audit import Audit
from pacore.audit.files import table_rows
from pacore.core.config.run import RunConfig
from pacore.errors import StoreError
from pacore.repair.repair import repair
from pacore.runs.retry import begin_retry
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_commits, current_files
from pacore.store.layout import SCHEMA_VERSION
from pacore.store.parquet import read_rows
from pacore.store.rows import (
    StoredAnswer,
    StoredMessage,
    StoredRow,
    StoredStop,
    StoredText,
    StoredTrajectory,
    StoredVerdict,
)
from pacore.store.run import is_closed, open_run
from pacore.store.schema import FORMER_TABLES, TABLES, TRAJECTORIES, Column, TableSchema
from pacore.warehouse.files import candidates
from pacore.warehouse.relations import HISTORY
from pacore.warehouse.tables import STAGED
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT
from tests.fixtures.pipeline import (
    VERDICT_COLUMNS,
    journal_size,
    oracle_tables,
    run_stages,
    scripted_config,
    tables,
)

GOLDEN = ROOT / "tests" / "golden" / "schema1"


WRITTEN: dict[str, list[dict[str, Any]]] = json.loads((GOLDEN / "rows.json").read_text())

ROWS = {name: rows for name, rows in WRITTEN.items() if name not in FORMER_TABLES}


ADDED = {
    "trajectories": {
        "prompt_messages",
        "max_tokens",
        "retry_of",
        "cached_prompt_tokens",
        "prompt_positions",
        "finish_said",
        "unread",
        "wire",
    }
}


MADE_LATER = {("trajectories", "generated_at")}
"""Columns without nulls whose attribute is None until a stage reads the journal."""

columns = pytest.mark.parametrize(
    ("table", "column"),
    [
        pytest.param(table, column, id=f"{table.name}.{column.name}")
        for table in {**TABLES, **STAGED}.values()
        for column in table.columns
    ],
)


def hint_of(noun: Any, attribute: str) -> Any:
    """The type of an attribute: a field, or a property."""
    found = getattr(noun, attribute, None)
    if isinstance(found, property | cached_property):
        made = found.fget if isinstance(found, property) else found.func
        return get_type_hints(made)["return"]
    return get_type_hints(noun)[attribute]


def options_of(hint: Any) -> set[Any]:
    """The classes that values of a type have."""
    if get_origin(hint) in (Union, UnionType):
        return {option for member in get_args(hint) for option in options_of(member)}
    if get_origin(hint) is Literal:
        return {type(value) for value in get_args(hint)}
    return {get_origin(hint) or hint}


@columns
def test_every_column_holds_an_attribute_of_its_kind_and_null_only_where_it_may(
    table: TableSchema[Any], column: Column
) -> None:
    hint: Any = table.noun
    for attribute in column.source.split("."):
        hint = hint_of(hint, attribute)
    options = options_of(hint)
    assert options - {NoneType} == {column.kind.python}
    if (table.name, column.name) not in MADE_LATER:
        assert column.is_nullable or NoneType not in options


KINDS = (StoredTrajectory, StoredText, StoredMessage, StoredStop, StoredAnswer, StoredVerdict)
"""The records of rows by table; of the table ``problems`` no file is committed."""


def test_the_rows_of_every_table_of_a_run_have_a_record() -> None:
    assert [kind.table.name for kind in KINDS] == [name for name in TABLES if name != "problems"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_record_of_a_row_has_the_columns_of_its_table_and_no_others(
    kind: type[StoredRow],
) -> None:
    digests = {f"{name}_sha256": name for name in ("reasoning", "content")}
    found = {
        digests.get(name, name): options_of(hint)
        for name, hint in get_type_hints(kind).items()
        if name not in ("table", "file")
    }
    # DuckDB returns lists.
    kinds = {column.name: column.kind.python for column in kind.table.columns}
    expected = {name: {list if python is tuple else python} for name, python in kinds.items()}
    for column in kind.table.columns:
        expected[column.name] |= {NoneType} if column.is_nullable else set()
    assert found == expected


@pytest.fixture
def golden(tmp_path: Path) -> Backend:
    shutil.copytree(GOLDEN / "store", tmp_path / "store")
    return open_store(str(tmp_path / "store"))


def test_a_record_has_the_values_of_its_row_and_none_for_a_column_that_an_older_file_lacks(
    golden: Backend,
) -> None:
    commit = next(iter(current_commits(golden, "golden", "trajectories")))
    names = TRAJECTORIES.schema.names
    with golden.local_path(commit.path) as path:
        assert "wire" not in pq.read_schema(path).names
        rows = list(read_rows(path, names))
        records = list(table_rows(StoredTrajectory, path, commit.path))
    for row in rows:
        row["generated_at"] = row["generated_at"].replace(tzinfo=None)
    assert [{name: getattr(record, name) for name in names} for record in records] == rows
    assert {record.file for record in records} == {commit.path}


@pytest.fixture
def repaired(golden: Backend) -> Backend:
    assert all(outcome.is_repaired for outcome in repair(golden, "golden"))
    return golden


def golden_config(store: Backend, **fields: Any) -> RunConfig:
    given = {
        "model": "scripted?words=6&truncate=0.25&empty=0.1&fault=0.06",
        "widths": (3,),
        "run_id": "golden",
        "attempts": 2,
        "shard_size": 3,
        **fields,
    }
    folder = Path(store.uri("runs")).parent
    return scripted_config(folder, GOLDEN / "problems.jsonl", **given)


def as_text(row: dict[str, Any], names: list[str]) -> str:
    return json.dumps({name: row[name] for name in names}, default=str, sort_keys=True)


def test_the_files_are_of_this_version_and_lack_only_columns_that_may_be_null(
    golden: Backend,
) -> None:
    assert SCHEMA_VERSION == 1
    for table, rows in ROWS.items():
        schema = TABLES[table].schema
        added = set(schema.names) - set(rows[0])
        assert added == ADDED.get(table, set())
        assert all(schema.field(name).nullable for name in added)
        assert [name for name in rows[0] if name != "round"] == [
            name for name in schema.names if name not in added
        ]
    assert set(current_files(golden, "golden")) == set(WRITTEN)


@pytest.mark.parametrize("table", ROWS)
def test_every_value_of_a_table_is_read_back_as_it_was_written(
    repaired: Backend, table: str
) -> None:
    names = [name for name in ROWS[table][0] if name not in ("round", "generated_at")]
    with Warehouse(repaired) as warehouse:
        view = warehouse.query(f"FROM {HISTORY.get(table, table)}")
        found = [dict(zip(view.columns, row, strict=True)) for row in view.rows]
    read = []
    for key in current_files(repaired, "golden")[table]:
        with repaired.open(key) as file:
            read += list(read_rows(file, list(TABLES[table].schema.names)))
    expected = sorted(as_text(row, names) for row in ROWS[table])
    assert sorted(as_text(row, names) for row in read) == expected
    shown = [name for name in names if name in view.columns]
    assert sorted(as_text(row, shown) for row in found) == sorted(
        as_text(row, shown) for row in ROWS[table]
    )
    assert all(row[name] is None for row in found for name in ADDED.get(table, ()))


@pytest.mark.slow
def test_the_invariants_and_marts_hold_over_it(repaired: Backend) -> None:
    with Warehouse(repaired) as warehouse:
        assert not any(warehouse.run_checks().values())
        (accuracy,) = warehouse.query("SELECT answers, scored FROM mart_accuracy").rows
        quorums = list(warehouse.query("SELECT outcome, need FROM mart_quorums").rows)
    assert accuracy == (3, 3)
    assert set(quorums) == {("met", 1), ("failed", 1)}


def test_the_slots_of_its_trajectories_are_judged_as_they_were(golden: Backend) -> None:
    (path,) = [key for key in current_files(golden, "golden")["trajectories"] if "round=1" in key]
    with golden.local_path(path) as local:
        rows = list(candidates(local))
    retried = [row for row in ROWS["trajectories"] if row["round"] == 1 and row["attempt"] == 1]
    assert [row.slot for row in rows if row.tombstones] == [row["slot"] for row in retried]
    assert {row.refills for row in rows} == {0}


def test_a_run_of_that_time_is_complete_and_has_the_identity_it_had(golden: Backend) -> None:
    paid = journal_size(str(Path(golden.uri("runs")).parent))
    config = golden_config(golden)
    run_stages(config)
    assert is_closed(golden, "golden")
    assert journal_size(config.store) == paid


@pytest.mark.parametrize("after", ["trajectories", "messages"])
def test_a_run_of_that_time_that_stopped_goes_on(golden: Backend, after: str) -> None:
    config = golden_config(golden)
    expected = tables(config.store, "golden")
    root = Path(config.store)
    for gone in ("snapshots", "commits/run_id=golden/answers", "commits/run_id=golden/scores"):
        shutil.rmtree(root / gone)
    (root / "runs/golden/final.json").unlink()
    if after == "trajectories":
        shutil.rmtree(root / "commits/run_id=golden/messages")
        for round_ in root.glob("commits/run_id=golden/*/round=2"):
            shutil.rmtree(round_)
    run_stages(config)
    assert is_closed(golden, "golden")
    found = tables(config.store, "golden")
    assert [row[1:] for row in found.pop("verdicts")] == [verdict_of(row) for row in SCORES]
    del expected["verdicts"]
    assert {name: found[name] for name in expected} == expected


SCORES = sorted(WRITTEN["scores"], key=lambda row: str(row["problem_id"]))


def verdict_of(score: dict[str, Any]) -> tuple[Any, ...]:
    """The verdict that takes the place of a row of scores; ``ok`` stood for two."""
    verdict = score["status"]
    if verdict == "ok":
        verdict = "correct" if score["score"] == 1 else "wrong"
    named = {**score, "slot": 0, "grading": "run", "verdict": verdict, "gold_answer": score["gold"]}
    return tuple(named[name] for name in VERDICT_COLUMNS)


def test_nobody_sees_it_without_its_scores(golden: Backend) -> None:
    needed = (
        "s00000.r1.grun.json: is missing: an earlier version wrote scores instead; "
        "pacore repair golden"
    )
    said: list[str] = []
    with Warehouse(golden, say=said.append) as warehouse:
        assert list(warehouse.query("SELECT * FROM runs").rows) == []
    (line,) = said
    assert needed in line
    with pytest.raises(StoreError, match=re.escape(needed)), Warehouse(golden, ["golden"]):
        pass


def test_a_run_of_that_time_that_is_open_is_repaired_as_far_as_it_came(golden: Backend) -> None:
    root = Path(golden.uri("runs")).parent
    shutil.rmtree(root / "snapshots")
    (root / "runs/golden/final.json").unlink()
    outcomes = list(repair(golden, "golden"))
    assert len(outcomes) == 2 and all(outcome.is_repaired for outcome in outcomes)
    assert is_closed(golden, "golden")
    with Warehouse(golden, ["golden"]) as warehouse:
        assert list(warehouse.query("SELECT count(*) FROM scores").rows) == [(3,)]


def contents(store: Backend) -> dict[str, bytes]:
    """Every object of a run's store, but for its lease and its scratch files."""
    root = Path(store.uri("runs")).parent
    kept = (root / name for name in ("commits", "data", "journal", "problems", "runs", "snapshots"))
    found = (path for folder in kept for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_its_repair_grades_its_answers_and_generates_nothing(golden: Backend) -> None:
    before = contents(golden)
    outcomes = [outcome.key for outcome in repair(golden, "golden")]
    graded = "commits/run_id=golden/verdicts/round=2/s00000"
    assert outcomes == [f"{graded}.grun.json", f"{graded}.r1.grun.json"]
    after = contents(golden)
    assert {key: after[key] for key in before} == before
    added = {key.split("/")[0] for key in after.keys() - before.keys()}
    assert added == {"commits", "data", "snapshots"}
    assert list(repair(golden, "golden")) == []
    assert [str(finding) for finding in Audit(golden, "golden").findings()] == []
    names = ("problem_id", "replicate", "trajectory_id", "grader", "score", "gold", "answer")
    asked = f"SELECT {', '.join(names)}, verdict FROM scores ORDER BY problem_id"
    with Warehouse(golden) as warehouse:
        shown = list(warehouse.query(asked).rows)
    verdict = VERDICT_COLUMNS.index("verdict")
    assert shown == [(*(row[name] for name in names), verdict_of(row)[verdict]) for row in SCORES]
    assert {row["status"] for row in SCORES} >= {"ok", "no_answer"}


@pytest.mark.slow
def test_a_run_of_that_time_is_retried_and_its_files_stand_beside_newer_ones(
    repaired: Backend,
) -> None:
    golden = repaired
    record = begin_retry(golden, open_run(golden, "golden"), "finish_reason = 'length'", 99)
    assert record is not None
    config = golden_config(golden)
    run_stages(config)
    other = golden_config(golden, run_id="later", seed_root="other")
    run_stages(other)
    with Warehouse(golden) as warehouse:
        assert not any(warehouse.run_checks().values())
        counted = warehouse.query(
            "SELECT run_id, count(retry_of) > 0 FROM trajectories GROUP BY run_id ORDER BY run_id"
        )
        assert list(counted.rows) == [("golden", True), ("later", False)]
    expected = oracle_tables(config, 2, [record.retry])
    found = tables(config.store, "golden")
    assert {name: found[name] for name in expected} == expected
