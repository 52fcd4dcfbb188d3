"""From the first request to the last answer, and from command to exit: pacore beside plain clients.

    python -m benchmarks.makespan --workloads 150x16,4 --clients pacore,reference --runs 3

Every client has a simulated server of its own (`benchmarks.endpoint`) and requests the same trajectories,
so that each has the same work. What no client can be faster than is the larger of two times: all tokens at
the speed of full slots, and the longest chain of one problem's rounds, each as long as its longest
trajectory. Ratios are to that bound and to `reference`. `pacore-known` is pacore with an earlier run of the
same problems, by other seeds, in its store.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.endpoint.server import MODEL, SLOWS_BY, speed_of
from benchmarks.endpoint.server import parser as server_parser
from benchmarks.graded_store import Shape
from benchmarks.processes import Spent, pacore, served, spent, start_prefect
from benchmarks.results import Figure, Results, add_option
from pacore.core.config.run import RunConfig

REFERENCE = "reference"

ENGINE = "first request to last answer"

SERVER = "benchmarks.endpoint.server"


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from command to exit, from the first arrival to the last end, and of CPU; the bound of the
    second; the mean number of slots that were taken.
    """

    wall_seconds: float
    engine_seconds: float
    cpu_seconds: float
    bound_seconds: float
    requests: int
    busy: float


def _problems(folder: Path, count: int) -> Path:
    file = folder / "problems.jsonl"
    with file.open("w") as written:
        for number in range(count):
            row = {
                "id": f"p{number:05}",
                "problem": f"Problem {number}.",
                "answer": str(number % 3),
            }
            written.write(json.dumps(row) + "\n")
    return file


def _config(problems: Path, workload: Shape, store: Path, urls: Sequence[str]) -> dict[str, Any]:
    return {
        "problems": str(problems),
        "model": MODEL,
        "endpoints": list(urls),
        "widths": list(workload.widths),
        "replicates": workload.replicates,
        "store": str(store),
        "run_id": "makespan",
    }


def _command(client: str, config: dict[str, Any], folder: Path, more: Sequence[str]) -> list[str]:
    if client.startswith("pacore"):
        return [
            *pacore("run", "--problems", config["problems"]),
            "--model", MODEL, *(f"--endpoint={url}" for url in config["endpoints"]),
            "--widths", ",".join(map(str, config["widths"])),
            "--replicates", str(config["replicates"]),
            "--store", config["store"], "--run-id", config["run_id"], *more,
        ]  # fmt: skip
    written = folder / "config.json"
    RunConfig.model_validate(config)
    written.write_text(json.dumps(config))
    return [
        sys.executable, "-m", "benchmarks.endpoint.clients", client, str(written),
        config["endpoints"][0], str(folder / "answers.jsonl"),
    ]  # fmt: skip


def measure(
    client: str, workload: Shape, servers: Sequence[Sequence[str]], more: Sequence[str]
) -> Measured:
    """One client on one workload, once. Raises SystemExit where it failed."""
    folder = Path(tempfile.mkdtemp(prefix="makespan-"))
    logs, seen = [folder / f"log-{number}.jsonl" for number in range(len(servers))], 0
    try:
        with ExitStack() as stack:
            urls = [
                stack.enter_context(served(SERVER, "--log", str(log), *options))
                for log, options in zip(logs, servers, strict=True)
            ]
            problems = _problems(folder, workload.problems)
            config = _config(problems, workload, folder / "store", urls)
            command = _command(client, config, folder, more)
            if client == "pacore-known":
                earlier = [*command, "--seed-root", "earlier", "--run-id", "earlier"]
                spent(earlier)
                seen = len(_lines(logs))
            took = spent(command)
        return _measured(_lines(logs)[seen:], servers, took)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lines(logs: Sequence[Path]) -> list[dict[str, Any]]:
    """The requests that ended, in the order of their ends, with times of one clock."""
    lines = [json.loads(line) for log in logs for line in log.open()]
    return sorted(lines, key=lambda line: float(line["ended"]))


