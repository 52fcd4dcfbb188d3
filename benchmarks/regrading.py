"""How fast a stored run is graded again, beside reading its conclusions only.

    python -m benchmarks.regrading --trajectories 20000

Builds a run of short trajectories with integer answers, as `benchmarks.published` does, and grades every
round of it: extraction, exact rules, keys, and the verdicts published. The same files are then read
without being graded. A second grading, by another version of the same rules, is timed too.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.published import WIDTH, build
from pacore.core.config.evaluate import EvaluateConfig
from pacore.evaluation.batches import Evaluation, grade_all
from pacore.store.backends.opening import open_store
from pacore.store.commits import current_commits
from pacore.warehouse.files import conclusions
from tests.fixtures.pipeline import scripted_config, write_problems


def _read(store_url: str) -> int:
    """Read every conclusion of the run, as the stage does; how many there are."""
    store = open_store(store_url)
    count = 0
    for commit in current_commits(store, "rerun", "trajectories"):
        with store.local_path(commit.path) as path:
            count += sum(1 for _ in conclusions(path))
    return count


def _grade(store_url: str, grader: str) -> int:
    config = EvaluateConfig(runs=("rerun",), store=store_url, grader=grader)
    with Evaluation(config) as evaluation:
        grade_all(evaluation, evaluation.batches())
        return evaluation.progress.settled


def _measured(work: Callable[[], int]) -> dict[str, float]:
    began, before = time.monotonic(), _cpu_seconds()
    count = work()
    seconds, cpu_seconds = time.monotonic() - began, _cpu_seconds() - before
    return {
        "trajectories": count,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "trajectories_a_second": round(count / seconds),
        "trajectories_a_cpu_second": round(count / cpu_seconds),
    }


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        problems = write_problems(
            Path(name) / "problems.jsonl", options.trajectories // (WIDTH + 1)
        )
        config = scripted_config(Path(name) / "store", problems, widths=(WIDTH,), run_id="rerun")
        run = build(config)
        found = {
            "reading": _measured(lambda: _read(config.store)),
            "grading": _measured(lambda: _grade(config.store, "auto")),
            "grading by another grader": _measured(lambda: _grade(config.store, "numeric")),
        }
    ratio = found["grading"]["cpu_seconds"] / found["reading"]["cpu_seconds"]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        json.dumps(
            {
                "shards": len(run.shards),
                **found,
                "cpu_of_grading_to_reading": round(ratio, 1),
                "peak_memory_mebibytes": memory,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
