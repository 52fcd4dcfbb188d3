"""What a store can do, found out by doing it, before a run trusts it."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime

from pacore.core.identity import canonical_json
from pacore.errors import Refused, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import FORMAT_VERSION, STORE_KEY, probe_key

_log = logging.getLogger("pacore.store")


_found: weakref.WeakKeyDictionary[Backend, Capability] = weakref.WeakKeyDictionary()


_found_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Capability:
    """``put_if_absent``: whether of two writers of one key only one is told that it was first."""

    put_if_absent: bool


def prepare(store: Backend) -> Capability:
    """Probe a store, once a process, and leave word of it in ``_store.json``.

    Raises Refused for a store of a later format, StoreError for one that does not give back what
    it was given.
    """
    with _found_lock:
        if store not in _found:
            _refuse_later_format(store)
            found = probe(store)
            record = {
                "v": FORMAT_VERSION,
                "created_at": datetime.now(UTC).isoformat(),
                "put_if_absent": found.put_if_absent,
            }
            if not store.exists(STORE_KEY):
                store.put_new(STORE_KEY, canonical_json(record))
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
        record = json.loads(store.get(STORE_KEY))
        version = int(record["v"])
    except KeyError as missing:
        if missing.args == (STORE_KEY,):
            return
        raise StoreError(f"{STORE_KEY}: does not say its version") from None
    except (ValueError, TypeError) as fault:
        raise StoreError(f"{STORE_KEY}: is not a store's record: {fault}") from fault
    if version > FORMAT_VERSION:
        raise Refused(
            f"{store.url} is of format {version}; this pacore knows formats up to {FORMAT_VERSION}"
        )


def probe(store: Backend) -> Capability:
    """Create, create again, read, list and delete a value under a fresh key."""
    key = probe_key(secrets.token_hex(8))
    first, second = (secrets.token_hex(16).encode() for _ in range(2))
    try:
        is_first = store.put_new(key, first)
        is_second_refused = not store.put_new(key, second)
        standing = store.get(key)
        if not is_first or standing not in (first, second):
            raise StoreError(f"{store.url}: gives back another value than was put")
        if key not in store.list(key.rpartition("/")[0]):
            raise StoreError(f"{store.url}: does not list a value that was just put")
    except KeyError:
        raise StoreError(f"{store.url}: does not find a value that was just put") from None
    finally:
        store.delete(key)
    if store.exists(key):
        raise StoreError(f"{store.url}: still has a value that was deleted")
    return Capability(is_second_refused and standing == first)
