"""Runs by their name: resumed, repeated with changes, and shown, without the command they began with."""

from __future__ import annotations

import json
import re
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pacore.api.runs import run
from pacore.core.config.run import RunConfig
from pacore.runs.problems import begin
from pacore.store.backends.opening import open_store
from pacore.store.run import is_closed, open_run
from tests.conftest import Pacore
from tests.fixtures.pipeline import journal_size, scripted_config, tables, write_problems
from tests.fixtures.started import Started

pytestmark = pytest.mark.slow


@pytest.fixture
def made(tmp_path: Path) -> RunConfig:
    """The configuration of a run that is complete."""
    problems = write_problems(tmp_path / "problems.jsonl", 6)
    config = scripted_config(
        tmp_path / "store", problems, widths=(3,), run_id="first", shard_size=3
    )
    run(config, progress=False)
    return config


def test_an_interrupted_run_is_resumed_by_its_name_without_its_problem_file(
    tmp_path: Path, prefect_api: str, pacore: Pacore
) -> None:
    assert prefect_api
    started = Started(tmp_path, "--engine", "scripted", "--model", "scripted?latency_ms=400")
    started.when(lambda: started.has_journalled(5), signal.SIGINT)
    assert started.ended() == 130, started.said
    store = started.store
    resume = f"pacore resume --store {store} mine"
    assert resume in started.said
    refused = pacore("grade", "--store", str(store), "mine")
    assert refused.returncode == 2 and resume in refused.stderr
    assert resume in pacore("show", "--store", str(store), "mine").stdout
    (tmp_path / "problems.jsonl").unlink()
    done = pacore("resume", "--store", str(store), "mine", "--concurrency", "64")
    assert done.returncode == 0, done.stderr
    assert journal_size(store) == 20 * 9
    assert "20 of 20 answers scored" in done.stdout
    again = pacore("resume", "--store", str(store), "mine")
    assert again.returncode == 0 and "nothing to do" in again.stderr


def test_a_run_cannot_be_resumed_with_other_settings_of_its_trajectories(
    made: RunConfig, command: Pacore
) -> None:
    assert command("resume", "--store", made.store, "first", "--temperature", "0").returncode == 2
    begin(made.model_copy(update={"run_id": "second", "replicates": 2}))
    done = command("resume", "--store", made.store, "second", "--engine", "vllm")
    assert done.returncode == 2 and "engine vllm needs a model's name" in done.stderr
    assert not is_closed(open_store(made.store), "second")


def test_a_run_that_is_not_there_is_refused_by_name(made: RunConfig, command: Pacore) -> None:
    for arguments in (["resume", "frist"], ["show", "frist"], ["run", "--like", "frist"]):
        done = command(*arguments, "--store", made.store)
        assert done.returncode == 2
        assert "first" in done.stderr


def test_a_run_like_another_has_its_settings_but_for_those_that_are_given(
    made: RunConfig, prefect_api: str, command: Pacore
) -> None:
    assert prefect_api
    line = ["--store", made.store, "--like", "first", "--run-id"]
    done = command("run", *line, "wider", "--preset", "low", "--replicates", "2")
    assert done.returncode == 0, done.stderr
    store = open_store(made.store)
    wider = open_run(store, "wider")
    assert wider.plan.configuration == "[4, 1]" and wider.plan.replicates == 2
    assert wider.shard_size == 3 and wider.identity["problem_set"]
    assert "marginal TTC" in done.stdout
    # Each takes 4 draws of the bare problem, of which the first run has made 3.
    reused = [row for row in tables(made.store, "wider")["trajectories"] if row]
    assert len(reused) == 6 * 2 * 5
    planned = command("plan", *line, "third")
    assert planned.returncode == 0 and re.search(r"all +24 +24 ", planned.stdout)


def test_a_sweep_like_a_run_leaves_its_widths_to_the_arms(
    made: RunConfig, prefect_api: str, command: Pacore
) -> None:
    assert prefect_api
    done = command(
        "sweep", "--store", made.store, "--like", "first", "--arm", "single", "--arm", "2"
    )
    assert done.returncode == 0, done.stderr
    assert "single" in done.stdout


