"""Nulls: whatever is asked of the tables' files is what the same rows in memory answer."""

from __future__ import annotations

import hashlib
import math
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pacore.core.config.run import RunConfig
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_units
from pacore.store.parquet import TableWriter, to_arrow
from pacore.store.schema import TABLES, TEXT_GROUP_ROWS, TableSchema
from pacore.warehouse.relations import RELATIONS, SQL_FOLDER, check_names, sql
from pacore.warehouse.views import ReportWarehouse, Warehouse
from tests.fixtures.corruption import Row, repack, rows_of
from tests.fixtures.graded import MATH, grade_rows, verdict_rows
from tests.fixtures.in_memory import InMemory, over_memory
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.report_parameters import named_in, report_parameters
from tests.fixtures.stores import fresh_url

RUN = "night"


def old_file(path: Path, table: TableSchema[Any], rows: list[tuple[Any, ...]]) -> None:
    """A table's file as it was written before it had a page index."""
    labels = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    pq.write_table(
        to_arrow(table, rows),
        path,
        compression="zstd",
        compression_level=3,
        use_dictionary=labels,
        write_statistics=[name for name in table.schema.names if name not in table.text],
        write_batch_size=16 if table.group_rows == TEXT_GROUP_ROWS else 1024,
        bloom_filter_options={name: {"ndv": 4096} for name in table.bloom} or None,
        row_group_size=table.group_rows,
    )


def new_file(path: Path, table: TableSchema[Any], rows: list[tuple[Any, ...]]) -> None:
    with TableWriter(path, table) as writer:
        for row in rows:
            writer.add(row)


def count(path: Path, condition: str) -> int:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT count(*) FROM '{path}' WHERE {condition}").fetchone()
    assert found is not None
    return int(found[0])


ANSWERS = TABLES["answers"]


WITH_NULLS = [
    (f"sum-{number}", 0, "7" if number % 2 else None, "boxed", None, None, "answered", None, None)
    for number in range(20)
]


CONDITIONS = (
    "answer IS NULL",
    "answer IS DISTINCT FROM '7'",
    "coalesce(answer, 'z') = 'z'",
    "(answer IN ('a', NULL)) IS NULL",
)


def test_duckdb_misreads_nulls_in_files_without_a_page_index(tmp_path: Path) -> None:
    """Once this fails DuckDB reads them rightly, and the macro `unfiltered` is of no use any more."""
    old_file(tmp_path / "old.parquet", ANSWERS, WITH_NULLS)
    wrong = [count(tmp_path / "old.parquet", condition) for condition in CONDITIONS]
    assert wrong == [20, 20, 20, 20]


def test_files_as_they_are_written_now_are_read_rightly(tmp_path: Path) -> None:
    new_file(tmp_path / "new.parquet", ANSWERS, WITH_NULLS)
    right = [count(tmp_path / "new.parquet", condition) for condition in CONDITIONS]
    assert right == [10, 10, 10, 20]
    with pq.ParquetFile(tmp_path / "new.parquet") as file:
        column = file.metadata.row_group(0).column(2)
    assert column.has_column_index and column.has_offset_index


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_text_that_may_be_null_and_had_statistics_is_read_unfiltered(name: str) -> None:
    table = TABLES[name]
    view = sql(f"staging/stg_{name}")
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
    for field in table.schema:
        is_text = any(is_kind(field.type) for is_kind in text)
        if is_text and field.nullable and field.name not in table.text:
            pattern = rf"unfiltered\((?:\w+\.)?{field.name}\) AS {field.name}\b"
            assert re.search(pattern, view), f"{name}.{field.name}"


def blocks(chosen: random.Random, values: list[Any]) -> list[Any]:
    """The values of a column, overwritten in runs: one value and nulls, nulls alone, or as they are."""
    found = list(values)
    known = [value for value in values if value is not None] or [None]
    start = 0
    while start < len(found):
        stop = start + chosen.choice((1, 9, 60, 1000))
        kind = chosen.choice(("one", "one", "null", "same", "mixed"))
        one, share = chosen.choice(known), chosen.choice((0.1, 0.5, 0.9))
        for place in range(start, min(stop, len(found))):
            if kind == "null" or (kind in ("one", "mixed") and chosen.random() < share):
                found[place] = None
            elif kind == "one":
                found[place] = one
        start = stop
    return found


def nulled(
    chosen: random.Random, table: TableSchema[Any], rows: list[Row]
) -> list[tuple[Any, ...]]:
    """Rows with other nulls in every column that may have them; keys stay as they are."""
    columns = {
        field.name: blocks(chosen, [row[field.name] for row in rows])
        if field.nullable
        else [row[field.name] for row in rows]
        for field in table.schema
    }
    return list(zip(*columns.values(), strict=True))


def night(folder: Path) -> RunConfig:
    problems = write_problems(folder / "problems.jsonl", 24)
    return scripted_config(
        folder / "store", problems, model="scripted?words=8&truncate=0.2&empty=0.2&fault=0.2",
        widths=(4, 2), replicates=2, shard_size=12, run_id=RUN, attempts=1,
    )  # fmt: skip


