"""Gradings on trial: their records, and that the verdicts of each are of it and all there."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator

from pacore.audit.finding import Finding, Where, shown
from pacore.audit.ledger import Ledger
from pacore.audit.records import DEFECTS
from pacore.core.grading.choose import is_by_rules
from pacore.errors import BadInput, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.gradings import GradingRecord, read_gradings
from pacore.store.layout import Unit, commit_key, graded_key, grading_key, gradings_prefix
from pacore.store.run import Run

Gradings = dict[str, GradingRecord]
"""The gradings of a run by id."""


def known_gradings(store: Backend, run_id: str) -> tuple[Gradings, list[Finding]]:
    """The gradings as their records have them, and what is wrong with the records as a whole."""
    try:
        records = read_gradings(store, run_id)
        keys = list(store.list(gradings_prefix(run_id)))
    except (StoreError, *DEFECTS) as fault:
        where = Where(gradings_prefix(run_id))
        return {}, [Finding("gradings", where, f"cannot be used: {shown(fault)}")]
    begun = sum(not key.endswith(".done.json") for key in keys)
    ends = {graded_key(run_id, number) for number in range(1, begun + 1)}
    found = [
        Finding("gradings", Where(key), "is the end of a grading that never began")
        for key in sorted(keys)
        if key.endswith(".done.json") and key not in ends
    ]
    known = {}
    for record in records:
        try:
            is_by_rules(record.grading.grader)
            known[record.grading.grading_id] = record
        except BadInput as fault:
            where = Where(grading_key(run_id, record.sequence))
            found.append(Finding("gradings", where, str(fault)))
    return known, found


def check_gradings(
    store: Backend, run: Run, ledger: Ledger, gradings: Gradings
) -> Iterator[Finding]:
    """Hold the commits of verdicts against the gradings, and the gradings against their commits."""
    for unit in sorted(ledger.units):
        where = Where(commit_key(unit), unit.table, unit.round)
        if (unit.table == "verdicts") != bool(unit.grading):
            what = "is of no grading" if unit.table == "verdicts" else "is of a grading"
            yield Finding("commits", where, what)
        elif unit.grading and unit.grading not in gradings:
            what = f"is of grading {unit.grading}, which {gradings_prefix(run.run_id)} has not"
            yield Finding("gradings", where, what)
    for unit, commit in sorted(ledger.commits.items()):
        judged = commit_key(unit._replace(table="trajectories", grading=""))
        if unit.table == "verdicts" and judged not in commit.inputs:
            where = Where(commit_key(unit), unit.table, unit.round)
            yield Finding("lineage", where, f"was not made from {judged}, which it judges")
    for record in gradings.values():
        if record.finished_at is not None:
            yield from _whole(run, ledger, record)
            yield from _counted(store, run, ledger, record)


def _revisions(ledger: Ledger, grading_id: str) -> dict[tuple[int, str], list[Unit]]:
    """What a grading has published of every round and shard, the first revision first."""
    found: dict[tuple[int, str], list[Unit]] = defaultdict(list)
    for unit in sorted(ledger.units):
        if unit.grading == grading_id:
            found[unit.round, unit.shard].append(unit)
    return found


def is_redone(ledger: Ledger, grading_id: str) -> bool:
    """Whether a grading went on after a retry, and so has published some of it again."""
    return any(len(units) > 1 for units in _revisions(ledger, grading_id).values())


def _whole(run: Run, ledger: Ledger, record: GradingRecord) -> Iterator[Finding]:
    """A grading that came to its end has judged every round of every shard, retried since or not."""
    published = _revisions(ledger, record.grading.grading_id)
    for round_ in range(1, run.plan.rounds + 1):
        for shard in run.shards:
            if (round_, shard.name) not in published:
                place = (round_, shard.name, ledger.revision(shard.name))
                unit = Unit(run.run_id, "verdicts", *place, record.grading.grading_id)
                what = f"is missing: {graded_key(run.run_id, record.sequence)} says all are there"
                yield Finding("commits", Where(commit_key(unit), "verdicts", round_), what)


def _counted(store: Backend, run: Run, ledger: Ledger, record: GradingRecord) -> Iterator[Finding]:
    """What the end of a grading counted is what its commits add up to, unless it went on since."""
    grading_id = record.grading.grading_id
    units = [unit for unit in ledger.units if unit.grading == grading_id]
    if is_redone(ledger, grading_id) or any(unit in ledger.unusable for unit in units):
        return
    where = Where(graded_key(run.run_id, record.sequence))
    try:
        counts = dict(json.loads(store.get(where.file))["counts"])
    except (StoreError, *DEFECTS) as fault:
        yield Finding("gradings", where, f"cannot be used: {shown(fault)}")
        return
    summed: Counter[str] = Counter()
    for unit in units:
        summed.update(ledger.commits[unit].counts)
    for name in sorted(counts.keys() | summed.keys()):
        if counts.get(name, 0) != summed[name]:
            what = f"{name} is {shown(counts.get(name))}; the commits add up to {summed[name]}"
            yield Finding("gradings", where, what)
