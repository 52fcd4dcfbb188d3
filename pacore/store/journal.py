"""The journal: every finished generation, durable before anything depends on it.

One object a trajectory, put if absent under its content identity. It is the cache across runs and
the source the tables are derived from; of several responses the first one in the journal is kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from itertools import tee
from typing import NamedTuple

import zstandard

from pacore.core.trajectory import Generation, Request
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import FORMAT_VERSION, journal_key

MAX_ENTRY_BYTES = 1 << 30

_GENERATED = tuple(field.name for field in fields(Generation))

_codecs = threading.local()


class Named(NamedTuple):
    """What a generation was journalled as a sample of: digests of recipe and prompt, and the rest."""

    recipe: str
    prompt: str
    draw: int
    attempt: int
    seed: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One journalled generation: the run that requested it first, and when it was finished (UTC).

    ``named`` is what its identity was made of, None for one that was not read back.
    """

    trajectory_id: str
    generation: Generation
    run_id: str
    generated_at: datetime
    named: Named | None = None


def _encode(request: Request, generation: Generation, run_id: str, generated_at: datetime) -> bytes:
    record = {
        "v": FORMAT_VERSION,
        "trajectory_id": request.trajectory_id,
        "recipe": request.recipe.digest,
        "prompt": request.prompt_digest,
        "draw": request.draw,
        "attempt": request.attempt,
        "seed": request.seed,
        "run_id": run_id,
        "generated_at": generated_at.isoformat(),
        # `asdict` would copy each value, which takes as long as all the rest of packing a short text.
        "generation": {name: getattr(generation, name) for name in _GENERATED},
    }
    if not hasattr(_codecs, "compress"):
        _codecs.compress = zstandard.ZstdCompressor(level=3)
    packed: bytes = _codecs.compress.compress(json.dumps(record, ensure_ascii=False).encode())
    return packed


def _decode(data: bytes, key: str) -> Entry:
    if not hasattr(_codecs, "decompress"):
        _codecs.decompress = zstandard.ZstdDecompressor()
    try:
        record = json.loads(_codecs.decompress.decompress(data, max_output_size=MAX_ENTRY_BYTES))
        return Entry(
            record["trajectory_id"],
            Generation(**record["generation"]),
            record["run_id"],
            datetime.fromisoformat(record["generated_at"]),
            Named(*(record[name] for name in Named._fields)),
        )
    except (zstandard.ZstdError, ValueError, KeyError, TypeError) as fault:
        raise StoreError(f"{key}: is not a journal entry: {fault}") from fault


class Journal:
    """Journal entries of a store. Safe to use from several threads and processes at once."""

    def __init__(self, store: Backend) -> None:
        self._store = store

    def find(self, trajectory_id: str) -> Entry | None:
        """The entry of a trajectory, or None. Raises StoreError for one that cannot be read."""
        key = journal_key(trajectory_id)
        try:
            data = self._store.get(key)
        except KeyError:
            return None
        return _decode(data, key)

    def find_many(self, trajectory_ids: Iterable[str]) -> Iterator[Entry | None]:
        """As `find`, of many, in their order: requested ahead, and decoded one at a time."""
        keys, requested = tee(journal_key(trajectory_id) for trajectory_id in trajectory_ids)
        for data, key in zip(self._store.find_many(requested), keys, strict=True):
            yield None if data is None else _decode(data, key)

    def add(self, request: Request, generation: Generation, run_id: str) -> Entry:
        """Make a generation durable; where another was first, that one is returned instead."""
        generated_at = datetime.now(UTC)
        data = _encode(request, generation, run_id, generated_at)
        key = journal_key(request.trajectory_id)
        if self._store.put_new(key, data):
            return Entry(request.trajectory_id, generation, run_id, generated_at)
        found = self.find(request.trajectory_id)
        if found is None:
            raise StoreError(f"{key}: vanished while it was read")
        return found
