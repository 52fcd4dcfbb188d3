"""Audit of commits: each can be used, and together they are a beginning of what the stages commit,
without a gap.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from pacore.audit.finding import Finding, Tally, Where, quoted
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import APPENDED_TABLES, Commit, read_commits
from pacore.store.gradings import GradingRecord
from pacore.store.journal import Journal
from pacore.store.layout import (
    OWN,
    SCHEMA_VERSION,
    Unit,
    commit_key,
    commits_prefix,
    data_key,
    unit_of_commit,
)
from pacore.store.records import BadRecord
from pacore.store.run import Run
from pacore.store.schema import FORMER_TABLES, TABLES

COMMITS_AT_ONCE = 256

ROUND_TABLES = ("trajectory_texts", "trajectories", "messages")

RULED_TABLES = ("trajectory_texts", "stops", "trajectories", "messages")
"""Of a round under a rule that stops early."""


@dataclass
class Ledger:
    """A run's commits that can be used, by unit, and what is wrong with them.

    Units are named as they were first published, and ``commits`` has the last repair of each;
    ``replaced`` are the commits that a repair took the place of, whose files nothing reads any more.
    """

    commits: dict[Unit, Commit] = field(default_factory=dict)
    unusable: set[Unit] = field(default_factory=set)
    replaced: list[Commit] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def units(self) -> set[Unit]:
        """Every unit that has been committed, whether its commit can be used or not."""
        return self.commits.keys() | self.unusable

    def revision(self, shard: str) -> int:
        """The last revision of a shard, 0 before anything of it is committed."""
        return max((unit.revision for unit in self.units if unit.shard == shard), default=0)

    def current(self, table: str, round_: int, shard: str) -> list[Commit]:
        """The commits a table of a shard and round consists of; none that is not in the ledger.

        Only the last revision counts, also where it has not come as far as the one before: tables
        of two revisions need not follow from each other.
        """
        last = self.revision(shard)
        return [
            self.commits[unit]
            for unit in sorted(self.commits)
            if (unit.table, unit.round, unit.shard) == (table, round_, shard)
            and (table in APPENDED_TABLES or unit.revision == last)
        ]

    def counts(self, units: Sequence[Unit]) -> Counter[str] | None:
        """The counts of some commits, added up; None where one of them cannot be used."""
        if any(unit in self.unusable for unit in units):
            return None
        summed: Counter[str] = Counter()
        for unit in units:
            summed.update(self.commits[unit].counts)
        return summed

    def reopened(self, run: Run) -> list[str]:
        """Shards that are being tried again: their last revision is not the first, and not complete."""
        last = {shard.name: self.revision(shard.name) for shard in run.shards}
        return [
            shard
            for shard, revision in last.items()
            if revision and expected_units(run, shard, revision)[-1] not in self.units
        ]

    def revisions(self, grading_id: str) -> dict[tuple[int, str], list[Unit]]:
        """What a grading has published of every round and shard, the first revision first."""
        found: dict[tuple[int, str], list[Unit]] = defaultdict(list)
        for unit in sorted(self.units):
            if unit.grading == grading_id:
                found[unit.round, unit.shard].append(unit)
        return found

    def is_redone(self, grading_id: str) -> bool:
        """Whether a grading was continued after a retry, and so has published some of it again."""
        return any(len(units) > 1 for units in self.revisions(grading_id).values())

    def of_shard(self, shard: str) -> Ledger:
        """The same, for the units of one shard only."""
        commits = {unit: commit for unit, commit in self.commits.items() if unit.shard == shard}
        unusable = {unit for unit in self.unusable if unit.shard == shard}
        return Ledger(commits, unusable, self.replaced)


Gradings = dict[str, GradingRecord]
"""The gradings of a run by id."""


@dataclass(frozen=True, slots=True)
class AuditedRun:
    """A run, its commits and its gradings; ``readers`` read journal entries side by side."""

    store: Backend
    run: Run
    ledger: Ledger
    gradings: Gradings
    journal: Journal
    readers: Executor
    tally: Tally


def read_ledger(store: Backend, run_id: str, tally: Tally) -> Ledger:
    """Read every commit of a run; those that cannot be used are findings."""
    ledger = Ledger()
    units = []
    for key in store.list(commits_prefix(run_id)):
        unit = unit_of_commit(key)
        if unit is None or unit.table not in (*TABLES, *FORMER_TABLES):
            what = "is among the commits and is none"
            ledger.findings.append(Finding("commits", Where(key), what, "warning"))
        else:
            units.append(unit)
    units.sort()
    for start in range(0, len(units), COMMITS_AT_ONCE):
        some = units[start : start + COMMITS_AT_ONCE]
        for unit, commit in zip(some, _read(store, some), strict=True):
            tally.commits += 1
            fault = commit if isinstance(commit, str) else _fault(commit, unit)
            if isinstance(commit, Commit) and fault is None:
                if unit.first in ledger.commits:
                    ledger.replaced.append(ledger.commits[unit.first])
                ledger.commits[unit.first] = commit
            else:
                ledger.unusable.add(unit.first)
                where = Where.of_commit(unit)
                ledger.findings.append(
                    Finding("commits", where, f"{fault}; its rows were not checked")
                )
    return ledger


def _read(store: Backend, units: Sequence[Unit]) -> list[Commit | str]:
    """The commits of units, or what is wrong with each; one by one only where one is."""
    try:
        return list(read_commits(store, units))
    except (StoreError, KeyError) as fault:
        if len(units) == 1:
            return [fault.why if isinstance(fault, BadRecord) else f"cannot be read: {fault}"]
        return [found for unit in units for found in _read(store, [unit])]


def _fault(commit: Commit, unit: Unit) -> str | None:
    """What makes a commit unusable, if anything."""
    if commit.unit != unit:
        return f"is the commit of {'/'.join(map(str, commit.unit))}"
    versions = range(1, SCHEMA_VERSION + 1)
    if commit.path not in [data_key(unit, version, commit.file.sha256) for version in versions]:
        return f"names the file {quoted(commit.path)}, which is not named by its content"
    return None


def check_order(run: Run, ledger: Ledger, *, is_closed: bool) -> Iterator[Finding]:
    """The commits of every shard are a beginning, without a gap, of what the stages commit, or all."""
    names = {shard.name for shard in run.shards}
    by_shard: dict[str, set[Unit]] = {name: set() for name in names}
    for unit in sorted(ledger.units):
        if unit.shard not in names or not 1 <= unit.round <= run.plan.rounds:
            where = Where.of_commit(unit)
            yield Finding("commits", where, "the run has no such shard or round")
        else:
            by_shard[unit.shard].add(unit)
    for name, present in sorted(by_shard.items()):
        expected = expected_units(run, name, max((unit.revision for unit in present), default=0))
        reached = [position for position, unit in enumerate(expected) if unit in present]
        last = len(expected) - 1 if is_closed else max(reached, default=-1)
        for unit in expected[: last + 1]:
            if unit not in present:
                what = "is missing: " + (
                    "the run is closed" if is_closed else "later ones are there"
                )
                where = Where.of_commit(unit)
                yield Finding("commits", where, what)
    keys = {commit_key(unit) for unit in ledger.units}
    for unit, commit in sorted(ledger.commits.items()):
        for key in commit.inputs:
            if key not in keys:
                where = Where.of_commit(unit)
                yield Finding("lineage", where, f"was made from {quoted(key)}, which is no commit")


def expected_units(run: Run, shard: str, revision: int) -> list[Unit]:
    """What the stages commit for a shard, in their order, up to the end of a revision."""
    found = []
    for number in range(revision + 1):
        for round_ in range(1, run.plan.rounds + 1):
            tables = ROUND_TABLES if run.plan.step(round_).stopping is None else RULED_TABLES
            found += [Unit(run.run_id, table, round_, shard, number) for table in tables]
        last = (run.plan.rounds, shard, number)
        found += [Unit(run.run_id, "answers", *last), Unit(run.run_id, "verdicts", *last, OWN)]
    return found
