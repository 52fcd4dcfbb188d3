"""Choosing what `pacore retry` tries again: current trajectories of a run's slots.

What was chosen is recorded before anything is sampled. From then on the run is open again, and
whichever command resumes it, this one or `pacore run`, makes the new attempts and everything that
follows from them; what has not changed is reused.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from pacore.bounded import Bounds, run_bounded
from pacore.core.quorum import ChosenSlot
from pacore.errors import Refused
from pacore.runs.problems import is_at_end
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.retries import RetryRecord, add_retry, read_retries
from pacore.store.run import Run, is_closed, open_run, problems_of
from pacore.warehouse.relations import sql
from pacore.warehouse.views import Warehouse

Choose = Callable[[Backend, Run, str, int | None], list[ChosenSlot]]
"""Gives the slots that a condition chooses, under a limit of tokens."""


def choose(
    store: Backend, run: Run, where: str, max_tokens: int | None, memory_bytes: int | None = None
) -> list[ChosenSlot]:
    """The slots whose current trajectory meets an SQL condition on the table ``trajectories``."""
    limit = "NULL" if max_tokens is None else str(int(max_tokens))
    text = sql("runs/chosen").partition("\nSELECT")
    query = "SELECT" + text[2].replace("$max_tokens", limit).replace("$condition", where)
    with Warehouse(store, [run.run_id], memory_bytes=memory_bytes) as warehouse:
        return [ChosenSlot(*row) for row in warehouse.query(query).rows]


def print_chosen(store_url: str, run_id: str, where: str, limit: str, memory_bytes: int) -> None:
    """What `choose` gives, as JSON; ``limit`` is the limit of tokens, or empty."""
    store = open_store(store_url)
    max_tokens = int(limit) if limit else None
    print(json.dumps(choose(store, open_run(store, run_id), where, max_tokens, memory_bytes)))


def chosen_within(bounds: Bounds) -> Choose:
    """`choose` in a process of its own, within bounds: the condition is a person's own SQL."""

    def chosen(store: Backend, run: Run, where: str, max_tokens: int | None) -> list[ChosenSlot]:
        limit = "" if max_tokens is None else str(max_tokens)
        arguments = [store.url, run.run_id, where, limit]
        printed = run_bounded("pacore.runs.retry:print_chosen", arguments, bounds, is_captured=True)
        return [ChosenSlot(*slot) for slot in json.loads(printed)]

    return chosen


def begin_retry(
    store: Backend, run: Run, where: str, max_tokens: int | None, choosing: Choose = choose
) -> RetryRecord | None:
    """The retry of a command line: the one it began, or a new one; None if it chooses nothing.

    Raises Refused for a run that has other work left, and where another retry came first; BadInput
    for a condition that does not work.
    """
    before = read_retries(store, run.run_id)
    if before and before[-1].is_same(where, max_tokens) and not is_closed(store, run.run_id):
        return before[-1]
    if not is_at_end(store, run):
        what = f"retry --where {before[-1].where!r}" if before else "run"
        raise Refused(f"run {run.run_id} is not at its end; finish its pacore {what} first")
    chosen = choosing(store, run, where, max_tokens)
    if not chosen:
        return None
    problem_ids = {slot.problem_id for slot in chosen}
    shards = tuple(
        shard.number
        for shard in run.shards
        if any(problem.problem_id in problem_ids for problem in problems_of(store, run, shard))
    )
    wanted = RetryRecord(len(before), where, max_tokens, tuple(chosen), shards)
    record = add_retry(store, run.run_id, wanted)
    if not record.is_same(where, max_tokens):
        raise Refused(f"run {run.run_id}: another retry of it began at this moment")
    return record
