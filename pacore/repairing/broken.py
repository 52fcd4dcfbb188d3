"""What of a run is broken: data files and commits that are missing or not what they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pacore.auditing.finding import Tally
from pacore.auditing.ledger import Ledger, expected_units, read_ledger
from pacore.commits import APPENDED_TABLES, Commit, standing_units
from pacore.gradings import GradingRecord, lacking, read_gradings
from pacore.layout import Unit, commit_key
from pacore.run import Run, is_closed
from pacore.snapshots import StandingFile
from pacore.store import Backend
from pacore.wholeness import damage


@dataclass(frozen=True, slots=True)
class Broken:
    """One unit that is not as it was, named as it was first published; ``commit`` is None where that
    itself is missing or cannot be read.
    """

    unit: Unit
    commit: Commit | None
    what: str

    @property
    def key(self) -> str:
        """What is broken: the data file, or the commit."""
        return self.commit.path if self.commit else commit_key(self.unit)


def find_broken(store: Backend, run: Run) -> list[Broken]:
    """Every broken unit that a table of the run consists of, in the order of their making.

    Reads every file. What a later revision has replaced is left alone, since nothing reads it.
    """
    ledger = read_ledger(store, run.run_id, Tally())
    closed = is_closed(store, run.run_id)
    found = [
        *_damaged(store, ledger),
        *(Broken(unit, None, "its commit cannot be read") for unit in ledger.unusable),
        *(Broken(unit, None, "its commit is missing") for unit in _missing(run, ledger, closed)),
    ]
    for record in read_gradings(store, run.run_id):
        found += _ungraded(ledger, record)
    by_unit = {one.unit: one for one in found}
    return [by_unit.pop(unit) for unit in _in_order(run, ledger) if unit in by_unit] + sorted(
        by_unit.values(), key=lambda one: one.unit
    )


def _damaged(store: Backend, ledger: Ledger) -> Iterator[Broken]:
    for unit in standing_units(ledger.units):
        commit = ledger.commits.get(unit)
        if commit is not None:
            file = StandingFile(commit.path, commit.sha256, commit.bytes)
            if what := damage(store, file):
                yield Broken(unit, commit, what)


def _missing(run: Run, ledger: Ledger, closed: bool) -> Iterator[Unit]:
    """Units that must have been committed: all of a closed run, of others those before the last."""
    for shard in run.shards:
        present = {unit for unit in ledger.units if unit.shard == shard.name and not unit.grading}
        last = ledger.revision(shard.name)
        expected = expected_units(run, shard.name, last)
        reached = [place for place, unit in enumerate(expected) if unit in present]
        until = len(expected) if closed else max(reached, default=-1) + 1
        for unit in expected[:until]:
            is_read = unit.revision == last or unit.table in APPENDED_TABLES
            if unit not in present and is_read:
                yield unit


def _ungraded(ledger: Ledger, record: GradingRecord) -> list[Broken]:
    """Verdicts that a grading which came to its end has published, and that are not there.

    One that a retry has set going again has more to do, which is no fault.
    """
    grading_id = record.grading.grading_id
    begun = {unit.shard for unit in ledger.units if unit.grading == grading_id}
    if record.finished_at is None or not begun:
        return []
    absent = lacking(standing_units(ledger.units), grading_id)
    first = [unit for unit in absent if unit.revision == 0]
    return [Broken(unit, None, "its commit is missing") for unit in first]


def _in_order(run: Run, ledger: Ledger) -> Iterator[Unit]:
    """Every unit the stages publish, shard after shard; texts follow the trajectories they are of."""
    for shard in run.shards:
        units = expected_units(run, shard.name, ledger.revision(shard.name))
        last = [unit for unit in units if unit.table not in APPENDED_TABLES]
        yield from last
        yield from (unit for unit in units if unit.table in APPENDED_TABLES)
