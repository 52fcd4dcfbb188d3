"""What the pipeline costs beside the same requests sent straight to the scripted engine.

    python -m benchmarks.overhead --sizes 10000 100000 --characters 2000 --runs 3
    python -m benchmarks.overhead --sizes 1000000 --characters 200 --runs 1 --only pacore

CPU is user and system time of a whole process in milliseconds a trajectory, memory its largest resident
size. ``engine`` generates the trajectories and keeps nothing; ``stages`` fills and grades a run without
Prefect; ``pacore`` is the command, of which `benchmarks.parts` says where the time goes. What the standing
Prefect server uses beside it is ``Prefect server``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import Spent, cpu_seconds_of, pacore, spent, start_prefect
from benchmarks.results import Figure, Results, add_option
from pacore.core.config.run import RunConfig
from pacore.core.round import Round
from pacore.engine.scripted import ScriptedEngine
from pacore.home import state_path
from pacore.problems.files import read_problem_set
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems

WIDTH = 16
CHARACTERS_A_WORD = 6

CPU, MEMORY, WALL = "CPU a trajectory", "peak memory", "command to exit"

AIM_MS, AIM_MB = 2.0, 2048.0


def _config(folder: Path, trajectories: int, characters: int) -> RunConfig:
    problems = folder / "problems.jsonl"
    if not problems.exists():
        write_problems(problems, trajectories // (WIDTH + 1))
    return scripted_config(
        folder / "store",
        problems,
        model=f"scripted?words={characters // CHARACTERS_A_WORD}",
        widths=(WIDTH,),
        run_id="overhead",
    )


def straight(config: RunConfig) -> None:
    """The same first rounds, as many requests in all, and nothing kept."""

    async def send() -> None:
        engine = ScriptedEngine(config.model)
        for problem in read_problem_set(config.problems):
            (prompt,) = Round(config.plan, config.recipe, problem, (1, 0)).prompts()
            for draw in [*prompt.draws, WIDTH]:
                await engine.generate(prompt.request(config.recipe, draw))

    asyncio.run(send())


INSIDE: dict[str, Callable[[RunConfig], object]] = {"engine": straight, "stages": run_stages}

KINDS = (*INSIDE, "pacore")


def _line(config: RunConfig) -> list[str]:
    return [
        "run", "--problems", config.problems, "--engine", "scripted", "--model", config.model,
        "--widths", str(WIDTH), "--store", config.store, "--run-id", "overhead",
    ]  # fmt: skip


def measure(kind: str, config: RunConfig) -> tuple[Spent, float]:
    """One way in a process of its own, and CPU seconds of the Prefect server in the meantime."""
    before = _server_seconds()
    if kind == "pacore":
        took = spent(pacore(*_line(config)))
    else:
        given = config.model_dump_json()
        took = spent(
            [sys.executable, "-m", "benchmarks.overhead", "--one", kind, "--config", given]
        )
    return took, _server_seconds() - before


def _server_seconds() -> float:
    record = json.loads((state_path() / "prefect" / "server.json").read_text())
    return cpu_seconds_of(record["process"]["pid"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--characters", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=KINDS, help="only this way, without parts")
    parser.add_argument("--one", choices=sorted(INSIDE), help=argparse.SUPPRESS)
    parser.add_argument("--config", help=argparse.SUPPRESS)
    add_option(parser)
    given = parser.parse_args()
    if given.one:
        INSIDE[given.one](RunConfig.model_validate_json(given.config))
        return
    start_prefect()
    results = Results("overhead", given.results)
    kinds = [given.only] if given.only else KINDS
    first: list[float] = []
    # Deleted at the end: ext4 searches for a place around every file that was deleted in the last
    # minutes, which would burden the next measurement with some 0.3 ms a trajectory.
    with tempfile.TemporaryDirectory() as root:
        for size in given.sizes:
            found: dict[str, list[tuple[Spent, float]]] = defaultdict(list)
            for number in range(given.runs):
                for kind in kinds:
                    folder = Path(root) / f"{size}-{kind}-{number}"
                    folder.mkdir()
                    found[kind].append(measure(kind, _config(folder, size, given.characters)))
            count = size // (WIDTH + 1) * (WIDTH + 1)
            workload = f"{size:,} x {given.characters:,}"
            each = {
                kind: [1000 * took.cpu_seconds / count for took, _ in runs]
                for kind, runs in found.items()
            }
            results.add(*_figures(workload, found, each, count))
            if first:
                smallest = f"{given.sizes[0]:,} trajectories"
                results.add(Figure(workload, "pacore", CPU, "ms", each["pacore"], smallest, first))
            first = first or each.get("pacore", [])
            if not given.only:
                folder = Path(root) / f"{size}-parts"
                folder.mkdir()
                results.add(*_parts(workload, _config(folder, size, given.characters), count))


def _figures(
    workload: str,
    found: dict[str, list[tuple[Spent, float]]],
    each: dict[str, list[float]],
    count: int,
) -> list[Figure]:
    figures = []
    for kind, runs in found.items():
        walls, peaks = [took.wall_seconds for took, _ in runs], [took.peak_mb for took, _ in runs]
        figures.append(Figure(workload, kind, WALL, "s", walls))
        if kind != "pacore":
            figures.append(Figure(workload, kind, CPU, "ms", each[kind]))
            figures.append(Figure(workload, kind, MEMORY, "MB", peaks))
    if "pacore" in found:
        server = [1000 * seconds / count for _, seconds in found["pacore"]]
        peaks = [took.peak_mb for took, _ in found["pacore"]]
        figures += [
            Figure(workload, "pacore", CPU, "ms", each["pacore"], f"{AIM_MS:g} ms", [AIM_MS]),
            Figure(workload, "pacore", CPU, "ms", each["pacore"], "stages", each.get("stages", [])),
            Figure(workload, "pacore", MEMORY, "MB", peaks, f"{AIM_MB:g} MB", [AIM_MB]),
            Figure(workload, "Prefect server", CPU, "ms", server, "pacore", each["pacore"]),
        ]
    return figures


def _parts(workload: str, config: RunConfig, count: int) -> list[Figure]:
    with tempfile.NamedTemporaryFile() as target:
        spent([sys.executable, "-m", "benchmarks.parts", target.name, *_line(config)])
        seconds: dict[str, float] = json.load(target)
    return [
        Figure(workload, f"part: {part}", CPU, "ms", [1000 * cpu / count])
        for part, cpu in seconds.items()
    ]


if __name__ == "__main__":
    main()
