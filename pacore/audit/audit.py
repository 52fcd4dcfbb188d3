"""The audit of one run, from its record to its invariants, a shard at a time.

The invariants of ``sql/checks`` on a run, each row that breaks one named with its file.
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
from pacore.audit.gradings import Gradings, check_gradings, known_gradings
from pacore.audit.ledger import Ledger, check_order, read_ledger
from pacore.audit.records import DEFECTS, check_lent, check_problem_set, check_records, read_run
from pacore.audit.shard import ShardAudit
from pacore.audit.snapshots import check_final, check_snapshots, snapshot_keys
from pacore.core.plan import Shard
from pacore.core.problem import Problem
from pacore.errors import PacoreError, Refused, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import standing_units
from pacore.store.journal import Journal
from pacore.store.layout import commits_prefix, run_key
from pacore.store.run import Run, is_closed, list_runs, problems_of
from pacore.warehouse.connection import check_names
from pacore.warehouse.views import Warehouse

READERS = 8
"""Journal entries that are read side by side."""

RECORDS = ("run", "problems", "commits", "files")
"""Checks without which a store's tables cannot be asked as a whole."""


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
            known = ", ".join(list_runs(store)) or "none"
            raise Refused(f"no run {run_id!r} in this store; runs: {known}")

    def findings(self) -> Iterator[Finding]:
        """Everything wrong, as it is found: records first, then shard by shard, then invariants."""
        for finding in self._all():
            if finding.severity == "error":
                self._failed[finding.check] += 1
            yield finding

    def _all(self) -> Iterator[Finding]:
        run, found = read_run(self._store, self._run_id)
        yield from found
        # Asked before the commits: a run that goes on meanwhile only ever has more of those.
        closed = is_closed(self._store, self._run_id)
        ended, _ = known_gradings(self._store, self._run_id)
        snapshots = snapshot_keys(self._store, self._run_id)
        ledger = read_ledger(self._store, self._run_id, self.tally)
        # Asked again after them: whatever is committed of a grading has its record before.
        begun, of_records = known_gradings(self._store, self._run_id)
        gradings = {**begun, **ended}
        yield from ledger.findings
        if run is None:
            yield from self._files(ledger)
            return
        yield from of_records
        yield from check_order(run, ledger, closed)
        yield from check_snapshots(self._store, run, ledger, gradings, snapshots, closed)
        if closed:
            yield from check_final(self._store, run, ledger, snapshots)
        yield from check_records(self._store, run)
        yield from check_gradings(self._store, run, ledger, gradings)
        yield from check_lent(self._store, run, self.tally)
        try:
            yield from check_problem_set(self._store, run)
        except Unreadable as fault:
            what = f"{fault.why}; rows were not checked"
            yield Finding("problems", Where(fault.key), what)
            yield from self._files(ledger)
        else:
            yield from self._shards(run, ledger, gradings)
        yield from self._invariants(run, ledger)

    def _invariants(self, run: Run, ledger: Ledger) -> Iterator[Finding]:
        """The invariants, which are about the tables as a whole."""
        why = None
        if any(self._failed[check] for check in RECORDS):
            why = "the run's records or files are not what they should be"
        elif reopened := ledger.reopened(run):
            why = f"shards are being tried again: {', '.join(reopened[:5])}"
        if why:
            yield Finding("invariants", Where("sql/checks"), f"were not asked: {why}", "warning")
        else:
            yield from check_invariants(self._store, run, ledger, self._first_ids, self.tally)

    def _files(self, ledger: Ledger) -> Iterator[Finding]:
        """Files against commits alone, where nothing can be said of their rows."""
        standing = set(standing_units(ledger.units))
        for commit in ledger.commits.values():
            with Files(self._store, self.tally, standing) as files:
                files.path(commit)
                yield from files.findings

    def _shards(self, run: Run, ledger: Ledger, gradings: Gradings) -> Iterator[Finding]:
        journal = Journal(self._store)
        with ThreadPoolExecutor(READERS, thread_name_prefix="audit") as readers:
            for shard in run.shards:
                own = ledger.of_shard(shard.name)
                try:
                    problems = self._problems(run, shard)
                except (StoreError, OSError, *DEFECTS) as fault:
                    what = f"shard {shard.name} cannot be read: {fault}; its rows were not checked"
                    yield Finding("problems", Where(run.problem_set), what)
                    yield from self._files(own)
                    continue
                with Files(self._store, self.tally, set(standing_units(own.units))) as files:
                    work = (
                        run,
                        shard.name,
                        problems,
                        own,
                        files,
                        journal,
                        readers,
                        self.tally,
                        gradings,
                    )
                    yield from ShardAudit(*work).findings()
                    for commit in own.commits.values():
                        files.path(commit)
                    yield from files.findings

    def _problems(self, run: Run, shard: Shard) -> list[Problem]:
        found = list(problems_of(self._store, run, shard))
        self._first_ids.append(found[0].problem_id if found else "")
        return found


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
