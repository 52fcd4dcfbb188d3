"""What a run under a stopping rule is expected to generate, by the pool of another run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pacore
from pacore.api.evaluation import replay, replay_check
from pacore.api.plan import PlannedRun, plan
from pacore.core.config.run import RunConfig
from pacore.errors import Refused
from pacore.evaluation.replay.planned import RuleForecast, forecast_rule, pool_runs, rule_need
from pacore.runs.problems import begin, open_work
from pacore.store.backends.opening import open_store
from pacore.store.commits import current_files
from pacore.store.run import open_run
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.pipeline import finish, scripted_config, spent_tokens, write_problems
from tests.fixtures.regraded import grade

PROBLEMS = 8

RULE = "votes:0.9,batch:4"

MODEL = "scripted?words=60&answers=3"


def config_of(folder: Path, problems: str = "problems.jsonl", **fields: Any) -> RunConfig:
    given = {"model": MODEL, "widths": (12,), "max_tokens": 512, **fields}
    return scripted_config(folder / "store", folder / problems, **given)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two graded runs without a rule, of one round of several trajectories and of two; and one
    that is not graded, over other problems.
    """
    folder = tmp_path_factory.mktemp("planned")
    write_problems(folder / "problems.jsonl", PROBLEMS)
    for name, widths in (("rounds", (6, 3)), ("whole", (12,))):
        finish(config_of(folder, run_id=name, widths=widths, seed_root=name))
        grade(str(folder / "store"), name)
    write_problems(folder / "few.jsonl", 3)
    finish(config_of(folder, run_id="few", problems="few.jsonl", seed_root="few"))
    return folder


def planned(config: RunConfig) -> PlannedRun:
    return plan(config, on_notice=lambda _: None).data


def under_rule(config: RunConfig) -> RuleForecast:
    found = planned(config).under_rule
    assert found is not None
    return found


def test_a_plan_under_a_rule_has_the_saving_that_a_replay_of_the_stored_pool_says(
    place: Path,
) -> None:
    found = under_rule(config_of(place, stopping=RULE))
    assert (found.run_id, found.problems, found.reason) == ("whole", PROBLEMS, None)
    _, policy = replay("whole", [RULE], store=str(place / "store")).data.policies
    assert found.first is not None
    tokens = found.first.tokens
    assert 0.1 < tokens.saved == policy.saved
    assert (tokens.saved_low, tokens.saved_high) == (policy.saved_low, policy.saved_high)
    assert tokens.value == pytest.approx(PROBLEMS * policy.tokens)
    assert tokens.low is not None and tokens.high is not None
    assert tokens.low < tokens.value < tokens.high < tokens.whole


def test_the_last_round_is_as_that_of_the_run_that_was_replayed(place: Path) -> None:
    found = under_rule(config_of(place, stopping=RULE))
    with Warehouse(open_store(str(place / "store")), ["whole"]) as warehouse:
        ((stored,),) = warehouse.query(
            "SELECT sum(completion_tokens) FROM trajectories WHERE round = 2"
        ).rows
    assert found.later_by == "stored rounds"
    assert found.later is not None and found.first is not None and found.total is not None
    assert found.later.tokens.value == pytest.approx(stored)
    assert found.total.tokens.value == pytest.approx(found.first.tokens.value + stored)


def test_replicates_are_expected_to_cost_as_much_each(place: Path) -> None:
    one = under_rule(config_of(place, stopping=RULE))
    three = under_rule(config_of(place, stopping=RULE, replicates=3))
    assert one.total is not None and three.total is not None
    assert three.total.tokens.value == pytest.approx(3 * one.total.tokens.value)
    assert three.total.tokens.saved == pytest.approx(one.total.tokens.saved)


def test_what_the_store_has_of_the_same_seeds_is_not_generated_again(place: Path) -> None:
    found = planned(config_of(place, stopping=RULE, seed_root="whole"))
    first, second = found.forecast.rounds
    assert (first.stored, first.to_generate) == (PROBLEMS * 12, 0)
    # Which of them the messages are of is for the rule to say, so that the final prompts are unknown.
    assert (second.to_generate, second.unknown) == (PROBLEMS, PROBLEMS)
    expected = found.under_rule
    assert expected is not None and expected.first is not None and expected.total is not None
    assert expected.first.tokens.value == 0
    assert 0 < expected.total.tokens.value == expected.total.tokens.whole


