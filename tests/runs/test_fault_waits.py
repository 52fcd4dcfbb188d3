"""What an endpoint that fails by seed sees of waits and retries, and what a person sees of them."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.fault_endpoint import FaultEndpoint, FaultPlan, Served
from benchmarks.faults import Books, compare, faulty_command, run_to_the_end, standing_rows
from tests.fixtures.fault_runs import SCRIPT, WIDTH, config_for
from tests.fixtures.pipeline import run_stages, write_problems


def test_the_same_requests_meet_the_same_faults_in_whatever_order_they_come() -> None:
    asked = [(seed, number) for seed in range(200) for number in range(3)]
    one, other = FaultPlan(seed=5), FaultPlan(seed=5)
    forwards = {place: one.fault(*place) for place in asked}
    backwards = {place: other.fault(*place) for place in reversed(asked)}
    assert forwards == backwards
    assert forwards != {place: FaultPlan(seed=6).fault(*place) for place in asked}
    assert 0.2 < sum(fault is not None for fault in forwards.values()) / len(asked) < 0.4


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> list[Served]:
    """What an endpoint saw that turned many of its requests away for three seconds each."""
    folder = tmp_path_factory.mktemp("limited")
    write_problems(folder / "problems.jsonl", 30)
    # With this seed fourteen requests are turned away, none more than twice.
    plan = FaultPlan(rate=0.4, seed=13, faults=("429, seconds",), retry_after_seconds=3)
    with FaultEndpoint("scripted?words=5&latency_ms=20", plan) as endpoint:
        config = config_for(
            folder,
            endpoint.url,
            widths=(),
            concurrency=2,
            retry_wait_max_seconds=10.0,
            shard_size=30,
        )
        run_stages(config)
    return sorted(endpoint.served, key=lambda entry: entry.arrived)


@pytest.mark.slow
def test_a_request_that_waits_holds_up_no_other(limited: list[Served]) -> None:
    first_tries = [entry for entry in limited if entry.number == 0]
    turned_away = [entry for entry in first_tries if entry.fault]
    assert len(first_tries) == 30
    assert len(turned_away) > 10
    comes_back = min(entry.arrived for entry in limited if entry.number == 1)
    assert first_tries[-1].arrived < comes_back


def test_a_server_that_asks_for_time_gets_it(limited: list[Served]) -> None:
    tries: defaultdict[int, list[Served]] = defaultdict(list)
    for entry in limited:
        tries[entry.seed].append(entry)
    waits = [
        after.arrived - before.left
        for entries in tries.values()
        for before, after in pairwise(entries)
    ]
    assert len(waits) > 10
    assert min(waits) >= 2.95


def test_no_more_requests_are_under_way_than_the_endpoint_has_slots(limited: list[Served]) -> None:
    changes = sorted(
        [(entry.arrived, 1) for entry in limited] + [(entry.left, -1) for entry in limited]
    )
    under_way = most = 0
    for _, change in changes:
        under_way += change
        most = max(most, under_way)
    assert most <= 2


@pytest.mark.slow
def test_the_command_line_names_what_failed_and_the_same_line_finishes_it(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 30)
    store = tmp_path / "store"
    with FaultEndpoint(SCRIPT, FaultPlan(seed=3)) as endpoint:
        command = faulty_command(problems, store, endpoint.url)
        first = subprocess.run(
            [*command, "--retries", "0"], capture_output=True, text=True, check=False
        )
        passes = run_to_the_end(command)
    assert first.returncode == 3
    assert "faults tries the unfinished ones again" in first.stderr
    assert "round 1: " in first.stderr
    assert passes[-1].code == 0
    assert len(standing_rows(str(store), "faults")) == 30 * (WIDTH + 1)
    assert not compare(endpoint.served, Books.of(str(store), "faults"))
