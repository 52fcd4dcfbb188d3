"""The lease of a run, on a real server that answers put-if-absent with 200 and overwrites."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pacore.errors import Refused
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.layout import lease_key
from pacore.store.lease import Lease, Terms, hold_run
from tests.conftest import Pacore
from tests.fixtures.pipeline import (
    oracle_tables,
    run_stages,
    scripted_config,
    tables,
    write_problems,
)
from tests.fixtures.s3_server import S3Server
from tests.fixtures.stores import fresh_url, use_server

pytestmark = pytest.mark.slow

QUICK = Terms(lasts_seconds=1.5, renew_seconds=0.3, settle_seconds=0.3)


PATIENT = Terms(lasts_seconds=60.0, renew_seconds=0.3, settle_seconds=0.3)
"""Of a process that sees another renew its lease, however seldom that gets the processor."""


@pytest.fixture
def url(request: pytest.FixtureRequest, juicefs_server: S3Server, tmp_path: Path) -> str:
    use_server(request, juicefs_server)
    return f"s3://test/{tmp_path.name}"


@pytest.fixture
def store(url: str) -> Backend:
    return open_store(url)


def nothing() -> None:
    pass


def test_a_second_scheduler_is_refused_with_who_holds_the_run(
    store: Backend,
) -> None:
    first = hold_run(store, "demo", nothing, QUICK)
    assert first is not None
    with pytest.raises(Refused, match=r"by process \d+ on .*, which renews its lease"):
        hold_run(store, "demo", nothing, PATIENT)
    other = hold_run(store, "another", nothing, QUICK)
    assert other is not None
    other.release()
    time.sleep(2 * QUICK.lasts_seconds)
    with pytest.raises(Refused):
        hold_run(store, "demo", nothing, PATIENT)
    first.release()
    again = hold_run(store, "demo", nothing, QUICK)
    assert again is not None
    again.release()
    assert list(store.list("leases")) == []


def test_of_schedulers_that_begin_at_once_one_goes_on(store: Backend) -> None:
    start = threading.Barrier(4)
    held: list[Lease] = []
    refused: list[Refused] = []

    def begin() -> None:
        start.wait()
        lease = Lease(store, "demo", Terms(10.0, 0.3, 1.0))
        try:
            lease.take(nothing)
        except Refused as no:
            refused.append(no)
        else:
            held.append(lease)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lease in held:
        lease.release()
    assert (len(held), len(refused)) == (1, 3)


def say(store: Backend, host: str, process: int, seconds: float) -> None:
    expires_at = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    record = {"holder": "another", "host": host, "process": process, "expires_at": expires_at}
    store.put(lease_key("demo"), json.dumps(record).encode())


@contextmanager
def renewing(store: Backend, host: str, process: int, hours: float) -> Iterator[None]:
    """A holder elsewhere that renews its lease while the context lasts, by a clock that is wrong."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(0.2):
            say(store, host, process, 3600 * hours)

    say(store, host, process, 3600 * hours)
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("hours", [-24.0, 0.02, 24.0])
def test_whoever_renews_a_lease_has_it_and_whoever_does_not_loses_it_whatever_its_clock_says(
    store: Backend, hours: float
) -> None:
    with (
        renewing(store, "elsewhere", 1, hours),
        pytest.raises(Refused, match="process 1 on elsewhere"),
    ):
        hold_run(store, "demo", nothing, PATIENT)
    began = time.monotonic()
    lease = hold_run(store, "demo", nothing, QUICK)
    assert time.monotonic() - began >= QUICK.lasts_seconds
    assert lease is not None
    lease.release()


def test_a_lease_whose_holder_was_here_and_is_dead_is_taken_at_once(store: Backend) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as dead:
        dead.wait()
    say(store, socket.gethostname(), dead.pid, 60)
    began = time.monotonic()
    lease = hold_run(store, "demo", nothing, PATIENT)
    assert time.monotonic() - began < PATIENT.lasts_seconds
    assert lease is not None
    lease.release()


def test_a_holder_whose_lease_was_taken_is_told_and_leaves_it_alone(store: Backend) -> None:
    lost = threading.Event()
    lease = hold_run(store, "demo", lost.set, QUICK)
    assert lease is not None
    say(store, "elsewhere", 1, 60)
    assert lost.wait(60)
    lease.release()
    assert b"elsewhere" in store.get(lease_key("demo"))


def test_an_honest_store_needs_no_lease(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for kind in ("local", "memory"):
        store = open_store(fresh_url(request, kind, tmp_path))
        assert hold_run(store, "demo", nothing) is None
        assert list(store.list("leases")) == []


def test_a_run_on_such_a_store_is_whole_and_a_second_one_is_refused_loudly(
    url: str, tmp_path: Path, pacore: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    config = scripted_config(Path("x"), problems, widths=(2,), run_id="demo")
    config = config.model_copy(update={"store": url})
    line = ("run", "--problems", str(problems), "--engine", "scripted", "--widths", "2")
    with renewing(open_store(url), "elsewhere", 7, 1):
        refused = pacore(*line, "--store", url, "--run-id", "demo")
    assert refused.returncode == 2
    assert "does not honour put-if-absent: only one process" in refused.stderr
    assert "process 7 on elsewhere" in refused.stderr and "Traceback" not in refused.stderr
    open_store(url).delete(lease_key("demo"))
    run_stages(config)
    assert tables(url, "demo")["answers"] == oracle_tables(config)["answers"]
