"""What goes wrong with a store while a run works: waited out or said in a line, and nothing lost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pacore.errors import PacoreError, StoreError
from pacore.store.backends.objects import ObjectBackend
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import publish, read_commit
from pacore.store.layout import Unit
from tests.conftest import ROOT, Pacore
from tests.fixtures.forwarder import Forwarder, Passing, Spoil, forwarding
from tests.fixtures.pipeline import (
    journal_size,
    oracle_tables,
    run_stages,
    scripted_config,
    tables,
    write_problems,
)
from tests.fixtures.s3_server import S3Server, environment_of, seaweed
from tests.fixtures.small_store import rows_of
from tests.fixtures.stores import use_server

pytestmark = pytest.mark.slow

UNIT = Unit("demo", "messages", 1, "s00000")


@pytest.fixture
def between(
    request: pytest.FixtureRequest, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Forwarder]:
    """An endpoint in front of the S3 server that can be told to fail."""
    use_server(request, s3_server)
    with forwarding(s3_server.endpoint) as forwarder:
        monkeypatch.setenv("AWS_ENDPOINT_URL", forwarder.endpoint)
        yield forwarder


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"s3://test/{tmp_path.name}"


@pytest.fixture
def store(between: Forwarder, url: str) -> Backend:
    store = open_store(url)
    store.put("there", b"yes")
    between.clear()
    return store


def once(spoil: Spoil, method: str, part: str) -> Callable[[Passing], Spoil | None]:
    """Spoil the first request of its kind."""
    left = [1]

    def decide(passing: Passing) -> Spoil | None:
        if passing.method == method and part in passing.path and left:
            left.pop()
            return spoil
        return None

    return decide


PASSING = [Spoil.SLOW_DOWN, Spoil.UNAVAILABLE, Spoil.SILENT, Spoil.LOST_ANSWER, Spoil.CONFLICT]


@pytest.mark.parametrize("spoil", PASSING)
def test_a_passing_fault_of_a_put_is_waited_out(
    between: Forwarder, store: Backend, spoil: Spoil
) -> None:
    between.spoil = once(spoil, "PUT", "/a")
    store.put("a", b"1")
    assert store.get("a") == b"1"


@pytest.mark.parametrize("spoil", PASSING)
def test_who_put_if_absent_first_is_told_so_though_an_answer_was_lost(
    between: Forwarder, store: Backend, spoil: Spoil
) -> None:
    between.spoil = once(spoil, "PUT", "/a")
    assert store.put_new("a", b"mine")
    assert not store.put_new("a", b"another's")
    assert store.get("a") == b"mine"


def test_who_was_second_is_told_so_though_an_answer_was_lost(
    between: Forwarder, store: Backend
) -> None:
    assert store.put_new("a", b"first")
    between.spoil = once(Spoil.LOST_ANSWER, "PUT", "/a")
    assert not store.put_new("a", b"second")
    assert store.get("a") == b"first"


def test_a_commit_whose_answer_was_lost_is_our_own_by_its_attempt(
    between: Forwarder, store: Backend
) -> None:
    rows = [tuple(row.values()) for row in rows_of()[UNIT]]
    between.spoil = once(Spoil.LOST_ANSWER, "PUT", "/commits/")
    mine = publish(store, UNIT, rows)
    assert mine == read_commit(store, UNIT)
    assert publish(store, UNIT, rows[:1]) == mine


@pytest.mark.parametrize("spoil", [Spoil.SLOW_DOWN, Spoil.SILENT, Spoil.HALF_ANSWER])
def test_a_read_that_was_cut_or_turned_away_gives_the_whole_value(
    between: Forwarder, store: Backend, spoil: Spoil
) -> None:
    data = bytes(range(256)) * 400
    store.put("a", data)
    reads: tuple[Callable[[], bytes], ...] = (
        lambda: store.get("a"),
        lambda: store.open("a").read(),
        lambda: _copied(store, "a"),
        lambda: b"".join(store.get_many(["a"])),
    )
    for read in reads:
        between.spoil = once(spoil, "GET", "/a")
        assert read() == data


def _copied(store: Backend, key: str) -> bytes:
    with store.local_path(key) as path:
        return Path(path).read_bytes()


LASTING = {
    Spoil.SLOW_DOWN: "endpoint answers 503 SlowDown",
    Spoil.SILENT: "endpoint (breaks the connection off|does not answer)",
    Spoil.DENIED: "access is denied",
    Spoil.NO_BUCKET: "there is no such bucket",
}


@pytest.mark.parametrize("spoil", LASTING)
def test_a_fault_that_lasts_is_one_line_that_says_what_it_is(
    between: Forwarder, store: Backend, s3_server: S3Server, spoil: Spoil
) -> None:
    assert isinstance(store, ObjectBackend)
    store.patience_seconds = 1.0
    between.spoil = lambda _: spoil
    asks: tuple[Callable[[], object], ...] = (
        lambda: store.put_new("a", b"1"),
        lambda: store.get("there"),
        lambda: list(store.list("x")),
    )
    for ask in asks:
        with pytest.raises(StoreError, match=f"^{store.url}: .*{LASTING[spoil]}") as told:
            ask()
        assert "\n" not in str(told.value) and s3_server.secret not in str(told.value)
    between.spoil = lambda _: None
    assert store.get("there") == b"yes" and not store.exists("a")


@pytest.mark.parametrize("spoil", [Spoil.DENIED, Spoil.NO_BUCKET])
@pytest.mark.parametrize("part", ["/journal/", "/data/", "/commits/"])
def test_a_run_whose_writes_fail_stops_with_the_reason_and_goes_on_without_paying_twice(
    between: Forwarder, url: str, tmp_path: Path, spoil: Spoil, part: str
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    config = scripted_config(tmp_path, problems, widths=(3,), run_id="demo", shard_size=1)
    config = config.model_copy(update={"store": url})
    seen = []

    def spoil_later(passing: Passing) -> Spoil | None:
        if passing.method != "PUT" or part not in passing.path:
            return None
        seen.append(passing)
        return spoil if len(seen) > 2 else None

    between.spoil = spoil_later
    with pytest.raises(PacoreError, match=LASTING[spoil]) as told:
        run_stages(config)
    assert "\n" not in str(told.value)
    between.spoil = lambda _: None
    store = open_store(url)
    acknowledged = {key: store.get(key) for key in store.list("journal")}
    assert acknowledged
    run_stages(config)
    assert journal_size(url) == 2 * (3 + 1)
    assert {key: store.get(key) for key in acknowledged} == acknowledged
    assert tables(url, "demo")["answers"] == oracle_tables(config)["answers"]


def test_the_command_line_ends_with_one_line_and_the_same_line_goes_on(
    between: Forwarder, s3_server: S3Server, url: str, tmp_path: Path, pacore: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    line = [
        "run", "--problems", str(problems), "--engine", "scripted", "--widths", "2",
        "--store", url, "--run-id", "demo",
    ]  # fmt: skip
    between.spoil = lambda passing: (
        Spoil.DENIED if passing.method == "PUT" and "/commits/" in passing.path else None
    )
    stopped = pacore(*line)
    assert stopped.returncode == 1
    assert f"pacore: {url}: access is denied" in stopped.stderr.splitlines()
    assert "Traceback" not in stopped.stderr and s3_server.secret not in stopped.stderr
    between.spoil = lambda _: None
    paid = journal_size(url)
    whole = pacore(*line)
    assert whole.returncode == 0, whole.stderr
    assert paid and f"{paid} reused" in whole.stderr


def test_a_server_that_is_killed_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with seaweed(tmp_path / "server") as server:
        for name, value in environment_of(server.endpoint).items():
            monkeypatch.setenv(name, value)
        store = open_store(url)
        assert store.put_new("before", b"1")
        server.kill()
        back = threading.Timer(2.0, server.start_again)
        back.start()
        began = time.monotonic()
        assert store.put_new("after", b"2")
        assert time.monotonic() - began > 1.0
        back.join()
        assert store.get("before") == b"1" and store.get("after") == b"2"


FILE_LIMIT_BYTES = 12_000


LIMITED = """
import resource, sys
from pathlib import Path
from pacore.errors import StoreError
from tests.fixtures.pipeline import run_stages, scripted_config
config = scripted_config(Path(sys.argv[1]), Path(sys.argv[2]), widths=(8,), run_id="demo",
                         model="scripted?words=2000")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    run_stages(config)
except StoreError as fault:
    print(fault)
"""


def test_a_disk_that_takes_no_more_stops_the_run_in_a_line_and_the_journal_stands(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 4)
    folder = tmp_path / "store"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder), str(problems), str(FILE_LIMIT_BYTES)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "a table cannot be written: file too large" in done.stdout, done.stdout
    assert done.stdout.count("\n") == 1
    store = open_store(str(folder))
    acknowledged = {key: store.get(key) for key in store.list("journal")}
    assert len(acknowledged) >= 8
    config = scripted_config(
        folder, problems, widths=(8,), run_id="demo", model="scripted?words=2000"
    )
    run_stages(config)
    assert {key: store.get(key) for key in acknowledged} == acknowledged
    assert journal_size(str(folder)) == 4 * 9
    assert tables(str(folder), "demo")["answers"] == oracle_tables(config)["answers"]


def test_a_value_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pacore.store.backends.opening import open_store\n"
        "from pacore.errors import StoreError\n"
        "store = open_store(sys.argv[1]); store.put('small', b'x')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "for put in (store.put, store.put_new):\n"
        "    try: put('large', b'y' * 5000)\n"
        "    except StoreError as fault: print(fault)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == f"{tmp_path}: cannot be used: file too large\n" * 2
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["small"]