def graded_night(folder: Path) -> Backend:
    """A run with failures, and a grading of it."""
    store = open_store(str(folder / "store"))
    run_stages(night(folder))
    rows = {unit: rows_of(store, unit) for unit in current_units(store, RUN)}
    grade_rows(store, RUN, verdict_rows(rows, MATH))
    return store


def rewritten(store: Backend, seed: int, is_old: bool) -> str:
    """Write every file of the run again with other nulls, as files were once written or as now.

    Returns a digest of the rows.
    """
    chosen, digest = random.Random(seed), hashlib.sha256()
    for unit in current_units(store, RUN):
        table = TABLES[unit.table]
        rows = nulled(chosen, table, rows_of(store, unit))
        digest.update(repr((unit, rows)).encode())
        scratch = store.scratch() / "rewritten.parquet"
        (old_file if is_old else new_file)(scratch, table, rows)
        repack(store, unit, scratch.read_bytes(), len(rows))
        scratch.unlink()
    return digest.hexdigest()


def alike(value: Any) -> Any:
    """A value, its doubles to nine digits: sums of them depend on their order."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else float(f"{value:.9g}")
    if isinstance(value, list | tuple):
        return [alike(one) for one in value]
    return value


def bag(rows: list[tuple[Any, ...]]) -> list[str]:
    return sorted(repr(alike(row)) for row in rows)


PARAMETERS = report_parameters(
    RUN, MATH.grading_id, ["sum-0003", "sum-0004"], rows=100_000, characters=2000
)


def named_queries() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every check and report by its file's name, with its parameters."""
    files = sorted((SQL_FOLDER / "reports").rglob("*.sql"))
    reports = [path.relative_to(SQL_FOLDER).with_suffix("").as_posix() for path in files]
    for name in [*(f"checks/{name}" for name in check_names()), *reports]:
        yield name, named_in(sql(name), PARAMETERS)


TESTS = (
    "{c} IS NULL",
    "{c} IS NOT NULL",
    "{c} = {v}",
    "{c} <> {v}",
    "NOT ({c} = {v})",
    "{c} IS DISTINCT FROM {v}",
    "{c} IS NOT DISTINCT FROM {v}",
    "{c} IS NOT DISTINCT FROM NULL",
    "coalesce({c}, {v}) = {v}",
    "coalesce({c}, {v}) <> {w}",
    "({c} IN ({v}, NULL)) IS NULL",
    "({c} = {v}) IS NULL",
    "({c} = {v}) IS NOT TRUE",
    "{c} IS NULL OR {c} = {v}",
    "{c} IN ({v}, {w})",
    "{c} NOT IN ({v}, {w})",
    "{c} > {v}",
    "{c} <= {v} OR {c} IS NULL",
    "({c} < {v}) IS NULL",
    "nullif({c}, {v}) IS NULL",
    "CASE WHEN {c} IS NULL THEN true ELSE {c} = {v} END",
    "if({c} = {v}, NULL, true) IS NULL",
    "{c}::VARCHAR IS NULL",
    "coalesce(length({c}::VARCHAR), 0) = 0",
    "{c} IS NULL AND problem_id > 'sum-0007'",
    "{c} IS NULL AND {d} IS NOT NULL",
    "{c} IS NULL OR {d} IS NULL",
    "coalesce({c}::VARCHAR, {d}::VARCHAR) IS NULL",
)


SHAPES = (
    "SELECT count(*), count({c}), count(DISTINCT {c}) FROM {t} WHERE {test}",
    "SELECT problem_id, {c}, {d} FROM {t} WHERE {test}",
    "SELECT {c}, count(*), count({d}) FROM {t} WHERE {test} GROUP BY {c}",
    "SELECT count(*) FILTER ({test}), count(*) FILTER (NOT ({test})) FROM {t}",
    "SELECT min({c}), max({c}), count(*) FROM {t} WHERE {test}",
    "SELECT count(*), count(a.{c}) FROM {t} AS a JOIN answers AS b USING (run_id, problem_id, replicate)"
    " WHERE {a_test}",
    "SELECT count(*), count(b.status) FROM {t} AS a LEFT JOIN answers AS b ON a.run_id = b.run_id"
    " AND a.problem_id = b.problem_id AND a.{c}::VARCHAR IS NOT DISTINCT FROM b.answer WHERE {a_test}",
    "SELECT count(*) FROM {t} AS a ANTI JOIN answers AS b ON a.{c}::VARCHAR = b.trajectory_id"
    " WHERE {a_test}",
    "SELECT count(*) FROM {t} AS a SEMI JOIN answers AS b ON a.{c}::VARCHAR = b.answer WHERE {a_test}",
    "SELECT count(*) FROM {t} WHERE {c}::VARCHAR NOT IN (SELECT answer FROM answers) OR {test}",
    "SELECT problem_id, count(*) FROM {t} WHERE {test} GROUP BY ALL HAVING count({c}) = 0",
    "SELECT DISTINCT problem_id, first_value({c}) OVER (PARTITION BY problem_id ORDER BY {c}, {d}) IS NULL"
    " FROM {t} WHERE {test}",
)


