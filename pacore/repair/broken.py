"""What of a run is broken: data files and commits that are missing or not what they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pacore.audit.finding import Tally
from pacore.audit.ledger import Ledger, expected_units, read_ledger
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import APPENDED_TABLES, Commit, TableFile, current_among, last_snapshot
from pacore.store.integrity import damage
from pacore.store.layout import OWN, Unit, commit_key, unit_of_data
from pacore.store.run import Run, is_closed


class Outcome(NamedTuple):
    """One thing of a run that was broken: its key, what was wrong and what became of it."""

    key: str
    what: str
    is_repaired: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """One unit that is not as it was, named as it was first published; ``commit`` is None where that
    itself is missing or cannot be read. ``listed`` is what the last snapshot says of its file then.
    """

    unit: Unit
    commit: Commit | None
    what: str
    listed: TableFile | None = None

    @property
    def path(self) -> str | None:
        """Where the unit's file was, as far as anything says so."""
        if self.commit is not None:
            return self.commit.path
        return None if self.listed is None else self.listed.path

    @property
    def rows(self) -> int | None:
        """How many rows the unit had, as far as anything says so."""
        if self.commit is not None:
            return self.commit.rows
        return None if self.listed is None else self.listed.rows

    @property
    def key(self) -> str:
        """What is broken: the data file, or the commit."""
        return self.commit.path if self.commit else commit_key(self.unit)


def find_broken(store: Backend, run: Run) -> list[Broken]:
    """Every broken unit that a table of the run consists of, in the order of their making.

    Reads every file. What a later revision has replaced is left alone, since nothing reads it.
    """
    ledger = read_ledger(store, run.run_id, Tally())
    listed = _listed(store, run.run_id)
    missing = {
        *_missing(run, ledger, is_closed(store, run.run_id)),
        *(unit for unit in listed if unit.grading and unit not in ledger.units),
    }
    found = [
        *_damaged(store, ledger),
        *(
            Broken(unit, None, "its commit cannot be read", listed.get(unit))
            for unit in ledger.unusable
        ),
        *(Broken(unit, None, "its commit is missing", listed.get(unit)) for unit in missing),
    ]
    by_unit = {one.unit: one for one in found}
    return [by_unit.pop(unit) for unit in _in_order(run, ledger) if unit in by_unit] + sorted(
        by_unit.values(), key=lambda one: one.unit
    )


def _damaged(store: Backend, ledger: Ledger) -> Iterator[Broken]:
    for unit in current_among(ledger.units):
        commit = ledger.commits.get(unit)
        if commit is not None and (what := damage(store, commit.file)):
            yield Broken(unit, commit, what)


def _missing(run: Run, ledger: Ledger, closed: bool) -> Iterator[Unit]:
    """Units that must have been committed: all of a closed run, of others those before the last.

    Shards of which an earlier version has written scores are at their end.
    """
    for shard in run.shards:
        present = {unit for unit in ledger.units if unit.shard == shard.name}
        last = ledger.revision(shard.name)
        expected = expected_units(run, shard.name, last)
        reached = [place for place, unit in enumerate(expected) if unit in present]
        has_scores = any(unit.table == "scores" and unit.revision == last for unit in present)
        until = len(expected) if closed or has_scores else max(reached, default=-1) + 1
        for unit in expected[:until]:
            is_read = unit.revision == last or unit.table in APPENDED_TABLES or unit.grading == OWN
            if unit not in present and is_read:
                yield unit


def _listed(store: Backend, run_id: str) -> dict[Unit, TableFile]:
    """What the last snapshot says of each unit's file; nothing where there is none to be read."""
    try:
        snapshot = last_snapshot(store, run_id)
    except StoreError:
        return {}
    files = snapshot.files if snapshot else []
    return {unit.first: file for file in files if (unit := unit_of_data(file.path)) is not None}


def _in_order(run: Run, ledger: Ledger) -> Iterator[Unit]:
    """Every unit the stages publish, shard after shard; texts follow the trajectories they are of."""
    for shard in run.shards:
        units = expected_units(run, shard.name, ledger.revision(shard.name))
        last = [unit for unit in units if unit.table not in APPENDED_TABLES]
        yield from last
        yield from (unit for unit in units if unit.table in APPENDED_TABLES)
