"""A budget of each problem: nothing more is sent for one that has spent it, and the others go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.audit.audit import Audit
from pacore.core.engine import Hint
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation
from pacore.runs.dispatch.budget import Budget, InFlight, ProblemBudgetSpent, SpendingLimits
from pacore.runs.planning.budget import budget_of
from pacore.runs.problems import begin
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.fixtures.engine_contract import request_for
from tests.fixtures.pipeline import run_stages, tables
from tests.runs.test_budget import PROBLEMS, WORDS, config_of

REQUEST = request_for(Recipe("m"))


def spend(
    limit: int, requests: list[tuple[float, int]], in_flight: int
) -> tuple[list[int], Budget]:
    """Spend on requests of one problem, each expected and then of a length; what was sent."""
    account = Budget(SpendingLimits(problem_tokens=limit))

    async def run() -> list[int]:
        places, sent = asyncio.Semaphore(in_flight), []

        async def one(expected: float, tokens: int) -> None:
            hint = Hint(expected_tokens=expected, problem_id="p")
            try:
                async with account.share(REQUEST, hint), places:
                    reserved = await account.reserve(REQUEST, hint)
                    with reserved.spending() as spent:
                        await asyncio.sleep(0)
                        spent(Generation("stop", content="7", completion_tokens=tokens))
                    sent.append(tokens)
            except ProblemBudgetSpent:
                return

        await asyncio.gather(*(one(*request) for request in requests))
        return sent

    return asyncio.run(run()), account


@given(
    limit=st.integers(1, 500),
    requests=st.lists(st.tuples(st.floats(1, 100), st.integers(0, 100)), max_size=30),
    in_flight=st.integers(1, 5),
)
def test_expectations_that_hold_leave_a_problems_budget_unexceeded(
    limit: int, requests: list[tuple[float, int]], in_flight: int
) -> None:
    kept = [(max(expected, tokens), tokens) for expected, tokens in requests]
    sent, account = spend(limit, kept, in_flight)
    assert account.account("p").spent == sum(sent) <= limit
    assert account.account("p").in_flight == InFlight()


@given(
    limit=st.integers(1, 500),
    requests=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=30),
)
def test_a_problem_that_has_spent_its_budget_sends_nothing_more(
    limit: int, requests: list[tuple[float, int]]
) -> None:
    sent, account = spend(limit, requests, 5)
    is_stopped = len(sent) < len(requests)
    assert account.spending() == f"max_tokens_problem {limit} stopped {is_stopped:d} problems"
    if is_stopped:
        longest = max(max(pair) for pair in requests)
        assert account.account("p").spent > limit - longest or account.account("p").spent >= limit


def test_problems_over_their_budget_end_with_the_reason_and_a_larger_one_completes_the_run(
    tmp_path: Path,
) -> None:
    limit = 4 * WORDS
    config = config_of(tmp_path, max_tokens_problem=limit, concurrency=1)
    run_stages(config)
    store = open_store(config.store)
    with Warehouse(store, ["run"]) as warehouse:
        rows = list(warehouse.query(
            "SELECT problem_id, sum(completion_tokens), count(*) FILTER (finish_reason = 'cancelled'), "
            "max(error) FROM trajectories GROUP BY ALL ORDER BY ALL"
        ).rows)  # fmt: skip
        answers = list(warehouse.query("SELECT status, reason FROM answers").rows)
    assert len(rows) == PROBLEMS
    for _, spent, unsent, error in rows:
        assert limit - 3 * WORDS < spent <= limit + 2 * WORDS
        assert unsent
        assert error.startswith("the problem's budget is spent: ")
        assert error.endswith(f" of max_tokens_problem {limit}")
    assert {status for status, _ in answers} == {"failed"}
    assert all("max_tokens_problem" in reason for _, reason in answers)
    findings = [one for one in Audit(store, "run").findings() if one.severity == "error"]
    assert findings == []
    account = budget_of(config, store, begin(config))
    assert account is not None
    assert {name: one.spent for name, one in account.problems.items()} == {
        name: spent for name, spent, _, _ in rows
    }
    run_stages(config.model_copy(update={"max_tokens_problem": None}))
    whole = config_of(tmp_path, store=str(tmp_path / "other"))
    run_stages(whole)
    assert tables(config.store, "run") == tables(whole.store, "run")
    assert [one for one in Audit(store, "run").findings() if one.severity == "error"] == []


def test_one_attempt_at_each_trajectory_is_not_used_up_by_what_was_not_sent(tmp_path: Path) -> None:
    config = config_of(tmp_path, max_tokens_problem=3 * WORDS, concurrency=1, attempts=1)
    run_stages(config)
    run_stages(config.model_copy(update={"max_tokens_problem": 10**6}))
    with Warehouse(open_store(config.store), ["run"]) as warehouse:
        assert {row[0] for row in warehouse.query("SELECT status FROM answers").rows} <= {
            "answered", "no_answer",
        }  # fmt: skip


@pytest.mark.slow
def test_a_problem_that_takes_more_than_others_ends_and_they_go_on(tmp_path: Path) -> None:
    config = config_of(tmp_path, max_tokens_problem=9 * WORDS, replicates=1, concurrency=8)
    run_stages(config)
    with Warehouse(open_store(config.store), ["run"]) as warehouse:
        found = list(warehouse.query("SELECT outcome, count(*) FROM outcomes GROUP BY ALL").rows)
    assert dict(found) == {"answered": PROBLEMS} or "answered" in dict(found)
