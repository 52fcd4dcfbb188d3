"""The retries of a run: which slots `pacore retry` chose, and under which limit, for good.

A record is written once, before anything is tried again, and names each slot by the trajectory that
stood in it. So whoever goes on with the run finds the same slots, and no slot is chosen twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from pacore.core.identity import canonical_json
from pacore.core.quorum import ChosenSlot, Retry
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import FORMAT_VERSION, final_key, retries_prefix, retry_key


@dataclass(frozen=True, slots=True)
class RetryRecord:
    """One `pacore retry` as it stands in the store; ``sequence`` counts from 0.

    ``shards`` are the numbers of those its slots lie in.
    """

    sequence: int
    where: str
    max_tokens: int | None
    chosen: tuple[ChosenSlot, ...]
    shards: tuple[int, ...]

    @property
    def retry(self) -> Retry:
        return Retry(frozenset(self.chosen), self.max_tokens)

    def is_same(self, where: str, max_tokens: int | None) -> bool:
        """Whether this is what such a command line asked for."""
        return (self.where, self.max_tokens) == (where, max_tokens)


def count_retries(store: Backend, run_id: str) -> int:
    """How many retries a run has had."""
    return sum(1 for _ in store.list(retries_prefix(run_id)))


def end_key(store: Backend, run_id: str) -> str:
    """Where a run's end is recorded, once everything it was told to retry is done."""
    return final_key(run_id, count_retries(store, run_id))


def read_retries(store: Backend, run_id: str) -> list[RetryRecord]:
    """Every retry of a run, the first first. Raises StoreError for one that cannot be read."""
    keys = [retry_key(run_id, number) for number in range(count_retries(store, run_id))]
    if not keys:
        return []
    values = zip(keys, store.get_many(keys), strict=True)
    return [_record_of(number, *found) for number, found in enumerate(values)]


def add_retry(store: Backend, run_id: str, wanted: RetryRecord) -> RetryRecord:
    """Record a retry at its place; where another got there first, that one is returned instead."""
    key = retry_key(run_id, wanted.sequence)
    record = {
        "v": FORMAT_VERSION,
        "run_id": run_id,
        "sequence": wanted.sequence,
        "created_at": datetime.now(UTC).isoformat(),
        "where": wanted.where,
        "max_tokens": wanted.max_tokens,
        "slots": [slot._asdict() for slot in wanted.chosen],
        "shards": list(wanted.shards),
    }
    store.put_new(key, canonical_json(record))
    return _record_of(wanted.sequence, key, store.get(key))


def _record_of(sequence: int, key: str, data: bytes) -> RetryRecord:
    try:
        record = json.loads(data)
        chosen = tuple(ChosenSlot(**slot) for slot in record["slots"])
        where, max_tokens = record["where"], record["max_tokens"]
        return RetryRecord(sequence, where, max_tokens, chosen, tuple(record["shards"]))
    except (ValueError, KeyError, TypeError) as fault:
        raise StoreError(f"{key}: is not a retry's record: {fault!r}") from fault
