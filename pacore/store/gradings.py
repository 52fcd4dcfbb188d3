"""The gradings of a run: whose verdicts there are, in which order they were given, which stands.

A grading is what one grader said of every trajectory of a run, under one version of it. Each keeps
its verdicts: grading again adds one, and the last that came to its end stands. What a run itself
says of its answers while it is made is its first grading, called ``run``.

That a grading came to its end is recorded once; whether it is still at it follows from what is
committed. A retry replaces trajectories, and until their successors have verdicts too, a grading
goes on again and does not stand.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue

from pacore.core.grading.spec import Against
from pacore.core.identity import canonical_json, digest
from pacore.errors import StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import FORMAT_VERSION, Unit, graded_key, grading_key, gradings_prefix

OWN = "run"
"""The grading a run makes of its own answers."""


@dataclass(frozen=True)
class Grading:
    """Who gives verdicts: ``grader`` is a spec (``numeric:rel=0.001``), or ``auto`` for the grader
    that each problem calls for.

    ``grader_version`` names the versions of everything that decides. ``against`` says what answers
    are held against: the gold answer, or nothing but a judge's opinion, which never stands as the
    score of a run. ``details`` is what else makes it what it is, such as the recipe of a judge.
    """

    grader: str
    grader_version: str
    against: Against = "gold"
    details: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def grading_id(self) -> str:
        """8 hex characters of the digest of all of it; no time and no run takes part."""
        return digest(self.as_json())[:8]

    def as_json(self) -> dict[str, Any]:
        return {
            "grader": self.grader,
            "grader_version": self.grader_version,
            "against": self.against,
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class GradingRecord:
    """One grading of one run; ``sequence`` counts from 1, ``finished_at`` None while it goes on."""

    sequence: int
    grading: Grading
    created_at: datetime
    finished_at: datetime | None = None


def read_gradings(
    store: Backend, run_id: str, keys: Collection[str] | None = None
) -> list[GradingRecord]:
    """Every grading of a run that was begun, the first first; one that was begun again at its last.

    ``keys`` are those of all records of runs where they have been listed already. Raises StoreError
    for a bad record.
    """
    last = {record.grading.grading_id: record for record in _read_all(store, run_id, keys)}
    return sorted(last.values(), key=lambda record: record.sequence)


def _read_all(
    store: Backend, run_id: str, keys: Collection[str] | None = None
) -> list[GradingRecord]:
    prefix = gradings_prefix(run_id) + "/"
    listed = store.list(gradings_prefix(run_id)) if keys is None else keys
    keys = {key for key in listed if key.startswith(prefix)}
    if not keys:
        return []
    sequences = range(1, sum(not key.endswith(".done.json") for key in keys) + 1)
    begun = [grading_key(run_id, sequence) for sequence in sequences]
    ended = [key for sequence in sequences if (key := graded_key(run_id, sequence)) in keys]
    found = dict(zip([*begun, *ended], store.get_many([*begun, *ended]), strict=True))
    return [
        _record_of(sequence, key, found[key], found.get(graded_key(run_id, sequence)))
        for sequence, key in zip(sequences, begun, strict=True)
    ]


def begin_grading(store: Backend, run_id: str, grading: Grading) -> GradingRecord:
    """The record of a grading, made now unless it is there.

    The grading that is asked for last is the one that should stand: where another was begun since,
    it is begun again and keeps its verdicts.
    """
    while True:
        records = _read_all(store, run_id)
        for record in reversed(records):
            if record.grading.grading_id == grading.grading_id:
                return record
            if record.grading.against == grading.against == "gold":
                break
        sequence = len(records) + 1
        stated = {
            "v": FORMAT_VERSION,
            "run_id": run_id,
            "sequence": sequence,
            "created_at": datetime.now(UTC).isoformat(),
            **grading.as_json(),
        }
        store.put_new(grading_key(run_id, sequence), canonical_json(stated))


def finish_grading(
    store: Backend, run_id: str, record: GradingRecord, counts: Mapping[str, int]
) -> None:
    """Record that every trajectory has its verdict; a second time changes nothing."""
    stated = {
        "v": FORMAT_VERSION,
        "run_id": run_id,
        "sequence": record.sequence,
        "finished_at": datetime.now(UTC).isoformat(),
        "counts": dict(counts),
    }
    store.put_new(graded_key(run_id, record.sequence), canonical_json(stated))


def as_published(records: Iterable[GradingRecord], units: Iterable[Unit]) -> list[GradingRecord]:
    """Gradings beside the units that a run's tables consist of: one that lacks verdicts goes on."""
    published = set(units)
    return [
        record
        if record.finished_at is None or not lacking(published, record.grading.grading_id)
        else replace(record, finished_at=None)
        for record in records
    ]


def lacking(units: Iterable[Unit], grading_id: str) -> list[Unit]:
    """What a grading still has to publish of a run that consists of ``units``, sorted."""
    published = {unit.first for unit in units}
    wanted = [
        unit._replace(table="verdicts", grading=grading_id)
        for unit in published
        if unit.table == "trajectories"
    ]
    return sorted(unit for unit in wanted if unit not in published)


def standing(records: Iterable[GradingRecord]) -> GradingRecord | None:
    """The grading whose verdicts count: the last finished one that held answers against the gold."""
    finished = [
        record
        for record in records
        if record.finished_at is not None and record.grading.against == "gold"
    ]
    return finished[-1] if finished else None


def _record_of(sequence: int, key: str, begun: bytes, ended: bytes | None) -> GradingRecord:
    try:
        record = json.loads(begun)
        finished = json.loads(ended)["finished_at"] if ended is not None else None
        return GradingRecord(
            sequence,
            Grading(
                record["grader"], record["grader_version"], record["against"], record["details"]
            ),
            datetime.fromisoformat(record["created_at"]),
            datetime.fromisoformat(finished) if finished else None,
        )
    except (ValueError, KeyError, TypeError) as fault:
        raise StoreError(f"{key}: is not a grading's record: {fault!r}") from fault