def test_where_no_run_has_the_rounds_they_are_taken_to_be_as_long_as_round_1(place: Path) -> None:
    found = under_rule(config_of(place, widths=(10, 4), stopping="votes:0.9"))
    assert (found.run_id, found.later_by) == ("whole", "length of round 1")
    assert found.first is not None and found.later is not None
    length = found.first.tokens.whole / (10 * PROBLEMS)
    assert found.later.tokens.value == pytest.approx(5 * length * PROBLEMS)


def test_a_rule_about_rounds_needs_a_run_that_has_them(place: Path) -> None:
    other = under_rule(config_of(place, widths=(10, 4), stopping="votes:0.9,depth:0.9"))
    assert other.run_id == "whole" and other.first is not None
    assert other.later is other.total is None
    same = under_rule(config_of(place, widths=(6, 3), stopping="votes:0.9,depth:0.8"))
    assert same.run_id == "rounds" and same.later is not None and same.total is not None
    assert 0 < same.later.tokens.saved < 1
    _, rounds = replay("rounds", ["depth:0.8"], store=str(place / "store")).data.rounds
    assert same.total.tokens.saved > rounds.saved, "and what round 1 saves"


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.5},
        {"model": "scripted?words=61"},
        {"max_tokens": 256},
        {"widths": (13,)},
        {"limit": 2},
    ],
    ids=str,
)
def test_a_pool_of_other_settings_problems_or_too_few_trajectories_is_none(
    place: Path, changes: dict[str, Any]
) -> None:
    found = under_rule(config_of(place, stopping=RULE, **changes))
    assert (found.run_id, found.reason, found.total) == (None, None, None)


def test_a_plan_without_a_rule_or_with_nothing_left_to_generate_expects_nothing(
    place: Path, tmp_path: Path
) -> None:
    assert planned(config_of(place)).under_rule is None
    write_problems(tmp_path / "problems.jsonl", 3)
    config = config_of(tmp_path, stopping=RULE, run_id="stopped")
    finish(config)
    found = planned(config)
    assert found.under_rule is None
    assert found.forecast.total("to_generate") == 0, "its own decisions are recorded"
    (not_needed, last) = (one.not_needed for one in found.forecast.rounds)
    with Warehouse(open_store(config.store)) as warehouse:
        ((left,),) = warehouse.query(
            "SELECT count(*) FROM trajectories WHERE finish_reason = 'aborted'"
        ).rows
    assert (not_needed, last) == (left, 0)
    assert left > 0


def test_the_forecast_of_a_plan_is_what_a_run_under_the_rule_is_compared_with(
    place: Path,
) -> None:
    rule = "votes:0.9,batch:3,depth:0.8"
    config = config_of(place, widths=(6, 3), stopping=rule, run_id="stopped", seed_root="stopped")
    before = under_rule(config)
    finish(config)
    checked = replay_check("rounds", "stopped", store=config.store).data
    assert before.run_id == "rounds"
    assert before.first is not None and before.later is not None and checked.later is not None
    assert before.first.tokens.saved == checked.first.forecast
    assert before.later.tokens.saved == pytest.approx(checked.later.forecast)
    store = open_store(config.store)
    assert "stopped" not in {
        one.run_id for one in pool_runs(store, open_run(store, "few").identity)
    }
    assert [one.run_id for one in pool_runs(store, open_run(store, "stopped").identity)] == [
        "rounds",
        "whole",
    ]


def test_a_budget_is_compared_with_what_is_expected_under_the_rule(place: Path) -> None:
    config = config_of(place, stopping=RULE, seed_root="budget", run_id="budget")
    found = under_rule(config)
    assert found.total is not None
    tokens = found.total.tokens
    wide = int(tokens.value) + 50
    assert wide < tokens.whole
    with open_work(config.model_copy(update={"max_tokens_total": wide}), rule_need=rule_need):
        pass
    narrow = config.model_copy(update={"max_tokens_total": int(tokens.value) - 50})
    with pytest.raises(Refused, match=f"under {RULE} by a replay of run whole its trajectories"):
        open_work(narrow, rule_need=rule_need)
    assert spent_tokens(config) == 0
    with open_work(narrow.model_copy(update={"partial": True}), rule_need=rule_need):
        pass
    small = config.model_copy(update={"run_id": "small", "max_tokens_total": 100})
    with pytest.raises(Refused, match="max_tokens_total 100 does not suffice: .* of run whole its"):
        pacore.run(small, progress=False)


