"""`pacore grade` as its user meets it: twice, killed, interrupted, after a retry, and refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pacore.cli.main import main
from pacore.core.config.run import RunConfig
from pacore.runs.retry import begin_retry
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import committed_units, read_commit
from pacore.store.gradings import as_published, current_grading, read_gradings
from pacore.store.layout import OWN
from pacore.store.run import open_run
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT, Pacore, pacore_command
from tests.fixtures.pipeline import journal_size, run_stages, scripted_config, table, write_problems
from tests.fixtures.processes import descendants, left_after

pytestmark = pytest.mark.slow

MODEL = "scripted?words=12&truncate=0.1"


SHARDS = 40


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of many small shards."""
    folder = tmp_path_factory.mktemp("finished")
    run_stages(config_of(folder / "store"))
    return folder


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> Path:
    """The store of that run, to be graded."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "store"


def config_of(place: Path) -> RunConfig:
    problems = write_problems(place.parent / "p.jsonl", SHARDS)
    return scripted_config(place, problems, model=MODEL, widths=(3,), shard_size=1, run_id="mine")


def grade(place: Path, *more: str) -> int:
    """What the command ends with; it prints for `capsys`."""
    return main(["grade", "mine", "--store", str(place), *more])


def verdict_commits(store: Backend) -> dict[str, bytes]:
    """The commits of later gradings, not those of the run's own."""
    keys = store.list("commits/run_id=mine/verdicts")
    return {key: store.get(key) for key in keys if ".grun" not in key}


def test_grading_again_keeps_what_was_said_before_and_generates_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paid = journal_size(str(place))
    assert grade(place) == 0
    done = capsys.readouterr()
    for row in (
        r"^ +1 +120 +\d+",
        r"^ +2 +40 +\d+",
        r"^run +auto +\S +\d+\.\d % +40/40$",
        r"auto +math .* 40/40 +current$",
    ):
        assert re.search(row, done.out, re.MULTILINE), done.out
    before = verdict_commits(open_store(str(place)))

    assert grade(place) == 0
    again = capsys.readouterr()
    assert re.search(r"^run mine, grading [0-9a-f]{8}: graded already; nothing to do$", again.err)
    assert again.out == done.out

    assert grade(place, "--grader", "text") == 0
    assert f"pacore flips --store {place} mine" in capsys.readouterr().out
    store = open_store(str(place))
    after = verdict_commits(store)
    assert {key: after[key] for key in before} == before
    assert len(after) == 2 * len(before)
    assert journal_size(str(place)) == paid
    with Warehouse(store) as warehouse:
        rows = list(warehouse.query("SELECT grader, stands FROM gradings ORDER BY sequence").rows)
        assert not any(warehouse.run_checks().values())
    assert rows == [("auto", False), ("auto", False), ("text", True)]
    assert main(["flips", "mine", "--store", str(place), "--format", "json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)
    assert main(["status", "--store", str(place)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("text")


def started(place: Path, most: int) -> subprocess.Popen[str]:
    """``pacore grade``, once it has committed some of its eighty shard-rounds."""
    process = subprocess.Popen(
        pacore_command(["grade", "mine", "--store", str(place), "--workers", "1"]),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    store = open_store(str(place))
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        if len(verdict_commits(store)) >= most or process.poll() is not None:
            break
        time.sleep(0.001)
    return process


def test_a_killed_grading_goes_on_and_loses_only_what_was_in_flight(
    place: Path, command: Pacore
) -> None:
    store = open_store(str(place))
    process = started(place, 3)
    children = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was killed at work"
    assert not left_after(children, 60.0)
    before = verdict_commits(store)
    assert 3 <= len(before) < 2 * SHARDS
    (record,) = read_gradings(store, "mine")
    assert record.finished_at is None
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())
        assert list(warehouse.query("SELECT DISTINCT grading FROM scores").rows) == [("run",)]
    assert grade(place) == 0
    after = verdict_commits(store)
    assert {key: after[key] for key in before} == before
    assert len(after) == 2 * SHARDS
    given = table(str(place), "mine", "verdicts", ["grading"])
    assert sum(grading != OWN for _, grading in given) == 4 * SHARDS
    audit = command("audit", "mine", "--store", str(place))
    assert audit.returncode == 0, audit.stdout


def test_an_interrupted_grading_says_so_and_goes_on(place: Path) -> None:
    process = started(place, 3)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert "interrupted; run the same command again to resume" in said
    assert "Traceback" not in said
    assert grade(place) == 0
    assert len(verdict_commits(open_store(str(place)))) == 2 * SHARDS


def test_what_a_retry_replaced_is_graded_under_the_new_revision(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(str(place))
    assert grade(place) == 0
    before = verdict_commits(store)
    run = open_run(store, "mine")
    assert begin_retry(store, run, "problem_id = 'sum-0003' AND round = 1 AND slot = 1", 60)
    capsys.readouterr()
    assert grade(place) == 2
    assert capsys.readouterr().err.startswith("pacore: run mine is not at its end; ")
    run_stages(config_of(place))
    units = committed_units(store, "mine")
    assert current_grading(as_published(read_gradings(store, "mine"), units)) is None
    assert grade(place) == 0
    new = {key for key in verdict_commits(store) if key not in before}
    assert len(new) == 2 and all(".r1.g" in key for key in new)
    with Warehouse(store) as warehouse:
        assert not any(warehouse.run_checks().values())
        stands = list(warehouse.query("SELECT grader, sequence FROM gradings WHERE stands").rows)
        missing = warehouse.query(
            "FROM trajectories ANTI JOIN verdicts "
            "USING (run_id, round, problem_id, replicate, slot, trajectory_id)"
        )
        assert list(missing.rows) == []
    assert stands == [("auto", 1)]
    capsys.readouterr()
    assert grade(place) == 0
    assert "graded already" in capsys.readouterr().err


def test_what_cannot_be_graded_is_refused_in_a_line_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path for path in place.rglob("*") if path.is_file())
    for arguments, said in (
        (["nobody"], "; its runs: mine"),
        (
            ["mine", "--grader", "maths"],
            "--grader: unknown grader 'maths' (did you mean math?); one of math",
        ),
        (["mine", "--grader", "numeric:abs=x"], "--grader: 'numeric:abs=x': abs must be a number"),
        (
            ["mine", "--grader", "judge:k=9"],
            "--grader: 'judge:k=9': k is greater than the number of votes",
        ),
        (["mine", "--workers", "none"], "--workers: "),
        (["mine", "--grading-timeout-seconds", "0"], "--grading-timeout-seconds: "),
    ):
        assert main(["grade", *arguments, "--store", str(place)]) == 2
        refused = capsys.readouterr().err
        assert refused.startswith("pacore: ") and said in refused
        assert refused.count("\n") == 1
    assert main(["flips", "mine", "mine", "--from", "run", "--store", str(place)]) == 2
    assert "--from and --to name gradings of one run" in capsys.readouterr().err
    assert sorted(path for path in place.rglob("*") if path.is_file()) == before


def test_several_runs_are_graded_at_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = scripted_config(
        place, write_problems(place.parent / "q.jsonl", 3), widths=(2,), run_id="second"
    )
    run_stages(config)
    assert main(["grade", "second", "mine", "second", "--store", str(place)]) == 0
    assert capsys.readouterr().out.count("current") == 2
    store = open_store(str(place))
    for run_id in ("mine", "second"):
        (record,) = read_gradings(store, run_id)
        assert record.finished_at is not None
    unit = next(unit for unit in committed_units(store, "second") if unit.grading)
    assert read_commit(store, unit).rows > 0
