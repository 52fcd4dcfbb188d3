"""Cleaning after nights: which runs of old nights a job keeps, and the removal of the others.

A rule of the job keeps a night, or it is kept whatever the rules: one that a person accepted, those that
the gate compares tonight with, and one that something in the store refers to. The ledger keeps all nights,
with what the gate needs of each, so that no decision depends on what was removed.

A run is referred to by another that shows its texts, by one whose problems were made from its rows, and by
one that goes on with the same recipe, since that may be about to take its generations. Of the journal only
what no other run has in its tables goes. Frozen problem sets stay. A run's record goes first, so that
nobody reads a part of it, and what it refers to last; the files go through
`pacore.store.integrity.collect`, which leaves alone what is younger than a day.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import PurePosixPath
from typing import BinaryIO

from pacore.core.config.nightly import NightlyJob
from pacore.core.identity import digest
from pacore.errors import StoreError
from pacore.evaluation.comparison import NO_GO
from pacore.evaluation.night import FLAKY_NIGHTS
from pacore.evaluation.statistics.nightly import WINDOW
from pacore.store.backends.protocol import Backend, Stored
from pacore.store.commits import Commit
from pacore.store.integrity import collect
from pacore.store.layout import (
    DERIVED,
    commits_prefix,
    data_prefix,
    derived_key,
    journal_key,
    lease_key,
    removal_prefix,
    removals_prefix,
    run_key,
    run_prefix,
    snapshots_prefix,
)
from pacore.store.nights import Night, list_jobs, read_acceptances, read_nights
from pacore.store.parquet import read_column, read_distinct, read_values
from pacore.store.records import Time, find, put_next, read_many
from pacore.store.run import Run, imported_texts, is_closed, list_runs, open_runs
from pacore.store.schema import FORMER_TABLES, TABLES

COMPARED = max(WINDOW, FLAKY_NIGHTS)
"""The last nights, which the next is compared with."""


@dataclass(frozen=True, slots=True)
class Removal:
    """The record of a night's removal: its runs, and when it began; a second one says that it ended."""

    job: str
    night: str
    runs: tuple[str, ...]
    at: Time


@dataclass(frozen=True, slots=True)
class KeptNight:
    """A night whose runs are in the store: why they are kept, None where they go; and what they take."""

    night: Night
    why: str | None
    files: int
    bytes: int


def plan_cleaning(store: Backend, job: NightlyJob, now: datetime | None = None) -> list[KeptNight]:
    """What becomes of each night of a job whose runs are in the store, the first night first.

    Raises StoreError where it is not known what something in the store refers to.
    """
    there = set(list_runs(store))
    nights = read_nights(store, job.name)
    kept = kept_by_rules(nights, job, _accepted(store), datetime.now(UTC) if now is None else now)
    parts: dict[str, list[RunParts]] = {
        night.run_id: [parts_of(store, run_id) for run_id in night.all_runs if run_id in there]
        for night in nights
    }
    present = [night for night in nights if parts[night.run_id]]
    for night in present:
        if night.run_id not in kept and is_young(parts[night.run_id]):
            kept[night.run_id] = "written within a day"
    going = {
        night.run_id: [part.run_id for part in parts[night.run_id]]
        for night in present
        if night.run_id not in kept
    }
    kept |= still_needed(store, going)
    return [
        KeptNight(
            night,
            kept.get(night.run_id),
            sum(part.files for part in parts[night.run_id]),
            sum(part.bytes for part in parts[night.run_id]),
        )
        for night in present
    ]


def clean(store: Backend, job: NightlyJob, now: datetime | None = None) -> list[KeptNight]:
    """Remove the runs of the nights of a job that nothing keeps; returns those nights, with what went.

    A removal that was interrupted is finished first.
    """
    if not job.deletes:
        return []
    _finish(store, job)
    gone = []
    for one in plan_cleaning(store, job, now):
        if one.why is None:
            files, size = _removed(store, job.name, one.night.run_id, one.night.all_runs)
            gone.append(KeptNight(one.night, None, files, size))
    return gone


def kept_by_rules(
    nights: Sequence[Night], job: NightlyJob, accepted: set[str], now: datetime
) -> dict[str, str]:
    """The nights, of those in order, that a rule keeps, each with the rule in a few words."""
    return {night.run_id: why for night, why in _kept(nights, job, accepted, now)}


