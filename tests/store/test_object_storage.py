"""Runs and queries on object storage: as on a folder, and no query sees more than the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pacore.errors import BadInput, PacoreError, Refused, StoreError
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import read_commit
from pacore.store.layout import Unit
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.pipeline import run_stages, scripted_config, tables, write_problems
from tests.fixtures.s3_server import S3Server
from tests.fixtures.small_store import begin_run, problem, small_store
from tests.fixtures.stores import fresh_url

pytestmark = pytest.mark.slow

KINDS = ("s3", "memory")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request, request.param, tmp_path)


@pytest.fixture
def store(url: str) -> Backend:
    return small_store(url)


@pytest.fixture
def warehouse(store: Backend) -> Iterator[Warehouse]:
    with Warehouse(store) as opened:
        yield opened


def test_a_run_makes_the_same_tables_as_on_a_folder_and_a_second_start_does_nothing(
    url: str, tmp_path: Path
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    local = scripted_config(
        tmp_path / "store", problems, widths=(3, 2), run_id="demo", shard_size=2, replicates=2
    )
    remote = local.model_copy(update={"store": url})
    run_stages(remote)
    run_stages(local)
    assert tables(url, "demo") == tables(local.store, "demo")
    before = list(open_store(url).entries("data"))
    run_stages(remote)
    assert list(open_store(url).entries("data")) == before
    with Warehouse(open_store(url)) as warehouse:
        assert not any(warehouse.run_checks().values())


def test_texts_of_a_run_before_are_pointed_at_on_object_storage_too(
    url: str, tmp_path: Path
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    for run_id in ("first", "second"):
        config = scripted_config(tmp_path, problems, widths=(2,), run_id=run_id)
        run_stages(config.model_copy(update={"store": url}))
    with Warehouse(open_store(url), ["second"]) as warehouse:
        held = "SELECT DISTINCT reused, text_run_id FROM trajectories"
        assert list(warehouse.query(held).rows) == [(True, "first")]
        joined = (
            "SELECT count(*) FROM trajectories AS t JOIN trajectory_texts AS x "
            "ON x.run_id = t.text_run_id AND x.trajectory_id = t.trajectory_id"
        )
        assert list(warehouse.query(joined).rows) == [(6,)]


def test_the_tables_are_queried_as_on_a_folder(warehouse: Warehouse, tmp_path: Path) -> None:
    with Warehouse(small_store(tmp_path / "store")) as local:
        for question in (
            "SELECT * FROM trajectories ORDER BY trajectory_id, round",
            "SELECT * FROM mart_rounds ORDER BY ALL",
            "SELECT * FROM mart_ttc ORDER BY ALL",
            "SELECT * FROM trajectory_texts ORDER BY trajectory_id, round",
            "SELECT problem_id, statement FROM problems ORDER BY ALL",
        ):
            assert list(warehouse.query(question).rows) == list(local.query(question).rows)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('{url}/runs/demo/run.json')",
        "SELECT * FROM read_text('pacore://runs/demo/run.json')",
        "SELECT * FROM read_blob('pacore://{root}/runs/demo/run.json')",
        "FROM read_parquet('{url}/{file}')",
        "FROM read_text('{scheme}://other-bucket/x')",
        "FROM read_text('http://127.0.0.1:9/x')",
        "FROM read_text('/etc/passwd')",
        "FROM glob('pacore://**')",
        "FROM glob('{url}/*')",
        "FROM read_text('pacore://*')",
        "FROM read_text('pacore://{file}/../../../../../../runs/demo/run.json')",
        "COPY (SELECT 1) TO '{url}/new.parquet'",
        "COPY (SELECT 1) TO 'pacore://{file}'",
        "WITH x AS (COPY (SELECT 1) TO 'pacore://new.parquet') SELECT 1",
        "WITH x AS (COPY (SELECT 1) TO 'pacore://{file}' (USE_TMP_FILE false)) SELECT 1",
        "WITH x AS (COPY (SELECT 1) TO '{url}/{file}' (USE_TMP_FILE false)) SELECT 1",
        "EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO 'pacore://{file}' (USE_TMP_FILE false)) SELECT 1",
        "ATTACH 'pacore://{file}'",
        "ATTACH '{url}/x.duckdb'",
        "FROM enable_logging(storage_path := 'pacore://log')",
        "FROM enable_profiling(save_location := '{url}/profile')",
    ],
)
def test_no_query_reads_or_writes_anything_but_the_tables(
    store: Backend, warehouse: Warehouse, text: str
) -> None:
    file = read_commit(store, Unit("demo", "messages", 1, "s00000")).path
    scheme, _, root = store.url.partition("://")
    before = {key: store.get(key) for prefix in ("data", "runs") for key in store.list(prefix)}
    asked = text.format(url=store.url, file=file, scheme=scheme, root=root)
    with pytest.raises(PacoreError) as refused:
        list(warehouse.query(asked).rows)
    assert isinstance(refused.value, BadInput | Refused) and "\n" not in str(refused.value)
    after = {key: store.get(key) for prefix in ("data", "runs") for key in store.list(prefix)}
    assert after == before
    assert not any(store.exists(key) for key in ("new.parquet", "log", "profile", "x.duckdb"))


def test_what_duckdb_reads_through_can_do_nothing_but_read_what_it_was_told_of(
    store: Backend,
) -> None:
    reader = store.reader()
    known = reader.admit(read_commit(store, Unit("demo", "messages", 1, "s00000")).path)
    files = reader.filesystem
    assert files is not None
    assert files.open(known).read(4) == b"PAR1"
    with pytest.raises(FileNotFoundError):
        files.open("pacore://runs/demo/run.json")
    for mode in ("wb", "xb", "ab", "r+b"):
        with pytest.raises(PermissionError):
            files.open(known, mode)
    with pytest.raises(PermissionError):
        files.ls("pacore://data")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: files.rm(known),
        lambda: files.mv(known, "pacore://moved"),
    )
    for attempt in attempts:
        with pytest.raises((NotImplementedError, PermissionError, FileNotFoundError)):
            attempt()
    assert files.open(known).read(4) == b"PAR1"


def test_a_file_that_vanished_is_a_fault_of_the_store_in_one_line(store: Backend) -> None:
    path = read_commit(store, Unit("demo", "messages", 1, "s00001")).path
    with Warehouse(store, ["demo"]) as warehouse:
        store.delete(path)
        with pytest.raises(StoreError, match=f"{path}: is missing"):
            list(warehouse.query("SELECT * FROM messages").rows)


def test_a_warehouse_sees_what_was_committed_since_the_last_one(store: Backend) -> None:
    with Warehouse(store) as warehouse:
        assert list(warehouse.query("SELECT run_id FROM runs").rows) == [("demo",)]
        begin_run(store, [problem(9)], "later")
        assert list(warehouse.query("SELECT run_id FROM runs").rows) == [("demo",)]
    with Warehouse(store) as warehouse:
        asked = warehouse.query("SELECT run_id FROM runs ORDER BY run_id")
        assert list(asked.rows) == [("demo",), ("later",)]


def test_the_commands_work_on_s3(
    request: pytest.FixtureRequest,
    s3_server: S3Server,
    tmp_path: Path,
    pacore: Pacore,
    command: Pacore,
) -> None:
    url = fresh_url(request, "s3", tmp_path)
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    line = ("--problems", str(problems), "--engine", "scripted", "--widths", "2", "--store", url)
    planned = command("plan", *line)
    assert planned.returncode == 0, planned.stderr
    for start in (pacore, command):
        ran = start("run", *line, "--run-id", "demo")
        assert ran.returncode == 0 and f"pacore show --store {url} demo sum-0000" in ran.stdout
    assert "nothing to do" in ran.stderr
    assert "complete" in command("status", "--store", url).stdout
    assert "sum-0001" in command("show", "--store", url, "demo", "sum-0001").stdout
    asked = command(
        "query", "--store", url, "--format", "csv", "SELECT count(*) AS n FROM trajectories"
    )
    assert asked.stdout == "n\n9\n"
    assert "0 files of 0 bytes" in command("gc", "--store", url).stdout
    everything = "".join(
        done.stdout + done.stderr
        for done in (planned, ran, asked, command("status", "--store", url))
    )
    assert s3_server.secret not in everything and s3_server.key not in everything
