"""How many requests a second pacore can send, and what each costs, as more are in flight.

    python -m benchmarks.throughput --in-flight 1 64 1024 8192 --runs 3

Requests go to a server that answers at once (`benchmarks.endpoint.null`). Compared: ``client``, some lines
of aiohttp; ``engine``, pacore's engine with as many requests in flight and nothing around it; ``pacore``,
the whole command, whose requests a second are counted from the first response to the last. One endpoint
takes 4,096 requests at most, so 8,192 go to two. Parts of the CPU time are of one more run of the command
(`benchmarks.parts`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from benchmarks.endpoint.clients import PlainClient
from benchmarks.endpoint.server import MODEL
from benchmarks.processes import pacore, served, spent, start_prefect
from benchmarks.results import Figure, Results, add_option
from pacore.core.config.run import RunConfig
from pacore.core.engine import Engine
from pacore.core.round import Round
from pacore.core.trajectory import Request
from pacore.engine.opening import open_engine
from pacore.problems.files import read_problem_set
from tests.fixtures.pipeline import write_problems

WIDTH = 16

MOST_AT_ONE = 4096

SERVER = "benchmarks.endpoint.null"

CPU = "CPU a trajectory"

MEASURED: tuple[tuple[str, str, str, Literal["lower", "higher"]], ...] = (
    ("a_second", "requests a second", "1/s", "higher"),
    ("cpu_ms", CPU, "ms", "lower"),
)

KINDS = ("client", "engine", "pacore")


def _config(folder: Path, urls: Sequence[str], in_flight: int) -> RunConfig:
    return RunConfig.model_validate(
        {
            "problems": str(folder / "problems.jsonl"),
            "model": MODEL,
            "endpoints": list(urls),
            "widths": [WIDTH],
            "concurrency": min(in_flight, MOST_AT_ONE),
            "store": str(folder / "store"),
        }
    )


def _requests(config: RunConfig) -> list[Request]:
    """Those of the first rounds, and one more a problem in place of its last."""
    return [
        prompt.request(config.recipe, draw)
        for problem in read_problem_set(config.problems)
        for prompt in Round(config.plan, config.recipe, problem, (1, 0)).prompts()
        for draw in [*prompt.draws, WIDTH]
    ]


async def _sent(engine: Engine, requests: list[Request], in_flight: int) -> float:
    """Seconds until all are answered."""
    left = iter(requests)

    async def send() -> None:
        for request in left:
            await engine.generate(request)

    began = time.monotonic()
    await asyncio.gather(*(send() for _ in range(in_flight)))
    seconds = time.monotonic() - began
    await engine.close()
    return seconds


def straight(kind: str, config: RunConfig, in_flight: int) -> dict[str, float]:
    """Send the requests from this process, and keep nothing."""
    requests = _requests(config)

    async def send() -> float:
        if kind == "engine":
            return await _sent(open_engine(config, Path(config.store)), requests, in_flight)
        return await _sent(PlainClient(config.endpoints[0], is_pooled=True), requests, in_flight)

    before = time.process_time()
    seconds = asyncio.run(send())
    cpu = time.process_time() - before
    return {"a_second": len(requests) / seconds, "cpu_ms": 1000 * cpu / len(requests)}


def _line(config: RunConfig) -> list[str]:
    return [
        "run", "--problems", config.problems, "--model", MODEL, "--widths", str(WIDTH),
        *(f"--endpoint={url}" for url in config.endpoints), "--store", config.store,
        "--concurrency", str(config.concurrency),
    ]  # fmt: skip


def _counted(urls: Sequence[str]) -> tuple[int, float]:
    """Completions of all servers, and the longest time that one took for its own."""
    found = []
    for url in urls:
        with urllib.request.urlopen(url.removesuffix("/v1") + "/requests") as answer:
            found.append(json.load(answer))
    return sum(one["requests"] for one in found), max(one["seconds"] for one in found)


@contextmanager
def _prepared(in_flight: int, options: argparse.Namespace) -> Iterator[RunConfig]:
    """A configuration with servers of its own, of which none has answered anything."""
    folder = Path(tempfile.mkdtemp(prefix="throughput-"))
    # One at a time waits for each, so that fewer tell as much; many at a time have to be there.
    few = options.trajectories // (4 if in_flight == 1 else 1)
    trajectories = max(few, 2 * in_flight)
    try:
        with ExitStack() as stack:
            urls = [
                stack.enter_context(served(SERVER, "--characters", str(options.characters)))
                for _ in range(-(-in_flight // MOST_AT_ONE))
            ]
            write_problems(folder / "problems.jsonl", trajectories // (WIDTH + 1))
            yield _config(folder, urls, in_flight)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(kind: str, in_flight: int, options: argparse.Namespace) -> dict[str, float]:
    """One way once: requests a second, and CPU milliseconds each."""
    with _prepared(in_flight, options) as config:
        if kind == "pacore":
            took = spent(pacore(*_line(config)))
            requests, seconds = _counted(config.endpoints)
            return {"a_second": requests / seconds, "cpu_ms": 1000 * took.cpu_seconds / requests}
        command = [
            sys.executable, "-m", "benchmarks.throughput", "--one", kind, "--in-flight", str(in_flight),
            "--config", config.model_dump_json(),
        ]  # fmt: skip
        found: dict[str, float] = json.loads(spent(command).output)
        return found


def parts(in_flight: int, options: argparse.Namespace) -> dict[str, float]:
    """CPU milliseconds a trajectory of each part of pacore."""
    with _prepared(in_flight, options) as config, tempfile.NamedTemporaryFile() as target:
        spent([sys.executable, "-m", "benchmarks.parts", target.name, *_line(config)])
        requests, _ = _counted(config.endpoints)
        seconds: dict[str, float] = json.load(target)
        return {part: 1000 * cpu / requests for part, cpu in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 64, 1024, 8192])
    parser.add_argument("--trajectories", type=int, default=10_000)
    parser.add_argument("--characters", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--config", help=argparse.SUPPRESS)
    add_option(parser)
    given = parser.parse_args()
    if given.one:
        config = RunConfig.model_validate_json(given.config)
        print(json.dumps(straight(given.one, config, given.in_flight[0])))
        return
    start_prefect()
    results = Results("throughput", given.results)
    for in_flight in given.in_flight:
        found: dict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(given.runs):
            for kind in KINDS:
                found[kind].append(measure(kind, in_flight, given))
        workload = f"{in_flight:,} in flight"
        results.add(*_figures(workload, found))
        parted = parts(in_flight, given).items()
        results.add(*(Figure(workload, f"part: {part}", CPU, "ms", [cpu]) for part, cpu in parted))


def _figures(workload: str, found: dict[str, list[dict[str, float]]]) -> list[Figure]:
    figures = []
    for kind, runs in found.items():
        against = "" if kind == "client" else "client"
        for key, metric, unit, better in MEASURED:
            base = [one[key] for one in found["client"]] if against else []
            values = [one[key] for one in runs]
            figures.append(Figure(workload, kind, metric, unit, values, against, base, better))
    return figures


if __name__ == "__main__":
    main()