def _kept(
    nights: Sequence[Night], job: NightlyJob, accepted: set[str], now: datetime
) -> Iterator[tuple[Night, str]]:
    count = len(nights)
    for place, night in enumerate(nights):
        back = count - place
        if accepted & {night.run_id, *night.all_runs}:
            yield night, "accepted"
        elif back <= COMPARED:
            yield night, f"of the last {COMPARED}, for the gate"
        elif not job.deletes:
            yield night, "no rule deletes nights"
        elif job.keep_nights is not None and back <= job.keep_nights:
            yield night, f"of the last {job.keep_nights}"
        elif job.keep_days is not None and now - night.ended_at < timedelta(days=job.keep_days):
            yield night, f"younger than {job.keep_days:g} days"
        elif (
            job.keep_no_go_nights is not None
            and night.decision == NO_GO
            and back <= job.keep_no_go_nights
        ):
            yield night, f"NO-GO, of the last {job.keep_no_go_nights}"


def _accepted(store: Backend) -> set[str]:
    """Every run that a person has accepted, of any job."""
    return {
        run_id
        for job in list_jobs(store)
        for acceptance in read_acceptances(store, job)
        for run_id in acceptance.runs
    }


def _removed(
    store: Backend, job: str, night: str, runs: Sequence[str], *, is_begun: bool = False
) -> tuple[int, int]:
    """Remove the runs of a night; how many files went, and their bytes."""
    record = Removal(job, night, tuple(runs), datetime.now(UTC))
    folder = removal_prefix(job, night)
    if not is_begun:
        put_next(store, folder, record)
    sizes = [entry.bytes for entry in remove(store, runs)]
    put_next(store, folder, record)
    return len(sizes), sum(sizes)


def _finish(store: Backend, job: NightlyJob) -> None:
    """Finish removals that were interrupted, but of what something refers to by now."""
    records: dict[str, list[str]] = {}
    for key in store.list(removals_prefix(job.name)):
        records.setdefault(key.split("/")[-2], []).append(key)
    begun = [max(keys) for keys in records.values() if len(keys) % 2]
    for record in read_many(store, begun, Removal):
        again = [run for run in record.runs if _has_begun_again(store, run, record.at)]
        if not again and not still_needed(store, {record.night: record.runs}):
            _removed(store, job.name, record.night, record.runs, is_begun=True)


def _has_begun_again(store: Backend, run_id: str, since: datetime) -> bool:
    """Whether a run of that name was begun after the removal."""
    run = find(store, run_key(run_id), Run)
    return run is not None and datetime.fromisoformat(run.created_at) > since


YOUNG = timedelta(days=1)
"""What was written within is not removed: somebody may be at work on it."""

_LOOKED_UP = 1_000
"""Entries of the journal that are looked up before they are deleted."""


@dataclass(frozen=True, slots=True)
class RunParts:
    """What a store has of one run but its generations: records and data files, with their sizes."""

    run_id: str
    records: Sequence[Stored]
    data: Sequence[Stored]

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in (*self.records, *self.data))

    @property
    def files(self) -> int:
        return len(self.records) + len(self.data)

    @property
    def modified_at(self) -> datetime:
        """When the last of it was written."""
        return max(entry.modified_at for entry in (*self.records, *self.data))


def parts_of(store: Backend, run_id: str) -> RunParts:
    """What a store has of a run."""
    folders = (run_prefix(run_id), snapshots_prefix(run_id), commits_prefix(run_id))
    tables = (data_prefix(table, run_id) for table in (*TABLES, *FORMER_TABLES))
    return RunParts(
        run_id,
        [entry for folder in folders for entry in store.entries(folder)],
        [entry for folder in tables for entry in store.entries(folder)],
    )


