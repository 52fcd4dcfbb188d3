"""The invariants of ``sql/checks`` on a run, each row that breaks one named with its file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pacore.auditing.finding import Finding, Tally, Where
from pacore.auditing.ledger import Ledger
from pacore.auditing.record import DEFECTS
from pacore.errors import PacoreError
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run
from pacore.warehouse.connection import check_names
from pacore.warehouse.views import Warehouse

TABLES_OF = {
    "answers_from_last_round": "answers",
    "duplicate_verdicts": "verdicts",
    "duplicate_scores": "scores",
    "message_positions": "messages",
    "messages_of_conclusions": "messages",
    "one_answer_each": "answers",
    "scores_given": "scores",
    "scores_of_answers": "scores",
    "verdicts_agree": "verdicts",
    "verdicts_complete": "verdicts",
    "verdicts_given": "verdicts",
    "verdicts_of_trajectories": "verdicts",
}
"""The table whose rows a check names; the others name trajectories."""

PLACED = ("table", "run_id", "round", "problem_id", "replicate", "slot", "attempt", "position")


def check_invariants(
    store: Backend, run: Run, ledger: Ledger, first_ids: Sequence[str], tally: Tally
) -> Iterator[Finding]:
    """Every row that breaks an invariant; ``first_ids`` are the first problem ids of the shards."""
    try:
        with Warehouse(store, [run.run_id]) as warehouse:
            broken = warehouse.run_checks()
    except (PacoreError, *DEFECTS) as fault:
        what = f"could not be run: {type(fault).__name__}: {fault}"
        yield Finding("invariants", Where("sql/checks"), what)
        return
    tally.invariants += len(check_names())
    for name, rows in broken.items():
        for row in rows:
            where = _where(run, ledger, first_ids, TABLES_OF.get(name, "trajectories"), row)
            said = ", ".join(f"{k} {v}" for k, v in row.items() if k not in PLACED)
            what = f"breaks the invariant{f': {said}' if said else ''}"
            yield Finding(f"sql/checks/{name}", where, what)


def _where(
    run: Run, ledger: Ledger, first_ids: Sequence[str], table: str, row: Mapping[str, Any]
) -> Where:
    """The file of a row by the shard its problem is in, and what of the row it names."""
    last = table in ("answers", "scores")
    round_, problem_id = row.get("round", run.plan.rounds if last else None), row.get("problem_id")
    file = f"runs/{run.run_id}"
    if round_ is not None and isinstance(problem_id, str):
        number = max(0, bisect_right(first_ids, problem_id) - 1)
        shard = run.shards[min(number, len(run.shards) - 1)].name
        grading = row.get("grading", "") if table == "verdicts" else ""
        standing = [
            commit
            for commit in ledger.standing(table, round_, shard)
            if commit.unit.grading == grading
        ]
        file = standing[-1].path if standing else file
    named = {name: row.get(name) for name in ("replicate", "slot", "attempt", "position")}
    return Where(file, table, round_, problem_id, **named)
