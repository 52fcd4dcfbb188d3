"""A scheduler in a plain process: every stage of every open shard, without Prefect's start-up time.

python -m benchmarks.chaos.scheduler config.json reports.json
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from pacore.core.config.run import RunConfig
from pacore.errors import PacoreError
from pacore.runs.answers import conclude
from pacore.runs.context import Context, OpenShard, StageReport, close_context, context_of
from pacore.runs.messages import compact
from pacore.runs.problems import begin, close, open_shards
from pacore.runs.trajectories import fill
from pacore.runs.verdicts import grade


def work_on(config: RunConfig) -> list[StageReport]:
    """Work on all open shards side by side, close the run, and return what stands of each stage."""
    run = begin(config)
    config = config.model_copy(update={"run_id": run.run_id})
    context = context_of(config, run.run_id)
    try:
        works = open_shards(context.store, run)
        with ThreadPoolExecutor(max(1, len(works))) as threads:
            shards = [threads.submit(_finish, context, work) for work in works]
            try:
                reports = [report for shard in shards for report in shard.result()]
            except PacoreError:
                context.stop()
                raise
        close(context.store, run)
    finally:
        close_context(config, run.run_id)
    return reports


def _finish(context: Context, work: OpenShard) -> list[StageReport]:
    reports = []
    for round_ in range(1, context.run.plan.rounds + 1):
        reports += [fill(context, work, round_), compact(context, work, round_)]
    return [*reports, conclude(context, work), grade(context, work)]


def main() -> int:
    config_file, reports_file = map(Path, sys.argv[1:])
    try:
        reports = work_on(RunConfig.model_validate_json(config_file.read_text()))
    except PacoreError as fault:
        print(f"pacore: {fault}", file=sys.stderr)
        return fault.exit_code
    reports_file.write_text(json.dumps([asdict(report) for report in reports]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
