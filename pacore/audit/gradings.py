"""Audit of gradings: their records, and that each has all its verdicts and no others."""

from __future__ import annotations

from collections.abc import Iterator

from pacore.audit.finding import Finding, Where, miscounted, quoted
from pacore.audit.ledger import AuditedRun, Gradings, Ledger
from pacore.audit.records import read_record
from pacore.core.grading.choose import is_by_rules
from pacore.errors import BadInput, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.gradings import GradingEnd, GradingRecord, read_gradings
from pacore.store.layout import OWN, Unit, commit_key, graded_key, grading_key, gradings_prefix
from pacore.store.records import BadRecord
from pacore.store.run import Run


def known_gradings(store: Backend, run_id: str) -> tuple[Gradings, list[Finding]]:
    """The gradings as their records have them, and what is wrong with the records as a whole."""
    try:
        records = read_gradings(store, run_id)
        keys = list(store.list(gradings_prefix(run_id)))
    except BadRecord as bad:
        return {}, [Finding("gradings", Where(bad.key), bad.why)]
    except (StoreError, KeyError) as fault:
        where = Where(gradings_prefix(run_id))
        return {}, [Finding("gradings", where, f"cannot be read: {quoted(fault)}")]
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


def check_gradings(audited: AuditedRun) -> Iterator[Finding]:
    """Compare the commits of verdicts with the gradings, and the gradings with their commits."""
    run, ledger, gradings = audited.run, audited.ledger, audited.gradings
    for unit in sorted(ledger.units):
        where = Where.of_commit(unit)
        if (unit.table == "verdicts") != bool(unit.grading):
            what = "is of no grading" if unit.table == "verdicts" else "is of a grading"
            yield Finding("commits", where, what)
        elif unit.grading not in ("", OWN, *gradings):
            what = f"is of grading {unit.grading}, which is not in {gradings_prefix(run.run_id)}"
            yield Finding("gradings", where, what)
    for unit, commit in sorted(ledger.commits.items()):
        table = "answers" if unit.grading == OWN else "trajectories"
        judged = commit_key(unit._replace(table=table, grading=""))
        if unit.table == "verdicts" and judged not in commit.inputs:
            where = Where.of_commit(unit)
            yield Finding("lineage", where, f"was not made from {judged}, which it judges")
    for record in gradings.values():
        if record.finished_at is not None:
            yield from _whole(run, ledger, record)
            yield from _counted(audited.store, run, ledger, record)


def _whole(run: Run, ledger: Ledger, record: GradingRecord) -> Iterator[Finding]:
    """A finished grading has verdicts on every round of every shard, retried since or not."""
    published = ledger.revisions(record.grading.grading_id)
    for round_ in range(1, run.plan.rounds + 1):
        for shard in run.shards:
            if (round_, shard.name) not in published:
                place = (round_, shard.name, ledger.revision(shard.name))
                unit = Unit(run.run_id, "verdicts", *place, record.grading.grading_id)
                what = f"is missing: {graded_key(run.run_id, record.sequence)} says all are there"
                yield Finding("commits", Where.of_commit(unit), what)


def _counted(store: Backend, run: Run, ledger: Ledger, record: GradingRecord) -> Iterator[Finding]:
    """The counts of a finished grading are what its commits add up to, unless it was continued since."""
    grading_id = record.grading.grading_id
    summed = ledger.counts([unit for unit in ledger.units if unit.grading == grading_id])
    if summed is None or ledger.is_redone(grading_id):
        return
    where = Where(graded_key(run.run_id, record.sequence))
    end = read_record(store, where.file, GradingEnd)
    if isinstance(end, str):
        yield Finding("gradings", where, end)
    else:
        yield from miscounted(end.counts, summed, where, "gradings", "the commits add up to")
