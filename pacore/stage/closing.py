"""The end of a run: freeze what there is, and close what has nothing left to do."""

from __future__ import annotations

from collections import Counter

from pacore.stage.problems import open_shards
from pacore.store.backends.protocol import Backend
from pacore.store.commits import (
    COUNTED,
    committed_units,
    read_commits,
    standing_units,
    write_snapshot,
)
from pacore.store.retries import count_retries
from pacore.store.run import Run, close_run, end_counts


def close(store: Backend, run: Run) -> dict[str, int]:
    """Write a snapshot, close the run if every shard is done, and return its counts."""
    # Counted before anything is looked at: a retry that comes later is none this end may cover.
    retries = count_retries(store, run.run_id)
    write_snapshot(store, run.run_id)
    counts = run_counts(store, run)
    if not open_shards(store, run):
        close_run(store, run, counts, retries)
    return counts


def run_counts(store: Backend, run: Run) -> dict[str, int]:
    """Answered, no_answer, failed, retryable, scored and ungraded answers committed so far."""
    counts: Counter[str] = Counter(
        answered=0, no_answer=0, failed=0, retryable=0, scored=0, ungraded=0
    )
    if (ended := end_counts(store, run.run_id)) is not None:
        return {**counts, **ended}
    units = standing_units(committed_units(store, run.run_id))
    for commit in read_commits(store, [unit for unit in units if unit.table in COUNTED]):
        counts.update(commit.counts)
    return dict(counts)
