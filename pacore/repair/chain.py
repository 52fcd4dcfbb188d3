"""The snapshots of a run: those that are missing, as far as they follow from what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product

from pacore.audit.finding import Tally
from pacore.audit.ledger import Ledger, read_ledger
from pacore.core.identity import canonical_json, sha256_hex
from pacore.errors import StoreError
from pacore.repair.outcome import Outcome
from pacore.store.backends.protocol import Backend
from pacore.store.commits import (
    Commit,
    last_snapshot,
    snapshot_record,
    snapshot_sequence,
    standing_units,
    write_snapshot,
)
from pacore.store.gradings import read_gradings
from pacore.store.layout import snapshot_key
from pacore.store.run import Run, is_closed


def mend_chain(store: Backend, run: Run) -> Iterator[Outcome]:
    """Write missing and unreadable snapshots again, where their successor tells what they were.

    The last one of a closed run is written anew, as what it lists is what the commits say.
    """
    run_id = run.run_id
    if not is_closed(store, run_id):
        return
    try:
        if last_snapshot(store, run_id) is None:
            write_snapshot(store, run_id)
            yield Outcome(snapshot_key(run_id, 0), "is missing: made again", is_mended=True)
    except StoreError:
        key = snapshot_key(run_id, snapshot_sequence(store, run_id) - 1)
        store.delete(key)
        write_snapshot(store, run_id)
        yield Outcome(key, "cannot be read: made again", is_mended=True)
    ledger = read_ledger(store, run_id, Tally())
    for number in range(snapshot_sequence(store, run_id) - 1):
        key = snapshot_key(run_id, number)
        what = _fault(store, key)
        if what is None:
            continue
        data = _derived(store, run, ledger, number)
        if data is None:
            said = f"{what}, and nothing says which files it listed; only the audit reads it"
            yield Outcome(key, said, is_mended=False)
        else:
            store.put(key, data)
            yield Outcome(key, f"{what}: made again, byte for byte", is_mended=True)


def _fault(store: Backend, key: str) -> str | None:
    try:
        json.loads(store.get(key))["tables"].items()
    except KeyError:
        return "is missing"
    except (ValueError, TypeError, AttributeError):
        return "cannot be read"
    return None


def _derived(store: Backend, run: Run, ledger: Ledger, number: int) -> bytes | None:
    """A snapshot that its successor names by its digest; None where none of the likely ones is it."""
    try:
        wanted = json.loads(store.get(snapshot_key(run.run_id, number + 1)))["parent_sha256"]
        parent = store.get(snapshot_key(run.run_id, number - 1)) if number else None
    except (KeyError, ValueError, TypeError):
        return None
    for commits in _likely(store, run, ledger):
        data = canonical_json(snapshot_record(run.run_id, number, parent, commits))
        if sha256_hex(data) == wanted:
            return data
    return None


def _likely(store: Backend, run: Run, ledger: Ledger) -> Iterator[list[Commit]]:
    """What a run may have consisted of: before some retries, gradings and repairs of it."""
    revisions = range(max((unit.revision for unit in ledger.commits), default=0) + 1)
    graded = [record.grading.grading_id for record in read_gradings(store, run.run_id)]
    replaced = {commit.unit.first: commit for commit in reversed(ledger.replaced)}
    for revision, count, before in product(revisions, range(len(graded) + 1), (False, True)):
        known = {**ledger.commits, **(replaced if before else {})}
        units = [
            unit
            for unit in known
            if unit.revision <= revision and unit.grading in ("", *graded[:count])
        ]
        yield [known[unit] for unit in standing_units(units)]
