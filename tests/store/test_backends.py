"""What every store does alike: a local folder, an S3 server, and memory."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pacore.errors import BadInput, PacoreError, Refused, StoreError
from pacore.store.backends.capability import prepare, probe
from pacore.store.backends.objects import ObjectBackend
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import committed_units, publish, read_commit
from pacore.store.layout import STORE_KEY, Unit
from pacore.store.parquet import read_rows
from pacore.store.schema import Row
from tests.fixtures.s3_server import READER_KEY, READER_SECRET, S3Server, environment_of
from tests.fixtures.small_store import rows_of
from tests.fixtures.stores import fresh_url, use_server

RACERS, RACES = 8, 4


@pytest.fixture(params=["local", "s3", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request, request.param, tmp_path)


@pytest.fixture
def store(url: str) -> Backend:
    return open_store(url)


def test_what_was_put_is_given_back_listed_and_measured(store: Backend) -> None:
    store.put("a/b/one", b"1" * 1000)
    store.put("a/b/two", b"")
    store.put("ab/three", b"3")
    store.put("a/b/one", b"anew")
    assert store.get("a/b/one") == b"anew" and store.get("a/b/two") == b""
    assert list(store.get_many(["a/b/two", "ab/three", "a/b/one"])) == [b"", b"3", b"anew"]
    asked = ["a/b/one", "a/b", "nothing", "ab/three", "a/b/one"]
    assert list(store.find_many(iter(asked))) == [b"anew", None, None, b"3", b"anew"]
    assert list(store.list("a")) == ["a/b/one", "a/b/two"]
    assert [(entry.key, entry.bytes) for entry in store.entries("a/b")] == [
        ("a/b/one", 4),
        ("a/b/two", 0),
    ]
    assert store.stat("ab/three").bytes == 1
    assert abs(datetime.now(UTC) - store.stat("a/b/one").modified_at) < timedelta(minutes=5)


def test_what_is_absent_is_said_to_be(store: Backend) -> None:
    store.put("a/b", b"1")
    for key in ("nothing", "a", "a/c", "a/b/c"):
        assert not store.exists(key)
        for ask in (store.get, store.stat, store.open, lambda key: store.get_many([key] * 3)):
            with pytest.raises(KeyError, match=key):
                ask(key)
    with pytest.raises(StoreError, match="a/c: is missing"), store.local_path("a/c"):
        pass
    assert list(store.list("nothing")) == [] and list(store.entries("nothing")) == []


def test_what_is_deleted_is_gone_and_deleting_again_is_no_fault(store: Backend) -> None:
    store.put("a/b", b"1")
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b") and list(store.list("a")) == []


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\x00"])
def test_no_key_reaches_outside_the_store(store: Backend, key: str) -> None:
    for ask in (store.get, store.exists, store.delete, store.uri, lambda key: store.put(key, b"")):
        with pytest.raises(StoreError, match="is not a key"):
            ask(key)


def test_a_finished_file_is_published_whole_and_moves(store: Backend) -> None:
    source = store.scratch() / "made"
    data = os.urandom(100_000)
    source.write_bytes(data)
    store.put_file("data/x", source)
    assert store.get("data/x") == data and not source.exists()
    with store.local_path("data/x") as path:
        assert Path(path).read_bytes() == data


def test_an_opened_value_is_read_by_ranges(store: Backend) -> None:
    store.put("a", bytes(range(200)))
    with store.open("a") as file:
        assert file.seek(-10, os.SEEK_END) == 190
        assert file.read(4) == bytes([190, 191, 192, 193])
        assert file.read() == bytes(range(194, 200)) and file.read() == b""
        file.seek(5)
        assert file.read(1) == b"\x05" and file.tell() == 6


def test_put_if_absent_tells_the_first_from_the_rest(store: Backend) -> None:
    assert store.put_new("a", b"first")
    assert not store.put_new("a", b"second")
    assert store.get("a") == b"first"


def race_of_threads(store: Backend, key: str) -> list[int]:
    """Those of the racers that were told they were first."""
    start = threading.Barrier(RACERS)
    won: list[int] = []

    def put(number: int) -> None:
        start.wait()
        if store.put_new(key, str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


@pytest.mark.slow
def test_of_racing_threads_exactly_one_is_first(store: Backend) -> None:
    with ThreadPoolExecutor(RACES) as threads:
        races = list(threads.map(lambda race: race_of_threads(store, f"race/{race}"), range(RACES)))
    for race, won in enumerate(races):
        assert [str(number).encode() for number in won] == [store.get(f"race/{race}")]


def _race(url: str, number: int, results: multiprocessing.Queue[tuple[int, int]]) -> None:
    store = open_store(url)
    for race in range(RACES):
        if store.put_new(f"race/{race}", str(number).encode()):
            results.put((race, number))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "s3"])
def test_of_racing_processes_exactly_one_is_first(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    url = fresh_url(request, kind, tmp_path)
    spawn = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[int, int]] = spawn.Queue()
    racers = [spawn.Process(target=_race, args=(url, number, results)) for number in range(3)]
    for racer in racers:
        racer.start()
    won = [results.get(timeout=120) for _ in range(RACES)]
    for racer in racers:
        racer.join()
    assert results.empty() and all(racer.exitcode == 0 for racer in racers)
    store = open_store(url)
    assert {race: store.get(f"race/{race}") for race in range(RACES)} == {
        race: str(number).encode() for race, number in won
    }


UNIT = Unit("demo", "messages", 1, "s00000")


def test_an_exception_while_rows_are_made_publishes_nothing(store: Backend) -> None:
    def failing() -> Iterator[Row]:
        yield tuple(rows_of()[UNIT][0].values())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        publish(store, UNIT, failing())
    assert list(store.list("data")) == [] and list(store.list("commits")) == []
    assert list(store.scratch().iterdir()) == []


def test_the_first_commit_stands_and_its_rows_are_read_back(store: Backend) -> None:
    rows = [tuple(row.values()) for row in rows_of()[UNIT]]
    first = publish(store, UNIT, rows)
    second = publish(store, UNIT, rows[:1])
    assert second == first == read_commit(store, UNIT)
    assert committed_units(store, "demo") == {UNIT}
    with store.open(first.path) as file:
        assert len(list(read_rows(file, ["text"]))) == len(rows)
    assert len(list(store.list("data"))) == 2, "the loser's file is an orphan"


def test_a_honest_store_is_found_to_be_one_and_keeps_word_of_it(store: Backend) -> None:
    assert prepare(store).put_if_absent
    assert b'"put_if_absent":true' in store.get(STORE_KEY)
    assert list(store.list("probes")) == []


def test_a_store_of_a_later_format_is_refused(store: Backend) -> None:
    store.put(STORE_KEY, b'{"v": 99}')
    with pytest.raises(Refused, match="is of format 99"):
        prepare(store)
    store.put(STORE_KEY, b"nonsense")
    with pytest.raises(StoreError, match=r"_store\.json: cannot be used: is not JSON"):
        prepare(store)


@pytest.fixture
def ignoring(request: pytest.FixtureRequest, juicefs_server: S3Server) -> Backend:
    use_server(request, juicefs_server)
    return open_store("s3://test/ignoring")


def test_a_store_that_ignores_put_if_absent_is_found_out(ignoring: Backend) -> None:
    assert not probe(ignoring).put_if_absent


ONE_LINE: dict[str, tuple[dict[str, str | None], str, type[PacoreError], str]] = {
    "no credentials": (
        {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        "s3://test/x",
        BadInput,
        "no credentials were found",
    ),
    "a profile that is not there": (
        {"AWS_PROFILE": "nobody"},
        "s3://test/x",
        BadInput,
        "no such profile",
    ),
    "an unknown key": (
        {"AWS_ACCESS_KEY_ID": "canary-key"},
        "s3://test/x",
        BadInput,
        "access key is not known",
    ),
    "a wrong secret": (
        {"AWS_SECRET_ACCESS_KEY": "canary-wrong"},
        "s3://test/x",
        BadInput,
        "secret key is wrong",
    ),
    "no such bucket": ({}, "s3://nosuchbucket/x", BadInput, "no such bucket"),
    "an endpoint nobody listens at": (
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        "s3://test/x",
        StoreError,
        "endpoint does not answer",
    ),
}


@pytest.mark.parametrize("case", ONE_LINE)
def test_a_store_that_cannot_be_used_is_one_clear_line_without_a_secret(
    case: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, url, kind, words = ONE_LINE[case]
    settings: dict[str, str | None] = {**s3_server.environment, **changes}
    for name, value in settings.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    store = open_store(url)
    assert isinstance(store, ObjectBackend)
    store.patience_seconds = 0.3
    with pytest.raises(kind, match=words) as told:
        list(store.list("a"))
    assert "\n" not in str(told.value) and "canary" not in str(told.value)
    assert url in str(told.value)


def test_a_reader_may_read_and_is_told_that_it_may_not_write(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    open_store("s3://test/shared").put("a", b"1")
    for name, value in environment_of(s3_server.endpoint, READER_KEY, READER_SECRET).items():
        monkeypatch.setenv(name, value)
    reader = open_store("s3://test/shared")
    assert reader.get("a") == b"1"
    for write in (reader.put, reader.put_new):
        with pytest.raises(StoreError, match="s3://test/shared: access is denied"):
            write("b", b"2")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", "is not s3://bucket/prefix"),
        ("s3://bucket/a*b", "is not s3://bucket/prefix"),
        ("s3://bucket/../b", "is not s3://bucket/prefix"),
        ("s3://key:canary@bucket/x", "credentials belong in the environment"),
        ("nosuch://bucket/x", "is no kind of store"),
        ("gs://bucket/x", "needs a package"),
    ],
)
def test_a_place_that_cannot_be_a_store_is_refused_before_it_is_asked(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as told:
        open_store(url)
    assert "canary" not in str(told.value)
