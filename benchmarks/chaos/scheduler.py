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
from pacore.runs.loop import finish_shard
from pacore.runs.problems import close, open_work
from pacore.runs.work import StageReport


def work_on(config: RunConfig) -> list[StageReport]:
    """Work on all open shards side by side, close the run, and return what stands of each stage."""
    with open_work(config) as work:
        with ThreadPoolExecutor(max(1, len(work.left))) as threads:
            finished = [threads.submit(finish_shard, work.shard(opened)) for opened in work.left]
            try:
                reports = [report for shard in finished for report in shard.result()]
            except PacoreError:
                work.stop()
                raise
        close(work.store, work.run)
        return reports


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
