"""Stopping rules by replay: the clock, what is compared, and what is never called a gain."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.plan import Plan
from pacore.core.stopping import Stopping, parse_stopping
from pacore.errors import BadInput, Refused
from pacore.evaluation.replay.check import SetsSpent, check_forecast
from pacore.evaluation.replay.figures import PolicyForecast, Replay, undominated
from pacore.evaluation.replay.forecast import (
    WHOLE_SET,
    ReplaySettings,
    default_rules,
    forecast,
    with_lengths_dealt,
)
from pacore.evaluation.replay.pools import Pooled, Pools, PromptTokens
from pacore.evaluation.statistics.arrivals import ratio_of_sums, replay_pools
from pacore.report.rendering.terminal import to_text
from pacore.report.replay.check import check_sheet
from pacore.report.replay.page import replay_sheet
from pacore.store.run import Run
from pacore.warehouse.prices import Price
from tests.fixtures.replayed import Member, drawn, known, pool, simulated


def pools_of(*pools: Sequence[Member], model: str = "m") -> Pools:
    pooled = [Pooled(model, f"p{number}", pool(one)) for number, one in enumerate(pools)]
    return Pools("pools", pooled, 16)


def named(found: Replay, policy: str, model: str | None = None) -> PolicyForecast:
    return next(one for one in found.policies if (one.policy, one.model) == (policy, model))


def test_the_clock_counts_what_was_generated_and_how_long_it_took() -> None:
    members = [Member(tokens, key, float(key == "a")) for tokens, key in zip(
        [10, 20, 30, 40, 50, 60], "aaabbb", strict=True)]  # fmt: skip
    rules = [Stopping(), Stopping(arrivals=2), Stopping(votes=0.9)]
    whole, first, votes = (found[0] for found in replay_pools([pool(members)], rules, 6, 1))
    assert (whole.tokens, whole.path, whole.accuracy, whole.coverage) == (210, 60, 0.5, 1.0)
    # Two have ended, the other four have come to 20 tokens each.
    assert (first.tokens, first.path, first.accuracy) == (10 + 20 + 4 * 20, 20, 1.0)
    assert (votes.tokens, votes.path, votes.ended, votes.begun) == (60 + 3 * 30, 30, 3, 6)
    assert (whole.stopped, first.stopped, votes.stopped) == (0, 1, 1)


def test_batches_wait_for_each_other() -> None:
    members = [Member(10, key, 0.0) for key in "abcdefgh"]
    rules = [Stopping(batch=2), Stopping(batch=2, growth=3)]
    one, grown = (found[0] for found in replay_pools([pool(members)], rules, 8, 3))
    assert (one.tokens, one.path) == (80, 40)
    assert (grown.tokens, grown.path) == (80, 20), "2 and then 6"


members = st.lists(
    st.builds(
        Member,
        st.integers(1, 40),
        st.sampled_from(["a", "b", "c", None]),
        st.just(0.0),
    ).map(lambda one: one._replace(score=float(one.key == "a"))),
    min_size=1,
    max_size=14,
)
rules = st.builds(
    Stopping,
    votes=st.none() | st.floats(0.6, 0.99),
    lead=st.none() | st.floats(0.6, 1.0),
    arrivals=st.none() | st.integers(1, 10),
    batch=st.integers(1, 6),
    growth=st.integers(1, 2),
    ready=st.floats(0.2, 0.9),
    abort_late=st.booleans(),
    tokens=st.none() | st.integers(1, 300),
) | st.builds(
    Stopping,
    votes=st.none() | st.floats(0.6, 0.99),
    lead=st.none() | st.floats(0.6, 1.0),
    tokens=st.none() | st.integers(1, 300),
)


@given(members, rules)
def test_no_set_ends_with_fewer_trajectories_than_the_least_of_its_rule(
    slots: list[Member], rule: Stopping
) -> None:
    """Of one length, which is what the least is of."""
    alike = [one._replace(tokens=7) for one in slots]
    least = rule.least(len(slots), 7, shows_messages=False)
    assert simulated(rule, alike).ended >= least
    agreeing = [Member(7, "a", 1.0) for _ in slots]
    assert 1 <= least == simulated(rule, agreeing).ended


@given(members, rules)
def test_a_replay_takes_the_decisions_of_the_rule(slots: list[Member], rule: Stopping) -> None:
    """Against the rule asked after each arrival; equal lengths arrive in slot order."""
    width = len(slots)
    stored = pool(slots)
    found = replay_pools([stored], [rule], width, 4)[0][0]
    # The orders of the replay, from the pool's content.
    generator = np.random.default_rng(list(stored.digest))
    orders = generator.permuted(np.tile(np.arange(width), (4, 1)), axis=1)
    ends = [simulated(rule, [slots[place] for place in order]) for order in orders.tolist()]
    for name, value in found._asdict().items():
        field = {"accuracy": "score", "coverage": "covered"}.get(name, name)
        assert value == pytest.approx(sum(getattr(one, field) for one in ends) / 4), name


@given(st.lists(members, min_size=1, max_size=4))
def test_the_whole_pool_without_a_rule_is_self_consistency(pools: list[list[Member]]) -> None:
    for some in pools:
        found = replay_pools([pool(some)], [Stopping()], len(some), 3)[0][0]
        assert found.accuracy == pytest.approx(pool(some).majority_score)
        assert found.tokens == sum(one.tokens for one in some)
        assert found.path == max(one.tokens for one in some)


@given(members, rules)
def test_a_rule_never_spends_more_than_the_whole_set(slots: list[Member], rule: Stopping) -> None:
    found, whole = (
        one[0] for one in replay_pools([pool(slots)], [rule, Stopping()], len(slots), 5)
    )
    assert found.tokens <= whole.tokens
    assert known(found.coverage) <= known(whole.coverage)
    assert found.ended <= found.begun <= len(slots)


def without_scores(pools: Pools) -> Pools:
    hidden = [replace(one, pool=replace(one.pool, scores=None)) for one in pools.pooled]
    return replace(pools, pooled=hidden, unobserved="nobody knows")


@given(members, rules)
def test_what_a_rule_spends_and_how_it_votes_does_not_depend_on_scores(
    slots: list[Member], rule: Stopping
) -> None:
    graded = pool(slots)
    hidden = replace(graded, scores=None)
    ((seen,), (unseen,)) = (
        replay_pools([one], [rule], len(slots), 4)[0] for one in (graded, hidden)
    )
    assert (unseen.accuracy, unseen.coverage) == (None, None)
    assert unseen == seen._replace(accuracy=None, coverage=None)


@given(members)
def test_the_whole_pool_agrees_with_itself_but_for_ties(slots: list[Member]) -> None:
    stored = pool(slots)
    votes = sorted(stored.votes.values(), reverse=True)
    leaders = votes.count(votes[0]) if votes else 1
    (found,) = replay_pools([stored], [Stopping()], len(slots), 2)[0]
    assert found.agreement == pytest.approx(1 / leaders)


@given(members, st.integers(1, 14))
def test_agreement_with_the_vote_of_the_pool_is_accuracy_where_that_is_right(
    slots: list[Member], width: int
) -> None:
    stored = pool(slots)
    agrees = stored.class_agreement
    scores = [0.0 if key is None else agrees[key] for key in stored.keys]
    (found,) = replay_pools(
        [replace(stored, scores=scores)], [Stopping(arrivals=3)], min(width, len(slots)), 4
    )[0]
    if agrees:
        assert found.agreement == pytest.approx(known(found.accuracy))


def test_without_scores_accuracy_coverage_and_gains_are_unobserved() -> None:
    graded = forecast(agreeing(), settings=ReplaySettings(orders=50))
    found = forecast(without_scores(agreeing()), settings=ReplaySettings(orders=50))
    for one, seen in zip(found.policies, graded.policies, strict=True):
        unobserved = (one.accuracy, one.difference, one.permutation_p, one.coverage, one.verdict)
        assert unobserved == (None,) * 5
        assert (one.tokens, one.path_tokens, one.saved_low) == (
            seen.tokens, seen.path_tokens, seen.saved_low,
        )  # fmt: skip
        assert (one.agreement, one.agreement_low) == (seen.agreement, seen.agreement_low)
    whole = found.policies[0]
    assert whole.agreement_difference == 0
    assert all(one.credited(whole) <= whole.agreement for one in found.policies)
    (choice,) = found.choices
    assert (choice.measure, choice.is_gain) == ("agreement", False)
    assert choice.saved > 0.45 and abs(choice.difference) < 0.02


def test_more_agreement_than_that_of_the_whole_set_is_no_gain() -> None:
    """Answers of the leading class end first here."""
    pools = []
    for number in range(12):
        source = random.Random(f"first {number}")
        some = [Member(source.randint(100, 200), "most", 0.0) for _ in range(18)]
        some += [Member(source.randint(900, 1800), "fewer", 0.0) for _ in range(14)]
        pools.append(some)
    stored = without_scores(pools_of(*pools))
    found = forecast(stored, [Stopping(arrivals=6)], ReplaySettings(orders=50))
    rule, whole = named(found, "arrivals:6"), named(found, WHOLE_SET)
    assert rule.agreement_difference > 0.05
    assert rule.verdict is None
    assert rule.credited(whole) == whole.agreement
    assert not any(one.is_gain for one in found.choices)
    text = to_text(replay_sheet(found), 200)
    assert "higher" not in text and "no gain" not in text


def test_a_rule_about_rounds_alone_needs_scores() -> None:
    with pytest.raises(Refused, match="depth:0.9: is about rounds .* with scores: nobody knows"):
        forecast(without_scores(agreeing()), [parse_stopping("depth:0.9")])


def test_a_forecast_depends_on_content_and_not_on_the_order_of_problems() -> None:
    some = [drawn(f"order {number}", 0.6, (0.4,)) for number in range(4)]
    forwards, backwards = (
        replay_pools(list(map(pool, one)), default_rules(16), 16, 20) for one in (some, some[::-1])
    )
    assert [found[::-1] for found in backwards] == forwards


def agreeing() -> Pools:
    return pools_of(*(drawn(f"easy {number}", 0.9, (0.05, 0.05)) for number in range(12)))


def test_sets_that_agree_cost_less_and_lose_nothing() -> None:
    found = forecast(agreeing(), settings=ReplaySettings(orders=50))
    rule = named(found, "votes:0.95,batch:8")
    assert rule.saved > 0.45
    assert abs(known(rule.difference)) < 0.02
    assert rule.verdict in ("as good", "unclear")
    assert named(found, WHOLE_SET).saved == 0
    assert named(found, WHOLE_SET).verdict == "as good"
    assert named(found, "votes:0.95").path_ratio < 0.55


def wrong_majorities(right: float) -> Pools:
    """Pools that vote wrong: every smaller vote is right more often."""
    return pools_of(
        *(drawn(f"wrong {number}", right, (1 - right,), size=64, silent=0) for number in range(30))
    )


@pytest.mark.parametrize("right", [0.2, 0.35, 0.45])
def test_a_pool_that_votes_wrong_is_never_a_gain(right: float) -> None:
    found = forecast(wrong_majorities(right), settings=ReplaySettings(width=32, orders=20))
    higher = [one for one in found.policies if known(one.difference) > 0]
    assert higher, "smaller votes are less sure of the wrong answer"
    assert not [one.policy for one in found.policies if one.verdict == "higher"]
    whole = found.policies[0]
    assert all(one.credited(whole) <= known(whole.accuracy) for one in found.policies)
    surely = [one for one in higher if (one.difference_low or 0) > 0]
    assert all(one.reason for one in surely if one.verdict == "no gain")


def test_a_higher_vote_is_no_gain_where_the_whole_pool_votes_wrong() -> None:
    found = forecast(wrong_majorities(0.45), settings=ReplaySettings(width=32, orders=20))
    reasons = {one.reason for one in found.policies if one.verdict == "no gain"}
    assert reasons & {
        "it is higher where the whole pool votes for a wrong answer",
        "fewer sets have a right answer among their messages",
    }


@pytest.mark.parametrize(("right", "scale"), [(0.3, 2.0), (0.45, 0.5), (0.48, 0.1)])
def test_no_length_of_right_answers_makes_a_gain_of_pools_that_vote_wrong(
    right: float, scale: float
) -> None:
    """Where right trajectories are short every early end is right more often, chosen on parts or not."""
    pools = []
    for number in range(24):
        source = random.Random(f"wrong by length {right} {number}")
        members = []
        for place in range(40):
            is_right = place < round(40 * right) - (number % 3 == 0)
            tokens = round(source.randint(100, 900) * (scale if is_right else 1))
            members.append(Member(tokens, "right" if is_right else "wrong", float(is_right)))
        pools.append(members)
    found = forecast(pools_of(*pools), settings=ReplaySettings(width=16, orders=5))
    assert not [one.policy for one in found.policies if one.verdict == "higher"]
    whole = found.policies[0]
    assert all(one.credited(whole) <= known(whole.accuracy) for one in found.policies)
    assert found.choices and not any(one.is_gain for one in found.choices)
    if any(one.difference > 0 for one in found.choices):
        assert "a higher vote here is no gain" in to_text(replay_sheet(found), 200)


def test_an_early_end_that_helps_where_the_pool_votes_right_is_a_gain() -> None:
    """Right answers are short and wrong ones long, so that those that end first are right."""
    pools = []
    for number in range(40):
        source = random.Random(f"short {number}")
        some = [Member(source.randint(100, 200), "right", 1.0) for _ in range(18)]
        some += [Member(source.randint(900, 1800), "wrong", 0.0) for _ in range(14)]
        pools.append(some)
    found = forecast(pools_of(*pools), [Stopping(arrivals=8)], ReplaySettings(orders=100))
    assert named(found, "arrivals:8").verdict == "higher"
    assert named(found, "arrivals:8").is_on_frontier
    assert not named(found, WHOLE_SET).is_on_frontier


def test_what_is_owed_to_short_trajectories_being_right_shows_where_lengths_are_dealt_anew() -> (
    None
):
    pools = []
    for number in range(20):
        source = random.Random(f"short {number}")
        some = [Member(source.randint(100, 200), "right", 1.0) for _ in range(18)]
        some += [Member(source.randint(900, 1800), "wrong", 0.0) for _ in range(14)]
        pools.append(some)
    found = forecast(pools_of(*pools), [Stopping(arrivals=8)], ReplaySettings(orders=100))
    assert known(named(found, "arrivals:8").difference) > 0.1
    assert named(found, "arrivals:8").unrelated_difference < 0.05
    assert named(found, WHOLE_SET).unrelated_difference == 0
    dealt = with_lengths_dealt(pool(pools[0]))
    assert sorted(dealt.tokens) == sorted(one.tokens for one in pools[0])
    assert dealt.keys == [one.key for one in pools[0]]


def test_a_rule_that_loses_is_called_lower() -> None:
    pools = pools_of(*(drawn(f"close {number}", 0.6, (0.4,), size=128) for number in range(40)))
    found = forecast(pools, [Stopping(arrivals=1)], ReplaySettings(width=64, orders=50))
    assert named(found, "arrivals:1").verdict == "lower"


def test_each_model_has_its_forecast_and_the_problem_is_the_unit_of_both() -> None:
    both = [
        *agreeing().pooled,
        *(Pooled("n", one.problem, one.pool) for one in wrong_majorities(0.3).pooled[:12]),
    ]
    found = forecast(Pools("two", both, 16), [parse_stopping("votes:0.9,batch:8")])
    together, first, second = (
        named(found, "votes:0.9,batch:8", model) for model in (None, "m", "n")
    )
    assert together.problems == first.problems == second.problems == 12
    assert together.accuracy == pytest.approx((known(first.accuracy) + known(second.accuracy)) / 2)
    assert {choice.how for choice in found.choices} == {"half of the problems", "one model"}


def test_a_policy_is_chosen_on_one_part_and_measured_on_another() -> None:
    found = forecast(agreeing(), settings=ReplaySettings(orders=50))
    (choice,) = found.choices
    assert choice.how == "half of the problems"
    assert sum(choice.chosen.values()) == choice.times
    assert choice.saved > 0.45


def test_money_is_that_of_generated_tokens_and_of_prompts_that_were_begun() -> None:
    price = Price("m", "EUR", 2.0, 1.0, 10.0)
    pooled = [replace(one, prompt=PromptTokens(300, 200)) for one in agreeing().pooled]
    pools = Pools("priced", pooled, 16, {"m": 0.02})
    found = forecast(pools, [Stopping(votes=0.9, batch=8)], prices={"m": price})
    whole, rule = found.policies
    for one in found.policies:
        assert one.money == pytest.approx(one.tokens * 10e-6 + (100 * 2 + 200) * 1e-6 * one.begun)
        assert one.seconds == pytest.approx(0.02 * one.path_tokens)
        assert one.engine_seconds == pytest.approx(0.02 * one.tokens)
    assert whole.money and rule.money and rule.money_saved and rule.money_low and rule.money_high
    assert rule.money_saved == pytest.approx(1 - rule.money / whole.money)
    assert rule.money_low < rule.money_saved < rule.money_high
    assert found.currency == "EUR" and found.has_prompts
    other = forecast(pools, [Stopping(votes=0.9)])
    assert {one.money for one in other.policies} == {None}
    assert {one.is_on_money_frontier for one in other.policies} == {None}


def test_a_prompt_costs_what_those_of_its_problem_do() -> None:
    """The one problem is decided late and has a long prompt, which the mean of all would hide."""
    easy, hard = drawn("easy", 1.0, silent=0), drawn("hard", 0.5, (0.5,), silent=0)
    pooled = [
        Pooled("m", "easy", pool(easy), PromptTokens(10)),
        Pooled("m", "hard", pool(hard), PromptTokens(1000)),
    ]
    prices = {"m": Price("m", "EUR", 1e6, 1e6, 0.0)}
    rule = Stopping(votes=0.9, batch=4)
    found = named(forecast(Pools("two", pooled, 16), [rule], prices=prices), rule.text)
    early, late = replay_pools([one.pool for one in pooled], [rule], 16, 200)[0]
    assert found.money == pytest.approx((10 * early.begun + 1000 * late.begun) / 2)


def test_a_frontier_by_money_is_shown_where_it_is_another() -> None:
    """Prompts can cost more than answers, and models cost different prices."""
    pools, prices = agreeing(), {"m": Price("m", "USD", 0.0, 0.0, 1.0)}
    found = forecast(pools, [parse_stopping("votes:0.9,batch:8")], prices=prices)
    assert all(one.is_on_frontier == one.is_on_money_frontier for one in found.policies)
    assert "frontier" not in _table_of(found, "a set in USD")
    assert "the same with money in place of tokens" in " ".join(
        _table_of(found, "tokens    ").split()
    )
    whole, rule = found.policies
    dearer = replace(rule, accuracy=whole.accuracy, money=2 * (whole.money or 0), path_tokens=1e9)
    assert undominated([whole, dearer], "tokens") == {whole.policy, rule.policy}
    assert undominated([whole, dearer], "money") == {whole.policy}
    other = replace(found, policies=[whole, replace(rule, is_on_money_frontier=False)])
    assert "frontier" in _table_of(other, "a set in USD")
    free = forecast(pools, [Stopping(votes=0.9)], prices={"m": Price("m", "USD", 0, 0, 0)})
    assert {one.money_saved for one in free.policies} == {None}


def _table_of(found: Replay, heading: str) -> str:
    """The part of a replay from a heading on to the next empty line."""
    return to_text(replay_sheet(found), 120).partition(heading)[2].partition("\n\n")[0]


def test_money_of_several_models_is_known_only_where_all_have_prices() -> None:
    both = [*agreeing().pooled, *(replace(one, model="n") for one in agreeing().pooled)]
    prices = {"n": Price("n", "USD", 0.0, 0.0, 1.0)}
    found = forecast(Pools("two", both, 16, {"n": 0.1}), [Stopping(votes=0.9)], prices=prices)
    first, second = (named(found, "votes:0.9", model) for model in ("m", "n"))
    assert named(found, "votes:0.9").money is first.money is first.seconds is None
    assert second.money == pytest.approx(second.tokens * 1e-6)
    assert second.seconds == pytest.approx(second.path_tokens * 0.1)
    text = to_text(replay_sheet(found), 120)
    assert "no price   of m" in text and not found.has_prompts


def test_the_cheapest_policy_is_that_in_money_where_prices_are_known() -> None:
    """Batches of one spend fewer prompts, and more tokens where the shortest would have decided."""
    pooled = [replace(one, prompt=PromptTokens(1000)) for one in agreeing().pooled]
    rules = [parse_stopping(text) for text in ("votes:0.9", "votes:0.9,batch:1")]
    pools, settings = Pools("priced", pooled, 16), ReplaySettings(orders=20, tolerance=1.0)
    by_money = {"m": Price("m", "USD", 1.0, 1.0, 0.0)}
    (choice,) = forecast(pools, rules, settings, by_money).choices
    assert choice.cost == "money" and choice.chosen == {"votes:0.9,batch:1": choice.times}
    assert choice.money_saved is not None and choice.money_saved > 0.5
    (plain,) = forecast(pools, rules, settings).choices
    assert (plain.cost, plain.money_saved) == ("tokens", None)


def test_sets_wider_than_every_pool_are_refused_and_narrow_problems_left_out() -> None:
    pools = pools_of(drawn("a", 0.5, (0.5,)), drawn("b", 0.5, (0.5,), size=8))
    found = forecast(pools, settings=ReplaySettings(width=16, orders=3))
    assert (found.problems, found.left_out) == (1, 1)
    with pytest.raises(Refused, match="no problem has 64 trajectories; the most is 32"):
        forecast(pools, settings=ReplaySettings(width=64))
    with pytest.raises(BadInput):
        ReplaySettings(orders=0)


def test_a_ratio_of_sums_has_the_interval_of_resampled_problems() -> None:
    assert ratio_of_sums([1.0], [2.0]) == (0.5, None, None)
    found = ratio_of_sums([1.0, 2.0, 3.0, 2.0], [4.0, 4.0, 4.0, 4.0])
    assert found.value == 0.5
    assert found.low is not None and found.high is not None
    assert 0.25 <= found.low < 0.5 < found.high <= 0.75
    same = ratio_of_sums([1.0, 2.0, 4.0], [2.0, 4.0, 8.0])
    assert (same.low, same.high) == (0.5, 0.5)
    with pytest.raises(ValueError, match="above 0"):
        ratio_of_sums([0.0], [0.0])


def stopped_run(stopping: str | None) -> Run:
    plan = Plan((16,), stopping=stopping)
    return Run("stopped", "", {"plan": plan.as_json()}, "", "", 12, 4, {})


def test_a_check_says_how_many_points_the_saving_of_a_run_was_off() -> None:
    """A run of which one problem spent as much as its whole sets, and the others what was forecast."""
    pools, rule = agreeing(), parse_stopping("votes:0.9,batch:4")
    ends, whole = replay_pools([one.pool for one in pools.pooled], [rule, Stopping()], 16, 50)
    spent = [
        SetsSpent(one.problem, 2, round(2 * found.tokens), 0, 20, 0)
        for one, found in zip(pools.pooled, ends, strict=True)
    ]
    exact = check_forecast(pools, stopped_run("votes:0.9,batch:4;arrivals:2"), spent, 50)
    assert exact.first.off == pytest.approx(0, abs=1e-4)
    assert exact.first.saved == pytest.approx(exact.first.forecast, abs=1e-4)
    assert exact.later is None
    spent[0] = SetsSpent(spent[0].problem_id, 2, round(2 * whole[0].tokens), 0, 32, 5)
    off = check_forecast(pools, stopped_run(rule.text), spent, 50)
    lost = (whole[0].tokens - ends[0].tokens) / sum(one.tokens for one in whole)
    low, high = off.first.low, off.first.high
    assert off.first.off == pytest.approx(-lost, abs=1e-4)
    assert low is not None and high is not None and low < off.first.off < high
    assert (off.policy, off.problems, off.sets) == (rule.text, 12, 24)
    assert (exact.reused, off.reused, off.trajectories) == (0, 5, 11 * 20 + 32)
    assert "already" not in to_text(check_sheet(exact, "pools"))
    assert "5 of 252 trajectories were in the store already" in to_text(
        check_sheet(off, "pools"), 200
    )


def test_a_run_without_a_rule_or_a_common_problem_has_no_check() -> None:
    with pytest.raises(Refused, match="was made under no stopping rule"):
        check_forecast(agreeing(), stopped_run(None), [], 5)
    with pytest.raises(Refused, match="has no problem of it with 16 trajectories"):
        check_forecast(agreeing(), stopped_run("votes:0.9"), [SetsSpent("other", 1, 5, 0, 1, 0)], 5)
