"""Budgets: nothing new is sent once they are spent, what was sent is kept, and a larger one goes on."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.audit.audit import Audit
from pacore.core.config.run import RunConfig
from pacore.core.engine import EngineFault, Hint
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation
from pacore.errors import BadInput, BudgetSpent, Refused
from pacore.runs.dispatch.budget import Amount, Budget, SpendingLimits
from pacore.runs.loop import finish_shards
from pacore.runs.planning.budget import SharedBudget
from pacore.runs.problems import open_work
from pacore.store.backends.opening import open_store
from pacore.store.run import last_budget_stop, open_run
from pacore.warehouse.prices import Price
from pacore.warehouse.views import Warehouse
from tests.fixtures.engine_contract import request_for
from tests.fixtures.pipeline import (
    finish,
    run_stages,
    scripted_config,
    spent_tokens,
    tables,
    write_problems,
)

PROBLEMS, WIDTHS = 12, (4,)

TRAJECTORIES = PROBLEMS * (sum(WIDTHS) + 1)

WORDS = 40

SLOTS = 3

PRICES = (
    "model,currency,prompt_per_million,completion_per_million\nscripted?words=40,EUR,0,1000000\n"
)

PRICE = Price("m", "EUR", 1.0, 0.5, 4.0)

REQUEST = request_for(Recipe("m", max_tokens=100))


def made(tokens: int) -> Generation:
    return Generation("stop", content="70", prompt_tokens=0, completion_tokens=tokens)


def config_of(folder: Path, **fields: object) -> RunConfig:
    problems = write_problems(folder / "problems.jsonl", PROBLEMS)
    given = {
        "widths": WIDTHS, "run_id": "run", "model": f"scripted?words={WORDS}", "shard_size": 3,
        "concurrency": SLOTS, **fields,
    }  # fmt: skip
    return scripted_config(folder / "store", problems, **given)


def test_a_run_stops_when_its_budget_is_spent_and_a_larger_one_completes_it(tmp_path: Path) -> None:
    config = config_of(tmp_path, max_tokens_total=600)
    with pytest.raises(BudgetSpent, match=r"of max_tokens_total 600$"):
        finish(config)
    spent = spent_tokens(config)
    assert 600 - 3 * WORDS < spent <= 600 + SLOTS * 3 * WORDS
    stop = last_budget_stop(open_store(config.store), "run")
    assert stop is not None
    assert (stop.spent_tokens, stop.spent_money) == (spent, None)
    finish(config.model_copy(update={"max_tokens_total": 10**6}))
    whole = config_of(tmp_path, store=str(tmp_path / "other"))
    run_stages(whole)
    assert tables(config.store, "run") == tables(whole.store, "run")
    generated = sum(row[13] for row in tables(config.store, "run")["trajectories"])
    assert spent_tokens(config) == generated


def test_the_status_of_a_run_that_its_budget_stopped_says_so_until_it_is_complete(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, max_tokens_total=600)
    with pytest.raises(BudgetSpent):
        finish(config)

    def status() -> list[tuple[object, ...]]:
        with Warehouse(open_store(config.store), ["run"]) as warehouse:
            return list(warehouse.query("SELECT status FROM runs").rows)

    assert status() == [("incomplete: budget",)]
    assert list(Audit(open_store(config.store), "run").findings()) == [], "it lacks what is to come"
    finish(config.model_copy(update={"max_tokens_total": None}))
    assert status() == [("complete",)]


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(budget=st.integers(1, 2_600), slots=st.integers(1, 12))
def test_wherever_a_run_stops_it_exceeds_its_budget_by_no_more_than_what_was_in_flight(
    tmp_path_factory: pytest.TempPathFactory, budget: int, slots: int
) -> None:
    config = config_of(
        tmp_path_factory.mktemp("run"), max_tokens_total=budget, concurrency=slots, partial=True
    )
    try:
        finish(config)
    except BudgetSpent:
        spent = spent_tokens(config)
        longest = max((row[13] for row in tables(config.store, "run")["trajectories"]), default=60)
        assert spent <= budget + slots * max(60, longest)
    else:
        assert spent_tokens(config) <= budget


def test_a_budget_that_is_known_not_to_suffice_is_refused_before_anything_is_generated(
    tmp_path: Path,
) -> None:
    earlier = config_of(tmp_path, run_id="earlier", seed_root="other")
    run_stages(earlier)
    config = config_of(tmp_path, max_tokens_total=600)
    with pytest.raises(
        Refused, match=rf"^max_tokens_total 600 does not suffice: {TRAJECTORIES} traj.*--partial"
    ):
        open_work(config)
    assert spent_tokens(config) == 0
    with pytest.raises(BudgetSpent):
        finish(config.model_copy(update={"partial": True}))
    with pytest.raises(BudgetSpent, match="is spent"):
        open_work(config.model_copy(update={"max_tokens_total": 300}))


def test_a_run_that_has_begun_is_not_refused_again(tmp_path: Path) -> None:
    run_stages(config_of(tmp_path, run_id="earlier", seed_root="other"))
    config = config_of(tmp_path, max_tokens_total=600, partial=True)
    with pytest.raises(BudgetSpent):
        finish(config)
    with pytest.raises(BudgetSpent):
        finish(config.model_copy(update={"max_tokens_total": 1_000, "partial": False}))
    assert spent_tokens(config) > 900


def test_what_another_run_generated_costs_nothing(tmp_path: Path) -> None:
    run_stages(config_of(tmp_path, run_id="earlier"))
    config = config_of(tmp_path, max_tokens_total=1)
    finish(config)
    assert spent_tokens(config) == 0


def test_money_is_counted_by_the_price_table(tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text(PRICES)
    config = config_of(tmp_path, max_cost=600.0, prices=str(prices))
    with pytest.raises(BudgetSpent, match=r"of max_cost 600$"):
        finish(config)
    stop = last_budget_stop(open_store(config.store), "run")
    assert stop is not None
    assert stop.spent_money == pytest.approx(stop.spent_tokens)
    prices.write_text("model,prompt_per_million,completion_per_million\nanother,1,1\n")
    with pytest.raises(BadInput, match=r"prices.csv: has no prices of model 'scripted\?words=40'"):
        open_work(config)


def test_a_limit_of_money_needs_a_price_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs prices, a table"):
        config_of(tmp_path, max_cost=1.0)


def shared_by(whole: RunConfig, *runs: RunConfig) -> SharedBudget:
    """The budget that a configuration gives to runs made of it together."""
    found = SharedBudget.of_runs("the sweep's", whole)
    assert found is not None
    for run in runs:
        found.include(run)
    return found


def test_runs_that_share_the_budget_they_were_given_get_what_the_others_leave(
    tmp_path: Path,
) -> None:
    first, second = (
        config_of(tmp_path, run_id=name, seed_root=name, max_tokens_total=4_500, max_hours=2.0)
        for name in ("one", "two")
    )
    run_stages(first)
    spent = int(spent_tokens(first))
    assert spent > 4_500 / 2
    left = rf"^the sweep's max_tokens_total 4,500 leaves {4_500 - spent:,}, which does not suffice"
    shared_budget = shared_by(first, first, second)
    with pytest.raises(BudgetSpent, match=left):
        open_work(second, [shared_budget])
    assert open_run(open_store(second.store), "two").config["max_tokens_total"] == 4_500
    shared_budget.is_partial = True
    with open_work(second, [shared_budget]) as work:
        assert work.budget is not None
        assert work.budget.spending().startswith(f"{spent:,} of the sweep's max_tokens_total 4,500")
        assert "of max_tokens_total" not in work.budget.spending(), "each limit once"
        with pytest.raises(BudgetSpent, match=r"of the sweep's max_tokens_total 4,500$"):
            finish_shards(work)
    total = spent + spent_tokens(second)
    assert total <= 4_500 + SLOTS * 3 * WORDS
    shared_budget.began = time.monotonic() - 7_201
    with pytest.raises(BudgetSpent, match="the time is over: the sweep's max_hours 2$"):
        open_work(second.model_copy(update={"max_tokens_total": 10**6}), [shared_budget])


def test_of_runs_that_share_their_budget_the_first_is_refused_like_one_alone(
    tmp_path: Path,
) -> None:
    run_stages(config_of(tmp_path, run_id="earlier", seed_root="other"))
    config = config_of(tmp_path, max_tokens_total=600)
    with pytest.raises(
        Refused, match=r"^the sweep's max_tokens_total 600 does not suffice: .*--pa"
    ):
        open_work(config, [shared_by(config, config)])
    partial = config.model_copy(update={"partial": True})
    with open_work(partial, [shared_by(partial, partial)]) as work:
        assert work.left


def test_a_limit_that_one_of_the_runs_has_for_itself_holds_beside_the_shared_one(
    tmp_path: Path,
) -> None:
    whole = config_of(tmp_path, max_tokens_total=10**6)
    own = whole.model_copy(update={"max_tokens_total": 600, "partial": True})
    with (
        pytest.raises(BudgetSpent, match=r" of max_tokens_total 600$"),
        open_work(own, [shared_by(whole, own)]) as work,
    ):
        finish_shards(work)
    assert SharedBudget.of_runs("the sweep's", config_of(tmp_path, max_tokens_problem=9)) is None


def reserve_all(account: Budget, hints: list[Hint], tokens: list[int]) -> list[int]:
    """Spend on requests one after another as far as a budget goes, five in flight."""

    async def run() -> list[int]:
        slots, done = asyncio.Semaphore(5), []

        async def one(hint: Hint, generated: int) -> None:
            async with slots:
                reserved = await account.reserve(REQUEST, hint)
                with reserved.spending() as spent:
                    await asyncio.sleep(0)
                    spent(made(generated))
                    done.append(generated)

        tasks = [one(hint, count) for hint, count in zip(hints, tokens, strict=True)]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(error is None or isinstance(error, BudgetSpent) for error in ended)
        return done

    return asyncio.run(run())


@given(
    limit=st.integers(1, 2_000),
    requests=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=60),
)
def test_expectations_that_hold_leave_a_budget_unexceeded_and_others_exceed_it_by_their_error(
    limit: int, requests: list[tuple[int, int]]
) -> None:
    account = Budget(SpendingLimits(tokens=limit))
    hints = [Hint(expected_tokens=expected) for expected, _ in requests]
    tokens = [generated for _, generated in requests]
    done = reserve_all(account, hints, tokens)
    assert account.spent.tokens == sum(done)
    missed = sorted((max(0, made - expected) for expected, made in requests), reverse=True)
    assert account.spent.tokens <= limit + sum(missed[:5])
    if account.stopped is None:
        assert len(done) == len(requests)


def test_a_request_waits_for_room_while_others_are_in_flight() -> None:
    async def run() -> None:
        account = Budget(SpendingLimits(tokens=100))
        first = await account.reserve(REQUEST, Hint(expected_tokens=80))
        second = asyncio.ensure_future(account.reserve(REQUEST, Hint(expected_tokens=80)))
        await asyncio.sleep(0)
        assert not second.done()
        with first.spending() as spent:
            spent(made(10))
        reserved = await second
        with reserved.spending() as spent:
            spent(made(90))
        assert account.spent == Amount(100.0)
        with pytest.raises(BudgetSpent, match="100 of max_tokens_total 100"):
            await account.reserve(REQUEST, Hint())

    asyncio.run(run())


def test_the_last_request_that_a_budget_has_just_room_for_waits_for_nobody() -> None:
    lengths = (20.1, 21.0, 20.3)
    assert sum(lengths) - lengths[0] - lengths[1] - lengths[2] > 0, "rounding leaves something"

    async def run() -> Amount:
        account = Budget(SpendingLimits(tokens=100))
        begun = [await account.reserve(REQUEST, Hint(expected_tokens=one)) for one in lengths]
        for reserved in begun:
            with reserved.spending() as spent:
                spent(made(24))
        hint = Hint(expected_tokens=100.0 - account.spent.tokens)
        last = await asyncio.wait_for(account.reserve(REQUEST, hint), timeout=60)
        with last.spending() as spent:
            spent(made(24))
        return account.spent

    assert asyncio.run(run()) == Amount(96.0)


def test_failed_tries_and_uncounted_texts_are_spent_too() -> None:
    async def run() -> None:
        account = Budget(SpendingLimits(tokens=1_000, money=1.0), PRICE)
        fault = EngineFault("engine_error", "broken", transient=True, wasted_tokens=50)
        with pytest.raises(EngineFault), (await account.reserve(REQUEST, Hint())).spending():
            raise fault
        assert account.spent == Amount(50, 50 * 4.0 / 1e6)
        uncounted = Generation("stop", reasoning="x" * 40, content="y" * 40, wasted_tokens=5)
        assert account.amount_of(uncounted).tokens == 25
        counted = Generation(
            "stop", prompt_tokens=100, cached_prompt_tokens=60, completion_tokens=10
        )
        assert account.amount_of(counted).money == pytest.approx((40 + 30 + 40) / 1e6)

    asyncio.run(run())


def test_after_its_hours_a_run_sends_nothing_more() -> None:
    async def run() -> None:
        now = [0.0]
        account = Budget(SpendingLimits(hours=0.5), clock=lambda: now[0], began=0.0)
        now[0] = 1_799.0
        with (await account.reserve(REQUEST, Hint())).spending() as spent:
            spent(made(1))
        now[0] = 1_800.0
        with pytest.raises(BudgetSpent, match=r"max_hours 0\.5"):
            await account.reserve(REQUEST, Hint())

    asyncio.run(run())
