"""The command line as its user meets it: exit codes, messages, interruption and resume."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.conftest import Pacore
from tests.fixtures.pipeline import journal_size, write_problems
from tests.fixtures.started import Started

pytestmark = pytest.mark.slow


def test_bad_rows_are_named_with_exit_code_2_and_nothing_is_written(
    tmp_path: Path, pacore: Pacore
) -> None:
    problems = tmp_path / "bad.jsonl"
    problems.write_text('{"id": [1, 2], "problem": "x"}\n{"problem": ""}\nnot json\n')
    done = pacore(
        "run", "--problems", str(problems), "--engine", "scripted", "--store", str(tmp_path / "s")
    )
    assert done.returncode == 2
    for place in (f"{problems}:1: id:", f"{problems}:2: problem:", f"{problems}:3:"):
        assert place in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "s").exists()


def test_wrong_flags_are_named_with_exit_code_2(tmp_path: Path, pacore: Pacore) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    done = pacore("run", "--problems", str(problems), "--model", "m", "--temperature", "hot")
    assert done.returncode == 2
    assert "--temperature: " in done.stderr
    done = pacore(
        "run", "--problems", str(problems), "--engine", "scripted", "--compaction", "summary"
    )
    assert done.returncode == 2
    assert "--summary-tokens: compaction summary needs it" in done.stderr
    file = tmp_path / "run.yaml"
    file.write_text("engine: scripted\ntemprature: 1\n")
    done = pacore("run", "--problems", str(problems), "--config", str(file))
    assert done.returncode == 2
    assert f"{file}:2: temprature: is not a known name (did you mean temperature?)" in done.stderr


def test_a_script_that_cannot_be_read_is_refused_and_nothing_is_written(
    tmp_path: Path, pacore: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    done = pacore(
        "run", "--problems", str(problems), "--engine", "scripted", "--model", "scripted?wrds=3",
        "--store", str(tmp_path / "s"),
    )  # fmt: skip
    assert done.returncode == 2
    assert "unknown option 'wrds'" in done.stderr
    assert not (tmp_path / "s").exists()


def test_flags_win_over_the_file_and_widths_replace_its_preset(
    tmp_path: Path, pacore: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    file = tmp_path / "run.toml"
    file.write_text('engine = "scripted"\npreset = "high"\nreplicates = 3\n')
    done = pacore(
        "plan", "--problems", str(problems), "--config", str(file), "--widths", "2",
        "--store", str(tmp_path / "s"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.split()[:3] for line in done.stdout.splitlines()[2:4]] == [
        ["1", "2", "12"],
        ["2", "1", "6"],
    ]
    assert not (tmp_path / "s").exists()


def test_an_interrupted_run_ends_with_130_and_goes_on_where_it_stopped(
    tmp_path: Path, prefect_api: str, pacore: Pacore
) -> None:
    assert prefect_api
    started = Started(tmp_path, "--engine", "scripted", "--model", "scripted?latency_ms=400")
    line, store = started.line, started.store
    started.when(lambda: started.has_journalled(10), signal.SIGINT)
    assert started.ended() == 130, started.said
    assert "the same command resumes run mine" in started.said
    before = journal_size(str(store))
    assert before < 20 * 9
    told = pacore("status", "--store", str(store)).stdout.splitlines()[-1]
    assert f" {before}/180 " in told, "what is in the journal counts before its shard is whole"
    # How many requests wait at once is no part of the run, and the rest need not take its time.
    done = pacore(*line, "--concurrency", "200")
    assert done.returncode == 0, done.stderr
    assert journal_size(str(store)) == 20 * 9
    again = pacore(*line)
    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    assert again.stdout.split("accuracy")[1].split("\n")[0] in done.stdout


def test_failed_problems_are_named_with_exit_code_3(
    tmp_path: Path, prefect_api: str, pacore: Pacore
) -> None:
    assert prefect_api
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    done = pacore(
        "run", "--problems", str(problems), "--engine", "scripted", "--model", "scripted?fault=1",
        "--store", str(tmp_path / "s"), "--run-id", "r",
    )  # fmt: skip
    assert done.returncode == 3
    assert "sum-0000" in done.stderr
    assert "sum-0001" in done.stderr
    assert "nanobind" not in done.stderr, "DuckDB complains at the end of the process"
    rows = pacore(
        "query", "select distinct status from answers", "--format", "json",
        "--store", str(tmp_path / "s"),
    )  # fmt: skip
    assert json.loads(rows.stdout) == [{"status": "failed"}]
