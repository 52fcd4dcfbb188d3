"""Training sets in a store: the last record counts, decisions are read back, and counts add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pacore.errors import Refused
from pacore.store.backends.opening import open_store
from pacore.store.schema import TrainingDecision
from pacore.store.training import (
    StageCount,
    TrainingRecord,
    TrainingSource,
    counts,
    kept_problems,
    list_training,
    put_training,
    read_all_training,
    read_decisions,
    read_training,
    write_decisions,
)

FIRST = TrainingRecord(
    "sums", datetime(2026, 11, 30, tzinfo=UTC), {"filters": {"links": True}},
    (TrainingSource("a", "arithmetic", "none"), TrainingSource("b", "set", "MIT")),
    {"links": True}, "derived/sums.pool.jsonl", "sums.pool", 24, {"math": "9/24"}, {},
)  # fmt: skip


def decided(stage: str, source: str, name: str, reason: str | None = None) -> TrainingDecision:
    return TrainingDecision("sums", stage, source, name, reason is None, reason)


def test_the_last_record_counts_and_the_same_is_written_once(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    put_training(store, FIRST)
    put_training(store, replace(FIRST, written_at=datetime.now(UTC)))
    assert sum(1 for _ in store.list("training")) == 1
    put_training(store, replace(FIRST, checkpoint="stage1-250"))
    put_training(store, replace(FIRST, name="other"))
    assert read_training(store, "sums").checkpoint == "stage1-250"
    assert list_training(store) == ["other", "sums"]
    assert [one.name for one in read_all_training(store)] == ["other", "sums"]
    with pytest.raises(Refused, match=r"no training set 'sum' in .*did you mean sums"):
        read_training(store, "sum")


def test_decisions_are_kept_by_their_content_and_counted_by_stage_source_and_reason(
    tmp_path: Path,
) -> None:
    store = open_store(str(tmp_path))
    filters = [
        decided("filters", "b", "b.2"), decided("filters", "a", "a.1"),
        decided("filters", "b", "b.3", "links"), decided("filters", "b", "b.1"),
    ]  # fmt: skip
    key = write_decisions(store, "sums", "filters", filters)
    assert write_decisions(store, "sums", "filters", filters) == key
    record = replace(FIRST, decisions={"filters": key})
    put_training(store, record)
    assert list(read_decisions(store, record, "filters")) == filters
    assert kept_problems(store, "sums", "filters") == ["a.1", "b.1", "b.2"]
    assert counts(store, "sums") == [
        StageCount("filters", "a", None, 1), StageCount("filters", "b", None, 2),
        StageCount("filters", "b", "links", 1),
    ]  # fmt: skip
    assert record.last_stage == "filters"
    with pytest.raises(Refused, match="stage1 has not come to its end"):
        kept_problems(store, "sums", "stage1")
