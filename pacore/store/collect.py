"""What a store holds that nothing refers to: left by lost races and by processes that were killed.

A data file is published before its commit, so the young ones may be about to be referred to; only
what has lain for a day or longer is ever collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pacore.errors import Refused, StoreError
from pacore.store.backends.local import TEMPORARY
from pacore.store.backends.protocol import Backend, Stored
from pacore.store.commits import Commit, Snapshot
from pacore.store.layout import COMMITS, DATA, PROBES, SNAPSHOTS
from pacore.store.records import BadRecord, read_many
from pacore.store.run import imported_texts, list_runs

LEAST_AGE = timedelta(days=1)


def uncollected(store: Backend, older_than: timedelta = LEAST_AGE) -> list[Stored]:
    """Data files and temporaries that no commit and no snapshot names, sorted by key.

    Raises Refused for an age below a day, StoreError when a commit or snapshot cannot be read: what
    it refers to is not known then.
    """
    if older_than < LEAST_AGE:
        raise Refused("nothing younger than a day is collected: it may be about to be committed")
    before = datetime.now(UTC) - older_than
    # Listed before the references are read: what was committed in between is seen to be.
    found = [
        entry
        for prefix in (DATA, PROBES, TEMPORARY)
        for entry in store.entries(prefix)
        if entry.modified_at < before
    ]
    referenced = set(_referenced(store)) if found else set()
    return sorted(
        (entry for entry in found if entry.key not in referenced), key=lambda entry: entry.key
    )


def collect(store: Backend, found: list[Stored]) -> Iterator[Stored]:
    """Delete what `uncollected` found, but not what was published again since; yields what went."""
    for entry in found:
        try:
            now = store.stat(entry.key)
        except KeyError:
            continue
        if datetime.now(UTC) - now.modified_at < LEAST_AGE:
            continue
        store.delete(entry.key)
        yield entry


def _referenced(store: Backend) -> Iterator[str]:
    """Every data file that a commit of any revision, a snapshot, or a record `ImportedTexts` names."""
    kinds: tuple[tuple[str, type[Commit | Snapshot]], ...] = (
        (COMMITS, Commit),
        (SNAPSHOTS, Snapshot),
    )
    try:
        for run_id in list_runs(store):
            yield from (file.path for file in imported_texts(store, run_id))
        for prefix, kind in kinds:
            keys = [key for key in store.list(prefix) if key.endswith(".json")]
            for record in read_many(store, keys, kind):
                yield from (file.path for file in record.files)
    except BadRecord as bad:
        raise StoreError(f"{bad}; nothing is collected") from None
    except KeyError as gone:
        raise StoreError(f"{gone.args[0]}: vanished while it was read") from None
