"""A rule that stops early where a run is planned and named."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pacore.core.plan import Plan
from pacore.runs.problems import begin
from pacore.store.backends.opening import open_store
from pacore.store.run import Run, headline
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.pipeline import finish, scripted_config, write_problems
from tests.fixtures.regraded import grade


def test_a_plan_under_a_rule_says_that_its_figures_are_the_most_and_what_forecasts_the_rule(
    tmp_path: Path, command: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    line = ["plan", "--problems", str(problems), "--engine", "scripted", "--widths", "8"]
    place = ["--store", str(tmp_path / "store")]
    done = command(*line, *place, "--stopping", "votes:0.9,batch:4")
    assert done.returncode == 0, done.stderr
    assert "by votes:0.9,batch:4: all figures above are without it, at most" in done.stdout
    assert "expected    no stored pool to forecast the rule from\n" in done.stdout
    assert "stopping" not in command(*line, *place).stdout


def test_the_headline_of_a_run_names_its_rule() -> None:
    identity = {"plan": Plan((8,), stopping="votes:0.9").as_json(), "recipe": {"model": "m"}}
    run = Run("r", "", identity, "", "", 1, 1, {})
    assert headline(run) == "run r · m · K = [8, 1] · stopping votes:0.9"
    plain = replace(run, identity={**identity, "plan": Plan((8,)).as_json()})
    assert "stopping" not in headline(plain)


@pytest.mark.slow
def test_a_run_shows_what_its_rule_decided_and_where_a_problem_ended(
    tmp_path: Path, command: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 6)
    config = scripted_config(
        tmp_path / "store", problems, widths=(12, 4), stopping="votes:0.9,batch:6,depth:0.8", run_id="r",
        model="scripted?words=40&answers=3&latency_ms=20", concurrency=6,
    )  # fmt: skip
    finish(config)
    place = ("--store", config.store)
    with Warehouse(open_store(config.store)) as warehouse:
        ((sets, stopped, ended, aborted, not_begun),) = warehouse.query(
            "SELECT sets, stopped, ended, aborted, not_begun FROM mart_stops WHERE round = 1"
        ).rows
        ((problem, sent, counted),) = warehouse.query(
            "SELECT problem_id, count(*) FILTER (tries > 0), any_value(mart_ttc.trajectories) "
            "FROM trajectories JOIN mart_ttc USING (problem_id) "
            "SEMI JOIN agreed USING (problem_id) GROUP BY problem_id ORDER BY problem_id LIMIT 1"
        ).rows
        ((left_out,),) = warehouse.query(
            "SELECT min(problem_id) FROM trajectories WHERE finish_reason = 'aborted' AND tries = 0"
        ).rows
        ((needed,),) = warehouse.query(
            "SELECT count(*) FROM trajectories WHERE finish_reason <> 'aborted'"
        ).rows
    assert stopped and ended and not_begun, "a rule has something to do"
    assert f" {needed}/{needed} " in command("status", "r", *place).stdout
    shown = " ".join(command("show", "r", *place).stdout.split())
    assert f"{stopped} of {sets} sets decided early, after {ended} of them no round; " in shown
    assert f"{aborted} trajectories aborted, {not_begun} not begun; about " in shown
    assert counted == sent, "what was not begun is no trajectory"
    said = command("show", "r", problem, *place).stdout
    assert "its messages agree: one of them has the answer, and no round follows" in said
    explained = command("explain", "r", left_out, *place).stdout
    assert re.search(r"aborted.*\n.*it was not needed, so that nothing is kept of it", explained)
    assert "has no entry of it" not in explained


def test_the_status_of_an_open_run_under_a_rule_has_what_is_needed_at_most(
    tmp_path: Path, command: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    for run_id, stopping in (("plain", None), ("ruled", "votes:0.9")):
        begin(
            scripted_config(
                tmp_path / "store", problems, widths=(6,), stopping=stopping, run_id=run_id
            )
        )
    shown = command("status", "--store", str(tmp_path / "store")).stdout
    assert "0/14" in shown and "0/≤14" in shown


@pytest.mark.slow
def test_a_run_under_a_rule_is_no_pool_to_forecast_from(tmp_path: Path, command: Pacore) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    config = scripted_config(
        tmp_path / "store", problems, widths=(6,), stopping="votes:0.9", run_id="r"
    )
    finish(config)
    grade(config.store, "r")
    done = command("replay", "r", "--store", config.store)
    assert done.returncode == 2
    assert (
        "run r: was made under stopping votes:0.9, so that its whole sets are those" in done.stderr
    )
