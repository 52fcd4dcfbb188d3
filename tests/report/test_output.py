"""Results as files: each form by the file's ending, types kept, whole or not there at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pacore.errors import BadInput
from pacore.report.rendering.output import COLUMNAR_FORMS, ENDINGS, TEXT_FORMS, form_of
from pacore.store.backends.protocol import Backend
from pacore.store.parquet import GROUP_BYTES, write_batches
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore, pacore_command
from tests.fixtures.small_store import small_store

Ask = Callable[..., subprocess.CompletedProcess[str]]

TYPED = """
    SELECT
        170141183460469231731687303715884105::HUGEINT AS huge,
        sum(i) AS total,
        1.10::DECIMAL(30, 2) AS exact,
        [1, NULL, 3] AS many,
        {'day': DATE '2026-01-02', 'turns': ['a']} AS one,
        MAP {1: 'x'} AS named,
        TIMESTAMP '2026-01-02 03:04:05.5' AS moment,
        TIMESTAMPTZ '2026-01-02 03:04:05Z' AS zoned,
        'nan'::DOUBLE > 1 AS yes,
        e'two\\nlines, "quoted"' AS words,
        'ab'::BLOB AS bytes,
        NULL::VARCHAR AS nothing
    FROM range(3) AS t (i)
"""
VALUES = {
    "huge": Decimal(170141183460469231731687303715884105), "total": Decimal(3), "exact": Decimal("1.10"),
    "many": [1, None, 3], "one": {"day": date(2026, 1, 2), "turns": ["a"]}, "named": [(1, "x")],
    "moment": datetime(2026, 1, 2, 3, 4, 5, 500_000), "zoned": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "yes": True, "words": 'two\nlines, "quoted"', "bytes": b"ab", "nothing": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return small_store(tmp_path_factory.mktemp("output") / "store")


@pytest.fixture
def ask(store: Backend, command: Pacore) -> Ask:
    """Runs a query of the command line on the small store."""

    def run(text: str, *options: str) -> subprocess.CompletedProcess[str]:
        return command("query", "--store", store.url, text, *options)

    return run


def read(path: Path, form: str) -> pa.Table:
    if form == "parquet":
        return pq.read_table(path)
    with pa.ipc.open_file(path) as file:
        return file.read_all()


@pytest.mark.slow
@pytest.mark.parametrize("form", COLUMNAR_FORMS)
def test_a_file_of_columns_keeps_their_types_and_values(
    tmp_path: Path, ask: Ask, form: str
) -> None:
    path = tmp_path / f"typed.{form}"
    done = ask(TYPED, "--output", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"{path}: 1 row\n")
    found = read(path, form)
    types = {field.name: str(field.type) for field in found.schema}
    assert found.to_pylist() == [VALUES]
    assert (types["huge"], types["exact"]) == ("decimal128(38, 0)", "decimal128(30, 2)")
    assert (types["moment"], types["zoned"]) == ("timestamp[us]", "timestamp[us, tz=UTC]")


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".json", ".jsonl", ".NDJSON"])
def test_a_file_of_text_is_what_would_be_printed(tmp_path: Path, ask: Ask, ending: str) -> None:
    path, text = tmp_path / f"answers{ending}", "SELECT problem_id, reason FROM answers"
    assert ask(text, "--output", str(path)).stderr == f"{path}: 4 rows\n"
    assert path.read_bytes().decode() == ask(text, "--format", ENDINGS[ending.lower()]).stdout
    if ENDINGS[ending.lower()] == "jsonl":
        lines = path.read_text().splitlines()
        assert {json.loads(line)["problem_id"] for line in lines} == {
            f"sum-{number}" for number in range(1, 5)
        }


def test_the_form_follows_from_the_format_or_else_the_ending() -> None:
    assert form_of(None, None) == "table"
    assert form_of(None, "a.b/X.Parquet") == "parquet"
    assert form_of("csv", "notes.txt") == "csv" and form_of("arrow", "x.parquet") == "arrow"
    for form in TEXT_FORMS:
        assert form_of(form, None) == form
    with pytest.raises(BadInput, match=r"--output x: ends in none of \.parquet, .*--format says"):
        form_of(None, "x")
    for form in COLUMNAR_FORMS:
        with pytest.raises(BadInput, match=f"--format {form}: needs --output FILE"):
            form_of(form, None)


@pytest.mark.parametrize(
    ("output", "options", "said"),
    [
        ("there.csv", (), "is there already; --overwrite replaces it"),
        ("no/such.csv", (), "there is no folder"),
        ("folder", ("--format", "csv"), "is a folder; name a file"),
        ("s3://bucket/x.csv", (), "is a URL; name a local file"),
        ("pipe", ("--format", "csv", "--overwrite"), "is no plain file"),
        ("x.txt", (), "ends in none of"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_query_runs(
    tmp_path: Path, ask: Ask, output: str, options: tuple[str, ...], said: str
) -> None:
    (tmp_path / "there.csv").write_text("kept")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    named = output if "://" in output else str(tmp_path / output)
    done = ask("not even SQL", "--output", named, *options)
    assert done.returncode == 2
    assert done.stderr.startswith(f"pacore: --output {named}: ") and said in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.csv").read_text() == "kept"


@pytest.mark.slow
def test_a_file_is_replaced_on_request_through_the_link_that_names_it(
    tmp_path: Path, ask: Ask
) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("before")
    link.symlink_to(target)
    assert ask("SELECT 1 AS a", "--output", str(link), "--overwrite").returncode == 0
    assert target.read_text() == "a\n1\n" and link.is_symlink()
    assert ask("SELECT nowhere FROM runs", "--output", str(link), "--overwrite").returncode == 2
    assert target.read_text() == "a\n1\n"


FAILING = (
    "SELECT CASE WHEN i > 90000 THEN error('too\nmuch') ELSE i END AS i FROM range(100000) t(i)"
)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "arrow", "csv"])
def test_a_query_that_fails_late_leaves_no_file(tmp_path: Path, ask: Ask, form: str) -> None:
    done = ask(FAILING, "--output", str(tmp_path / f"half.{form}"))
    assert done.returncode == 2
    assert done.stderr == "pacore: Invalid Input Error: too\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_query_that_is_ended_leaves_no_file(tmp_path: Path, store: Backend, ask: Ask) -> None:
    endless = "SELECT i FROM range(1_000_000_000_000) AS t (i)"
    output = str(tmp_path / "endless.csv")
    late = ask(endless, "--output", output, "--timeout", "4")
    assert late.returncode == 1 and "ended after 4 seconds" in late.stderr
    assert list(tmp_path.iterdir()) == []
    line = pacore_command(["query", "--store", store.url, endless, "--output", output])
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 300
        while not any(path.stat().st_size for path in tmp_path.iterdir()):
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_disk_that_takes_no_more_is_one_line(ask: Ask, tmp_path: Path) -> None:
    full = Path("/dev/full")
    schema, batch = pa.schema([("a", pa.int64())]), pa.record_batch({"a": [1]})
    for form in COLUMNAR_FORMS:
        with pytest.raises(Exception, match=r"--output: cannot be written: "):
            write_batches(full, form, schema, [batch])
    done = ask("SELECT INTERVAL 1 DAY AS span", "--output", str(tmp_path / "x.parquet"))
    assert done.returncode == 2
    assert "column 'span' is of type month_day_nano_interval, which no Parquet" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert ask("SELECT INTERVAL 1 DAY", "--output", str(tmp_path / "x.arrow")).returncode == 0


@pytest.mark.slow
def test_row_groups_are_bounded_in_rows_and_bytes(tmp_path: Path) -> None:
    texts = pa.record_batch({"a": ["x" * 1_000_000] * 8})
    numbers = pa.record_batch({"a": ["7"] * 100_000})
    for batch, count in ((texts, 12), (numbers, 5)):
        given: Any = iter([batch] * count)
        write_batches(tmp_path / "groups.parquet", "parquet", batch.schema, given)
        found = pq.read_metadata(tmp_path / "groups.parquet")
        groups = [found.row_group(index).num_rows for index in range(found.num_row_groups)]
        assert sum(groups) == count * batch.num_rows
        assert len(groups) > 1 and max(groups) <= max(200_000, GROUP_BYTES // 1_000_000 + 8)


def test_batches_come_as_they_are_read(store: Backend) -> None:
    with Warehouse(store) as warehouse:
        found = warehouse.columns("SELECT i, i::VARCHAR AS s FROM range(1_000_000_000_000) t(i)")
        assert [str(field.type) for field in found.schema] == ["int64", "string"]
        assert next(found.batches).num_rows <= 4096
        assert list(warehouse.columns("SELECT * FROM scores WHERE score > 1").batches) == []
