"""The audit of one run: its records, then the rows of each shard, then the invariants of ``sql/checks``.

Each row that breaks an invariant is a finding with its file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from pacore.audit.files import Files, Unreadable
from pacore.audit.finding import Finding, Tally, Where
from pacore.audit.gradings import check_gradings, known_gradings
from pacore.audit.ledger import AuditedRun, Ledger, check_order, read_ledger
from pacore.audit.records import (
    DEFECTS,
    check_final,
    check_imported_texts,
    check_problem_set,
    check_records,
    check_snapshots,
    read_run,
    snapshot_keys,
)
from pacore.audit.shard import ShardAudit
from pacore.core.plan import Shard
from pacore.core.problem import Problem
from pacore.errors import PacoreError, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_among
from pacore.store.journal import Journal
from pacore.store.layout import OWN, commits_prefix, run_key
from pacore.store.run import Run, is_closed, no_such_run, problems_of
from pacore.warehouse.relations import check_names
from pacore.warehouse.views import ReportWarehouse

READERS = 8
"""Journal entries that are read side by side."""

RECORDS = ("run", "problems", "commits", "files")
"""Checks whose failure means that a run's tables cannot be queried as a whole."""


class Audit:
    """Looks at everything one run has in a store, and writes nothing.

    ``tally`` says what has been looked at so far. Raises Refused for a run of which there is
    nothing, StoreError where the store does not serve at all.
    """

    def __init__(self, store: Backend, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._failed: Counter[str] = Counter()
        self._first_ids: list[str] = []
        self.tally = Tally()
        anything = islice(store.list(commits_prefix(run_id)), 1)
        if not store.exists(run_key(run_id)) and not list(anything):
            raise no_such_run(store, run_id)

    def findings(self) -> Iterator[Finding]:
        """Everything wrong, as it is found: records first, then shard by shard, then invariants."""
        for finding in self._all():
            if finding.severity == "error":
                self._failed[finding.check] += 1
            yield finding

    def _all(self) -> Iterator[Finding]:
        run, found = read_run(self._store, self._run_id)
        yield from found
        # Read before the commits: a run that continues meanwhile only ever has more of those.
        closed = is_closed(self._store, self._run_id)
        ended, _ = known_gradings(self._store, self._run_id)
        snapshots = snapshot_keys(self._store, self._run_id)
        ledger = read_ledger(self._store, self._run_id, self.tally)
        # Read again after them: whatever is committed of a grading has its record before.
        begun, of_records = known_gradings(self._store, self._run_id)
        yield from ledger.findings
        if run is None:
            yield from self._files(ledger)
            return
        yield from of_records
        with ThreadPoolExecutor(READERS, thread_name_prefix="audit") as readers:
            audited = AuditedRun(
                self._store,
                run,
                ledger,
                {**begun, **ended},
                Journal(self._store),
                readers,
                self.tally,
            )
            yield from check_order(run, ledger, is_closed=closed)
            yield from check_snapshots(audited, snapshots, is_closed=closed)
            if closed:
                yield from check_final(audited, snapshots)
            yield from check_records(audited)
            yield from check_gradings(audited)
            yield from check_imported_texts(audited)
            try:
                yield from check_problem_set(audited)
            except Unreadable as fault:
                what = f"{fault.why}; rows were not checked"
                yield Finding("problems", Where(fault.key), what)
                yield from self._files(ledger)
            else:
                yield from self._shards(audited)
            yield from self._invariants(audited)

    def _invariants(self, audited: AuditedRun) -> Iterator[Finding]:
        """The invariants, which are about the tables as a whole."""
        why = None
        if any(self._failed[check] for check in RECORDS):
            why = "the run's records or files are not what they should be"
        elif reopened := audited.ledger.reopened(audited.run):
            why = f"shards are being tried again: {', '.join(reopened[:5])}"
        if why:
            yield Finding("invariants", Where("sql/checks"), f"were not checked: {why}", "warning")
        else:
            yield from check_invariants(audited, self._first_ids)

    def _files(self, ledger: Ledger) -> Iterator[Finding]:
        """Files against commits alone, where nothing can be said of their rows."""
        current = set(current_among(ledger.units))
        for commit in ledger.commits.values():
            with Files(self._store, self.tally, current) as files:
                files.path(commit)
                yield from files.findings

    def _shards(self, audited: AuditedRun) -> Iterator[Finding]:
        for shard in audited.run.shards:
            own = audited.ledger.of_shard(shard.name)
            try:
                problems = self._problems(audited.run, shard)
            except (StoreError, OSError, *DEFECTS) as fault:
                what = f"shard {shard.name} cannot be read: {fault}; its rows were not checked"
                yield Finding("problems", Where(audited.run.problem_set), what)
                yield from self._files(own)
                continue
            with Files(self._store, self.tally, set(current_among(own.units))) as files:
                yield from ShardAudit(audited, shard.name, problems, own, files).findings()
                for commit in own.commits.values():
                    files.path(commit)
                yield from files.findings

    def _problems(self, run: Run, shard: Shard) -> list[Problem]:
        found = list(problems_of(self._store, run, shard))
        self._first_ids.append(found[0].problem_id if found else "")
        return found


TABLES_OF = {
    "aborted_by_a_rule": "stops",
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
"""The relation whose rows a check names; the others name trajectories."""

PLACED = ("table", "run_id", "round", "problem_id", "replicate", "slot", "attempt", "position")


def check_invariants(audited: AuditedRun, first_ids: Sequence[str]) -> Iterator[Finding]:
    """Every row that breaks an invariant; ``first_ids`` are the first problem ids of the shards."""
    try:
        with ReportWarehouse(audited.store, [audited.run.run_id]) as warehouse:
            broken = warehouse.run_checks()
    except (PacoreError, *DEFECTS) as fault:
        what = f"could not be run: {type(fault).__name__}: {fault}"
        yield Finding("invariants", Where("sql/checks"), what)
        return
    audited.tally.invariants += len(check_names())
    for name, rows in broken.items():
        for row in rows:
            where = _where(audited, first_ids, TABLES_OF.get(name, "trajectories"), row)
            said = ", ".join(f"{k} {v}" for k, v in row.items() if k not in PLACED)
            what = f"breaks the invariant{f': {said}' if said else ''}"
            yield Finding(f"sql/checks/{name}", where, what)


def _where(
    audited: AuditedRun, first_ids: Sequence[str], table: str, row: Mapping[str, Any]
) -> Where:
    """The file of a row, by the shard its problem is in, and what the row says of its place."""
    run = audited.run
    last = table in ("answers", "scores")
    round_, problem_id = row.get("round", run.plan.rounds if last else None), row.get("problem_id")
    stored = "verdicts" if table == "scores" else table
    file = f"runs/{run.run_id}"
    if round_ is not None and isinstance(problem_id, str):
        number = max(0, bisect_right(first_ids, problem_id) - 1)
        shard = run.shards[min(number, len(run.shards) - 1)].name
        grading = row.get("grading", OWN) if stored == "verdicts" else ""
        current = [
            commit
            for commit in audited.ledger.current(stored, round_, shard)
            if commit.grading == grading
        ]
        file = current[-1].path if current else file
    named = {name: row.get(name) for name in ("replicate", "slot", "attempt", "position")}
    return Where(file, table, round_, problem_id, **named)
