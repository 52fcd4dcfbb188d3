"""The gradings of a run: who gave verdicts, in which order, and whose verdicts are current.

A grading is the verdicts of one version of a grader on every trajectory of a run. Grading again adds
a grading and keeps the others; the last one that is finished is current. The verdicts that a run itself
gives its answers are its first grading, called ``run``, of which there is no record.

That a grading finished is recorded once; whether it is finished still follows from what is committed.
A retry replaces trajectories, and until their successors have verdicts too, the grading is unfinished
again and not current.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue

from pacore.core.grading.spec import Against
from pacore.core.identity import digest
from pacore.store.backends.protocol import Backend
from pacore.store.layout import OWN, Unit, graded_key, grading_key, gradings_prefix
from pacore.store.records import Time, put_new, read_many


@dataclass(frozen=True)
class Grading:
    """Who gives verdicts: ``grader`` is a spec (``numeric:rel=0.001``), or ``auto`` for the grader
    that each problem calls for.

    ``grader_version`` names the versions of everything that decides. ``against`` says what answers
    are compared with: the gold answer, or nothing, where a judge gives an opinion, which is never the
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
    """One grading of one run; ``sequence`` counts from 1, ``finished_at`` is None until it is finished.

    The run's own is number 0.
    """

    sequence: int
    grading: Grading
    created_at: datetime
    finished_at: datetime | None = None

    @property
    def grading_id(self) -> str:
        """What its verdicts are named by: `Grading.grading_id`, or ``run`` for the run's own."""
        return self.grading.grading_id if self.sequence else OWN


def own_grading(created_at: datetime) -> GradingRecord:
    """The grading that a run makes of its own answers, as it was begun with the run."""
    return GradingRecord(0, Grading("auto", ""), created_at, created_at)


@dataclass(frozen=True, slots=True)
class GradingStart:
    """The record of a grading that was begun."""

    run_id: str
    sequence: int
    created_at: Time
    grader: str
    grader_version: str
    against: Against
    details: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class GradingEnd:
    """The record of a finished grading, with the number of its verdicts of each kind."""

    run_id: str
    sequence: int
    finished_at: Time
    counts: dict[str, int]


def read_gradings(
    store: Backend, run_id: str, keys: Collection[str] | None = None
) -> list[GradingRecord]:
    """Every grading of a run in the order of their starts; one that was begun again at its last start.

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
    starts = read_many(store, begun, GradingStart)
    ends = dict(zip(ended, read_many(store, ended, GradingEnd), strict=True))
    return [
        GradingRecord(
            sequence,
            Grading(start.grader, start.grader_version, start.against, start.details),
            start.created_at,
            end.finished_at if (end := ends.get(graded_key(run_id, sequence))) else None,
        )
        for sequence, start in zip(sequences, starts, strict=True)
    ]


def begin_grading(store: Backend, run_id: str, grading: Grading) -> GradingRecord:
    """The record of a grading, made now unless it is there.

    The grading that is requested last is to be the current one: where another was begun since, it is
    begun again and keeps its verdicts.
    """
    while True:
        records = _read_all(store, run_id)
        for record in reversed(records):
            if record.grading.grading_id == grading.grading_id:
                return record
            if record.grading.against == grading.against == "gold":
                break
        sequence = len(records) + 1
        start = GradingStart(run_id, sequence, datetime.now(UTC), **grading.as_json())
        put_new(store, grading_key(run_id, sequence), start)


def finish_grading(
    store: Backend, run_id: str, record: GradingRecord, counts: Mapping[str, int]
) -> None:
    """Record that every trajectory has its verdict; a second time changes nothing."""
    end = GradingEnd(run_id, record.sequence, datetime.now(UTC), dict(counts))
    put_new(store, graded_key(run_id, record.sequence), end)


def as_published(records: Iterable[GradingRecord], units: Iterable[Unit]) -> list[GradingRecord]:
    """Gradings, unfinished where verdicts are missing among the units that a run's tables consist of."""
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


def current_grading(records: Iterable[GradingRecord]) -> GradingRecord | None:
    """The grading whose verdicts are current: the last finished one against gold answers."""
    finished = [
        record
        for record in records
        if record.finished_at is not None and record.grading.against == "gold"
    ]
    return finished[-1] if finished else None