def test_where_no_pool_tells_a_budget_is_refused_that_no_set_could_do_with(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl", 4)
    finish(config_of(tmp_path, run_id="narrow", widths=(3,), seed_root="other"))
    config = config_of(tmp_path, stopping=RULE, run_id="r")
    store, length = open_store(config.store), 62
    assert rule_need(store, begin(config), planned(config).forecast) is None
    # Three of each set agree, and one final trajectory follows.
    least = 4 * (3 + 1) * length
    with open_work(config.model_copy(update={"max_tokens_total": 2 * least}), rule_need=rule_need):
        pass
    with pytest.raises(Refused, match=f"even the fewest trajectories that {RULE} can do with, 16,"):
        open_work(config.model_copy(update={"max_tokens_total": least // 2}), rule_need=rule_need)


def line(place: Path, *more: str) -> list[str]:
    return [
        "plan", "--problems", str(place / "problems.jsonl"), "--engine", "scripted", "--model", MODEL,
        "--max-tokens", "512", "--store", str(place / "store"), *more,
    ]  # fmt: skip


def test_the_command_says_what_is_expected_with_its_interval_source_and_price(
    place: Path, tmp_path: Path, command: Pacore, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text(
        "model,currency,prompt_per_million,completion_per_million\n" + f"{MODEL},EUR,50,200\n"
    )
    monkeypatch.setenv("COLUMNS", "80")
    ruled = line(place, "--widths", "12", "--stopping", RULE, "--prices", str(prices))
    done = command(*ruled)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    shown = " ".join(done.stdout.split())
    found = json.loads(command(*ruled, "--format", "json").stdout)["under_rule"]
    tokens, money = found["total"]["tokens"], found["total"]["money"]
    interval = f"({tokens['low']:,.0f} to {tokens['high']:,.0f}, 95 %)"
    assert f"about {tokens['value']:,.0f} tokens {interval}, by a replay of run whole" in shown
    assert f"about {money['value']:,.4f} EUR ({money['low']:,.4f} to" in shown
    assert f"by {RULE}: all figures above are without it, at most" in shown
    assert money["value"] > 200e-6 * tokens["value"], "with the prompts"
    assert (found["run_id"], found["currency"], found["rule"]) == ("whole", "EUR", RULE)


def test_the_command_says_plainly_where_there_is_nothing_to_forecast_from(
    place: Path, command: Pacore
) -> None:
    none = command(*line(place, "--widths", "13", "--stopping", RULE))
    assert "expected     no stored pool to forecast the rule from\n" in none.stdout


def test_a_pool_whose_files_are_lost_is_named(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl", 2)
    finish(config_of(tmp_path, run_id="lost", widths=(4,), seed_root="lost"))
    store = open_store(str(tmp_path / "store"))
    config = config_of(tmp_path, widths=(4,), stopping="arrivals:2", run_id="r")
    before = planned(config)
    assert before.under_rule is not None and before.under_rule.run_id == "lost"
    (key, *_) = current_files(store, "lost")["trajectories"]
    (tmp_path / "store" / key).unlink()
    found = forecast_rule(store, begin(config).identity, before.forecast)
    assert found is not None and found.run_id is None
    assert found.reason is not None and key in found.reason


def test_a_pool_that_nobody_has_graded_tells_which_answers_agree(
    place: Path, command: Pacore
) -> None:
    few = line(place, "--widths", "12", "--stopping", RULE)
    few[2] = str(place / "few.jsonl")
    shown = " ".join(command(*few).stdout.split())
    assert "by a replay of run few" in shown
    assert "run few is not graded: exact rules tell which of its answers agree" in shown
    found = under_rule(config_of(place, "few.jsonl", stopping=RULE))
    assert found.total is not None and (found.is_graded, found.problems) == (False, 3)
    assert 0 < found.total.tokens.saved < 0.8
