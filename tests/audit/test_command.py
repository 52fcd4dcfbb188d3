"""``pacore audit`` as it is typed: exit codes, bounded output, JSON, and hostile data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pacore.store.backends.opening import open_store
from tests.conftest import Pacore
from tests.fixtures.audited import RUN, copy_of, finish, finished_night
from tests.fixtures.corruption import Row, rewrite, unit_of
from tests.fixtures.pipeline import scripted_config, write_problems

pytestmark = pytest.mark.slow

ESCAPE = "\x1b]0;owned\x07\u202e"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_night(tmp_path_factory.mktemp("night"))


def test_a_sound_run_ends_with_0_and_says_what_was_looked_at(night: Path, pacore: Pacore) -> None:
    done = pacore("audit", RUN, "--store", str(night))
    assert done.returncode == 0, done.stdout + done.stderr
    checked, verdict = done.stdout.splitlines()
    assert "12 answers, 12 verdicts" in checked
    assert verdict == f"run {RUN}: nothing is wrong"


def no_seeds(rows: list[Row]) -> None:
    for row in rows:
        row["seed"] = 0


def test_findings_end_with_1_a_line_each_and_no_more_than_asked_for(
    night: Path, tmp_path: Path, command: Pacore
) -> None:
    store = copy_of(night, tmp_path / "store")
    unit = unit_of(store, RUN, "trajectories", 1)
    file = rewrite(store, unit, no_seeds)
    done = command("audit", RUN, "--store", str(tmp_path / "store"), "--limit", "2")
    assert done.returncode == 1
    first, second, more, _, verdict = done.stdout.splitlines()
    for line in (first, second):
        assert line.startswith(f"error: {file}: trajectories round 1 sum-")
        assert "seed is 0; " in line
    assert more.startswith("… and ") and more.endswith(" more; --limit shows more")
    assert verdict.startswith(f"run {RUN}: ") and verdict.endswith(" errors")
    done = command("audit", RUN, "--store", str(tmp_path / "store"), "--format", "json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    named = [f for f in report["findings"] if f["file"] == file and f["check"] == "identity"]
    assert {f["slot"] for f in named} == {0, 1, 2, 3}
    assert report["errors"] >= len(named)
    assert report["checked"]["answers"] == 12


def test_an_unknown_run_ends_with_2(night: Path, command: Pacore) -> None:
    done = command("audit", "day", "--store", str(night))
    assert done.returncode == 2
    assert "no run 'day' in " in done.stderr and RUN in done.stderr


@pytest.mark.parametrize("form", ["table", "json"])
def test_what_stands_in_a_damaged_table_cannot_act_on_the_terminal(
    tmp_path: Path, command: Pacore, form: str
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    finish(scripted_config(tmp_path / "store", problems, widths=(2,), run_id=RUN))
    store = open_store(str(tmp_path / "store"))
    unit = unit_of(store, RUN, "messages", 1)
    rewrite(store, unit, lambda rows: rows[0].update(text=ESCAPE, trajectory_id=ESCAPE))
    rewrite(store, unit, lambda rows: rows[1].update(compactor=ESCAPE))
    done = command("audit", RUN, "--store", str(tmp_path / "store"), "--format", form)
    assert done.returncode == 1
    assert "owned" in done.stdout
    assert not set(ESCAPE) & set(done.stdout) - set("0;owned]")
