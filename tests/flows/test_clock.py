"""A clock that is set while a run goes on, or between two starts of it, changes nothing of what it does."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fixtures.clock import Clock
from tests.fixtures.pipeline import (
    journal_size,
    run_stages,
    scripted_config,
    table,
    tables,
    write_problems,
)

pytestmark = pytest.mark.slow

PROBLEMS, WIDTH = 10, 2


def test_a_process_reads_the_clock_that_the_test_sets(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    clock.set(24)
    said = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"],
        env=clock.environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    seconds, monotonic = map(float, said.split())
    assert seconds - datetime.now(UTC).timestamp() == pytest.approx(86_400, abs=60)
    assert monotonic == pytest.approx(time.monotonic(), abs=60)


@pytest.mark.parametrize("ahead_hours", [24.0, -1.0])
def test_a_run_whose_clock_is_set_is_as_if_it_were_not(tmp_path: Path, ahead_hours: float) -> None:
    problems, store = write_problems(tmp_path / "problems.jsonl", PROBLEMS), tmp_path / "store"
    config = scripted_config(
        store, problems, model="scripted?words=20&latency_ms=200", widths=(WIDTH,), shard_size=2,
        run_id="timed", concurrency=2, max_hours=0.5,
    )  # fmt: skip
    given = tmp_path / "config.yaml"
    given.write_text(config.model_dump_json(exclude_defaults=True))
    clock = Clock(tmp_path)

    def begun() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chaos.scheduler", given, tmp_path / "reports.json"],
            cwd=ROOT, env=clock.environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    with begun() as first:
        wait_for(store, 2)
        clock.set(ahead_hours)
        # The clock is read each second, and ten are made in one.
        wait_for(store, 14)
        first.kill()
    clock.set(-ahead_hours)
    with begun() as second:
        _, said = second.communicate(timeout=600)
    assert second.returncode == 0, said
    assert journal_size(str(store)) == PROBLEMS * (WIDTH + 1)
    made_at = [row[-1] for row in table(str(store), "timed", "trajectories", ("generated_at",))]
    assert max(made_at) - min(made_at) > timedelta(minutes=50), "its clock was set"
    undisturbed = config.model_copy(
        update={"store": str(tmp_path / "undisturbed"), "concurrency": 64}
    )
    run_stages(undisturbed)
    assert tables(str(store), "timed") == tables(undisturbed.store, "timed")


def wait_for(store: Path, entries: int) -> None:
    deadline = time.monotonic() + 600
    while not (store / "journal").exists() or journal_size(str(store)) < entries:
        assert time.monotonic() < deadline
        time.sleep(0.05)
