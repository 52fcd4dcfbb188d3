"""Lost snapshots of a run, written again as far as they follow from what is there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from pacore.audit.finding import Tally
from pacore.audit.ledger import Ledger, read_ledger
from pacore.core.identity import sha256_hex
from pacore.errors import StoreError
from pacore.repair.outcome import Outcome
from pacore.store.backends.protocol import Backend
from pacore.store.commits import (
    Commit,
    Snapshot,
    current_among,
    last_snapshot,
    snapshot_of,
    snapshot_sequence,
    write_snapshot,
)
from pacore.store.gradings import read_gradings
from pacore.store.layout import OWN, snapshot_key
from pacore.store.records import BadRecord, encode, find, read_many
from pacore.store.run import Run, is_closed


def repair_snapshots(store: Backend, run: Run) -> Iterator[Outcome]:
    """Write missing and unreadable snapshots again, where their successor has their digest.

    The last one of a closed run is written from the commits.
    """
    run_id = run.run_id
    if not is_closed(store, run_id):
        return
    try:
        if last_snapshot(store, run_id) is None:
            write_snapshot(store, run_id)
            yield Outcome(snapshot_key(run_id, 0), "is missing: made again", is_repaired=True)
    except StoreError:
        key = snapshot_key(run_id, snapshot_sequence(store, run_id) - 1)
        store.delete(key)
        write_snapshot(store, run_id)
        yield Outcome(key, "cannot be read: made again", is_repaired=True)
    ledger = read_ledger(store, run_id, Tally())
    for number in range(snapshot_sequence(store, run_id) - 1):
        key = snapshot_key(run_id, number)
        what = _fault(store, key)
        if what is None:
            continue
        data = _derived(store, run, ledger, number)
        if data is None:
            said = f"{what}, and nothing says which files it listed; only the audit reads it"
            yield Outcome(key, said, is_repaired=False)
        else:
            store.put(key, data)
            yield Outcome(key, f"{what}: made again, byte for byte", is_repaired=True)


def _fault(store: Backend, key: str) -> str | None:
    try:
        return "is missing" if find(store, key, Snapshot) is None else None
    except BadRecord:
        return "cannot be read"


def _derived(store: Backend, run: Run, ledger: Ledger, number: int) -> bytes | None:
    """The bytes of a snapshot whose digest its successor has; None where no likely one has it."""
    try:
        (after,) = read_many(store, [snapshot_key(run.run_id, number + 1)], Snapshot)
        parent = store.get(snapshot_key(run.run_id, number - 1)) if number else None
    except (KeyError, BadRecord):
        return None
    for commits in _likely(store, run, ledger):
        data = encode(snapshot_of(run.run_id, number, parent, commits))
        if sha256_hex(data) == after.parent_sha256:
            return data
    return None


def _likely(store: Backend, run: Run, ledger: Ledger) -> Iterator[list[Commit]]:
    """What a run may have consisted of: before some retries, gradings and repairs of it."""
    revisions = range(max((unit.revision for unit in ledger.commits), default=0) + 1)
    graded = [OWN, *(record.grading_id for record in read_gradings(store, run.run_id))]
    replaced = {commit.unit.first: commit for commit in reversed(ledger.replaced)}
    for revision, count, before in product(revisions, range(len(graded) + 1), (False, True)):
        known = {**ledger.commits, **(replaced if before else {})}
        units = [
            unit
            for unit in known
            if unit.revision <= revision and unit.grading in ("", *graded[:count])
        ]
        yield [known[unit] for unit in current_among(units)]
