"""The retries of a run: which slots `pacore retry` chose, and with which limit of tokens.

A record is written once, before anything is tried again, and names each slot by the trajectory that
was in it then. So every process that continues the run finds the same slots, and no slot is chosen twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer

from pacore.core.quorum import ChosenSlot, Retry
from pacore.store.backends.protocol import Backend
from pacore.store.layout import final_key, retries_prefix, retry_key
from pacore.store.records import Time, decode, put_new, read_many


@dataclass(frozen=True, slots=True)
class _Stored:
    """The record of one retry."""

    run_id: str
    sequence: int
    created_at: Time
    where: str
    max_tokens: int | None
    slots: tuple[Annotated[ChosenSlot, PlainSerializer(ChosenSlot._asdict)], ...]
    shards: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RetryRecord:
    """One `pacore retry`; ``sequence`` counts from 0, ``shards`` are the numbers of those its slots
    are in.
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
        """Whether this is the retry of such a command line."""
        return (self.where, self.max_tokens) == (where, max_tokens)


def count_retries(store: Backend, run_id: str) -> int:
    """How many retries a run has had."""
    return sum(1 for _ in store.list(retries_prefix(run_id)))


def end_key(store: Backend, run_id: str) -> str:
    """The key of the record of a run's end, which is written when all its retries are done."""
    return final_key(run_id, count_retries(store, run_id))


def read_retries(store: Backend, run_id: str) -> list[RetryRecord]:
    """Every retry of a run, the first first. Raises StoreError for one that cannot be read."""
    keys = [retry_key(run_id, number) for number in range(count_retries(store, run_id))]
    if not keys:
        return []
    return [_retry_of(stored) for stored in read_many(store, keys, _Stored)]


def add_retry(store: Backend, run_id: str, wanted: RetryRecord) -> RetryRecord:
    """Record a retry at its place; where another got there first, that one is returned instead."""
    key = retry_key(run_id, wanted.sequence)
    stored = _Stored(
        run_id=run_id,
        sequence=wanted.sequence,
        created_at=datetime.now(UTC),
        where=wanted.where,
        max_tokens=wanted.max_tokens,
        slots=wanted.chosen,
        shards=wanted.shards,
    )
    put_new(store, key, stored)
    return _retry_of(decode(store.get(key), key, _Stored))


def _retry_of(stored: _Stored) -> RetryRecord:
    return RetryRecord(
        stored.sequence, stored.where, stored.max_tokens, stored.slots, stored.shards
    )