def still_needed(store: Backend, groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Of some groups of runs, each of which would be removed as a whole, those that something refers to
    which stays, by the group's name, and what that is in a line.

    Raises StoreError for a record or file that cannot be read: what it refers to is not known then.
    """
    group_of = {run_id: name for name, runs in groups.items() for run_id in runs}
    if not group_of:
        return {}
    references = list(_references(store, group_of.keys()))
    found: dict[str, str] = {}
    while True:
        new = {
            group: why
            for user, run_id, why in references
            if (group := group_of[run_id]) not in found
            and (group_of.get(user) is None or group_of[user] in found)
        }
        if not new:
            return found
        found |= new


def remove(store: Backend, runs: Sequence[str]) -> Iterator[Stored]:
    """Remove some runs that nothing refers to by `still_needed`; yields each file that went.

    After an interruption a further call with the same runs removes what is left of them.
    """
    parts = [parts_of(store, run_id) for run_id in runs]
    ids = _own_generations(store, runs)
    for run_id in runs:
        store.delete(run_key(run_id))
    keys = iter(sorted(map(journal_key, ids)))
    while some := list(islice(keys, _LOOKED_UP)):
        yield from collect(store, list(_stored(store, some)))
    for part in parts:
        store.delete(derived_key(part.run_id))
        store.delete(lease_key(part.run_id))
        for entry in part.records:
            store.delete(entry.key)
            yield entry
        yield from collect(store, list(part.data))


def _references(store: Backend, runs: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """What refers to some runs: the run that does, the run that is meant, and how, in a line."""
    records = open_runs(store, list_runs(store))
    by_recipe: dict[str, list[str]] = defaultdict(list)
    for run in records:
        if run.run_id in runs:
            by_recipe[digest(run.identity["recipe"])].append(run.run_id)
    for run in records:
        user = run.run_id
        for lender in _lenders(store, user):
            if lender in runs and lender != user:
                yield user, lender, f"run {user} shows texts of it"
        same = by_recipe.get(digest(run.identity["recipe"]), [])
        if set(same) - {user} and not is_closed(store, user):
            yield from (
                (user, other, f"run {user}, which is not complete, has the same recipe")
                for other in same
                if other != user
            )
    for key in store.list(DERIVED):
        user = PurePosixPath(key).stem
        yield from (
            (user, source, f"run {user} was made from its rows")
            for source in _sources(store, key)
            if source in runs and source != user
        )


def _lenders(store: Backend, run_id: str) -> set[str]:
    """The runs whose texts one shows."""
    found = {file.run_id for file in imported_texts(store, run_id)}
    for key in _trajectory_files(store, run_id):
        with _opened(store, key) as file:
            found |= read_distinct(file, "text_run_id")
    return found


def _sources(store: Backend, key: str) -> set[str]:
    """The runs that the first problem of a derived set names: all of its problems name the same."""
    with _opened(store, key) as file:
        row = json.loads(file.readline())
    return {
        value["run_id"] for value in row.values() if isinstance(value, dict) and "run_id" in value
    }


def _own_generations(store: Backend, runs: Collection[str]) -> set[str]:
    """Ids of the trajectories that some runs have generated and no other has in its tables."""
    found: set[str] = set()
    for run_id in runs:
        for key in _trajectory_files(store, run_id):
            with _opened(store, key) as file:
                rows = read_values(file, "trajectory_id", "reused")
                found.update(trajectory_id for trajectory_id, is_reused in rows if not is_reused)
    for run_id in list_runs(store) if found else ():
        for key in _trajectory_files(store, run_id) if run_id not in runs else ():
            with _opened(store, key) as file:
                found.difference_update(read_column(file, "trajectory_id"))
    return found


def _trajectory_files(store: Backend, run_id: str) -> list[str]:
    """Keys of all trajectories that a run has committed, those of earlier revisions too."""
    keys = [key for key in store.list(commits_prefix(run_id)) if key.endswith(".json")]
    commits = read_many(store, [key for key in keys if "/trajectories/" in key], Commit)
    return [commit.path for commit in commits]


def _opened(store: Backend, key: str) -> BinaryIO:
    try:
        return store.open(key)
    except KeyError:
        raise StoreError(f"{key}: is missing, so nothing is removed") from None


def _stored(store: Backend, keys: Iterable[str]) -> Iterator[Stored]:
    for key in keys:
        try:
            yield store.stat(key)
        except KeyError:
            continue


def is_young(parts: Sequence[RunParts]) -> bool:
    """Whether something of some runs was written within a day."""
    return any(datetime.now(UTC) - part.modified_at < YOUNG for part in parts if part.files)
