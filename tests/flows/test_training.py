"""`pacore training` on a real Prefect server: what is kept and why, resumed, and by other checkpoints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pacore.core.identity import canonical_json
from pacore.store.backends.opening import open_store
from pacore.store.training import (
    TrainingRecord,
    counts,
    kept_problems,
    read_decisions,
    read_training,
)
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT, Pacore
from tests.fixtures.code_problems import write_candidates
from tests.fixtures.pipeline import journal_size, journal_tokens, table, tables
from tests.flows.test_nightly_kills import KILLED

pytestmark = pytest.mark.slow

SUMS = {
    "kind": "arithmetic", "name": "sums", "count": 24, "digits": [1, 2],
    "operations": ["add", "multiply", "power"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _connected(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)


def written(folder: Path, **fields: object) -> Path:
    """The file of a training set over a store of its own; YAML has JSON in it."""
    folder.mkdir(exist_ok=True)
    given: dict[str, object] = {
        "name": "mine", "sources": [SUMS], "pool": 8, "bands": {"math": "6/8"},
        "run": {"engine": "scripted", "store": str(folder / "store")},
        "synthesis": {"run": {"model": "scripted?words=20"}, "sets": 3}, **fields,
    }  # fmt: skip
    file = folder / "training.yaml"
    file.write_bytes(canonical_json(given))
    return file


def made(command: Pacore, file: Path) -> Mapping[str, Any]:
    done = command("training", str(file), "--format", "json")
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def test_a_training_set_is_counted_resumed_and_done_again_for_another_checkpoint(
    tmp_path: Path, command: Pacore
) -> None:
    rows = [
        {"id": "easy", "problem": "What is 2 + 2?", "answer": "4"},
        {"id": "same", "problem": "What is  2 + 2?", "answer": "4"},
        {"id": "linked", "problem": "What is www.example.org?", "answer": "4"},
    ]
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own_set = {"kind": "set", "name": "own", "problems": str(own), "licence": "MIT"}
    fields: dict[str, object] = {"sources": [SUMS, own_set]}
    file = written(tmp_path / "a", **fields)
    first = made(command, file)
    url = str(tmp_path / "a" / "store")
    store, paid = open_store(url), journal_size(url)
    by_stage = {
        (stage, source): sum(
            one["problems"] for one in first["counts"]
            if (one["stage"], one["source"]) == (stage, source)
        )
        for stage in ("filters", "stage1", "stage2") for source in ("sums", "own")
    }  # fmt: skip
    assert by_stage["filters", "sums"] == 24
    assert by_stage["filters", "own"] == 3
    for before, after in (("filters", "stage1"), ("stage1", "stage2")):
        for source in ("sums", "own"):
            kept = [
                one["problems"] for one in first["counts"]
                if (one["stage"], one["source"], one["reason"]) == (before, source, None)
            ]  # fmt: skip
            assert by_stage[after, source] == sum(kept)
    dropped = {one["reason"] for one in first["counts"] if one["stage"] == "filters"}
    assert dropped == {None, "near duplicate", "link"}

    record = read_training(store, "mine")
    assert record.runs == (first["pool_run"], first["synthesis_run"])
    right = _right_in(url, record.pool_run)
    for decision in read_decisions(store, record, "stage1"):
        assert (decision.right, decision.observed) == (right.get(decision.problem_id, 0), 8)
        assert decision.is_kept == (0 < Fraction(decision.right or 0, 8) < Fraction(6, 8))
    assert {one.stage for one in counts(store, "mine")} == {"filters", "stage1", "stage2"}
    assert set(kept_problems(store, "mine", "stage2")) < set(kept_problems(store, "mine", "stage1"))
    for run_id in record.runs:
        assert command("audit", run_id, "--store", url).returncode == 0

    assert made(command, file) == first, "nothing changed"
    assert journal_size(url) == paid
    shown = command("training", "show", "mine", "--store", url)
    assert "stage 2" in shown.stdout and "near duplicate" in shown.stdout
    with Warehouse(store, None) as warehouse:
        query = "SELECT sum(problems) FROM mart_training WHERE stage = 'filters'"
        assert [int(number) for (number,) in warehouse.query(query).rows] == [27]

    again = {"model": "scripted?words=30"}
    other = made(command, written(tmp_path / "a", synthesis={"run": again, "sets": 3}, **fields))
    assert other["pool_run"] == first["pool_run"]
    assert other["synthesis_run"] != first["synthesis_run"]
    assert other["checkpoint"] == "scripted?words=30"
    stage1 = len(kept_problems(store, "mine", "stage1"))
    assert journal_size(url) == paid + 3 * stage1, "stage 2 alone"
    assert [one for one in other["counts"] if one["stage"] != "stage2"] == [
        one for one in first["counts"] if one["stage"] != "stage2"
    ]


def _right_in(url: str, run_id: str) -> Mapping[str, int]:
    """How many of a problem's trajectories are right, from the rows of the run's own verdicts."""
    found: dict[str, int] = {}
    for _, problem_id, grading, verdict in table(
        url, run_id, "verdicts", ("problem_id", "grading", "verdict")
    ):
        if grading == "run" and verdict == "correct":
            found[problem_id] = found.get(problem_id, 0) + 1
    return found


def test_problems_near_a_bound_are_drawn_further_and_nothing_twice(
    tmp_path: Path, command: Pacore
) -> None:
    bands = {"math": "1/2", "policy": "sample", "most_draws": 32}
    found = made(command, written(tmp_path / "a", bands=bands, synthesis=None))
    url = str(tmp_path / "a" / "store")
    record = read_training(open_store(url), "mine")
    assert [len(run.split("-")) for run in found["further_runs"]] == [3, 3]
    drawn = {one.problem_id: one for one in read_decisions(open_store(url), record, "stage1")}
    assert {one.drawn for one in drawn.values()} <= {8, 16, 32}
    assert {one.reason for one in drawn.values() if one.straddles} == {"undecided"}
    for one in drawn.values():
        if one.is_kept:
            assert one.high is not None and one.high < 0.5
    assert journal_size(url) == sum(one.drawn or 0 for one in drawn.values())
    assert found["synthesis_run"] is None


def test_the_runs_of_a_training_set_share_a_budget_and_a_larger_one_goes_on(
    tmp_path: Path, command: Pacore
) -> None:
    def settings(folder: Path, limit: int | None) -> Path:
        run = {
            "engine": "scripted", "store": str(folder / "store"), "max_tokens_total": limit,
            "partial": True, "concurrency": 2,
        }  # fmt: skip
        return written(folder, run=run)

    undisturbed = tmp_path / "undisturbed"
    found = made(command, settings(undisturbed, None))
    whole = journal_tokens(str(undisturbed / "store"))
    limit = whole["mine.pool"] + whole[found["synthesis_run"]] // 2
    store = str(tmp_path / "a" / "store")
    done = command("training", str(settings(tmp_path / "a", limit)))
    assert done.returncode == 5, done.stderr
    assert f"of the training set's max_tokens_total {limit:,}" in done.stderr
    assert sum(journal_tokens(store).values()) <= limit + 2 * 3 * 60
    assert journal_tokens(store)["mine.pool"] == whole["mine.pool"]
    made(command, settings(tmp_path / "a", 10**6))
    assert journal_tokens(store) == whole
    assert journal_size(store) == journal_size(str(undisturbed / "store")), "nothing twice"


def test_an_incomplete_pool_is_unobserved(tmp_path: Path, command: Pacore) -> None:
    run = {
        "engine": "scripted", "model": "scripted?fault=0.05", "store": str(tmp_path / "a" / "store"),
        "retries": 0, "attempts": 1,
    }  # fmt: skip
    found = made(command, written(tmp_path / "a", run=run, synthesis=None))
    record = read_training(open_store(run["store"]), "mine")  # type: ignore[arg-type]
    decisions = list(read_decisions(open_store(str(run["store"])), record, "stage1"))
    lacking = [one for one in decisions if one.observed != 8]
    assert lacking
    assert {one.reason for one in lacking} == {"unobserved"}
    assert any(one["reason"] == "unobserved" for one in found["counts"])
    whole = [one for one in decisions if one.observed == 8]
    assert "unobserved" not in {one.reason for one in whole}


def test_programs_and_sums_are_one_training_set_each_kind_within_its_own_bounds(
    tmp_path: Path, command: Pacore
) -> None:
    asked = write_candidates(tmp_path / "candidates.jsonl")
    programs = tmp_path / "programs.jsonl"
    tests = command("training", "tests", str(asked), "--output", str(programs), "--tests", "6")
    assert tests.returncode == 0, tests.stderr
    own = {"kind": "set", "name": "own", "problems": str(programs), "licence": "CC0-1.0"}
    share = 0.45
    run = {
        "engine": "scripted", "model": f"scripted?words=5&programs={share}",
        "store": str(tmp_path / "a" / "store"),
    }  # fmt: skip
    synthesis = {"run": {"model": "scripted?words=6&programs=0.45"}, "sets": 4}
    fields: dict[str, object] = {"bands": {}, "pool": 24}
    file = written(
        tmp_path / "a", sources=[SUMS | {"count": 6}, own], run=run, synthesis=synthesis, **fields
    )
    found = made(command, file)
    store = open_store(str(tmp_path / "a" / "store"))
    record = read_training(store, "mine")
    decided = list(read_decisions(store, record, "stage1"))
    upper = {"math": Fraction(9, 24), "code": Fraction(15, 24)}
    for one in decided:
        assert one.kind is not None
        assert one.kind == ("code" if one.source == "own" else "math")
        assert one.is_kept == (0 < Fraction(one.right or 0, 24) < upper[one.kind])
    code = [one for one in decided if one.kind == "code"]
    right = sum(one.right or 0 for one in code) / sum(one.drawn or 0 for one in code)
    assert right == pytest.approx(share, abs=0.12), "as often as planned"
    # Between the bounds of the two kinds, so that it matters which of them holds.
    assert any(one.is_kept and Fraction(one.right or 0, 24) >= upper["math"] for one in code)
    by_kind = {
        (one["stage"], one["kind"]): one["problems"]
        for one in found["counts"] if one["reason"] is None
    }  # fmt: skip
    assert by_kind["filters", "code"] == 12 and by_kind["filters", "math"] == 6
    kept = {kind: sum(one.is_kept for one in decided if one.kind == kind) for kind in upper}
    assert by_kind["stage1", "code"] == kept["code"]
    shown = command("training", "show", "mine", "--store", record_url(tmp_path)).stdout
    assert "all, code" in shown and "all, math" in shown
    exported = command(
        "export", "mine", str(tmp_path / "verl"), "--format", "verl", "--stage", "stage1",
        "--store", record_url(tmp_path), "--verify",
    )  # fmt: skip
    assert exported.returncode == 0, exported.stdout + exported.stderr
    assert "hostile programs pass no test that an empty one fails" in exported.stdout
    assert "right messages" in exported.stdout
    assert "bubblewrap" in (tmp_path / "verl" / "README.md").read_text()


def record_url(folder: Path) -> str:
    return str(folder / "a" / "store")


PLACES = {
    "between the problems and their record": (r"/training/mine/records/", 1),
    "while the judge votes": (r"/journal/", 9),
    "between the votes and their record": (r"/training/mine/records/000001", 1),
    "while pools are drawn": (r"/journal/", 40),
    "while pools are graded": (r"/verdicts/.*\.g[0-9a-f]{8}\.json$", 1),
    "between stage 1 and its record": (r"/training/mine/records/000002", 1),
    "while the synthesis is sampled": (r"/journal/", 7),
}


def test_a_training_set_killed_anywhere_is_finished_by_the_same_command(
    tmp_path: Path, command: Pacore
) -> None:
    judge = {"run": {"model": "scripted?words=3"}, "votes": 2}
    whole, killed = (written(tmp_path / name, judge=judge) for name in ("whole", "killed"))
    expected = made(command, whole)
    for place, (pattern, count) in PLACES.items():
        died = subprocess.run(
            [sys.executable, "-c", KILLED, pattern, str(count), "training", str(killed)],
            cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert died.returncode == -9, (place, died.stdout, died.stderr)
    found = made(command, killed)
    assert found["counts"] == expected["counts"]
    assert left(tmp_path / "killed") == left(tmp_path / "whole")


def left(folder: Path) -> object:
    """All that a training set says, and what was paid for it."""
    url = str(folder / "store")
    record = read_training(open_store(url), "mine")
    runs = {run_id: tables(url, run_id) for run_id in record.runs}
    return _undated(record), runs, journal_size(url)


def _undated(record: TrainingRecord) -> TrainingRecord:
    return replace(record, written_at=datetime.min)


def test_a_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path, command: Pacore) -> None:
    file = tmp_path / "training.yaml"
    file.write_text(
        "name: a\nsources:\n  - {kind: arithmetic, name: a, count: 0}\nrun: {engine: scripted}\n"
    )
    done = command("training", str(file))
    assert (done.returncode, done.stderr) == (
        2, f"pacore: {file}:3: sources.0.arithmetic.count: must be at least 1\n",
    )  # fmt: skip
    absent = command("training", "show", "mine", "--store", str(tmp_path))
    assert (absent.returncode, absent.stdout) == (2, "")
