"""What is open in a flow run, for its tasks: Prefect gives them plain parameters and a context of their
own, which begins as a copy of the flow's.

A command that has opened something for the flow it calls leaves it here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import NamedTuple, TypeVar
from uuid import UUID

from pacore.evaluation.batches import Evaluation
from pacore.runs.planning.budget import SharedBudget
from pacore.runs.work import Work
from pacore.warehouse.views import Warehouse

_T = TypeVar("_T")

WORK: ContextVar[Work] = ContextVar("WORK")


EVALUATION: ContextVar[Evaluation] = ContextVar("EVALUATION")


WAREHOUSE: ContextVar[Warehouse] = ContextVar("WAREHOUSE")

Showing = Callable[[Work], AbstractContextManager[object]]

SHOWING: ContextVar[Showing] = ContextVar("SHOWING", default=nullcontext)
"""What shows the progress of each run that a flow opens, for as long as that is open."""

Saying = Callable[[str], object]

SAYING: ContextVar[Saying] = ContextVar("SAYING")
"""What says a line of a flow to whoever called it, beside the flow run's log."""

SHARED_BUDGETS: ContextVar[tuple[SharedBudget, ...]] = ContextVar("SHARED_BUDGETS", default=())
"""The budgets that the runs share which a flow opens: those of the night, and of a sweep in it."""

CHECKED: ContextVar[Sequence[str]] = ContextVar("CHECKED")
"""What was found of a night before its flow began, in lines, where that was looked for."""


class Outermost(NamedTuple):
    """The flow run that others are parts of, and whether a deployment has started it."""

    flow_run_id: UUID
    is_deployed: bool


OUTERMOST: ContextVar[Outermost] = ContextVar("OUTERMOST")


@contextmanager
def given(variable: ContextVar[_T], value: _T) -> Iterator[_T]:
    """Set a variable for as long as the context lasts."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)


@contextmanager
def sharing(budget: SharedBudget | None) -> Iterator[None]:
    """Have the runs that a flow opens share a budget, beside those that they share already; nothing changes
    without one.
    """
    with given(SHARED_BUDGETS, (*SHARED_BUDGETS.get(), *([] if budget is None else [budget]))):
        yield
