"""Killing whatever has a part in a run, at any moment, loses nothing and pays for nothing twice."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.chaos.campaign import Setting
from benchmarks.chaos.series import Fought, one_campaign, stage_set, undisturbed
from pacore.runs.problems import begin, run_counts
from pacore.store.backends.opening import open_store
from pacore.store.layout import final_key
from pacore.store.run import is_closed
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.pipeline import Rows, run_stages, scripted_config, write_problems

pytestmark = pytest.mark.slow

PROBLEMS = 20


EVERYBODY = ("scheduler", "scheduler", "model", "s3")


@dataclass(frozen=True)
class Task:
    """A problem set, and the tables of a run over it that nobody killed."""

    problems: Path
    whole: dict[str, Rows]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder = tmp_path_factory.mktemp("whole")
    problems = write_problems(folder / "problems.jsonl", PROBLEMS)
    return Task(problems, undisturbed(folder, problems, random.Random(0)))


def fought(folder: Path, task: Task, store: str, setting: Setting, kills: int) -> Fought:
    with stage_set(folder, [store]) as places:
        root, s3 = places[store]
        return one_campaign(
            folder / "campaign", setting, (task.problems, task.whole),
            (store, f"{root}/run", s3), (kills, random.Random(1)),
        )  # fmt: skip


def holds(one: Fought) -> bool:
    """Every row once and the journal's, every audit clean, every kill after progress."""
    assert one.verdict.faults == []
    assert one.toll.processes_left == 0
    assert min(one.toll.grown) >= 1
    return one.verdict.rows > PROBLEMS * (8 + 3 + 1)


def test_a_run_killed_again_and_again_ends_with_the_same_tables_and_no_second_bill(
    tmp_path: Path, task: Task, prefect_api: str
) -> None:
    assert prefect_api
    setting = Setting("alone", flow_share=0.5, victims=("scheduler", "scheduler", "model"))
    one = fought(tmp_path, task, "local", setting, kills=4)
    assert holds(one)
    assert one.toll.kills.total() == 4
    assert one.toll.kills["flow"] >= 1
    assert one.verdict.requests_bound is not None
    assert one.verdict.requests_over_one_pass <= one.verdict.requests_bound


def test_a_run_on_s3_outlives_its_schedulers_its_models_and_the_s3_server_itself(
    tmp_path: Path, task: Task
) -> None:
    setting = Setting("together", ("", ""), victims=EVERYBODY)
    one = fought(tmp_path, task, "s3", setting, kills=4)
    assert holds(one)
    assert one.toll.kills == {"scheduler": 2, "model": 1, "s3": 1}


def test_schedulers_that_are_told_different_things_agree_on_whose_word_stands(
    tmp_path: Path, task: Task
) -> None:
    setting = Setting("race", ("", "b", "c"), victims=("scheduler",))
    one = fought(tmp_path, task, "local", setting, kills=3)
    assert holds(one)
    # The others may have finished the run before the last kills are due.
    assert set(one.toll.kills) == {"scheduler"} and one.toll.kills.total() <= 3
    assert one.verdict.contested >= 1


def test_a_run_killed_between_its_last_commit_and_its_end_is_closed_by_the_next_start(
    tmp_path: Path, pacore: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = scripted_config(tmp_path / "store", problems, widths=(2,), run_id="last")
    run_stages(config)
    (tmp_path / "store" / final_key("last")).unlink()
    shutil.rmtree(tmp_path / "store" / "snapshots")
    done = pacore(
        "run", "--problems", str(problems), "--engine", "scripted", "--model", config.model,
        "--widths", "2", "--run-id", "last", "--store", config.store,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    store = open_store(config.store)
    assert is_closed(store, "last")
    assert run_counts(store, begin(config))["answered"] == 3
    with Warehouse(store) as warehouse:
        assert list(warehouse.query("SELECT count(*) FROM scores").rows) == [(3,)]
