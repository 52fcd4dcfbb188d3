"""What is open in a flow run, for its tasks: Prefect gives them plain parameters and a context of their
own, which begins as a copy of the flow's.

A command that has opened something for the flow it calls leaves it here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeVar

from pacore.evaluation.batches import Evaluation
from pacore.runs.work import Work
from pacore.warehouse.views import Warehouse

_T = TypeVar("_T")

WORK: ContextVar[Work] = ContextVar("WORK")


EVALUATION: ContextVar[Evaluation] = ContextVar("EVALUATION")


WAREHOUSE: ContextVar[Warehouse] = ContextVar("WAREHOUSE")

Showing = Callable[[Work], AbstractContextManager[object]]

SHOWING: ContextVar[Showing] = ContextVar("SHOWING", default=nullcontext)
"""What shows the progress of each run that a flow opens, for as long as that is open."""


@contextmanager
def given(variable: ContextVar[_T], value: _T) -> Iterator[_T]:
    """Set a variable for as long as the context lasts."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)
