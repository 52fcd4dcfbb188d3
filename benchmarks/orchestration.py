"""What a task costs in Prefect: time, CPU of the client and of the server, and when its record is complete.

    python -m benchmarks.orchestration --shards 200 1000 --runs 3

A run of as many shards, each four tasks (trajectories, messages, answers, verdicts) on the scripted engine
that answers at once, is made as the flow `infer` and by the same stages without Prefect. The difference is
divided by the tasks; that of a run of one shard, which is what it takes to start, is taken off first.
Servers are new, with the settings of those that `pacore up` starts. ``recorded`` is the share of the task
runs whose record says that they have ended, and ``all recorded`` when the last one did, from the end of the
flow's process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import Spent, cpu_seconds_of, pacore, spent
from benchmarks.results import Figure, Results, add_option
from pacore.core.config.run import RunConfig
from tests.fixtures.pipeline import scripted_config, write_problems

STAGES = 4

ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]

PATIENCE_SECONDS = 180.0


class Server(NamedTuple):
    """A Prefect server: its API address and its process."""

    api: str
    pid: int

    def task_runs(self, ended: bool) -> int:
        """How many task runs it has a record of, or of which it says that they have ended."""
        chosen = {"task_runs": {"state": {"type": {"any_": ENDED}}}} if ended else {}
        request = urllib.request.Request(
            f"{self.api}/task_runs/count",
            json.dumps(chosen).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return int(json.load(response))


class Cost(NamedTuple):
    """A run with Prefect and one without, and the server meanwhile and until it had recorded all."""

    tasks: int
    flow: Spent
    plain: Spent
    server_seconds: float
    recorded: float
    all_recorded_seconds: float


@contextmanager
def server(database: str, folder: Path) -> Iterator[Server]:
    """A new server on ``database``, SQLite or PostgreSQL; gone with the context."""
    # It takes the address of the server out of the environment, which a run in a process of its own needs.
    from tests.fixtures.postgresql import postgresql

    os.environ["PACORE_HOME"] = str(folder / database)
    os.environ.pop("PREFECT_API_URL", None)
    if database == "SQLite":
        spent(pacore("up", "--server-only"))
        yield from _standing(folder / database)
    else:
        with postgresql() as address:
            spent(pacore("up", "--server-only", "--database", address))
            yield from _standing(folder / database)


def _standing(home: Path) -> Iterator[Server]:
    record = json.loads((home / "prefect" / "server.json").read_text())
    os.environ["PREFECT_API_URL"] = record["url"]
    try:
        yield Server(record["url"], record["process"]["pid"])
    finally:
        os.environ.pop("PREFECT_API_URL")
        spent(pacore("server", "stop"))


def _config(folder: Path, shards: int) -> RunConfig:
    folder.mkdir(parents=True)
    problems = write_problems(folder / "problems.jsonl", shards)
    return scripted_config(
        folder / "store", problems, model="scripted?words=5", widths=(), shard_size=1, run_id="run"
    )


def flow(config: RunConfig) -> None:
    from flows.infer import infer

    assert infer(config, return_state=True).is_completed()


def plain(config: RunConfig) -> None:
    from pacore.api.runs import run

    run(config, prefect=False, progress=False)


WAYS = {"flow": flow, "plain": plain}


def measure(folder: Path, shards: int, at: Server) -> Cost:
    """One run of ``shards`` both ways."""
    known, used = at.task_runs(ended=True), cpu_seconds_of(at.pid)
    took = {
        way: spent(
            [sys.executable, "-m", "benchmarks.orchestration", "--one", way,
             "--config", _config(folder / way, shards).model_dump_json()]
        )
        for way in ("plain", "flow")
    }  # fmt: skip
    tasks, ended = 1 + STAGES * shards, time.monotonic()
    while (found := at.task_runs(ended=True) - known) < tasks:
        if time.monotonic() - ended > PATIENCE_SECONDS:
            break
        time.sleep(0.25)
    waited = time.monotonic() - ended
    server_seconds = cpu_seconds_of(at.pid) - used
    return Cost(tasks, took["flow"], took["plain"], server_seconds, found / tasks, waited)


def figures(workload: str, database: str, runs: list[Cost], start: Cost) -> list[Figure]:
    """Milliseconds a task, without what a run of one shard takes."""

    def each(of: list[tuple[float, float]]) -> list[float]:
        return [
            1000 * (value - base) / (cost.tasks - start.tasks)
            for cost, (value, base) in zip(runs, of, strict=True)
        ]

    wall = [
        (
            one.flow.wall_seconds - one.plain.wall_seconds,
            start.flow.wall_seconds - start.plain.wall_seconds,
        )
        for one in runs
    ]
    client = [
        (
            one.flow.cpu_seconds - one.plain.cpu_seconds,
            start.flow.cpu_seconds - start.plain.cpu_seconds,
        )
        for one in runs
    ]
    beside = [(one.server_seconds, start.server_seconds) for one in runs]
    return [
        Figure(workload, database, "wall a task", "ms", each(wall)),
        Figure(workload, database, "CPU of the client a task", "ms", each(client)),
        Figure(workload, database, "CPU of the server a task", "ms", each(beside)),
        Figure(
            workload, database, "recorded", "share", [one.recorded for one in runs], better="higher"
        ),
        Figure(workload, database, "all recorded", "s", [one.all_recorded_seconds for one in runs]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, nargs="+", default=[200, 1_000])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--databases", nargs="+", default=["SQLite", "PostgreSQL"])
    parser.add_argument("--one", choices=sorted(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--config", help=argparse.SUPPRESS)
    add_option(parser)
    given = parser.parse_args()
    if given.one:
        WAYS[given.one](RunConfig.model_validate_json(given.config))
        return
    results = Results("orchestration", given.results)
    with tempfile.TemporaryDirectory() as root:
        for database in given.databases:
            with server(database, Path(root)) as at:
                # The first flow of a server fills its caches.
                measure(Path(root) / f"{database}-first", 1, at)
                start = measure(Path(root) / f"{database}-1", 1, at)
                for shards in given.shards:
                    runs = [
                        measure(Path(root) / f"{database}-{shards}-{number}", shards, at)
                        for number in range(given.runs)
                    ]
                    results.add(*figures(f"{shards:,} shards", database, runs, start))


if __name__ == "__main__":
    main()