def _measured(
    lines: list[dict[str, Any]], servers: Sequence[Sequence[str]], took: Spent
) -> Measured:
    parsed = [
        server_parser().parse_args(["--port", "0", "--log", "-", *options]) for options in servers
    ]
    speeds = list(map(speed_of, parsed))
    first = min(line["arrived"] for line in lines)
    last = max(line["ended"] for line in lines)
    tokens = sum(line["tokens"] for line in lines if not line["left"])
    work = least_seconds(tokens, [rates_of(one) for one in parsed])
    longest = _longest_chain(lines) / max(speed.rate(1) for speed in speeds)
    occupied = sum(line["ended"] - (line["started"] or line["ended"]) for line in lines)
    return Measured(
        took.wall_seconds, last - first, took.cpu_seconds, max(work, longest), len(lines),
        occupied / (last - first) / sum(speed.slots for speed in speeds),
    )  # fmt: skip


def rates_of(given: argparse.Namespace) -> list[tuple[float, float]]:
    """Tokens a second of a server with all slots taken, each with the second from which it holds."""
    rate = speed_of(given).tokens_per_second
    rates = [(0.0, rate)]
    if given.slows_after is not None:
        rates.append((given.slows_after, rate / SLOWS_BY))
    if given.dies_after is not None:
        rates.append((given.dies_after, 0.0))
    return sorted(rates)


def least_seconds(tokens: float, servers: Sequence[Sequence[tuple[float, float]]]) -> float:
    """The time in which servers generate so many tokens if no slot is ever idle."""
    changes = sorted({since for rates in servers for since, _ in rates})
    left = tokens
    for since, until in zip(changes, [*changes[1:], float("inf")], strict=True):
        rate = sum(max(one for one in rates if one[0] <= since)[1] for rates in servers)
        if rate and left <= rate * (until - since):
            return since + left / rate
        left -= rate * (until - since) if rate else 0.0
    return float("inf")


def _longest_chain(lines: Sequence[dict[str, Any]]) -> int:
    """Tokens of the longest chain of one problem's rounds, each as long as its longest trajectory.

    A prompt is one round of one problem, but for the first of several replicates, which share it: then
    the longest trajectory alone is a bound.
    """
    rounds: dict[str, dict[str, int]] = defaultdict(dict)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for line in lines:
        of, prefix = line["problem"], line["prefix"]
        rounds[of][prefix] = max(rounds[of].get(prefix, 0), line["tokens"])
        sizes[of, prefix] += 1
    if max(map(len, rounds.values())) > 1 + len(set(sizes.values())):
        return max(int(line["tokens"]) for line in lines)
    return max(sum(of.values()) for of in rounds.values())


def _figures(text: str, found: dict[str, list[Measured]]) -> list[Figure]:
    """What is kept of one workload: each client's times, and pacore's to those of the reference."""
    reference = found.get(REFERENCE, [])
    figures = []
    for client, runs in found.items():
        engine, wall = [one.engine_seconds for one in runs], [one.wall_seconds for one in runs]
        cpu = [1000 * one.cpu_seconds / one.requests for one in runs]
        busy = [100 * one.busy for one in runs]
        bound = [one.bound_seconds for one in runs]
        against = "" if client == REFERENCE else REFERENCE
        base = [one.wall_seconds for one in reference] if against else []
        figures += [
            Figure(text, client, ENGINE, "s", engine, "bound", bound),
            Figure(text, client, "command to exit", "s", wall, against, base),
            Figure(text, client, "CPU a trajectory", "ms", cpu),
            Figure(text, client, "slots taken", "%", busy, better="higher"),
        ]
        if against and reference:
            base = [one.engine_seconds for one in reference]
            figures.append(Figure(text, client, ENGINE, "s", engine, REFERENCE, base))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", nargs="+", default=["150x16,4"])
    parser.add_argument("--clients", default="pacore,reference,pooled,barrier")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--server", action="append", help="options of a server, as one text; for each server"
    )
    parser.add_argument("--pacore", default="", help="further flags of pacore run, as one text")
    add_option(parser)
    given = parser.parse_args()
    servers, more = [text.split() for text in given.server or [""]], given.pacore.split()
    start_prefect()
    results = Results("makespan", given.results)
    for text in given.workloads:
        found: dict[str, list[Measured]] = defaultdict(list)
        for _ in range(given.runs):
            for client in given.clients.split(","):
                found[client].append(measure(client, Shape.of(text), servers, more))
        results.add(*_figures(_named(text, given.server, more), found))


def _named(text: str, servers: list[str] | None, more: Sequence[str]) -> str:
    """A workload's name: its shape, and what else was given."""
    return " ".join([text, *(f"[{one}]" for one in servers or []), *more])


if __name__ == "__main__":
    main()
