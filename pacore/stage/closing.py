"""The end of a run: freeze what there is, and close what has nothing left to do."""

from __future__ import annotations

from collections import Counter

from pacore.commits import committed_units, read_commit, standing_units, write_snapshot
from pacore.run import Run, close_run
from pacore.stage.problems import open_shards
from pacore.store import Backend

COUNTED = ("answers", "scores")


def close(store: Backend, run: Run) -> dict[str, int]:
    """Write a snapshot, close the run if every shard is done, and return its counts."""
    write_snapshot(store, run.run_id)
    counts = run_counts(store, run)
    if not open_shards(store, run):
        close_run(store, run, counts)
    return counts


def run_counts(store: Backend, run: Run) -> dict[str, int]:
    """Answered, no_answer, failed, retryable, scored and ungraded answers committed so far."""
    counts: Counter[str] = Counter(
        answered=0, no_answer=0, failed=0, retryable=0, scored=0, ungraded=0
    )
    for unit in standing_units(committed_units(store, run.run_id)):
        if unit.table in COUNTED:
            counts.update(read_commit(store, unit).counts)
    return dict(counts)
