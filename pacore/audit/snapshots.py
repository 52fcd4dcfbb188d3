"""Audit of snapshots and of a run's end: each snapshot names the one before it, and lists what the
commits say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from pacore.audit.finding import Finding, Severity, Where, differing, miscounted, quoted
from pacore.audit.gradings import is_redone
from pacore.audit.ledger import AuditedRun
from pacore.audit.records import read_record
from pacore.core.identity import sha256_hex
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Snapshot, TableFile, current_among
from pacore.store.layout import OWN, snapshot_key, snapshots_prefix, unit_of_data
from pacore.store.records import BadRecord, decode
from pacore.store.retries import end_key
from pacore.store.run import Run, RunEnd


@dataclass(frozen=True)
class Link:
    """One snapshot as it was read: its key, its bytes, and what it says."""

    key: str
    data: bytes
    snapshot: Snapshot


def snapshot_keys(store: Backend, run_id: str) -> list[str]:
    """The snapshots a run has now. To be listed before its commits, which are written before."""
    return list(store.list(snapshots_prefix(run_id)))


def check_snapshots(
    audited: AuditedRun, keys: Sequence[str], *, is_closed: bool
) -> Iterator[Finding]:
    """The snapshots ``keys`` are numbered without a gap, each names the digest of the one before, and
    the last one lists what the commits say.
    """
    run, ledger = audited.run, audited.ledger
    expected = [snapshot_key(run.run_id, number) for number in range(len(keys))]
    for key in sorted(set(expected) - set(keys)):
        yield Finding("snapshots", Where(key), "is missing: the sequence has a hole")
    for key in sorted(set(keys) - set(expected)):
        yield Finding("snapshots", Where(key), "has no place in the sequence")
    if is_closed and not keys:
        key = snapshot_key(run.run_id, 0)
        yield Finding("snapshots", Where(key), "is missing: the run is closed")
    commits = [*ledger.commits.values(), *ledger.replaced]
    known = {commit.path: commit.file for commit in commits}
    before: Link | None = None
    for number, key in enumerate(expected):
        link = _read(audited.store, key) if key in keys else None
        if isinstance(link, Finding):
            yield link
            link = None
        if link is not None:
            yield from _linked(run, number, link, before)
            yield from _listed(link, known)
        before = link
    if is_closed and before is not None:
        yield from _complete(audited, before)


def _read(store: Backend, key: str) -> Link | Finding:
    try:
        data = store.get(key)
        return Link(key, data, decode(data, key, Snapshot))
    except BadRecord as bad:
        return Finding("snapshots", Where(key), bad.why)
    except (StoreError, KeyError) as fault:
        return Finding("snapshots", Where(key), f"cannot be read: {quoted(fault)}")


def _linked(run: Run, number: int, link: Link, before: Link | None) -> Iterator[Finding]:
    """A snapshot names itself and the bytes of the one before it."""
    where, snapshot = Where(link.key), link.snapshot
    if (snapshot.run_id, snapshot.sequence) != (run.run_id, number):
        what = f"calls itself {snapshot.sequence} of {quoted(snapshot.run_id)}"
        yield Finding("snapshots", where, what)
    if before is None and number:
        return
    parent = sha256_hex(before.data) if before else None
    because = "the snapshot before has"
    yield from differing(snapshot, {"parent_sha256": parent}, where, "snapshots", because)


def _listed(link: Link, known: Mapping[str, TableFile]) -> Iterator[Finding]:
    """Every file a snapshot lists is committed, as it says."""
    for file in link.snapshot.files:
        committed = known.get(file.path)
        if committed is None:
            what = f"lists {quoted(file.path)}, which no commit names"
            yield Finding("snapshots", Where(link.key), what)
        elif committed != file:
            stated, actual = asdict(file), asdict(committed)
            wrong = ", ".join(name for name in stated if stated[name] != actual[name])
            what = f"lists {file.path} with another {wrong} than its commit"
            yield Finding("snapshots", Where(link.key), what)


def _complete(audited: AuditedRun, last: Link) -> Iterator[Finding]:
    """The last snapshot of a closed run lists every current file, and no other.

    The verdicts of a grading are listed when it is finished. No record says that one which was
    continued after a retry is finished again.
    """
    ledger = audited.ledger
    ended = {name for name, record in audited.gradings.items() if record.finished_at is not None}
    of_run = ("", OWN)
    listed = {file.path for file in last.snapshot.files}
    current = {
        unit: ledger.commits[unit].path
        for unit in current_among(ledger.units)
        if unit in ledger.commits
    }
    committed = {commit.path for commit in ledger.commits.values()}
    for unit, path in sorted(current.items()):
        if path not in listed and (unit.grading in of_run or unit.grading in ended):
            what = f"does not list {path}, which is part of the tables"
            may_go_on = unit.grading not in of_run and is_redone(ledger, unit.grading)
            severity: Severity = "warning" if may_go_on else "error"
            yield Finding("snapshots", Where(last.key), what, severity)
    for path in sorted((listed & committed) - set(current.values())):
        what = f"lists {path}, which a later revision replaced"
        yield Finding("snapshots", Where(last.key), what)


def check_final(audited: AuditedRun, keys: Sequence[str]) -> Iterator[Finding]:
    """How a closed run says it ended is what its commits add up to; ``keys`` are its snapshots."""
    run, ledger = audited.run, audited.ledger
    where = Where(end_key(audited.store, run.run_id))
    end = read_record(audited.store, where.file, RunEnd)
    if isinstance(end, str):
        yield Finding("final", where, end)
        return
    if end.run_id != run.run_id:
        yield Finding("final", where, f"run_id is {quoted(end.run_id)}")
    if not _is_last_ungraded(audited.store, run, end.snapshot, keys):
        what = f"snapshot is {end.snapshot}; the last one is {len(keys) - 1}"
        yield Finding("final", where, what)
    units = [unit for unit in current_among(ledger.units) if unit.table == "answers"]
    if (summed := ledger.counts(units)) is not None:
        # Runs of earlier versions have counted their scores, too.
        stated = {name: end.counts.get(name, 0) for name in summed}
        yield from miscounted(stated, summed, where, "final", "the commits add up to")


def _is_last_ungraded(store: Backend, run: Run, sequence: int | None, keys: Sequence[str]) -> bool:
    """Whether a snapshot is the last one but for gradings and repairs, which change no rows of the
    run's own tables.
    """
    if sequence is None or not 0 <= sequence < len(keys):
        return False
    since = [
        _read(store, snapshot_key(run.run_id, number)) for number in range(sequence, len(keys))
    ]
    own = [
        {
            unit.first if (unit := unit_of_data(file.path)) else None
            for table, files in link.snapshot.tables.items()
            if table != "verdicts"
            for file in files
        }
        for link in since
        if isinstance(link, Link)
    ]
    return all(units == own[0] for units in own)
