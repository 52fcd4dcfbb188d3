"""What a store can do, found out by doing it, before a run trusts it."""

from __future__ import annotations

import logging
import secrets
import threading
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime

from pacore.errors import Refused, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import STORE_KEY, probe_key
from pacore.store.records import LaterRecord, Time, find, put_new

_log = logging.getLogger("pacore.store")

_found: weakref.WeakKeyDictionary[Backend, Capability] = weakref.WeakKeyDictionary()

_found_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Capability:
    """``put_if_absent``: whether of two writers of one key only one learns that it was first."""

    put_if_absent: bool


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """The record ``_store.json``: when the store was first used, and what it can do."""

    created_at: Time
    put_if_absent: bool


def prepare(store: Backend) -> Capability:
    """Probe a store, once a process, and record the result in ``_store.json``.

    Raises Refused for a store of a later format, StoreError for one that does not give back what
    it was given.
    """
    with _found_lock:
        if store not in _found:
            _refuse_later_format(store)
            found = probe(store)
            if not store.exists(STORE_KEY):
                record = StoreRecord(datetime.now(UTC), found.put_if_absent)
                put_new(store, STORE_KEY, record)
            if not found.put_if_absent:
                _log.warning(
                    "%s: does not honour put-if-absent: only one process may work on a run at a "
                    "time, and holds a lease for it",
                    store.url,
                )
            _found[store] = found
        return _found[store]


def _refuse_later_format(store: Backend) -> None:
    try:
        find(store, STORE_KEY, StoreRecord)
    except LaterRecord as later:
        raise Refused(f"{store.url}: {later.why}") from None


def probe(store: Backend) -> Capability:
    """Create, create again, read, list and delete a value under a fresh key."""
    key = probe_key(secrets.token_hex(8))
    first, second = (secrets.token_hex(16).encode() for _ in range(2))
    try:
        is_first = store.put_new(key, first)
        is_second_refused = not store.put_new(key, second)
        present = store.get(key)
        if not is_first or present not in (first, second):
            raise StoreError(f"{store.url}: gives back another value than was put")
        if key not in store.list(key.rpartition("/")[0]):
            raise StoreError(f"{store.url}: does not list a value that was just put")
    except KeyError:
        raise StoreError(f"{store.url}: does not find a value that was just put") from None
    finally:
        store.delete(key)
    if store.exists(key):
        raise StoreError(f"{store.url}: still has a value that was deleted")
    return Capability(is_second_refused and present == first)
