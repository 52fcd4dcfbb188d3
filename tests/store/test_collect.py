"""``pacore gc``: what nothing refers to goes, and nothing else ever."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pacore.errors import Refused, StoreError
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import publish, read_commit, write_snapshot
from pacore.store.gradings import Grading
from pacore.store.integrity import collect, uncollected
from pacore.store.layout import Unit, commit_key
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.graded import MATH, grade_rows, verdict_rows
from tests.fixtures.small_store import publish_rows, rows_of, small_store
from tests.fixtures.stores import fresh_url

DAY_SECONDS = 86_400.0


UNIT = Unit("demo", "messages", 1, "s00000")


def aged(store: Backend, key: str, days: float) -> None:
    """Let a local file have been written days ago."""
    then = time.time() - days * DAY_SECONDS
    os.utime(store.uri(key), (then, then))


@pytest.fixture
def store(tmp_path: Path) -> Backend:
    """A run with a replaced revision, an orphan of a lost race, and a temporary; all two days old."""
    store = small_store(tmp_path / "store", is_closed=False)
    rows = [tuple(row.values()) for row in rows_of()[UNIT]]
    write_snapshot(store, "demo")
    publish(store, UNIT._replace(revision=1), rows[:1])
    publish(store, UNIT, rows[:1])
    store.put(".tmp/left-by-a-kill", b"x" * 7)
    for prefix in ("data", ".tmp", "commits", "journal", "problems", "runs"):
        for key in store.list(prefix):
            aged(store, key, 2.0)
    return store


def test_what_lost_races_and_kills_left_is_found_and_nothing_else(store: Backend) -> None:
    found = uncollected(store)
    kept = {read_commit(store, UNIT).path, read_commit(store, UNIT._replace(revision=1)).path}
    assert [entry.key.rpartition("/")[0] for entry in found] == [
        ".tmp",
        "data/messages/schema=1/run_id=demo/round=1",
    ]
    assert not {entry.key for entry in found} & kept
    before = set(store.list("data"))
    assert list(collect(store, found)) == found
    assert before - set(store.list("data")) == {found[1].key}
    with Warehouse(store) as warehouse:
        assert list(warehouse.query("SELECT count(*) FROM all_trajectories").rows) == [(16,)]
    assert uncollected(store) == []


def test_a_file_of_a_snapshot_stays_though_its_commit_is_gone(store: Backend) -> None:
    path = read_commit(store, UNIT).path
    store.delete(commit_key(UNIT))
    assert path not in {entry.key for entry in uncollected(store)}


def test_nothing_younger_than_a_day_is_collected(store: Backend) -> None:
    ((_, orphan)) = uncollected(store)
    aged(store, orphan.key, 0.9)
    assert orphan.key not in {entry.key for entry in uncollected(store)}
    assert uncollected(store, timedelta(days=2.1)) == []
    with pytest.raises(Refused, match="younger than a day"):
        uncollected(store, timedelta(hours=23))


def test_a_file_published_again_meanwhile_stays(store: Backend) -> None:
    found = uncollected(store)
    orphan = found[1]
    source = store.scratch() / "again"
    source.write_bytes(store.get(orphan.key))
    aged(store, ".tmp/again", 2.0)
    store.put_file(orphan.key, source)
    assert [entry.key for entry in collect(store, found)] == [found[0].key]
    assert store.exists(orphan.key)


def test_where_a_commit_cannot_be_read_nothing_is_collected(store: Backend) -> None:
    store.put(commit_key(UNIT), b"{")
    with pytest.raises(StoreError, match="nothing is collected"):
        uncollected(store)


@pytest.mark.slow
def test_the_command_lists_first_and_deletes_only_when_told(
    store: Backend, pacore: Pacore, command: Pacore
) -> None:
    listed = pacore("gc", "--store", store.url)
    assert listed.returncode == 0 and ".tmp/left-by-a-kill" in listed.stdout
    assert "2 files of" in listed.stdout and "that nothing refers to" in listed.stdout
    assert len(uncollected(store)) == 2
    refused = command("gc", "--store", store.url, "--older-than", "0.5", "--delete")
    assert refused.returncode == 2 and "younger than a day" in refused.stderr
    deleted = command("gc", "--store", store.url, "--delete")
    assert "2 files of" in deleted.stdout and "deleted" in deleted.stdout
    assert uncollected(store) == []


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_object_storage_says_how_old_its_values_are(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    store = open_store(fresh_url(request, kind, tmp_path))
    store.put("data/orphan", b"1")
    assert uncollected(store) == []
    (entry,) = store.entries("data")
    assert abs(datetime.now(UTC) - entry.modified_at) < timedelta(minutes=5)


def test_a_run_goes_on_after_a_collection(store: Backend) -> None:
    list(collect(store, uncollected(store)))
    write_snapshot(store, "demo")
    with Warehouse(store, ["demo"]) as warehouse:
        assert list(warehouse.query("SELECT count(*) FROM messages WHERE round = 1").rows) == [(4,)]


def test_no_verdict_is_collected_whether_it_stands_or_not(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    grade_rows(store, "demo", verdict_rows(rows_of(), MATH))
    other = Grading("text", "1")
    grade_rows(store, "demo", verdict_rows(rows_of(), other), other, is_finished=False)
    judged = Unit("demo", "trajectories", 1, "s00000")
    replaced = {judged._replace(revision=1): rows_of()[judged]}
    publish_rows(store, replaced)
    publish_rows(store, verdict_rows(replaced, MATH))
    for key in store.list("data"):
        aged(store, key, 2.0)
    assert uncollected(store) == []
