"""A training set as a page: what stays before and after each stage, and why others go."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from pacore.report.ledgers.training import (
    TrainingCount,
    TrainingReport,
    training_records,
    training_sheet,
    trainings_sheet,
)
from pacore.report.rendering.markup import to_markdown
from pacore.report.rendering.sheet import ABSENT, to_json
from pacore.report.rendering.terminal import to_text
from pacore.store.training import TrainingRecord, TrainingSource
from tests.fixtures.golden_files import golden

RECORD = TrainingRecord(
    name="mixed",
    written_at=datetime(2026, 11, 30, tzinfo=UTC),
    identity={},
    sources=(TrainingSource("math", "set", "MIT"), TrainingSource("sums", "arithmetic", "CC0-1.0")),
    filters={},
    problem_set="derived/mixed.pool.jsonl",
    pool_run="mixed.pool",
    pool_size=24,
    bands={"math": "9/24", "code": "15/24", "confidence": 0.95, "policy": "sample"},
    decisions={"filters": "f", "stage1": "1", "stage2": "2"},
    recipes={"pool": {"model": "small"}, "synthesis": {"model": "small-250"}},
    further_runs=("mixed.draws-48-1a2b3c4d",),
    synthesis_run="mixed.synthesis-5e6f7a8b",
    checkpoint="small-250",
)

COUNTS = (
    TrainingCount("filters", "math", "math", None, 1800, None, None),
    TrainingCount("filters", "math", "math", "near duplicate", 150, None, None),
    TrainingCount("filters", "math", "math", "link", 50, None, None),
    TrainingCount("filters", "sums", "math", None, 400, None, None),
    TrainingCount("stage1", "math", "math", None, 70, 0, 0.21),
    TrainingCount("stage1", "math", "math", "never right", 900, 0, 0.02),
    TrainingCount("stage1", "math", "math", "too often right", 800, 0, 0.01),
    TrainingCount("stage1", "math", "math", "undecided", 25, 25, 0.5),
    TrainingCount("stage1", "math", "math", "unobserved", 5, 0, None),
    TrainingCount("stage1", "sums", "math", None, 40, 0, 0.2),
    TrainingCount("stage1", "sums", "math", "never right", 360, 0, 0.03),
    TrainingCount("stage2", "math", "math", None, 50, 0, 0.1),
    TrainingCount("stage2", "math", "math", "always right", 20, 0, 0.3),
    TrainingCount("stage2", "sums", "math", None, 35, 0, 0.1),
    TrainingCount("stage2", "sums", "math", "never right", 5, 0, 0.4),
)

REPORT = TrainingReport(RECORD, COUNTS)


def test_a_training_set_is_shown_by_source_stage_and_reason() -> None:
    shown = to_text(training_sheet(REPORT), 100) + "\n"
    assert shown == golden("report/training.txt", shown)
    markdown = to_markdown(training_sheet(REPORT)) + "\n"
    assert markdown == golden("report/training.md", markdown)


def test_training_sets_are_listed_a_line_each() -> None:
    begun = replace(RECORD, name="begun", decisions={"filters": "f"}, checkpoint=None)
    lines = to_text(trainings_sheet([REPORT, TrainingReport(begun, COUNTS[:4])]), 100).splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["mixed", "2,400", "2,200", "110", "85", "mixed.pool", "small-250"],
        ["begun", "2,400", "2,200", ABSENT, ABSENT, "mixed.pool", ABSENT],
    ]


def test_as_json_it_has_its_runs_and_all_counts() -> None:
    found = json.loads(to_json(training_records(REPORT)))
    assert found["pool_run"] == "mixed.pool"
    assert [one["licence"] for one in found["sources"]] == ["MIT", "CC0-1.0"]
    assert len(found["counts"]) == len(COUNTS)
    assert found["counts"][4]["reason"] is None


def test_a_stage_that_has_not_ended_has_no_number() -> None:
    begun = TrainingReport(replace(RECORD, decisions={"filters": "f"}), COUNTS[:4])
    assert begun.problems("filters", None, is_kept=False) == 2400
    assert begun.problems("filters", "math") == 1800
    assert begun.problems("stage1", None) is None
    assert begun.line == "training set mixed: 2,400 problems; filters 2,200"
    assert REPORT.line.endswith("filters 2,200, stage 1 110, stage 2 85")
