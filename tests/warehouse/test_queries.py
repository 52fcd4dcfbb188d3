"""People's own queries: what reads is run, and nothing else can read, write or change anything."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from pacore.errors import BadInput, PacoreError, Refused
from pacore.store.backends.protocol import Backend
from pacore.store.commits import read_commit
from pacore.store.layout import Unit
from pacore.warehouse.views import Warehouse
from tests.fixtures.small_store import small_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return small_store(tmp_path_factory.mktemp("queries") / "store")


@pytest.fixture(scope="module")
def warehouse(store: Backend) -> Iterator[Warehouse]:
    with Warehouse(store) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT 1 ; -- the end",
        "WITH t AS (SELECT 1) SELECT * FROM t",
        "FROM runs",
        "VALUES (1)",
        "TABLE runs",
        "(SELECT 1)",
        "DESCRIBE runs",
        "SHOW TABLES",
        "SUMMARIZE scores",
        "PIVOT scores ON verdict USING count(*)",
        "/* why */ explain SELECT 1",
        "EXPLAIN ANALYZE SELECT * FROM runs",
        "EXPLAIN (FORMAT json) SELECT 1",
        "SELECT ';--' AS \"a;b\", '🙂;' -- ;",
    ],
)
def test_a_statement_that_reads_is_run(warehouse: Warehouse, text: str) -> None:
    result = warehouse.query(text)
    assert result.columns
    assert list(result.rows)


@pytest.mark.parametrize(
    "text",
    [
        "COPY (SELECT 1) TO '{file}'",
        "ATTACH '{file}'",
        "SET threads = 1",
        "PRAGMA version",
        "CALL pragma_version()",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CREATE TABLE t AS SELECT 1",
        "CREATE OR REPLACE VIEW runs AS SELECT 1",
        "DROP VIEW runs",
        "INSERT INTO runs VALUES (1)",
        "EXPORT DATABASE '{file}'",
        "USE memory",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
        "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{file}'",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY (SELECT 1) TO '{file}'",
        "",
        "-- nothing",
    ],
)
def test_any_other_statement_is_refused_in_one_line(
    warehouse: Warehouse, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "written"
    with pytest.raises(Refused) as refused:
        warehouse.query(text.format(file=file))
    assert "\n" not in str(refused.value)
    assert not file.exists()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "FROM '/etc/passwd'",
        "SELECT * FROM read_text('{file}/../../../../../../../../../etc/passwd')",
        "FROM glob('/etc/*')",
        "FROM read_text('{store}/runs/demo/run.json')",
        "WITH x AS (COPY (SELECT 1) TO '{store}/new.parquet') SELECT 1",
        "WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT 1",
        "EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT 1",
        "FROM query('WITH x AS (COPY (SELECT 1) TO ''{file}'' (USE_TMP_FILE false)) SELECT 1')",
        "SELECT 1) UNION ALL (SELECT 2",
        "SELECT 1)); SET threads = 1; SELECT ((1",
        "FROM enable_logging(storage_path := '{store}/log')",
        "FROM enable_profiling(save_location := '{file}')",
        "SELECT $1",
        "SELECT nowhere FROM runs",
        "SELCT 1",
        "SELECT '\udc80'",
        "SELECT '\x00'",
    ],
)
def test_no_query_reads_or_writes_a_file_of_its_own_choice(
    store: Backend, warehouse: Warehouse, text: str
) -> None:
    commit = read_commit(store, Unit("demo", "messages", 1, "s00000"))
    file = Path(store.uri(commit.path))
    before = hashlib.sha256(file.read_bytes()).digest()
    root = Path(store.uri("runs")).parent
    files = sorted(root.rglob("*"))
    with pytest.raises(PacoreError) as refused:
        list(warehouse.query(text.format(file=file, store=root)).rows)
    assert isinstance(refused.value, BadInput | Refused)
    assert "\n" not in str(refused.value)
    assert hashlib.sha256(file.read_bytes()).digest() == before
    assert sorted(root.rglob("*")) == files


def test_rows_come_as_they_are_read_in_the_querys_order_and_two_results_may_be_open(
    warehouse: Warehouse,
) -> None:
    numbers = "SELECT i FROM range(3_000_000) AS t (i)"
    falling = warehouse.query(f"{numbers} ORDER BY i DESC")
    endless = warehouse.query("SELECT i FROM range(1_000_000_000_000) AS t (i)")
    assert [row[0] for row in islice(falling.rows, 3)] == [2_999_999, 2_999_998, 2_999_997]
    assert [row[0] for row in islice(endless.rows, 3)] == [0, 1, 2]
    assert sum(1 for _ in falling.rows) == 2_999_997


def test_a_fault_in_a_late_row_is_bad_input_in_one_line(warehouse: Warehouse) -> None:
    text = "SELECT CASE WHEN i > 9000 THEN error('too\nmuch') ELSE i END FROM range(10000) AS t (i)"
    with pytest.raises(BadInput, match=r"too$"):
        list(warehouse.query(text).rows)


class Rung(Exception):
    """What a signal's handler raises here."""


def test_a_signal_ends_a_query_as_an_interruption(warehouse: Warehouse) -> None:
    def ring(*_: object) -> None:
        raise Rung

    def query_again_and_again() -> None:
        for _ in range(1_000):
            warehouse.query("SELECT count(*) FROM range(10_000_000) t(i) WHERE hash(i) = 1")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises((KeyboardInterrupt, Rung)):
            query_again_and_again()
    finally:
        signal.signal(signal.SIGALRM, before)
