"""Rules about rounds by replay: `depth` and `fewest` over the message sets of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.api.evaluation import replay, replay_check
from pacore.core.stopping import Stopping, parse_stopping
from pacore.errors import Refused
from pacore.evaluation.replay.rounds import (
    ROUND_RULES,
    Rounds,
    SetMember,
    forecast_rounds,
    replayed,
)
from pacore.report.rendering.terminal import to_text
from pacore.store.backends.opening import open_store
from pacore.warehouse.prices import Price, read_prices
from pacore.warehouse.views import ReportWarehouse, Warehouse
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.regraded import grade

MODEL = "scripted?words=12&answers=3"


def message_set(round_: int, keys: str, tokens: int = 10) -> list[SetMember]:
    """Slots that voted for one letter each, ``-`` for none; ``a`` is right."""
    return [
        SetMember(
            "p", 0, round_, slot, None if key == "-" else key, float(key == "a"), key != "-",
            key != "-", tokens + slot, 100, 60, 2.0 + slot,
        )
        for slot, key in enumerate(keys)
    ]  # fmt: skip


def chain(*keys: str) -> list[list[SetMember]]:
    return [message_set(number, one) for number, one in enumerate(keys, 1)]


def test_depth_ends_an_answer_where_the_messages_agree() -> None:
    sets = chain("aaaa", "ab", "b")
    ended = replayed([Stopping(depth=0.9)] * 3, sets)
    assert (ended.tokens, ended.path, ended.later, ended.slots) == (46, 13, 0, 4)
    assert (ended.score, ended.ended) == (1.0, 1.0)
    whole = replayed([Stopping()] * 3, sets)
    assert (whole.tokens, whole.path, whole.later, whole.slots) == (77, 34, 31, 7)
    assert (whole.score, whole.ended) == (0.0, 0.0)


def test_fewest_narrows_the_round_after_messages_that_agree_and_the_answer_is_unknown() -> None:
    agreeing, split = chain("aaaa", "aabb", "a"), chain("abcd", "aabb", "a")
    narrow = replayed([Stopping(fewest=2)] * 3, agreeing)
    assert (narrow.slots, narrow.tokens, narrow.score) == (4 + 2 + 1, 46 + 21 + 10, None)
    whole = replayed([Stopping(fewest=2)] * 3, split)
    assert (whole.slots, whole.score) == (4 + 4 + 1, 1.0)


def test_money_has_the_prompts_of_all_slots_and_seconds_the_slowest_of_each_round() -> None:
    price = Price("m", "USD", 1e6, 0.5e6, 2e6)
    sets = chain("aaaa", "ab", "b")
    prompt = 40 + 60 * 0.5
    whole = replayed([Stopping()] * 3, sets, price)
    assert (whole.money, whole.seconds) == (7 * prompt + 2 * 77, 5 + 3 + 2)
    ended = replayed([Stopping(depth=0.9)] * 3, sets, price)
    assert (ended.money, ended.seconds) == (4 * prompt + 2 * 46, 5)
    assert replayed([Stopping()] * 3, sets).money is None
    uncounted = [[replace(one, prompt_tokens=None) for one in members] for members in sets]
    assert replayed([Stopping()] * 3, uncounted, price).money is None
    untimed = [sets[0], [replace(one, latency_seconds=None) for one in sets[1]], sets[2]]
    assert replayed([Stopping()] * 3, untimed, price).seconds is None
    assert replayed([Stopping(depth=0.9)] * 3, untimed, price).seconds == 5
    rounds = Rounds("r", "m", {"p": [sets], "q": [sets]}, 0)
    first, other = forecast_rounds(rounds, [parse_stopping("depth:0.9")], price)
    assert first.money == whole.money and first.money_saved == 0
    assert other.money == ended.money and other.seconds == 5
    assert other.money_saved == pytest.approx(1 - (ended.money or 0) / (whole.money or 1))


def test_an_answer_that_ends_in_a_narrower_set_is_known() -> None:
    rules = [Stopping(), Stopping(fewest=3, depth=0.9), Stopping()]
    found = replayed(rules, chain("aaaa", "aaab", "b"))
    assert (found.score, found.ended, found.slots) == (1.0, 1.0, 4 + 3)


keys = st.text("abc-", min_size=1, max_size=8)
chains = st.lists(keys, min_size=1, max_size=3).map(lambda some: chain(*some, "a"))
rules = st.builds(
    Stopping, fewest=st.none() | st.integers(1, 8), depth=st.none() | st.floats(0.51, 1.0)
)


@given(chains, rules)
def test_a_rule_about_rounds_never_adds_any(sets: list[list[SetMember]], rule: Stopping) -> None:
    found, whole = (replayed([one] * len(sets), sets) for one in (rule, Stopping()))
    assert found.tokens <= whole.tokens and found.path <= whole.path
    assert found.slots <= whole.slots
    assert whole.ended == 0 and whole.score == 1
    if not found.ended and rule.fewest is None:
        assert found == whole


@given(st.lists(chains, min_size=2, max_size=5))
def test_the_first_row_is_without_a_rule(answers: list[list[list[SetMember]]]) -> None:
    rounds = Rounds("r", "m", {str(place): [sets] for place, sets in enumerate(answers)}, 0)
    whole, *others = forecast_rounds(rounds)
    assert [one.policy for one in others] == list(ROUND_RULES)
    assert (whole.policy, whole.saved, whole.path_ratio, whole.verdict) == ("", 0, 1, "as good")
    assert all(0 <= one.saved < 1 for one in others)


def test_only_the_parts_about_rounds_are_replayed_over_rounds() -> None:
    rounds = Rounds("r", "m", {"p": [chain("aaaa", "a")]}, 0)
    assert forecast_rounds(rounds, [parse_stopping("votes:0.9")]) == []
    _, one = forecast_rounds(rounds, [parse_stopping("votes:0.9,depth:0.9")])
    assert one.policy == "depth:0.9"


def test_a_run_under_depth_is_what_its_forecast_says(tmp_path: Path) -> None:
    """Its trajectories are those of the run that was replayed."""
    problems = write_problems(tmp_path / "problems.jsonl", 30)
    store = str(tmp_path / "store")
    for run_id, rule in (("whole", None), ("ends", "depth:0.8")):
        config = scripted_config(
            tmp_path / "store", problems, widths=(5, 3), run_id=run_id, model=MODEL, stopping=rule
        )
        run_stages(config)
        grade(store, run_id)
    report = replay("whole", ["depth:0.8", "fewest:2"], store=store)
    whole, ends, fewest = report.data.rounds
    assert 0.2 < ends.ended < 1 and ends.saved > 0.05
    assert ends.verdict is not None and fewest.verdict is None
    again = replay("whole", ["votes:0.9"], store=store)
    assert again.data.rounds == []
    checked = replay_check("whole", "ends", store=store)
    assert checked.data.later is not None
    assert checked.data.later.off == pytest.approx(0)
    assert checked.data.later.forecast > 0.2 and checked.data.first.forecast == 0
    assert _answers(store, "ends") == pytest.approx(ends.accuracy)
    assert _answers(store, "whole") == pytest.approx(whole.accuracy)
    text = to_text(report.sheets[0], 200)
    assert "all rounds" in text and "unknown" in text
    prices = tmp_path / "prices.csv"
    columns = "model,prompt_per_million,completion_per_million"
    prices.write_text(f"{columns}\n{config.model},1,10\n")
    priced = replay("whole", ["depth:0.8"], store=store, prices=str(prices))
    with ReportWarehouse(open_store(store), ["whole"], read_prices(str(prices))) as warehouse:
        ((money, seconds),) = warehouse.query(
            "SELECT effective_money / 30, (SELECT avg(path_seconds) FROM mart_ttc WHERE run_id = 'whole') "
            "FROM mart_costs WHERE run_id = 'whole'"
        ).rows
    all_rounds, ends = priced.data.rounds
    assert all_rounds.money == pytest.approx(money), "as the marts count it"
    assert all_rounds.seconds == pytest.approx(seconds)
    assert ends.money is not None and ends.money < money and ends.money_saved
    assert "an answer in USD, its prompts included; and in seconds" in to_text(priced.sheets[0])
    assert "later" in to_text(checked.sheets[0], 200)


def _answers(store: str, run_id: str) -> float:
    """The accuracy of the answers of a graded run, as its marts have it."""
    with Warehouse(open_store(store)) as warehouse:
        found = warehouse.query(f"SELECT avg(score) FROM scores WHERE run_id = '{run_id}'").rows
        return float(next(found)[0])


def test_a_rule_about_rounds_alone_is_refused_where_there_is_one_round(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    run_stages(scripted_config(tmp_path / "store", problems, widths=(), replicates=4, run_id="r"))
    grade(str(tmp_path / "store"), "r")
    with pytest.raises(
        Refused, match="policy depth:0.9: is about rounds after the first, and r has"
    ):
        replay("r", ["depth:0.9"], store=str(tmp_path / "store"))