def test_a_pool_without_a_final_trajectory_is_the_preset_single(
    made: RunConfig, prefect_api: str, command: Pacore
) -> None:
    assert prefect_api
    line = ["run", "--store", made.store, "--like", "first", "--run-id", "pool"]
    done = command(*line, "--preset", "single", "--replicates", "3")
    assert done.returncode == 0, done.stderr
    assert "marginal TTC   0 tokens newly generated" in done.stdout
    assert len(tables(made.store, "pool")["trajectories"]) == 6 * 3
    first = {row[6] for row in tables(made.store, "first")["trajectories"] if row[0] == 1}
    assert {row[6] for row in tables(made.store, "pool")["trajectories"]} == first


def test_a_dated_run_is_another_each_day(tmp_path: Path, prefect_api: str, command: Pacore) -> None:
    assert prefect_api
    problems, store = write_problems(tmp_path / "problems.jsonl", 2), tmp_path / "store"
    line = ["run", "--problems", str(problems), "--engine", "scripted", "--widths", "1"]
    before = datetime.now(UTC)
    done = command(*line, "--store", str(store), "--run-id", "night-{date}")
    assert done.returncode == 0, done.stderr
    days = {f"night-{moment:%Y%m%d}" for moment in (before, datetime.now(UTC))}
    assert {path.name for path in (store / "runs").iterdir()} <= days


def test_show_prints_the_configuration_the_command_and_the_results_of_a_run(
    made: RunConfig, command: Pacore
) -> None:
    shown = command("show", "--store", made.store, "first").stdout
    assert re.search(r"^widths +\[3\] +identity \(plan\)$", shown, re.M)
    assert f"--widths 3 --store {made.store} --run-id first" in shown
    assert "6 of 6 answers scored" in shown


def test_problems_are_listed_in_the_order_of_their_file_under_the_names_it_has(
    tmp_path: Path, command: Pacore
) -> None:
    names = ["test/9.json", "test/10.json", "b", "a"]
    rows = [
        {"id": name, "problem": f"What is {n} + 1?", "answer": "1"} for n, name in enumerate(names)
    ]
    problems = tmp_path / "named.jsonl"
    problems.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    config = scripted_config(tmp_path / "store", problems, widths=(), run_id="named")
    run(config, progress=False)
    shown = command("show", "--store", config.store, "named").stdout
    listed = shown.partition("\nproblem ")[2].splitlines()[2:6]
    assert [line.split()[0] for line in listed] == names
    assert command("show", "--store", config.store, "named", "test/9.json").returncode == 0


def test_show_marks_which_trajectories_are_right_and_shows_conclusions_whole(
    made: RunConfig, command: Pacore
) -> None:
    line = ["show", "--store", made.store, "first", "sum-0001"]
    before = command(*line).stdout
    assert "correct" not in before.partition("round 2")[0], "not graded yet"
    assert command("grade", "--store", made.store, "first").returncode == 0
    graded = command(*line).stdout
    assert re.search(r"stop .* (correct|wrong) ", graded.partition("round 2")[0])
    whole = command(*line, "--whole").stdout
    assert re.search(r"round 1, slot 2 · (correct|wrong)", whole)
    assert whole.count("\\boxed{") > graded.count("\\boxed{")
    refused = command("show", "--store", made.store, "first", "--whole")
    assert refused.returncode == 2 and "name it after the run" in refused.stderr


def test_runs_that_are_not_at_their_end_are_not_compared(made: RunConfig, command: Pacore) -> None:
    begin(made.model_copy(update={"run_id": "second", "replicates": 2}))
    done = command("compare", "--store", made.store, "first", "second")
    assert done.returncode == 2
    assert f"pacore resume --store {made.store} second" in done.stderr


def test_a_figure_that_cannot_be_written_is_refused_before_anything_is_graded(
    made: RunConfig, command: Pacore, tmp_path: Path
) -> None:
    before = sorted(path for path in Path(made.store).rglob("*") if path.is_file())
    for file, said in (
        ("f.gif", "ends in none of"),
        (str(tmp_path / "no" / "f.png"), "there is no folder"),
    ):
        done = command("evaluate", "--store", made.store, "first", "--figure", file)
        assert done.returncode == 2 and said in done.stderr, file
    assert sorted(path for path in Path(made.store).rglob("*") if path.is_file()) == before


def test_samples_that_change_with_the_time_need_a_run_that_does(
    made: RunConfig, command: Pacore
) -> None:
    line = ["plan", "--store", made.store, "--like", "first", "--seed-root", "{time}", "--run-id"]
    refused = command(*line, "night-{date}")
    assert refused.returncode == 2 and "the same command could never resume" in refused.stderr
    assert command(*line, "night-{date}-{time}").returncode == 0
