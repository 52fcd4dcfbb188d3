"""Snapshots and the end of a run on trial: an unbroken chain over what the commits say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pacore.audit.finding import Finding, Where, shown
from pacore.audit.gradings import Gradings, is_redone
from pacore.audit.ledger import Ledger
from pacore.audit.records import DEFECTS
from pacore.core.identity import sha256_hex
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.commits import COUNTED, Commit, standing_units
from pacore.store.layout import Unit, snapshot_key, snapshots_prefix, unit_of_data
from pacore.store.retries import end_key
from pacore.store.run import Run

ENTRY = ("path", "sha256", "bytes", "rows")


@dataclass(frozen=True)
class Snapshot:
    """One link of the chain as it was read: its key, its bytes, and the files it lists by table."""

    key: str
    data: bytes
    record: Mapping[str, Any]

    @property
    def files(self) -> list[Mapping[str, Any]]:
        return [file for files in self.record["tables"].values() for file in files]


def snapshot_keys(store: Backend, run_id: str) -> list[str]:
    """The snapshots a run has now. To be asked before its commits, which come first to be."""
    return list(store.list(snapshots_prefix(run_id)))


def check_snapshots(
    store: Backend,
    run: Run,
    ledger: Ledger,
    gradings: Gradings,
    keys: Sequence[str],
    is_closed: bool,
) -> Iterator[Finding]:
    """The chain ``keys`` has no hole and no false link, and its end lists what the commits say."""
    expected = [snapshot_key(run.run_id, number) for number in range(len(keys))]
    for key in sorted(set(expected) - set(keys)):
        yield Finding("snapshots", Where(key), "is missing: the sequence has a hole")
    for key in sorted(set(keys) - set(expected)):
        yield Finding("snapshots", Where(key), "stands where the sequence has no place for it")
    if is_closed and not keys:
        key = snapshot_key(run.run_id, 0)
        yield Finding("snapshots", Where(key), "is missing: the run is closed")
    commits = [*ledger.commits.values(), *ledger.replaced]
    known = {commit.path: _entry(commit) for commit in commits}
    before: Snapshot | None = None
    for number, key in enumerate(expected):
        link = _read(store, key) if key in keys else None
        if isinstance(link, Finding):
            yield link
            link = None
        if link is not None:
            yield from _linked(run, number, link, before)
            yield from _listed(link, known)
        before = link
    if is_closed and before is not None:
        yield from _complete(ledger, gradings, before)


def _read(store: Backend, key: str) -> Snapshot | Finding:
    try:
        data = store.get(key)
        found = Snapshot(key, data, json.loads(data))
        if any(not isinstance(file["path"], str) for file in found.files):
            raise ValueError("a file without a path")
    except (StoreError, *DEFECTS) as fault:
        what = f"cannot be used: {type(fault).__name__} {shown(fault)}"
        return Finding("snapshots", Where(key), what)
    return found


def _linked(run: Run, number: int, link: Snapshot, before: Snapshot | None) -> Iterator[Finding]:
    """A snapshot names itself and the bytes of the one before it."""
    where, record = Where(link.key), link.record
    if record.get("run_id") != run.run_id or record.get("sequence") != number:
        what = f"calls itself {shown(record.get('sequence'))} of {shown(record.get('run_id'))}"
        yield Finding("snapshots", where, what)
    if before is None and number:
        return
    parent = sha256_hex(before.data) if before else None
    if record.get("parent_sha256") != parent:
        what = f"parent_sha256 is {shown(record.get('parent_sha256'))}; the snapshot before has "
        yield Finding("snapshots", where, what + str(parent))


def _entry(commit: Commit) -> dict[str, Any]:
    """A commit's file as snapshots list it."""
    return {name: getattr(commit, name) for name in ENTRY}


def _listed(link: Snapshot, known: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Every file a snapshot lists is committed, as it says."""
    for file in link.files:
        committed = known.get(file["path"])
        if committed is None:
            what = f"lists {shown(file['path'])}, which no commit names"
            yield Finding("snapshots", Where(link.key), what)
        elif wrong := [name for name in ENTRY if committed[name] != file.get(name)]:
            what = f"lists {file['path']} with another {', '.join(wrong)} than its commit"
            yield Finding("snapshots", Where(link.key), what)


def _complete(ledger: Ledger, gradings: Gradings, last: Snapshot) -> Iterator[Finding]:
    """The last snapshot of a closed run lists every standing file, and no other.

    The verdicts of a grading are listed at its end. That one which went on after a retry has come to
    its end again is recorded nowhere.
    """
    ended = {name for name, record in gradings.items() if record.finished_at is not None}
    listed = {file["path"] for file in last.files}
    standing = {
        unit: ledger.commits[unit].path
        for unit in standing_units(ledger.units)
        if unit in ledger.commits
    }
    committed = {commit.path for commit in ledger.commits.values()}
    for unit, path in sorted(standing.items()):
        if path not in listed and (not unit.grading or unit.grading in ended):
            what = f"does not list {path}, which stands in the tables"
            goes_on = unit.grading != "" and is_redone(ledger, unit.grading)
            yield Finding("snapshots", Where(last.key), what, "warning" if goes_on else "error")
    for path in sorted((listed & committed) - set(standing.values())):
        what = f"lists {path}, which a later revision replaced"
        yield Finding("snapshots", Where(last.key), what)


def check_final(store: Backend, run: Run, ledger: Ledger, keys: Sequence[str]) -> Iterator[Finding]:
    """How a closed run says it ended is what its commits add up to; ``keys`` are its snapshots."""
    where = Where(end_key(store, run.run_id))
    try:
        record = json.loads(store.get(where.file))
        counts, sequence, named = dict(record["counts"]), record["snapshot"], record["run_id"]
    except (StoreError, *DEFECTS) as fault:
        yield Finding("final", where, f"cannot be used: {type(fault).__name__} {shown(fault)}")
        return
    if named != run.run_id:
        yield Finding("final", where, f"run_id is {shown(named)}")
    if not _is_last_ungraded(store, run, sequence, keys):
        what = f"snapshot is {shown(sequence)}; the last one is {len(keys) - 1}"
        yield Finding("final", where, what)
    units = [unit for unit in standing_units(ledger.units) if unit.table in COUNTED]
    if any(unit in ledger.unusable for unit in units):
        return
    summed: Counter[str] = Counter()
    for unit in units:
        summed.update(ledger.commits[unit].counts)
    for name in sorted(counts.keys() | summed.keys()):
        if counts.get(name, 0) != summed[name]:
            what = f"{name} is {shown(counts.get(name))}; the commits add up to {summed[name]}"
            yield Finding("final", where, what)


def _is_last_ungraded(store: Backend, run: Run, sequence: object, keys: Sequence[str]) -> bool:
    """Whether a snapshot is the last one but for gradings and repairs, which change no rows of the
    run's own tables.
    """
    if not isinstance(sequence, int) or not 0 <= sequence < len(keys):
        return False
    since = [
        _read(store, snapshot_key(run.run_id, number)) for number in range(sequence, len(keys))
    ]
    own = [
        {
            _unit(file)
            for name, files in link.record["tables"].items()
            if name != "verdicts"
            for file in files
        }
        for link in since
        if isinstance(link, Snapshot)
    ]
    return all(units == own[0] for units in own)


def _unit(file: Mapping[str, Any]) -> Unit | None:
    """What a snapshot's file holds, whichever repair of it."""
    unit = unit_of_data(file["path"])
    return None if unit is None else unit.first
