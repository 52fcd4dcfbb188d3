"""What stands at one place of a run: the rows of one problem and replicate in one round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

from pacore.auditing.finding import Where
from pacore.auditing.rows import Row
from pacore.core.problem import Problem
from pacore.core.trajectory import Slot, Trajectory, normalise
from pacore.store.journal import Entry
from pacore.store.rows import trajectory_row
from pacore.store.schema import TABLES


@dataclass(frozen=True)
class Journalled:
    """An entry of the journal, and the row it becomes; the columns of its place mean nothing."""

    entry: Entry
    row: Row

    @staticmethod
    def of(entry: Entry) -> Journalled:
        """Raises KeyError, TypeError, ValueError or AttributeError for an entry that is none."""
        made = Trajectory(
            place=Slot(0, "", 0, 0, 0),
            trajectory_id=entry.trajectory_id,
            attempt=0,
            seed=0,
            prompt_digest="",
            generation=entry.generation,
            thought=normalise(entry.generation),
            generated_at=entry.generated_at.replace(tzinfo=None),
        )
        names = TABLES["trajectories"].schema.names
        return Journalled(entry, dict(zip(names, trajectory_row(made), strict=True)))


@dataclass(frozen=True)
class Gathered:
    """One problem and replicate in one round, with everything an audit holds against each other.

    A table that could not be read is None, which is not the same as no rows. ``before`` are the
    messages of the round before. ``files`` names the file each table has here. ``entries`` has, by
    trajectory id, the journal's entry, None where there is none, or why it cannot be read.
    """

    round: int
    problem: Problem
    replicate: int
    files: Mapping[str, str]
    trajectories: list[Row] | None
    texts: list[Row] | None
    before: list[Row] | None
    messages: list[Row] | None
    entries: Mapping[str, Journalled | str | None] = field(default_factory=dict)

    def where(self, table: str) -> Where:
        """The place itself, for what is wrong with no row of it."""
        problem_id = self.problem.problem_id
        return Where(self.files[table], table, self.round, problem_id, self.replicate)

    def entry(self, row: Row) -> Entry | None:
        """The journal's entry of a row, where there is one that can be read."""
        found = self.entries.get(row["trajectory_id"])
        return found.entry if isinstance(found, Journalled) else None

    def slots(self) -> dict[int, list[Row]]:
        """The rows of each slot, attempts in order; the last one stands."""
        rows = self.trajectories or []
        return {slot: list(found) for slot, found in groupby(rows, key=lambda row: row["slot"])}

    def standing(self) -> list[Row]:
        return [attempts[-1] for attempts in self.slots().values()]
