"""What the pipeline costs beside the same requests sent straight to the scripted engine.

    python -m benchmarks.overhead --trajectories 20000 --characters 20000

Each measurement is a process of its own. CPU is user and system time of the process in
milliseconds a trajectory; memory is its peak resident size. Both kinds are measured in turn, and
their difference is the overhead of everything around the engine: Prefect, journal, tables, grading.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pacore.core.round import Round
from pacore.engine.scripted import ScriptedEngine
from pacore.problems.files import read_problem_set
from tests.fixtures.pipeline import scripted_config, write_problems

WIDTH = 16
CHARACTERS_A_WORD = 6


def _config(folder: Path, trajectories: int, characters: int) -> Any:
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


def _usage(count: int) -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "trajectories": count,
        "cpu_ms_each": 1000 * (used.ru_utime + used.ru_stime) / count,
        "peak_mb": used.ru_maxrss / 1024,
    }


def straight(config: Any) -> dict[str, float]:
    """The same first rounds, as many requests in all, and nothing kept."""

    async def send() -> int:
        engine = ScriptedEngine(config.model)
        sent = 0
        for problem in read_problem_set(config.problems):
            (prompt,) = Round(config.plan, config.recipe, problem, (1, 0)).prompts()
            draws = [*prompt.draws, WIDTH]
            for draw in draws:
                await engine.generate(prompt.request(config.recipe, draw))
                sent += 1
        return sent

    return _usage(asyncio.run(send()))


def through_the_flow(config: Any) -> dict[str, float]:
    """The whole flow on a standing Prefect server."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from flows.infer import infer
    from pacore.store.backends.opening import open_store
    from pacore.warehouse.views import Warehouse
    from tasks.server import connected

    with connected():
        state = infer(config, return_state=True)
    if state.name != "Completed":
        raise SystemExit(f"the flow ended as {state.name}: {state.message}")
    store = open_store(config.store)
    count = sum(1 for _ in read_problem_set(config.problems)) * (WIDTH + 1)
    found = _usage(count)
    with Warehouse(store) as warehouse:
        ((rows,),) = list(warehouse.query("select count(*) from trajectories").rows)
    if rows != count:
        raise SystemExit(f"{rows} rows for {count} trajectories")
    return found


MEASURED = {"straight": straight, "flow": through_the_flow}


def _measure(kind: str, folder: Path, trajectories: int, characters: int) -> dict[str, float]:
    folder.mkdir()
    command = [
        sys.executable, "-m", "benchmarks.overhead", "--one", kind, "--folder", str(folder),
        "--trajectories", str(trajectories), "--characters", str(characters),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=20_000)
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", choices=sorted(MEASURED))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.one:
        config = _config(options.folder, options.trajectories, options.characters)
        print(json.dumps(MEASURED[options.one](config)))
        return
    both: dict[str, list[dict[str, float]]] = {kind: [] for kind in MEASURED}
    # Deleted at the end: ext4 searches for a place around every file that was deleted in the last
    # minutes, which would burden the next measurement with some 0.3 ms a trajectory.
    with tempfile.TemporaryDirectory() as root:
        for number in range(options.runs):
            for kind, measured in both.items():
                folder = Path(root) / f"{kind}-{number}"
                found = _measure(kind, folder, options.trajectories, options.characters)
                measured.append(found)
    median = {
        kind: {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        for kind, measured in both.items()
    }
    overhead = median["flow"]["cpu_ms_each"] - median["straight"]["cpu_ms_each"]
    print(json.dumps({**median, "overhead_cpu_ms_each": round(overhead, 3)}, indent=2))


if __name__ == "__main__":
    main()
