"""Where a run was stopped by its budget: a record for each time, so that nobody takes it for complete."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pacore.store.backends.protocol import Backend
from pacore.store.layout import budget_stop_key, budget_stops_prefix
from pacore.store.records import Time, find, put_new

BUDGET_STATUS = "incomplete: budget"
"""The status of a run that was stopped by its budget and has not come to its end since."""


@dataclass(frozen=True, slots=True)
class BudgetStop:
    """The record of one stop: when, ``why`` in a line, and what the run had spent by then.

    ``spent_money`` is in the currency of the price table that the run was given; None without one.
    """

    run_id: str
    stopped_at: Time
    why: str
    spent_tokens: int
    spent_money: float | None = None


def add_budget_stop(
    store: Backend, run_id: str, why: str, spent_tokens: int, spent_money: float | None
) -> None:
    """Record that a run stopped now. Two processes that stop at once leave one record each."""
    stop = BudgetStop(run_id, datetime.now(UTC), why, spent_tokens, spent_money)
    sequence = _count(store, run_id)
    while put_new(store, budget_stop_key(run_id, sequence), stop) is False:
        sequence += 1


def last_budget_stop(store: Backend, run_id: str) -> BudgetStop | None:
    """The last time a run was stopped by its budget. Raises StoreError for a record that is damaged."""
    count = _count(store, run_id)
    return find(store, budget_stop_key(run_id, count - 1), BudgetStop) if count else None


def _count(store: Backend, run_id: str) -> int:
    return sum(1 for _ in store.list(budget_stops_prefix(run_id)))