ASKED = (
    "trajectories",
    "trajectory_texts",
    "messages",
    "answers",
    "scores",
    "verdicts",
    "problems",
)


def literal(value: Any, kind: str) -> str:
    text = "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
    return f"{text}::{kind}"


def generated(memory: InMemory, seed: int, number: int) -> Iterator[str]:
    """Queries about nulls in every table and column, of values that are there."""
    chosen = random.Random(seed)
    columns = {table: memory.rows(f"DESCRIBE {table}") for table in ASKED}
    places = [
        (table, str(column[0]), str(column[1])) for table in ASKED for column in columns[table]
    ]
    places = [place for place in places if "[" not in place[2]]
    for turn in range(number):
        table, column, kind = places[turn % len(places)]
        values = [row[0] for row in memory.rows(f"SELECT DISTINCT {column} FROM {table} LIMIT 9")]
        named = {
            "c": column,
            "d": chosen.choice([str(row[0]) for row in columns[table]]),
            "v": literal(chosen.choice(values), kind) if values else "NULL",
            "w": literal(chosen.choice(values), kind) if values else "NULL",
        }
        test = chosen.choice(TESTS)
        beside = {name: f"a.{named[name]}" for name in "cd"}
        a_test = test.replace("problem_id", "a.problem_id").format(**{**named, **beside})
        shape = chosen.choice(SHAPES)
        yield shape.format(t=table, test=test.format(**named), a_test=a_test, **named)


def as_objects(store: Backend, url: str) -> Backend:
    """The same store as objects, which DuckDB reads through pacore's own file system."""
    copied = open_store(url)
    for prefix in ("data", "commits", "snapshots", "runs", "problems"):
        for key in store.list(prefix):
            copied.put(key, store.get(key))
    return copied


class OverFiles(ReportWarehouse):
    """Takes no table for small, as a store of many runs does."""

    SMALL_BYTES = -1


OPENED: dict[int, type[Warehouse]] = {0: Warehouse, 1: ReportWarehouse, 2: OverFiles}
"""The warehouse that is queried, by the seed of the nulls."""

OBJECTS: dict[str, type[Warehouse]] = {"memory": Warehouse, "s3": OverFiles}
"""The warehouse that is queried, by the kind of store."""


class Known(NamedTuple):
    """What the rows of a run in memory answer: to each named query, and to texts of queries."""

    named: dict[str, list[str]]
    texts: dict[str, list[str]]


def known_of(store: Backend, seed: int, number: int) -> Known:
    memory, known = InMemory(store, [RUN]), Known({}, {})
    for name, parameters in named_queries():
        known.named[name] = bag(memory.rows(over_memory(sql(name)), parameters))
    relations = [f"SELECT * FROM {name}" for name in RELATIONS]
    for text in [*relations, *generated(memory, seed, number)]:
        try:
            known.texts[text] = bag(memory.rows(text))
        except duckdb.Error:
            continue  # a comparison that a type does not have
    memory.close()
    return known


def differing(known: Known, warehouse: Warehouse) -> list[str]:
    """The queries that ``warehouse`` answers otherwise."""
    wrong = []
    for name, parameters in named_queries():
        if bag(list(warehouse.stream(name, **parameters).rows)) != known.named[name]:
            wrong.append(name)
    for text, expected in known.texts.items():
        if bag(list(warehouse.query(text).rows)) != expected:
            wrong.append(text)
    return wrong


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    graded_night(folder)
    return folder / "store"


class Answers:
    """What rows in memory answer, asked once of equal rows: both kinds of files are made of the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Known] = {}

    def of(self, store: Backend, seed: int, is_old: bool) -> Known:
        """Write the store's files with the nulls of a seed; what is answered from them."""
        key = rewritten(store, seed, is_old), seed
        if key not in self._known:
            self._known[key] = known_of(store, seed, 200)
        return self._known[key]


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers()


@pytest.mark.slow
@pytest.mark.parametrize("is_old", [True, False], ids=["as written once", "as written now"])
def test_every_relation_check_report_and_query_answers_as_the_same_rows_in_memory(
    tmp_path: Path, finished: Path, answers: Answers, is_old: bool
) -> None:
    shutil.copytree(finished, tmp_path / "store")
    store = open_store(str(tmp_path / "store"))
    for seed in range(3):
        known = answers.of(store, seed, is_old)
        assert len(known.texts) > 200
        with OPENED[seed](store) as warehouse:
            assert differing(known, warehouse) == []


@pytest.mark.slow
@pytest.mark.parametrize("is_old", [True, False], ids=["as written once", "as written now"])
@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_objects_answer_as_the_same_rows_in_memory(
    tmp_path: Path,
    finished: Path,
    answers: Answers,
    request: pytest.FixtureRequest,
    kind: str,
    is_old: bool,
) -> None:
    shutil.copytree(finished, tmp_path / "store")
    store = open_store(str(tmp_path / "store"))
    known = answers.of(store, 7, is_old)
    objects = as_objects(store, fresh_url(request, kind, tmp_path))
    with OBJECTS[kind](objects) as warehouse:
        assert differing(known, warehouse) == []
