"""People's own queries, answered in a process of their own (`pacore.bounded`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from pacore.query_output import query_output
from pacore.store.backends.opening import open_store
from pacore.text import visible
from pacore.warehouse.prices import read_prices
from pacore.warehouse.relations import needed
from pacore.warehouse.views import QueryResult, Warehouse

AWAITED = {
    "opinions": ("has_opinions", "have no judge's opinion", "grade {} --grader judge --opinion"),
    "judgings": ("is_judged", "are graded by no judge", "grade {} --grader judge"),
    "graded_runs": ("is_graded", "have no finished grading", "grade {}"),
}
"""What some relations need, by the relation that has it: the column of ``reports/awaited``, what to say
of runs without, and the command that makes it."""

LISTED_RUNS = 3


def answer(store_url: str, text: str, form: str, prices: str, memory_bytes: int) -> None:
    """Print what a query gives; ``prices`` is a file's name, or empty. Raises as `Warehouse.query`.

    Where it gives nothing, and runs lack the grading that the relations it names are made of, a line on
    stderr says so.
    """
    rows = read_prices(prices) if prices else ()
    store = open_store(store_url)
    with Warehouse(store, prices=rows, memory_bytes=memory_bytes, say=_say) as warehouse:
        result = warehouse.query(text)
        first = list(islice(result.rows, 2))
        whole = QueryResult(result.columns, chain(first, result.rows))
        for part in query_output(whole, form):
            sys.stdout.write(part)
        if _is_nothing(first):
            for notice in _awaited(warehouse, text):
                _say(notice)


def _is_nothing(first: Sequence[Sequence[Any]]) -> bool:
    """Whether a query gave no row, or one that an aggregate over no rows would give."""
    return len(first) < 2 and not any(value for row in first for value in row)


def _awaited(warehouse: Warehouse, text: str) -> Iterator[str]:
    """What the relations of a query are empty for want of, and what makes it."""
    read = set(needed(text))
    if not read & AWAITED.keys():
        return
    runs = warehouse.rows("reports/awaited")
    for relation, (column, lack, command) in AWAITED.items():
        lacking = [str(row["run_id"]) for row in runs if not row[column]]
        if relation in read and lacking:
            shown = ", ".join(lacking[:LISTED_RUNS])
            more = f" and {len(lacking) - LISTED_RUNS:,} more" if lacking[LISTED_RUNS:] else ""
            yield f"runs that {lack}: {shown}{more}; pacore {command.format(lacking[0])}"
            return


def _say(notice: str) -> None:
    sys.stderr.write(f"pacore: {visible(notice)}\n")
