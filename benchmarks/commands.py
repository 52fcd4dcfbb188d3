"""What short commands cost in CPU beside ``python -c "import prefect"``.

    python -m benchmarks.commands --runs 7
    python -m benchmarks.commands --runs 7 --only query show

Each command is a process that is measured from its start to its end, with the processes that it waited for:
user and system time. Runs alternate, so that the load of the machine is on all alike, and bytecode is
compiled, as it is where a package is installed; a Prefect server stands beside it, which is not counted.
The store has one finished run of ten problems of a scripted engine, K = [16, 4, 1]. ``evaluate`` is of
3,840 graded trajectories, ``night`` of 20 problems of a scripted engine, on a day of its own. Aims are
ratios to ``import prefect``, of `import pacore` and `--help` seconds; each is printed with its command.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.graded_store import RUN, Shape, build
from benchmarks.processes import pacore, spent, start_prefect
from benchmarks.results import Figure, Results, add_option
from tests.fixtures.pipeline import write_problems

BASE = "import prefect"

GRADED = Shape(240, (12, 3))
"""3,840 trajectories."""

NIGHT_PROBLEMS = 20

AIMS = {
    "status": 0.3,
    "query": 0.3,
    "show": 0.3,
    "plan": 0.3,
    "rerun": 0.3,
    "run": 1.6,
    "evaluate": 2.0,
    "night": 3.0,
}
"""The most that a command should cost of ``import prefect``."""

SECONDS = {"import pacore": 0.15, "--help": 0.3}
"""The most CPU seconds that what starts everything should take."""

Line = Callable[[int], list[str]]
"""The command line of a run, by the run's number."""


def _lines(folder: Path) -> dict[str, Line]:
    problems, store = folder / "problems.jsonl", str(folder / "store")
    write_problems(problems, 10)
    asked = ["--problems", str(problems), "--engine", "scripted", "--widths", "16,4"]
    spent(pacore("run", *asked, "--store", store, "--run-id", "ten"))
    graded = build(folder / "graded", GRADED)
    night = folder / "night.json"
    night.write_text(json.dumps(_night(folder)))
    return {
        BASE: lambda _: [sys.executable, "-c", BASE],
        "import pacore": lambda _: [sys.executable, "-c", "import pacore"],
        "--help": lambda _: pacore("--help"),
        "run --help": lambda _: pacore("run", "--help"),
        "status": lambda _: pacore("status", "--store", store),
        "query": lambda _: pacore("query", "--store", store, "SELECT * FROM mart_rounds"),
        "show": lambda _: pacore("show", "--store", store, "ten"),
        "plan": lambda _: pacore("plan", *asked, "--store", store),
        "rerun": lambda _: pacore("run", *asked, "--store", store, "--run-id", "ten"),
        "run": lambda number: pacore("run", *asked, "--store", f"{store}-{number}"),
        "evaluate": lambda _: pacore("evaluate", "--store", graded, RUN),
        "night": lambda number: pacore("nightly", "run", _dated(night, number)),
    }


def _night(folder: Path) -> dict[str, object]:
    problems = folder / "nightly.jsonl"
    write_problems(problems, NIGHT_PROBLEMS)
    run = {
        "problems": str(problems),
        "engine": "scripted",
        "widths": [16, 4],
        "store": str(folder / "nights"),
    }
    return {"jobs": [{"name": "sums", "run": run}]}


def _dated(file: Path, number: int) -> str:
    """The file of a night with a store of its own: a second start on one day would resume the first."""
    night = json.loads(file.read_text())
    night["jobs"][0]["run"]["store"] += f"-{number}"
    own = file.with_stem(f"night-{number}")
    own.write_text(json.dumps(night))
    return str(own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[], help="these commands alone")
    add_option(parser)
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    start_prefect()
    results = Results("commands", given.results)
    with tempfile.TemporaryDirectory() as folder:
        lines = _lines(Path(folder))
        if given.only:
            lines = {name: lines[name] for name in [BASE, *given.only]}
        found: dict[str, list[float]] = defaultdict(list)
        # Run 0 compiles what is not compiled yet, and is not counted.
        for number in range(given.runs + 1):
            for name, line in lines.items():
                seconds = spent(line(number)).cpu_seconds
                if number:
                    found[name].append(seconds)
    results.add(
        *(
            Figure("ten problems", name, "CPU", "s", values, BASE, found[BASE])
            for name, values in found.items()
        )
    )
    _print_aims(found)


def _print_aims(found: dict[str, list[float]]) -> None:
    base = statistics.median(found[BASE])
    print(f"\n{'command':16}{'CPU s':>8}{'of import prefect':>20}{'aim':>10}")
    for name, values in found.items():
        seconds = statistics.median(values)
        aim = f"{AIMS[name]:g}" if name in AIMS else ""
        aim = f"{SECONDS[name]:g} s" if name in SECONDS else aim
        print(f"{name:16}{seconds:8.3f}{seconds / base:20.2f}{aim:>10}")


if __name__ == "__main__":
    main()
