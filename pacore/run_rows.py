"""Runs as rows of the table ``runs``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pacore.core.identity import canonical_json
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import final_key, retries_prefix
from pacore.store.rows import Row
from pacore.store.run import Run


def _retries_among(keys: set[str], run_id: str) -> int:
    return sum(key.startswith(f"{retries_prefix(run_id)}/") for key in keys)


End = Mapping[str, Any]
"""How a run ended, as its record has it; empty for one that is open."""


def read_ends(store: Backend, runs: Sequence[Run]) -> dict[str, End | StoreError]:
    """How each run ended, or why its record of that cannot be used."""
    there = set(store.list("runs"))
    end_of = {run.run_id: final_key(run.run_id, _retries_among(there, run.run_id)) for run in runs}
    closed = {run_id: key for run_id, key in end_of.items() if key in there}
    found: dict[str, End | StoreError] = {run.run_id: {} for run in runs}
    for (run_id, key), data in zip(
        closed.items(), store.get_many(list(closed.values())), strict=True
    ):
        try:
            record = json.loads(data)
            datetime.fromisoformat(record["finished_at"])
            found[run_id] = {**record, "failed": int(record["counts"]["failed"])}
        except (ValueError, KeyError, TypeError) as fault:
            found[run_id] = StoreError(f"{key}: is not a run's end: {fault!r}")
    return found


def run_rows(runs: Sequence[Run], ends: Mapping[str, End]) -> Iterator[Row]:
    """Each run as a row of the table ``runs``."""
    for run in runs:
        final = ends[run.run_id]
        status = "open" if not final else "failures" if final["failed"] else "complete"
        finished = final.get("finished_at")
        yield (
            run.run_id,
            status,
            datetime.fromisoformat(run.created_at),
            datetime.fromisoformat(finished) if finished else None,
            run.identity_digest,
            PurePosixPath(run.problem_set).stem,
            run.problems,
            run.recipe.model,
            run.recipe.revision,
            list(run.plan.widths),
            run.plan.replicates,
            run.plan.rounds,
            canonical_json(run.recipe.as_json()).decode(),
            canonical_json(run.plan.as_json()).decode(),
            canonical_json(run.producer).decode(),
            [run.plan.need(round_) for round_ in range(1, run.plan.rounds + 1)],
            run.plan.on_shortfall,
            run.plan.truncated,
            run.plan.pool,
            run.plan.compaction,
            [step.kind for step in run.plan.steps],
            [step.max_tokens for step in run.plan.steps],
        )
